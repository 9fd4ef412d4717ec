"""Stage `probe`: ask the live service what could not be established without a token, in about sixty requests."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from fetch.client import Answer, Exhausted, Retry
from fetch.mapillary.answers import check_status, error_of, read_json
from fetch.mapillary.config import MapillaryConfig
from fetch.mapillary.errors import Expired, Gone, Stop
from fetch.mapillary.facts import Facts
from fetch.mapillary.sdk import FIELDS, decode, image_address, tile_address
from fetch.mapillary.tiles import OVERVIEW_ZOOM, Points, TileId, overview_pixels, read_points, tile_xy
from fetch.mapillary.transport import Transport, scrub
from plumbing.files import write_text
from plumbing.text import counted
from plumbing.version import now_utc

FRANCE_DEG = (45.1, 5.6)
OCEAN_Z5, OCEAN_Z14 = (5, 4, 20), (14, 2400, 9000)
DENSE_Z8, EMPTY_Z8 = (8, 129, 88), (8, 40, 150)
PARIS = (48.8566, 2.3522)
NO_TOKEN = "MLY|0|00000000000000000000000000000000"
REPORT = "probe.txt"


@dataclass
class Probe:
    """What is asked, and what earlier questions have found out.

    Attributes:
        images: ids of pictures, from the first tile.
        objects: metadata of some of them.
    """

    config: MapillaryConfig
    transport: Transport
    stranger: Transport
    points: Points | None = None
    images: list[int] = field(default_factory=list)
    objects: list[dict[str, Any]] = field(default_factory=list)

    @property
    def overview(self) -> TileId:
        """The survey's tile that is looked at: of the middle of --bbox, or France."""
        south, west, north, east = self.config.bbox or (*FRANCE_DEG, *FRANCE_DEG)
        x, y = tile_xy(((south + north) / 2, (west + east) / 2), OVERVIEW_ZOOM).tolist()
        return OVERVIEW_ZOOM, x, y

    def tile(self, layer: str, tile: TileId) -> Answer:
        """Ask for a tile."""
        return self.transport.ask("tiles", tile_address(layer, *tile, base=self.config.tiles_url))

    def graph(self, path: str, **params: str) -> Answer:
        """Ask the graph."""
        return self.transport.ask("graph", f"{self.config.graph_url.rstrip('/')}/{path}", params)


def probe(config: MapillaryConfig, token: str) -> None:
    """Ask everything in turn, print what came, and keep it in probe.txt; one question that fails stops no other.

    Raises:
        Stop: the token is not accepted.
    """
    asker = Probe(config, Transport(config, token), Transport(config, NO_TOKEN))
    lines = [f"Mapillary probed at {now_utc()}"]
    for number, (words, question) in enumerate(QUESTIONS, start=1):
        print(heading := f"{number}. {words}", flush=True)
        lines.append(heading)
        for line in _answers(question, asker):
            print(f"   {line}", flush=True)
            lines.append(f"   {line}")
    total = sum((asker.transport.requests + asker.stranger.requests).values())
    lines.append(counted(total, "request"))
    print(lines[-1])
    write_text(config.out / REPORT, "\n".join(lines) + "\n")
    asker.transport.close()
    asker.stranger.close()


def _answers(question: Callable[[Probe], Iterator[str]], asker: Probe) -> Iterator[str]:
    try:
        for line in question(asker):
            yield scrub(line)
    except Stop:
        raise
    except (IndexError, AssertionError):
        yield "not asked: the first tile names no picture"
    except (Retry, Exhausted, Gone, Expired, ValueError, KeyError) as error:
        yield scrub(f"no answer: {type(error).__name__}: {error}")


def _said(answer: Answer) -> str:
    """Return status, size and error of an answer."""
    error = error_of(answer.body)
    words = f" code {error.get('code')}/{error.get('error_subcode')} {error.get('message')!r}" if error else ""
    return f"HTTP {answer.status}, {counted(len(answer.body), 'byte')}, {answer.headers.get('content-type', 'no type')}{words}"


