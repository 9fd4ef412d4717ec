"""What becomes of candidates: by their metadata, by what lies near, by their looks. Nothing here asks or writes."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dataset.groups import ALIKE_KM
from fetch.config import LooksConfig
from fetch.mapillary.config import MapillaryConfig
from fetch.mapillary.facts import Facts, objection
from fetch.thin import looks, thin
from geocells.sphere import arc_km, distance_km, unit_vectors

MEASURED = ("luma_mean", "luma_std", "sharpness", "colourfulness", "extreme_share")


@dataclass(frozen=True)
class Verdict:
    """What becomes of one candidate.

    Attributes:
        state: `accepted`, `rejected`, `gone`, `failed`, `moved` (to another cell) or `deferred` (behind the others).
        cell: where it really lies, for `moved`.
    """

    image: int
    state: str
    reason: str = ""
    value: str = ""
    threshold: str = ""
    cell: int = -1


@dataclass(frozen=True)
class Kept:
    """A picture that stays, in the cell or in one around it."""

    image: int
    cell: int
    lat: float
    lon: float
    sequence: str
    creator: str
    measures: dict[str, Any]

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> "Kept":
        """Return a picture from a row of `State.kept`."""
        image, cell, lat, lon, sequence, creator, measures = row
        return cls(image, cell, lat, lon, sequence, creator, json.loads(measures))


@dataclass
class Choice:
    """Which candidates of a window are to be fetched now, and what is already decided about others."""

    chosen: list[Facts] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)


def choose(
    config: MapillaryConfig,
    cell: int,
    window: Sequence[tuple[Facts, bool]],
    kept: Sequence[Kept],
    need: int,
    now_ms: int,
) -> Choice:
    """Choose at most `need` candidates that can all stay together with the kept ones, as far as metadata tells.

    What depends on a candidate chosen in the same round is left open, since that one may fail.

    Args:
        config: the limits.
        cell: that is being filled.
        window: candidates in their order, and whether each was put off before.
        kept: pictures that stay, of the cell and of those around it.
        need: how many the cell still lacks.
        now_ms: the time.
    """
    choice = Choice()
    sequences = Counter(k.sequence for k in kept if k.cell == cell and k.sequence)
    creators = Counter(k.creator for k in kept if k.cell == cell and k.creator)
    settled_sequences = sequences.copy()
    creator_limit = max(1, int(config.max_creator_share * config.per_cell))
    kept_xyz = _xyz([(k.lat, k.lon) for k in kept])
    for facts, put_off in window:
        said = objection(facts, config, now_ms)
        if said is None and facts.cell != cell:
            choice.verdicts.append(Verdict(facts.image, "moved", cell=facts.cell))
            continue
        far_m = _nearest_m(kept_xyz, facts)
        if said is None and far_m < config.min_distance_m:
            said = "too close to a picture that stays", f"{far_m:.4g}", f"{config.min_distance_m:g}"
        if said is None and settled_sequences[facts.sequence] >= config.max_per_sequence:
            said = "beyond the best of a sequence", str(settled_sequences[facts.sequence]), str(config.max_per_sequence)
        if said is not None:
            choice.verdicts.append(Verdict(facts.image, "rejected", *said))
            continue
        if len(choice.chosen) >= need or sequences[facts.sequence] >= config.max_per_sequence:
            continue
        if _nearest_m(_xyz([(c.lat, c.lon) for c in choice.chosen]), facts) < config.min_distance_m:
            continue
        if creators[facts.creator] >= creator_limit and not put_off:
            choice.verdicts.append(Verdict(facts.image, "deferred"))
            continue
        choice.chosen.append(facts)
        if facts.sequence:
            sequences[facts.sequence] += 1
        if facts.creator:
            creators[facts.creator] += 1
    return choice


def judge(
    config: MapillaryConfig,
    chosen: Sequence[Facts],
    measures: dict[int, dict[str, Any]],
    kept: Sequence[Kept],
) -> list[Verdict]:
    """Return what becomes of fetched pictures, by the rules of `python -m fetch thin`.

    Args:
        config: the thresholds.
        chosen: what was fetched.
        measures: of each of them.
        kept: pictures that stay, of the cell and of those around it.
    """
    limits = config.thresholds()
    verdicts = []
    fit = []
    for facts in chosen:
        said = _bad_look(measures[facts.image], limits) or _bad_twin(facts, measures[facts.image], kept, config)
        if said is None:
            fit.append(facts)
        else:
            verdicts.append(Verdict(facts.image, "rejected", *said))
    # Whoever chose kept distances and numbers; what is left are pictures that look alike, and those are few.
    if not _alike(fit, measures, config.duplicate_bits):
        return verdicts + [Verdict(facts.image, "accepted") for facts in fit]
    photos, table = _tables(fit, measures)
    stays, rejections = thin(photos, table, limits)
    verdicts += [Verdict(int(r.id), "rejected", r.reason, r.value, r.threshold) for r in rejections]
    return verdicts + [Verdict(fit[row].image, "accepted") for row in np.flatnonzero(stays)]


def _bad_look(measures: dict[str, Any], limits: LooksConfig) -> tuple[str, str, str] | None:
    """Return why a picture is left out for its looks: reason, value, threshold; None where it is not."""
    for name, reason, low, high in looks(limits):
        if not low < measures[name] < high:
            return reason, f"{measures[name]:.4g}", f"{low if np.isfinite(low) else high:g}"
    return None


def _bad_twin(
    facts: Facts, measures: dict[str, Any], kept: Sequence[Kept], config: MapillaryConfig
) -> tuple[str, str, str] | None:
    """Return which picture that stays looks like this one, as reason, value, threshold; None where none does."""
    for k in kept:
        bits = (k.measures["dhash"] ^ measures["dhash"]).bit_count()
        if bits <= config.duplicate_bits and _comparable(facts, k):
            return "near-duplicates of a better picture", str(bits), str(config.duplicate_bits)
    return None


def _alike(rows: Sequence[Facts], measures: dict[int, dict[str, Any]], bits: int) -> bool:
    """Say whether any two pictures look alike that would be compared."""
    hashes = [measures[row.image]["dhash"] for row in rows]
    return any(
        (hashes[j] ^ hashes[i]).bit_count() <= bits and _comparable(rows[i], rows[j])
        for i in range(len(rows))
        for j in range(i)
    )


def _comparable(a: Facts, b: Facts | Kept) -> bool:
    """Say whether two pictures are of one sequence or near each other, so that they may be duplicates."""
    return (
        bool(a.sequence and a.sequence == b.sequence) or float(distance_km((a.lat, a.lon), (b.lat, b.lon))) <= ALIKE_KM
    )


def _tables(rows: Sequence[Facts], measures: dict[int, dict[str, Any]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return pictures and their measures as tables that `thin` takes."""
    photos = pd.DataFrame(
        {
            "id": [str(row.image) for row in rows],
            "latitude": [row.lat for row in rows],
            "longitude": [row.lon for row in rows],
            "sequence_id": np.array([row.sequence or None for row in rows], dtype=object),
            "dhash": np.array([measures[row.image]["dhash"] for row in rows], dtype=np.uint64),
        }
    )
    return photos, pd.DataFrame({name: [measures[row.image][name] for row in rows] for name in MEASURED})


def _xyz(latlon_deg: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    return unit_vectors(np.array(latlon_deg, dtype=np.float64).reshape(-1, 2))


def _nearest_m(xyz: NDArray[np.float64], facts: Facts) -> float:
    """Return the distance of the nearest of (N, 3) unit vectors in metres; infinite where there are none."""
    if not len(xyz):
        return float("inf")
    return 1000 * float(arc_km(np.linalg.norm(xyz - _xyz([(facts.lat, facts.lon)]), axis=-1).min()))
