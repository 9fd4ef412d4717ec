"""What `python -m infer` does: read photographs, answer, write files and maps."""

import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from infer.answer import Listing, answer_record
from infer.config import InferConfig
from infer.devices import pick_device
from infer.loading import Photo, evenly, find_photos, photo_batches
from infer.model import Model, load_model
from infer.writers import Record, write_answers
from plumbing.files import atomic_path, write_text
from plumbing.images import open_rgb
from plumbing.progress import progress
from viz.prediction import CellLayer, prediction_html, prediction_png

log = logging.getLogger(__name__)

THUMBNAIL_SIDE = 480


def main(config: InferConfig) -> None:
    """Answer for every photograph that can be read and name each that cannot.

    Raises:
        ValueError: none can be read.
    """
    photos = evenly(find_photos(config.photos, config.split), config.limit)
    model = load_model(config.run, pick_device(config.device)).with_choices(config.fusion, config.point)
    names = unique_names([photo.path for photo in photos])
    records: list[Record] = []
    for photo, record in progress(answers(photos, model, config), "answering", "photograph", len(photos)):
        records.append(record)
        if config.maps:
            write_maps(config.out / names[photo.path], photo, record, model, config.tiles)
    if not records:
        raise ValueError(f"none of {len(photos)} files could be read as a photograph")
    paths = write_answers(config.out, records)
    print(_table(records, names))
    print(
        f"{len(records)} of {len(photos)} answered in {paths[0]}, .csv, .geojson"
        + (", with a map each" if config.maps else "")
    )
    print("A hypothesis, not proof.")


def answers(photos: list[Photo], model: Model, config: InferConfig) -> Iterator[tuple[Photo, Record]]:
    """Yield the record of each readable photograph in order; an unreadable one is one warning line."""
    listing = Listing(config.mass, config.top)
    paths = [photo.path for photo in photos]
    for batch in photo_batches(paths, model.transform, config.batch_size, config.workers):
        for _, reason in batch.unreadable:
            log.warning("left out: %s", reason)
        if not len(batch.index):
            continue
        posterior = model.posterior(model.logits(batch.pixels))
        for row, (index, point) in enumerate(zip(batch.index.tolist(), model.points(posterior), strict=True)):
            own = [level[row] for level in posterior]
            yield photos[index], answer_record(paths[index], point, own, model, listing)


def unique_names(photos: list[Path]) -> dict[Path, str]:
    """Return a file name for each photograph's map: its stem, with a number where two are called the same."""
    taken: dict[str, int] = {}
    names = {}
    for photo in photos:
        taken[photo.stem.lower()] = count = taken.get(photo.stem.lower(), 0) + 1
        names[photo] = photo.stem if count == 1 else f"{photo.stem}-{count}"
    return names


def write_maps(stem: Path, photo: Photo, record: Record, model: Model, tiles: str | None) -> None:
    """Write the page and the picture of one answer."""
    layers = [cell_layer(model, level) for level in record["levels"]]
    page = prediction_html(record, layers, thumbnail(photo.path), photo.truth_deg, tiles, record["model"])
    write_text(stem.with_name(f"{stem.name}.html"), page)
    with atomic_path(stem.with_name(f"{stem.name}.png")) as partial:
        partial.write_bytes(prediction_png(record, layers, photo.truth_deg))


def cell_layer(model: Model, level: dict[str, Any]) -> CellLayer:
    """Return the listed cells of a level as they are drawn."""
    rows = model.hierarchy.rows(model.hierarchy.level_index(level["level"]))
    known = {name: rows.start + k for k, name in enumerate(model.hierarchy.name[rows])}
    drawn = [known[cell["id"]] for cell in level["cells"]]
    probability = np.array([cell["probability"] for cell in level["cells"]])
    return CellLayer(level["level"], [c["id"] for c in level["cells"]], probability, model.hierarchy.bounds_deg[drawn])


def thumbnail(photo: Path) -> bytes:
    """Return a small JPEG of a photograph, without its metadata."""
    encoded = io.BytesIO()
    open_rgb(photo, THUMBNAIL_SIDE).save(encoded, "JPEG", quality=80)
    return encoded.getvalue()


def _table(records: list[Record], names: dict[Path, str]) -> str:
    width = min(40, max(len(names[Path(record["input"])]) for record in records))
    lines = [f"{'photograph':<{width}}  {'latitude':>9} {'longitude':>10}  best finest cell; place of the point"]
    for record in records:
        point, place, best = record["point"], record["place"], record["levels"][-1]["cells"][0]
        lines.append(
            f"{names[Path(record['input'])][:width]:<{width}}  {point['latitude']:>9.4f} {point['longitude']:>10.4f}  "
            f"{best['id']} ({best['probability']:.1%}); near {place['name']}, {place['country_code']}"
        )
    return "\n".join(lines)
