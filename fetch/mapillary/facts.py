"""What the graph says of a picture, and what follows from it without seeing the picture."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fetch.mapillary.config import MapillaryConfig
from geocells import grid
from geocells.sphere import distance_km

SUSPECT_M = 100.0
"""Where the position by GPS and the computed one lie farther apart, neither can be trusted."""

SPHERICAL = frozenset({"spherical", "equirectangular"})


@dataclass(frozen=True)
class Facts:
    """Metadata of a picture; the address of its pixels is never kept, since it expires.

    Attributes:
        image: its id.
        lat: of the computed position, or the camera's own; so is `lon`.
        apart_m: between the two positions, 0 where one is unknown.
        creator: name of who took it, empty where unknown.
        captured_ms: milliseconds since 1970, 0 where unknown.
        compass_deg: direction of view, None where unknown.
    """

    image: int
    lat: float
    lon: float
    apart_m: float
    sequence: str
    creator: str
    captured_ms: int
    compass_deg: float | None
    is_pano: bool
    width: int
    height: int

    @classmethod
    def from_graph(cls, said: Mapping[str, Any]) -> "Facts | None":
        """Return the facts of an object of the graph; None where it has no position."""
        own, computed = _latlon(said.get("geometry")), _latlon(said.get("computed_geometry"))
        place = computed or own
        if place is None:
            return None
        creator = said.get("creator")
        width, height = int(said.get("width") or 0), int(said.get("height") or 0)
        compass = said.get("computed_compass_angle", said.get("compass_angle"))
        return cls(
            image=int(said["id"]),
            lat=place[0],
            lon=place[1],
            apart_m=round(1000 * float(distance_km(own, computed)), 1) if own and computed else 0.0,
            sequence=str(said.get("sequence") or ""),
            creator=str(creator.get("username") or creator.get("id") or "") if isinstance(creator, dict) else "",
            captured_ms=int(said.get("captured_at") or 0),
            compass_deg=None if compass is None else float(compass) % 360,
            is_pano=bool(said.get("is_pano"))
            or said.get("camera_type") in SPHERICAL
            or (height > 0 and width == 2 * height),
            width=width,
            height=height,
        )

    @classmethod
    def from_json(cls, text: str) -> "Facts":
        """Return facts that `to_json` wrote."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """Return one line."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @property
    def cell(self) -> int:
        """Return the storage cell in which the picture lies."""
        return int(grid.encode((self.lat, self.lon), grid.TABLE_LEVEL))


def _latlon(geometry: Any) -> tuple[float, float] | None:
    """Return latitude and longitude of a GeoJSON point; None where there is none, or none that can be."""
    try:
        lon_deg, lat_deg = (float(part) for part in geometry["coordinates"][:2])
    except (TypeError, KeyError, ValueError):
        return None
    return (lat_deg, lon_deg) if abs(lat_deg) <= 90 and abs(lon_deg) <= 180 else None


def objection(facts: Facts, config: MapillaryConfig, now_ms: int) -> tuple[str, str, str] | None:
    """Return why a picture is left out unseen: reason, value, threshold; None where it is not."""
    since, until = config.captured_ms()
    if facts.apart_m > SUSPECT_M:
        return "with a doubtful position", f"{facts.apart_m:g}", f"{SUSPECT_M:g}"
    if facts.is_pano and config.pano == "drop":
        return "panoramas", "", ""
    if facts.width and min(facts.width, facts.height) < config.min_side:
        return "too small", str(min(facts.width, facts.height)), str(config.min_side)
    if not since <= facts.captured_ms < min(until, now_ms + 86_400_000):
        return "captured outside the dates", str(facts.captured_ms), f"{since} to {min(until, now_ms)}"
    return None
