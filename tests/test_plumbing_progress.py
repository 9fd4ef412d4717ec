"""Long work is seen: as a bar on a terminal, as lines of the log in a file."""

import logging
import sys
import time

import pytest

from plumbing import progress as module
from plumbing.progress import progress


@pytest.fixture
def lines(monkeypatch, caplog):
    """Have lines written each 20 ms."""
    monkeypatch.setattr(module, "EVERY_S", 0.02)
    caplog.set_level(logging.INFO)
    return lambda: [record.getMessage() for record in caplog.records]


def test_in_a_file_a_line_comes_every_so_often_and_one_at_the_end(lines):
    bar = progress(range(200), "joint epoch 1/3", "step")
    for step in bar:
        time.sleep(0.001)
        bar.set_postfix(loss=f"{20 / (step + 1):.2f}")
    said = lines()
    assert 3 <= len(said) < 100
    assert said[0].startswith("joint epoch 1/3: ")
    assert " of 200 steps, " in said[0]
    assert said[-1].startswith("joint epoch 1/3: 200 of 200 steps, 100 %, 00:")
    assert said[-1].endswith(", loss=0.10")


@pytest.mark.parametrize("given", [{}, {"total": 1}])
def test_one_of_one_is_singular(lines, given):
    for _ in progress([0] if not given else iter([0]), "predicting", "photograph", **given):
        time.sleep(0.03)
    assert lines()[-1].startswith("predicting: 1 of 1 photograph, 100 %")


def test_what_ends_before_the_first_line_is_due_writes_none(lines, monkeypatch):
    monkeypatch.setattr(module, "EVERY_S", 30.0)
    assert list(progress(range(1000), "storing", "photo")) == list(range(1000))
    assert lines() == []


def test_without_a_total_a_line_says_how_many_are_done(lines):
    for _ in progress(iter(range(4)), "checking", "file"):
        time.sleep(0.015)
    assert lines()[-1].startswith("checking: 4 files, 00:")


@pytest.mark.parametrize(
    ("unit", "said"), [("step", "4 of 4 steps"), ("batch", "4 of 4 batches"), ("photograph", "4 of 4 photographs")]
)
def test_units_are_counted_in_their_plural(lines, unit, said):
    for _ in progress(range(4), "decoding", unit):
        time.sleep(0.015)
    assert lines()[-1].startswith(f"decoding: {said}, 100 %")


def test_updates_by_hand_are_lines_too(lines):
    bar = progress(range(8), "answering", "photograph", 8)
    for _ in range(4):
        time.sleep(0.025)
        bar.update(2)
    bar.close()
    assert [line.split(" of ")[0] for line in lines()] == [f"answering: {n}" for n in (2, 4, 6, 8)]


def test_other_processes_than_the_first_are_quiet(lines, capsys):
    for _ in progress(range(4), "answering", "photograph", quiet=True):
        time.sleep(0.015)
    assert lines() == []
    assert capsys.readouterr().err == ""


def test_on_a_terminal_it_is_a_bar(lines, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert list(progress(range(3), "verifying", "picture")) == [0, 1, 2]
    assert "verifying: 100%" in capsys.readouterr().err
    assert lines() == []
