"""The answers of one question as files to look at and to download."""

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infer.photo_files import unique_names
from infer.prediction import Prediction
from infer.serve.photographs import Photographs, answer_dict
from plumbing.files import write_json, write_text


@dataclass(frozen=True)
class Made:
    """One answer.

    Attributes:
        name: of its photograph, or of the first of one place with how many there are.
        files: JSON, GeoJSON, page and picture.
        record: the answer as plain values.
    """

    name: str
    files: tuple[Path, ...]
    record: dict[str, Any]

    @property
    def page(self) -> Path:
        """Return its page."""
        return next(path for path in self.files if path.suffix == ".html")


class Answers:
    """What answers questions and writes the files of the answers."""

    def __init__(
        self,
        photographs: Photographs,
        page_of: Callable[[Prediction], str],
        picture_of: Callable[[Prediction], bytes],
        folder: Path,
    ) -> None:
        """Hold what answers, what draws, and where the files go."""
        self._photographs, self._page_of, self._picture_of, self._folder = photographs, page_of, picture_of, folder

    def make(
        self,
        photos: Sequence[Path],
        changes: Mapping[str, Any],
        explain: bool = False,
        progress: Callable[[int, int], None] = lambda done, of: None,
    ) -> tuple[list[Made], list[str]]:
        """Return an answer for each photograph that can be read, or one for all, and why others cannot.

        Args:
            photos: files.
            changes: options that differ from those of the server.
            explain: whether a heat map is wanted.
            progress: is told how many of how many are answered.

        Raises:
            ValueError: an option cannot work, or no photograph can be read.
        """
        options = self._photographs.asked(changes)
        folder = self._folder / uuid.uuid4().hex
        groups = [list(photos)] if options.same_place else [[photo] for photo in photos]
        names = unique_names([group[0] for group in groups])
        made: list[Made] = []
        refused: list[str] = []
        for number, group in enumerate(groups):
            progress(number, len(groups))
            try:
                (prediction,) = self._photographs.each(group, options, explain)
            except ValueError as refusal:
                refused.append(str(refusal))
                continue
            made.append(self._written(prediction, folder, names[group[0]], _name(group, made)))
        progress(len(groups), len(groups))
        if not made:
            raise ValueError("; ".join(refused))
        return made, refused

    def _written(self, prediction: Prediction, folder: Path, stem: str, name: str) -> Made:
        record = answer_dict(prediction)
        paths = tuple(folder / f"{stem}.{suffix}" for suffix in ("json", "geojson", "html", "png"))
        write_json(paths[0], record)
        write_text(paths[1], json.dumps(prediction.to_geojson(), ensure_ascii=False) + "\n")
        write_text(paths[2], self._page_of(prediction))
        paths[3].write_bytes(self._picture_of(prediction))
        return Made(name, paths, record)


def _name(group: Sequence[Path], before: Sequence[Made]) -> str:
    """Return what an answer is called, told from others of photographs of the same name."""
    name = group[0].name if len(group) == 1 else f"{group[0].name} and {len(group) - 1} more"
    taken = sum(one.name == name or one.name.startswith(f"{name} (") for one in before)
    return f"{name} ({taken + 1})" if taken else name
