"""A Mapillary of our own on the loopback interface, whose world is the demo planet.

Real vector tiles, real JPEGs, signed addresses that expire, errors as the service words them, faults by plan; it logs
every request and counts how many were in flight at once. `python -m tests.mapillary_stub` serves until it is killed.
"""

import argparse
import hashlib
import hmac
import io
import json
import random
import select
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import mapbox_vector_tile
import numpy as np
from PIL import Image, ImageFilter

from fetch.demo.config import DemoConfig
from fetch.demo.dataset import make_planet, photograph
from geocells import grid

TOKEN = "MLY|4711|0123456789abcdef0123456789abcdef"
FIRST_ID = 100_000_000_000_000
FIELDS = {
    *("id", "captured_at", "camera_type", "compass_angle", "computed_compass_angle", "computed_geometry", "creator"),
    *("geometry", "height", "width", "is_pano", "sequence", "thumb_256_url", "thumb_1024_url", "thumb_2048_url"),
    *("make", "model", "altitude", "quality_score", "exif_orientation"),
}
EVERYWHERE = ("500", "429", "429-after", "drop", "truncate", "html", "stall")
OF_IMAGES = ("expired", "corrupt")
HTML = b"<!DOCTYPE html><html><body>Sorry, something went wrong.</body></html>"


