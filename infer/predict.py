"""`python -m infer predict`: find photographs, predict, write files and pages."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from infer.config import InferConfig
from infer.evaluate.metrics import PERCENTILES
from infer.export import bulk
from infer.export.embeddings import write_embeddings
from infer.export.formats import write_format
from infer.export.strip import write_stripped
from infer.export.tables import write_answers
from infer.export.xmp import photographs_of, write_sidecars
from infer.overview import INDEX, THUMBNAILS, Overview, write_thumbnail
from infer.parts import views_words
from infer.photo_files import Photo, check_every, files_of, find_photos, unique_names, unpacked
from infer.prediction import NOTICE, Prediction
from infer.predictor import Predictor, load
from infer.prepared import Options
from infer.wording import percent
from label_maps.labels import CLASS
from plumbing.evenly import evenly
from plumbing.files import atomic_path, write_text
from plumbing.progress import progress
from plumbing.text import agreeing, counted, printable
from plumbing.videos import is_video

FEW_DISTANCES = 10
"""Of fewer distances than this, percentiles say less than the median and the ends."""

MANY_PAGES = 36
"""For more photographs than this, it is said that pages take time."""

log = logging.getLogger(__name__)

Draw = Callable[[Prediction, str | None], tuple[str, bytes]]
"""From an answer and the address of background tiles to a page and a PNG."""
DrawIndex = Callable[[Overview, str | None], str]
"""From many answers and the address of background tiles to the page that lists them."""


def main(config: InferConfig, draw: Draw | None = None, draw_index: DrawIndex | None = None) -> None:
    """Predict for every photograph that can be read, and name each that cannot.

    Args:
        config: the flags.
        draw: makes the page and the picture of an answer; without it none are written.
        draw_index: makes the page that lists several answers; likewise.

    Raises:
        ValueError: none can be read, or one could be written over.
    """
    if config.out.is_file():
        raise ValueError(f"--out {config.out} is a file: name a folder for the answers")
    if config.bulk:
        bulk.run(config, draw_index)
        return
    given = find_photos(config.photos, config.split, config.out, config.asked_columns, config.every)
    check_every(config.every, (photo.path for photo in given))
    photos = evenly(given, config.limit)
    files = files_of(photos, config.out / "photographs")
    names = unique_names(files, (INDEX,))
    new = [path for photo, path in zip(photos, files, strict=True) if photo.packed]
    tables = [path for path in config.photos if path.is_file()]
    keep_originals([*(photo.path for photo in given), *tables], [*new, *planned_files(config, names)])
    photos = unpacked(photos, files)
    predictor = load(config.run, config.device, config.precision)
    predictions: list[Prediction] = []
    embedded: dict[int, NDArray[np.float32]] = {}
    expected = 1 if config.same_place else len(photos)
    several = expected > 1 and draw_index is not None
    if draw is not None and config.maps and expected > MANY_PAGES:
        log.info(f"a page is drawn for each of {expected:,} photographs: --no-maps is faster, --bulk fastest of many")
    truths = [photo.truth_deg for photo in photos]
    for prediction in progress(
        _predictions(config, predictor, [photo.path for photo in photos], truths, embedded),
        "predicting",
        "photograph",
        expected,
    ):
        predictions.append(prediction)
        if draw is not None and config.maps:
            stem = names[Path(prediction.path or "")]
            write_pages(config.out / stem, *draw(prediction, config.tiles))
            if several:
                write_thumbnail(config.out, stem, prediction)
    if not predictions:
        gone = sum(not photo.path.is_file() for photo in photos)
        missing = f", {gone:,} missing" if gone else ""
        raise ValueError(
            f"no photograph could be read ({counted(len(photos), 'file')}{missing}), so there are no answers"
        )
    print(printable(_table(predictions, names)), flush=True)
    paths = write_all(config, predictions, names)
    indexed = several and config.maps and len(predictions) > 1
    if indexed and draw_index is not None:
        overview = Overview.of(predictions, names, config.out)
        write_text(config.out / f"{INDEX}.html", draw_index(overview, config.tiles))
    if config.embeddings is not None:
        read = [str(photos[number].path) for number in embedded]
        write_embeddings(config.embeddings, read, np.stack(list(embedded.values())))
    answered = sum(len(photographs_of(prediction)) for prediction in predictions)
    pages = draw is not None and config.maps
    print(
        f"{answered} of {len(photos)} answered{_unread_words(photos, answered)}"
        f"{' together, as one place,' if config.same_place else ''} in {paths[0]}, .csv, "
        f".geojson{_pages_words(config) if pages else ''}{f'; {INDEX}.html lists them' if indexed else ''}"
    )
    if errors := error_line(predictions):
        print(errors)
    if licence := predictions[0].provenance.licence:
        print(f"Licence of the model: {licence}")
    print(NOTICE)


def _predictions(
    config: InferConfig,
    predictor: Predictor,
    paths: list[Path],
    truths: list[tuple[float, float] | None],
    embedded: dict[int, NDArray[np.float32]],
) -> Iterator[Prediction]:
    prepared = predictor.prepared(Options.of(config))
    if config.sidecars is not None and prepared.conformal is None:
        raise ValueError(
            f"--sidecars {config.sidecars:g} needs a calibrated run and {predictor.model.name} is not: run "
            "`python -m train calibrate` on it first"
        )
    if config.sidecars is not None and not predictor.model.answers_points:
        raise ValueError(
            f"--sidecars holds coordinates, and {predictor.model.name} answers none, for it learned without: leave it out"
        )
    similar = None if config.data is None else predictor.neighbours(config.data, config.batch_size, config.workers)
    for _, prediction in predictor.stream(
        paths,
        prepared,
        config.batch_size,
        config.workers,
        refuse=len(paths) == 1,
        explain=config.explain,
        neighbours=similar,
        truths_deg=None if config.same_place else truths,
        embedded=None if config.embeddings is None else embedded,
    ):
        yield prediction


def _unread_words(photos: Sequence[Photo], answered: int) -> str:
    """Return how many photographs could not be read, and how many of those are missing; empty where all could."""
    if answered >= len(photos):
        return ""
    gone = sum(not photo.path.is_file() for photo in photos)
    return f" ({len(photos) - answered} could not be read" + (f", {gone} of them missing)" if gone else ")")


def write_pages(stem: Path, page: str, picture: bytes) -> None:
    """Write the page and the picture of one answer."""
    write_text(stem.with_name(f"{stem.name}.html"), page)
    with atomic_path(stem.with_name(f"{stem.name}.png")) as partial:
        partial.write_bytes(picture)


def _pages_words(config: InferConfig) -> str:
    return ", with one page" if config.same_place else ", with a page each"


def planned_files(config: InferConfig, names: dict[Path, str]) -> Iterator[Path]:
    """Yield every file that answers may need, whichever photographs can be read; side-cars have names as no picture has."""
    if config.embeddings is not None:
        yield config.embeddings
    yield config.out / f"{INDEX}.html"
    for suffix in ("json", "csv", "geojson", *config.formats):
        yield config.out / f"predictions.{suffix}"
    for name in names.values():
        if config.maps:
            yield from (config.out / f"{name}.{suffix}" for suffix in ("html", "png"))
            yield config.out / THUMBNAILS / f"{name}.jpg"
        if config.strip:
            yield from (config.out / "stripped" / f"{name}.{suffix}" for suffix in ("jpg", "png"))


def keep_originals(photos: Sequence[Path], written: Iterable[Path]) -> None:
    """Refuse to write over a photograph, or the table that names it.

    Raises:
        ValueError: one of the files to write is one of these.
    """
    originals = {_identity(photo) for photo in photos} - {None}
    for path in written:
        if _identity(path) in originals:
            raise ValueError(
                f"{path} is one of the photographs or their table and could be written over: choose another --out"
            )


def _identity(path: Path) -> tuple[int, int] | None:
    """Return by what a file is told under any of its names, through links and whatever the case; None where none is."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def write_all(config: InferConfig, predictions: list[Prediction], names: dict[Path, str]) -> list[Path]:
    """Write every file that was asked for."""
    paths = write_answers(config.out, predictions)
    paths += [write_format(config.out, predictions, name) for name in config.formats]
    photos = [Path(photo.path or "") for prediction in predictions for photo in photographs_of(prediction)]
    if config.sidecars is not None:
        written = write_sidecars(config.out, predictions, config.sidecars)
        of = f"{len(written):,} of {counted(len(photos), 'photograph')} {agreeing(len(written), 'have')}"
        log.info(f"{of} a side-car in {config.out / 'sidecars'}")
    if config.strip:
        for photo in photos:
            if is_video(photo):
                log.warning("--strip: %s is a video and has no stripped copy", photo)
                continue
            write_stripped(photo, config.out / "stripped", names[photo])
    return paths


