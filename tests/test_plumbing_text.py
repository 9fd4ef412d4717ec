"""Names of files are shown as text, whatever is in them."""

import logging
import os
import sys

from hypothesis import given
from hypothesis import strategies as st

from plumbing.logs import to_terminal
from plumbing.text import agreeing, counted, plural, printable, utf8

ESCAPE = "a\x1b[2J\x9b31mb\rc\u202ed.jpg"


def test_what_a_terminal_would_obey_is_shown():
    assert printable(ESCAPE) == "a\\x1b[2J\\x9b31mb\\rc\\u202ed.jpg"


def test_lines_tabs_and_letters_of_all_scripts_stay():
    assert printable("Straße\t日本\nالهند") == "Straße\t日本\nالهند"


@given(st.text())
def test_nothing_that_is_obeyed_is_left_and_all_can_be_written(text):
    shown = printable(text)
    assert not any(ord(letter) < 32 and letter not in "\n\t" for letter in shown)
    assert shown.encode() == utf8(shown).encode()


def test_bytes_that_are_no_utf8_become_escapes():
    assert utf8(os.fsdecode(b"caf\xe9.jpg")) == "caf\\udce9.jpg"


def test_log_lines_show_what_a_name_holds(capsys, monkeypatch):
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    to_terminal()
    logging.getLogger("test").warning("left out: %s", ESCAPE)
    monkeypatch.setattr(sys, "stderr", sys.__stderr__)
    assert capsys.readouterr().err == f"left out: {printable(ESCAPE)}\n"


def test_a_verb_agrees_with_the_number_before_it():
    verbs = ("are", "were", "have", "do", "lie", "match", "carry")
    assert [agreeing(1, verb) for verb in verbs] == ["is", "was", "has", "does", "lies", "matches", "carries"]
    assert [agreeing(n, verb) for n in (0, 2) for verb in verbs] == [*verbs, *verbs]
    assert [counted(n, "row", "are") for n in (0, 1, 1234)] == ["0 rows are", "1 row is", "1,234 rows are"]


def test_a_noun_is_counted_as_one_or_as_many():
    assert [counted(n, "photograph") for n in (0, 1, 2, 2003)] == [
        "0 photographs", "1 photograph", "2 photographs", "2,003 photographs",
    ]  # fmt: skip
    assert counted(2, "country") == "2 countries"
    assert [plural(noun) for noun in ("step", "batch", "day", "class")] == ["steps", "batches", "days", "classes"]
