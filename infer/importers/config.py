"""Flags of the importers of published models. Nothing here imports torch, so that --help is instant."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from tyro.conf import arg

from plumbing.flags import Folder, Groups
from plumbing.rules import Rule, check_rules, excludes, needs

GalleryPartition = Literal["points", "quad", "quad_equal_area", "adaptive", "kmeans", "admin", "macro"]


@dataclass(frozen=True, kw_only=True)
class PublishedConfig:
    """Which run is made, and where the vision tower comes from."""

    GROUPS: ClassVar[Groups] = {"weights": "clip download revision"}
    RULES: ClassVar[tuple[Rule, ...]] = (
        needs("revision", "download"),
        excludes("clip", "download revision", why="is read from this machine"),
    )

    run: Path
    """Run folder to make."""
    clip: Folder | None = None
    """Folder with config.json, preprocessor_config.json and model.safetensors of the CLIP that the model was trained on."""
    download: bool = False
    """Download from the Hugging Face hub what is not on this machine. Left out, nothing is ever downloaded."""
    revision: str | None = None
    """With --download: commit, branch or tag on the hub. Left out, the newest; the run records its commit."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        check_rules(self)


@dataclass(frozen=True, kw_only=True)
class GeoclipConfig(PublishedConfig):
    """Make a run of GeoCLIP (MIT licence; pip install geoclip): CLIP ViT-L/14 and a gallery of 100,000 places."""

    GROUPS: ClassVar[Groups] = {"cells": "partition levels clusters", "weights": ""}
    RULES: ClassVar[tuple[Rule, ...]] = (
        needs("levels", "partition", "quad", "quad_equal_area"),
        needs("clusters", "partition", "kmeans", "points"),
        *PublishedConfig.RULES,
    )

    partition: GalleryPartition = "points"
    """Cells that the places of the gallery are summed into. points: each place is a class of its own, as the package has it,
    with clusters above; the others have fewer and larger cells, which take less memory to calibrate."""
    levels: tuple[int, ...] | None = None
    """quad: levels of the grid, coarse to fine, 1 to 16; 1 3 5 8 when left out."""
    clusters: tuple[int, ...] | None = None
    """kmeans and points: clusters of each level, such as 50 1000."""


@dataclass(frozen=True, kw_only=True)
class ClipConfig(PublishedConfig):
    """Make a run of CLIP zero-shot: the logit of a place is how well its prompt fits the photograph. StreetCLIP, any CLIP."""

    GROUPS: ClassVar[Groups] = {
        "places": "prompts template partition countries levels clusters",
        "weights": "model licence",
    }
    RULES: ClassVar[tuple[Rule, ...]] = (
        needs("levels", "partition", "quad", "quad_equal_area"),
        needs("clusters", "partition", "kmeans", "points"),
        needs("countries", "partition", "admin"),
        *PublishedConfig.RULES,
    )

    prompts: Path
    """CSV file of places, with columns name, and optionally prompt, latitude and longitude; without coordinates names are
    countries. Rows of one name are several prompts for one place: their normalised embeddings are averaged."""
    model: Annotated[str, arg(metavar="OWNER/MODEL")]
    """Which CLIP it is, such as geolocal/StreetCLIP or openai/clip-vit-large-patch14; its licence is recorded by this name."""
    licence: str | None = None
    """Licence of its weights. Left out, that of the models known here: OpenAI's and LAION's CLIP, StreetCLIP."""
    template: str = "a photo in {name}"
    """Prompt of a place that has none of its own; {name} stands for its name."""
    partition: GalleryPartition = "admin"
    """Cells that places are summed into: admin has countries; points has a class for each place with coordinates."""
    countries: Path | None = None
    """admin: Natural Earth's admin-0 countries, such as ne_50m_admin_0_countries.zip; left out, the shipped table, which
    lacks the smallest countries."""
    levels: tuple[int, ...] | None = None
    """quad: levels of the grid, coarse to fine, 1 to 16; 1 3 5 8 when left out."""
    clusters: tuple[int, ...] | None = None
    """kmeans and points: clusters of each level, such as 50 1000."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        if "{name}" not in self.template:
            raise ValueError(f"--template holds {{name}} where the name of a place stands, got {self.template!r}")


@dataclass(frozen=True, kw_only=True)
class Osv5mConfig(PublishedConfig):
    """Make a run of the baseline of OpenStreetView-5M (MIT licence): CLIP ViT-L/14, cells of a quadtree, offsets inside them."""

    GROUPS: ClassVar[Groups] = {"weights": "weights", "offsets": "offset_scale start"}

    weights: Path | None = None
    """Checkpoint of the model, such as model.safetensors or pytorch_model.bin; left out, with --download, that of the hub."""
    quadtree: Path
    """Its cells: quadtree_10_1000.csv, with columns cluster_id,min_lat,min_lon,max_lat,max_lon,mean_lat,mean_lon."""
    offset_scale: float = 1.2
    """What the tanh of offsets is multiplied by."""
    start: Literal["mean", "middle"] = "mean"
    """Where offsets start: at the mean of a cell's training photographs, or, in older checkpoints, at the middle of its box."""
