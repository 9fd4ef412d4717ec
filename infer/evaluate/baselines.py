"""Baselines, which need no model: chance and one place for all, and on the demo planet an oracle as a ceiling.

The oracle reads exactly what a picture of the demo planet shows and knows every training place's clues. A model that
only sees pixels is measured between the two.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from dataset.manifest import CLUES
from geocells.sphere import GEOSCORE_SCALE_KM, arc_km, distance_km, geoscore, unit_vectors
from plumbing.parquet import read_columns

CANDIDATES = 4096
"""Training places tried as answers, evenly picked where there are more."""
PRIOR_PLACES = 50_000
"""Training places that the best constant answer is sought among, evenly picked where there are more."""
CHUNK = 1024
NARROWEST = 0.02
"""Bandwidth below which a clue is not read, of the range 0 to 1."""
MOST_TO_FIT = 4000
"""So many calibration photographs settle a handful of widths; more cost minutes."""
SCALES = (0.5, 0.7, 1.0, 1.4, 2.0, 3.0)


@dataclass(frozen=True, eq=False)
class Clues:
    """What photographs of the demo planet show, and what their regions are like.

    Attributes:
        names: of the C clues.
        shown: (N, C) 0 to 1; NaN where a clue is not in view.
        region: (N, C) the same without the single picture's deviation, and never NaN.
    """

    names: tuple[str, ...]
    shown: NDArray[np.float64]
    region: NDArray[np.float64]


def read_clues(data: Path, ids: ArrayLike) -> Clues | None:
    """Return the clues of photographs in the order of `ids`; None where a dataset is not of the demo planet.

    Raises:
        ValueError: a photograph has no clues.
    """
    path = data / CLUES
    if not path.is_file():
        return None
    again = "make the dataset again with `python -m fetch demo`"
    read = read_columns(path, again=again)
    if "id" not in read.column_names:
        raise ValueError(f"{path} lacks the column id: {again}")
    table = read.to_pandas().set_index("id")
    wanted = pd.Index(np.asarray(ids, dtype=object))
    unknown = wanted.difference(table.index)
    if len(unknown):
        raise ValueError(
            f"{path} knows no photograph {unknown[0]!r}: make the dataset again with `python -m fetch demo`"
        )
    names = tuple(name.removesuffix("_region") for name in table.columns if name.endswith("_region"))
    rows = table.loc[wanted]
    region = rows[[f"{name}_region" for name in names]]
    return Clues(names, rows[list(names)].to_numpy(np.float64), region.to_numpy(np.float64))


def chance(train_deg: ArrayLike, count: int, seed: int = 0) -> NDArray[np.float64]:
    """Return (count, 2) answers by chance: for each photograph a random training place."""
    places = np.asarray(train_deg, dtype=np.float64)
    return places[np.random.default_rng(seed).integers(0, len(places), count)]


def best_constant(train_deg: ArrayLike, scale_km: float = GEOSCORE_SCALE_KM) -> NDArray[np.float64]:
    """Return the (2,) training place that, answered always, has the highest mean GeoScore over (N, 2) places."""
    places = np.asarray(train_deg, dtype=np.float64)
    if len(places) > PRIOR_PLACES:
        places = places[np.linspace(0, len(places) - 1, PRIOR_PLACES).astype(np.int64)]
    return Candidates.among(places, scale_km).best(np.ones((1, len(places)), dtype=np.float32))[0]


@dataclass(frozen=True, eq=False)
class Candidates:
    """Places that may be answered, and how each scores where another is the truth.

    Attributes:
        places_deg: (K, 2) those that may be answered.
        score: (N, K) their GeoScores where each of N places is the truth, of 1.
    """

    places_deg: NDArray[np.float64]
    score: NDArray[np.float32]

    @classmethod
    def among(cls, places_deg: NDArray[np.float64], scale_km: float = GEOSCORE_SCALE_KM) -> "Candidates":
        """Return at most `CANDIDATES` evenly picked ones of (N, 2) places, each of which may be the truth."""
        picked = np.unique(np.linspace(0, len(places_deg) - 1, CANDIDATES).astype(np.int64))
        vectors = unit_vectors(places_deg).astype(np.float32)
        score = np.empty((len(places_deg), len(picked)), dtype=np.float32)
        for start in range(0, len(picked), CHUNK):
            part = slice(start, start + CHUNK)
            chord = np.sqrt(np.clip(2 - 2 * (vectors @ vectors[picked[part]].T), 0, 4))
            score[:, part] = np.exp(-arc_km(chord) / scale_km)
        return cls(places_deg[picked], score)

    def best(self, weight: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the (M, 2) places of highest expected GeoScore under (M, N) weights of where the truth is."""
        return self.places_deg[(weight @ self.score).argmax(axis=1)]