def error_line(predictions: Sequence[Prediction]) -> str:
    """Return the percentiles of the distances from known places, of few the median and the ends; empty without any."""
    known = [found.distance_km for prediction in predictions if (found := prediction.known) is not None]
    away = [distance for distance in known if distance is not None]
    if not away:
        return ""
    if len(away) == 1:
        return f"distance from the known place: {away[0]:,.0f} km"
    if len(away) < FEW_DISTANCES:
        ends = f"from {min(away):,.0f} to {max(away):,.0f} km"
        return f"distance from the known place, of {counted(len(away), 'answer')}: median {np.median(away):,.0f} km, {ends}"
    parts = [f"{p} % {km:,.0f} km" for p, km in zip(PERCENTILES, np.percentile(away, PERCENTILES), strict=True)]
    return f"distance from the known place, of {counted(len(away), 'answer')}: {', '.join(parts)}"


def _inside(first: Prediction, inside: list[float]) -> str:
    """Return how much the model itself put inside the area: of one photograph, or from the least to the most of several."""
    assert first.prior is not None
    if percent(min(inside)) == percent(max(inside)):
        return first.prior.sentence
    return f"the model itself put {percent(min(inside))} to {percent(max(inside))} inside ({first.prior.area})"


def _classes_words(prediction: Prediction) -> str:
    """Return which countries or labels an answer without a point has, and which label one with a point."""
    if prediction.point is None and prediction.sets:
        return f"; {prediction.sets[max(prediction.sets)]}"
    level = prediction.finest
    return f"; class {level.best.id}" if level.level == CLASS and prediction.point is not None else ""


