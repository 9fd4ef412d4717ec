"""Small videos that tests write with PyAV."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np

RATE = 10


def write_clip(
    path: Path,
    codec: str = "libx264",
    seconds: float = 3,
    size: tuple[int, int] = (64, 48),
    gop: int = 12,
    slope: int = 5,
    tags: Mapping[str, str] | None = None,
    colour: tuple[int, int, int] | None = None,
) -> Path:
    """Write a video of ten frames a second that grows brighter by `slope` a frame, or has one colour, and return its path.

    The corner at the top left is red.
    """
    import av

    options = {"movflags": "use_metadata_tags"} if path.suffix == ".mov" else {}
    with av.open(str(path), "w", options=options) as container:
        container.metadata.update(tags or {})
        stream = container.add_stream(codec, rate=RATE)
        stream.width, stream.height, stream.gop_size = *size, gop
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in range(round(seconds * RATE)):
            pixels = np.full((size[1], size[0], 3), number * slope % 256, dtype=np.uint8)
            if colour is not None:
                pixels[:] = colour
            pixels[:8, :8] = (255, 0, 0)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
