"""What a `Prediction` is made of: cells, levels, regions, places, and where the answer comes from. All of it is frozen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from geocells.sphere import box_area_km2
from plumbing.text import counted

SHOWN_MEMBERS = 8
"""Classes of a set that one line names."""


@dataclass(frozen=True)
class Cell:
    """A geocell with its probability.

    Attributes:
        id: text of the cell, such as `0/1/2`, the code of a country, or a label.
        probability: of the posterior, 0 to 1; not calibrated by itself, see `LevelPrediction.confidence`.
        latitude: of the coordinate that stands for the cell, the mean of its training photographs; None for a class without a
            place.
        longitude: likewise.
        training_photographs: how many the cell had.
        bounds: south, west, north, east in degrees; east below west spans the antimeridian. None for a class without a place.
    """

    id: str
    probability: float
    latitude: float | None
    longitude: float | None
    training_photographs: int
    bounds: tuple[float, float, float, float] | None

    @property
    def size_km(self) -> float | None:
        """Return the side of a square of the area within the bounds, in kilometres; None for a class without a place."""
        return None if self.bounds is None else float(box_area_km2(self.bounds)) ** 0.5


@dataclass(frozen=True)
class LevelPrediction:
    """The most probable cells of one level.

    Attributes:
        level: such as `L3` or `country`.
        cells: the most probable first.
        unlisted_probability: what all cells that are not listed have together.
        confidence: calibrated probability that the best cell is the true one; None where the run is not calibrated.
    """

    level: str
    cells: tuple[Cell, ...]
    unlisted_probability: float
    confidence: float | None = None

    @property
    def best(self) -> Cell:
        """Return the most probable cell."""
        return self.cells[0]

    def top(self, count: int) -> tuple[Cell, ...]:
        """Return the `count` most probable cells."""
        return self.cells[:count]


@dataclass(frozen=True)
class Country:
    """A country with its share of the probability.

    Attributes:
        code: ISO 3166-1 alpha-2.
        name: in English.
        share: 0 to 1.
    """

    code: str
    name: str
    share: float


@dataclass(frozen=True)
class Region:
    """A conformal prediction region.

    Attributes:
        coverage: how often such regions hold the true place, as fitted on the calibration split.
        level: whose cells make it up.
        cells: how many.
        area_km2: of all of it.
        probability: of the posterior inside.
        countries: with their shares of that probability, the largest first.
        geometry: GeoJSON MultiPolygon, longitude first.
    """

    coverage: float
    level: str
    cells: int
    area_km2: float
    probability: float
    countries: tuple[Country, ...]
    geometry: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class SetMember:
    """A class in a conformal prediction set.

    Attributes:
        id: of the class, such as `FR`, or a label.
        name: in words, such as `France`.
        probability: of the posterior, 0 to 1.
    """

    id: str
    name: str
    probability: float


@dataclass(frozen=True)
class ClassSet:
    """A conformal prediction set of classes, such as countries.

    Attributes:
        coverage: how often such sets hold the true class, as fitted on the calibration split.
        level: whose classes these are, such as `country`.
        classes: the most probable first.
        probability: of all of them.
    """

    coverage: float
    level: str
    classes: tuple[SetMember, ...]
    probability: float

    def __str__(self) -> str:
        """Return the set in one line: `90% set: France, Belgium, Luxembourg`."""
        shown = [member.name for member in self.classes[:SHOWN_MEMBERS]]
        more = [f"and {len(self.classes) - len(shown)} more"] if len(self.classes) > len(shown) else []
        return f"{self.coverage * 100:.10g}% set: {' '.join([', '.join(shown), *more])}"


@dataclass(frozen=True)
class Place:
    """The town nearest to the point.

    Attributes:
        name: of the town and its state.
        country_code: ISO 3166-1 alpha-2.
        country: its name in English.
        distance_km: from the point.
    """

    name: str
    country_code: str
    country: str
    distance_km: float


@dataclass(frozen=True)
class MetadataLocation:
    """Where the file itself, or its dataset, says that it was taken; the network never sees it.

    Attributes:
        source: `dataset`, or as `dataset.metadata_location` names it: `EXIF`, `XMP`, `side-car` and so on.
        latitude: in degrees.
        longitude: in degrees.
        distance_km: from the point; None where no point is answered.
        region_coverage: coverage of the largest region, if there is one.
        in_region: whether that region holds the location.
        input: of several photographs of one place, the one that says so.
    """

    source: str
    latitude: float
    longitude: float
    distance_km: float | None = None
    region_coverage: float | None = None
    in_region: bool | None = None
    input: str | None = None


@dataclass(frozen=True)
class AreaPrior:
    """What was known beside the photograph.

    Attributes:
        area: in words, such as `within DE`.
        probability_inside: that the model itself put there before the area was known.
        sentence: says so.
    """

    area: str
    probability_inside: float
    sentence: str


@dataclass(frozen=True)
class Photograph:
    """One of several photographs of one place.

    Attributes:
        input: its name.
        path: of its file, where it has one.
        sha256: of its file, or of its pixels where it has none.
        located: whether its metadata says where it was taken.
        agreement: probability that it puts where the others together think likely; None for a single photograph.
        contradicts: whether it disagrees with the others.
    """

    input: str
    path: str | None
    sha256: str
    located: bool
    agreement: float | None
    contradicts: bool


PANORAMA, VIDEO = "panorama", "video"
"""What a file is of which several pictures are answered as one place."""


@dataclass(frozen=True)
class View:
    """One of several pictures that were cut from a file and answered together, as one place.

    Attributes:
        kind: `panorama`, of which this is a direction, or `video`, of which this is a frame, or a direction of a frame.
        input: name of the file.
        yaw_deg: direction of the middle of the view, clockwise from the middle of the panorama; None of a whole frame.
        at_s: seconds from the beginning of the video; None of a view.
        agreement: probability that it puts where the others of the file think likely; None of a single one.
        contradicts: whether it disagrees with the others.
    """

    kind: str
    input: str = ""
    yaw_deg: float | None = None
    at_s: float | None = None
    agreement: float | None = None
    contradicts: bool = False


def views_words(views: Sequence[View]) -> str:
    """Return what files were read as: `a panorama, cut into 4 views`, `a video, of which 12 frames are taken`."""
    files: dict[tuple[str, str], list[View]] = {}
    for view in views:
        files.setdefault((view.input, view.kind), []).append(view)
    return "; ".join(map(_file_words, files.values()))


def _file_words(views: Sequence[View]) -> str:
    count = len(views)
    if views[0].kind == PANORAMA:
        return f"a panorama, cut into {counted(count, 'view')}"
    taken = counted(len({view.at_s for view in views}), "frame", "are")
    if views[0].yaw_deg is None:
        return f"a video, of which {taken} taken"
    return f"a 360-degree video, of which {taken} cut into {counted(count, 'view')}"


@dataclass(frozen=True)
class Explanation:
    """What the heat map of a photograph compares.

    Attributes:
        cell: the finest cell that is answered.
        against: the most probable cell elsewhere; None where the run knows none so far away.
        method: how the map was computed.
    """

    cell: str
    against: str | None
    method: str


@dataclass(frozen=True)
class SimilarPhotograph:
    """A training photograph with similar features.

    Attributes:
        id: in its dataset.
        latitude: in degrees.
        longitude: in degrees.
        similarity: cosine of the features.
        distance_km: from the point.
        licence: of the picture, where known.
        creator: of the picture, where known.
        path: of the picture.
    """

    id: str
    latitude: float
    longitude: float
    similarity: float
    distance_km: float
    licence: str | None
    creator: str | None
    path: str


@dataclass(frozen=True)
class Provenance:
    """What gave an answer, so that it can be checked.

    Attributes:
        run: name of the run.
        model_hash: SHA-256 over its weights and label maps.
        version: of this software.
        created_at_utc: when the run was begun.
        answered_at_utc: when it answered.
        git_commit: of this software, where it is known.
        fusion: how levels were combined.
        temperatures: of each level.
        options: of this answer.
        precision: what the networks computed in, `float32` or `bfloat16`; None in answers that did not say so.
        licence: of the weights of a published model; None of one that was trained here.
        citation: how its authors ask to be cited.
        source: where it was published.
    """

    run: str
    model_hash: str
    version: str
    created_at_utc: str
    answered_at_utc: str
    git_commit: str | None
    fusion: str
    temperatures: Mapping[str, float]
    options: Mapping[str, Any]
    precision: str | None = None
    licence: str | None = None
    citation: str | None = None
    source: str | None = None
