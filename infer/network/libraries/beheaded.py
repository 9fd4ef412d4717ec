"""A classifier without its last layer."""

from typing import NamedTuple

from torch import nn


class Trunk(NamedTuple):
    """A network that turns pictures into features.

    Attributes:
        module: the network.
        width: number of features.
        removed: beginnings of the names of tensors that its published weights have and it lacks, such as `fc.`.
    """

    module: nn.Module
    width: int
    removed: tuple[str, ...] = ()


def beheaded(model: nn.Module, name: str) -> Trunk:
    """Return a classifier without its last layer, whose inputs are the features.

    Raises:
        ValueError: it does not end in a linear layer.
    """
    # The last layer is linear, or, in SqueezeNet, a 1x1 convolution to the 1,000 classes of ImageNet.
    layers = [(path, layer) for path, layer in model.named_modules() if _classifies(layer)]
    if not layers:
        raise ValueError(f"{name} is not a classifier: it does not end in a linear layer")
    path, layer = layers[-1]
    owner, _, leaf = path.rpartition(".")
    setattr(model.get_submodule(owner), leaf, nn.Identity())
    width = layer.in_features if isinstance(layer, nn.Linear) else int(layer.in_channels)
    # Auxiliary classifiers of GoogLeNet and Inception are built without, but lie in their published weights.
    return Trunk(model, width, (f"{path}.", "aux1.", "aux2.", "AuxLogits."))


def _classifies(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.out_channels == 1000)
