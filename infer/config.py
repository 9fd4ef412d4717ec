"""Flags of the commands that answer. Nothing here imports torch, so that --help is instant."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from tyro.conf import Positional, arg

from dataset.panorama_flag import PanoramaFlag, views_wanted
from dataset.tables.flags import PlaceColumns, is_table_name
from infer.decode.greedy_rule import PUBLISHED_K, PUBLISHED_THRESHOLDS, GreedyRule
from plumbing.addresses import check_tiles
from plumbing.flags import Folder, Groups, LevelName, Renamed, Share, shown
from plumbing.rules import Rule, check_rules, excludes, needs

Fusion = Literal["chain", "product", "greedy"]
RENAMED_FUSIONS = {"seed": "greedy"}
"""Names of version 0.1.0, which its files hold, and what they are called now."""
IN_DISTRIBUTION: Literal["in-distribution"] = "in-distribution"
UNSEEN: Literal["unseen"] = "unseen"
Places = Literal["in-distribution", "unseen"]
RENAMED_PLACES = {"usual": IN_DISTRIBUTION, "elsewhere": UNSEEN}
"""Names of version 0.1.0, as above."""
RENAMED_VALUES: Renamed = {"fusion": RENAMED_FUSIONS, "places": RENAMED_PLACES}
Precision = Literal["auto", "float32", "bfloat16"]
Point = Literal["top", "mean", "median", "geoscore", "regressed", "refined", "expert"]


@dataclass(frozen=True, kw_only=True)
class AnswerConfig:
    """Which regions and levels an answer has, and what is known beside the photograph."""

    NEEDS_VALUES: ClassVar = ("within", "exclude", "known_class")
    """Flags whose forgotten value must not mean the whole world."""
    GROUPS: ClassVar[Groups] = {
        "what is answered": "coverage places confidence coarsest",
        "prior knowledge": "within exclude known_class",
    }
    RULES: ClassVar[tuple[Rule, ...]] = (
        needs("coarsest", "confidence"),
        needs("places", "coverage confidence sidecars"),
    )

    coverage: tuple[Share, ...] = (0.5, 0.9)
    """Give the conformal prediction region of this coverage: the smallest that holds the true place this often, such as
    0.5 0.9, as calibrated on the calibration split. The flag without a number: no regions."""
    places: Places = IN_DISTRIBUTION
    """For which photographs regions and confidence are calibrated: in-distribution, from where the calibration photographs
    are; or unseen, from places without training photographs (see `train calibrate --unseen`), where regions are larger."""
    confidence: Share | None = None
    """Answer at the finest level whose best cell has at least this calibrated confidence, such as 0.6. Left out, at the
    finest level there is."""
    coarsest: LevelName | None = None
    """With --confidence: an answer coarser than this level, such as L3, is not worth giving; the place is then unknown.
    Left out, any level is."""
    within: tuple[Annotated[str, arg(metavar="AREA")], ...] = ()
    """The photographs are known to be from here: countries (DE or Germany, with commas several), a box (south,west,north,east in
    degrees), a point and a radius (48.85,2.35,50km), or polygons of a file (GeoJSON, Esri JSON, KML, WKT, GeoPackage,
    shapefile); several together are one area. Write a box that begins south of the equator with =, as in
    --within=-10,110,-5,120. Left out, the whole world."""
    exclude: tuple[Annotated[str, arg(metavar="AREA")], ...] = ()
    """The photographs are known not to be from here; areas as for --within."""
    known_class: tuple[Annotated[str, arg(metavar="LEVEL=CLASS")], ...] = ()
    """The photographs are known to be of this class, such as macro=Africa; several of one level are one area together. With
    --point expert its expert answers."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        _check_coverage(self.coverage)
        if self.confidence is not None and not 0 < self.confidence < 1:
            raise ValueError(f"--confidence is a probability between 0 and 1, such as 0.6, got {self.confidence:g}")
        check_rules(self)


