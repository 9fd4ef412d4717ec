"""The most similar training photographs."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dataset.manifest import read_manifest, write_manifest
from geocells.sphere import distance_km
from infer.__main__ import predict as main
from infer.config import EvaluateConfig, InferConfig
from infer.evaluate.run import cell_errors, cell_prior
from infer.evaluate.run import main as evaluate
from infer.explain.retrieval import COUNT, FEATURES, PHOTOGRAPHS, Neighbours, open_neighbours, unit_features
from infer.model import load_model
from infer.network.weights import load_network, save_network
from tests.tiny import PLACES, write_square

CPU = torch.device("cpu")


@pytest.fixture
def run(tiny_run, tmp_path):
    return shutil.copytree(tiny_run, tmp_path / "run")


def opened(run, data):
    model = load_model(run, CPU)
    return model, open_neighbours(model, run, data, 16, 0)


def pixels_as_features(run, data):
    """Return a model that takes all pixels as features, by which no two pictures are alike, and its neighbours."""
    model = load_model(run, CPU)
    (network,) = model.networks
    network.trunk = nn.Flatten()
    for level, head in network.heads.items():
        network.heads[level] = nn.Linear(3 * 32 * 32, head.out_features)
    return model, open_neighbours(model, run, data, 16, 0)


def seen(model, path):
    return unit_features(model.outputs(model.transform.pixels(path)[None]))


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 8), st.integers(0, 2**32))
def test_the_nearest_are_those_of_the_highest_cosine_in_whatever_blocks(count, wanted, seed):
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((count, 5)).astype(np.float16)
    asked = rng.standard_normal((3, 5)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("infer.explain.retrieval.BLOCK", 7)
        rows, cosines = Neighbours(Path(), pd.DataFrame(), features).nearest(asked, wanted)
    every = asked @ features.astype(np.float32).T
    assert rows.shape == (3, min(count, wanted))
    np.testing.assert_allclose(cosines, -np.sort(-every, axis=1)[:, :wanted], rtol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(every, rows, 1), cosines, rtol=1e-5)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 8), st.integers(0, 2**32), st.sampled_from([0, 2**30]))
def test_photographs_that_are_equally_similar_come_in_their_order_whether_or_not_all_fit_in_memory(
    count, wanted, seed, kept
):
    rng = np.random.default_rng(seed)
    features = rng.integers(-1, 2, (count, 3)).astype(np.float16)
    asked = rng.integers(-2, 3, (3, 3)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("infer.explain.retrieval.BLOCK", 7)
        patched.setattr("infer.explain.retrieval.KEPT_BYTES", kept)
        rows, cosines = Neighbours(Path(), pd.DataFrame(), features).nearest(asked, wanted)
    every = asked @ features.astype(np.float32).T
    order = np.argsort(-every, axis=1, kind="stable")[:, :wanted]
    np.testing.assert_array_equal(rows, order)
    np.testing.assert_array_equal(cosines, np.take_along_axis(every, order, 1))


def test_features_are_converted_once_and_never_held_beyond_the_bound(monkeypatch):
    features = np.eye(6, dtype=np.float16)
    small = Neighbours(Path(), pd.DataFrame(), features)
    assert small.nearest(np.eye(6)[2:3], 1)[0] == 2
    assert small._float32 is small._float32
    monkeypatch.setattr("infer.explain.retrieval.KEPT_BYTES", 4 * features.size - 1)
    large = Neighbours(Path(), pd.DataFrame(), features)
    assert large.nearest(np.eye(6)[2:3], 1)[0] == 2
    assert "_float32" not in vars(large)


def test_a_training_photograph_is_the_most_similar_to_itself(tiny, run):
    model, neighbours = pixels_as_features(run, tiny)
    assert len(neighbours.photos) == 36
    for photo in neighbours.photos.itertuples():
        features = seen(model, tiny / photo.path)
        (first, *_) = neighbours.similar(features[0], (photo.latitude, photo.longitude))
        assert first.id == photo.id
        assert first.similarity == pytest.approx(1, abs=1e-3)
        assert first.distance_km == pytest.approx(0, abs=1e-6)
        assert tuple(neighbours.places(features)[0]) == (photo.latitude, photo.longitude)


def test_only_photographs_that_were_trained_on_are_neighbours(tiny, run):
    _, neighbours = opened(run, tiny)
    photos = read_manifest(tiny)
    assert set(neighbours.photos["id"]) == set(photos["id"][photos["split"] == "train"])


def test_the_index_is_made_once(tiny, run):
    opened(run, tiny)
    before = (run / FEATURES).stat().st_mtime_ns, (run / PHOTOGRAPHS).stat().st_mtime_ns
    opened(run, tiny)
    assert before == ((run / FEATURES).stat().st_mtime_ns, (run / PHOTOGRAPHS).stat().st_mtime_ns)


def test_the_index_of_other_weights_is_not_used_but_made_again(tiny, run):
    _, before = opened(run, tiny)
    old = np.array(before.features)
    network, spec = load_network(run / "joint.safetensors")
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.2 * torch.randn_like(weight)
    save_network(run / "joint.safetensors", network, spec, {})
    model, after = opened(run, tiny)
    assert not np.array_equal(old, after.features)
    np.testing.assert_allclose(after.features[3], seen(model, tiny / after.photos["path"][3])[0], atol=2e-3)


@pytest.mark.parametrize("damaged", [FEATURES, PHOTOGRAPHS])
def test_half_an_index_is_made_again(tiny, run, damaged):
    _, before = opened(run, tiny)
    (run / damaged).unlink()
    _, after = opened(run, tiny)
    np.testing.assert_array_equal(before.features, after.features)


def test_a_table_that_cannot_be_read_is_made_again(tiny, run):
    opened(run, tiny)
    (run / PHOTOGRAPHS).write_bytes(b"PAR1 and nothing")
    _, after = opened(run, tiny)
    assert len(after.photos) == 36


def test_photographs_that_cannot_be_read_are_no_neighbours(tiny, run, tmp_path, caplog):
    data = shutil.copytree(tiny, tmp_path / "data")
    photos = read_manifest(data)
    lost = photos[photos["split"] == "train"].iloc[4]
    (data / lost["path"]).write_bytes(b"")
    model, neighbours = pixels_as_features(run, data)
    assert len(neighbours.photos) == len(neighbours.features) == 35
    assert lost["id"] not in set(neighbours.photos["id"])
    assert lost["path"] in caplog.text
    last = neighbours.photos.iloc[-1]
    assert neighbours.similar(seen(model, data / last["path"])[0], (0, 0))[0].id == last["id"]


def test_a_dataset_of_other_photographs_is_refused(tiny, run, tmp_path):
    photos = read_manifest(tiny)
    write_manifest(tmp_path / "other", photos.assign(id="x" + photos["id"]))
    with pytest.raises(ValueError, match=r"holds none of the 36 photographs that .* was trained on"):
        opened(run, tmp_path / "other")


def test_an_answer_names_its_neighbours_with_licence_and_distance(tiny, run, tmp_path):
    data = shutil.copytree(tiny, tmp_path / "data")
    write_manifest(data, read_manifest(data).assign(licence="CC BY-SA 4.0", creator="<b>Ann</b>"))
    photo = write_square(tmp_path / "in" / "red.jpg", PLACES["paris"][2], np.random.default_rng(0))
    given = {"workers": 0, "device": "cpu", "explain": True, "data": data}
    main(InferConfig(photos=(photo,), run=run, out=tmp_path / "out", **given))
    (record,) = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert len(record["similar"]) == COUNT
    point = record["latitude"], record["longitude"]
    for neighbour in record["similar"]:
        assert set(neighbour) == {
            *("id", "latitude", "longitude", "similarity", "distance_km", "licence", "creator", "path")
        }
        place = neighbour["latitude"], neighbour["longitude"]
        assert neighbour["distance_km"] == pytest.approx(float(distance_km(place, point)), abs=0.01)
        assert (data / Path(neighbour["path"]).relative_to(data)).is_file()
    alike = [neighbour["similarity"] for neighbour in record["similar"]]
    assert alike == sorted(alike, reverse=True)
    page = (tmp_path / "out" / "red.html").read_text()
    assert page.count("<figcaption>") == COUNT
    assert "CC BY-SA 4.0" in page
    assert "<b>Ann</b>" not in page


def test_evaluation_stands_beside_the_neighbour_and_the_cell_prior_where_they_are_asked_for(tiny, run, tmp_path):
    given = {"data": tiny, "run": run, "workers": 0, "device": "cpu", "split": "train"}
    evaluate(EvaluateConfig(**given, out=tmp_path / "plain.json"))
    evaluate(EvaluateConfig(**given, out=tmp_path / "more.json", baselines=True))
    plain, more = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("plain", "more"))
    assert set(more["answers"]) - set(plain["answers"]) == {"cell prior", "neighbour"}
    assert more["answers"]["model"] == plain["answers"]["model"]
    assert "neighbour" in (tmp_path / "more.txt").read_text()


def test_the_cell_prior_answers_where_most_training_photographs_are(tiny_run):
    model = load_model(tiny_run, CPU).with_choices(None, "top")
    rows = model.hierarchy.rows(3)
    model.hierarchy.train_count.setflags(write=True)
    model.hierarchy.train_count[rows] = [6, 6, 6, 60, 6, 6]
    assert cell_prior(model) == pytest.approx(model.hierarchy.center_deg[rows][3], abs=1e-4)


def test_errors_by_cell_are_medians_of_the_photographs_inside():
    truth = np.array([(48.86, 2.35), (48.87, 2.36), (48.85, 2.34), (-33.87, 151.21)])
    errors = cell_errors(np.array([1.0, 9.0, 2.0, 5.0]), truth)
    assert sorted(errors.values()) == [2.0, 5.0]
    assert set(errors) == {"1/0/2/2/2", "3/1/3/2/1"}
