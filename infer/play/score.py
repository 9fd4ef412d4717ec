"""How often people and networks name the country: top-1, top-3 and top-5 on the same photographs, and whether they differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from geocells.sphere import geoscore
from infer.evaluate.intervals import without_intervals
from infer.evaluate.metrics import mean_intervals
from infer.play.table import NETWORK, PERSON, Answer, game_of
from plumbing.text import counted

TOP = (1, 3, 5)
FEW_GROUPS = 30
"""With fewer groups, a cluster bootstrap has too few values to resample."""
Interval = Mapping[str, Any]


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test of paired right and wrong answers.

    Attributes:
        first_alone: photographs that only the first answered right.
        second_alone: those that only the second did.
        p: two-sided probability of a split at least as uneven, were both equally good.
    """

    first_alone: int
    second_alone: int
    p: float


@dataclass(frozen=True)
class Score:
    """A person and a network on the same photographs.

    Attributes:
        player: name of the person.
        run: name of the network's run.
        model_hash: of the network.
        data: name of the dataset.
        resolution: how photographs were shown, `network` or `full`.
        side: pixels a side that the network sees.
        photographs: that both answered.
        groups: leakage groups of them, which the bootstrap resamples.
        person: share of photographs whose country is among the first k, by k, with its 95 % interval.
        network: likewise.
        difference: person less network, likewise.
        tests: McNemar's test by k, the person first.
        placed: photographs for which both pointed at a place.
        points: GeoGuessr points of them, 0 to 5000, of `person`, `network` and `difference`; empty where there are none.
    """

    player: str
    run: str
    model_hash: str
    data: str
    resolution: str
    side: int
    photographs: int
    groups: int
    person: dict[int, Interval]
    network: dict[int, Interval]
    difference: dict[int, Interval]
    tests: dict[int, McNemar]
    placed: int
    points: Mapping[str, Interval]

    @property
    def caveat(self) -> str:
        """Return what is wrong with the intervals of few groups; nothing of enough."""
        if self.groups >= FEW_GROUPS:
            return ""
        if self.groups == 1:
            return "only 1 group of photographs: no interval can be given, and nothing is decided"
        return f"only {counted(self.groups, 'group')}: an interval of fewer than {FEW_GROUPS} is too narrow to be relied on"


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemar:
    """Return McNemar's exact test of (N,) right answers of two to the same questions.

    Source: McNemar 1947; the exact form is the two-sided binomial test of the discordant pairs.
    """
    alone, other = int((first & ~second).sum()), int((second & ~first).sum())
    p = float(binomtest(alone, alone + other, 0.5).pvalue) if alone + other else 1.0
    return McNemar(alone, other, p)


def scores(answers: Sequence[Answer], seed: int = 0) -> list[Score]:
    """Return a score for each person and network that answered the same photographs shown in the same way."""
    by_player: dict[tuple[str, ...], list[Answer]] = {}
    for answer in answers:
        by_player.setdefault((answer.kind, answer.player, answer.model_hash, *map(str, game_of(answer))), []).append(
            answer
        )
    people = [own for key, own in by_player.items() if key[0] == PERSON]
    networks = [own for key, own in by_player.items() if key[0] == NETWORK]
    pairs = [_paired(ours, theirs) for ours in people for theirs in networks if game_of(ours[0]) == game_of(theirs[0])]
    return [_score(person, network, seed) for person, network in pairs if person]


def _paired(ours: Sequence[Answer], theirs: Sequence[Answer]) -> tuple[list[Answer], list[Answer]]:
    other = {answer.photograph: answer for answer in theirs}
    both = [answer for answer in ours if answer.photograph in other]
    return both, [other[answer.photograph] for answer in both]


