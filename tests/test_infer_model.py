"""A run folder as a model: what belongs together is loaded, and what does not is named."""

import json
import shutil

import pytest
import torch

from dataset.manifest import read_manifest, write_manifest
from infer.model import load_model
from infer.network.devices import pick_device
from infer.network.network import GeoNetwork, NetworkSpec
from infer.network.transform import InputTransform
from infer.network.weights import load_network, save_network
from label_maps.build import main as make_label_maps
from label_maps.config import LabelMapsConfig
from label_maps.files import hierarchy_hash, read_hierarchy
from tests.tiny import write_tiny

CPU = torch.device("cpu")


@pytest.fixture
def run(tiny_run, tmp_path):
    """A copy of the tiny run to damage."""
    return shutil.copytree(tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints"))


def write_level(run, level, size=32, **changes):
    """Write a network of one level, as training does."""
    hierarchy = read_hierarchy(run)
    classes = {level: hierarchy.sizes()[hierarchy.level_index(level)]}
    spec = NetworkSpec("shufflenet_v2_x0_5", classes, hierarchy_hash(hierarchy), InputTransform(size))
    path = run / f"{changes.get('name', level)}.safetensors"
    save_network(path, GeoNetwork(spec), spec, {})
    return path


@pytest.fixture
def levels_run(run):
    """A run with one network for each level instead of a joint one."""
    (run / "joint.safetensors").unlink()
    for level in ("L1", "L3", "L5", "L8"):
        write_level(run, level)
    return run


def refusal(run):
    """Return why a run is refused."""
    with pytest.raises(ValueError) as refused:  # noqa: PT011 (each test looks at the words)
        load_model(run, CPU)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_joint_network_answers_every_level(tiny_run):
    model = load_model(tiny_run, CPU)
    pixels = torch.randint(0, 255, (3, 3, 32, 32), dtype=torch.uint8)
    assert [tuple(z.shape) for z in model.logits(pixels)] == [(3, 4), (3, 6), (3, 6), (3, 6)]
    assert model.transform == InputTransform(32)
    assert (model.fusion, model.point, model.calibrated) == ("chain", "geoscore", False)


def test_one_network_for_each_level_answers_like_a_joint_one(levels_run):
    model = load_model(levels_run, CPU)
    assert len(model.networks) == 4
    posterior = model.posterior(model.logits(torch.zeros(1, 3, 32, 32, dtype=torch.uint8)))
    assert [float(level.exp().sum()) for level in posterior] == pytest.approx([1, 1, 1, 1])


def test_a_run_predicts_wherever_it_is_copied_to(tiny_run, run):
    here, there = load_model(tiny_run, CPU), load_model(run, CPU)
    pixels = torch.randint(0, 255, (2, 3, 32, 32), dtype=torch.uint8)
    assert here.hash == there.hash
    for one, other in zip(here.logits(pixels), there.logits(pixels), strict=True):
        torch.testing.assert_close(one, other)


def test_other_weights_have_another_hash(run):
    before = load_model(run, CPU).hash
    network, spec = load_network(run / "joint.safetensors")
    with torch.no_grad():
        network.heads["L1"].bias[0] += 1e-3
    save_network(run / "joint.safetensors", network, spec, {})
    assert load_model(run, CPU).hash != before


def test_a_level_without_a_network_is_named(levels_run):
    (levels_run / "L3.safetensors").unlink()
    assert "has no network for L3: train with" in refusal(levels_run)
    assert "train level --level L3" in refusal(levels_run)


def test_a_network_of_one_level_under_the_name_of_another_is_named(levels_run):
    shutil.copy(levels_run / "L3.safetensors", levels_run / "L5.safetensors")
    assert "have no head for L5" in refusal(levels_run)


def test_networks_that_want_pictures_of_different_sizes_are_refused(levels_run):
    write_level(levels_run, "L5", size=64)
    assert "want pictures of different sizes" in refusal(levels_run)


def test_a_label_map_with_fewer_classes_than_the_weights_is_named_with_both_numbers(run, tmp_path):
    shutil.rmtree(run / "label_maps")
    one_place = write_tiny(tmp_path / "data")
    table = read_manifest(one_place)
    write_manifest(one_place, table[table["id"].str.startswith(("paris", "lima"))])
    make_label_maps(LabelMapsConfig(one_place, tmp_path / "fewer"))
    shutil.copytree(tmp_path / "fewer" / "label_maps", run / "label_maps")
    assert "joint.safetensors knows 4 classes of L1 but label_map_L1.json has 2" in refusal(run)


def test_a_label_map_with_other_classes_of_the_same_number_is_refused(run, tmp_path):
    make_label_maps(LabelMapsConfig(write_tiny(tmp_path / "data", seed=5), tmp_path / "other"))
    shutil.rmtree(run / "label_maps")
    shutil.copytree(tmp_path / "other" / "label_maps", run / "label_maps")
    assert "was trained on label maps with other classes than" in refusal(run)


def test_a_level_that_the_label_maps_lack_is_named(run, tiny, tmp_path):
    make_label_maps(LabelMapsConfig(tiny, tmp_path / "other", levels=(1, 3, 5)))
    shutil.rmtree(run / "label_maps")
    shutil.copytree(tmp_path / "other" / "label_maps", run / "label_maps")
    assert "knows 6 classes of L8 but label_map_L8.json has no such level" in refusal(run)


def test_a_missing_label_map_is_named(run):
    (run / "label_maps" / "label_map_L5.json").unlink()
    assert "label_map_L5.json is missing" in refusal(run)


@pytest.mark.parametrize("content", [b"", b"garbage"])
def test_weights_that_are_damaged_are_named(run, content):
    (run / "joint.safetensors").write_bytes(content)
    assert "joint.safetensors is damaged or not a network of this project" in refusal(run)


def test_a_folder_that_is_no_run_is_named(tmp_path):
    assert "is not a run folder, it has no run.json" in refusal(tmp_path)
    assert "is not a run folder" in refusal(tmp_path / "nowhere")


def test_a_run_without_temperatures_answers_and_warns(tiny_run, caplog):
    model = load_model(tiny_run, CPU)
    assert "is not calibrated" in caplog.text
    assert set(model.temperatures.values()) == {(1.0, 1.0, 1.0, 1.0)}


def temperatures_of(run, **changes):
    fitted = {"L1": 0.5, "L3": 1.5, "L5": 2.0, "L8": 3.0}
    content = {
        "model_hash": load_model(run, CPU).hash,
        "fusion": "product",
        "point": "median",
        "temperatures": {"chain": fitted, "product": fitted, "greedy": fitted},
    }
    (run / "temperatures.json").write_text(json.dumps({**content, **changes}))


def test_temperatures_and_choices_of_the_calibration_are_used(run):
    temperatures_of(run)
    model = load_model(run, CPU)
    assert (model.calibrated, model.fusion, model.point) == (True, "product", "median")
    assert model.temperatures["chain"] == (0.5, 1.5, 2.0, 3.0)
    chosen = model.with_choices("chain", None)
    assert (chosen.fusion, chosen.point) == ("chain", "median")
    logits = [torch.randn(2, size) for size in model.tree.sizes]
    first = chosen.posterior(logits)[0]
    torch.testing.assert_close(first, torch.log_softmax(logits[0] / 0.5, dim=1))


def test_what_version_0_1_0_called_seed_is_read_as_greedy(run):
    fitted = {"L1": 0.5, "L3": 1.5, "L5": 2.0, "L8": 3.0}
    temperatures_of(run, fusion="seed", temperatures={"chain": fitted, "seed": dict.fromkeys(fitted, 7.0)})
    model = load_model(run, CPU)
    assert (model.fusion, model.temperatures["greedy"]) == ("greedy", (7.0, 7.0, 7.0, 7.0))


def test_temperatures_of_other_weights_are_ignored_with_a_warning(run, caplog):
    temperatures_of(run, model_hash="of another")
    model = load_model(run, CPU)
    assert "is ignored: fitted for different weights" in caplog.text
    assert (model.calibrated, model.fusion) == (False, "chain")


def test_temperatures_that_are_no_json_are_named(run):
    (run / "temperatures.json").write_text("{")
    assert "temperatures.json is not valid JSON" in refusal(run)
    (run / "temperatures.json").write_text("[]")
    assert not load_model(run, CPU).calibrated


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta", "", "cpu:x"])
def test_a_device_that_is_not_there_is_refused_in_one_line(name):
    with pytest.raises(ValueError, match=rf"--device {name} cannot be used here \(.*--device cpu") as refused:
        pick_device(name)
    assert "\n" not in str(refused.value)


def test_the_best_device_is_one_that_works():
    assert torch.ones(2, device=pick_device("auto")).sum() == 2
    assert pick_device("cpu") == CPU


def calibrated_in(run, precision, **changes):
    """Write the temperatures of a calibration in some precision."""
    record = {"model_hash": load_model(run, CPU).hash, "fusion": "chain", "point": "top", "temperatures": {}, **changes}
    (run / "temperatures.json").write_text(json.dumps(record | ({"precision": precision} if precision else {})))


def is_in_bfloat16(features):
    return torch.equal(features, features.bfloat16().float())


def test_a_run_computes_in_the_precision_that_is_asked_for(run):
    pixels = torch.arange(3 * 32 * 32, dtype=torch.uint8).reshape(1, 3, 32, 32)
    assert not is_in_bfloat16(load_model(run, CPU).outputs(pixels).features)
    asked = load_model(run, CPU, precision="bfloat16")
    assert asked.precision == "bfloat16"
    assert is_in_bfloat16(asked.outputs(pixels).features)


@pytest.mark.parametrize("able", [True, False])
def test_a_run_answers_in_the_precision_of_its_calibration_where_the_processor_computes_in_it(run, able, monkeypatch):
    monkeypatch.setattr("infer.network.devices.computes_bfloat16", lambda device: able)
    calibrated_in(run, "bfloat16")
    model = load_model(run, CPU)
    assert (model.precision, model.calibrated_in) == ("bfloat16" if able else "float32", "bfloat16")


def test_a_calibration_that_recorded_no_precision_leaves_answers_in_float32(run):
    calibrated_in(run, None)
    assert (load_model(run, CPU).precision, load_model(run, CPU).calibrated_in) == ("float32", None)


def test_a_recorded_precision_that_does_not_exist_is_damage(run):
    calibrated_in(run, "float64")
    assert "temperatures.json is damaged: run `python -m train calibrate` again" in refusal(run)
