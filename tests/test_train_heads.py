"""Heads that learn once more from all stages of a trunk: what changes, what stays, and that it is only kept if it pays."""

import shutil

import pytest
import torch

from infer.images import read_pixels
from infer.model import load_model
from infer.network.coordinate_head import HEAD
from infer.network.standardise import LEAST_STD
from infer.network.weights import load_network, read_trained
from label_maps.files import read_hierarchy
from tests.tiny import joint_config
from train import heads as readout
from train import loop as fit
from train.frozen import FeatureSource
from train.refine import main as refine
from train.refine_config import RefineConfig
from train.setup import labelled_splits
from train.tasks import train_joint
from train.validate import validate

CPU = torch.device("cpu")


@pytest.fixture
def run(tiny_run, tmp_path):
    """A run with label maps and no network."""
    return shutil.copytree(tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints", "*.safetensors"))


def config_of(tiny, run, **changes):
    return joint_config(tiny, run, **{"arch": "resnet18", "readout_epochs": 6, **changes})


def with_scores(linear, hidden):
    """Return a validation whose GeoScore is this, of linear heads and of those that read features."""

    def scored(network, check, *given):
        score = hidden if isinstance(check.source, FeatureSource) else linear
        return {**validate(network, check, *given), "val/geoscore": score}

    return scored


def both(run):
    """Return the network of a run and the one with linear heads that it was made from."""
    return load_network(run / "joint.safetensors"), load_network(run / "checkpoints" / "joint.best_loss.safetensors")


def images_of(tiny, run, split):
    photos = labelled_splits(tiny, run, read_hierarchy(run))[split]
    transform = load_network(run / "joint.safetensors")[1].transform
    return transform.normalise(torch.stack([read_pixels(photos.pictures, k, transform) for k in range(len(photos))]))


def test_heads_read_all_stages_and_the_trunk_stays(tiny, run):
    train_joint(config_of(tiny, run))
    (network, spec), (linear, linear_spec) = both(run)
    assert (spec.hidden, linear_spec.hidden) == (readout.HIDDEN, 0)
    for name, tensor in linear.trunk.state_dict().items():
        torch.testing.assert_close(network.trunk.state_dict()[name], tensor, atol=0, rtol=0)
    before, after = (
        read_trained(path) for path in (run / "checkpoints" / "joint.best_loss.safetensors", run / "joint.safetensors")
    )
    assert after["metrics"]["val/geoscore"] > before["metrics"]["val/geoscore"]
    assert (after["epochs"], after["readout_epochs"]) == (before["epochs"], 6)


def test_features_are_standardised_by_the_training_photographs_as_they_are(tiny, run):
    train_joint(config_of(tiny, run))
    (network, _), _ = both(run)
    with torch.inference_mode():
        features = network.features(images_of(tiny, run, "train"))
    standard = (features - network.readout.mean) / network.readout.std
    learned = features.std(dim=0) > 10 * LEAST_STD
    assert learned.any()
    torch.testing.assert_close(standard.mean(dim=0)[learned], torch.zeros(int(learned.sum())), atol=1e-2, rtol=0)
    torch.testing.assert_close(standard.std(dim=0)[learned], torch.ones(int(learned.sum())), atol=1e-2, rtol=0)


@pytest.mark.parametrize("better", [True, False])
def test_the_hidden_layer_is_kept_only_if_the_calibration_split_is_answered_better(tiny, run, monkeypatch, better):
    monkeypatch.setattr(fit, "validate", with_scores(1000.0, 1001.0 if better else 1000.0))
    train_joint(config_of(tiny, run, epochs=1, readout_epochs=1))
    (_, spec), _ = both(run)
    assert spec.hidden == (readout.HIDDEN if better else 0)
    if not better:
        best = run / "checkpoints" / "joint.best_loss.safetensors"
        assert (run / "joint.safetensors").read_bytes() == best.read_bytes()


@pytest.mark.parametrize("before", [0, 1], ids=["at once", "after an epoch"])
def test_a_training_interrupted_while_heads_learn_ends_as_if_it_had_not_been(tiny, run, monkeypatch, before):
    undisturbed = shutil.copytree(run, run.with_name("undisturbed"))
    train_joint(config_of(tiny, undisturbed, epochs=1, readout_epochs=2))

    real, steps = fit._step, []

    def interrupted(training, *given):
        steps.append(training.name)
        if steps.count("joint.readout") > before:
            raise KeyboardInterrupt
        return real(training, *given)

    with monkeypatch.context() as patch:
        patch.setattr(fit, "_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_joint(config_of(tiny, run, epochs=1, readout_epochs=2))
    assert not (run / "joint.safetensors").exists()
    train_joint(config_of(tiny, run, epochs=1, readout_epochs=2, resume=True))
    (network, _), _ = both(run)
    (other, _), _ = both(undisturbed)
    for name, tensor in other.state_dict().items():
        torch.testing.assert_close(network.state_dict()[name], tensor, atol=1e-6, rtol=0, msg=name)


def test_a_resumed_training_may_leave_its_heads_linear_after_all(tiny, run):
    train_joint(config_of(tiny, run, epochs=1, readout_epochs=2))
    (run / "joint.safetensors").unlink()
    train_joint(config_of(tiny, run, epochs=1, readout_epochs=0, resume=True))
    (_, spec), _ = both(run)
    assert not spec.hidden


def test_features_of_at_most_so_many_photographs_are_kept(tiny, run, monkeypatch):
    monkeypatch.setattr(readout, "MOST_BYTES", 10 * 4 * 1920 + 100)
    seen, real = [], readout.fit
    monkeypatch.setattr(readout, "fit", lambda *given: (seen.append(given[0]), real(*given)))
    train_joint(config_of(tiny, run, epochs=1, sampler="balanced"))
    assert len(seen[0].photos) == len(seen[0].source) == len(seen[0].draw) == 10
    assert len(set(seen[0].photos.keys.tolist())) == 10
    assert not (run / "checkpoints" / "features").exists(), "what nobody reads again is deleted"


def test_a_coordinate_head_stays_as_it_was(tiny, run, monkeypatch):
    monkeypatch.setattr(fit, "validate", with_scores(1000.0, 5000.0))
    train_joint(config_of(tiny, run, coordinate_weight=1.0, epochs=1, readout_epochs=2))
    (network, spec), (linear, _) = both(run)
    images = images_of(tiny, run, "calibration")
    with torch.inference_mode():
        assert spec.hidden
        torch.testing.assert_close(network(images)[HEAD], linear(images)[HEAD])


def test_a_trunk_without_known_stages_is_read_at_its_end(tiny, run):
    train_joint(config_of(tiny, run, arch="shufflenet_v2_x0_5"))
    (network, spec), _ = both(run)
    assert spec.hidden
    images = images_of(tiny, run, "calibration")
    with torch.inference_mode():
        torch.testing.assert_close(network.features(images), network.trunk(images), atol=0, rtol=0)


def test_such_a_run_answers_and_is_refined_like_any_other(tiny, run):
    train_joint(config_of(tiny, run))
    refine(RefineConfig(tiny, run, epochs=1, workers=0, device="cpu"))
    model = load_model(run, CPU).with_choices(None, "refined")
    seen = model.outputs(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))
    assert seen.features.shape == (2, 960 * 2)
    assert model.points(model.posterior(seen.logits), seen).shape == (2, 2)