def _overview(asker: Probe) -> Iterator[str]:
    answer = asker.tile("overview", asker.overview)
    yield _said(answer)
    # Here, and only here, a refusal ends it all.
    check_status("tiles", answer, 0)
    asker.points = points = read_points(answer.body, "overview")
    asker.images = points.image[:: max(1, len(points.image) // 250)].tolist()
    yield f"{counted(len(points.image), 'point')} (at most 65,536 are expected)"
    remainder = np.bincount(np.round(points.xy * 4096).astype(int).ravel() % 16, minlength=16)
    yield f"coordinates modulo 16, how many of each: {remainder.tolist()} (all 7 are expected)"
    same = len(decode(answer.body, *asker.overview, "overview")) == len(points.image)
    yield f"the SDK's decoder finds {'as many' if same else 'ANOTHER NUMBER'}"


def _in_pixel(asker: Probe) -> Iterator[str]:
    assert asker.points is not None
    assert asker.images
    pixel = overview_pixels(asker.points, *asker.overview[1:])
    where = {int(image): xy for image, xy in zip(asker.points.image, pixel.tolist(), strict=True)}
    answer = asker.graph("images", image_ids=",".join(map(str, asker.images[:50])), fields=",".join(FIELDS))
    yield _said(answer)
    asker.objects = read_json(answer)["data"]
    facts = [f for said in asker.objects if (f := Facts.from_graph(said)) is not None]
    inside = sum(tile_xy((f.lat, f.lon), 13).tolist() == where[f.image] for f in facts)
    yield f"{inside} of {counted(len(facts), 'picture')} in the pixel of zoom 13 that the tile says"
    present = {name: sum(name in said for said in asker.objects) for name in FIELDS}
    yield f"fields present: {present}"


def _empty(asker: Probe) -> Iterator[str]:
    yield f"zoom 5 on the ocean: {_said(asker.tile('overview', OCEAN_Z5))}"
    yield f"zoom 14 on the ocean: {_said(asker.tile('image', OCEAN_Z14))}"


def _header(asker: Probe) -> Iterator[str]:
    address = tile_address("overview", *asker.overview, base=asker.config.tiles_url)
    for url in (address, address.rstrip("/")):
        yield f"{'with' if url.endswith('/') else 'without'} a slash: {_said(asker.transport.ask('tiles', url))}"


def _batches(asker: Probe) -> Iterator[str]:
    assert asker.images
    for size in (50, 100, 200):
        answer = asker.graph("images", image_ids=",".join(map(str, asker.images[:size])), fields="id")
        yield f"{size} ids: {_said(answer)}"
    ids = [str(image) for image in asker.images[:3]]
    answer = asker.graph("images", image_ids=",".join([ids[0], "1", ids[1], ids[2]]), fields="id")
    came = [said["id"] for said in read_json(answer).get("data", [])]
    yield f"one of four unknown: {len(came)} came, {'in the order asked' if came == ids else 'in another order'}"
    yield f"unknown alone: {_said(asker.transport.ask('graph', image_address(1, asker.config.graph_url)))}"


def _thumbnails(asker: Probe) -> Iterator[str]:
    sizes = []
    for image in asker.images[:10]:
        said = read_json(asker.graph(str(image), fields="id,thumb_1024_url,thumb_2048_url"))
        if url := str(said.get("thumb_1024_url", "")):
            expires = parse_qs(urlsplit(url).query).get("oe", [""])[0]
            hours = f"{(int(expires, 16) - time.time()) / 3600:.1f} h" if expires else "no oe="
            answer = asker.transport.ask("images", url)
            sizes.append(len(answer.body))
            yield f"at {urlsplit(url).hostname}, valid for {hours}: {_said(answer)} without the token"
    if sizes:
        yield f"mean of {counted(len(sizes), 'picture')}: {np.mean(sizes):,.0f} bytes"


def _bad_token(asker: Probe) -> Iterator[str]:
    config = asker.config
    yield f"graph: {_said(asker.stranger.ask('graph', image_address(asker.images[0], config.graph_url)))}"
    yield f"tiles: {_said(asker.stranger.ask('tiles', tile_address('overview', *asker.overview, base=config.tiles_url)))}"


def _bbox(asker: Probe) -> Iterator[str]:
    lat, lon = PARIS
    for side in (0.0099, 0.099):
        box = f"{lon},{lat},{lon + side:.4f},{lat + side:.4f}"
        answers = [asker.graph("images", bbox=box, fields="id", limit="2000") for _ in range(5)]
        found = [len(read_json(a).get("data", [])) if a.status == 200 else _said(a) for a in answers]
        yield f"{side} degrees square, five times the same: {found}"


def _radius(asker: Probe) -> Iterator[str]:
    for metres in (50, 51, 100):
        answer = asker.graph("images", lat=str(PARIS[0]), lng=str(PARIS[1]), radius=str(metres), fields="id")
        yield f"{metres} m: {_said(answer)}"


def _ids(asker: Probe) -> Iterator[str]:
    assert asker.images
    yield _said(asker.graph("", ids=",".join(map(str, asker.images[:3])), fields="id"))


def _limits(asker: Probe) -> Iterator[str]:
    answer = asker.graph("images", image_ids=str(asker.images[0]), fields="id")
    names = [n for n in answer.headers if "limit" in n or "usage" in n or n.startswith("retry")]
    yield "; ".join(f"{name}: {answer.headers[name]}" for name in names) or "no header tells of limits"


def _sequences(asker: Probe) -> Iterator[str]:
    yield f"dense: {_said(asker.tile('sequence', DENSE_Z8))}"
    yield f"empty: {_said(asker.tile('sequence', EMPTY_Z8))}"


def _no_field(asker: Probe) -> Iterator[str]:
    yield _said(asker.graph(str(asker.images[0]), fields="id,no_such_field"))


QUESTIONS: tuple[tuple[str, Callable[[Probe], Iterator[str]]], ...] = (
    ("Overview tile (of the middle of --bbox, or of France)", _overview),
    ("Do pictures lie in the pixel that names them?", _in_pixel),
    ("Empty tiles", _empty),
    ("Tiles with the token in the header, with and without a slash at the end", _header),
    ("Metadata of 50, 100, 200 pictures at once; unknown ids", _batches),
    ("Addresses of thumbnails, how long they live, and their size", _thumbnails),
    ("A token that is none", _bad_token),
    ("Search in a box", _bbox),
    ("Search around a point", _radius),
    ("Several ids at the root", _ids),
    ("Headers that tell of limits", _limits),
    ("Sequence tiles of zoom 8", _sequences),
    ("A field that does not exist", _no_field),
)
