"""What was left out of a dataset, and why: `rejected.csv`."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from dataset.picture_finder import AMBIGUOUS, MISSING, OUTSIDE
from plumbing.files import atomic_path

REJECTED = "rejected.csv"
UNREADABLE = "unreadable"
SHOWN = 200
"""Letters of an example."""


@dataclass(frozen=True)
class Rejection:
    """One photograph that is not in the manifest.

    Attributes:
        id: the photograph's id, or where its source names it.
        reason: a few words, the same for all of a kind, that read after a number: "31 without coordinates".
        value: what was found.
        threshold: what it was compared with, empty where there is none.
        stage: the command that left it out.
    """

    id: str
    reason: str
    value: str = ""
    threshold: str = ""
    stage: str = "import"


def write_rejected(data: Path, rejections: Sequence[Rejection]) -> None:
    """Write the list of a dataset folder, in the order given."""
    with (
        atomic_path(data / REJECTED) as partial,
        partial.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.DictWriter(file, [field.name for field in fields(Rejection)])
        writer.writeheader()
        writer.writerows(asdict(rejection) for rejection in rejections)


def read_rejected(data: Path) -> list[Rejection]:
    """Read the list of a dataset folder; empty where there is none.

    Raises:
        ValueError: the file has other columns.
    """
    path = data / REJECTED
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        try:
            return [Rejection(**row) for row in csv.DictReader(file)]
        except TypeError:
            raise ValueError(f"{path} has other columns than this version writes: delete it, then try again") from None


def summary(rejections: Sequence[Rejection], total: int) -> str:
    """Return one line such as `left out 31 of 180: 31 without coordinates`; where files fail, with the first that does."""
    counts = Counter(rejection.reason for rejection in rejections).most_common()
    first = {rejection.reason: rejection for rejection in reversed(rejections)}
    reasons = ", ".join(f"{count:,} {reason}{_example(first[reason])}" for reason, count in counts)
    return f"left out {len(rejections):,} of {total:,}" + (f": {reasons}" if reasons else "")


def _example(rejection: Rejection) -> str:
    said = rejection.value
    if not said or rejection.reason not in (MISSING, UNREADABLE, AMBIGUOUS, OUTSIDE):
        return ""
    return f" (the first: {said if len(said) <= SHOWN else said[: SHOWN - 1] + '…'})"
