"""The best, the typical and the worst answers of an evaluation, as photographs beside what was answered."""

import base64
import io
from collections.abc import Mapping
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
KINDS = {
    "Best": "the smallest errors of the split",
    "Typical": "the errors nearest to the median",
    "Worst": "the largest errors of the split",
}


@dataclass(frozen=True)
class Sample:
    """One photograph of the page.

    Attributes:
        name: its id.
        distance_km: of the answer from the true place.
        true: the true place in words.
        answered: the answered place in words.
        jpeg: a small copy without metadata; None where the photograph cannot be read.
    """

    name: str
    distance_km: float
    true: str
    answered: str
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
    return {kind: found[kind] for kind in KINDS}


def read_samples(answered: pd.DataFrame, data: Path) -> dict[str, list[Sample]]:
    """Return the samples of each kind with small copies of their photographs out of a dataset folder.

    Raises:
        ValueError: the dataset does not hold the photographs.
    """
    photos = read_manifest(data).set_index("id", drop=False)
    return {
        kind: [_sample(answered.iloc[row], photos, data) for row in rows.tolist()]
        for kind, rows in chosen(answered).items()
    }


def _sample(row: pd.Series, photos: pd.DataFrame, data: Path) -> Sample:
    name = str(row["id"])
    if name not in photos.index:
        raise ValueError(
            f"{data} has no photograph {name!r} of the evaluation: pass the dataset that was evaluated as --data"
        )
    true, answered = (place_words(row[columns].to_numpy(dtype=float)) for columns in (TRUE_DEG, ANSWERED_DEG))
    picture = Pictures.of_dataset(data, photos.loc[[name]]).source(0)
    return Sample(name, float(row["distance_km"]), true, answered, _thumbnail(picture))


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


def photographs_html(samples: Mapping[str, list[Sample]] | None, split: str, why: tuple[str, str] | None) -> str:
    """Return the photographs as HTML.

    Args:
        samples: of each kind; None where there are none to show.
        split: that was evaluated.
        why: what is missing in their place, and the command that makes it; None leaves the part out.
    """
    title = "<h3>Best, typical and worst photographs</h3>"
    if samples is None:
        return title + missing(*why) if why else ""
    said = note(
        f"Chosen by their error alone from the {split} split, at most one photograph of a group in a row. Towns are the nearest "
        "ones."
    )
    rows = "".join(
        f'<h4>{kind}: {escape(KINDS[kind])}</h4><div class="photographs">{"".join(map(_figure, of))}</div>'
        for kind, of in samples.items()
    )
    return title + said + rows


def _figure(sample: Sample) -> str:
    said = f"{kilometres(sample.distance_km)} off"
    picture = '<div class="no-picture">The picture cannot be read</div>'
    if sample.jpeg is not None:
        source = base64.b64encode(sample.jpeg).decode()
        picture = f'<img alt="Photograph {escape(sample.name)}" src="data:image/jpeg;base64,{source}">'
    places = f"<span>Taken {escape(sample.true)}</span><span>Answered {escape(sample.answered)}</span>"
    return f"<figure>{picture}<figcaption><b>{escape(said)}</b>{places}</figcaption></figure>"