def _score(person: Sequence[Answer], network: Sequence[Answer], seed: int) -> Score:
    _, group = np.unique([answer.group for answer in person], return_inverse=True)
    ours, theirs = _ranks(person), _ranks(network)
    values = {
        (who, k): column.astype(np.float64)
        for k in TOP
        for who, column in (
            ("person", ours < k),
            ("network", theirs < k),
            ("difference", (ours < k).astype(int) - (theirs < k)),
        )
    }
    figures = _intervals({f"{who} {k}": column for (who, k), column in values.items()}, group, seed)
    of = {who: {k: figures[f"{who} {k}"] for k in TOP} for who in ("person", "network", "difference")}
    return Score(
        player=person[0].player,
        run=network[0].player,
        model_hash=network[0].model_hash,
        data=person[0].data,
        resolution=person[0].resolution,
        side=network[0].side,
        photographs=len(person),
        groups=len(np.unique(group)),
        **of,
        tests={k: mcnemar(ours < k, theirs < k) for k in TOP},
        placed=int(_placed(person, network).sum()),
        points=_points(person, network, group, seed),
    )


def _placed(person: Sequence[Answer], network: Sequence[Answer]) -> NDArray[np.bool_]:
    """Return (N,) whether both pointed at a place whose distance from the true one is known."""
    pairs = zip(person, network, strict=True)
    return np.array([ours.distance_km is not None and theirs.distance_km is not None for ours, theirs in pairs])


def _points(
    person: Sequence[Answer], network: Sequence[Answer], group: NDArray[np.int64], seed: int
) -> Mapping[str, Interval]:
    both = np.flatnonzero(_placed(person, network))
    if not len(both):
        return {}
    ours, theirs = (geoscore([answers[k].distance_km or 0.0 for k in both.tolist()]) for answers in (person, network))
    return _intervals({"person": ours, "network": theirs, "difference": ours - theirs}, group[both], seed)


def _intervals(
    values: Mapping[str, NDArray[np.float64]], group: NDArray[np.int64], seed: int
) -> Mapping[str, Interval]:
    """Return means with their intervals, which are None of one group."""
    found = mean_intervals(values, group, seed)
    return without_intervals(found) if len(np.unique(group)) == 1 else found


def _ranks(answers: Sequence[Answer]) -> NDArray[np.int64]:
    """Return (N,) the place of the true country among the guesses, from 0; more than any where it is not among them."""
    return np.array(
        [a.guesses.index(a.country) if a.country in a.guesses else max(TOP) for a in answers], dtype=np.int64
    )


def score_text(score: Score) -> str:
    """Return a score as lines for people."""
    shown = f"{score.side} x {score.side} pixels" if score.resolution == NETWORK else "full resolution"
    lines = [
        f"{score.player} and the network {score.run} on {counted(score.photographs, 'photograph')} in "
        f"{counted(score.groups, 'group')} of the test split of {score.data}, shown at {shown}; "
        "[95 % cluster-bootstrap interval, which resamples groups]",
        f"{'':<6}{'person':>23}{'network':>23}{'difference':>25}   only person, only network right; McNemar's exact p",
    ]
    for k in TOP:
        test = score.tests[k]
        lines.append(
            f"top-{k:<2}{_share(score.person[k]):>23}{_share(score.network[k]):>23}{_share(score.difference[k], '+'):>25}   "
            f"{test.first_alone}, {test.second_alone}; p = {test.p:.2g}"
        )
    if score.points:
        figures = [
            _number(score.points[who], sign) for who, sign in (("person", ""), ("network", ""), ("difference", "+"))
        ]
        lines.append(
            f"{'points':<6}{figures[0]:>23}{figures[1]:>23}{figures[2]:>25}   GeoGuessr points, 0 to 5000, of "
            f"{counted(score.placed, 'photograph')} that both placed"
        )
    if score.caveat:
        lines.append(score.caveat)
    return "\n".join(lines)


def _number(figure: Interval, sign: str = "") -> str:
    value, low, high = (figure[name] for name in ("value", "low", "high"))
    return f"{value:{sign},.0f}" + ("" if low is None else f" [{low:{sign},.0f}, {high:{sign},.0f}]")


def _share(figure: Interval, sign: str = "") -> str:
    value, low, high = (figure[name] for name in ("value", "low", "high"))
    interval = "" if low is None else f" [{100 * low:{sign}.1f}, {100 * high:{sign}.1f}]"
    return f"{100 * value:{sign}.1f}%{interval}"
