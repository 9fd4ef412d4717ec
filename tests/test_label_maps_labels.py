"""Photographs of which no more than the country is known: kept by every command, trained and tested as countries."""

import json
import shutil
import warnings

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from dataset.groups import leakage_groups
from dataset.manifest import content_hash, coordinates, has_coordinates, read_located, read_manifest, write_manifest
from fetch.config import PackConfig, StatusConfig, ThinConfig, VerifyConfig
from fetch.pack import run as pack
from fetch.rejected import read_rejected
from fetch.sources.config import ImportConfig
from fetch.sources.imports import run as do_import
from fetch.splits import assign_splits
from fetch.thin import run as thin
from fetch.verify import run as verify
from fetch.verify import status
from geocells.hierarchy import UNKNOWN
from geocells.partitions.admin import shipped_countries
from geocells.sphere import distance_km
from infer.config import EvaluateConfig, InferConfig
from infer.evaluate.run import main as evaluate
from infer.predict import main as answer
from label_maps.build import main as make_label_maps
from label_maps.config import LabelMapsConfig
from label_maps.files import read_hierarchy
from label_maps.labels import truth_of
from tests.test_geocells_partitions import files  # noqa: F401
from tests.tiny import PLACES, SPLITS, joint_config, write_square
from train.config import LevelConfig
from train.data import LabelledPhotos
from train.setup import labelled_splits
from train.tasks import class_objective, train_joint, train_level
from viz.config import CoverageConfig
from viz.maps.coverage import write_coverage

COUNTRY_OF = {"paris": "FR", "nairobi": "KE", "sydney": "AU", "new-york": "US", "lima": "PE", "suva": "FJ"}


def add_country_only(data, countries, each=10, seed=1):
    """Add photographs to a dataset that have a country and no coordinates; their colour tells it."""
    rng = np.random.default_rng(seed)
    colours = {COUNTRY_OF[name]: colour for name, (_, _, colour) in PLACES.items()}
    rows = []
    for country in countries:
        for number in range(each):
            path = f"images/{country}/only-{country}-{number}.jpg"
            write_square(data / path, colours.get(country, (128, 128, 128)), rng)
            row = {"id": f"only-{country}-{number}", "path": path, "country": country}
            rows.append({**row, "split": SPLITS[number % 10], "source": "tiny"})
    write_manifest(data, pd.concat([read_manifest(data), pd.DataFrame(rows)], ignore_index=True))
    return data


@pytest.fixture(scope="module")
def mixed(tiny, tmp_path_factory):
    """The tiny dataset with ten photographs more of France and ten of Mali, of which no more is known."""
    folder = tmp_path_factory.mktemp("mixed") / "data"
    shutil.copytree(tiny, folder)
    return add_country_only(folder, ["FR", "ML"])


def test_located_photographs_are_those_with_coordinates_and_the_manifest_has_all(mixed):
    assert len(read_located(mixed)) == 60
    everything = read_manifest(mixed)
    assert len(everything) == 80
    assert set(everything["country"][~has_coordinates(everything)]) == {"FR", "ML"}
    assert len(read_located(mixed, ["path"])) == 60
    assert read_located(mixed, ["path"]).columns.tolist() == ["path"]


def test_countries_that_the_shipped_table_lacks_are_named_when_classes_are_built(tmp_path, capsys):
    rows = [
        {"id": code, "path": f"images/{code}.jpg", "country": code, "split": "train"} for code in ("FR", "MC", "SM")
    ]
    write_manifest(tmp_path, pd.DataFrame(rows))
    make_label_maps(LabelMapsConfig(tmp_path, tmp_path / "run", partition="admin"))
    said = capsys.readouterr().out
    assert (
        "3 of them have no coordinates: 1 trains the level country by their country; without a class: MC, SM (" in said
    )
    assert "borders" not in said


def test_a_dataset_of_nothing_else_says_so_to_who_needs_coordinates(tmp_path):
    row = {"id": "a", "path": "images/FR/a.jpg", "country": "FR", "split": "train"}
    write_manifest(tmp_path, pd.DataFrame([row]))
    with pytest.raises(ValueError, match="has no photograph with coordinates: import some that have them"):
        read_located(tmp_path)
    with pytest.raises(ValueError, match=f"build --data {tmp_path} --run {tmp_path / 'run'} --partition admin`"):
        train_joint(joint_config(tmp_path, tmp_path / "run"))
    with pytest.raises(ValueError, match=f"`python -m fetch status --data {tmp_path}` counts those that it has by"):
        write_coverage(CoverageConfig(tmp_path, tmp_path / "coverage.html"))
    with pytest.raises(ValueError, match="use --partition admin"):
        make_label_maps(LabelMapsConfig(tmp_path, tmp_path / "run"))