@dataclass(eq=False)
class World:
    """The pictures of a planet as Mapillary would have them; arrays in order of ids."""

    seed: int = 0
    images: int = 1000
    size: int = 96
    gone_share: float = 0.0
    pano_share: float = 0.02
    doubtful_share: float = 0.01
    bbox: tuple | None = None
    pictures: Path | None = None
    flawed: bool = True

    def __post_init__(self):
        self.planet = make_planet(self.seed, self.images)
        if not self.flawed:
            self.planet.flaw[:] = ""
        places = self.planet.places
        latlon = np.round(places.latlon_deg, 7)
        rows = np.arange(self.images)
        if self.bbox:
            south, west, north, east = self.bbox
            rows = np.flatnonzero(
                (latlon[:, 0] >= south) & (latlon[:, 0] < north) & (latlon[:, 1] >= west) & (latlon[:, 1] < east)
            )
        self.row = rows
        self.id = FIRST_ID + rows * 7919
        self.latlon = latlon[rows]
        self.sequence = [f"seq{self.seed}x{number:06d}" for number in places.sequence[rows].tolist()]
        self.creator = places.creator[rows]
        self.captured = places.captured_at_s[rows] * 1000
        self.heading = places.heading_deg[rows]
        rng = np.random.default_rng([self.seed, 99])
        draw = rng.random((3, len(rows)))
        self.gone = draw[0] < self.gone_share
        self.pano = draw[1] < self.pano_share
        self.doubtful = draw[2] < self.doubtful_share
        self.config = DemoConfig(out=Path("unused"), images=self.images, size=self.size, seed=self.seed)
        self.at = {int(image): k for k, image in enumerate(self.id)}
        lat, lon = np.radians(self.latlon[:, 0]), self.latlon[:, 1]
        self.xy = np.stack([(lon + 180) / 360, 0.5 - np.arctanh(np.sin(lat)) / (2 * np.pi)], axis=-1)
        self._drawn = lru_cache(20_000)(self._draw)

    def cell(self, k):
        """Return the L8 cell in which a picture truly lies."""
        return int(grid.encode(self.latlon[k], 8))

    def jpeg(self, k):
        """Return the thumbnail of a picture."""
        return self._drawn(int(k))

    def _draw(self, k):
        kept = self.pictures / f"{self.seed}-{self.images}-{self.size}-{self.row[k]}.jpg" if self.pictures else None
        if kept and kept.is_file():
            return kept.read_bytes()
        picture = photograph(self.planet, self.config, int(self.row[k]))
        # Drawn small and enlarged, a picture would be blurred; sharpening makes it as crisp as a street is.
        picture = picture.filter(ImageFilter.UnsharpMask(2, 150, 0)) if self.size > 96 else picture
        if self.pano[k]:
            picture = picture.resize((2 * self.size, self.size), Image.Resampling.BICUBIC)
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=88)
        if kept:
            kept.write_bytes(file.getvalue())
        return file.getvalue()

    @lru_cache(4096)  # noqa: B019
    def tile(self, z, x, y):
        """Return a tile as the service encodes it; empty where there is nothing."""
        part = self.xy * (1 << z) - [x, y]
        rows = np.flatnonzero(np.all((part >= 0) & (part < 1), axis=-1))
        if not len(rows):
            return b""
        if z <= 5:
            return _encoded("overview", self._overview(rows, part))
        layers = [_layer("sequence", self._lines(rows, part))]
        if z == 14:
            layers.append(_layer("image", self._points(rows, np.floor(part[rows] * 4096))))
        return mapbox_vector_tile.encode(layers, default_options={"y_coord_down": True, "extents": 4096})

    def _overview(self, rows, part):
        """One picture, the latest, for each pixel of a grid of 256."""
        pixel = np.floor(part[rows] * 256).astype(int)
        order = np.lexsort((self.id[rows], -self.captured[rows], pixel[:, 1], pixel[:, 0]))
        first = np.ones(len(rows), dtype=bool)
        first[1:] = np.any(np.diff(pixel[order], axis=0), axis=1)
        chosen = order[first]
        features = self._points(rows[chosen], pixel[chosen] * 16 + 7)
        for feature in features:
            del feature["properties"]["compass_angle"]
        return features

    def _points(self, rows, at):
        return [
            {
                "geometry": f"POINT({int(px)} {int(py)})",
                "properties": {
                    "id": int(self.id[k]),
                    "sequence_id": self.sequence[k],
                    "captured_at": int(self.captured[k]),
                    "is_pano": bool(self.pano[k]),
                    "compass_angle": int(self.heading[k]),
                },
            }
            for k, (px, py) in zip(rows.tolist(), np.asarray(at).tolist(), strict=True)
        ]

    def _lines(self, rows, part):
        features = []
        names = np.array([self.sequence[k] for k in rows])
        for name in np.unique(names):
            members = rows[names == name]
            if len(members) > 1:
                points = ", ".join(f"{int(a)} {int(b)}" for a, b in np.floor(part[members] * 4096))
                properties = {"id": str(name), "image_id": int(self.id[members[0]]), "is_pano": False}
                properties["captured_at"] = int(self.captured[members[0]])
                features.append({"geometry": f"LINESTRING({points})", "properties": properties})
        return features

    def entity(self, k, fields, url):
        """Return the metadata of a picture, only what was asked for."""
        lat, lon = self.latlon[k].tolist()
        away = 0.005 if self.doubtful[k] else 0.0001
        width, height = (4000, 2000) if self.pano[k] else (2048, 1536)
        said = {
            "id": str(self.id[k]),
            "captured_at": int(self.captured[k]),
            "camera_type": "spherical" if self.pano[k] else "perspective",
            "compass_angle": float(self.heading[k]),
            "computed_geometry": {"type": "Point", "coordinates": [lon, lat]},
            # The camera's own position is off; the computed one is the truth.
            "geometry": {"type": "Point", "coordinates": [lon, lat + away]},
            "creator": {"username": str(self.creator[k]), "id": str(1000 + k % 97)},
            "height": height,
            "width": width,
            "is_pano": bool(self.pano[k]),
            "sequence": self.sequence[k],
            "altitude": 4294967281,
        }
        if k % 5 == 0:
            # One that was never computed.
            del said["computed_geometry"]
            said["geometry"]["coordinates"] = [lon, lat]
        for size in (256, 1024, 2048):
            said[f"thumb_{size}_url"] = url(k, size)
        return {name: said[name] for name in ("id", *fields) if name in said}


def _layer(name, features):
    return {"name": name, "features": features}


def _encoded(name, features):
    return mapbox_vector_tile.encode([_layer(name, features)], default_options={"y_coord_down": True, "extents": 4096})


