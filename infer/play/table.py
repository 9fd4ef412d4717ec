"""The table of answers: one row for each photograph and player, appended at once, so that nothing typed is lost."""

import csv
import io
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

from infer.play.countries import MOST
from plumbing.files import write_text

log = logging.getLogger(__name__)

PERSON, NETWORK = "person", "network"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one player answered for one photograph.

    Attributes:
        kind: `person` or `network`.
        player: name of the person or of the run.
        photograph: its id in the dataset.
        group: id of the first photograph of its leakage group, by which intervals are clustered.
        country: where it was taken, ISO 3166-1 alpha-2.
        guesses: codes, the likeliest first; at most five.
        data: name of the dataset.
        split_hash: of its test split.
        resolution: how it was shown, `network` or `full`.
        side: pixels a side that the network sees.
        model_hash: of a network; nothing of a person.
        answered_at_utc: when.
        latitude: of the place that was pointed at, in degrees; None where countries alone were named.
        longitude: likewise.
        distance_km: from there to where it was taken; None where one of the two is not known.
    """

    kind: str
    player: str
    photograph: str
    group: str
    country: str
    guesses: tuple[str, ...]
    data: str
    split_hash: str
    resolution: str
    side: int
    model_hash: str
    answered_at_utc: str
    latitude: float | None = None
    longitude: float | None = None
    distance_km: float | None = None


GUESSES = tuple(f"guess_{k}" for k in range(1, MOST + 1))
COLUMNS = tuple(
    column for field in fields(Answer) for column in (GUESSES if field.name == "guesses" else (field.name,))
)
PLACE = ("latitude", "longitude", "distance_km")
"""Columns that older tables lack."""
OLDER = tuple(column for column in COLUMNS if column not in PLACE)


def append(path: Path, answers: Sequence[Answer]) -> None:
    """Append answers to a table, which is made where it does not exist, in one write.

    Raises:
        ValueError: the file is another table.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    if not path.is_file() or not path.stat().st_size:
        path.parent.mkdir(parents=True, exist_ok=True)
        rows.writerow(COLUMNS)
    else:
        read(path)
        _mend(path)
        _upgrade(path)
    for answer in answers:
        values = asdict(answer)
        guesses = values.pop("guesses")
        values |= dict(zip(GUESSES, [*guesses, *[""] * (MOST - len(guesses))], strict=True))
        rows.writerow(["" if values[column] is None else values[column] for column in COLUMNS])
    with path.open("ab") as file:
        file.write(text.getvalue().encode())


def _mend(path: Path) -> None:
    """Remove a last line that was cut short by an interruption."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        log.warning("%s: the last line was cut short and is dropped", path)
        with path.open("r+b") as file:
            file.truncate(whole)


def _upgrade(path: Path) -> None:
    """Give an older table the columns of places."""
    header, _, rest = path.read_text(encoding="utf-8").partition("\n")
    if tuple(header.split(",")) != OLDER:
        return
    # No field has a line break, so each line is a row.
    lines = [",".join(COLUMNS), *(line + "," * len(PLACE) for line in rest.splitlines())]
    write_text(path, "\n".join(lines) + "\n")


def read(path: Path) -> list[Answer]:
    """Return the answers of a table, in order; the later one where a player answered a photograph twice.

    Raises:
        ValueError: there is no such file, or it is another table.
    """
    if not path.is_file():
        raise ValueError(f"{path} does not exist: `python -m infer play` writes it")
    whole = path.read_bytes().decode("utf-8", errors="replace").rpartition("\n")[0]
    try:
        table = pd.read_csv(io.StringIO(whole), dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError):
        table = pd.DataFrame()
    if tuple(table.columns) not in (COLUMNS, OLDER):
        raise ValueError(f"{path} is not a table of `python -m infer play`: name a table that it wrote")
    found = {}
    for row in table.to_dict("records"):
        values: dict[str, Any] = {str(name): text for name, text in row.items() if name not in (*GUESSES, *PLACE)}
        values |= {name: float(row[name]) if row.get(name) else None for name in PLACE}
        guesses = tuple(row[name] for name in GUESSES if row[name])
        answer = Answer(**{**values, "guesses": guesses, "side": int(values["side"])})
        found[answer.kind, answer.player, answer.photograph, answer.model_hash, game_of(answer)] = answer
    return list(found.values())


def game_of(answer: Answer) -> tuple[str, str, str, int]:
    """Return what two answers must share to be compared: photographs, and how they were shown.

    The size of the network's input matters only where people saw just that.
    """
    return answer.data, answer.split_hash, answer.resolution, answer.side if answer.resolution == NETWORK else 0
