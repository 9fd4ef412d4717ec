"""Flags of the commands that answer. Nothing here imports torch, so that --help is instant."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from tyro.conf import Positional

Fusion = Literal["chain", "product", "greedy"]
RENAMED_FUSIONS = {"seed": "greedy"}
"""Names of version 0.1.0, which its files hold, and what they are called now."""
IN_DISTRIBUTION: Literal["in-distribution"] = "in-distribution"
UNSEEN: Literal["unseen"] = "unseen"
Places = Literal["in-distribution", "unseen"]
RENAMED_PLACES = {"usual": IN_DISTRIBUTION, "elsewhere": UNSEEN}
"""Names of version 0.1.0, as above."""
Point = Literal["top", "mean", "median", "geoscore", "regressed", "refined"]


@dataclass(frozen=True, kw_only=True)
class ClaimConfig:
    """What an answer claims beyond probabilities of cells, and what is known beside the photograph."""

    coverage: tuple[float, ...] = (0.5, 0.9)
    """Give the conformal prediction region of this coverage: the smallest that holds the true place this often, such as
    0.5 0.9, as calibrated on the calibration split. Nothing behind the flag: no regions."""
    places: Places = IN_DISTRIBUTION
    """For which photographs regions and confidence hold: in-distribution, of the places that the calibration photographs are
    of; or unseen, of places that no training photograph is of (see `train calibrate --unseen`), which takes larger
    regions."""
    confidence: float | None = None
    """Answer at the finest level whose best cell has at least this calibrated confidence, such as 0.6."""
    coarsest: str | None = None
    """With --confidence: answers coarser than this level, such as L3, are of no use; say that it is not known."""
    within: tuple[str, ...] = ()
    """Known to lie in a country (DE), a box (south,west,north,east in degrees), or the polygons of a file
    (area.geojson); several together are one area. Write a box that begins south of the equator with =, as in
    --within=-10,110,-5,120."""
    exclude: tuple[str, ...] = ()
    """Known not to lie there; areas as for --within."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for coverage in self.coverage:
            if not 0 < coverage < 1:
                raise ValueError(f"--coverage is a share between 0 and 1, such as 0.9, got {coverage:g}")
        if self.confidence is not None and not 0 < self.confidence < 1:
            raise ValueError(f"--confidence is a chance between 0 and 1, such as 0.6, got {self.confidence:g}")
        if self.coarsest is not None and self.confidence is None:
            raise ValueError("--coarsest says where --confidence ends: give both, such as --confidence 0.6")


