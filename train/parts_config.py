"""Flags of parts of a training: the optimiser, and the random changes of pictures. Nothing here imports torch."""

from dataclasses import dataclass
from typing import Literal

from plumbing.rules import needs

Schedule = Literal["constant", "one_cycle", "cosine_restarts", "cosine", "step", "plateau"]


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
    schedule: Schedule = "constant"
    """one_cycle rises to --optim.lr and falls to 0 over the whole training; cosine_restarts is cosine annealing with warm
    restarts (SGDR): it falls from --optim.lr to 0 in --optim.restart-epochs, begins again, and each fall is
    --optim.restart-factor times as long as the last; cosine is what 0.1.0 called it; both move each step. step multiplies by
    0.1 every 10 epochs; plateau halves after --optim.plateau-patience epochs without a better validation loss."""
    restart_epochs: int = 1
    """With cosine_restarts: epochs of the first fall."""
    restart_factor: int = 2
    """With cosine_restarts: how many times as long as the last each further fall is; 1 restarts at even distances."""
    plateau_patience: int = 3
    """Epochs that plateau waits for a better validation loss."""
    clip: float = 0.0
    """Clip the norm of the gradient to this; 0 leaves it alone."""
    accumulate: int = 1
    """Compute each step in this many parts, for batches that memory does not hold at once."""
    ema: float = 0.0
    """Keep a moving average of the weights with this decay, such as 0.999, and answer with it; 0 keeps none."""
    frozen: tuple[str, ...] = ()
    """Parts of the trunk that do not learn, by the beginnings of their names, such as conv1 bn1 layer1; no gradient is
    computed for them."""
    frozen_norm: bool = False
    """Keep the statistics of batch norm as the weights brought them."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.schedule == "cosine":  # what 0.1.0 called it
            object.__setattr__(self, "schedule", "cosine_restarts")
        if self.restart_epochs < 1 or self.restart_factor < 1:
            raise ValueError(
                "--optim.restart-epochs and --optim.restart-factor must be 1 or more, "
                f"got {self.restart_epochs} and {self.restart_factor}"
            )
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


OPTIM_RULES = (
    needs("optim.plateau_patience", "optim.schedule", "plateau"),
    needs("optim.restart_epochs optim.restart_factor", "optim.schedule", "cosine_restarts"),
)
"""Which flags of a config's `optim` have an effect only beside others."""


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes of training pictures; validation is never changed."""

    flip: float = 0.5
    """Probability of a horizontal flip. It hides the side people drive on and mirrors writing: 0 keeps both."""
    vertical_flip: float = 0.0
    """Probability of a vertical flip: the sky is then below. Some published recipes have it."""
    color_jitter: float = 0.2
    """Strength of random brightness, contrast and saturation."""
    hue: float = 0.0
    """Largest random shift of the hue, as a share of the colour circle, up to 0.5."""
    rotation_deg: float = 10.0
    """Largest random rotation; corners become black."""
    crop_scale: float = 1.0
    """Smallest share of the picture's area that a random crop keeps before it is scaled up again (torchvision's
    RandomResizedCrop, whose own default is 0.08); 1 crops nothing."""
    crop_ratio: tuple[float, float] = (0.8, 1.25)
    """With --augment.crop-scale: least and greatest ratio of the sides of the crop, width by height. The default of
    torchvision's RandomResizedCrop is 0.75 1.3333."""
    grayscale: float = 0.0
    """Probability of a picture without colour."""
    cutmix: float = 0.0
    """Alpha of CutMix, which pastes a part of another picture and of its target; 0 is off."""
    mixup: float = 0.0
    """Alpha of MixUp, which blends pictures and targets; 0 is off. With both, each step draws one of them."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for flag in ("flip", "vertical_flip", "grayscale"):
            if not 0 <= getattr(self, flag) <= 1:
                raise ValueError(
                    f"--augment.{flag.replace('_', '-')} is a probability from 0 to 1, got {getattr(self, flag):g}"
                )
        if not 0 < self.crop_scale <= 1:
            raise ValueError(f"--augment.crop-scale is a share above 0, at most 1, got {self.crop_scale:g}")
        if not 0 < self.crop_ratio[0] <= self.crop_ratio[1]:
            raise ValueError(
                f"--augment.crop-ratio takes the least and the greatest ratio, both above 0, got {self.crop_ratio}"
            )
        if not 0 <= self.hue <= 0.5:
            raise ValueError(f"--augment.hue is a share of the colour circle from 0 to 0.5, got {self.hue:g}")
        for flag in ("color_jitter", "rotation_deg", "cutmix", "mixup"):
            if getattr(self, flag) < 0:
                raise ValueError(
                    f"--augment.{flag.replace('_', '-')} must not be negative, got {getattr(self, flag):g}"
                )


CHANGES = (
    "augment.flip augment.vertical_flip augment.color_jitter augment.hue augment.rotation_deg augment.crop_scale "
    "augment.crop_ratio augment.grayscale"
)
"""Flags of random changes of single pictures."""
UNCHANGED = AugmentConfig(flip=0.0, color_jitter=0.0, rotation_deg=0.0)
"""No random changes at all."""
