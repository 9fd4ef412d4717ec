"""Panoramas that tests make: pictures of a sphere whose colour at every direction is known."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

GPANO = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    'xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" {}/></rdf:RDF></x:xmpmeta>'
)


def colours(azimuth_deg: NDArray[np.float64], elevation_deg: NDArray[np.float64], seed: int = 0) -> NDArray[np.float64]:
    """Return (..., 3) colours, 0 to 255, of directions: waves over the unit sphere, so that nothing has a seam or a pole."""
    rng = np.random.default_rng(seed)
    azimuth, elevation = np.radians(azimuth_deg), np.radians(elevation_deg)
    level = np.cos(elevation)
    direction = np.stack([level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)], axis=-1)
    waves = [
        np.sin((direction @ (rng.normal(size=3) * f))[..., None] + rng.uniform(0, 6, 3)) for f in (2, 4, 7, 12, 15)
    ]
    return np.asarray(127.5 + 127.5 * np.sum(waves, axis=0) / len(waves))


def panorama(
    width: int = 1024, left: float = -180, across: float = 360, top: float = 90, down: float = 180, seed: int = 0
) -> Image.Image:
    """Return an equirectangular picture of a part of that sphere."""
    height = max(1, round(width * down / across))
    azimuth = left + (np.arange(width) + 0.5) / width * across
    elevation = top - (np.arange(height) + 0.5) / height * down
    return Image.fromarray(colours(*np.meshgrid(azimuth, elevation), seed).round().astype(np.uint8))


def gpano(**fields: object) -> bytes:
    """Return an XMP packet of GPano fields; ProjectionType is equirectangular unless it is given."""
    given = {"ProjectionType": "equirectangular", **fields}
    return GPANO.format(" ".join(f'GPano:{name}="{value}"' for name, value in given.items())).encode()
