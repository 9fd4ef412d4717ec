"""The table of real photographs: on made-up ones, so that its command keeps running."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import bench.report
from bench.real import main
from bench.real_answers import divided, tempered, trunk_of
from bench.real_photographs import alike, components

COUNTRIES = {"France": (200, 40, 40), "Japan": (40, 200, 40), "Brazil": (40, 40, 200)}


@pytest.fixture
def table(tmp_path):
    """Return a table of 60 pictures of three countries, whose colours tell the country."""
    rng = np.random.default_rng(0)
    rows = []
    for country, colour in COUNTRIES.items():
        for n in range(20):
            light = rng.normal(0, 60, 3)
            picture = np.clip(rng.normal(colour + light, 60, (32, 32, 3)), 0, 255).astype(np.uint8)
            name = f"{country}_{n}.png"
            Image.fromarray(picture).save(tmp_path / name)
            rows.append({"id": f"{country}{n}", "path": name, "country": country, "source": f"publisher {n % 2}"})
    path = tmp_path / "photos.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Return where results are written instead of bench/results."""
    monkeypatch.setattr(bench.report, "RESULTS", tmp_path)
    return tmp_path / "real.json"


def flags(table, tmp_path, *others):
    trunk = ("--trunk", "resnet18", "none", "--size", "32", "--least", "5", "--alike", "0.9999")
    return ["--data", str(table), "--work", str(tmp_path / "work"), *trunk, *others]


def test_countries_that_differ_in_colour_are_told_apart_by_a_thumbnail(table, tmp_path, results):
    pd.read_csv(table).drop(columns="source").to_csv(table, index=False)
    assert main(flags(table, tmp_path, "--no-random", "--tune-epochs", "1")) == 0
    found = json.loads(results.read_text())
    rows = {row["answers"]: row for row in found["rows"]}
    chance, thumbnail = next(iter(rows.values())), rows["colours of an 8x8 thumbnail"]
    assert chance["top_1"]["value"] == pytest.approx(1 / 3)
    assert thumbnail["top_1"]["value"] > 0.7
    assert thumbnail["sets"]["0.9"]["covered"]["value"] > 0.75
    learned = rows["resnet18, last stages learn"]["sets"]
    assert 1 <= learned["0.5"]["mean_size"]["value"] < learned["0.9"]["mean_size"]["value"] <= 3
    assert {"resnet18, frozen", "resnet18, last stages learn", "all of these trunks together"} < set(rows)
    assert "60 photographs of 3 classes in 60 groups" in found["photographs"]


def test_photographs_of_two_publishers_give_no_figure(table, tmp_path, results, capsys):
    assert main(flags(table, tmp_path)) == 2
    assert "60 photographs of 3 classes form 2 leakage groups" in capsys.readouterr().err
    assert not results.exists()


def test_features_that_are_near_join_two_groups():
    features = np.array([[1, 0, 0], [1, 0.01, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float32)
    pairs = alike(features, 0.99)
    assert pairs.tolist() == [[0, 1]]
    assert components(pairs, 4).tolist() == [0, 0, 1, 2]


def test_first_and_last_stages_are_the_whole_trunk():
    network, spec = trunk_of("resnet18", "none", 32)
    front, last = divided(network.trunk)
    images = spec.transform.normalise(torch.randint(255, (2, 3, 32, 32), dtype=torch.uint8))
    assert (last(front(images)) - network.trunk(images)).abs().max() < 1e-5


def test_a_temperature_makes_overconfident_answers_as_confident_as_they_are_right():
    rng = np.random.default_rng(0)
    true = rng.integers(2, size=400)
    stated = np.where(rng.random(400) < 0.7, true, 1 - true)
    probability = np.where(np.arange(2) == stated[:, None], 0.99, 0.01)
    folds = [(np.arange(200, 400), np.arange(200)), (np.arange(200), np.arange(200, 400))]
    found = tempered(probability, true, np.arange(400), folds)
    assert found.max(axis=1).mean() == pytest.approx((stated == true).mean(), abs=0.03)
