"""Photographs of `bench.real`: any folder of countries, table or dataset, with classes, leakage groups and folds."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold

from bench.commands import run_command
from dataset.groups import codes, leakage_groups
from dataset.images import Pictures
from dataset.manifest import MANIFEST, read_manifest
from dataset.picture_keys import picture_keys
from dataset.tables.flags import TABLE_SUFFIXES

FOLDS = 5
LEAST_GROUPS = 20
"""Fewer groups have no accuracy of their own: an interval of so few says nothing."""
CHUNK = 1024


@dataclass(frozen=True, eq=False)
class Photographs:
    """Photographs of classes with enough of them.

    Attributes:
        folder: the dataset, which keeps their features.
        pictures: N.
        keys: (N,) of what the pictures show, by `dataset.picture_keys`.
        classes: K names, sorted.
        true: (N,) class of each.
        group: (N,) leakage group of each; whole groups are trained on or tested.
        sources: of how many publishers; 1 where nothing tells them apart.
    """

    folder: Path
    pictures: Pictures
    keys: NDArray[np.bytes_]
    classes: list[str]
    true: NDArray[np.int64]
    group: NDArray[np.int64]
    sources: int

    def joined(self, pairs: NDArray[np.int64]) -> "Photographs":
        """Return the same photographs with the groups of (M, 2) pairs of rows joined."""
        return replace(self, group=components(np.concatenate([_chain(self.group), pairs]), len(self.true)))

    def folds(self, seed: int = 0) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Return rows to train on and to test, for each fold: no group is divided, and classes are shared out evenly.

        Raises:
            ValueError: there are fewer groups than `LEAST_GROUPS`.
        """
        groups = len(np.unique(self.group))
        if groups < LEAST_GROUPS:
            raise ValueError(
                f"{len(self.true)} photographs of {len(self.classes)} classes form {groups} leakage groups (near-duplicates, or "
                f"of one publisher): with fewer than {LEAST_GROUPS}, and nothing of the same group in training, an accuracy "
                "cannot be told from chance. Add photographs of other publishers"
            )
        splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
        return list(splitter.split(np.empty(len(self.true)), self.true, self.group))


def read_photographs(data: Path, work: Path, least: int) -> Photographs:
    """Return the photographs of a dataset, of a table, or of a folder with a folder for each country.

    Photographs of one publisher form one group where a table tells publishers apart (column `source`): a publisher has a
    style, a camera and a few countries, and a classifier recognises those.

    Args:
        data: the dataset, the table, a folder with one table in it, or a folder of countries.
        work: where what is not a dataset yet is imported to.
        least: photographs that a class has at least; smaller classes are left out.

    Raises:
        ValueError: fewer than two classes are left.
    """
    folder = data if (data / MANIFEST).is_file() else _imported(data, work / "data")
    photos = read_manifest(folder)
    label = photos["label"] if "label" in photos and photos["label"].notna().all() else photos["country"]
    count = label.value_counts()
    rows = np.flatnonzero(label.isin(count.index[count >= least]))
    classes, true = np.unique(label.iloc[rows].to_numpy(dtype=str), return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"{data} has {len(classes)} classes of at least {least} photographs: give a lower --least")
    chosen = photos.iloc[rows].reset_index(drop=True)
    publisher = codes(chosen, "source")
    sources = len(np.unique(publisher))
    found = Photographs(
        folder,
        Pictures.of_dataset(folder, chosen),
        picture_keys(folder, chosen),
        classes.tolist(),
        true.astype(np.int64),
        leakage_groups(chosen),
        sources,
    )
    return found.joined(_chain(publisher)) if sources > 1 else found


def _imported(data: Path, out: Path) -> Path:
    """Import a table or a folder of countries by the command that users have; return the dataset."""
    if (out / MANIFEST).is_file():
        return out
    tables = [path for path in ([data] if data.is_file() else sorted(data.iterdir())) if path.suffix in TABLE_SUFFIXES]
    if len(tables) == 1:
        run_command("fetch import", str(tables[0]), "--country-column", "country", "--out", str(out))
    else:
        run_command("fetch import", str(data), "--folder-names", "country", "--out", str(out))
    return out


def alike(features: NDArray[np.float32], cosine: float) -> NDArray[np.int64]:
    """Return (M, 2) rows whose standardised features have at least a cosine: near-duplicates, and one place seen twice."""
    standard = (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-6)
    standard /= np.maximum(np.linalg.norm(standard, axis=1, keepdims=True), 1e-12)
    pairs = [np.empty((0, 2), np.int64)]
    for start in range(0, len(standard), CHUNK):
        i, j = np.nonzero(standard[start : start + CHUNK] @ standard.T >= cosine)
        pairs.append(np.column_stack([i + start, j])[i + start < j])
    return np.concatenate(pairs)


def components(pairs: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return the connected component of each of `count` rows, given (M, 2) pairs of them."""
    edges = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return np.asarray(connected_components(edges, directed=False)[1], dtype=np.int64)


def _chain(code: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (M, 2) pairs that connect all rows of each code from 0 up."""
    order = np.argsort(code, kind="stable")
    pairs = np.column_stack([order[:-1], order[1:]])
    return pairs[(code[pairs[:, 0]] == code[pairs[:, 1]]) & (code[pairs[:, 0]] >= 0)]
