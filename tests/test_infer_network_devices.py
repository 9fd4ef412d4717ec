"""Where a network computes, and in which precision it trains and answers."""

import pytest
import torch

from infer.network.devices import activation_dtype, answering_precision, autocast, pick_device

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


def test_a_device_that_this_machine_lacks_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"--device cuda:88 cannot be used here .*try --device auto"):
        pick_device("cuda:88")
