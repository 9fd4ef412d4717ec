"""How fast a picture becomes what the network sees: our way (Pillow decodes, torchvision resizes), and each alone.

`python -m bench.decode` draws pictures of several sizes and kinds; each figure is the fastest of five runs on one core.
"""

import argparse
import io
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms.v2 import functional

from bench.report import write_results
from infer.network.transform import InputTransform
from plumbing.images import open_rgb

SIZES = ((341, 256), (1024, 768), (4032, 3024))
KINDS = {"JPEG": {"quality": 90}, "PNG": {}, "WEBP": {"quality": 90}}
BUDGET_S = 0.3
"""Each of five runs takes about so long."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=224)
    flags = parser.parse_args()
    torch.set_num_threads(1)
    # Torchvision means to give decoding away; it is here to compare with.
    warnings.filterwarnings("ignore", message="The image decoding", category=DeprecationWarning)
    transform = InputTransform(flags.size)
    rows = []
    for width, height in SIZES:
        picture = draw(width, height)
        for kind, options in KINDS.items():
            content = io.BytesIO()
            picture.save(content, kind, **options)
            rows.append(row(f"{width}x{height} {kind}", content.getvalue(), transform))
    write_results("decode", rows)


def draw(width: int, height: int) -> Image.Image:
    """Return blurred colours with noise, which compress about as photographs do."""
    random = np.random.default_rng(0)
    blocks = random.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(blocks).resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)
    noise = random.normal(0, 8, (height, width, 1)).astype(np.float32)
    return Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8))


def row(what: str, content: bytes, transform: InputTransform) -> dict[str, object]:
    """Return milliseconds of each way, and by how many of 255 levels ours differs from Pillow's at most."""

    def pillow() -> torch.Tensor:
        picture = open_rgb(content)
        seen = picture.resize((transform.size, transform.size), Image.Resampling.BILINEAR)
        return torch.from_numpy(np.array(seen)).permute(2, 0, 1).contiguous()

    def torchvision() -> torch.Tensor:
        pixels = decode_image(torch.frombuffer(bytearray(content), dtype=torch.uint8), ImageReadMode.RGB)
        return functional.resize(pixels, [transform.size, transform.size], antialias=True)

    def ours() -> torch.Tensor:
        return transform.pixels(content)

    differ = int((ours().int() - pillow().int()).abs().max())
    times = {f"{way.__name__}_ms": milliseconds(way) for way in (ours, pillow, torchvision)}
    return {"what": what, "kilobytes": len(content) // 1000, **times, "levels_apart": differ}


def milliseconds(run: Callable[[], torch.Tensor]) -> float:
    started_at = time.perf_counter()
    run()
    count = max(1, int(BUDGET_S / (time.perf_counter() - started_at)))
    fastest = float("inf")
    for _ in range(5):
        started_at = time.perf_counter()
        for _ in range(count):
            run()
        fastest = min(fastest, (time.perf_counter() - started_at) / count)
    return 1000 * fastest


if __name__ == "__main__":
    main()