@dataclass
class Stub:
    """The server; `with Stub(world) as stub:` serves, `stub.url` is its address."""

    world: World
    fault_share: float = 0.0
    faults: tuple = (*EVERYWHERE, *OF_IMAGES)
    retry_after: str = "0.05"
    stall_s: float = 1.0
    ttl_s: float = 300.0
    token: str = TOKEN
    refuse: dict | None = None
    latency_s: float = 0.0
    port: int = 0
    log: list = field(default_factory=list)
    wrong: list = field(default_factory=list)
    faulted: Counter = field(default_factory=Counter)
    in_flight: int = 0
    max_in_flight: int = 0
    scripted: list = field(default_factory=list)
    keep_log: bool = True

    def __enter__(self):
        self._lock = threading.Lock()
        self._random = random.Random(1)
        stub = self

        class Handler(_Handler):
            server_stub = stub

        self.server = _Server(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        self.server.request_queue_size = 256
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, daemon=True, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def count(self, surface=None):
        """Return how many requests came."""
        return sum(1 for each, _ in self.log if surface in (None, each))

    def fault(self, surface):
        """Return what goes wrong with a request, empty for nothing; scripted faults come first."""
        with self._lock:
            if self.scripted:
                return self.scripted.pop(0)
            kinds = self.faults if surface == "images" else [f for f in self.faults if f not in OF_IMAGES]
            number = self._random.random() / self.fault_share if self.fault_share else len(kinds)
            kind = kinds[int(number)] if number < len(kinds) else ""
            if kind:
                self.faulted[kind] += 1
            return kind

    def thumbnail(self, k, size):
        """Return a signed address of a picture."""
        expires = f"{int(time.time() + self.ttl_s):x}"
        return f"{self.url}/thumb/{self.world.id[k]}/{size}.jpg?oe={expires}&oh={self.sign(k, size, expires)}"

    def sign(self, k, size, expires):
        text = f"{self.world.id[k]} {size} {expires}".encode()
        return hmac.new(b"stub", text, hashlib.sha256).hexdigest()[:16]


class _Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_stub: Stub

    def setup(self):
        super().setup()
        self.connection.setsockopt(6, 1, 1)  # TCP_NODELAY

    def log_message(self, *_):
        pass

    def do_GET(self):
        stub = self.server_stub
        parts = urlsplit(self.path)
        surface = "images" if parts.path.startswith("/thumb/") else "tiles" if "/vtp/" in parts.path else "graph"
        self._in_flight = True
        with stub._lock:
            stub.in_flight += 1
            stub.max_in_flight = max(stub.max_in_flight, stub.in_flight)
            if stub.keep_log:
                stub.log.append((surface, self.path))
        try:
            self._answer(surface, parts, stub.fault(surface))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            self._land()

    def _land(self):
        """Count a request as answered, before its last byte goes out: the next may come before this thread goes on."""
        if self._in_flight:
            self._in_flight = False
            with self.server_stub._lock:
                self.server_stub.in_flight -= 1

    def _answer(self, surface, parts, fault):
        stub = self.server_stub
        if stub.latency_s:
            time.sleep(stub.latency_s)
        if fault == "stall" and select.select([self.connection], [], [], stub.stall_s)[0]:
            # Whoever asked has gone, so nothing is in flight any more.
            self.close_connection = True
            return
        if fault == "drop":
            self.close_connection = True
            return
        if "access_token" in parts.query or (surface == "images" and self.headers.get("Authorization")):
            stub.wrong.append(f"token where it does not belong: {surface}")
        status, body, kind = self._normal(surface, parts)
        extra = ""
        if fault == "500":
            status, body = 500, _error("Please reduce the amount of data you're asking for", 1)
        elif fault in ("429", "429-after"):
            status, body = 429, _error("Application request limit reached", 4)
            extra = f"Retry-After: {stub.retry_after}\r\n" if fault == "429-after" else ""
        elif fault == "html":
            status, body, kind = 200, HTML, "text/html"
        elif fault == "expired":
            status, body, kind = 403, b"URL signature expired", "text/plain"
        elif fault == "corrupt":
            body = body[: len(body) // 2] + bytes(64) + b"\x00" * (len(body) // 4)
        self._send(status, body, kind, extra, cut=fault == "truncate")

    def _send(self, status, body, kind, extra="", cut=False):
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
        self._land()
        self.connection.sendall(head.encode() + (body[: len(body) // 2] if cut else body))
        if cut:
            self.close_connection = True

    def _normal(self, surface, parts):
        stub, world = self.server_stub, self.server_stub.world
        if surface == "images":
            return self._thumbnail(parts)
        if stub.refuse:
            return 400, json.dumps(stub.refuse).encode(), "application/json"
        if self.headers.get("Authorization") != f"OAuth {stub.token}":
            return 401, _error("Error validating application", 190, kind="OAuthException"), "application/json"
        if surface == "tiles":
            z, x, y = map(int, parts.path.strip("/").split("/")[-3:])
            return 200, world.tile(z, x, y), "application/x-protobuf"
        return self._graph(parts)

    def _thumbnail(self, parts):
        stub = self.server_stub
        _, _, image, name = parts.path.split("/")
        query = parse_qs(parts.query)
        k, size, expires = stub.world.at[int(image)], int(name.removesuffix(".jpg")), query["oe"][0]
        if query["oh"][0] != stub.sign(k, size, expires):
            return 403, b"URL signature mismatch", "text/plain"
        if int(expires, 16) < time.time():
            return 403, b"URL signature expired", "text/plain"
        return 200, stub.world.jpeg(k), "image/jpeg"

    def _graph(self, parts):
        stub, world = self.server_stub, self.server_stub.world
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        fields = query.get("fields", "id").split(",")
        unknown = [name for name in fields if name not in FIELDS]
        if unknown:
            return 400, _error(f"Tried accessing nonexisting field ({unknown[0]})", 100), "application/json"
        name = parts.path.strip("/")
        if name == "images" and "image_ids" in query:
            ids = query["image_ids"].split(",")
            if len(ids) > 50:
                return 400, _error("Too many ids", 100), "application/json"
            found = [world.at.get(int(i), -1) for i in ids]
            return _ok(
                {"data": [world.entity(k, fields, stub.thumbnail) for k in found if k >= 0 and not world.gone[k]]}
            )
        if name == "images":
            return self._search(query, fields)
        if name == "image_ids":
            rows = [k for k, s in enumerate(world.sequence) if s == query.get("sequence_id") and not world.gone[k]]
            return _ok({"data": [{"id": str(world.id[k])} for k in rows]})
        k = world.at.get(int(name), -1) if name.isdigit() else -1
        if k < 0 or world.gone[k]:
            message = f"Unsupported get request. Object with ID '{name}' does not exist"
            return 400, _error(message, 100, 33, "MLYApiException"), "application/json"
        return _ok(world.entity(k, fields, stub.thumbnail))

    def _search(self, query, fields):
        stub, world = self.server_stub, self.server_stub.world
        lat, lon = world.latlon.T
        if "bbox" in query:
            west, south, east, north = map(float, query["bbox"].split(","))
            if (east - west) * (north - south) >= 0.01:
                return 400, _error("bbox area must be smaller than 0.01 degrees square", 100), "application/json"
            near = (lon > west) & (lon < east) & (lat > south) & (lat < north)
        elif not {"lat", "lng"} <= set(query):
            return 400, _error("Invalid parameter", 100), "application/json"
        else:
            metres = float(query.get("radius", 25))
            if metres > 50:
                return 400, _error("radius too large", 100), "application/json"
            away = np.hypot(lat - float(query["lat"]), (lon - float(query["lng"])) * np.cos(np.radians(lat)))
            near = away * 111_195 < metres
        rows = np.flatnonzero(near & ~world.gone)[: int(query.get("limit", 2000))]
        return _ok({"data": [world.entity(k, fields, stub.thumbnail) for k in rows.tolist()]})


def _ok(value):
    # Graph escapes slashes.
    return 200, json.dumps(value).replace("/", "\\/").encode(), "application/json"


def _error(message, code, subcode=None, kind="OAuthException"):
    error = {"message": message, "type": kind, "code": code, "fbtrace_id": "stub"}
    if subcode is not None:
        error["error_subcode"] = subcode
    return json.dumps({"error": error}).encode()


def main():
    """Serve until killed; the address is the first line printed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fault-share", type=float, default=0.0)
    parser.add_argument("--gone-share", type=float, default=0.0)
    parser.add_argument("--pictures", type=Path, default=None, help="folder that keeps what was drawn")
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    if given.pictures:
        given.pictures.mkdir(parents=True, exist_ok=True)
    world = World(given.seed, given.images, given.size, given.gone_share, pictures=given.pictures)
    with Stub(world, fault_share=given.fault_share, port=given.port, keep_log=False) as stub:
        print(stub.url, flush=True)
        try:
            while True:
                time.sleep(1)
                print(stub.max_in_flight, len(stub.wrong), dict(stub.faulted), flush=True)
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
