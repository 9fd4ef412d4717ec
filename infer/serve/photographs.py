"""Photographs to predictions within the app: what a request may ask, and at most so many at a time."""

import json
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from infer.decode.area import AREA_SUFFIXES
from infer.prediction import Prediction
from infer.predictor import Predictor
from infer.prepared import Options
from plumbing.videos import is_video

AT_ONCE = 2
"""Requests that are computed at the same time; the others wait."""
PATHLIKE = r"[/\\:\x00-\x1f]"
"""What no name of a country has, and paths and addresses do."""
LONGEST = 200
"""Letters of an area that is named in a request."""


class Photographs:
    """A run that answers the requests of visitors.

    Attributes:
        predictor: the run.
        options: what is asked where a request says nothing.
    """

    def __init__(self, predictor: Predictor, options: Options) -> None:
        """Hold a run with what is asked by default.

        Raises:
            ValueError: that cannot be asked of the run.
        """
        self.predictor, self.options = predictor, options
        self._slots = threading.BoundedSemaphore(AT_ONCE)
        # What cannot be asked is refused now and not at the first question.
        predictor.prepared(options)

    def asked(self, changes: Mapping[str, Any]) -> Options:
        """Return the options of a request: those of the server, with its changes.

        Raises:
            ValueError: they cannot work; the message names them without the dashes of flags.
        """
        try:
            options = replace(self.options, **changes)
            self.predictor.prepared(options)
        except ValueError as refusal:
            raise ValueError(without_dashes(str(refusal))) from None
        return options

    def one(self, photo: Path | bytes, options: Options, explain: bool = False) -> Prediction:
        """Return the prediction of a photograph, that of `python -m infer predict`.

        Raises:
            ValueError: it cannot be read as a photograph.
        """
        return next(self.each([photo], options, explain))

    def each(self, photos: Sequence[Path | bytes], options: Options, explain: bool = False) -> Iterator[Prediction]:
        """Yield the prediction of each photograph, or the one of all where they show one place.

        Raises:
            ValueError: one cannot be read as a photograph.
        """
        groups = [photos] if options.same_place else [[photo] for photo in photos]
        for group in groups:
            try:
                _refuse_videos(group)
                with self._slots:
                    stream = self.predictor.stream(
                        group, self.predictor.prepared(options), workers=0, refuse=True, explain=explain
                    )
                    found = [prediction for _, prediction in stream]
            except ValueError as refusal:
                raise ValueError(_unreadable(str(refusal), group)) from None
            yield from found


def _refuse_videos(photos: Sequence[Path | bytes]) -> None:
    """Refuse videos: what visitors hand in reaches no decoder of videos.

    Raises:
        ValueError: one is a video.
    """
    for photo in photos:
        if is_video(photo):
            name = f"{photo}: " if isinstance(photo, Path) else ""
            raise ValueError(f"{name}a video, which is not read here: `python -m infer predict` does")


def _unreadable(said: str, photos: Sequence[Path | bytes]) -> str:
    """Return why a photograph cannot be read, by its name and without the folders of this machine."""
    for photo in photos:
        if isinstance(photo, Path) and str(photo) in said:
            return f"{photo.name} cannot be read as a photograph ({said.replace(str(photo), photo.name)})"
    return f"the bytes cannot be read as a photograph ({said.removeprefix('image 1: ')})"


def without_dashes(text: str) -> str:
    """Return a refusal of flags in the words of a request: `same_place` for `--same-place`."""
    return re.sub(r"--([a-z][a-z-]*)", lambda flag: flag[1].replace("-", "_"), text)


def named_areas(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the areas of a request: countries, boxes and circles, never a file of this machine.

    Raises:
        ValueError: one could be the name of a file, or is too long.
    """
    named = tuple(text.strip() for text in texts if text.strip())
    for text in named:
        if len(text) > LONGEST:
            raise ValueError(f"an area has at most {LONGEST} letters, got {len(text)}: name a country or a box")
        if re.search(PATHLIKE, text) or Path(text).suffix.lower() in AREA_SUFFIXES or os.path.exists(text):
            raise ValueError(
                f"{text!r} is not an area: name a country such as DE or Germany, a box as south,west,north,east in degrees, or a "
                "point and a radius such as 48.85,2.35,50km"
            )
    return named


def answer_dict(prediction: Prediction) -> dict[str, Any]:
    """Return an answer as plain values, without the folders of this machine."""
    content = json.loads(json.dumps(prediction.to_dict()))
    photographs = [{**photo, "path": None} if "path" in photo else photo for photo in content.get("photographs", [])]
    return {**content, "path": None, "photographs": photographs}
