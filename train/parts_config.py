"""Flags of parts of a training: the optimiser, and the random changes of pictures. Nothing here imports torch."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class OptimConfig:
    """Optimiser and schedule."""

    name: Literal["adam", "adamw", "sgd"] = "adam"
    """Optimiser; sgd has a momentum of 0.9."""
    lr: float = 1e-4
    """Learning rate of the heads, the highest one where a schedule changes it."""
    trunk_lr_factor: float = 1.0
    """Learning rate of the trunk as a share of --optim.lr; 0.1 spares pretrained layers, 0 freezes all of it."""
    weight_decay: float = 0.0
    """Weight decay."""
    schedule: Literal["constant", "one_cycle", "cosine", "step", "plateau"] = "constant"
    """one_cycle and cosine move each step; step multiplies by 0.1 every 10 epochs; plateau halves after
    --optim.plateau-patience epochs without a better validation loss."""
    plateau_patience: int = 3
    """Epochs that plateau waits for a better validation loss."""
    clip: float = 0.0
    """Clip the norm of the gradient to this; 0 leaves it alone."""
    accumulate: int = 1
    """Compute each step in so many parts, for batches that memory does not hold at once."""
    ema: float = 0.0
    """Keep a moving average of the weights with this decay, such as 0.999, and answer with it; 0 keeps none."""
    frozen: tuple[str, ...] = ()
    """Parts of the trunk that do not learn, by the beginnings of their names, such as conv1 bn1 layer1; no gradient is
    computed for them."""
    frozen_norm: bool = False
    """Keep the statistics of batch norm as the weights brought them."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.lr <= 0:
            raise ValueError(f"--optim.lr must be above 0, got {self.lr:g}")
        if self.weight_decay < 0 or self.clip < 0 or self.trunk_lr_factor < 0:
            raise ValueError("--optim.weight-decay, --optim.clip and --optim.trunk-lr-factor must not be negative")
        if self.plateau_patience < 0:
            raise ValueError(f"--optim.plateau-patience must not be negative, got {self.plateau_patience}")
        if self.accumulate < 1:
            raise ValueError(f"--optim.accumulate must be 1 or more, got {self.accumulate}")
        if not 0 <= self.ema < 1:
            raise ValueError(f"--optim.ema is a decay from 0 to below 1, got {self.ema:g}")


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes of training pictures; validation is never changed."""

    flip: float = 0.5
    """Probability of a horizontal flip. It hides the side people drive on and mirrors writing: 0 keeps both."""
    color_jitter: float = 0.2
    """Strength of random brightness, contrast and saturation."""
    rotation_deg: float = 10.0
    """Largest random rotation."""
    crop_scale: float = 1.0
    """Smallest share of the picture that a random crop keeps; 1 crops nothing."""
    grayscale: float = 0.0
    """Probability of a picture without colour."""
    cutmix: float = 0.0
    """Alpha of CutMix, which pastes a part of another picture and of its target; 0 is off."""
    mixup: float = 0.0
    """Alpha of MixUp, which blends pictures and targets; 0 is off. With both, each step draws one of them."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not 0 <= self.flip <= 1:
            raise ValueError(f"--augment.flip is a probability from 0 to 1, got {self.flip:g}")
        if not 0 < self.crop_scale <= 1:
            raise ValueError(f"--augment.crop-scale is a share above 0, at most 1, got {self.crop_scale:g}")
        if not 0 <= self.grayscale <= 1:
            raise ValueError(f"--augment.grayscale is a probability from 0 to 1, got {self.grayscale:g}")
        for flag in ("color_jitter", "rotation_deg", "cutmix", "mixup"):
            if getattr(self, flag) < 0:
                raise ValueError(
                    f"--augment.{flag.replace('_', '-')} must not be negative, got {getattr(self, flag):g}"
                )
