"""Lines over a pair of axes as SVG that a page holds, small enough that many stand side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from matplotlib.ticker import MaxNLocator

SMALL, LARGE = (280, 200), (440, 340)
"""Width and height, in the units of type that is 11 to 12 high."""
LEFT, TOP, BOTTOM = 48, 8, 40
LETTER, NAMED, NAMELESS = 7, 62, 16
"""Width of a letter of a name; space on the right with names of lines, at least, and without."""
LABEL_GAP = 13
MANY_POINTS = 60
"""Lines of more points come without a dot on each."""


@dataclass(frozen=True)
class Line:
    """Values along x, in their order; `label` stands at its end.

    Attributes:
        label: what it is.
        colour: name of a variable of `look.css`, which has a value in each theme.
        points: x and y.
        dashed: how it is drawn.
        dots: whether each point has one.
        whiskers: low and high y of the interval of each point; empty without intervals.
    """

    label: str
    colour: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False
    dots: bool = True
    whiskers: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes:
        title: what y is.
        x_title: what x is.
        lines: drawn in their order.
        x_range: least and greatest x.
        y_range: least and greatest y.
        y_words: writes a y.
        x_words: writes an x.
        mark: x at which something happened, with its words.
        whole_x: ticks of x are whole numbers.
        whole_y: ticks of y are whole numbers, as those of a logarithmic axis.
        size: width and height.
    """

    title: str
    x_title: str
    lines: Sequence[Line]
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    y_words: Callable[[float], str]
    x_words: Callable[[float], str]
    mark: tuple[float, str] | None = None
    whole_x: bool = False
    whole_y: bool = False
    size: tuple[int, int] = SMALL


def panel_html(panel: Panel) -> str:
    """Return a panel with its title as HTML; same input, same bytes."""
    parts = [
        _y_axis(panel),
        _x_axis(panel),
        _mark(panel),
        *(_line(panel, line) for line in panel.lines),
        _labels(panel),
    ]
    said = f"{panel.title}: " + ", ".join(line.label for line in panel.lines)
    return (
        f"<figure><figcaption>{escape(panel.title)}</figcaption>"
        f'<svg viewBox="0 0 {panel.size[0]} {panel.size[1]}" role="img" aria-label="{escape(said)}">{"".join(parts)}</svg></figure>'
    )


def _bottom(panel: Panel) -> int:
    return panel.size[1] - BOTTOM


def _right(panel: Panel) -> int:
    longest = max((len(line.label) for line in panel.lines), default=0)
    return panel.size[0] - (max(NAMED, LETTER * longest + 12) if longest else NAMELESS)


def _x(panel: Panel, value: float) -> float:
    low, high = panel.x_range
    # One epoch alone stands in the middle.
    along = (value - low) / (high - low) if high > low else 0.5
    return LEFT + along * (_right(panel) - LEFT)


def _y(panel: Panel, value: float) -> float:
    low, high = panel.y_range
    along = (value - low) / (high - low) if high > low else 0.5
    return _bottom(panel) - along * (_bottom(panel) - TOP)


def _ticks(limits: tuple[float, float], count: int, whole: bool = False) -> list[float]:
    low, high = limits
    if not high > low:
        return [low]
    slack = 1e-9 * (high - low)
    ticks = [float(tick) for tick in MaxNLocator(count, integer=whole).tick_values(low, high)]
    return [tick for tick in ticks if low - slack <= tick <= high + slack]


def _y_axis(panel: Panel) -> str:
    return "".join(
        f'<path class="grid" d="M{LEFT} {_y(panel, tick):.1f}H{_right(panel)}"/>'
        f'<text class="tick" x="{LEFT - 6}" y="{_y(panel, tick) + 4:.1f}" text-anchor="end">'
        f"{escape(panel.y_words(tick))}</text>"
        for tick in _ticks(panel.y_range, 4, panel.whole_y)
    )


def _x_axis(panel: Panel) -> str:
    texts = "".join(
        f'<text class="tick" x="{_x(panel, tick):.1f}" y="{_bottom(panel) + 15}" text-anchor="middle">'
        f"{escape(panel.x_words(tick))}</text>"
        for tick in _ticks(panel.x_range, 5, panel.whole_x)
    )
    middle = (LEFT + _right(panel)) / 2
    title = f'<text class="tick" x="{middle:.1f}" y="{panel.size[1] - 6}" text-anchor="middle">{escape(panel.x_title)}</text>'
    return texts + title


def _mark(panel: Panel) -> str:
    if panel.mark is None:
        return ""
    value, words = panel.mark
    return (
        f'<path class="mark" d="M{_x(panel, value):.1f} {TOP}V{_bottom(panel)}"><title>{escape(words)}</title></path>'
    )


def _line(panel: Panel, line: Line) -> str:
    at = [(_x(panel, x), _y(panel, y)) for x, y in line.points]
    way = "L".join(f"{x:.1f} {y:.1f}" for x, y in at)
    dashes = ' stroke-dasharray="5 4"' if line.dashed else ""
    drawn = f'<path class="line" d="M{way}" style="stroke:var(--{line.colour})"{dashes}/>' if len(at) > 1 else ""
    drawn += "".join(
        f'<path class="line whisker" d="M{_x(panel, x):.1f} {_y(panel, low):.1f}V{_y(panel, high):.1f}" '
        f'style="stroke:var(--{line.colour})"/>'
        for (x, _), (low, high) in zip(line.points, line.whiskers, strict=bool(line.whiskers))
    )
    if not line.dots or len(at) > MANY_POINTS:
        return drawn
    return drawn + "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" style="fill:var(--{line.colour})"><title>'
        f"{escape(f'{line.label}, {panel.x_title} {panel.x_words(value)}: {panel.y_words(height)}')}</title></circle>"
        for (x, y), (value, height) in zip(at, line.points, strict=True)
    )


def _labels(panel: Panel) -> str:
    """Return the lines' names at their ends, moved apart where they would cover each other."""
    named = [(_y(panel, line.points[-1][1]), line) for line in panel.lines if line.label and line.points]
    ends = sorted(named, key=lambda end: end[0])
    heights = spread([height for height, _ in ends], LABEL_GAP, TOP + 4, _bottom(panel))
    return "".join(
        f'<text class="name" x="{_right(panel) + 6}" y="{height + 4:.1f}" style="fill:var(--{line.colour})">'
        f"{escape(line.label)}</text>"
        for height, (_, line) in zip(heights, ends, strict=True)
    )


def spread(heights: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return ascending heights moved at least `gap` apart, within limits where there is room for all."""
    moved: list[float] = []
    for height in heights:
        moved.append(max(height, moved[-1] + gap) if moved else max(height, low))
    limit = max(high, low + gap * (len(moved) - 1))
    for i in range(len(moved) - 1, -1, -1):
        moved[i] = min(moved[i], limit)
        limit = moved[i] - gap
    return moved
