"""Where a network computes, and in which precision it trains and answers."""

import pytest
import torch

from infer.network.devices import activation_dtype, answering_precision, autocast, choose_precision, pick_device

GPU, CPU = torch.device("cuda"), torch.device("cpu")


@pytest.fixture(params=[True, False], ids=["with bfloat16", "without bfloat16"])
def able(request, monkeypatch):
    """Whether the GPU, of which these tests need none, computes in bfloat16."""
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: request.param)
    return request.param


def answering_dtype(trained: str, device: torch.device) -> torch.dtype:
    return activation_dtype(answering_precision(trained, device), device)


@pytest.mark.parametrize("trained", ["auto", "bfloat16"])
def test_a_gpu_answers_in_bfloat16_as_it_trained_and_never_in_float16(trained, able):
    assert answering_dtype(trained, GPU) == (torch.bfloat16 if able else torch.float32)


def test_a_gpu_answers_in_float32_where_precision_float32_was_trained(able):
    assert answering_dtype("float32", GPU) == torch.float32


@pytest.mark.parametrize("trained", ["auto", "float32", "bfloat16"])
def test_a_cpu_answers_in_float32_whatever_was_trained(trained):
    assert answering_dtype(trained, CPU) == torch.float32


@pytest.fixture(params=[True, False], ids=["with bfloat16", "without bfloat16"])
def able_cpu(request, monkeypatch):
    """Whether the CPU computes in bfloat16."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": request.param}, raising=False)
    return request.param


@pytest.mark.parametrize("calibrated", [None, "float32", "bfloat16"])
def test_a_precision_that_is_asked_for_wins_over_the_one_of_the_calibration(calibrated, able_cpu):
    assert choose_precision("float32", calibrated, ["bfloat16"], CPU) == "float32"
    assert choose_precision("bfloat16", calibrated, ["float32"], CPU) == "bfloat16"
    assert choose_precision("auto", calibrated, ["float32"], CPU) == ("bfloat16" if able_cpu else "float32")


def test_a_run_answers_as_it_was_calibrated_where_the_processor_computes_in_it(able_cpu):
    assert choose_precision(None, "bfloat16", ["float32"], CPU) == ("bfloat16" if able_cpu else "float32")
    assert choose_precision(None, "float32", ["bfloat16"], CPU) == "float32"


def test_a_run_whose_calibration_recorded_no_precision_answers_in_its_own(able):
    assert choose_precision(None, None, ["bfloat16"], CPU) == "float32"
    assert choose_precision(None, None, ["bfloat16", "auto"], GPU) == ("bfloat16" if able else "float32")
    assert choose_precision(None, None, ["bfloat16", "float32"], GPU) == "float32"


def test_bfloat16_on_a_processor_without_it_is_said_to_be_slow(able_cpu, caplog):
    choose_precision("bfloat16", None, ["float32"], CPU)
    assert ("slower than float32" in caplog.text) is not able_cpu


def test_training_takes_the_precision_that_was_asked_for(able):
    assert activation_dtype("auto", GPU) == (torch.bfloat16 if able else torch.float32)
    assert activation_dtype("bfloat16", GPU) == activation_dtype("bfloat16", CPU) == torch.bfloat16
    assert activation_dtype("float32", GPU) == torch.float32


def test_a_layer_computes_in_the_precision_that_autocast_was_given():
    layer, rows = torch.nn.Linear(2, 2), torch.ones(1, 2)
    for precision, dtype in (("bfloat16", torch.bfloat16), ("float32", torch.float32)):
        with autocast(CPU, precision):
            assert layer(rows).dtype == dtype


def test_a_precision_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="--precision is auto, float32 or bfloat16, got 'float16'"):
        activation_dtype("float16", CPU)
    with pytest.raises(ValueError, match="--precision is auto, float32 or bfloat16, got 'float16'"):
        choose_precision("float16", None, ["float32"], CPU)


def test_a_device_that_this_machine_lacks_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"--device cuda:88 cannot be used here .*try --device auto"):
        pick_device("cuda:88")
