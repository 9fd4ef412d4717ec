"""Which classes are taken for which: confusion matrices in which neighbours stand together, and the most frequent confusions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from geocells.sphere import distance_km
from plumbing.text import counted
from viz.report.parts import kilometres, note, table, wide

SHOWN = 30
"""Classes of a matrix, those with most photographs; the others share its last row and column."""
CONFUSIONS = 10
"""Pairs that are listed."""
SHADES = 8
"""Steps of colour from none to all of a row."""
OTHERS = "other classes"

Report = Mapping[str, Any]


def confusion_html(report: Report, files: str) -> str:
    """Return the most frequent confusions and the matrix of a level as HTML.

    Args:
        report: of `infer.evaluate.class_report`.
        files: name of the CSV file that has the whole matrix.
    """
    matrix = matrix_of(report)
    return "" if matrix is None else _frequent(report) + _matrix(matrix, files)


def _frequent(report: Report) -> str:
    """Return the confusions with most photographs."""
    classes = report["by_class"]
    pairs = [
        (count, true, answered)
        for true, row in report["confusion"].items()
        for answered, count in row.items()
        if true != answered
    ]
    pairs.sort(key=lambda pair: -pair[0])
    if not pairs:
        return note("No photograph was taken for another class.")
    rows = [
        [
            escape(classes[true]["name"]),
            f'<span class="words">{escape(classes[answered]["name"])}</span>',
            f"{count:,}",
            f"{count / classes[true]['n']:.0%}",
            _apart(classes[true], classes[answered]),
        ]
        for count, true, answered in pairs[:CONFUSIONS]
    ]
    head = ["True class", "Taken for", "Photographs", "Of the true class", "Centres apart"]
    wrong = sum(count for count, _, _ in pairs)
    return table(head, rows, f"The most frequent confusions, of {counted(wrong, 'photograph')} taken for another class")


def _apart(one: Report, other: Report) -> str:
    if "latitude" not in one or "latitude" not in other:
        return ""
    places = ((own["latitude"], own["longitude"]) for own in (one, other))
    return kilometres(float(distance_km(*places)))


@dataclass(frozen=True)
class Matrix:
    """Counts of photographs by true class (rows) and answered class (columns).

    Attributes:
        names: of the classes, in the order in which neighbours stand together; the last may be `OTHERS`.
        counts: a row for each class.
        others: classes that share the last row and column.
    """

    names: Sequence[str]
    counts: Sequence[Sequence[int]]
    others: int


def matrix_of(report: Report) -> Matrix | None:
    """Return the matrix of the classes with most photographs; None where there is but one class."""
    if len(report["by_class"]) < 2 or not report["confusion"]:
        return None
    shown = _shown(report)
    column = {key: place for place, key in enumerate(shown)}
    names = [report["by_class"][key]["name"] for key in shown]
    # Whatever is not shown falls into the place after the last.
    rows = [[0] * (len(shown) + 1) for _ in range(len(shown) + 1)]
    for true, answers in report["confusion"].items():
        for answered, count in answers.items():
            rows[column.get(true, len(shown))][column.get(answered, len(shown))] += count
    if len(shown) < len(report["order"]):
        names.append(OTHERS)
    else:
        rows = [row[:-1] for row in rows[:-1]]
    return Matrix(names, rows, len(report["order"]) - len(shown))


def _matrix(matrix: Matrix, file: str) -> str:
    names, others = matrix.names, matrix.others
    head = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in names)
    body = "".join(_row(names, number, counts) for number, counts in enumerate(matrix.counts))
    rest = f" Classes with fewest photographs ({others:,}) share the last row and column." if others else ""
    said = (
        "Each row is a true class; its cells are the percentage of its photographs that was answered as each class. Right answers "
        f"lie on the diagonal. Neighbours stand together.{rest} All counts are in {file}."
    )
    caption = "Confusion matrix, percent of the true class"
    drawn = (
        f'<table class="matrix"><caption>{caption}</caption><thead><tr><th scope="col">True class</th>'
        f'<th scope="col"><span>Photographs</span></th>{head}</tr></thead><tbody>{body}</tbody></table>'
    )
    return wide(drawn, caption) + note(said)


def _shown(report: Report) -> list[str]:
    """Return the classes with most photographs, in the order in which neighbours stand together."""
    by_class = report["by_class"]
    most = sorted(by_class, key=lambda key: -(by_class[key]["n"] + by_class[key]["answered"]))[:SHOWN]
    return [key for key in report["order"] if key in set(most)]


def _row(names: Sequence[str], number: int, counts: Sequence[int]) -> str:
    total = sum(counts)
    cells = "".join(_cell(names, number, place, count, total) for place, count in enumerate(counts))
    return f'<tr><th scope="row">{escape(names[number])}</th><td>{total:,}</td>{cells}</tr>'


def _cell(names: Sequence[str], true: int, answered: int, count: int, total: int) -> str:
    own = ' class="own"' if true == answered else ""
    if not count:
        return f"<td{own}></td>"
    share = count / total
    kind = f"{'own ' if own else ''}s{max(1, round(SHADES * share))}"
    title = f"{names[true]} answered as {names[answered]}: {count:,} of {total:,}"
    return f'<td class="{kind}" title="{escape(title)}">{_percent(share)}</td>'


def _percent(share: float) -> str:
    return "·" if share < 0.005 else f"{100 * share:.0f}"
