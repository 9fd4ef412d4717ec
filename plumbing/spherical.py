"""What a frame of a video says of the sphere around its camera, and of its two eyes, as ffmpeg hands it out.

ffmpeg reads it from the boxes `sv3d` and `st3d` and from the older XML of MP4, and from Matroska.

Sources: Spherical Video V2 RFC, https://github.com/google/spatial-media/blob/master/docs/spherical-video-v2-rfc.md;
AVSphericalMapping and AVStereo3D of libavutil, https://ffmpeg.org/doxygen/trunk/spherical_8h.html
"""

import struct
from dataclasses import dataclass
from typing import Any

EQUIRECTANGULAR, HALF = "equirectangular", "half equirectangular"
PROJECTIONS = {0: EQUIRECTANGULAR, 2: EQUIRECTANGULAR, 3: HALF}
"""Projections of which views are cut, by their number; cube maps, meshes and fish eyes are others."""
MAPPING = struct.Struct("=i3i4I")
"""Projection, yaw, pitch and roll in 16.16 fixed point, and in 0.32 what is cropped at the left, top, right and bottom."""
SIDE_BY_SIDE, TOP_BOTTOM = 1, 2


@dataclass(frozen=True)
class Spherical:
    """What a video says of its sphere.

    Attributes:
        projection: `equirectangular`, `half equirectangular`, or empty of another one.
        pitch_deg: elevation of the middle of the picture.
        roll_deg: how far the camera was turned clockwise around the direction in which it looks.
        left: share of the whole sphere that its pictures lack at the left.
        top: likewise, above.
        right: likewise.
        bottom: likewise, below.
    """

    projection: str
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    left: float = 0.0
    top: float = 0.0
    right: float = 0.0
    bottom: float = 0.0


def spherical_of(frame: Any) -> Spherical | None:
    """Return what a frame of PyAV says of its sphere; None where it says nothing."""
    content = _side_data(frame, "SPHERICAL")
    if len(content) < MAPPING.size:
        return None
    projection, _, pitch, roll, left, top, right, bottom = MAPPING.unpack_from(content)
    bounds = (share / 2**32 for share in (left, top, right, bottom))
    return Spherical(PROJECTIONS.get(projection, ""), pitch / 65536, roll / 65536, *bounds)


def eye_box(frame: Any, width: int, height: int) -> tuple[int, int, int, int] | None:
    """Return the left, upper, right and lower edge of the first of two eyes in a frame; None of a frame of one eye."""
    content = _side_data(frame, "STEREO3D")
    layout = struct.unpack_from("=i", content)[0] if len(content) >= 4 else 0
    if layout == SIDE_BY_SIDE and width > 1:
        return 0, 0, width // 2, height
    return (0, 0, width, height // 2) if layout == TOP_BOTTOM and height > 1 else None


def _side_data(frame: Any, name: str) -> bytes:
    """Return what ffmpeg hands out beside the pixels under a name; nothing where there is none."""
    return next((bytes(part) for part in frame.side_data if part.type.name == name), b"")
