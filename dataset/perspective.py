"""What a level camera in the middle of a panorama sees."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import map_coordinates

from dataset.spheres import Sphere

VIEW_DEG = 90.0
"""Field of view of a view, across and down: four of them are a whole circle."""
LOWEST_DEG = 15.0
"""A panorama that shows less around the horizon is left as it is."""

Degrees = NDArray[np.float64]


def band_deg(sphere: Sphere) -> tuple[float, float] | None:
    """Return the highest and the lowest elevation of the views of a sphere; None where too little is around the horizon."""
    top, bottom = (
        min(sphere.top_deg, VIEW_DEG / 2),
        max(sphere.top_deg - sphere.height_deg, -VIEW_DEG / 2),
    )
    return (top, bottom) if top - bottom >= LOWEST_DEG and sphere.width_deg >= LOWEST_DEG else None


def perspective(panorama: Image.Image, sphere: Sphere, yaw_deg: float, size: tuple[int, int]) -> Image.Image:
    """Return what a level camera in the middle of a sphere sees (gnomonic projection), without rows that the sphere lacks.

    Of a part of a sphere that was tilted, the view keeps the rows and columns that lie wholly within it. Where that is next to
    nothing, the tilt is not undone.

    Args:
        panorama: RGB.
        sphere: what it shows.
        yaw_deg: where the camera looks, clockwise from the middle of the sphere.
        size: width and height of a view of `VIEW_DEG` across, in pixels.
    """
    if not sphere.tilted:
        return _sampled(panorama, sphere, *_directions(yaw_deg, *_rays(sphere, size)))
    azimuth_deg, elevation_deg = untilted(sphere, *_directions(yaw_deg, *_rays(Sphere(), size)))
    if not sphere.whole:
        rows, columns = within(_shown(sphere, azimuth_deg, elevation_deg))
        least = LOWEST_DEG / VIEW_DEG * np.array(size)
        if rows.stop - rows.start < least[1] or columns.stop - columns.start < least[0]:
            return _sampled(panorama, sphere, *_directions(yaw_deg, *_rays(sphere, size)))
        azimuth_deg, elevation_deg = azimuth_deg[rows, columns], elevation_deg[rows, columns]
    return _sampled(panorama, sphere, azimuth_deg, elevation_deg)


def _rays(sphere: Sphere, size: tuple[int, int]) -> tuple[Degrees, Degrees, float]:
    """Return how far right and down each pixel of a view lies from its middle, where the sphere has it, and the focal length."""
    width, height = size
    focal = width / 2 / math.tan(math.radians(VIEW_DEG / 2))
    across = min(VIEW_DEG, sphere.width_deg)
    columns = np.arange(width) - (width - 1) / 2
    columns = columns[np.abs(columns) <= focal * math.tan(math.radians(across / 2))]
    rows = np.arange(height) - (height - 1) / 2
    top, bottom = band_deg(sphere) or (VIEW_DEG / 2, -VIEW_DEG / 2)
    rows = rows[(rows >= -focal * math.tan(math.radians(top))) & (rows <= focal * math.tan(math.radians(-bottom)))]
    right, down = np.meshgrid(columns, rows)
    return right, down, focal


def _directions(yaw_deg: float, right: Degrees, down: Degrees, focal: float) -> tuple[Degrees, Degrees]:
    """Return azimuth and elevation of rays of a level camera, in degrees."""
    return np.degrees(np.arctan2(right, focal)) + yaw_deg, np.degrees(np.arctan2(-down, np.hypot(right, focal)))


def untilted(sphere: Sphere, azimuth_deg: Degrees, elevation_deg: Degrees) -> tuple[Degrees, Degrees]:
    """Return where in its picture a tilted sphere has what lies in level directions: azimuth and elevation there, in degrees."""
    azimuth, elevation = np.radians(azimuth_deg), np.radians(elevation_deg)
    pitch, roll = math.radians(sphere.pitch_deg), math.radians(sphere.roll_deg)
    ahead, right, up = np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)
    # First along the axes of a camera that is only pitched, then along those of one that is rolled too.
    forward, upward = ahead * math.cos(pitch) + up * math.sin(pitch), up * math.cos(pitch) - ahead * math.sin(pitch)
    sideways = right * math.cos(roll) - upward * math.sin(roll)
    upward = upward * math.cos(roll) + right * math.sin(roll)
    return np.degrees(np.arctan2(sideways, forward)), np.degrees(np.arctan2(upward, np.hypot(forward, sideways)))


def _shown(sphere: Sphere, azimuth_deg: Degrees, elevation_deg: Degrees) -> NDArray[np.bool_]:
    """Say which directions a part of a sphere shows."""
    across = (azimuth_deg - sphere.left_deg) % 360 <= sphere.width_deg
    return across & (elevation_deg <= sphere.top_deg) & (elevation_deg >= sphere.top_deg - sphere.height_deg)


def within(shown: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Return rows and columns of a view of which all is shown.

    The edge nearest to what is not shown is left out, again and again; of several, the one that lacks most.
    """
    top, bottom, left, right = 0, shown.shape[0], 0, shown.shape[1]
    while not (rest := shown[top:bottom, left:right]).all():
        rows, columns = np.flatnonzero(~rest.all(axis=1)), np.flatnonzero(~rest.all(axis=0))
        away = (rows[0], bottom - top - 1 - rows[-1], columns[0], right - left - 1 - columns[-1])
        full = (float(edge.mean()) for edge in (rest[0], rest[-1], rest[:, 0], rest[:, -1]))
        worst = min(range(4), key=list(zip(away, full, strict=True)).__getitem__)
        top, bottom = top + (worst == 0), bottom - (worst == 1)
        left, right = left + (worst == 2), right - (worst == 3)
    return slice(top, bottom), slice(left, right)


def _sampled(panorama: Image.Image, sphere: Sphere, azimuth_deg: Degrees, elevation_deg: Degrees) -> Image.Image:
    """Return the colours of a panorama in directions of its own, in degrees."""
    beyond_left = (azimuth_deg - sphere.left_deg) % 360
    if not sphere.closed:
        # Half a pixel left of the left edge is not the right edge.
        beyond_left = np.where(beyond_left > (sphere.width_deg + 360) / 2, 0, beyond_left)
    pixels = np.asarray(panorama)
    column = beyond_left / sphere.width_deg * panorama.width - 0.5
    row = (sphere.top_deg - elevation_deg) / sphere.height_deg * panorama.height - 0.5
    if sphere.closed:
        pixels = np.concatenate([pixels[:, -1:], pixels, pixels[:, :1]], axis=1)
        column = column + 1
    bands = [
        map_coordinates(pixels[..., band], [row, column], output=np.float32, order=1, mode="nearest")
        for band in range(3)
    ]
    return Image.fromarray(np.stack(bands, axis=-1).round().clip(0, 255).astype(np.uint8))