def test_an_older_manifest_without_the_column_is_read_as_ever(tiny, tmp_path):
    shutil.copytree(tiny, tmp_path / "data")
    table = pq.read_table(tiny / "manifest.parquet")
    pq.write_table(table.drop_columns(["country", "modification"]), tmp_path / "data" / "manifest.parquet")
    assert read_manifest(tmp_path / "data")["country"].isna().all()
    assert read_manifest(tmp_path / "data", ["country", "id"]).columns.tolist() == ["country", "id"]
    make_label_maps(LabelMapsConfig(tmp_path / "data", tmp_path / "run"))
    assert len(labelled_splits(tmp_path / "data", tmp_path / "run", read_hierarchy(tmp_path / "run"))["train"]) == 36


def test_the_hash_tells_countries_of_apart_and_is_as_it_was_without_them(mixed, tiny):
    everything = read_manifest(mixed)
    other = everything.assign(country=everything["country"].replace("ML", "BF"))
    assert content_hash(other) != content_hash(everything)
    assert content_hash(everything[has_coordinates(everything)]) == content_hash(read_manifest(tiny))


def test_a_country_without_places_is_a_class_and_nothing_below_it_is_known(mixed, tmp_path, capsys):
    make_label_maps(LabelMapsConfig(mixed, tmp_path, partition="admin"))
    assert "12 of them have no coordinates: 12 train the level country by their country" in capsys.readouterr().out
    hierarchy = read_hierarchy(tmp_path)
    assert set(hierarchy.name) == {*COUNTRY_OF.values(), "ML"}
    count = dict(zip(hierarchy.name, hierarchy.train_count.tolist(), strict=True))
    assert (count["FR"], count["ML"], count["KE"]) == (12, 6, 6)
    mali = hierarchy.center_deg[hierarchy.name.index("ML")]
    assert distance_km(mali, (17.4, -4.0)) < 500
    points, classes = truth_of(hierarchy, read_manifest(mixed))
    assert [hierarchy.name[k] for k in classes[[0, 60, 70], 0]] == ["FR", "FR", "ML"]
    np.testing.assert_array_equal(points[70], mali)


def test_places_that_stand_for_a_country_lie_in_it():
    partition = shipped_countries()
    countries = np.arange(len(partition.texts[0]))
    np.testing.assert_array_equal(partition.keys(partition.places_in(countries))[:, 0], countries)


def test_regions_are_not_known_of_them_and_other_grids_leave_them_out(mixed, tmp_path, files):  # noqa: F811
    admin = LabelMapsConfig(mixed, tmp_path / "admin", partition="admin", countries=files[0], regions=files[1])
    make_label_maps(admin)
    make_label_maps(LabelMapsConfig(mixed, tmp_path / "quad"))
    everything = read_manifest(mixed)
    only = everything[~has_coordinates(everything) & (everything["country"] == "FR")]
    _, classes = truth_of(read_hierarchy(tmp_path / "admin"), only)
    assert (classes[:, 0] != UNKNOWN).all()
    assert (classes[:, 1] == UNKNOWN).all()
    points, classes = truth_of(read_hierarchy(tmp_path / "quad"), only)
    assert (classes == UNKNOWN).all()
    assert np.isnan(points).all()
    hierarchy = read_hierarchy(tmp_path / "admin")
    assert len(LabelledPhotos.of(mixed, everything, hierarchy, [0])) == 60 + 10
    assert len(LabelledPhotos.of(mixed, everything, hierarchy, [1])) == 60


@pytest.mark.parametrize("loss", ["cross_entropy", "haversine"])
def test_the_level_of_countries_learns_from_them_alone(tiny, tmp_path, loss):
    data = tmp_path / "data"
    shutil.copytree(tiny, data)
    # France has no coordinates at all: what is red is known from countries only.
    photos = add_country_only(data, ["FR"], each=30)
    table = read_manifest(photos)
    write_manifest(data, table[~table["id"].str.startswith("paris")])
    run = tmp_path / "run"
    make_label_maps(LabelMapsConfig(data, run, partition="admin"))
    flags = {
        name: getattr(joint_config(data, run), name) for name in ("arch", "weights", "image_size", "workers", "optim")
    }
    flags |= {"device": "cpu", "precision": "float32", "batch_size": 8, "epochs": 12, "loss": loss}
    train_level(LevelConfig(data, run, level="country", **flags))
    line = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    assert line["val/country_top1"] > 0.9
    assert len(labelled_splits(data, run, read_hierarchy(run), [0])["train"]) == 30 + 18


