"""What a table says of a photograph beside its place, in the types of a manifest."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dataset.degrees import is_missing
from dataset.tables.times import utc_times

FIELDS = ("sequence_id", "creator", "captured_at_utc", "compass_angle", "is_pano", "licence", "url", "source")
"""Columns that go into a manifest as they are."""


def manifest_fields(photos: pd.DataFrame) -> Sequence[dict[str, object]]:
    """Return, for each row of a table, what goes into the manifest as it is, in the manifest's types."""
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
    if fields.columns.empty:
        # pandas 2 sees no rows where there are no columns.
        return [{} for _ in range(len(fields))]
    plain = fields.astype(object).where(fields.notna(), None)
    return [dict(zip(plain.columns, values, strict=True)) for values in plain.itertuples(index=False, name=None)]
