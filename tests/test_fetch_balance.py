"""A list spreads places as wanted, and is the same for everybody."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset.manifest import coordinates, read_manifest, write_manifest
from fetch.balance import best_min_share, choose, quotas, run
from fetch.config import BalanceConfig
from fetch.subset import Subset, ids_hash, read_subset, write_subset
from geocells import grid

ROOT = Path(__file__).parent.parent
PLACES = {"FR": (46.5, 2.5), "KE": (-1.0, 37.5), "AU": (-25.0, 135.0), "PE": (-12.0, -75.5)}


def write_dataset(data: Path, **count: int) -> pd.DataFrame:
    """Write a manifest alone, with so many photographs in the middle of each country."""
    rows = []
    for country, number in count.items():
        lat, lon = PLACES.get(country, (0.0, -30.0))
        for i in range(number):
            rows.append({"id": f"{country}{i}", "path": f"images/{country}{i}.jpg", "latitude": lat, "longitude": lon})
    photos = pd.DataFrame(rows)
    photos["split"] = "train"
    photos["sha256"] = photos["id"].map(lambda name: ids_hash([name]))
    write_manifest(data, photos)
    return photos


def balanced(data: Path, out: Path, **settings) -> dict[str, int]:
    """Return how many photographs of each country the list names."""
    run(BalanceConfig(data=data, out=out, **{"target": "country", **settings}))
    return pd.Series(read_subset(out).ids).str[:2].value_counts().to_dict()


counts = st.lists(st.integers(0, 500), min_size=1, max_size=30).map(np.array).filter(lambda n: n.sum() > 0)


@given(counts, st.integers(0, 10**6), st.floats(0, 0.02), st.floats(0.1, 1))
def test_anchors_meet_the_target_in_full_and_others_nearly(have, seed, min_share, slack):
    target = np.random.default_rng(seed).dirichlet(np.ones(len(have))) + 1e-3
    target /= target.sum()
    anchor = (have > 0) & (have >= min_share * have.sum())
    if not anchor.any():
        return
    quota = quotas(have, target, min_share, slack)
    assert np.all(quota <= have)
    size = np.min(have[anchor] / target[anchor])
    assert np.all(np.abs(quota[anchor] - size * target[anchor]) <= np.where(size * target[anchor] < 1, 1, 0.5 + 1e-6))
    others = (quota > 0) & ~anchor
    assert np.all(have[others] >= slack * size * target[others])
    assert np.any(quota[anchor] == have[anchor])


@given(counts)
def test_short_groups_are_kept_whole_on_request(have):
    target = np.full(len(have), 1 / len(have))
    without, kept = (quotas(have, target, 0.02, 0.75, keep_short) for keep_short in (False, True))
    assert np.array_equal(kept > 0, have > 0)
    added = (without == 0) & (have > 0)
    assert np.array_equal(kept[added], have[added])
    assert np.array_equal(kept[~added], without[~added])


def test_the_published_numbers_draw_the_line_where_the_report_says():
    # 0.75 % of 10,000 is 75; three quarters of the 75 that all others give is 56.25.
    have = np.array([9_664, 205, 75, 56, 0])
    assert quotas(have, np.full(5, 0.2), 0.0075, 0.75).tolist() == [75, 75, 75, 0, 0]
    have = np.array([9_663, 205, 75, 57, 0])
    assert quotas(have, np.full(5, 0.2), 0.0075, 0.75).tolist() == [75, 75, 75, 57, 0]


@given(counts, st.floats(0.1, 1))
def test_the_threshold_for_cells_keeps_as_many_photographs_as_any(have, slack):
    target = np.full(len(have), 1 / len(have))
    best = quotas(have, target, best_min_share(have, target, slack), slack).sum()
    for share in np.linspace(0, 0.999 * have.max() / have.sum(), 40):
        assert quotas(have, target, share, slack).sum() <= best


def test_without_any_group_large_enough_nothing_is_written(tmp_path):
    write_dataset(tmp_path / "d", FR=5, KE=5)
    with pytest.raises(ValueError, match=r"no group has --min-share 0.9 of the photographs, the largest has 0.5"):
        balanced(tmp_path / "d", tmp_path / "list", min_share=0.9)
    assert not (tmp_path / "list").exists()


def test_countries_are_made_equal_and_the_high_sea_is_none(tmp_path, capsys):
    write_dataset(tmp_path / "d", FR=900, KE=60, AU=50, PE=3, XX=7)
    assert balanced(tmp_path / "d", tmp_path / "list") == {"FR": 50, "KE": 50, "AU": 50}
    said = capsys.readouterr().out
    assert "7 photographs lie in no group" in said
    assert "1 group is left out, too few photographs: PE 3" in said
    assert [line.split()[-2:] for line in said.splitlines() if line.startswith("largest")] == [["300", "1"]]


def test_a_table_of_shares_is_met(tmp_path):
    write_dataset(tmp_path / "d", FR=900, KE=60, AU=50)
    (tmp_path / "shares.csv").write_text("Country,Share\nfr,60\nKE,30\nAU,10\nNA,0\n")
    assert balanced(tmp_path / "d", tmp_path / "list", target=str(tmp_path / "shares.csv")) == {
        "FR": 120,
        "KE": 60,
        "AU": 20,
    }


def test_a_table_of_cells_of_any_level_is_met(tmp_path):
    write_dataset(tmp_path / "d", FR=100, KE=60, AU=50)
    fr, ke = (grid.format_id(int(grid.encode(PLACES[name], 5)), 5) for name in ("FR", "KE"))
    (tmp_path / "shares.csv").write_text(f"cell,share\n{fr},1\n{ke.replace('/', '_')},2\n")
    assert balanced(tmp_path / "d", tmp_path / "list", target=str(tmp_path / "shares.csv")) == {"FR": 30, "KE": 60}


def test_cells_are_made_equal(tiny, tmp_path):
    photos = read_manifest(tiny)
    write_manifest(tmp_path / "d", photos[photos["id"] != "lima-3"])
    run(BalanceConfig(data=tmp_path / "d", target="cell", out=tmp_path / "list", slack=1))
    names = pd.Series(read_subset(tmp_path / "list").ids).str.rsplit("-", n=1).str[0]
    assert set(names.value_counts()) == {9}


def test_the_draw_depends_on_the_seed_and_not_on_the_order_of_rows(tmp_path):
    photos = write_dataset(tmp_path / "a", FR=300, KE=40, AU=40)
    write_manifest(tmp_path / "b", photos.sample(frac=1, random_state=1))
    lists = []
    for name, seed in (("a", 0), ("b", 0), ("a", 1)):
        balanced(tmp_path / name, tmp_path / "list", seed=seed)
        lists.append((tmp_path / "list").read_bytes())
    assert lists[0] == lists[1]
    assert lists[0] != lists[2]


def test_a_draw_is_even(tmp_path):
    ids = np.array([f"p{i}" for i in range(2000)], dtype=object)
    drawn = sum(choose(ids, np.zeros(2000, dtype=np.int64), np.array([200]), seed).astype(int) for seed in range(50))
    assert drawn.sum() == 50 * 200
    assert drawn.max() <= 16
    assert abs(drawn[:1000].sum() - 5000) < 300


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "does not exist"),
        ("", "is not a table"),
        ("land,share\nFR,1\n", "needs the columns country"),
        ("country,share\nFR,-1\n", "share of FR is not a number of 0 or more"),
        ("country,share\nFR,x\n", "share of FR is not a number"),
        ("country,share\nFR,1\nFR,2\n", "names FR twice"),
        ("country,share\nFR,0\n", "all shares are 0"),
        ("country,share\nJP,1\n", "names no place in which"),
        ("cell,share\n0/1,1\n0/1/2,1\n", "mixes cells of the levels 2, 3"),
        ("cell,share\n0/7,1\n", "7"),
    ],
)
def test_a_table_of_shares_that_cannot_be_used_is_one_clear_line(text, words, tmp_path):
    write_dataset(tmp_path / "d", FR=9)
    if text is not None:
        (tmp_path / "s.csv").write_text(text)
    with pytest.raises(ValueError, match=words) as refusal:
        balanced(tmp_path / "d", tmp_path / "list", target=str(tmp_path / "s.csv"))
    assert "\n" not in str(refusal.value)


@given(st.sets(st.text("abc-._0123456789", min_size=1, max_size=9).filter(lambda name: name[0] != "#"), min_size=1))
def test_reading_a_list_gives_what_was_written(tmp_path_factory, ids):
    path = tmp_path_factory.mktemp("list") / "list.txt"
    subset = Subset(tuple(sorted(ids)), "f" * 64, {"seed": "3"})
    write_subset(path, subset)
    assert read_subset(path) == subset


def test_the_hash_of_a_list_is_that_of_its_lines(tmp_path):
    write_subset(tmp_path / "list.txt", Subset(("a", "b")))
    said = subprocess.run(["sha256sum"], input=b"a\nb\n", capture_output=True).stdout.split()[0].decode()
    assert ids_hash(["a", "b"]) == said
    assert f"# ids-sha256: {said}" in (tmp_path / "list.txt").read_text()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("\nb\n", "\n"), "was changed or is cut short"),
        (lambda text: text + "c\n", "was changed or is cut short"),
        (lambda text: text + "b\n", "names b 2 times"),
        (lambda text: text.replace("ids-sha256", "ids"), "no line `# ids-sha256"),
        (lambda text: "# x\n", "names no photographs"),
        (lambda text: "\udcff", "is not text"),
    ],
)
def test_a_list_that_is_not_as_it_was_written_is_refused(change, words, tmp_path):
    path = tmp_path / "list.txt"
    write_subset(path, Subset(("a", "b")))
    path.write_text(change(path.read_text()), errors="surrogateescape")
    with pytest.raises(ValueError, match=words):
        read_subset(path)
    with pytest.raises(ValueError, match="does not exist"):
        read_subset(tmp_path / "gone")


@pytest.mark.parametrize("wrong", [{"min_share": 1}, {"slack": 0}, {"level": 0}, {"slack": 1.1}, {"min_share": -0.1}])
def test_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(ValueError, match="--"):
        BalanceConfig(data=Path(), out=Path(), target="cell", **wrong)


def test_the_spread_of_a_list_is_that_of_its_photographs(tiny, tmp_path):
    run(BalanceConfig(data=tiny, target="cell", level=1, out=tmp_path / "list"))
    photos = read_manifest(tiny).set_index("id").loc[list(read_subset(tmp_path / "list").ids)]
    assert set(np.bincount(grid.encode(coordinates(photos), 1), minlength=4)) == {10}


def test_the_command_ends_with_one_line_and_code_2(tmp_path):
    command = [sys.executable, "-m", "fetch", "balance", "--data", str(tmp_path), "--target", "cell", "--out", "x"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1)


def test_photographs_of_which_only_the_country_is_known_count_for_it(tmp_path):
    photos = write_dataset(tmp_path / "data", FR=10, KE=4)
    country_only = photos.iloc[:6].assign(
        id=[f"KE_{i}" for i in range(6)], latitude=np.nan, longitude=np.nan, country="KE"
    )
    write_manifest(tmp_path / "data", pd.concat([photos, country_only], ignore_index=True))
    assert balanced(tmp_path / "data", tmp_path / "list.txt") == {"FR": 10, "KE": 10}
    # No cell is known of them.
    run(BalanceConfig(data=tmp_path / "data", out=tmp_path / "cells.txt", target="cell", level=3))
    assert not set(read_subset(tmp_path / "cells.txt").ids) & set(country_only["id"])


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("country,share\nfr,1\nFR,1\n", "names FR twice"),
        ("cell,share\n1/2/0,0.5\n1_2_0,0.5\n", "names 1/2/0 twice"),
        ("cell,share\n9/9,1\n", "shares.csv: '9/9' is not a cell"),
    ],
)
def test_a_table_that_names_a_place_twice_or_none_is_refused(tmp_path, table, words):
    write_dataset(tmp_path / "data", FR=2)
    (tmp_path / "shares.csv").write_text(table)
    with pytest.raises(ValueError, match=words):
        balanced(tmp_path / "data", tmp_path / "list.txt", target=str(tmp_path / "shares.csv"))
