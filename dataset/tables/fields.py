"""What a table says of a photograph beside its place, in the types of a manifest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dataset.degrees import is_missing
from dataset.tables.times import utc_times

FIELDS = ("sequence_id", "creator", "captured_at_utc", "compass_angle", "is_pano", "licence", "url", "source")
"""Columns that go into a manifest as they are."""


@dataclass(frozen=True, eq=False)
class ManifestFields:
    """For each row of a table, what goes into the manifest as it is; by column, for there may be millions of rows.

    Attributes:
        count: how many rows.
        columns: (count,) values in the manifest's types, None where one is missing, by the manifest's name.
    """

    count: int
    columns: Mapping[str, NDArray[np.object_]]

    @classmethod
    def of(cls, photos: pd.DataFrame) -> "ManifestFields":
        """Return what a table has of `FIELDS`."""
        fields = photos[[name for name in FIELDS if name in photos]].copy()
        for name in fields:
            fields[name] = fields[name].where(~is_missing(fields[name]), None)
        if "captured_at_utc" in fields:
            fields["captured_at_utc"] = utc_times(fields["captured_at_utc"])
        if "compass_angle" in fields:
            angles = pd.to_numeric(fields["compass_angle"].str.replace(",", ".").str.rstrip("° "), errors="coerce")
            fields["compass_angle"] = angles.where(np.isfinite(angles)) % 360
        if "is_pano" in fields:
            answers = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
            fields["is_pano"] = fields["is_pano"].str.casefold().map(answers).astype(object)
        return cls(len(photos), {str(name): _or_none(fields[name]) for name in fields})

    def with_column(self, name: str, texts: Sequence[str]) -> "ManifestFields":
        """Return them with a further column of (count,) texts, the empty ones missing."""
        return replace(self, columns={**self.columns, name: np.array([text or None for text in texts], dtype=object)})

    def __len__(self) -> int:
        """Return how many rows there are."""
        return self.count

    def row(self, number: int) -> dict[str, object]:
        """Return the fields of a row by name."""
        return {name: values[number] for name, values in self.columns.items()}


def _or_none(values: pd.Series) -> NDArray[np.object_]:
    return values.astype(object).where(values.notna(), None).to_numpy()
