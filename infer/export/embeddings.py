"""Features of photographs for other programs: what the network of the finest level makes of each."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from plumbing.files import atomic_path
from plumbing.text import utf8


def write_embeddings(path: Path, photographs: Sequence[str], features: NDArray[np.float32]) -> None:
    """Write paths and (N, width) features; `.npz` holds them as `path` and `features`, `.parquet` as two columns."""
    with atomic_path(path) as partial:
        if path.suffix == ".npz":
            with partial.open("wb") as file:
                np.savez(file, path=np.array(photographs, dtype=np.str_), features=features)
            return
        values = pa.FixedSizeListArray.from_arrays(pa.array(features.reshape(-1)), features.shape[1])
        pq.write_table(
            pa.table({"path": pa.array([utf8(name) for name in photographs], pa.string()), "features": values}), partial
        )