def _table(predictions: list[Prediction], names: dict[Path, str]) -> str:
    """Return a line for each answer, and the warnings that all of them share."""
    shown = [names[Path(prediction.path or "")] for prediction in predictions]
    width = max(10, min(40, max(map(len, shown))))
    shared = [w for w in predictions[0].warnings if all(w in prediction.warnings for prediction in predictions)]
    inside = [prediction.prior.probability_inside for prediction in predictions if prediction.prior]
    # That a run is not calibrated was said when it was read.
    lines = [f"warning: {warning}" for warning in shared if not warning.startswith("not calibrated: ")]
    if inside:
        lines.insert(0, f"warning: {_inside(predictions[0], inside)}")
    levels = list(predictions[0].levels)
    calibrated = any(level.confidence is not None for level in predictions[0].levels.values())
    head = " ".join(f"{level:>7}" for level in levels) if calibrated else ""
    # A run that learned without coordinates answers no points at all.
    pinned = any(prediction.point is not None for prediction in predictions)
    blank = f"{'':>9} {'':>10} " if pinned or not predictions[0].sets else ""
    lines.append(f"{'':<{width}}  {blank}{'confidence by level' if calibrated else ''}".rstrip())
    places = f"{'latitude':>9} {'longitude':>10} " if blank else ""
    lines.append(f"{'photograph':<{width}}  {places}{head}  answer")
    for name, prediction in zip(shown, predictions, strict=True):
        point = prediction.point
        where = blank if point is None else f"{point[0]:>9.4f} {point[1]:>10.4f} "
        said = [level.confidence for level in prediction.levels.values()]
        confidence = " ".join(" " * 7 if value is None else f"{value:>7.1%}" for value in said) if calibrated else ""
        near = (
            f" (nearest town {prediction.place.name}, {prediction.place.distance_km:.0f} km)"
            if prediction.place
            else ""
        )
        chosen = _classes_words(prediction)
        chosen += f"; read as {views_words(prediction.views)}" if prediction.views else ""
        lines.append(f"{name[:width]:<{width}}  {where}{confidence}  {prediction.headline}{near}{chosen}")
    return "\n".join(lines)
