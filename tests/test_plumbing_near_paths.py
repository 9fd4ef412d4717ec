"""A mistyped folder is asked about by the names of those beside it."""

from pathlib import Path

import pytest

from dataset.manifest import read_manifest
from label_maps.files import read_hierarchy
from label_maps.run_folder import read_run
from plumbing.near_paths import did_you_mean


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("runs/demo", "runs/world", "runs/demo-2", "data/mine"):
        (tmp_path / name).mkdir(parents=True)
    for run in ("runs/demo", "runs/world", "runs/demo-2"):
        (tmp_path / run / "run.json").touch()
    (tmp_path / "data/mine/manifest.parquet").touch()
    (tmp_path / "runs/dome").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("runs/dmeo", "; did you mean runs/demo or runs/demo-2?"),
        ("run/demo", "; did you mean runs/demo?"),
        ("rusn/wrold/", "; did you mean runs/world?"),
        ("runs/DEMO", ""),
        ("runs/planet", ""),
        ("elsewhere/demo", ""),
        ("", ""),
        ("..", ""),
    ],
)
def test_names_beside_a_mistyped_one_are_asked_about_if_they_are_what_is_wanted(folders, typed, asked):
    assert did_you_mean(Path(typed), "run.json") == asked


def test_absolute_paths_stay_absolute(folders):
    assert did_you_mean(folders / "runs" / "wold", "run.json") == f"; did you mean {folders / 'runs' / 'world'}?"


def test_commands_ask_for_runs_and_datasets(folders):
    with pytest.raises(
        ValueError, match=r"runs/wolrd is not a run folder, it has no run.json; did you mean runs/world\?"
    ):
        read_run(Path("runs/wolrd"))
    with pytest.raises(ValueError, match=r"data/mien is not a dataset.*; did you mean data/mine\?"):
        read_manifest(Path("data/mien"))
    with pytest.raises(ValueError, match=r"runs/wolrd does not exist; did you mean runs/world\?"):
        read_hierarchy(Path("runs/wolrd"))
    with pytest.raises(ValueError, match="runs/planet has no label maps: make them with"):
        read_hierarchy(Path("runs/planet"))
