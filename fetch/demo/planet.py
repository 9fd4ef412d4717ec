"""The synthetic demo planet: clues that vary smoothly over an invented world, and the places where its people take photographs.

Everything follows from one seed. The land is the Earth's; what grows, stands and is painted on it is invented.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocells import grid
from geocells.sphere import EARTH_RADIUS_KM, latlon_deg, unit_vectors

WAVES = 8
CITIES = 400
RURAL_SHARE = 0.4
"""Of the sequences: by travellers, anywhere that people live; the others are by people of a city, near it."""
SMALLTOWN_PEOPLE = 2.5
PHOTOS_EACH = 20
"""Photographs that each of the people of a large city takes, on average; in a small town, `SMALLTOWN_PEOPLE` take all."""

THINGS = {
    "mountains": 0.65,
    "trees": 0.65,
    "lines": 0.6,
    "vehicle": 0.5,
    "building": 0.45,
    "pole": 0.5,
    "sign": 0.45,
    "bollards": 0.4,
}
"""How often each thing that may be in view is; what is not named here always is."""


@dataclass(frozen=True)
class Clue:
    """Something of a picture that tells the place: a number in 0 to 1 that its region decides.

    Attributes:
        wavelength_km: over how many kilometres it varies from one extreme to the other and back.
        spread: how far single pictures lie from their region's value, as a standard deviation.
        thing: what must be in view to show it; always visible when empty.
        binary: either 0 or 1, without spread.
    """

    name: str
    wavelength_km: float
    spread: float
    thing: str = ""
    binary: bool = False


CLUES = (
    Clue("sky", 16_000, 0.10),
    Clue("vegetation", 11_000, 0.10),
    Clue("soil", 8_000, 0.10),
    Clue("road_surface", 9_000, 0.12),
    Clue("road_width", 5_000, 0.14),
    Clue("mountains", 4_500, 0.10, "mountains"),
    Clue("tree_kind", 3_600, 0.08, "trees"),
    Clue("tree_density", 3_000, 0.10, "trees"),
    Clue("line_colour", 2_500, 0.06, "lines"),
    Clue("line_dashes", 1_800, 0.06, "lines"),
    Clue("driving_side", 13_000, 0.0, "vehicle", binary=True),
    Clue("roof", 2_100, 0.07, "building"),
    Clue("wall_colour", 300, 0.05, "building"),
    Clue("pole_colour", 1_300, 0.05, "pole"),
    Clue("sign_colour", 800, 0.05, "sign"),
    Clue("bollard_colour", 500, 0.05, "bollards"),
)
NAMES = tuple(clue.name for clue in CLUES)


@dataclass(frozen=True, eq=False)
class Fields:
    """Random functions on the sphere: sums of plane waves, stretched so that all values are equally common.

    Attributes:
        wave: (F, WAVES, 3) wave vectors, radians per Earth radius.
        phase: (F, WAVES) in radians.
        quantile: (F, 65) sums of waves at equal steps of their distribution over the sphere.
    """

    wave: NDArray[np.float64]
    phase: NDArray[np.float64]
    quantile: NDArray[np.float64]

    def __call__(self, points_deg: ArrayLike) -> NDArray[np.float64]:
        """Return (N, F) values in 0 to 1 at (N, 2) points."""
        raw = _wave_sums(unit_vectors(points_deg), self.wave, self.phase)
        steps = np.linspace(0, 1, self.quantile.shape[1])
        return np.stack([np.interp(raw[:, f], q, steps) for f, q in enumerate(self.quantile)], axis=-1)


@dataclass(frozen=True, eq=False)
class Places:
    """Where, when and by whom the photographs of the planet are taken, in order of their sequences.

    Attributes:
        latlon_deg: (N, 2).
        heading_deg: (N,) clockwise from north.
        sequence: (N,) number of the sequence.
        creator: (N,) invented name.
        captured_at_s: (N,) seconds since 1970, UTC.
        sun_hour: (N,) local solar time, 6 to 20.
    """

    latlon_deg: NDArray[np.float64]
    heading_deg: NDArray[np.float64]
    sequence: NDArray[np.int64]
    creator: NDArray[np.str_]
    captured_at_s: NDArray[np.int64]
    sun_hour: NDArray[np.float64]


def make_fields(seed: int, wavelengths_km: ArrayLike) -> Fields:
    """Return one random field for each wavelength; the same seed makes the same world."""
    lengths = np.asarray(wavelengths_km, dtype=np.float64)
    rng = np.random.default_rng([seed, 1])
    direction = rng.standard_normal((len(lengths), WAVES, 3))
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    octave = rng.uniform(0.85, 1.2, (len(lengths), WAVES))
    wave = direction * (2 * np.pi * EARTH_RADIUS_KM / lengths[:, None] * octave)[..., None]
    phase = rng.uniform(0, 2 * np.pi, (len(lengths), WAVES))
    everywhere = _wave_sums(_even_points(4096), wave, phase)
    return Fields(wave, phase, np.quantile(everywhere, np.linspace(0, 1, 65), axis=0).T)


def clue_fields(seed: int) -> Fields:
    """Return the fields of `CLUES`, in that order."""
    return make_fields(seed, [clue.wavelength_km for clue in CLUES])


def regional_clues(fields: Fields, points_deg: ArrayLike) -> NDArray[np.float64]:
    """Return (N, len(CLUES)) what the regions of places are like, whether or not a picture shows it."""
    values = fields(points_deg)
    binary = np.array([clue.binary for clue in CLUES])
    return np.where(binary, (values > 0.5).astype(np.float64), values)


def shown_clues(seed: int, regional: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (N, len(CLUES)) what pictures show of their regions: each a little different, NaN where not in view."""
    rng = np.random.default_rng([seed, 2])
    spread = np.array([clue.spread for clue in CLUES])
    shown = np.clip(regional + spread * rng.standard_normal(regional.shape), 0, 1)
    in_view = rng.random((len(regional), len(THINGS))) < np.array(list(THINGS.values()))
    of_thing = {thing: in_view[:, k] for k, thing in enumerate(THINGS)}
    visible = np.stack([of_thing.get(c.thing, np.ones(len(regional), dtype=bool)) for c in CLUES], axis=-1)
    return np.where(visible, shown, np.nan)