@dataclass(frozen=True, kw_only=True)
class GreedyConfig:
    """The numbers of the greedy rule."""

    GROUPS: ClassVar[Groups] = {"what is answered": "greedy_thresholds greedy_k"}

    greedy_thresholds: Annotated[tuple[Share, ...], arg(metavar="0..1")] = PUBLISHED_THRESHOLDS
    """With --fusion greedy: least probabilities of a level's best cell, descending, by which --greedy-k is chosen. The
    defaults are the published ones."""
    greedy_k: tuple[int, ...] = PUBLISHED_K
    """With --fusion greedy: of how many best cells the children are kept, one number for each of --greedy-thresholds and a last
    one for a lower probability."""

    @property
    def greedy(self) -> GreedyRule:
        """Return both as the rule that they are.

        Raises:
            ValueError: lengths or order do not fit.
        """
        return GreedyRule(self.greedy_thresholds, self.greedy_k)


NEEDS_GREEDY = needs("greedy_thresholds greedy_k", "fusion", "greedy")
"""The numbers of the greedy rule have an effect on that rule alone."""


EVERY_S = 2.0
"""Seconds between frames of a video, by default."""
SECONDS = re.compile(r"(\d+(?:\.\d+)?) ?s?")
BULK_WITHOUT = (
    "coverage places confidence coarsest same_place same_place_temperature explain data formats embeddings sidecars strip mass top "
    "maps tiles"
)
"""Flags without effect in bulk."""


