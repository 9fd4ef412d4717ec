"""The one place that imports the `mapillary` SDK: addresses of tiles and entities, and its decoder of tiles.

The SDK's own requests drop panoramas and hide errors, and importing it writes log files into site-packages and makes
loggers that print addresses with the token. So it is imported behind a guard, and used only with a session of ours.
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
from urllib.parse import parse_qsl

import requests

from fetch.mapillary.answers import Answer
from fetch.mapillary.config import GRAPH_URL, TILES_URL
from fetch.mapillary.transport import Transport

LAYERS = {"overview": "get_overview_layer", "sequence": "get_sequence_layer", "image": "get_image_layer"}

EXTRA_FIELDS = ("is_pano",)
"""Fields that the graph knows and the SDK's list lacks."""

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


def known_fields() -> set[str]:
    """Return the fields of a picture that may be asked for."""
    return {*sdk("mapillary.config.api.entities").Entities.get_image_fields(), *EXTRA_FIELDS}


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


class SdkSession(requests.Session):
    """A session to hand to the SDK's clients: no token in addresses, our pace, tries and bases."""

    def __init__(self, transport: Transport, tiles_url: str, graph_url: str) -> None:
        super().__init__()
        self._transport = transport
        self._bases = {TILES_URL: ("tiles", tiles_url), GRAPH_URL: ("graph", graph_url)}

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send what the SDK has prepared, without what it put into the address."""
        address, _, text = (request.url or "").partition("?")
        query = {name: value for name, value in parse_qsl(text) if name != "access_token"}
        official = next(base for base in self._bases if address.startswith(base))
        surface, base = self._bases[official]
        answer: Answer = self._transport.fetch(
            surface, base.rstrip("/") + address[len(official) :], lambda answer: answer, query
        )
        response = requests.Response()
        response.status_code, response._content, response.url = answer.status, answer.body, address
        response.request = request
        response.raw = types.SimpleNamespace(version=11)
        return response


def fetch_layer(
    transport: Transport, layer: str, zoom: int, latlon_deg: tuple[float, float], tiles_url: str, graph_url: str
) -> list[dict[str, Any]]:
    """Return the features of the tile at a place by the SDK's own call, with our session inside."""
    adapter = sdk("mapillary.models.api.vector_tiles").VectorTilesAdapter()
    adapter.client.session.close()
    adapter.client.session = SdkSession(transport, tiles_url, graph_url)
    lat_deg, lon_deg = latlon_deg
    with _without_warnings():
        return list(adapter.fetch_layer(layer=layer, zoom=zoom, longitude=lon_deg, latitude=lat_deg)["features"])