def draw_places(seed: int, land_share: NDArray[np.floating], count: int, places_seed: int | None = None) -> Places:
    """Return `count` places on land: most around cities of very unequal size, the rest anywhere people live.

    Args:
        seed: of the world, and of where its people live; places of another count are others.
        land_share: (65536,) share of land in each L8 cell. A cell counts as land where it is at least one half.
        count: how many.
        places_seed: of cities and journeys; the world's when None.
    """
    own = seed if places_seed is None else places_seed
    city_deg, weight = _cities(seed, land_share, own)
    rng = np.random.default_rng([own, 3])
    sequences = count + 16
    start_deg, creator = _starts(rng, city_deg, weight, _habitable(seed, land_share), sequences)
    length = rng.integers(2, 9, sequences)
    sequence = np.repeat(np.arange(sequences), length)
    along_km, step = _distances_along(rng, length)
    heading = rng.uniform(0, 360, sequences)[sequence] + 2.5 * along_km * rng.normal(0, 2, sequences)[sequence]
    points = _travel(start_deg[sequence], heading, along_km)
    day = rng.integers(16_436, 20_088, sequences)[sequence]  # 2015 to 2024
    hour = np.minimum(rng.uniform(6, 19.5, sequences)[sequence] + step / 60, 20)
    at_s = np.round((day * 24 + hour - points[:, 1] / 15) * 3600).astype(np.int64)
    kept = np.flatnonzero(on_land(points, land_share))[:count]
    assert len(kept) == count, "sequences hold five pictures on average and start on land"
    return Places(points[kept], heading[kept] % 360, sequence[kept], creator[sequence[kept]], at_s[kept], hour[kept])


