"""Folders named by country or label, and tables with a column of any class."""

import numpy as np
import pandas as pd
import pytest

from dataset.manifest import content_hash, has_coordinates, read_manifest
from fetch import dataset_counts
from fetch.config import StatusConfig, VerifyConfig
from fetch.rejected import read_rejected
from fetch.sources.config import ImportConfig
from fetch.sources.imports import run as do_import
from fetch.verify import run as verify
from fetch.verify import status
from label_maps.build import main as make_label_maps
from label_maps.config import LabelMapsConfig
from tests.tiny import write_square


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for k, name in enumerate(["France/1", "South_Korea/in/2", "Congo/3", "Atlantis/4", "5", "France/48.85,2.35"]):
        write_square(tmp_path / "photos" / f"{name}.jpg", (20 * k, 255 - 30 * k, 90), rng, side=64)
    return tmp_path / "photos"


def test_folders_of_countries_are_matched_to_codes_and_what_is_in_doubt_is_listed(folder, tmp_path, caplog):
    caplog.set_level("INFO")
    do_import(ImportConfig(source=folder, out=tmp_path / "data", folder_names="country"))
    photos = read_manifest(tmp_path / "data").set_index("source_id")
    assert photos["country"].to_dict() == {
        "France/1.jpg": "FR",
        "South_Korea/in/2.jpg": "KR",
        "France/48.85,2.35.jpg": "FR",
    }
    assert photos.index[has_coordinates(photos)].tolist() == ["France/48.85,2.35.jpg"]
    assert photos.loc["France/1.jpg", "path"] == "images/FR/France_1.jpg"
    assert {r.id: (r.reason, r.value) for r in read_rejected(tmp_path / "data")} == {
        "Congo/3.jpg": ("with a country that is ambiguous", "Congo"),
        "Atlantis/4.jpg": ("with a country that is unknown", "Atlantis"),
        "5.jpg": ("without coordinates and a folder of its country", "no GPS position in its EXIF"),
    }
    assert "could be CD or CG" in caplog.text


def test_folders_of_labels_are_taken_as_they_are_named(folder, tmp_path, capsys):
    do_import(ImportConfig(source=folder, out=tmp_path / "data", folder_names="label"))
    photos = read_manifest(tmp_path / "data")
    assert sorted(photos["label"]) == ["Atlantis", "Congo", "France", "France", "South_Korea"]
    assert photos["country"].isna().all()
    status(StatusConfig(data=tmp_path / "data"))
    said = capsys.readouterr().out
    assert "5 with one of 4 labels, 4 of them without coordinates: France 2, " in said


def test_what_was_imported_counts_photographs_by_country(folder, tmp_path, capsys):
    do_import(ImportConfig(source=folder, out=tmp_path / "data", folder_names="country"))
    status(StatusConfig(data=tmp_path / "data"))
    assert "2 of them country-only, from 2 countries: FR 1, KR 1\n" in capsys.readouterr().out


def test_of_many_countries_those_with_most_photographs_are_counted_by_name(monkeypatch):
    monkeypatch.setattr(dataset_counts, "LISTED", 2)
    codes = [*["FR"] * 9, *["DE"] * 5, *["PT"] * 3, "LU", "LU", "MC"]
    photos = pd.DataFrame({"split": "train", "latitude": np.nan, "country": codes, "label": None})
    said = dataset_counts.counts_report(photos).splitlines()[1]
    assert said == "20 of them country-only, from 5 countries: FR 9, DE 5, and 3 more with 3 to 1 each"


def test_a_folder_does_not_go_into_the_dataset_of_a_table_but_a_table_of_both_does(folder, tmp_path):
    (folder / "both.csv").write_text(
        "path,latitude,longitude,country\nFrance/1.jpg,,,France\nAtlantis/4.jpg,-33.87,151.21,\n"
        "South_Korea/in/2.jpg,,,South Korea\n"
    )
    given = ImportConfig(source=folder / "both.csv", out=tmp_path / "data", country_column="country")
    do_import(given)
    photos = read_manifest(tmp_path / "data").set_index("source_id")
    assert photos["country"].dropna().to_dict() == {"France/1": "FR", "South_Korea/in/2": "KR"}
    assert photos.index[has_coordinates(photos)].tolist() == ["Atlantis/4"]
    with pytest.raises(ValueError, match=r"is a dataset made from .*both\.csv: .*import one table of both"):
        do_import(ImportConfig(source=folder, out=tmp_path / "data", folder_names="country"))