@dataclass(frozen=True, kw_only=True)
class InferConfig(PlaceColumns, PanoramaFlag, GreedyConfig, AnswerConfig):
    """Say where photographs were taken: a probability for every cell, a point, a map. A hypothesis, not proof."""

    GROUPS: ClassVar[Groups] = {
        "photographs and run": "photos run split limit",
        "columns of a table": "",
        "panoramas and videos": "panorama every",
        "what is answered": "fusion greedy_thresholds greedy_k point same_place same_place_temperature mass top",
        "prior knowledge": "",
        "files written": "out maps tiles formats embeddings sidecars strip bulk",
        "explanation": "explain data",
        "speed": "batch_size workers precision device",
    }
    RULES: ClassVar[tuple[Rule, ...]] = (
        excludes("bulk", BULK_WITHOUT, why="answers with points and best cells alone"),
        *AnswerConfig.RULES,
        NEEDS_GREEDY,
        needs("same_place_temperature", "same_place"),
        needs("data", "explain"),
        needs("tiles", "maps"),
        excludes("same_place", "explain", why="gives one answer for all photographs"),
    )
    RENAMED: ClassVar[Renamed] = RENAMED_VALUES

    photos: Positional[tuple[Path, ...]]
    """Photographs, folders of them, dataset folders, or tables with a column of paths (docs/formats.md)."""
    run: Path
    """Run folder with a trained model."""
    split: Literal["train", "calibration", "test", "all"] = "test"
    """Which photographs of a dataset folder; the pages then show where they were taken."""
    limit: int | None = None
    """Take at most this many photographs, evenly from all. Left out, all."""
    out: Folder = Path("predictions")
    """Folder for predictions.json, .csv, .geojson, and a page and a picture for each photograph."""
    every: Annotated[str, arg(metavar="SECONDS")] | None = None
    """Time between two frames that are taken of a video, such as 2s; all frames are answered as one place. With it, videos
    in folders are answered too. Left out, videos that are named themselves have a frame every 2 s. Needs PyAV
    (`pip install av`)."""
    fusion: Fusion | None = None
    """How levels are combined: chain (chain rule down the tree), product (of the levels' own posteriors), greedy (the
    published rule). Left out, the one that scored best on the calibration split."""
    point: Point | None = None
    """Which point: top (centre of the most probable cell), mean, median, geoscore (highest expected GeoScore); where the
    run has it, regressed (coordinate of a network), or, by `train refine`, refined (geoscore with coordinates inside cells)
    and expert (the coordinate inside the most probable cell). Left out, the one that scored best on the calibration
    split."""
    formats: tuple[Literal["parquet", "kml", "gpkg"], ...] = ()
    """More files of all answers, beside predictions.json, .csv and .geojson: points and regions."""
    embeddings: Path | None = None
    """Write what the network makes of each photograph into this file too: NAME.npz or NAME.parquet, with path and features."""
    sidecars: Share | None = None
    """Write XMP side-cars with coordinates into OUT/sidecars, for photographs that have none and whose finest cell has
    at least this calibrated confidence, such as 0.5. Originals are never touched. Left out, none are written."""
    strip: bool = False
    """Write copies of the photographs without any metadata into OUT/stripped."""
    same_place: bool = False
    """All photographs show one place: give one answer for all, and name one that contradicts the others."""
    same_place_temperature: float = 2.0
    """With --same-place: how much the photographs repeat each other. 1 takes them as independent; their number takes
    them as one."""
    explain: bool = False
    """Show what in the photograph speaks for the most probable cell; takes seconds for each. With --data also the most
    similar training photographs."""
    data: Path | None = None
    """With --explain: the dataset that the run was trained on, searched for similar photographs. Its features are computed
    once and kept in the run. Left out, no similar photographs are shown."""
    mass: Share = 0.9
    """List, per level, the fewest cells that hold this share of the probability; the rest is reported as one number."""
    top: int = 100
    """List and draw at most this many cells per level."""
    bulk: bool = False
    """Answer for any number of photographs: Parquet parts in OUT instead of the other files, without pages and regions.
    Interrupted, the same command continues, with any number of processes; under torchrun each answers its share."""
    maps: bool = True
    """Draw NAME.html and NAME.png for each photograph."""
    tiles: Annotated[str, arg(metavar="URL")] | None = None
    """Address of background map tiles, https://.../{z}/{x}/{y}.png; the pages then need a network. Left out, they open
    offline."""
    batch_size: int = 32
    """Photographs in a batch."""
    workers: int = 2
    """Processes that decode photographs."""
    precision: Precision | None = None
    """What the network computes in: float32, bfloat16, or auto (bfloat16 where the processor computes in it, which is faster).
    Left out, as the run was calibrated."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        _ = self.greedy
        if not self.photos:
            raise ValueError(
                "no photographs given: name files or folders, such as `python -m infer predict photo.jpg --run RUN`"
            )
        if self.embeddings is not None and self.embeddings.suffix not in (".npz", ".parquet"):
            raise ValueError(f"--embeddings is a file NAME.npz or NAME.parquet, got {self.embeddings}")
        if self.sidecars is not None and not 0 < self.sidecars < 1:
            raise ValueError(f"--sidecars is a probability between 0 and 1, such as 0.5, got {self.sidecars:g}")
        if self.same_place_temperature <= 0:
            raise ValueError(f"--same-place-temperature must be above 0, got {self.same_place_temperature:g}")
        if self.tiles is not None:
            check_tiles("--tiles", self.tiles)
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"--limit must be 1 or more, got {self.limit}")
        views_wanted(self.panorama)
        _check_speed(self.batch_size, self.workers)
        check_listing(self.mass, self.top)
        self._check_split()
        _ = self.every_s
        if self.given_columns and not any(is_table_name(photo) for photo in self.photos):
            flag = "--" + self.given_columns[0].replace("_", "-")
            raise ValueError(f"{flag} names a column of a table, and none is given: leave {flag} out")

    @property
    def every_s(self) -> float:
        """Return how many seconds lie between the frames of a video.

        Raises:
            ValueError: `--every` is not such a number.
        """
        match = SECONDS.fullmatch(self.every) if self.every is not None else None
        if self.every is not None and (match is None or not 0 < float(match[1]) <= 86400):
            raise ValueError(f"--every takes seconds above 0, such as 2s or 0.5s, got {self.every}")
        return float(match[1]) if match else EVERY_S

    def _check_split(self) -> None:
        """Refuse a split where no dataset is asked for one."""
        if self.split != "test" and all(photo.exists() and not is_dataset(photo) for photo in self.photos):
            raise ValueError(
                f"--split {self.split} chooses photographs of a dataset folder, and none is given: leave out --split"
            )


def is_dataset(folder: Path) -> bool:
    """Say whether a path is a dataset folder."""
    return (folder / "manifest.parquet").is_file()


def _check_coverage(coverages: tuple[float, ...]) -> None:
    for coverage in coverages:
        if not 0 < coverage < 1:
            raise ValueError(f"--coverage is a share between 0 and 1, such as 0.9, got {coverage:g}")


def _check_speed(batch_size: int, workers: int) -> None:
    if batch_size < 1:
        raise ValueError(f"--batch-size must be 1 or more, got {batch_size}")
    if workers < 0:
        raise ValueError(f"--workers must be 0 or more, got {workers}")


def check_listing(mass: float, top: int) -> None:
    """Refuse numbers of listed cells that cannot work.

    Raises:
        ValueError: one cannot; the message names the flag.
    """
    if not 0 < mass <= 1:
        raise ValueError(f"--mass is a share above 0, at most 1, got {mass:g}")
    if top < 1:
        raise ValueError(f"--top must be 1 or more, got {top}")


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(GreedyConfig):
    """Measure a run on a split of a dataset: kilometres, GeoScore and classes, with 95 % cluster-bootstrap intervals."""

    GROUPS: ClassVar[Groups] = {
        "photographs and run": "data run split",
        "what is answered": "fusion greedy_thresholds greedy_k point",
        "what is measured": "coverage places against baselines benchmark trained_on radii_km geoscore_scale_km seed",
        "files written": "out",
        "speed": "batch_size workers precision device",
    }
    RULES: ClassVar[tuple[Rule, ...]] = (
        NEEDS_GREEDY,
        excludes("benchmark", "radii_km", "im2gps3k", why="is published within distances of its own"),
    )
    RENAMED: ClassVar[Renamed] = RENAMED_VALUES

    data: Path
    """Dataset folder."""
    run: Path
    """Run folder with a trained model."""
    split: Annotated[str, arg(metavar="SPLIT")] = "test"
    """Split to measure on: train, calibration or test."""
    out: Path | None = None
    """JSON file for all figures. Left out, evaluation_SPLIT.json in the run folder."""
    fusion: Fusion | None = None
    """How levels are combined: chain, product or greedy. Left out, the one that scored best on the calibration split."""
    point: Point | None = None
    """Which point: top, mean, median, geoscore, or, where the run has it, regressed, refined or expert. Left out, the one
    that scored best on the calibration split."""
    coverage: tuple[Share, ...] = (0.5, 0.9)
    """Measure the conformal prediction regions of these coverages, such as 0.5 0.8 0.9."""
    places: Places = IN_DISTRIBUTION
    """Measure regions and confidence as calibrated for in-distribution photographs, or for photographs of unseen places."""
    against: Annotated[Path, arg(metavar="RUN")] | None = None
    """Another run, measured on the same photographs: the differences come with paired 95 % cluster-bootstrap intervals.
    Left out, no other."""
    trained_on: Folder | None = None
    """Dataset folder that the run was trained on, for the leakage audit. Left out, --data."""
    baselines: bool = False
    """Also measure two answers that need no posterior: the point that the run's counts of training photographs per cell
    give (cell prior), and the place of the training photograph with the most similar features (neighbour). Chance and one
    place for all are always measured."""
    benchmark: Literal["im2gps3k", "osv5m"] | None = None
    """Print published results on this benchmark beside ours. Left out, none."""
    radii_km: tuple[float, ...] | None = None
    """Distances within which answers are counted, in kilometres, such as 5 20 100 500. Left out, 1 25 200 750 2500: street,
    city, region, country and continent."""
    geoscore_scale_km: float = 1492.7
    """Scale of the GeoScore; smaller for datasets of less than the world."""
    seed: int = 0
    """Seed of the bootstrap and of the chance baseline."""
    batch_size: int = 64
    """Photographs in a batch."""
    workers: int = 2
    """Processes that decode photographs."""
    precision: Precision | None = None
    """What the network computes in: float32, bfloat16, or auto (bfloat16 where the processor computes in it, which is faster).
    Left out, as the run was calibrated."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.radii_km is not None and (not self.radii_km or min(self.radii_km) <= 0):
            raise ValueError(
                f"--radii-km takes distances above 0, such as 5 20 100, got {shown(self.radii_km) or 'none'}"
            )
        _check_coverage(self.coverage)
        if self.geoscore_scale_km <= 0:
            raise ValueError(f"--geoscore-scale-km must be above 0, got {self.geoscore_scale_km:g}")
        _check_speed(self.batch_size, self.workers)
        _ = self.greedy
        check_rules(self)


@dataclass(frozen=True, kw_only=True)
class ImportConfig:
    """Make a run from the files of the older Hierarchical Geolocation Classifier."""

    old: Positional[Path]
    """Folder with label_map_L*.pth, l*_to_l*.pth, hierarchy_L*.pth and, where known, L*_temperature.txt, metadata.csv
    and empty_grids.txt; they may lie in folders below."""
    run: Path
    """Run folder to make."""
    arch: str = "resnet50"
    """Architecture of the networks."""