def on_land(points_deg: ArrayLike, land_share: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Say which points lie in an L8 cell of which at least half is land; a coast is as coarse as that."""
    return land_share[grid.encode(points_deg, grid.TABLE_LEVEL)] >= 0.5


def _wave_sums(
    vectors: NDArray[np.float64], wave: NDArray[np.float64], phase: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (N, F) sums of F fields at (N, 3) unit vectors, a bounded number of points at a time."""
    parts = [
        np.cos(np.einsum("nx,fwx->nfw", part, wave) + phase).sum(-1)
        for part in np.array_split(vectors, max(1, len(vectors) // 8192))
    ]
    return np.concatenate(parts)


def _even_points(count: int) -> NDArray[np.float64]:
    """Return (count, 3) points of a Fibonacci spiral, evenly spread over the sphere."""
    k = np.arange(count) + 0.5
    z = 1 - 2 * k / count
    turn = np.pi * (1 + 5**0.5) * k
    return np.stack([np.sqrt(1 - z * z) * np.cos(turn), np.sqrt(1 - z * z) * np.sin(turn), z], axis=-1)


def _habitable(seed: int, land_share: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return (65536,) relative numbers of people: land area, less towards the poles, far from even."""
    lat_lon = grid.center_deg(np.arange(4**grid.TABLE_LEVEL), grid.TABLE_LEVEL)
    lat = lat_lon[:, 0]
    mild = np.clip((np.where(lat > 0, 72, 58) - np.abs(lat)) / 15, 0, 1)
    people = make_fields(seed + 7919, [6_000, 1_500])(lat_lon).sum(-1)
    weight = np.where(land_share >= 0.5, land_share, 0) * np.cos(np.radians(lat)) * mild * np.exp(1.8 * people)
    return weight / weight.sum()


def _cities(
    seed: int, land_share: NDArray[np.floating], places_seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (CITIES, 2) places of cities and (CITIES,) their weights, by Zipf's rule."""
    rng = np.random.default_rng([places_seed, 4])
    weight = 1 / np.arange(1, CITIES + 1) ** 0.8
    return _points_in_cells(rng, _habitable(seed, land_share), CITIES), weight / weight.sum()


def _points_in_cells(rng: np.random.Generator, weight: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    box = grid.bounds_deg(rng.choice(len(weight), count, p=weight), grid.TABLE_LEVEL)
    return box[:, :2] + rng.random((count, 2)) * (box[:, 2:] - box[:, :2])


def _starts(
    rng: np.random.Generator,
    city_deg: NDArray[np.float64],
    city_weight: NDArray[np.float64],
    habitable: NDArray[np.float64],
    count: int,
) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Return (count, 2) starts of sequences and who takes them: townspeople at home, travellers anywhere."""
    city = rng.choice(len(city_deg), count, p=city_weight)
    away_km = rng.exponential(25, count) * rng.choice([0.5, 1.0, 3.0], count)
    near = _travel(city_deg[city], rng.uniform(0, 360, count), away_km)
    rural = rng.random(count) < RURAL_SHARE
    start = np.where(rural[:, None], _points_in_cells(rng, habitable, count), near)
    # The more photographs of a city, the more people take them; few take many, many few.
    photos = (1 - RURAL_SHARE) * count * city_weight
    person = rng.geometric(1 / np.maximum(SMALLTOWN_PEOPLE, photos / PHOTOS_EACH)[city])
    traveller = rng.integers(0, 80, count)
    names = [
        f"traveller{t:02d}" if r else f"mapper{c:03d}-{p}"
        for r, t, c, p in zip(rural, traveller, city, person, strict=True)
    ]
    return start, np.array(names)


def _distances_along(
    rng: np.random.Generator, length: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return how far along its road each picture lies, in km, and its number within the sequence."""
    first = np.cumsum(length) - length
    step = np.arange(length.sum()) - np.repeat(first, length)
    gap_km = np.clip(rng.lognormal(np.log(0.7), 0.6, length.sum()), 0.2, 4)
    total = np.cumsum(gap_km)
    return total - np.repeat(total[first], length), step


def _travel(from_deg: NDArray[np.float64], heading_deg: ArrayLike, km: ArrayLike) -> NDArray[np.float64]:
    """Return where one arrives along a great circle; (N, 2) from (N, 2)."""
    heading, angle = np.radians(np.asarray(heading_deg)), np.asarray(km) / EARTH_RADIUS_KM
    lat, lon = np.radians(from_deg).T
    up = unit_vectors(from_deg)
    north = np.stack([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)], axis=-1)
    east = np.stack([-np.sin(lon), np.cos(lon), np.zeros_like(lon)], axis=-1)
    along = np.cos(heading)[:, None] * north + np.sin(heading)[:, None] * east
    return latlon_deg(np.cos(angle)[:, None] * up + np.sin(angle)[:, None] * along)
