"""Folders that a mistyped path may mean."""

import difflib
from collections.abc import Iterator
from pathlib import Path

LIKE = 0.6
"""How similar two names are at least, as difflib counts."""
SHOWN = 3
MOST_NAMES = 1000
"""Names in a folder that are looked at."""


def did_you_mean(path: Path, mark: str) -> str:
    """Return words that name folders which hold a file `mark` and are called nearly as `path`; empty where there is none.

    Args:
        path: a folder without that file, as somebody typed it.
        mark: the file by which the folders wanted are told.
    """
    base = Path(path.anchor) if path.anchor else Path()
    parts = path.parts[1:] if path.anchor else path.parts
    found = [near for near in _near(base, parts) if near != path and (near / mark).is_file()]
    return f"; did you mean {' or '.join(map(str, found[:SHOWN]))}?" if found else ""


def _near(base: Path, parts: tuple[str, ...], corrected: bool = False) -> Iterator[Path]:
    """Yield folders below `base` whose parts are those given, or names like them, the most similar first."""
    if not parts:
        yield base
        return
    name, rest = parts[0], parts[1:]
    # What is there is right, unless it is the last part of what was typed, which then lacks the mark.
    if (rest or corrected) and (base / name).is_dir():
        yield from _near(base / name, rest, corrected)
        return
    for near in difflib.get_close_matches(name, _folders(base), n=SHOWN, cutoff=LIKE):
        yield from _near(base / near, rest, True)


def _folders(base: Path) -> list[str]:
    try:
        names = [entry.name for _, entry in zip(range(MOST_NAMES), base.iterdir(), strict=False) if entry.is_dir()]
    except OSError:
        return []
    return sorted(names)