def test_a_picture_that_was_deleted_from_a_dataset_is_listed_and_imported_again(folder, tmp_path, capsys):
    given = ImportConfig(source=folder, out=tmp_path / "data", folder_names="country")
    do_import(given)
    (tmp_path / "data" / "images" / "FR" / "France_1.jpg").unlink()
    assert verify(VerifyConfig(data=tmp_path / "data")) != 0
    assert capsys.readouterr().out == "missing: images/FR/France_1.jpg\n"
    do_import(given)
    assert verify(VerifyConfig(data=tmp_path / "data")) == 0


@pytest.mark.parametrize("above", ["train/{}", "images/{}", "Europe/{}", "1_{}", "{} (120)", "{}/Georgia"])
def test_countries_are_found_further_inside_and_behind_numbers(above, tmp_path, caplog):
    caplog.set_level("INFO")
    for k, name in enumerate(["France", "Deutschland"]):
        write_square(tmp_path / "photos" / above.format(name) / f"{k}.jpg", (20, 90 * k, 90), np.random.default_rng(k))
    do_import(ImportConfig(source=tmp_path / "photos", out=tmp_path / "data", folder_names="country"))
    assert sorted(read_manifest(tmp_path / "data")["country"]) == ["DE", "FR"]
    assert ("2 levels down count" in caplog.text) == (above in ("train/{}", "images/{}", "Europe/{}"))


@pytest.mark.parametrize("above", [("train", "val", "test"), ("images",)])
def test_labels_are_not_the_splits_of_a_dataset_nor_the_folder_around_it(above, tmp_path):
    for k, name in enumerate(above):
        for label in ("urban", "rural"):
            write_square(tmp_path / "photos" / name / label / "1.jpg", (20, 90, 40 * k), np.random.default_rng(k))
    do_import(ImportConfig(source=tmp_path / "photos", out=tmp_path / "data", folder_names="label"))
    assert sorted(read_manifest(tmp_path / "data")["label"]) == ["rural"] * len(above) + ["urban"] * len(above)


def test_without_the_flag_a_folder_is_read_by_coordinates_alone(folder, tmp_path):
    do_import(ImportConfig(source=folder, out=tmp_path / "data"))
    assert read_manifest(tmp_path / "data")["source_id"].tolist() == ["France/48.85,2.35.jpg"]


@pytest.fixture
def table(folder):
    lines = [
        "path,lat,lon,region_id,land",
        "France/1.jpg,,,7,France",
        "Congo/3.jpg,1.5,2.5,7,",
        "Atlantis/4.jpg,,,a b/c,",
    ]
    (folder / "t.csv").write_text("\n".join([*lines, "5.jpg,,,,"]))
    return folder / "t.csv"


def test_a_table_brings_its_own_classes_beside_countries_and_coordinates(table, tmp_path):
    out = tmp_path / "data"
    do_import(ImportConfig(source=table, out=out, class_column="region_id", country_column="land", images=table.parent))
    photos = read_manifest(out).set_index("source_id")
    assert photos["label"].to_dict() == {"France/1": "7", "Congo/3": "7", "Atlantis/4": "a b/c"}
    assert photos.loc["Atlantis/4", "path"] == "images/a_b_c/Atlantis_4.jpg"
    assert photos["country"].dropna().to_dict() == {"France/1": "FR"}
    assert [r.reason for r in read_rejected(out)] == ["without coordinates and country"]
    relabelled = photos.reset_index().assign(label=lambda p: p["label"].replace("7", "8"))
    assert content_hash(relabelled) != content_hash(photos.reset_index())


def test_wrong_flags_and_partitions_are_refused_with_what_to_do(table, folder, tmp_path):
    out = tmp_path / "data"
    with pytest.raises(ValueError, match=r"no column zone \(--class-column\)"):
        do_import(ImportConfig(source=table, out=out, class_column="zone"))
    with pytest.raises(ValueError, match=r"--class-column region_id has no effect on .*, which is a folder"):
        do_import(ImportConfig(source=folder, out=out, class_column="region_id"))
    with pytest.raises(ValueError, match=r"--folder-names label has no effect on .*, which is a table"):
        do_import(ImportConfig(source=table, out=out, folder_names="label"))
    do_import(ImportConfig(source=folder, out=out, folder_names="country", test_share=0, calibration_share=0.3))
    with pytest.raises(ValueError, match="classes takes labels and no training photograph has one"):
        make_label_maps(LabelMapsConfig(out, tmp_path / "run", partition="classes"))
