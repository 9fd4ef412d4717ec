"""Pieces that the sections of a report are made of: headings, tables, bars, numbers as people write them."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

Figure = Mapping[str, float | None]
"""`value`, `low`, `high` of a 95 % interval; both None where there is none."""

BEST_GEOSCORE = 5000


def section(title: str, *parts: str) -> str:
    """Return a section as HTML; the parts are HTML already."""
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def missing(what: str, command: str) -> str:
    """Return the line that stands for a section without its file."""
    return f'<p class="missing">{escape(what)} <code>{escape(command)}</code></p>'


def note(text: str) -> str:
    """Return a line that explains."""
    return f'<p class="soft">{escape(text)}</p>'


def warned(text: str) -> str:
    """Return a line that warns."""
    return f'<p class="warning">{escape(text)}</p>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "", minor: Sequence[str] = ()) -> str:
    """Return a table as HTML, its first column of words and the others of numbers.

    Args:
        head: texts above the columns.
        rows: cells as HTML, escaped by the caller.
        caption: text above the table.
        minor: heads of columns that narrow screens leave out.
    """
    kinds = [' class="minor"' if text in minor else "" for text in head]
    above = f"<caption>{escape(caption)}</caption>" if caption else ""
    heads = "".join(f'<th scope="col"{kind}>{escape(text)}</th>' for text, kind in zip(head, kinds, strict=True))
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>'
        f"{''.join(f'<td{kind}>{cell}</td>' for cell, kind in zip(row[1:], kinds[1:], strict=True))}</tr>"
        for row in rows
    )
    drawn = f"<table>{above}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    return wide(drawn, caption or f"Table by {head[0].lower() or 'figure'}")


def wide(drawn: str, words: str) -> str:
    """Return a table in a box that scrolls where it is wider than the page, by keys as well."""
    return f'<div class="wide" role="region" tabindex="0" aria-label="{escape(words)}">{drawn}</div>'


def facts(pairs: Sequence[tuple[str, Any]]) -> str:
    """Return pairs of words and values as HTML, leaving out values that are None or empty."""
    items = "".join(
        f"<dt>{escape(key)}</dt><dd>{escape(str(value))}</dd>" for key, value in pairs if value not in (None, "")
    )
    return f"<dl>{items}</dl>"


def bar(share: float, low: float | None = None, high: float | None = None) -> str:
    """Return a bar of a share of one as HTML, with its interval where it has one."""
    full = min(max(share, 0), 1)
    whisker = ""
    if low is not None and high is not None:
        low, high = min(max(low, 0), 1), min(max(high, 0), 1)
        whisker = f'<s style="left:{100 * low:.2f}%;width:{100 * (high - low):.2f}%"></s>'
    return f'<i class="bar"><b style="width:{100 * full:.2f}%"></b>{whisker}</i>'


def measured(name: str, figure: Figure) -> str:
    """Return a figure with its interval, as HTML, and a bar where more of it is better."""
    value, low, high = (figure[key] for key in ("value", "low", "high"))
    assert value is not None, "only intervals are left out"
    scale = full_scale(name)
    if low is None or high is None:
        return f"{words(name, value)}{'' if scale is None else bar(value / scale)}"
    drawn = "" if scale is None else bar(value / scale, low / scale, high / scale)
    return f"{words(name, value)} <small>{interval_words(name, low, high)}</small>{drawn}"


def interval_words(name: str, low: float, high: float) -> str:
    """Return an interval in the unit of its figure, which is not said again."""
    if full_scale(name) == 1:
        return f"{100 * low:.1f}–{100 * high:.1f}"
    return f"{low:,.0f}–{high:,.0f}" if high >= 10 else f"{low:.2g}–{high:.2g}"


def full_scale(name: str) -> float | None:
    """Return the best that a figure can be; None where less is better."""
    if name == "geoscore":
        return BEST_GEOSCORE
    return None if name.endswith("_km") else 1.0


def words(name: str, value: float) -> str:
    """Return a value of a figure as people write it, by the unit in its name."""
    if name == "geoscore":
        return f"{value:,.0f}"
    return kilometres(value) if name.endswith("_km") else f"{value:.1%}"


def kilometres(value: float) -> str:
    """Return kilometres for reading, to three digits where they are few."""
    return f"{value:,.0f} km" if value >= 10 else f"{value:.2g} km"


def area_words(area_km2: float) -> str:
    """Return square kilometres for reading; the head of the table names the unit."""
    return f"{float(f'{area_km2 / 1e6:.3g}'):,.10g} million" if area_km2 >= 1e6 else f"{area_km2:,.0f}"
