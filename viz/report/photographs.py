"""Answers of an evaluation as photographs: the best, typical and worst of places, the right and wrong ones of classes."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from dataset.images import Pictures
from dataset.manifest import read_manifest
from infer.evaluate.photographs import ANSWERED_DEG, TRUE_DEG
from infer.place_names import nearest_places
from plumbing.images import open_rgb
from viz.report.parts import kilometres, missing, note

SHOWN = 4
"""Photographs of each kind."""
THUMBNAIL_PX, QUALITY = 240, 70
"""Longer side, and quality as JPEG."""
NEAR_KM = 50
"""Towns farther away are told with their distance."""
PLACED = {
    "Best": "the smallest errors of the split",
    "Typical": "the errors nearest to the median",
    "Worst": "the largest errors of the split",
}
CLASSED = {
    "Right": "spread over the classes, those with most right answers first",
    "Wrong": "spread over the confusions, the most frequent first",
}
UNKNOWN_CLASS = "a class without training photographs"


@dataclass(frozen=True)
class Sample:
    """One photograph of the page.

    Attributes:
        name: its id.
        said: what is read first: how far off the answer is, or the true class.
        more: the true and the answered place, or the class that is wrongly answered, in words.
        jpeg: a small copy without metadata; None where the photograph cannot be read.
    """

    name: str
    said: str
    more: tuple[str, ...]
    jpeg: bytes | None


def chosen(answered: pd.DataFrame, shown: int = SHOWN) -> dict[str, NDArray[np.int64]]:
    """Return the rows of the best, the typical and the worst answers, each kind in order of its error, none twice.

    At most one photograph of a group is of a kind, or a single journey would fill it.
    """
    away, group = answered["distance_km"].to_numpy(), answered["group"].to_numpy()
    taken: set[int] = set()
    found = {}
    for kind, key in (("Best", away), ("Worst", -away), ("Typical", np.abs(away - np.median(away)))):
        order = [row for row in np.argsort(key, kind="stable").tolist() if row not in taken]
        _, first = np.unique(group[order], return_index=True)
        rows = [order[k] for k in sorted(first.tolist())[:shown]]
        taken.update(rows)
        found[kind] = np.array(sorted(rows, key=lambda row: away[row]), dtype=np.int64)
    return {kind: found[kind] for kind in PLACED}


def chosen_classes(answered: pd.DataFrame, shown: int = SHOWN) -> dict[str, NDArray[np.int64]]:
    """Return the rows of right and of wrong answers: of each true class and answer one before another of the same.

    What is frequent comes first, and at most one photograph of a group is of a kind.
    """
    right, group = answered["right"].to_numpy(dtype=bool), answered["group"].to_numpy()
    pairs = answered.groupby(["true_class", "answered_class"])
    nth, count = pairs.cumcount().to_numpy(), pairs["group"].transform("size").to_numpy()
    found = {}
    for kind, rows in zip(CLASSED, (np.flatnonzero(right), np.flatnonzero(~right)), strict=True):
        order = rows[np.lexsort((rows, -count[rows], nth[rows]))]
        _, first = np.unique(group[order], return_index=True)
        found[kind] = order[np.sort(first)[:shown]]
    return found


def read_samples(answered: pd.DataFrame, data: Path) -> dict[str, list[Sample]]:
    """Return the samples of each kind of answered places, with small copies of photographs out of a dataset folder.

    Raises:
        ValueError: the dataset does not hold the photographs.
    """
    photos = read_manifest(data).set_index("id", drop=False)
    return {
        kind: [_placed(answered.iloc[row], photos, data) for row in rows.tolist()]
        for kind, rows in chosen(answered).items()
    }


def read_class_samples(answered: pd.DataFrame, names: Sequence[str], data: Path) -> dict[str, list[Sample]]:
    """Return the samples of each kind of answered classes likewise.

    Args:
        answered: of photographs that are compared by class.
        names: of the classes, in words.
        data: the dataset folder.

    Raises:
        ValueError: the dataset does not hold the photographs.
    """
    photos = read_manifest(data).set_index("id", drop=False)
    return {
        kind: [_classed(answered.iloc[row], names, photos, data) for row in rows.tolist()]
        for kind, rows in chosen_classes(answered).items()
    }


def _placed(row: pd.Series, photos: pd.DataFrame, data: Path) -> Sample:
    name = str(row["id"])
    jpeg = _thumbnail(_picture(name, photos, data))
    true, answered = (place_words(row[columns].to_numpy(dtype=float)) for columns in (TRUE_DEG, ANSWERED_DEG))
    return Sample(name, f"{kilometres(float(row['distance_km']))} off", (f"Taken {true}", f"Answered {answered}"), jpeg)


def _classed(row: pd.Series, names: Sequence[str], photos: pd.DataFrame, data: Path) -> Sample:
    name = str(row["id"])
    true, answered = (int(row[column]) for column in ("true_class", "answered_class"))
    said = names[true] if true >= 0 else UNKNOWN_CLASS
    more = () if row["right"] else (f"Answered {names[answered]}",)
    return Sample(name, said, more, _thumbnail(_picture(name, photos, data)))


def _picture(name: str, photos: pd.DataFrame, data: Path) -> Path | bytes:
    if name not in photos.index:
        raise ValueError(
            f"{data} has no photograph {name!r} of the evaluation: pass the dataset that was evaluated as --data"
        )
    return Pictures.of_dataset(data, photos.loc[[name]]).source(0)


def place_words(point_deg: NDArray[np.float64]) -> str:
    """Return where a place is, by the nearest town: 'near Ghent, Flanders, Belgium'."""
    town = nearest_places(np.asarray(point_deg, dtype=float)[None])[0]
    assert town is not None, "without prior knowledge there is always a town"
    where = f"{town['name']}, {town['country']}"
    return f"near {where}" if town["distance_km"] <= NEAR_KM else f"{town['distance_km']:,.0f} km from {where}"


def _thumbnail(picture: Path | bytes) -> bytes | None:
    try:
        small = open_rgb(picture, THUMBNAIL_PX)
    except ValueError:
        return None
    content = io.BytesIO()
    Image.Image.save(small, content, "JPEG", quality=QUALITY, optimize=True)
    return content.getvalue()


def photographs_html(
    samples: Mapping[str, list[Sample]] | None, split: str, why: tuple[str, str] | None, classes: bool = False
) -> str:
    """Return the photographs as HTML.

    Args:
        samples: of each kind; None where there are none to show.
        split: that was evaluated.
        why: what is missing in their place, and the command that makes it; None leaves the part out.
        classes: whether the answers are classes and not places.
    """
    title = f"<h3>{'Right and wrong' if classes else 'Best, typical and worst'} photographs</h3>"
    if samples is None:
        return title + missing(*why) if why else ""
    by, towns = ("classes", "") if classes else ("error", " Towns are the nearest ones.")
    said = note(
        f"Chosen by their {by} alone from the {split} split, at most one photograph of a group in a row.{towns}"
    )
    kinds = CLASSED if classes else PLACED
    return title + said + "".join(_row(f"{kind}: {kinds[kind]}", of) for kind, of in samples.items() if of)


def _row(title: str, samples: Sequence[Sample]) -> str:
    return f'<h4>{escape(title)}</h4><div class="photographs">{"".join(map(_figure, samples))}</div>'


def _figure(sample: Sample) -> str:
    picture = '<div class="no-picture">The picture cannot be read</div>'
    if sample.jpeg is not None:
        source = base64.b64encode(sample.jpeg).decode()
        picture = f'<img alt="Photograph {escape(sample.name)}" src="data:image/jpeg;base64,{source}">'
    more = "".join(f"<span>{escape(line)}</span>" for line in sample.more)
    return f"<figure>{picture}<figcaption><b>{escape(sample.said)}</b>{more}</figcaption></figure>"
