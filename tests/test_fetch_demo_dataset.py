"""`python -m fetch demo`: a whole dataset folder from a seed."""

import logging

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataset.manifest import CLUES, SPLITS, content_hash, read_manifest
from fetch.demo.config import DemoConfig
from fetch.demo.dataset import LICENCE, SOURCE, make_planet, photo_id, photograph, run
from fetch.demo.planet import CLUES as PLANET_CLUES
from fetch.demo.planet import NAMES, clue_fields, regional_clues
from geocells.sphere import distance_km
from plumbing.files import read_json, write_json


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("data") / "demo"
    run(DemoConfig(out=out, images=150, size=32))
    return out


def test_the_dataset_says_that_it_is_synthetic(demo):
    photos = read_manifest(demo)
    assert set(photos["source"]) == {SOURCE}
    assert set(photos["licence"]) == {LICENCE}
    dataset = read_json(demo / "dataset.json")
    assert dataset["synthetic"] is True
    assert dataset["source"] == SOURCE == "demo planet (synthetic)"


def test_all_photographs_are_stored_and_split(demo):
    photos = read_manifest(demo)
    assert len(photos) == 150
    assert set(photos["split"]) == set(SPLITS)
    assert all((demo / path).is_file() for path in photos["path"])
    assert not photos[["sequence_id", "creator", "captured_at_utc", "compass_angle"]].isna().any().any()


def test_no_sequence_is_in_two_splits(demo):
    assert read_manifest(demo).groupby("sequence_id")["split"].nunique().max() == 1


def test_the_clues_of_every_photograph_lie_beside_it(demo):
    clues = pd.read_parquet(demo / CLUES)
    assert sorted(clues["id"]) == sorted(read_manifest(demo)["id"])
    always = [clue.name for clue in PLANET_CLUES if not clue.thing]
    flawless = clues[make_planet(0, 150).flaw == ""]
    assert not flawless[always].isna().any().any()
    assert not clues[[f"{name}_region" for name in NAMES]].isna().any().any()
    assert clues["sign_colour"].isna().any()
    assert set(clues["driving_side"].dropna()) <= {0.0, 1.0}


def test_measures_from_elsewhere_remove_nothing_outside_of_the_demo(tmp_path):
    precious = tmp_path / "victim" / "keep.txt"
    precious.parent.mkdir()
    precious.write_text("precious")
    run(DemoConfig(out=tmp_path / "demo", images=12, size=32))
    path = tmp_path / "demo" / "measures.parquet"
    table = pq.read_table(path)
    rows = [*table.to_pylist(), {**table.to_pylist()[0], "id": "x", "path": "../victim/keep.txt"}]
    pq.write_table(pa.Table.from_pylist(rows, table.schema), path)
    run(DemoConfig(out=tmp_path / "demo", images=10, size=32))
    assert precious.read_text() == "precious"
    assert len(read_manifest(tmp_path / "demo")) == 10


def test_the_same_seed_writes_the_same_dataset(demo, tmp_path):
    run(DemoConfig(out=tmp_path / "again", images=150, size=32))
    first, second = read_manifest(demo), read_manifest(tmp_path / "again")
    assert content_hash(first) == content_hash(second)
    assert list(first["sha256"]) == list(second["sha256"])
    assert (demo / CLUES).read_bytes() == (tmp_path / "again" / CLUES).read_bytes()


def test_a_second_call_does_nothing_and_says_so(demo, caplog):
    written_at = (demo / "manifest.parquet").stat().st_mtime_ns
    with caplog.at_level(logging.INFO):
        run(DemoConfig(out=demo, images=150, size=32))
    assert "nothing to do" in caplog.text
    assert (demo / "manifest.parquet").stat().st_mtime_ns == written_at


def test_other_settings_make_another_planet_in_the_same_folder(tmp_path):
    run(DemoConfig(out=tmp_path, images=12, size=32))
    run(DemoConfig(out=tmp_path, images=10, size=32, seed=1))
    assert list(read_manifest(tmp_path)["id"]) == [photo_id("1", i) for i in range(10)]
    assert len(pd.read_parquet(tmp_path / CLUES)) == 10
    assert len(list((tmp_path / "images").rglob("*.jpg"))) == 10


def test_an_unfinished_dataset_is_made_again(tmp_path):
    run(DemoConfig(out=tmp_path, images=8, size=32))
    (tmp_path / CLUES).unlink()
    run(DemoConfig(out=tmp_path, images=8, size=32))
    assert len(pd.read_parquet(tmp_path / CLUES)) == 8


def test_a_dataset_of_another_source_is_left_alone(tmp_path):
    write_json(tmp_path / "dataset.json", {"source": "mapillary"})
    with pytest.raises(ValueError, match="holds a dataset from 'mapillary'"):
        run(DemoConfig(out=tmp_path, images=8))


def test_a_few_percent_are_flawed():
    planet = make_planet(0, 3000)
    share = {kind: np.mean(planet.flaw == kind) for kind in ("dark", "blurred", "duplicate")}
    assert all(0.005 < value < 0.04 for value in share.values()), share


def test_a_duplicate_shows_the_photograph_before_it_from_the_same_spot():
    planet = make_planet(0, 300)
    i = int(np.flatnonzero(planet.flaw == "duplicate")[0])
    config = DemoConfig(out="unused", images=300, size=32)
    before, after = (np.asarray(photograph(planet, config, k), dtype=float) for k in (i - 1, i))
    assert 0 < np.abs(before - after).mean() < 16
    assert 0 < distance_km(*planet.places.latlon_deg[[i - 1, i]]) < 0.01
    np.testing.assert_array_equal(planet.shown[i - 1], planet.shown[i])


def test_a_dark_photograph_is_too_dark_and_tells_nothing():
    planet = make_planet(0, 300)
    i = int(np.flatnonzero(planet.flaw == "dark")[0])
    picture = photograph(planet, DemoConfig(out="unused", images=300, size=32), i)
    assert np.asarray(picture.convert("L")).mean() < 40
    assert np.isnan(planet.shown[i]).all()


@pytest.mark.parametrize("wrong", [{"images": 0}, {"size": 8}, {"size": 2000}, {"seed": -1}])
def test_what_cannot_work_is_refused_with_the_name_of_the_flag(wrong, tmp_path):
    with pytest.raises(ValueError, match=f"--{next(iter(wrong))} must be"):
        DemoConfig(out=tmp_path, **wrong)


def test_another_seed_of_places_photographs_the_same_world_elsewhere():
    ours, theirs = make_planet(3, 200), make_planet(3, 200, places_seed=4)
    assert not np.array_equal(ours.places.latlon_deg, theirs.places.latlon_deg)
    fields = clue_fields(3)
    flawless = theirs.flaw == ""
    assert np.array_equal(theirs.region[flawless], regional_clues(fields, theirs.places.latlon_deg[flawless]))
