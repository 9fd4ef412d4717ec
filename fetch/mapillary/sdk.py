"""The one place that imports the `mapillary` SDK: addresses of tiles and entities, and its decoder of tiles.

The SDK's own requests drop panoramas and hide errors, and importing it writes log files into site-packages and makes
loggers that print addresses with the token. So it is imported behind a guard, and no request goes through it.
"""

import importlib
import logging
import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from fetch.mapillary.config import GRAPH_URL, TILES_URL

LAYERS = {"overview": "get_overview_layer", "sequence": "get_sequence_layer", "image": "get_image_layer"}

FIELDS = (
    "id",
    "captured_at",
    "camera_type",
    "compass_angle",
    "computed_compass_angle",
    "computed_geometry",
    "creator",
    "geometry",
    "height",
    "is_pano",
    "sequence",
    "width",
)
"""What is asked about a picture, beside the address of its thumbnail."""


class _QuietLogger:
    """Stands for the SDK's logger class, which opens files beside the SDK's code and prints."""

    @staticmethod
    def setup_logger(name: str, level: int = logging.INFO) -> logging.Logger:
        """Return a logger without handlers of its own."""
        return logging.getLogger(name)


@cache
def sdk(module: str) -> Any:
    """Return a module of the SDK, imported so that it neither writes nor prints.

    Raises:
        ValueError: it is not installed.
    """
    guard = types.ModuleType("mapillary.models.logger")
    guard.Logger = _QuietLogger  # type: ignore[attr-defined]
    sys.modules.setdefault("mapillary.models.logger", guard)
    try:
        loaded = importlib.import_module(module)
    except ImportError as error:
        raise ValueError(f"the Mapillary SDK cannot be imported ({error}): pip install mapillary") from None
    client = logging.getLogger("mapillary.utils.client")
    client.handlers.clear()
    # It logs addresses at INFO and answers at DEBUG; whatever LOG_LEVEL says, nobody is to read them.
    client.setLevel(logging.CRITICAL)
    return loaded


def tile_address(layer: str, z: int, x: int, y: int, base: str = TILES_URL) -> str:
    """Return the address of a tile of one of `LAYERS`, at a base of our choice."""
    tiles = sdk("mapillary.config.api.vector_tiles").VectorTiles
    address = str(getattr(tiles, LAYERS[layer])(x=x, y=y, z=z))
    assert address.startswith(TILES_URL), f"the SDK names another service: {address}"
    return base.rstrip("/") + address[len(TILES_URL) :]


def image_address(image_id: int, base: str = GRAPH_URL) -> str:
    """Return the address of one picture's metadata, without fields."""
    entities = sdk("mapillary.config.api.entities").Entities
    address = str(entities.get_image(str(image_id), ["id"])).split("?")[0].rstrip("/")
    assert address.startswith(GRAPH_URL), f"the SDK names another service: {address}"
    return base.rstrip("/") + address[len(GRAPH_URL) :]


def decode(body: bytes, z: int, x: int, y: int, layer: str) -> list[dict[str, Any]]:
    """Return the features of a tile as GeoJSON, by the decoder that the SDK uses; slow, for single tiles."""
    tools = sdk("vt2geojson.tools")
    with _without_warnings():
        return list(tools.vt_bytes_to_geojson(b_content=body, x=x, y=y, z=z, layer=layer)["features"])


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep quiet about the old call of mapbox-vector-tile that the SDK's decoder makes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
