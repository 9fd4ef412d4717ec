"""Lists of photographs, small enough to be committed, from which anybody gets the same subset of a dataset."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from plumbing.files import write_text
from plumbing.text import counted

FIRST_LINE = "# photographs of a dataset, one id a line"
_ENTRY = re.compile(r"# ([\w-]+): (.*)")


@dataclass(frozen=True)
class Subset:
    """Which photographs, and by what they are known to be the same.

    Attributes:
        ids: sorted, each once.
        pictures_sha256: SHA-256 over the pictures' own, see `pictures_hash`; empty where they were not known.
        about: where the list comes from, as it stands in the header.
    """

    ids: tuple[str, ...]
    pictures_sha256: str = ""
    about: Mapping[str, str] = field(default_factory=dict)


def ids_hash(ids: Iterable[str]) -> str:
    """Return the SHA-256 over ids in order, each with a line feed behind it, as `grep -v '^#' LIST | sha256sum` does."""
    return hashlib.sha256("".join(f"{photo_id}\n" for photo_id in ids).encode()).hexdigest()


def pictures_hash(sha256_of: Mapping[str, str]) -> str:
    """Return the SHA-256 over lines of id, space, and the SHA-256 of the stored picture, in the order of ids."""
    return ids_hash(f"{photo_id} {sha256_of[photo_id]}" for photo_id in sorted(sha256_of))


def write_subset(path: Path, subset: Subset) -> None:
    """Write a list: a header that ends with the hashes, then the ids."""
    entries = {
        **dict(subset.about),
        "photographs": str(len(subset.ids)),
        **({"pictures-sha256": subset.pictures_sha256} if subset.pictures_sha256 else {}),
        "ids-sha256": ids_hash(subset.ids),
    }
    header = [FIRST_LINE, *(f"# {name}: {value}" for name, value in entries.items())]
    write_text(path, "\n".join([*header, *subset.ids]) + "\n")


def read_subset(path: Path) -> Subset:
    """Read a list.

    Raises:
        ValueError: there is none, it names nothing or a photograph twice, or its ids are not those that it was written
            with.
    """
    if not path.is_file():
        raise ValueError(f"{path} does not exist: it is a list of ids, as `python -m fetch balance` writes it")
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not text: it is a list of ids, as `python -m fetch balance` writes it") from None
    header = {match[1]: match[2] for line in lines if (match := _ENTRY.fullmatch(line))}
    ids = [line for line in lines if line and not line.startswith("#")]
    if not ids:
        raise ValueError(f"{path} names no photographs")
    commonest, count = Counter(ids).most_common(1)[0]
    if count > 1:
        raise ValueError(f"{path} names {commonest} {count} times")
    if "ids-sha256" not in header:
        raise ValueError(f"{path} has no line `# ids-sha256: …`, so nobody can tell whether it is whole")
    if header["ids-sha256"] != ids_hash(ids):
        raise ValueError(
            f"{path} was changed or is cut short: the SHA-256 of its {counted(len(ids), 'id')} is {ids_hash(ids)[:12]}…, its "
            f"header says {header['ids-sha256'][:12]}…"
        )
    about = {name: value for name, value in header.items() if not name.endswith("sha256") and name != "photographs"}
    return Subset(tuple(ids), header.get("pictures-sha256", ""), about)
