"""By what features are divided before a layer reads them."""

import torch
from torch import Tensor

LEAST_STD = 1e-6


def divisors(std: Tensor) -> Tensor:
    """Return standard deviations of training features, and 1 for a feature that never varied there.

    Divided by almost nothing, such a feature would drown all others in the first photograph where it varies.
    """
    return torch.where(std > LEAST_STD, std, 1.0)
