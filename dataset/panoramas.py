"""Panoramas cut into the views that an ordinary camera would have taken from their middle."""

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from dataset.panorama_flag import views_wanted
from dataset.perspective import VIEW_DEG, band_deg, perspective
from dataset.spheres import Sphere, could_be_whole, looks_whole, sphere_of_video, stated_sphere
from plumbing.evenly import evenly
from plumbing.images import open_rgb, upright_rgb
from plumbing.picture_kinds import open_picture
from plumbing.videos import Frame

ASKED = 5
"""Frames of a video whose pixels say whether it shows a sphere: most of them must, for clips may begin in black."""


def find_sphere(source: Path | bytes | Image.Image, panorama: str = "auto", stated: bool = False) -> Sphere | None:
    """Return what a panorama shows of the sphere; None of an ordinary picture, and of one that cannot be read.

    Of most pictures only the beginning is read.

    Args:
        source: a file, the bytes of one, or an opened picture.
        panorama: as the flag.
        stated: whether something else says that it is a panorama, such as the column of a table; then its shape suffices.
    """
    if (count := views_wanted(panorama)) == 0:
        return None
    try:
        width, height, xmp = _about(source)
        if (found := stated_sphere(xmp, width, height)) is not None:
            return found if band_deg(found) is not None else None
        if not could_be_whole(width, height):
            return None
        return Sphere() if stated or count is not None or looks_whole(_opened(source, 1024)) else None
    # What a hostile or torn picture makes a decoder raise is not a closed list; whoever reads it whole will say so.
    except Exception:
        return None


def find_sphere_of_video(frames: Sequence[Frame], panorama: str = "auto") -> Sphere | None:
    """Return what the frames of a video show of the sphere; None of an ordinary video.

    Args:
        frames: at least one.
        panorama: as the flag.
    """
    if (count := views_wanted(panorama)) == 0:
        return None
    size, about = frames[0].picture.size, frames[0].spherical
    if about is not None:
        found = sphere_of_video(about, *size)
        return found if found is not None and band_deg(found) is not None else None
    if not could_be_whole(*size):
        return None
    asked = evenly(list(frames), ASKED)
    whole = count is not None or 2 * sum(looks_whole(frame.picture) for frame in asked) > len(asked)
    return Sphere() if whole else None


def _about(source: Path | bytes | Image.Image) -> tuple[int, int, str]:
    """Return width and height, upright, and the XMP packet of a picture, without decoding it."""
    if isinstance(source, Image.Image):
        return _about_opened(source)
    with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as file, open_picture(file, "it") as it:
        return _about_opened(it)


def _about_opened(picture: Image.Image) -> tuple[int, int, str]:
    xmp = _xmp(picture)
    # A sphere is never stored on its side: what EXIF turns is another kind of picture. Few pictures are worth that question.
    if "GPano" in xmp or could_be_whole(*picture.size):
        turned = Image.Image.getexif(picture).get(0x0112, 1) != 1
        return (1, 1, "") if turned else (*picture.size, xmp)
    return (*picture.size, "")


def _xmp(picture: Image.Image) -> str:
    packet = picture.info.get("xmp") or picture.info.get("XML:com.adobe.xmp") or b""
    return packet.decode("utf-8", "replace") if isinstance(packet, bytes) else str(packet)


def _opened(source: Path | bytes | Image.Image, max_side: int) -> Image.Image:
    if isinstance(source, Image.Image):
        return upright_rgb(source.copy(), max_side)
    return open_rgb(source, max_side, draft_side=max_side)


def view_yaws(sphere: Sphere, panorama: str = "auto") -> list[float]:
    """Return the directions of views, clockwise from the middle of the sphere in degrees, in [-180, 180).

    Views of a whole circle begin straight ahead; those of a part of one are spread evenly over it, each within it.
    """
    count = views_wanted(panorama)
    if sphere.closed:
        return [_wrapped(k * 360 / (count or 4)) for k in range(count or 4)]
    across = min(VIEW_DEG, sphere.width_deg)
    count = count or math.ceil(sphere.width_deg / VIEW_DEG - 1e-6)
    first, last = sphere.left_deg + across / 2, sphere.left_deg + sphere.width_deg - across / 2
    return [_wrapped(float(yaw)) for yaw in (np.linspace(first, last, count) if count > 1 else [(first + last) / 2])]


def _wrapped(yaw_deg: float) -> float:
    return (yaw_deg + 180) % 360 - 180


def cut_views(
    source: Path | bytes | Image.Image, sphere: Sphere, yaws_deg: list[float], side: int
) -> list[Image.Image]:
    """Return the views of a panorama in some directions.

    Args:
        source: a file, the bytes of one, or an opened picture.
        sphere: what it shows.
        yaws_deg: directions, as of `view_yaws`.
        side: pixels of a view of 90 degrees; less where the panorama has no more detail to give.

    Raises:
        ValueError: it cannot be decoded.
    """
    # So wide a panorama has as many pixels a degree as the middle of a view; more would be passed over, not seen.
    share = sphere.width_deg / 360
    width = max(2, round(math.pi * side * share))
    whole = _opened(source, max(width, round(width * sphere.height_deg / sphere.width_deg)))
    side = min(side, max(16, round(whole.width / share / math.pi)))
    return [perspective(whole, sphere, yaw_deg, (side, side)) for yaw_deg in yaws_deg]
