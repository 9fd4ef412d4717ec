"""The file that a table means by a name: written on another system, with another ending, as an address, as a number."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, unquote_plus, urlsplit

from dataset.picture_folder import unread_kind, walk
from dataset.wiki_names import loose, title_of, wiki_names
from plumbing.picture_kinds import PICTURE_SUFFIXES
from plumbing.text import folded_name

AMBIGUOUS = "ambiguous (several files have the name)"
MISSING, OUTSIDE = "missing", "outside the folder of pictures"
DRIVE = re.compile(r"[A-Za-z]:/")
WHOLE = re.compile(r"(\d+)(?:\.0*)?")
"""A number, as tables have it that took ids for numbers: 1000.0, or 7 of 000007."""
THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")
MOST_DIGITS = 1000
"""Python turns no longer text into a number."""
SCIENTIFIC = re.compile(r"(\d)\.(\d+)e\+?(\d{1,3})", re.IGNORECASE)


class PictureFinder:
    """Finds the file that a table means.

    An absolute path is taken as it is. A relative one starts in `images`, then in the table's folder, and must stay
    inside one of the two: a table from elsewhere cannot reach other files with `..`. Where nothing is there, the name is
    looked for in all folders below, by its last part; folders that it names must not contradict where two names of the
    table end alike. Endings may be missing or others, accents written in the way of another system, `%20` may stand for a
    space, and numbers may have lost zeros or gained a `.0`. Titles of wikis (`File:Foo bar.jpg`) are names too. Where nothing
    else is found, spaces, underscores and characters that files may not have stand for each other.
    """

    def __init__(self, table_folder: Path, images: Path | None, out: Path | None, names: Iterable[str] = ()) -> None:
        """Remember where to look.

        Args:
            table_folder: the folder of the table.
            images: the folder of pictures, where it is another.
            out: the dataset to be, whose pictures are not meant.
            names: all that the table names.
        """
        self.roots = [Path(os.path.abspath(root)) for root in ([images] if images else []) + [table_folder]]
        self.out = out
        self._alike = Counter(_last(_slashes(name)) for name in set(names))
        self._stems = Counter(map(_stem, self._alike))
        self._loose = Counter(map(loose, {title_of(name) for name in self._alike}))
        self._below: dict[str, list[Path]] | None = None

    def find(self, picture: str) -> Path | str:
        """Return the file, or why there is none, in words that read after a number."""
        if not picture.strip():
            return "without a picture"
        if "\0" in picture:
            return MISSING
        refused = True
        for name in _readings(picture):
            places = self._places(name)
            refused = refused and not places
            for place in places:
                for path in (place, *(place.with_name(place.name + suffix) for suffix in sorted(PICTURE_SUFFIXES))):
                    if _is_file(path):
                        return path
        reasons = []
        for name in _readings(picture):
            found = self._by_last_part(name)
            if isinstance(found, Path):
                return found
            reasons.append(found)
        return next((reason for reason in reasons if reason != MISSING), OUTSIDE if refused else MISSING)

    def _places(self, name: str) -> list[Path]:
        """Return where a name would lie; nowhere, where it leads out of the folders."""
        if not name or name in (".", ".."):
            return []
        places = [Path(os.path.normpath(root / name)) for root in self.roots]
        places = [place for place in places if place.name]
        if Path(name).is_absolute():
            return places[:1]
        return [place for place in places if any(place.is_relative_to(root) for root in self.roots)]

    def _by_last_part(self, name: str) -> Path | str:
        """Return the one file below the folders that ends as a name does, or why there is none."""
        last = _last(name)
        files = self._anywhere().get(last, [])
        stem = _stem(last)
        if not files and stem and self._stems[stem] <= 1:
            files = self._anywhere().get(stem, [])
        if not files and (number := WHOLE.fullmatch(stem or last)) and len(number[1]) < MOST_DIGITS:
            files = self._anywhere().get(f"#{int(number[1])}", [])
        if not files and (plain := loose(last)) and self._loose[plain] <= 1:
            files = self._anywhere().get(f"~{plain}", [])
        if not files:
            return MISSING
        folders = [folded_name(part) for part in PurePosixPath(name).parts[:-1]]
        shared = [_shared(folders, file) for file in files]
        best = [file for file, count in zip(files, shared, strict=True) if count == max(shared)]
        if folders and max(shared) == 0 and (self._alike[last] > 1 or len(files) > 1):
            return MISSING
        return best[0] if len(best) == 1 else AMBIGUOUS

    def _anywhere(self) -> dict[str, list[Path]]:
        """Return the pictures below the folders by name, with and without ending, numbers also by their value."""
        if self._below is None:
            self._below = {}
            found = dict.fromkeys(path for root in self.roots for path in walk(root, self.out))
            for path in found:
                if path.suffix.lower() not in PICTURE_SUFFIXES and unread_kind(path) is not None:
                    continue
                names = {folded_name(path.name), folded_name(path.stem), f"~{loose(path.name)}"}
                if path.stem.isascii() and path.stem.isdigit() and len(path.stem) < MOST_DIGITS:
                    names.add(f"#{int(path.stem)}")
                for name in names:
                    self._below.setdefault(name, []).append(path)
        return self._below


def _readings(picture: str) -> Iterator[str]:
    """Yield what a name may mean, the literal one first."""
    literal = _slashes(picture)
    yield literal
    plain = picture.strip().strip("\"'")
    if "://" in plain:
        try:
            plain = urlsplit(plain).path.lstrip("/")
        except ValueError:
            return
    further = [_slashes(plain), _slashes(unquote(plain)), _slashes(unquote_plus(plain))]
    further += [name.partition(":")[2].lstrip("/") for name in further if DRIVE.match(name)]
    further += map(_slashes, wiki_names(picture.strip().strip("\"'")))
    number = WHOLE.fullmatch(plain)
    further += [number[1]] if number else []
    further += [plain.replace(",", "")] if THOUSANDS.fullmatch(plain) else []
    further += [whole] if (whole := _of_scientific(plain)) else []
    yield from (name for name in dict.fromkeys(further) if name != literal and "\0" not in name)


def _slashes(name: str) -> str:
    """Return a path as this system writes it; a backslash is not a sensible part of a file name elsewhere."""
    return name.replace("\\", "/")


def _last(name: str) -> str:
    return folded_name(name.rstrip("/").rpartition("/")[2])


def _stem(last: str) -> str:
    """Return the last part of a name without the ending of a picture; empty where it has another, or none."""
    return last.rpartition(".")[0] if last.endswith(tuple(PICTURE_SUFFIXES)) else ""


def _of_scientific(text: str) -> str:
    """Return the whole number of `1.23456789012E+11`; nothing where digits are lost."""
    match = SCIENTIFIC.fullmatch(text)
    if match is None or len(match[2].rstrip("0")) > int(match[3]) or len(match[2]) < int(match[3]):
        return ""
    return match[1] + match[2][: int(match[3])]


def _shared(folders: list[str], file: Path) -> int:
    """Return how many folders, from the last backwards, a name and a file have in common."""
    count = 0
    for wanted, own in zip(reversed(folders), reversed(file.parent.parts), strict=False):
        if wanted != folded_name(own):
            break
        count += 1
    return count


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # A name too long to be one.
        return False
