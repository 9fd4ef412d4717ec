"""Damaged inputs of all kinds are read, or refused in one line: a short run of the fuzz harness."""

import warnings
from pathlib import Path

import pytest

from tests.fuzz_inputs import fuzz

CASES = 400


@pytest.mark.slow
def test_damaged_inputs_of_all_kinds_are_read_or_refused_in_one_line(tiny: Path, calibrated: Path):
    # What warns of odd values goes on.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert fuzz(tiny, calibrated, CASES) == {}
