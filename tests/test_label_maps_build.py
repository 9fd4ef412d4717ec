"""`python -m label_maps`: from a dataset to the classes of a run."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from dataset.manifest import content_hash, coordinates, read_manifest, write_manifest
from geocells.hierarchy import UNKNOWN
from geocells.sphere import distance_km
from label_maps.build import main
from label_maps.config import LabelMapsConfig
from label_maps.files import FOLDER, hierarchy_hash, read_hierarchy
from label_maps.run_folder import RUN, SPLIT, read_run, read_split


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def photos(latlon_deg, split="train"):
    points = np.asarray(latlon_deg, dtype=float).reshape(-1, 2)
    rows = {"id": [f"p{i}" for i in range(len(points))], "latitude": points[:, 0], "longitude": points[:, 1]}
    return pd.DataFrame({**rows, "path": "", "split": split})


def test_a_run_has_one_list_of_classes_per_level_and_one_map_per_step(tiny, tmp_path, capsys):
    main(LabelMapsConfig(tiny, tmp_path))
    assert names_in(tmp_path / FOLDER) == [
        *("l1_to_l3.json", "l3_to_l5.json", "l5_to_l8.json"),
        *("label_map_L1.json", "label_map_L3.json", "label_map_L5.json", "label_map_L8.json"),
    ]
    assert read_hierarchy(tmp_path).sizes() == [4, 6, 6, 6]
    printed = capsys.readouterr().out
    assert "36 training photographs" in printed
    assert re.search(r"L8 +6 +6 +6 +100.0%", printed)
    hierarchy, photos = read_hierarchy(tmp_path), read_manifest(tiny)
    learned = photos[photos["split"] == "train"]
    centers = hierarchy.center_deg[hierarchy.rows(3)][hierarchy.classes(coordinates(learned))[:, 3]]
    median, ninetieth = np.quantile(distance_km(coordinates(learned), centers), [0.5, 0.9])
    assert printed.splitlines()[5].endswith(f"{median:.0f} ({ninetieth:.0f})")


def test_every_training_photograph_has_a_class_on_every_level(tiny, tmp_path):
    main(LabelMapsConfig(tiny, tmp_path))
    table = read_manifest(tiny)
    classes = read_hierarchy(tmp_path).classes(coordinates(table[table["split"] == "train"]))
    assert (classes != UNKNOWN).all()


def test_classes_come_from_training_photographs_alone(tmp_path):
    table = pd.concat([photos([(10, 10)]), photos([(-60, -60)], "test").assign(id="t")])
    write_manifest(tmp_path / "data", table)
    main(LabelMapsConfig(tmp_path / "data", tmp_path / "run"))
    assert read_hierarchy(tmp_path / "run").sizes() == [1, 1, 1, 1]


def test_a_run_says_what_it_is_and_which_photograph_is_of_which_split(tiny, tmp_path):
    main(LabelMapsConfig(tiny, tmp_path / "mine", levels=(2, 6), min_images=2))
    record, table = read_run(tmp_path / "mine"), read_manifest(tiny)
    assert record["name"] == "mine"
    assert record["label_maps"] == {"partition": "quad", "levels": [2, 6], "min_images": 2}
    assert record["photographs"] == {"train": 36, "calibration": 12, "test": 12}
    assert record["dataset_hash"] == content_hash(table)
    assert record["label_map_hash"] == hierarchy_hash(read_hierarchy(tmp_path / "mine"))
    assert record["synthetic"] is False
    assert read_split(tmp_path / "mine") == dict(zip(table["id"], table["split"], strict=True))


def test_a_run_of_a_made_up_planet_says_so(tmp_path):
    write_manifest(tmp_path / "data", photos([(1, 1)]))
    (tmp_path / "data" / "dataset.json").write_text(json.dumps({"name": "d", "source": "demo", "synthetic": True}))
    main(LabelMapsConfig(tmp_path / "data", tmp_path / "run"))
    assert read_run(tmp_path / "run")["synthetic"] is True
    assert read_run(tmp_path / "run")["dataset"] == {"name": "d", "source": "demo"}


def test_the_content_of_a_dataset_is_known_by_its_photographs_in_any_order():
    table = photos([(1, 2), (3, 4), (5, 6)])
    assert content_hash(table) == content_hash(table.iloc[::-1])
    for changed in (table.assign(split="test"), table.assign(latitude=table["latitude"] + 1e-9), table.iloc[:2]):
        assert content_hash(changed) != content_hash(table)


def test_other_levels_replace_label_maps_on_which_nothing_is_trained(tiny, tmp_path):
    main(LabelMapsConfig(tiny, tmp_path))
    main(LabelMapsConfig(tiny, tmp_path, levels=(3, 5)))
    assert names_in(tmp_path / FOLDER) == ["l3_to_l5.json", "label_map_L3.json", "label_map_L5.json"]
    assert read_hierarchy(tmp_path).level_names == ("L3", "L5")


def test_label_maps_under_a_trained_network_are_made_again_only_as_they_are(tiny, tmp_path):
    main(LabelMapsConfig(tiny, tmp_path))
    (tmp_path / "joint.safetensors").touch()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}
    main(LabelMapsConfig(tiny, tmp_path))
    with pytest.raises(ValueError, match=r"networks trained on other label maps .*another --run"):
        main(LabelMapsConfig(tiny, tmp_path, levels=(1, 3)))
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}


def test_photographs_under_a_trained_network_do_not_change(tiny, tmp_path):
    main(LabelMapsConfig(tiny, tmp_path / "run"))
    (tmp_path / "run" / "L3.safetensors").touch()
    table = read_manifest(tiny)
    write_manifest(tmp_path / "data", table.assign(split=["test", *table["split"][1:]]))
    with pytest.raises(ValueError, match=r"other label maps or photographs"):
        main(LabelMapsConfig(tmp_path / "data", tmp_path / "run"))


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        (photos([]), "holds no photographs"),
        (photos([(1, 1), (2, 2)], "test"), "no photographs in its train split, of 2"),
        (photos([(1, 1), (np.nan, 2)]), "neither coordinates nor a country"),
        (photos([(100, 1)]), "100.0 as latitude"),
    ],
)
def test_a_dataset_without_a_training_place_begins_no_run(tmp_path, table, complaint):
    write_manifest(tmp_path / "data", table)
    with pytest.raises(ValueError, match=complaint):
        main(LabelMapsConfig(tmp_path / "data", tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_folder_without_a_manifest_is_no_dataset(tmp_path):
    with pytest.raises(ValueError, match=r"is not a dataset, it has no manifest\.parquet"):
        main(LabelMapsConfig(tmp_path, tmp_path / "run"))


def test_a_manifest_that_is_no_table_is_named(tmp_path):
    (tmp_path / "manifest.parquet").write_text("id,path")
    with pytest.raises(ValueError, match=r"manifest\.parquet cannot be read"):
        main(LabelMapsConfig(tmp_path, tmp_path / "run"))


def test_too_many_images_asked_of_each_cell_is_refused_with_what_there_is(tiny, tmp_path):
    with pytest.raises(ValueError, match=r"no L1 cell has 1,000 training photographs \(the fullest has 18\)"):
        main(LabelMapsConfig(tiny, tmp_path / "run", min_images=1000))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ({"levels": (0, 3)}, "level L0 does not exist: levels are L1 to L16"),
        ({"levels": (3, 17)}, "level L17 does not exist"),
        ({"levels": (5, 3)}, r"coarse to fine, such as 1 3 5 8; got \(5, 3\)"),
        ({"levels": (3, 3)}, "given once each"),
        ({"levels": ()}, "given once each"),
        ({"min_images": 0}, "--min-images must be 1 or more, got 0"),
    ],
)
def test_flags_that_cannot_work_are_refused(tmp_path, flags, complaint):
    with pytest.raises(ValueError, match=complaint):
        LabelMapsConfig(tmp_path, tmp_path, **flags)


def test_a_split_file_that_is_gone_or_no_run_at_all_is_named(tiny, tmp_path):
    main(LabelMapsConfig(tiny, tmp_path))
    (tmp_path / SPLIT).unlink()
    with pytest.raises(ValueError, match=r"split\.parquet is missing"):
        read_split(tmp_path)
    (tmp_path / RUN).write_text("[1]")
    with pytest.raises(ValueError, match=r"run\.json is not the record of a run"):
        read_run(tmp_path)
    (tmp_path / RUN).write_text("{")
    with pytest.raises(ValueError, match=r"run\.json is not valid JSON"):
        read_run(tmp_path)
    (tmp_path / RUN).unlink()
    with pytest.raises(ValueError, match=r"is not a run folder, it has no run\.json"):
        read_run(tmp_path)
