"""How often people and networks name the country: top-1, top-3 and top-5 on the same photographs, and whether they differ."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from infer.evaluate.metrics import mean_intervals
from infer.play.table import NETWORK, PERSON, Answer, game_of

TOP = (1, 3, 5)
Interval = dict[str, float]


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
    figures = mean_intervals({f"{who} {k}": column for (who, k), column in values.items()}, group, seed)
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
    )


def _ranks(answers: Sequence[Answer]) -> NDArray[np.int64]:
    """Return (N,) the place of the true country among the guesses, from 0; more than any where it is not among them."""
    return np.array(
        [a.guesses.index(a.country) if a.country in a.guesses else max(TOP) for a in answers], dtype=np.int64
    )


def score_text(score: Score) -> str:
    """Return a score as lines for people."""
    shown = f"{score.side} x {score.side} pixels" if score.resolution == NETWORK else "full resolution"
    lines = [
        f"{score.player} and the network {score.run} on {score.photographs:,} photographs in {score.groups:,} groups of the test "
        f"split of {score.data}, shown at {shown}; [95 % cluster-bootstrap interval, which resamples groups]",
        f"{'':<6}{'person':>23}{'network':>23}{'difference':>25}   only person, only network right; McNemar's exact p",
    ]
    for k in TOP:
        test = score.tests[k]
        lines.append(
            f"top-{k:<2}{_share(score.person[k]):>23}{_share(score.network[k]):>23}{_share(score.difference[k], '+'):>25}   "
            f"{test.first_alone}, {test.second_alone}; p = {test.p:.2g}"
        )
    return "\n".join(lines)


def _share(figure: Interval, sign: str = "") -> str:
    value, low, high = (100 * figure[name] for name in ("value", "low", "high"))
    return f"{value:{sign}.1f}% [{low:{sign}.1f}, {high:{sign}.1f}]"