@dataclass(frozen=True, kw_only=True)
class InferConfig(ClaimConfig):
    """Say where photographs were taken: a probability for every cell, a point, a map. A hypothesis, not proof."""

    RENAMED: ClassVar = {"fusion": RENAMED_FUSIONS, "places": RENAMED_PLACES}

    photos: Positional[tuple[Path, ...]]
    """Photographs, folders of them, or dataset folders; with --bulk also tables (CSV, Parquet) with a column of paths."""
    run: Path
    """Run folder with a trained model."""
    split: Literal["train", "calibration", "test", "all"] = "test"
    """Which photographs of a dataset folder; their true places are then on the maps."""
    limit: int | None = None
    """Take at most so many photographs, evenly from all."""
    out: Path = Path("predictions")
    """Folder for predictions.json, .csv, .geojson, and a map of each photograph."""
    fusion: Fusion | None = None
    """How levels are combined: chain (chain rule down the tree), product (of the levels' own posteriors), greedy (the
    published rule). Left out, what the calibration split preferred."""
    point: Point | None = None
    """Which point: top (most probable cell), mean, median, geoscore (highest expected GeoScore); where the run has it,
    regressed (a network's own coordinate) or refined (geoscore with coordinates inside cells, by train.refine). Left out,
    what the calibration split preferred."""
    formats: tuple[Literal["parquet", "kml", "gpkg"], ...] = ()
    """Further files of all answers beside predictions.json, .csv and .geojson: points and regions."""
    sidecars: float | None = None
    """Write XMP side-cars with coordinates, into OUT/sidecars, for photographs that have none and whose finest cell is
    right with at least this chance, such as 0.5. Originals are never touched."""
    strip: bool = False
    """Write copies of the photographs without any metadata into OUT/stripped."""
    same_place: bool = False
    """All photographs show one place: give one answer of all, and name one that contradicts the others."""
    same_place_temperature: float = 2.0
    """How much photographs of one place repeat each other: 1 takes them as independent, their number takes them as
    one."""
    explain: bool = False
    """Show what in the photograph speaks for the likeliest cell and not for one elsewhere; takes seconds for each. With
    --data also the most similar training photographs."""
    data: Path | None = None
    """With --explain: the dataset that the run was trained on. Its features are computed once and kept in the run."""
    mass: float = 0.9
    """Keep, per level, the fewest cells that hold this share of what is left; what was cut is reported."""
    top: int = 100
    """List and draw at most so many cells a level."""
    bulk: bool = False
    """Answer for any number of photographs: Parquet parts in --out instead of the files above, without maps and
    regions. Interrupted, the same command continues, with as many processes as then there are; under torchrun each
    answers its share."""
    maps: bool = True
    """Draw NAME.html and NAME.png for each photograph."""
    tiles: str | None = None
    """Address of background map tiles, https://.../{z}/{x}/{y}.png; the maps then need a network. Left out, they open
    offline."""
    batch_size: int = 32
    """Photographs a step."""
    workers: int = 2
    """Processes that decode photographs, where there are many."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        alone = {"same-place": self.same_place, "strip": self.strip, "sidecars": self.sidecars, "formats": self.formats}
        alone |= {"confidence": self.confidence, "explain": self.explain}
        if self.bulk and any(alone.values()):
            flags = ", ".join(f"--{name}" for name, value in alone.items() if value)
            raise ValueError(f"--bulk gives points and best cells alone: leave out {flags}, or --bulk")
        if self.sidecars is not None and not 0 < self.sidecars < 1:
            raise ValueError(f"--sidecars is a chance between 0 and 1, such as 0.5, got {self.sidecars:g}")
        if self.explain and self.same_place:
            raise ValueError("--explain looks at one photograph at a time: leave out --same-place, or --explain")
        if self.data is not None and not self.explain:
            raise ValueError(
                "--data is searched for similar photographs with --explain alone: add it, or leave out --data"
            )
        if self.same_place_temperature <= 0:
            raise ValueError(f"--same-place-temperature must be above 0, got {self.same_place_temperature:g}")
        if not self.photos:
            raise ValueError(
                "no photographs given: name files or folders, such as `python -m infer predict photo.jpg --run RUN`"
            )
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"--limit must be 1 or more, got {self.limit}")
        if not 0 < self.mass <= 1:
            raise ValueError(f"--mass is a share above 0, at most 1, got {self.mass:g}")
        if self.top < 1 or self.batch_size < 1 or self.workers < 0:
            raise ValueError("--top and --batch-size must be 1 or more, --workers 0 or more")


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Measure a run on a split of a dataset: kilometres, GeoScore and classes, with 95 % cluster-bootstrap intervals."""

    RENAMED: ClassVar = {"fusion": RENAMED_FUSIONS, "places": RENAMED_PLACES}

    data: Path
    """Dataset folder."""
    run: Path
    """Run folder with a trained model."""
    split: str = "test"
    """Split to measure on: train, calibration or test."""
    out: Path | None = None
    """JSON file for all figures; evaluation_SPLIT.json in the run folder when left out."""
    fusion: Fusion | None = None
    """chain, product or greedy; what the calibration split preferred when left out."""
    point: Point | None = None
    """top, mean, median, geoscore, or, where the run has it, regressed or refined; what the calibration split preferred
    when left out."""
    coverage: tuple[float, ...] = (0.5, 0.9)
    """Measure the conformal prediction regions of these coverages, such as 0.5 0.8 0.9."""
    places: Places = IN_DISTRIBUTION
    """Measure regions and confidence as calibrated for in-distribution photographs, or for photographs of unseen places."""
    against: Path | None = None
    """Another run, measured on the same photographs: the differences come with paired 95 % cluster-bootstrap intervals."""
    trained_on: Path | None = None
    """Dataset folder that the run was trained on, for the leak audit; --data when left out."""
    baselines: bool = False
    """Also measure two answers that need no posterior: the run's point of how many training photographs each cell has
    (cell prior), and the place of the training photograph with the most similar features (neighbour). Chance and one
    place for all are always there."""
    benchmark: Literal["im2gps3k", "osv5m"] | None = None
    """Print published results on this benchmark beside ours."""
    geoscore_scale_km: float = 1492.7
    """Scale of the GeoScore; smaller for datasets of less than the world."""
    seed: int = 0
    """Of the bootstrap and of chance."""
    batch_size: int = 64
    """Photographs a step."""
    workers: int = 2
    """Processes that decode photographs."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for coverage in self.coverage:
            if not 0 < coverage < 1:
                raise ValueError(f"--coverage is a share between 0 and 1, such as 0.9, got {coverage:g}")
        if self.geoscore_scale_km <= 0:
            raise ValueError(f"--geoscore-scale-km must be above 0, got {self.geoscore_scale_km:g}")
        if self.batch_size < 1 or self.workers < 0:
            raise ValueError("--batch-size must be 1 or more, --workers 0 or more")


@dataclass(frozen=True, kw_only=True)
class AppConfig(ClaimConfig):
    """Serve a page that answers for photographs in the browser, with an API; gradio is needed (pip install gradio)."""

    RENAMED: ClassVar = {"fusion": RENAMED_FUSIONS, "places": RENAMED_PLACES}

    run: Path
    """Run folder with a trained model."""
    host: str = "127.0.0.1"
    """Address to listen at. As it is, only this machine is answered; 0.0.0.0 answers all who reach it, without a password."""
    port: int = 7860
    """Port to listen at."""
    fusion: Fusion | None = None
    """As in `python -m infer`, and so are the next three."""
    point: Point | None = None
    """Which point is answered."""
    mass: float = 0.9
    """Keep, per level, the fewest cells that hold this share of what is left."""
    top: int = 100
    """List and draw at most so many cells a level."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        if not 1 <= self.port <= 65_535:
            raise ValueError(f"--port is 1 to 65535, got {self.port}")
        if not 0 < self.mass <= 1 or self.top < 1:
            raise ValueError("--mass is a share above 0, at most 1, and --top 1 or more")


@dataclass(frozen=True, kw_only=True)
class ImportConfig:
    """Make a run of the files of the older Hierarchical Geolocation Classifier."""

    old: Positional[Path]
    """Folder with label_map_L*.pth, l*_to_l*.pth, hierarchy_L*.pth and, where known, L*_temperature.txt, metadata.csv
    and empty_grids.txt; they may lie in folders below."""
    run: Path
    """Run folder to make."""
    arch: str = "resnet50"
    """Architecture of the networks."""
