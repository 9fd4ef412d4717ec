"""Which processor does the work, and in which precision."""

import logging
from collections.abc import Iterable

import torch

log = logging.getLogger(__name__)


def pick_device(name: str) -> torch.device:
    """Return the device of a name; `auto` is the best there is.

    Raises:
        ValueError: there is no such device, or this machine has none.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.ones(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"--device {name} cannot be used here ({reason}): try --device auto or --device cpu") from None
    return device


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the context in which a network computes its activations; weights stay float32.

    Args:
        device: where it computes.
        precision: `auto`, `float32` or `bfloat16`. It is never float16, whose range large logits leave.
    """
    reduced = activation_dtype(precision, device) == torch.bfloat16
    return torch.autocast(device.type, torch.bfloat16, enabled=reduced)


def activation_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return what activations are computed in.

    Raises:
        ValueError: there is no such precision.
    """
    if precision not in ("auto", "float32", "bfloat16"):
        raise ValueError(f"--precision is auto, float32 or bfloat16, got {precision!r}")
    if precision == "float32" or (precision == "auto" and not computes_bfloat16(device)):
        return torch.float32
    return torch.bfloat16


def answering_precision(trained: str, device: torch.device) -> str:
    """Return the precision that a network answers in by itself: on a GPU the one of its training, elsewhere float32.

    A GPU without bfloat16 answers in float32 too. So does every processor: one run gives the same answers on all.

    Args:
        trained: the precision stored with the network; `auto` for networks of before it was stored.
        device: where it answers.
    """
    return "float32" if device.type != "cuda" or trained == "float32" else "auto"


def choose_precision(asked: str | None, calibrated: str | None, trained: Iterable[str], device: torch.device) -> str:
    """Return the precision that the networks of a run answer in, `float32` or `bfloat16`.

    Args:
        asked: `auto`, `float32` or `bfloat16`; None leaves it to the run.
        calibrated: the precision that the run was calibrated in; None where none was recorded.
        trained: the precision that each network was trained in.
        device: where it answers.

    Raises:
        ValueError: there is no such precision.
    """
    if asked is not None:
        return asked_precision(asked, device)
    if calibrated is not None:
        return calibrated if calibrated == "float32" or computes_bfloat16(device) else "float32"
    own = {_resolved(answering_precision(one, device), device) for one in trained}
    return own.pop() if len(own) == 1 else "float32"


def asked_precision(asked: str, device: torch.device) -> str:
    """Return what a flag asks activations to be computed in, with a warning where the processor is slow in it."""
    chosen = _resolved(asked, device)
    if chosen == "bfloat16" and not computes_bfloat16(device):
        log.warning("--precision bfloat16: this processor does not compute in it, which is slower than float32")
    return chosen


def _resolved(precision: str, device: torch.device) -> str:
    return str(activation_dtype(precision, device)).removeprefix("torch.")


def computes_bfloat16(device: torch.device) -> bool:
    """Say whether a processor has instructions for bfloat16; one without is slower in it than in float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        able = torch.cpu.get_capabilities()
        return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    return False
