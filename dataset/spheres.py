"""Which part of the sphere around the camera a photograph shows: by its GPano metadata, or by its pixels without them.

Source of the fields: Google's Photo Sphere XMP metadata, https://developers.google.com/streetview/spherical-metadata
"""

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from plumbing.spherical import EQUIRECTANGULAR, HALF, Spherical

WIDE = 1024
"""A picture of the shape of a whole sphere that does not say that it is one is looked at from this width on."""
SMALL = 256
"""A narrower picture is no panorama, whatever it says: a view would be a few pixels wide."""
SHAPE = 0.02
"""Shapes are the same up to this share."""
LOOKED_AT = 1024
"""Width at which pixels are compared."""

FIELD = r"GPano:{}\s{{0,9}}=?\s{{0,9}}[\"'>]\s{{0,9}}{}\s{{0,9}}[\"'<]"
"""An attribute or an element of XMP; bounded, so that no file makes the search long."""
NUMBER = r"([-+]?\d{1,9}(?:\.\d{0,30})?(?:[eE][-+]?\d{1,3})?)"
KIND = re.compile(FIELD.format("ProjectionType", r"(\w{1,40})"))


@dataclass(frozen=True)
class Sphere:
    """What an equirectangular picture shows of the sphere around the camera, in degrees.

    Attributes:
        left_deg: azimuth of its left edge, clockwise from the middle of the whole sphere; -180 of a whole one.
        width_deg: how far it reaches from there; 360 of a whole one.
        top_deg: elevation of its upper edge; 90 of a whole one.
        height_deg: how far it reaches down from there; 180 of a whole one.
        heading_deg: compass direction of the middle of the whole sphere; None where the file does not say.
        pitch_deg: elevation at which the middle of the whole sphere really lies; 0 of a level camera.
        roll_deg: how far the camera was turned clockwise around the direction of that middle, so that the horizon is turned
            against the clock; 0 of a level camera.
    """

    left_deg: float = -180.0
    width_deg: float = 360.0
    top_deg: float = 90.0
    height_deg: float = 180.0
    heading_deg: float | None = None
    pitch_deg: float = 0.0
    roll_deg: float = 0.0

    @property
    def tilted(self) -> bool:
        """Say whether the camera was not level."""
        return bool(self.pitch_deg or self.roll_deg)

    @property
    def whole(self) -> bool:
        """Say whether nothing of the sphere is missing."""
        return self.closed and self.height_deg > 180 - 1e-6

    @property
    def closed(self) -> bool:
        """Say whether the right edge meets the left one."""
        return self.width_deg > 360 - 1e-6


def stated_sphere(xmp: str, width: int, height: int) -> Sphere | None:
    """Return what the GPano fields of an XMP packet say of a picture; None where they do not say that it is a panorama.

    Pixels of the fields are those of the camera. They are scaled where a picture was shrunk later, and count for nothing where it
    was cropped, turned or stretched.

    Args:
        xmp: the packet as text.
        width: of the picture, upright, in pixels.
        height: likewise.
    """
    kind = KIND.search(xmp)
    if kind is None or kind[1].lower() != "equirectangular" or width < SMALL:
        return None
    pose = _pose(xmp)
    names = (
        "FullPanoWidthPixels",
        "FullPanoHeightPixels",
        "CroppedAreaImageWidthPixels",
        "CroppedAreaImageHeightPixels",
    )
    full_width, full_height, own_width, own_height = (_field(xmp, name) for name in names)
    left, top = _field(xmp, "CroppedAreaLeftPixels") or 0.0, _field(xmp, "CroppedAreaTopPixels") or 0.0
    if not (full_width and full_height and own_width and own_height):
        return Sphere(**pose) if _is_whole(width, height) else None
    inside = min(left, top) >= 0 and left + own_width <= full_width + 1 and top + own_height <= full_height + 1
    if not (inside and _is_whole(full_width, full_height) and _alike(width / height, own_width / own_height)):
        return Sphere(**pose) if _is_whole(width, height) else None
    across, down = 360 / full_width, 180 / full_height
    return Sphere(
        left_deg=left * across - 180,
        width_deg=min(own_width * across, 360.0),
        top_deg=90 - top * down,
        height_deg=min(own_height * down, 180.0),
        **pose,
    )


