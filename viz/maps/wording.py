"""What an answer says in words, the same on its page and in its picture."""

import re
from collections.abc import Sequence

from dataset.country_names import country_name
from infer.prediction import AreaPrior, Country, LevelPrediction, MetadataLocation, Place, Prediction, Region
from infer.wording import class_words

NOT_CALIBRATED = "not calibrated"
SOURCES = {
    "video": "the video",
    "dataset": "the dataset",
    "comment": "a comment in the file",
    "Mapillary": "the description by mapillary_tools",
    "side-car": "the XMP side-car",
    "Takeout": "Google Takeout",
    "file name": "the file name",
}
"""Sources of metadata locations whose own name does not read as the subject of a sentence."""


def coordinate_words(latitude: float, longitude: float, decimals: int = 4) -> str:
    """Return a place as people write it."""
    north, east = "NS"[latitude < 0], "EW"[longitude < 0]
    return f"{abs(latitude):.{decimals}f}° {north}, {abs(longitude):.{decimals}f}° {east}"


def percent(probability: float) -> str:
    """Return a probability for reading, never rounded to certainty or to nothing."""
    if 0 < probability < 0.001:
        return "< 0.1%"
    if 0.999 < probability < 1:
        return "> 99.9%"
    return f"{100 * probability:.1f}".removesuffix(".0") + "%"


def area_words(area_km2: float) -> str:
    """Return an area for reading, to two digits."""
    rounded = float(f"{area_km2:.2g}")
    return f"{rounded / 1e6:,.10g} million km²" if rounded >= 1e6 else f"{rounded:,.10g} km²"


def listed(names: Sequence[str], most: int = 4) -> str:
    """Return names as a list in a sentence: `A`, `A and B`, `A, B and 3 more`."""
    shown = [*names[:most], f"{len(names) - most} more"] if len(names) > most else [*names]
    return " and ".join(filter(None, (", ".join(shown[:-1]), *shown[-1:])))


def file_name(path: str) -> str:
    """Return the last part of a path of any system."""
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def confidence_words(prediction: Prediction) -> str:
    """Return the calibrated confidence by level in one sentence, or why there is none."""
    calibrated = any(level.confidence is not None for level in prediction.levels.values())
    if prediction.answer_level is None:
        return "No level is confident enough" if calibrated else f"Confidence: {NOT_CALIBRATED}"
    if prediction.confidence is None:
        return f"Confidence: {NOT_CALIBRATED}"
    names = list(prediction.levels)
    answered = names[: names.index(prediction.answer_level) + 1]
    said = [prediction.levels[name] for name in answered if prediction.levels[name].confidence is not None]
    parts = [f"{percent(level.confidence or 0)} {_of_level(level)}" for level in said]
    first = f"{parts[0]} across" if parts[0].endswith(" km") else parts[0]
    return f"Calibrated confidence in the most probable area: {', '.join([first, *parts[1:]])}"


def _of_level(level: LevelPrediction) -> str:
    """Return what the confidence of a level is of: a named class, or a cell by its size."""
    words = class_words(level.best.id, level.level) if level.cells else level.level
    if words != level.level and re.search(r"[^\W\d_]{2}", words):
        return f"for {words}"
    return f"at {size_words(level)}"


def size_words(level: LevelPrediction) -> str:
    """Return how large the best cell of a level is, to two digits: `140 km`; the name of a level without places."""
    size = level.best.size_km if level.cells else None
    return level.level if size is None else f"{float(f'{size:.2g}'):,.10g} km"


def country_in_sentence(country: Country) -> str:
    """Return the name of a country with its article, if it has one: `the United States`."""
    try:
        return country_name(country.code, article=True)
    except ValueError:
        return country.name


def region_line(region: Region) -> str:
    """Return how large a region is and in which countries, in one line."""
    countries = listed([country_in_sentence(country) for country in region.countries])
    return (
        f"{region_name(region.coverage)}: {area_words(region.area_km2)}, {f'in {countries}' if countries else 'at sea'}"
    )


def region_name(coverage: float) -> str:
    """Return what a region of some coverage is called."""
    return f"{coverage * 100:.10g}% region"


def prior_words(prior: AreaPrior) -> str:
    """Return what was known beside the photograph, and how little of it the model itself saw."""
    area = re.sub(r"(?<=[ ,])[A-Z]{2}(?=$|[ ,])", lambda code: _country_or_code(code[0]), prior.area)
    return f"Known beforehand: {area}. The model itself put {percent(prior.probability_inside)} inside."


def _country_or_code(code: str) -> str:
    try:
        return country_name(code, article=True)
    except ValueError:
        return code


def place_words(place: Place) -> str:
    """Return the town nearest to the point."""
    return f"nearest town {place.name}, {place.country}, {place.distance_km:,.0f} km away"


def source_words(location: MetadataLocation) -> str:
    """Return who says where a photograph was taken, as in `EXIF says` and `the dataset says`."""
    source = SOURCES.get(location.source, location.source)
    return f"{source} of {location.input} says" if location.input else f"{source} says"


def metadata_words(location: MetadataLocation) -> str:
    """Return where the metadata says that a photograph was taken, and how that compares with the answer."""
    compared = []
    if location.distance_km is not None:
        compared.append(distance_words(location.distance_km))
    if location.region_coverage is not None:
        compared.append(f"{'inside' if location.in_region else 'outside'} the {region_name(location.region_coverage)}")
    words = f"{source_words(location)} {coordinate_words(location.latitude, location.longitude)}"
    return f"{words[:1].upper()}{words[1:]}{': ' if compared else ''}{', '.join(compared)}"


def distance_words(distance_km: float) -> str:
    """Return how far something is from the point."""
    return f"{distance_km:,.1f} km from the point"
