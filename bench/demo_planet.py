"""How fast the demo planet is drawn on one core: `python -m bench.demo_planet`."""

import io
import time
from pathlib import Path

from bench.report import write_results
from fetch.demo.config import DemoConfig
from fetch.demo.dataset import make_planet, photograph
from fetch.stored import JPEG_QUALITY

COUNT = 1000


def main() -> None:
    started_at = time.process_time()
    planet = make_planet(0, COUNT)
    making_s = time.process_time() - started_at
    rows = []
    for size in (64, 96, 128, 224):
        config = DemoConfig(out=Path("unused"), images=COUNT, size=size)
        started_at = time.process_time()
        pictures = [photograph(planet, config, i) for i in range(COUNT)]
        drawn_at = time.process_time()
        for picture in pictures:
            picture.save(io.BytesIO(), "JPEG", quality=JPEG_QUALITY)
        drawing_s, encoding_s = drawn_at - started_at, time.process_time() - drawn_at
        rows.append(
            {
                "size_px": size,
                "pictures": COUNT,
                "pictures_per_core_s": round(COUNT / (making_s + drawing_s), 1),
                "with_jpeg_per_core_s": round(COUNT / (making_s + drawing_s + encoding_s), 1),
            }
        )
    write_results("demo_planet", rows)


if __name__ == "__main__":
    main()
