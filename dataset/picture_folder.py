"""Photographs below a folder, as cameras, phones and network disks leave it; what is passed by is counted and named."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from plumbing.picture_kinds import (
    ADVICE,
    DECODERS,
    PICTURE_SUFFIXES,
    RAW,
    UNSTITCHED,
    UNSTITCHED_SUFFIXES,
    VIDEO,
    VIDEO_SUFFIXES,
    decoder,
    kind_of_file,
)
from plumbing.text import counted

LITTER_FOLDERS = frozenset({
    "@eadir", "__macosx", "#recycle", "@recycle", "$recycle.bin", "#snapshot", "@__thumb", "thumbnails", "thumbs", "_thumbs",
    "thmbnl", "system volume information", "lost+found", "node_modules",
})  # fmt: skip
"""Folders of thumbnails, deleted files and the like, in small letters: of macOS, Windows, Synology, QNAP, galleries."""
LITTER_STARTS = ("synophoto_thumb", "synophoto_film", "thumbs.db", "ehthumbs", "~$")
LITTER_SUFFIXES = frozenset(
    {".thm", ".lrv", ".lrdata", ".partial", ".part", ".crdownload", ".download", ".tmp", ".bak", ".backup", ".old"}
)
LITTER_ENDS = ("_original", "~")
"""How exiftool and editors end the names of backups, such as photo.jpg_original."""
LIBRARY, LIBRARY_PICTURES = ".photoslibrary", frozenset({"originals", "masters"})
"""A library of Apple Photos, and which of its folders hold photographs; the others hold smaller copies of these."""
LITTER = "thumbnail, backup or hidden file"
LINKED = "repeated folder link"
NOWHERE = "broken link or special file"
ARCHIVE_SUFFIXES = frozenset({".zip", ".rar", ".7z", ".tar", ".tgz", ".gz"})
UNPACK = "archives: unpack them, then name the folder"
OTHER = "other file"
NO_ENDINGS = (LITTER, LINKED, NOWHERE)
NAMED_ENDINGS = 12
"""Of what is not a photograph, so many endings are named, the most frequent."""


@dataclass
class PictureFolder:
    """What a folder holds.

    Attributes:
        pictures: the photographs, in order of their names.
        unread: photographs and videos of kinds that are not read, and which kind each is.
        passed: how many other files there are, by what they are: `thumbnail, backup or hidden file`, `.txt`.
    """

    pictures: list[Path] = field(default_factory=list)
    unread: dict[Path, str] = field(default_factory=dict)
    passed: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, folder: Path, out: Path | None = None) -> "PictureFolder":
        """Return what lies below a folder; links to folders are followed, each folder once.

        Args:
            folder: searched with all folders below.
            out: a folder that is passed by where it lies below, since what is written there is no photograph.
        """
        found = cls()
        for path in walk(folder, out, found.passed):
            kind = unread_kind(path)
            if kind is None:
                found.pictures.append(path)
            elif kind:
                found.unread[path] = kind
            else:
                found.passed[path.suffix.lower() or "without an ending"] += 1
        return found

    def passed_words(self) -> str:
        """Return what was skipped in words, `2 RAW files (.arw, .dng), 6 other files (.aae)`; empty where nothing was."""
        kinds = Counter(self.unread.values())
        parts = [f"{n:,} {kind_words(self.of_kind(kind), kind)}" for kind, n in kinds.most_common()]
        parts += [counted(n, what) for what, n in self.passed.items() if what in NO_ENDINGS]
        endings = {what: n for what, n in self.passed.items() if what not in NO_ENDINGS}
        if endings:
            named = sorted(sorted(endings, key=lambda ending: -endings[ending])[:NAMED_ENDINGS])
            more = ", …" if len(endings) > NAMED_ENDINGS else ""
            parts.append(f"{counted(sum(endings.values()), OTHER)} ({', '.join(named)}{more})")
        return ", ".join(parts)

    def of_kind(self, kind: str) -> list[Path]:
        """Return the files of one kind that is not read."""
        return [path for path, own in self.unread.items() if own == kind]

    def advice(self) -> str:
        """Return what to do about kinds that are not read; empty where all are."""
        words = [f"{kind}: {ADVICE[kind]}" for kind in dict.fromkeys(self.unread.values()) if kind in ADVICE]
        return "; ".join(words + [UNPACK] * (not ARCHIVE_SUFFIXES.isdisjoint(self.passed)))


def unread_kind(path: Path) -> str | None:
    """Return None of a file that is read as a photograph, its kind where it would be one, '' of other files."""
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return VIDEO
    kind = kind_of_file(path)
    if kind and suffix in UNSTITCHED_SUFFIXES:
        return UNSTITCHED
    if kind in DECODERS:
        return None if decoder(kind) else kind
    # Damaged and empty files with the ending of a photograph are read, so that their reason is said.
    return None if kind == "" and suffix in PICTURE_SUFFIXES else kind


def kind_words(paths: Sequence[Path], kind: str) -> str:
    """Return what files are that are not read, with their endings, in words after a number: `RAW files (.arw, .dng)`."""
    what = {VIDEO: "videos", RAW: "RAW files", UNSTITCHED: f"{UNSTITCHED} files"}.get(kind, f"{kind} pictures")
    what = what if len(paths) > 1 else what.removesuffix("s")
    endings = sorted({path.suffix.lower() or "without an ending" for path in paths})
    return f"{what} ({', '.join(endings)})"


def walk(folder: Path, out: Path | None = None, passed: Counter[str] | None = None) -> Iterator[Path]:
    """Yield the files below a folder in order, without hidden ones, thumbnails, and what lies in `out`.

    Args:
        folder: searched with all folders below; links to folders are followed, and each is searched once.
        out: a folder that is passed by.
        passed: counts what is passed by.
    """
    passed = Counter() if passed is None else passed
    skip = None if out is None else out.resolve()
    seen = {_identity(folder)}
    for root, folders, names in os.walk(folder, followlinks=True):
        kept = []
        for name in sorted(folders):
            path = Path(root, name)
            if _is_litter(name) or _is_copy_in_library(Path(root), name):
                passed[LITTER] += sum(len(files) for _, _, files in os.walk(path))
            elif skip is None or path.resolve() != skip:
                if (own := _identity(path)) in seen:
                    passed[LINKED] += 1
                    continue
                seen.add(own)
                kept.append(name)
        folders[:] = kept
        for name in sorted(names):
            path = Path(root, name)
            if _is_litter(name):
                passed[LITTER] += 1
            elif os.path.isfile(path):
                yield path
            else:
                passed[NOWHERE] += 1


def _is_litter(name: str) -> bool:
    plain = name.casefold()
    return (
        name.startswith(".")
        or plain in LITTER_FOLDERS
        or plain.startswith(LITTER_STARTS)
        or plain.endswith(LITTER_ENDS)
        or Path(plain).suffix in LITTER_SUFFIXES
    )


def _is_copy_in_library(folder: Path, name: str) -> bool:
    return folder.suffix.casefold() == LIBRARY and name.casefold() not in LIBRARY_PICTURES


def _identity(path: Path) -> tuple[int, int] | str:
    """Return by what a folder is known again through a link."""
    try:
        found = path.stat()
    except OSError:
        return str(path)
    # Some file systems number no files.
    return (found.st_dev, found.st_ino) if found.st_ino else str(path.resolve())
