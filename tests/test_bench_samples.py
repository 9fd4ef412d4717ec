"""The sample answers of the docs are chosen by a rule, and the page says what was measured."""

import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import infer
from bench.samples import MOST_BYTES, RESULTS, SAMPLES, middles, page, sample
from geocells.sphere import distance_km
from plumbing.files import read_json
from tests.test_docs import ROOT


@given(st.lists(st.floats(0, 2e4), min_size=10, max_size=300))
def test_the_samples_are_the_middles_of_the_tenths_of_the_errors(errors):
    errors = np.array(errors)
    chosen = errors[middles(errors, 10)]
    assert (np.diff(chosen) >= 0).all()
    for part, value in enumerate(chosen):
        assert (errors < value).mean() <= (part + 0.5) / 10 <= (errors <= value).mean()


def test_the_page_shows_the_figures_that_were_measured():
    record = read_json(ROOT / RESULTS)
    assert (ROOT / "docs" / "sample-answers.md").read_text(encoding="utf-8") == page(record)
    assert len(record["samples"]) == SAMPLES
    for each in record["samples"]:
        assert each["distance_km"] == pytest.approx(distance_km(each["true_deg"], each["point_deg"]), abs=0.2)


def test_the_pictures_of_the_page_are_small_together():
    pictures = [ROOT / "docs" / "pictures" / each["picture"] for each in read_json(ROOT / RESULTS)["samples"]]
    assert sum(picture.stat().st_size for picture in pictures) < 750_000


def test_samples_are_drawn_beside_their_photographs_and_described(tiny, calibrated, tmp_path):
    record = sample(tiny, infer.load(calibrated, "cpu"), tmp_path)
    assert record["photographs"] == 12
    assert [each["percentile"] for each in record["samples"]] == list(range(5, 100, 10))
    away = [each["distance_km"] for each in record["samples"]]
    assert away == sorted(away)
    for each in record["samples"]:
        assert (tmp_path / each["picture"]).stat().st_size < MOST_BYTES
        with Image.open(tmp_path / each["picture"]) as picture:
            assert picture.width > 1000
    shutil.rmtree(tmp_path)
    assert "12 answers" in page(record)
