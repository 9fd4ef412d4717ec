"""What the names of folders state of the photographs inside: their country, or their label, as torchvision's ImageFolder has it.

Those folders lie directly below the source, or further inside: below `train` and `val`, below `images`, below continents.
"""

import logging
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from dataset.country_names import Match, match_country, report
from fetch.sources.config import ImportConfig
from plumbing.text import counted, utf8

SPLITS = frozenset(
    {"train", "training", "val", "valid", "validation", "dev", "eval", "test", "testing", "calibration", "holdout"}
)
"""Names of folders that divide a dataset and state nothing of its pictures."""
NUMBERED = re.compile(r"(?:\d+[\s._-]+)?(.*?)(?:[\s_-]+\d+|\s*\(\d+\))?")
"""A name with the number of its class in front, or with a count behind."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FolderNames:
    """What folders state, by their names.

    Attributes:
        source: the folder that is imported.
        level: how many folders lie between it and those whose names count.
        stated: the country or the label that a name states, or why it states nothing.
    """

    source: Path
    level: int = 0
    stated: dict[str, dict[str, str] | str] = field(default_factory=dict)

    def name_of(self, path: Path) -> str:
        """Return the name that counts for a photograph; empty where it lies in no such folder."""
        folders = path.relative_to(self.source).parts[:-1]
        return utf8(folders[self.level]) if len(folders) > self.level else ""

    def of(self, path: Path) -> dict[str, str] | str:
        """Return what is stated of a photograph, or why nothing is; an empty dictionary where it lies in no such folder."""
        return self.stated.get(self.name_of(path), {})


def stated_by_folders(config: ImportConfig, files: list[Path]) -> FolderNames:
    """Return what the names of folders state of the pictures inside, as `--folder-names` asks."""
    if config.folder_names is None:
        return FolderNames(config.source)
    by_level = _names(config.source, files)
    if config.folder_names == "label":
        level = _level_of_labels(by_level)
        found: dict[str, dict[str, str] | str] = {name: {"label": name} for name in by_level[level]} if by_level else {}
    else:
        level = _level_of_countries(by_level)
        found = _countries(by_level[level]) if by_level else {}
    if level:
        above = ", ".join(sorted(utf8(name) for name in by_level[level - 1])[:5])
        log.info(
            f"--folder-names {config.folder_names}: the folders {counted(level + 1, 'level')} down count, below {above}"
        )
    return FolderNames(config.source, level, found)


def _names(source: Path, files: list[Path]) -> list[Counter[str]]:
    """Return, by level, how many photographs lie below folders of each name."""
    found: list[Counter[str]] = []
    for path in files:
        for level, name in enumerate(path.relative_to(source).parts[:-1]):
            if level == len(found):
                found.append(Counter())
            found[level][utf8(name)] += 1
    return found


def _level_of_labels(by_level: list[Counter[str]]) -> int:
    """Return which folders are labels: the first that are neither splits of a dataset nor one folder around all of it."""
    for level, names in enumerate(by_level[:-1]):
        around = len(names) == 1 and by_level[level + 1].total() == names.total()
        if not around and not {name.casefold() for name in names} <= SPLITS:
            return level
    return max(0, len(by_level) - 1)


def _level_of_countries(by_level: list[Counter[str]]) -> int:
    """Return which folders are countries: the first that place half of the photographs, or those that place the most."""
    known: list[int] = []
    for names in by_level:
        known.append(sum(n for name, n in names.items() if _match(name).alpha2))
        if 2 * known[-1] >= by_level[0].total():
            break
    return known.index(max(known)) if known else 0


def _countries(count: Counter[str]) -> dict[str, dict[str, str] | str]:
    matches = {name: _match(name) for name in count}
    log.info("countries: " + report(matches, count))
    return {
        name: {"country": match.alpha2} if match.alpha2 else f"with a country that is {match.how}"
        for name, match in matches.items()
    }


@cache
def _match(name: str) -> Match:
    """Return the country that the name of a folder stands for; numbers around a name count for nothing."""
    text = unquote(name).replace("_", " ").strip()
    found = match_country(text)
    plain = NUMBERED.fullmatch(text)
    if found.how == "unknown" and plain is not None and plain[1] and plain[1] != text:
        found = match_country(plain[1])
    return replace(found, text=name)
