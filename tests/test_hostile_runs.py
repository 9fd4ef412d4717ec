"""Runs from elsewhere are validated before use: sizes, types, finite numbers, names of files."""

import io
import json
import math
import shutil
import zipfile
from pathlib import Path

import pytest
import safetensors.torch
import torch
from safetensors import safe_open

from infer.model import load_model
from label_maps.files import read_hierarchy
from plumbing.damage import is_number, one_line

CPU = torch.device("cpu")


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


def refusal(run: Path) -> str:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 (each test looks at the words)
        load_model(run, CPU)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def respecified(run: Path, **changes: object) -> None:
    """Change what the header of a network says of it; its tensors stay."""
    path = run / "joint.safetensors"
    with safe_open(path, "pt") as file:
        metadata = dict(file.metadata())
    spec = {**json.loads(metadata["spec"]), **changes}
    state = safetensors.torch.load_file(path)
    safetensors.torch.save_file(state, path, {**metadata, "spec": json.dumps(spec)})


@pytest.mark.parametrize("size", [10**9, 8193, -32, True, 32.0])
def test_a_network_that_asks_for_pictures_of_no_size_or_of_gigabytes_is_refused(run, size):
    respecified(run, transform={"size": size, "resize": "squash"})
    assert "joint.safetensors is damaged or not a network of this project" in refusal(run)


@pytest.mark.parametrize("count", [10**12, -1, "3", None])
def test_classes_that_a_file_cannot_hold_are_refused_before_memory_is_taken(run, count):
    respecified(run, classes={"L1": count, "L3": 6, "L5": 6, "L8": 6})
    assert "joint.safetensors is damaged or not a network of this project" in refusal(run)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_weights_that_are_no_numbers_are_refused_with_the_name_of_the_tensor(run, number):
    path = run / "joint.safetensors"
    with safe_open(path, "pt") as file:
        metadata = dict(file.metadata())
    state = safetensors.torch.load_file(path)
    state["heads.L3.bias"][2] = number
    safetensors.torch.save_file(state, path, metadata)
    assert "heads.L3.bias has NaN or infinite weights" in refusal(run)


@pytest.mark.parametrize("written", [math.nan, math.inf, -1.0, 0, True, "1", None, [1.0]])
def test_temperatures_are_positive_numbers(run, written):
    fitted = {"chain": {"L1": written, "L3": 1.0, "L5": 1.0, "L8": 1.0}}
    content = {"model_hash": load_model(run, CPU).hash, "fusion": "chain", "point": "median", "temperatures": fitted}
    (run / "temperatures.json").write_text(json.dumps(content))
    assert "temperatures.json of the run is damaged: run `python -m train calibrate` again" in refusal(run)


@pytest.mark.parametrize("name", ["../x", "/x", "a/b", "a\\b", "C:x", ".."])
def test_names_of_levels_lead_to_no_other_files(run, name):
    for path in (run / "label_maps").glob("label_map_*.json"):
        content = json.loads(path.read_text())
        path.write_text(json.dumps({**content, "levels": [name, *content["levels"][1:]]}))
    with pytest.raises(ValueError, match=r"label_map_\w+\.json"):
        read_hierarchy(run)


def test_a_class_at_an_infinite_place_is_refused(run):
    path = run / "label_maps" / "label_map_L3.json"
    content = json.loads(path.read_text())
    key = next(name for name, value in content["classes"][0].items() if isinstance(value, float))
    content["classes"][0][key] = math.inf
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"label_map_L3\.json"):
        read_hierarchy(run)


def test_arrays_that_unpack_to_more_than_any_partition_has_are_refused_unread(run, monkeypatch):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as members:
        members.writestr("boxes_deg.npy", bytes(2_000_000))
    (run / "label_maps" / "partition.npz").write_bytes(packed.getvalue())
    monkeypatch.setattr("label_maps.files.MOST_BYTES", 1_000_000)
    monkeypatch.setattr("numpy.load", lambda *_, **__: pytest.fail("it was unpacked"))
    with pytest.raises(ValueError, match=r"partition\.npz cannot be read"):
        read_hierarchy(run)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (1, True),
        (1.5, True),
        (0.5, True),
        (2, True),
        (0.49, False),
        (2.01, False),
        (True, False),
        ("1", False),
        (None, False),
        (math.nan, False),
        (math.inf, False),
        (10**400, False),
    ],
    ids=lambda value: str(value)[:9],
)
def test_a_number_is_finite_within_its_limits_and_not_a_truth_value(value, told):
    assert is_number(value, 0.5, 2) is told


def test_what_nobody_foresaw_becomes_one_line_and_what_is_in_words_stays():
    with pytest.raises(ValueError, match=r"^a\.json is damaged \(KeyError: 'x'\): make it again$"):
        raised(KeyError("x"))
    with pytest.raises(ValueError, match=r"^a\.json is damaged \(RuntimeError: second\): make it again$"):
        raised(RuntimeError("first\nsecond"))
    with pytest.raises(ValueError, match=r"^a\.json is damaged \(RecursionError: \): make it again$"):
        raised(RecursionError())
    with pytest.raises(ValueError, match=r"^in words$"):
        raised(ValueError("in words"))
    with pytest.raises(PermissionError, match="denied"):
        raised(PermissionError(13, "denied"))


def raised(error: Exception) -> None:
    with one_line(Path("a.json"), "make it again"):
        raise error


def test_a_class_of_a_label_map_that_lacks_a_number_is_named_by_what_it_lacks(run):
    path = next((run / "label_maps").glob("label_map_L3.json"))
    content = json.loads(path.read_text(encoding="utf-8"))
    number = next(name for name, value in content["classes"][0].items() if isinstance(value, float))
    del content["classes"][0][number]
    path.write_text(json.dumps(content), encoding="utf-8")
    assert f"label_map_L3.json lists classes that cannot be read (lacks '{number}')" in refusal(run)
