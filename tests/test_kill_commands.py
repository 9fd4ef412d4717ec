"""Commands that are killed at random moments leave in the end what an undisturbed run leaves; `tests.kill_commands` has all."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fetch.__main__ import COMMANDS as FETCH
from infer.__main__ import COMMANDS as INFER
from label_maps.__main__ import COMMANDS as LABEL_MAPS
from plumbing.config import parse
from tests.folder_contents import contents, differences
from tests.kill_commands import COMMANDS
from train.__main__ import COMMANDS as TRAIN
from viz.__main__ import COMMANDS as VIZ

ROOT = Path(__file__).parents[1]
FOLDERS = {"fetch": FETCH, "infer": INFER, "label_maps": LABEL_MAPS, "train": TRAIN, "viz": VIZ}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_a_command_of_the_harness_can_be_typed_also_when_it_is_started_again(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "manifest.parquet").touch()
    (tmp_path / "run").mkdir()
    (tmp_path / "table.csv").write_text("id\n", encoding="utf-8")
    for words in (command.words.split(), f"{command.words} {command.again}".split()):
        parse(FOLDERS[words[0]][words[1]][0], f"python -m {words[0]} {words[1]}", words[2:])


def test_only_recorded_times_may_differ(tmp_path):
    (tmp_path / "a.json").write_text(
        json.dumps({"created_at_utc": "1", "n": [{"seconds": 1, "x": 2}]}), encoding="utf-8"
    )
    (tmp_path / "b.txt").write_text("b", encoding="utf-8")
    before = contents(tmp_path)
    (tmp_path / "a.json").write_text(
        json.dumps({"created_at_utc": "2", "n": [{"seconds": 3, "x": 2}]}), encoding="utf-8"
    )
    assert differences(before, contents(tmp_path)) == []
    (tmp_path / "a.json").write_text(
        json.dumps({"created_at_utc": "2", "n": [{"seconds": 3, "x": 3}]}), encoding="utf-8"
    )
    (tmp_path / "b.txt").rename(tmp_path / ".b.txt.partial")
    assert differences(before, contents(tmp_path)) == [
        "b.txt is missing", ".b.txt.partial is left over", "a.json differs",
    ]  # fmt: skip


def test_checkpoints_differ_by_a_weight_and_not_by_when_they_began_or_how_they_are_stored(tmp_path):
    def stored(folder, **changed):
        (tmp_path / folder).mkdir()
        content = {"network": {"w": torch.ones(2)}, "settings": {"seed": 1}, "started_at_utc": folder}
        torch.save(content | changed, tmp_path / folder / "last.pt", _use_new_zipfile_serialization=folder != "b")
        return contents(tmp_path / folder)

    first = stored("a")
    assert differences(first, stored("b")) == []
    assert differences(first, stored("c", network={"w": torch.tensor([1.0, 2.0])})) == ["last.pt differs"]
    assert differences(first, stored("d", settings={"seed": 2})) == ["last.pt differs"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the harness forks")
def test_kills_change_neither_what_commands_leave_nor_leave_a_trace():
    words = ["--kills", "2", "--only", "fetch demo", "fetch import", "fetch thin", "fetch pack", "label_maps build"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.kill_commands", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[-1] for line in done.stdout.splitlines()[1:]] == ["yes"] * 5
