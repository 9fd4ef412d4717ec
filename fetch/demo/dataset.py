"""`python -m fetch demo`: photographs of the synthetic demo planet, to try everything without a network."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from dataset import manifest
from dataset.manifest import DATASET
from fetch.candidates import Candidate
from fetch.demo import scenes
from fetch.demo.config import DemoConfig
from fetch.demo.planet import CLUES, NAMES, Places, clue_fields, draw_places, regional_clues, shown_clues
from fetch.ingest import ingest
from geocells.land import land_table
from plumbing.config import as_plain
from plumbing.files import atomic_path, read_json

SOURCE = "demo planet (synthetic)"
LICENCE = "CC0-1.0 (synthetic)"
PLANET_VERSION = 1
"""Raised with every change that makes other pictures of the same seed."""

FLAW_SHARE = {"dark": 0.02, "blurred": 0.02, "duplicate": 0.02}

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Planet:
    """All photographs of a demo planet before they are drawn, in order of their sequences.

    Attributes:
        places: where, when and by whom.
        shown: (N, C) clues in view, NaN where not.
        region: (N, C) what the regions are like.
        flaw: (N,) `dark`, `blurred`, `duplicate` (of the photograph before) or empty.
        look: (N,) seed of all that says nothing about the place.
    """

    places: Places
    shown: NDArray[np.float64]
    region: NDArray[np.float64]
    flaw: NDArray[np.str_]
    look: NDArray[np.int64]


def run(config: DemoConfig) -> None:
    """Write the dataset folder of a demo planet, unless the same one is there already.

    Raises:
        ValueError: the folder holds a dataset of another source.
    """
    if _lies_there(config):
        log.info(f"{config.out} already holds this demo planet: nothing to do")
        return
    planet = make_planet(config.seed, config.images, config.places_seed)
    (config.out / manifest.CLUES).unlink(missing_ok=True)
    about = {"synthetic": True, "planet_version": PLANET_VERSION}
    ingest(config.out, candidates(planet, config), config, config.images, about=about)
    # Last, since it says that all is there.
    with atomic_path(config.out / manifest.CLUES) as partial:
        clue_table(planet, config.series).to_parquet(partial, index=False)


def make_planet(seed: int, count: int, places_seed: int | None = None) -> Planet:
    """Return the places of `count` photographs, and what each will show; the same seeds and count, the same planet.

    Args:
        seed: of the world.
        count: how many photographs.
        places_seed: of cities, journeys and pictures; the world's when None.
    """
    own = seed if places_seed is None else places_seed
    places = draw_places(seed, land_table().share, count, places_seed)
    region = regional_clues(clue_fields(seed), places.latlon_deg)
    shown, look = shown_clues(own, region), np.arange(count)
    flaw = _flaws(own, places.sequence)
    shown[flaw == "dark"] = np.nan
    shown[np.ix_(flaw == "blurred", [bool(clue.thing) for clue in CLUES])] = np.nan
    copy = np.flatnonzero(flaw == "duplicate")
    for values in (shown, region, look):
        values[copy] = values[copy - 1]
    places.latlon_deg[copy] = places.latlon_deg[copy - 1] + [2e-5, 0]  # Two metres north.
    return Planet(places, shown, region, flaw, look)


def candidates(planet: Planet, config: DemoConfig) -> Iterator[Candidate]:
    """Yield the photographs of a planet, each drawn when it is asked for."""
    places = planet.places
    for i, (lat_deg, lon_deg) in enumerate(places.latlon_deg.tolist()):
        fields = {
            "source": SOURCE,
            "licence": LICENCE,
            "sequence_id": f"demo{config.series}-{places.sequence[i]:06d}",
            "creator": str(places.creator[i]),
            "captured_at_utc": datetime.fromtimestamp(int(places.captured_at_s[i]), UTC).isoformat(),
            "compass_angle": float(places.heading_deg[i]),
            "is_pano": False,
        }
        yield Candidate(photo_id(config.series, i), (lat_deg, lon_deg), photograph(planet, config, i), fields)


def photograph(planet: Planet, config: DemoConfig, i: int) -> Image.Image:
    """Return one photograph of a planet, flaws included."""
    # What a flaw hides is drawn all the same: it is there, only not to be seen.
    values = np.where(np.isnan(planet.shown[i]) & (planet.flaw[i] == "dark"), planet.region[i], planet.shown[i])
    own = config.seed if config.places_seed is None else config.places_seed
    look = (own, int(planet.look[i]))
    clues = dict(zip(NAMES, values.tolist(), strict=True))
    picture = scenes.paint(clues, look, config.size, float(planet.places.sun_hour[i]))
    flawed = {"dark": scenes.darkened, "blurred": scenes.blurred, "duplicate": scenes.retaken}
    return flawed[planet.flaw[i]](picture) if planet.flaw[i] else picture


def photo_id(series: str, i: int) -> str:
    """Return the id of a planet's photograph."""
    return f"demo{series}-{i:07d}"


def clue_table(planet: Planet, series: str) -> pd.DataFrame:
    """Return what is in clues.parquet: `id`, each clue as the picture shows it, and `CLUE_region` never hidden."""
    shown = pd.DataFrame(planet.shown, columns=list(NAMES))
    region = pd.DataFrame(planet.region, columns=[f"{name}_region" for name in NAMES])
    table = pd.concat([shown, region], axis=1)
    table.insert(0, "id", [photo_id(series, i) for i in range(len(table))])
    return table


def _flaws(seed: int, sequence: NDArray[np.int64]) -> NDArray[np.str_]:
    """Return (N,) flaws; only a photograph that follows a flawless one of its sequence is its duplicate."""
    draw = np.random.default_rng([seed, 5]).random(len(sequence))
    kind = np.searchsorted(np.cumsum(list(FLAW_SHARE.values())), draw, side="right")
    flaw = np.array([*FLAW_SHARE, ""])[kind]
    follows = np.zeros(len(sequence), dtype=bool)
    follows[1:] = (sequence[1:] == sequence[:-1]) & (flaw[:-1] == "")
    return np.where((flaw == "duplicate") & ~follows, "", flaw)


def _lies_there(config: DemoConfig) -> bool:
    """Say whether the folder holds this very planet.

    Raises:
        ValueError: it holds a dataset of another source, which making this one would remove.
    """
    if not (config.out / DATASET).is_file():
        return False
    dataset = read_json(config.out / DATASET)
    if dataset.get("source") != SOURCE:
        raise ValueError(f"{config.out} holds a dataset from {dataset.get('source')!r}: choose another folder (--out)")
    # Datasets made before places had a seed of their own took the world's.
    same = {"places_seed": None, **dataset.get("settings", {}), "out": str(config.out)} == as_plain(config)
    whole = all((config.out / name).is_file() for name in (manifest.MANIFEST, manifest.CLUES))
    return same and whole and dataset.get("planet_version") == PLANET_VERSION