def clue_oracle(
    train_clues: NDArray[np.float64],
    train_deg: ArrayLike,
    test_clues: NDArray[np.float64],
    calibration_clues: NDArray[np.float64],
    calibration_deg: ArrayLike,
    scale_km: float = GEOSCORE_SCALE_KM,
) -> NDArray[np.float64]:
    """Return the answers of an oracle that reads exactly the visible clues: a ceiling to compare models with.

    Every training place weighs as a Gaussian kernel says of how its clues differ from those in view; the answer is the
    place of highest expected GeoScore. A bandwidth for each clue is fitted on the calibration photographs.

    Args:
        train_clues: (N, C) what the regions of training places are like, without NaN.
        train_deg: (N, 2).
        test_clues: (M, C) what the test photographs show; NaN where not in view.
        calibration_clues: (K, C) what the calibration photographs show.
        calibration_deg: (K, 2).
        scale_km: of the GeoScore.

    Returns:
        (M, 2) latitude and longitude.

    Raises:
        ValueError: a training place lacks a clue, or a split is empty.
    """
    places = np.asarray(train_deg, dtype=np.float64)
    if np.isnan(train_clues).any():
        raise ValueError("the oracle takes what regions of training places are like (`region`), without NaN")
    if not len(places) or not len(calibration_clues):
        raise ValueError(
            f"the oracle needs training and calibration photographs: {len(places)}, {len(calibration_clues)}"
        )
    evenly = slice(None, None, -(-len(calibration_clues) // MOST_TO_FIT))
    candidates = Candidates.among(places, scale_km)
    bandwidth = fit_bandwidth(
        train_clues, places, calibration_clues[evenly], np.asarray(calibration_deg)[evenly], candidates, scale_km
    )
    return _answer(train_clues, candidates, test_clues, bandwidth)


def fit_bandwidth(
    train_clues: NDArray[np.float64],
    train_deg: NDArray[np.float64],
    calibration_clues: NDArray[np.float64],
    calibration_deg: ArrayLike,
    candidates: Candidates,
    scale_km: float = GEOSCORE_SCALE_KM,
) -> NDArray[np.float64]:
    """Return the (C,) kernel widths: how far each clue lies from that of the nearest training place, scaled as a whole.

    The scale is the one of `SCALES` with the highest mean GeoScore on the calibration photographs.
    """
    _, nearest = cKDTree(unit_vectors(train_deg)).query(unit_vectors(calibration_deg))
    off = calibration_clues - train_clues[nearest]
    seen = ~np.isnan(off)
    mean_square = np.where(seen, off, 0) ** 2
    width = np.maximum(np.sqrt(mean_square.sum(axis=0) / np.maximum(seen.sum(axis=0), 1)), NARROWEST)
    score = [
        geoscore(
            distance_km(_answer(train_clues, candidates, calibration_clues, scale * width), calibration_deg), scale_km
        ).mean()
        for scale in SCALES
    ]
    return width * SCALES[int(np.argmax(score))]


def _answer(
    train_clues: NDArray[np.float64],
    candidates: Candidates,
    clues: NDArray[np.float64],
    bandwidth: NDArray[np.float64],
) -> NDArray[np.float64]:
    parts = [
        candidates.best(_kernel(train_clues, clues[start : start + CHUNK], bandwidth))
        for start in range(0, len(clues), CHUNK)
    ]
    return np.concatenate([np.empty((0, 2)), *parts])


def _kernel(
    train_clues: NDArray[np.float64], clues: NDArray[np.float64], bandwidth: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return (M, N) weights of training places for photographs; every row sums to one."""
    visible = (~np.isnan(clues)).astype(np.float64)
    ours, theirs = np.nan_to_num(clues) / bandwidth, train_clues / bandwidth
    # The square of the difference, multiplied out, so that no (M, N, C) array is needed.
    square = (ours**2).sum(axis=1)[:, None] - 2 * ours @ theirs.T + visible @ (theirs**2).T
    log_weight = -0.5 * square
    weight = np.exp((log_weight - log_weight.max(axis=1, keepdims=True)).astype(np.float32))
    return weight / weight.sum(axis=1, keepdims=True)