def test_a_joint_loss_leaves_out_what_is_not_known_of_a_photograph(mixed, tmp_path, files):  # noqa: F811
    run = tmp_path / "run"
    make_label_maps(LabelMapsConfig(mixed, run, partition="admin", countries=files[0], regions=files[1]))
    train_joint(joint_config(mixed, run, coordinate_weight=0.5, epochs=1))
    line = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    assert np.isfinite(line["train/loss"])
    hierarchy = read_hierarchy(run)
    photos = labelled_splits(mixed, run, hierarchy, [0, 1])["train"]
    assert photos.placed is not None
    only = torch.from_numpy(np.flatnonzero(~photos.placed))
    from train.config import JointConfig

    for loss in ("cross_entropy", "focal", "haversine"):
        config = JointConfig(mixed, run, loss=loss)
        objective = class_objective(config, hierarchy, [0, 1], "levels", (1.0, 1.0), torch.device("cpu"))
        logits = [torch.randn(len(only), size, requires_grad=True) for size in hierarchy.sizes()]
        objective(logits, photos.targets(only, [0, 1], torch.device("cpu"))).backward()
        assert logits[0].grad.abs().sum() > 0
        assert logits[1].grad.abs().sum() == 0


def test_evaluation_tells_how_often_their_country_is_right(mixed, tmp_path, capsys):
    run = tmp_path / "run"
    make_label_maps(LabelMapsConfig(mixed, run, partition="admin"))
    train_joint(joint_config(mixed, run, epochs=1))
    evaluate(EvaluateConfig(data=mixed, run=run, workers=0, device="cpu"))
    report = json.loads((run / "evaluation_test.json").read_text())
    assert report["photographs"] == 12
    stated = report["country_only"]
    assert (stated["photographs"], stated["trained_on"], stated["in_a_known_class"]) == (4, 0, 1.0)
    assert stated["top_1"]["low"] <= stated["top_1"]["value"] <= stated["top_10"]["value"] == 1
    assert "without coordinates: n = 4 photographs in " in capsys.readouterr().out


def test_a_split_of_countries_alone_is_evaluated_by_country(mixed, tmp_path, capsys):
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(mixed, data)
    everything = read_manifest(data)
    write_manifest(data, everything[~has_coordinates(everything)])
    make_label_maps(LabelMapsConfig(data, run, partition="admin"))
    train_joint(joint_config(data, run, batch_size=4))
    evaluate(EvaluateConfig(data=data, run=run, workers=0, device="cpu"))
    report = json.loads((run / "evaluation_test.json").read_text())
    assert (report["level"], report["classes"]["photographs"], report["classes"]["classes"]) == ("country", 4, 2)
    answer(InferConfig(photos=(data,), split="test", run=run, out=tmp_path / "out", workers=0, device="cpu"))
    assert len(json.loads((tmp_path / "out" / "predictions.json").read_text())) == 4
    quad = tmp_path / "quad"
    make_label_maps(LabelMapsConfig(mixed, quad))
    train_joint(joint_config(mixed, quad, epochs=1))
    with pytest.raises(ValueError, match="has no level of them"):
        evaluate(EvaluateConfig(data=data, run=quad, workers=0, device="cpu"))


def test_splits_keep_creators_and_lookalikes_of_a_country_together():
    photos = pd.DataFrame(
        [
            ("a", "FR", "me", 0), ("b", "FR", "me", 255 << 20), ("c", "ML", "me", 255 << 40), ("d", "FR", "you", 3),
            ("e", "ML", "they", 255 << 40 | 1), ("f", "ML", "she", (1 << 64) - 1),
        ],
        columns=["id", "country", "creator", "dhash"],
    ).assign(latitude=np.nan, longitude=np.nan, dhash=lambda t: t["dhash"].astype("uint64"))  # fmt: skip
    group = leakage_groups(photos)
    same = {frozenset(photos["id"][group == g]) for g in group}
    assert same == {frozenset("abd"), frozenset("ce"), frozenset("f")}
    many = pd.DataFrame({"id": [f"p{k}" for k in range(200)], "country": "FR", "latitude": np.nan, "longitude": np.nan})
    for hold_out in ("groups", "cell"):
        split = assign_splits(many, {"test": 0.2, "calibration": 0.1}, hold_out, 0)
        assert [int((split == name).sum()) for name in ("train", "calibration", "test")] == [140, 20, 40]


