"""A dataset as flat folders of classes, by links or copies."""

import json
import shutil
from pathlib import Path

import pytest
from torchvision.datasets import ImageFolder

from dataset.manifest import coordinates, read_manifest, write_manifest
from label_maps.build import main as make_label_maps
from label_maps.config import FoldersConfig, LabelMapsConfig
from label_maps.files import read_hierarchy
from label_maps.folders import file_names, folder_name, main


@pytest.fixture
def run(tiny, tmp_path):
    """Label maps of the tiny planet."""
    make_label_maps(LabelMapsConfig(tiny, tmp_path / "run"))
    return tmp_path / "run"


@pytest.mark.parametrize("copy", [False, True])
def test_a_tool_that_wants_an_image_folder_sees_each_photograph_under_its_class(tiny, run, tmp_path, copy):
    out = tmp_path / "hierarchy_L3"
    main(FoldersConfig(data=tiny, run=run, level="L3", out=out, copy=copy))
    photos, hierarchy = read_manifest(tiny), read_hierarchy(run)
    classes = hierarchy.classes(coordinates(photos))[:, 1]
    expected = {
        f"{name}.jpg": hierarchy.name[hierarchy.rows(1)][k].replace("/", "_")
        for name, k in zip(photos["id"], classes.tolist(), strict=True)
    }
    seen = ImageFolder(out)
    assert {path.rsplit("/", 1)[1]: seen.classes[k] for path, k in seen.samples} == expected
    assert len(seen[0][0].getbands()) == 3
    assert all(path.is_symlink() != copy for path in out.glob("*/*.jpg"))


def test_links_survive_a_move_of_dataset_and_folders_together(tiny, run, tmp_path):
    shutil.copytree(tiny, tmp_path / "a" / "data")
    main(FoldersConfig(data=tmp_path / "a" / "data", run=run, level="L1", out=tmp_path / "a" / "L1"))
    shutil.move(tmp_path / "a", tmp_path / "b")
    assert all(link.is_file() for link in (tmp_path / "b" / "L1").glob("*/*"))


def test_a_second_run_changes_nothing_and_a_split_can_be_chosen(tiny, run, tmp_path, capsys):
    for _ in range(2):
        main(FoldersConfig(data=tiny, run=run, level="L8", out=tmp_path / "out", split="test"))
    assert len(list((tmp_path / "out").glob("*/*"))) == 12
    assert capsys.readouterr().out.splitlines()[-1] == f"12 photographs in 6 folders of {tmp_path / 'out'}"


def test_photographs_outside_all_classes_are_counted(tiny, tmp_path, capsys):
    make_label_maps(LabelMapsConfig(tiny, tmp_path / "run", levels=(8,)))
    run = tmp_path / "run"
    path = run / "label_maps" / "label_map_L8.json"
    content = json.loads(path.read_text())
    content["classes"].pop()
    path.write_text(json.dumps(content))
    main(FoldersConfig(data=tiny, run=run, level="L8", out=tmp_path / "out"))
    assert capsys.readouterr().out.splitlines()[-1] == "10 left out: their cell is not a class of L8"


def test_an_unknown_level_and_a_missing_picture_are_refused(tiny, run, tmp_path):
    with pytest.raises(ValueError, match="there is no level 'L4'"):
        main(FoldersConfig(data=tiny, run=run, level="L4", out=tmp_path / "out"))
    shutil.copytree(tiny, tmp_path / "data")
    next((tmp_path / "data" / "images").rglob("*.jpg")).unlink()
    with pytest.raises(ValueError, match=r"is missing: run `python -m fetch verify"):
        main(FoldersConfig(data=tmp_path / "data", run=run, level="L3", out=tmp_path / "out"))


def test_names_of_folders_and_files_stay_inside():
    assert folder_name("0/1/2") == "0_1_2"
    assert folder_name("../x") == "__x"
    assert folder_name("FR/Côtes-d'Armor") == "FR_Côtes-d'Armor"
    assert folder_name('a:b/"c"?*') == "a_b__c___"
    assert [folder_name("Aux"), folder_name("con.x"), folder_name("Console")] == ["_Aux", "_con.x", "Console"]
    assert file_names(["nul", "com1"], ["a.jpg", "b.jpg"]) == ["_nul.jpg", "_com1.jpg"]
    assert file_names(["../../etc/passwd", "..."], ["images/a.jpg", "a.png"]) == ["_.._etc_passwd.jpg", "_.png"]


def test_two_ids_that_become_one_file_name_are_two_files(tiny, run, tmp_path, capsys):
    shutil.copytree(tiny, tmp_path / "data")
    photos = read_manifest(tmp_path / "data")
    photos.loc[:1, "id"] = ["a/b", "a_b"]
    write_manifest(tmp_path / "data", photos)
    for _ in range(2):
        main(FoldersConfig(data=tmp_path / "data", run=run, level="L3", out=tmp_path / "out"))
    assert len(list((tmp_path / "out").glob("*/*"))) == len(photos)
    assert len(list((tmp_path / "out").glob("*/a_b.jpg"))) == 1
    assert capsys.readouterr().out.startswith(f"{len(photos)} photographs in")


def test_names_of_files_are_unique_also_where_case_does_not_count():
    names = file_names(["A", "a", "a?", "b"], ["x.jpg"] * 4)
    assert len({name.casefold() for name in names}) == 4
    assert (names[0], names[3]) == ("A.jpg", "b.jpg")
    assert file_names(["b", "a?"], ["x.jpg"] * 2) == ["b.jpg", "a_.jpg"]


def test_a_system_that_makes_no_links_is_told_of_copies(tiny, run, tmp_path, monkeypatch):
    def refused(self, target):
        raise OSError(22, "A required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refused)
    with pytest.raises(ValueError, match=r"cannot be a link to .*privilege is not held.*: pass --copy"):
        main(FoldersConfig(data=tiny, run=run, level="L3", out=tmp_path / "out"))
