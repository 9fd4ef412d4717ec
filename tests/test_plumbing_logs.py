"""--log-file: a rotated file beside the terminal, for every command."""

import logging
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from plumbing import logs
from plumbing.config import command
from plumbing.evenly import evenly

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Config:
    """Do something."""

    level: int = 3
    """The level."""


def works(config):
    logging.getLogger("here").info("level %d", config.level)


def refuses(config):
    raise ValueError("--level 3 is not there")


def breaks(config):
    raise RuntimeError("a bug")


def typed(action, *words):
    with pytest.raises(SystemExit) as leaving:
        command(Config, "python -m train joint", f"{__name__}:{action}", list(words))
    return leaving.value.code


def lines(path):
    return [re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", "", line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("flag", [["--log-file", "PATH"], ["--log-file=PATH"], ["--log_file", "PATH"]])
def test_lines_of_a_command_stand_in_the_file_between_its_begin_and_its_end(flag, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    path = tmp_path / "logs" / "a.log"
    assert not typed("works", *(word.replace("PATH", str(path)) for word in flag), "--level", "7")
    assert lines(path) == [
        "INFO command: begun: python -m train joint --level 7",
        "INFO here: level 7",
        "INFO command: ended",
    ]
    assert not [
        h for h in logging.getLogger().handlers if isinstance(h, logging.FileHandler) and h.baseFilename == str(path)
    ]


def test_a_second_command_adds_to_the_file(tmp_path):
    for _ in range(2):
        typed("works", "--log-file", str(tmp_path / "a.log"))
    assert sum("begun" in line for line in lines(tmp_path / "a.log")) == 2


def test_a_refusal_stands_in_the_file_too(tmp_path, capsys):
    assert typed("refuses", "--log-file", str(tmp_path / "a.log")) == 2
    assert lines(tmp_path / "a.log")[-1] == "ERROR command: error: --level 3 is not there"
    assert capsys.readouterr().err == "error: --level 3 is not there\n"


def test_an_error_of_ours_stands_in_the_file_with_its_traceback(tmp_path):
    with pytest.raises(RuntimeError):
        command(Config, "x", f"{__name__}:breaks", ["--log-file", str(tmp_path / "a.log")])
    assert "RuntimeError: a bug" in (tmp_path / "a.log").read_text()
    assert "Traceback" in (tmp_path / "a.log").read_text()


def test_a_file_that_is_full_becomes_an_older_one_and_five_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "MOST_BYTES", 200)
    for _ in range(30):
        typed("works", "--log-file", str(tmp_path / "a.log"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log", *(f"a.log.{n}" for n in range(1, 6))]
    assert all(path.stat().st_size <= 200 for path in tmp_path.iterdir())


def test_several_processes_write_into_files_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    typed("works", "--log-file", str(tmp_path / "a.log"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.log.rank1"]


@pytest.mark.parametrize("words", [["--log-file"], ["--log-file", "--level", "3"], ["--log-file="]])
def test_a_file_without_a_name_is_refused(words, capsys):
    assert typed("works", *words) == 2
    assert capsys.readouterr().err == "error: --log-file lacks its value: write --log-file PATH\n"


def test_a_file_that_cannot_be_written_is_one_line(tmp_path, capsys):
    assert typed("works", "--log-file", str(tmp_path)) == 2
    said = f"error: --log-file {tmp_path} cannot be written (Is a directory): name another file\n"
    assert capsys.readouterr().err == said


def test_every_command_says_so_in_its_help():
    said = subprocess.run(
        [sys.executable, "-m", "fetch", "demo", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "--log-file PATH" in said


def test_evenly_chosen_items_are_as_many_as_asked_and_spread_over_all():
    assert evenly(list(range(10)), 5) == [0, 2, 4, 6, 8]
    assert evenly(list(range(10)), 3) == [0, 3, 6]
    assert evenly([1, 2], 5) == evenly([1, 2], None) == [1, 2]