def _pose(xmp: str) -> dict[str, Any]:
    """Return heading, pitch and roll of the camera; what cannot be is left out."""
    heading, pitch, roll = (_field(xmp, f"Pose{name}Degrees") for name in ("Heading", "Pitch", "Roll"))
    return {
        "heading_deg": None if heading is None else heading % 360,
        **_tilt(pitch or 0.0, roll or 0.0),
    }


def _tilt(pitch_deg: float, roll_deg: float) -> dict[str, float]:
    """Return pitch and roll as a `Sphere` has them; a level camera where they cannot be."""
    possible = abs(pitch_deg) <= 90 and abs(roll_deg) <= 180
    return {"pitch_deg": pitch_deg, "roll_deg": roll_deg} if possible else {}


def sphere_of_video(about: Spherical, width: int, height: int) -> Sphere | None:
    """Return what the frames of a video show of the sphere by its metadata; None of another projection.

    Args:
        about: what the video says. The whole sphere may be squeezed into another shape than 2:1.
        width: of a frame, of one eye, in pixels.
        height: likewise.
    """
    if width < SMALL or height < 2:
        return None
    across, down = 1 - about.left - about.right, 1 - about.top - about.bottom
    tilt = _tilt(about.pitch_deg, about.roll_deg)
    if about.projection == HALF:
        return Sphere(left_deg=-90, width_deg=180, **tilt)
    if about.projection != EQUIRECTANGULAR or min(across, down) <= 0:
        return None
    return Sphere(360 * about.left - 180, 360 * across, 90 - 180 * about.top, 180 * down, **tilt)


def could_be_whole(width: int, height: int) -> bool:
    """Say whether a picture has the size and the shape of a whole sphere, twice as wide as high."""
    return width >= WIDE and _is_whole(width, height)


def looks_whole(picture: Image.Image) -> bool:
    """Say whether the pixels of a picture are those of a whole sphere.

    Its left edge goes on at its right edge, which is not so of a crop of an ordinary photograph. Its first and last rows are
    each all but one point of the sphere, so nothing changes along them. A frame around a picture would do the same: the edges
    must not be plain.

    Args:
        picture: RGB, of the shape that `could_be_whole` wants.
    """
    small = picture.convert("L").resize((LOOKED_AT, LOOKED_AT // 2), Image.Resampling.BOX)
    grey = np.asarray(small, dtype=np.float32)
    return bool(_edges_join(grey) and _poles_are_points(grey))


def _edges_join(grey: NDArray[np.float32]) -> bool:
    seam = _apart(grey[:, 0], grey[:, -1])
    beside = _apart(grey[:, 1:], grey[:, :-1])
    # What columns differ in that have nothing to do with each other.
    far = np.median([_apart(grey, np.roll(grey, shift, axis=1)) for shift in range(LOOKED_AT // 8, LOOKED_AT // 2, 32)])
    plain = min(float(grey[:, 0].std()), float(grey[:, -1].std())) < 6
    return not plain and far >= 4 and seam <= 2.5 * beside + 1 and seam <= 0.5 * far


def _poles_are_points(grey: NDArray[np.float32]) -> bool:
    """Say whether little changes along the first and the last rows, which lie within a degree of a pole."""
    quarter = len(grey) // 4
    usual = _apart(grey[quarter:-quarter, 1:], grey[quarter:-quarter, :-1])
    ends = (grey[:3], grey[-3:])
    return all(
        _apart(rows[:, 1:], rows[:, :-1]) <= 0.35 * usual + 0.3 and np.ptp(rows.mean(axis=0)) < 64 for rows in ends
    )


def _apart(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.abs(a - b).mean())


def _is_whole(width: float, height: float) -> bool:
    return _alike(width / height, 2.0)


def _alike(a: float, b: float) -> bool:
    return abs(a / b - 1) <= SHAPE


def _field(xmp: str, name: str) -> float | None:
    """Return a number of GPano, written as an attribute or as an element."""
    match = re.search(FIELD.format(name, NUMBER), xmp)
    value = float(match[1]) if match else None
    return value if value is not None and math.isfinite(value) else None