@pytest.fixture
def table(tmp_path):
    """Photographs with coordinates, with a country, with both, and with a country in doubt."""
    rng = np.random.default_rng(0)
    rows = [
        ("both", "48.8,2.3", "France"), ("place", "52.5,13.4", ""), ("name", ",", "Kazakstan"), ("code", ",", "na"),
        ("doubt", ",", "Congo"), ("unknown", ",", "Atlantis"), ("nothing", ",", ""), ("null", "0,0", "Chile"),
    ]  # fmt: skip
    for k, (name, _, _) in enumerate(rows):
        write_square(tmp_path / f"{name}.jpg", (20 * k, 255 - 30 * k, 90), rng, side=64)
    lines = ["id,path,lat,lon,land", *(f"{name},{name}.jpg,{where},{land}" for name, where, land in rows)]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    return tmp_path / "t.csv"


def test_a_table_of_countries_is_imported_and_what_is_in_doubt_is_listed(table, tmp_path, caplog):
    caplog.set_level("INFO")
    out = tmp_path / "out"
    do_import(ImportConfig(source=table, out=out, country_column="land"))
    photos = read_manifest(out).set_index("id")
    assert photos["country"].fillna("").to_dict() == {"both": "FR", "place": "", "name": "KZ", "code": "NA"}
    assert sorted(photos.index[has_coordinates(photos)]) == ["both", "place"]
    assert photos.loc["name", "path"] == "images/KZ/name.jpg"
    assert {r.id: (r.reason, r.value) for r in read_rejected(out)} == {
        "doubt": ("with a country that is ambiguous", "Congo"),
        "unknown": ("with a country that is unknown", "Atlantis"),
        "nothing": ("without coordinates and country", ""),
        "null": ("at (0, 0)", "0, 0"),
    }
    assert "'Congo' (1 row) is ambiguous and left out; could be CD or CG" in caplog.text


def test_without_the_flag_they_are_left_out_as_before(table, tmp_path):
    do_import(ImportConfig(source=table, out=tmp_path / "out"))
    assert read_manifest(tmp_path / "out")["id"].tolist() == ["both", "place"]


def test_a_wrong_column_and_a_folder_are_refused(table, tmp_path):
    with pytest.raises(ValueError, match=r"no column nation \(--country-column\)"):
        do_import(ImportConfig(source=table, out=tmp_path / "out", country_column="nation"))
    with pytest.raises(ValueError, match=r"--country-column land has no effect on .*, which is a folder"):
        do_import(ImportConfig(source=tmp_path, out=tmp_path / "out", country_column="land"))


def test_a_table_needs_no_columns_of_coordinates_and_every_command_keeps_its_photographs(table, tmp_path, capsys):
    text = table.read_text().replace("lat,lon,land", "a,b,land")
    table.write_text(text)
    data = tmp_path / "out"
    do_import(ImportConfig(source=table, out=data, country_column="land"))
    assert len(read_manifest(data)) == 4
    assert "null" in read_manifest(data)["id"].tolist()
    loose = {"min_luma": 0, "max_luma": 255, "min_luma_std": 0, "min_colourfulness": 0, "min_sharpness": 0}
    thin(ThinConfig(data=data, duplicate_bits=-1, **loose))
    pack(PackConfig(data=data, out=tmp_path / "packed", short_side=16))
    for folder in (data, tmp_path / "packed"):
        assert len(read_manifest(folder)) == 4
        assert verify(VerifyConfig(data=folder)) == 0
        status(StatusConfig(data=folder))
        assert "4 of them country-only, from 4 countries: " in capsys.readouterr().out


def test_the_real_photographs_with_a_country_alone_are_taken(shared_data, tmp_path):
    source = shared_data / "photos" / "photos.csv"
    listed = pd.read_csv(source, keep_default_na=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        do_import(ImportConfig(source=source, out=tmp_path / "data", country_column="country", max_side=64))
    photos = read_manifest(tmp_path / "data").set_index("source_id")
    only = photos[~has_coordinates(photos)]
    wanted = listed[listed["latitude"] == ""].set_index("id")["country"]
    assert len(only) >= 30
    assert only["country"].to_dict() == wanted.to_dict()
    make_label_maps(LabelMapsConfig(tmp_path / "data", tmp_path / "run", partition="admin"))
    hierarchy = read_hierarchy(tmp_path / "run")
    trained = set(only["country"][only["split"] == "train"])
    assert trained <= set(hierarchy.name)
    points, classes = truth_of(hierarchy, only.reset_index())
    assert ((classes[:, 0] != UNKNOWN) == only["country"].isin(hierarchy.name)).all()
    assert np.isfinite(points[classes[:, 0] != UNKNOWN]).all()
    assert len(coordinates(only)) == len(wanted)
