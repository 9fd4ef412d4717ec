"""What becomes of candidates, without any server: chosen ones can all stay, and judging is that of `fetch thin`."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetch.mapillary.config import MapillaryConfig
from fetch.mapillary.facts import Facts
from fetch.mapillary.rules import MEASURED, Kept, choose, judge
from fetch.thin import thin
from geocells import grid
from geocells.sphere import distance_km

CORNER = (48.515625, 2.8125)
"""Where four cells of level 8 meet."""

CELL = int(grid.encode((CORNER[0] - 0.01, CORNER[1] + 0.01), 8))
NOW_MS = 1_700_000_000_000
CONFIG = MapillaryConfig(out=Path("unused"), per_cell=10, min_distance_m=300.0)
GOOD = {
    "luma_mean": 120.0,
    "luma_std": 40.0,
    "sharpness": 200.0,
    "colourfulness": 30.0,
    "extreme_share": 0.1,
    "dhash": 0,
}

steps = st.floats(0, 0.03)
hashes = st.integers(0, 3).map(lambda n: (1 << (9 * n)) - 1)


def facts(image, lat, lon, sequence="", creator="", **more):
    given = {"apart_m": 0.0, "captured_ms": 1_600_000_000_000, "compass_deg": None, "is_pano": False}
    return Facts(
        image, lat, lon, sequence=sequence, creator=creator, **{**given, "width": 2048, "height": 1536, **more}
    )


@st.composite
def windows(draw):
    """Candidates just inside a cell, and pictures that stay in it and beyond its border."""
    rows = draw(
        st.lists(
            st.tuples(steps, steps, st.sampled_from("abc"), st.sampled_from("xyz"), st.booleans()),
            min_size=1,
            max_size=14,
        )
    )
    window = [(facts(k, CORNER[0] - 1e-6 - a, CORNER[1] + b, s, c), off) for k, (a, b, s, c, off) in enumerate(rows)]
    places = draw(
        st.lists(st.tuples(st.floats(-0.03, 0.03), st.floats(-0.03, 0.03), st.sampled_from("abc")), max_size=6)
    )
    kept = []
    for k, (a, b, s) in enumerate(places):
        lat, lon = CORNER[0] + a, CORNER[1] + b
        kept.append(Kept(100 + k, int(grid.encode((lat, lon), 8)), lat, lon, s, "x", dict(GOOD)))
    return window, kept, draw(st.integers(1, 10))


@given(windows())
def test_what_is_chosen_can_all_stay_beside_what_stays(drawn):
    window, kept, need = drawn
    choice = choose(CONFIG, CELL, window, kept, need, NOW_MS)
    assert len(choice.chosen) <= need
    places = [(each.lat, each.lon) for each in [*choice.chosen, *kept]]
    for k, facts_ in enumerate(choice.chosen):
        others = np.array(places[:k] + places[k + 1 :]).reshape(-1, 2)
        assert (1000 * distance_km((facts_.lat, facts_.lon), others) > 299.999).all()
    own = [k.sequence for k in kept if k.cell == CELL]
    count = Counter([each.sequence for each in choice.chosen] + own)
    assert all(count[each.sequence] <= CONFIG.max_per_sequence for each in choice.chosen)


@given(windows())
def test_every_round_gets_on_and_no_candidate_is_decided_twice(drawn):
    window, kept, need = drawn
    choice = choose(CONFIG, CELL, window, kept, need, NOW_MS)
    decided = [each.image for each in choice.chosen] + [verdict.image for verdict in choice.verdicts]
    assert decided
    assert len(set(decided)) == len(decided)


def only(config, candidate, kept=(), put_off=False):
    """Return what becomes of a single candidate: its verdict, or None when it is chosen."""
    choice = choose(config, CELL, [(candidate, put_off)], kept, 5, NOW_MS)
    return choice.verdicts[0] if choice.verdicts else None


def inside(image=1, **more):
    return facts(image, CORNER[0] - 0.01, CORNER[1] + 0.01, **more)


def test_a_picture_beyond_the_border_counts_for_the_distance():
    across = Kept(7, 0, CORNER[0] - 0.01, CORNER[1] - 0.001, "", "", dict(GOOD))
    near = facts(1, CORNER[0] - 0.01, CORNER[1] + 0.001)
    verdict = only(CONFIG, near, [across])
    assert (verdict.state, verdict.reason) == ("rejected", "too close to a picture that stays")
    assert float(verdict.value) == pytest.approx(
        1000 * float(distance_km((near.lat, near.lon), (across.lat, across.lon))), rel=1e-3
    )
    assert only(CONFIG, inside(), [across]) is None


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"apart_m": 101.0}, "with a doubtful position"),
        ({"is_pano": True}, "panoramas"),
        ({"height": 400}, "too small"),
        ({"captured_ms": 0}, "captured outside the dates"),
        ({"captured_ms": NOW_MS + 2 * 86_400_000}, "captured outside the dates"),
    ],
)
def test_metadata_alone_can_rule_a_picture_out(more, reason):
    verdict = only(CONFIG, inside(**more))
    assert (verdict.state, verdict.reason) == ("rejected", reason)


def test_a_picture_of_another_cell_moves_there():
    verdict = only(CONFIG, facts(1, CORNER[0] + 0.01, CORNER[1] + 0.01))
    assert (verdict.state, verdict.cell) == ("moved", int(grid.encode((CORNER[0] + 0.01, CORNER[1] + 0.01), 8)))


def test_a_creator_with_a_full_share_waits_behind_the_others_and_then_is_taken():
    kept = [Kept(k, CELL, CORNER[0] - 0.1 * k, CORNER[1] + 0.1, "", "ann", dict(GOOD)) for k in (2, 3)]
    assert only(CONFIG, inside(creator="ann"), kept).state == "deferred"
    assert only(CONFIG, inside(creator="bob"), kept) is None
    assert only(CONFIG, inside(creator="ann"), kept, put_off=True) is None


@given(st.lists(st.tuples(steps, steps, st.sampled_from("abcd "), hashes, st.floats(30, 300)), min_size=1, max_size=10))
def test_judging_is_that_of_fetch_thin(drawn):
    chosen = [facts(k + 1, CORNER[0] - a - 1e-6, CORNER[1] + b, s.strip()) for k, (a, b, s, _, _) in enumerate(drawn)]
    # As `choose` hands them over: apart, and not too many of a sequence.
    config = MapillaryConfig(out=Path("unused"), min_distance_m=0.0, max_per_sequence=99)
    measures = {f.image: {**GOOD, "dhash": d, "sharpness": q} for f, (_, _, _, d, q) in zip(chosen, drawn, strict=True)}
    verdicts = {v.image: v.state for v in judge(config, chosen, measures, [])}
    photos = pd.DataFrame(
        {
            "id": [str(f.image) for f in chosen],
            "latitude": [f.lat for f in chosen],
            "longitude": [f.lon for f in chosen],
            "sequence_id": np.array([f.sequence or None for f in chosen], dtype=object),
            "dhash": np.array([measures[f.image]["dhash"] for f in chosen], dtype=np.uint64),
            "creator": None,
        }
    )
    table = pd.DataFrame({name: [measures[f.image][name] for f in chosen] for name in MEASURED})
    stays, _ = thin(photos, table, config.thresholds())
    accepted = {image for image, state in verdicts.items() if state == "accepted"}
    assert set(verdicts) == {f.image for f in chosen}
    assert accepted == {f.image for f, stay in zip(chosen, stays, strict=True) if stay}


@pytest.mark.parametrize(
    ("place", "sequence", "dhash", "state"),
    [
        ((CORNER[0] - 0.0101, CORNER[1] + 0.01), "other", 0b1111, "rejected"),
        ((CORNER[0] - 0.0101, CORNER[1] + 0.01), "other", 0b11111, "accepted"),
        ((CORNER[0] - 0.3, CORNER[1] + 0.3), "other", 0, "accepted"),
        ((CORNER[0] - 0.3, CORNER[1] + 0.3), "same", 0, "rejected"),
    ],
)
def test_what_looks_like_a_picture_that_stays_goes_if_near_or_of_its_sequence(place, sequence, dhash, state):
    kept = [Kept(9, CELL, CORNER[0] - 0.01, CORNER[1] + 0.01, "same", "", dict(GOOD))]
    verdict, *_ = judge(CONFIG, [facts(1, *place, sequence)], {1: {**GOOD, "dhash": dhash}}, kept)
    assert (verdict.state, verdict.value) == (state, "4" if dhash == 0b1111 else "0" if state == "rejected" else "")
