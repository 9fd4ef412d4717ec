"""What `python -m infer` does: read photographs, answer, write files and maps."""

import logging
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geocells.partitions import Partition
from infer import bulk
from infer.answer import Listing, answer_record
from infer.claims import Claims, same_place_record
from infer.config import InferConfig
from infer.devices import pick_device
from infer.evidence import Evidence, add_evidence, small_jpeg
from infer.formats import write_format, write_sidecars
from infer.loading import Photo, evenly, find_photos, photo_batches, unpacked
from infer.model import Model, Seen, load_model
from infer.neighbours import open_neighbours
from infer.posterior import sum_up
from infer.same_place import agreement, fuse_photographs
from infer.writers import Record, write_answers
from label_maps.pictures import Pictures
from plumbing.config import as_plain
from plumbing.files import atomic_path, write_text
from plumbing.progress import progress
from plumbing.stripping import write_stripped
from plumbing.version import git_commit, now_utc

if TYPE_CHECKING:
    from viz.prediction import CellLayer

log = logging.getLogger(__name__)

THUMBNAIL_SIDE = 480


def main(config: InferConfig) -> None:
    """Answer for every photograph that can be read and name each that cannot.

    Raises:
        ValueError: none can be read.
    """
    if config.bulk:
        bulk.run(config)
        return
    photos = unpacked(evenly(find_photos(config.photos, config.split), config.limit), config.out / "photographs")
    model = load_model(config.run, pick_device(config.device)).with_choices(
        config.fusion, config.point, bool(config.within or config.exclude)
    )
    names = unique_names([photo.path for photo in photos])
    records: list[Record] = []
    for photo, record, evidence in progress(answers(photos, model, config), "answering", "photograph", len(photos)):
        records.append(record)
        if config.maps:
            write_maps(config.out / names[photo.path], photo, record, evidence, model, config.tiles)
    if not records:
        raise ValueError(f"none of {len(photos)} files could be read as a photograph")
    paths = write_all(config, records)
    print(_table(records, names))
    print(
        f"{len(records)} of {len(photos)} answered in {paths[0]}, .csv, .geojson"
        + (", with a map each" if config.maps else "")
    )
    print("A hypothesis, not proof.")


def write_all(config: InferConfig, records: list[Record]) -> list[Path]:
    """Write every file that was asked for, each record with what another needs to check it."""
    settings = {key: value for key, value in as_plain(config).items() if key != "photos"}
    audit = {"answered_at_utc": now_utc(), "git_commit": git_commit(), "flags": settings}
    for record in records:
        record["audit"] = audit
    paths = write_answers(config.out, records)
    paths += [write_format(config.out, records, name) for name in config.formats]
    if config.sidecars is not None:
        written = write_sidecars(config.out, records, config.sidecars)
        log.info("%d of %d photographs have a side-car in %s", len(written), len(records), config.out / "sidecars")
    if config.strip:
        for record in records:
            write_stripped(Path(record["input"]), config.out / "stripped")
    return paths


def answers(photos: list[Photo], model: Model, config: InferConfig) -> Iterator[tuple[Photo, Record, Evidence]]:
    """Yield the record of each readable photograph in order; an unreadable one is one warning line."""
    listing, claims = Listing(config.mass, config.top), Claims.of(config, config.run, model)
    neighbours = None
    if config.data is not None:
        neighbours = open_neighbours(model, config.run, config.data, config.batch_size, config.workers)
    for index, seen in seen_together(photos, model, config):
        if config.same_place:
            yield photos[index[0]], one_place([photos[i].path for i in index], seen, claims, config), Evidence()
            return
        posterior, inside = claims.restrict(model.posterior(seen.logits))
        points, regions = model.points(posterior, seen), claims.regions(posterior)
        for row, i in enumerate(index):
            own = [level[row] for level in posterior]
            record = answer_record(photos[i].path, points[row], own, model, listing)
            claims.extend(record, own, regions[row], None if inside is None else float(inside[row]))
            evidence = Evidence()
            if config.explain:
                evidence = add_evidence(record, photos[i], own[-1], seen.rows(slice(row, row + 1)), model, neighbours)
            yield photos[i], record, evidence


def one_place(photos: list[Path], seen: Seen, claims: Claims, config: InferConfig) -> Record:
    """Return the record of what is seen on N photographs of one place."""
    model, temperature = claims.model, config.same_place_temperature
    posterior = model.posterior(seen.logits)
    middle = max(0, len(posterior) - 2)
    agrees = agreement(posterior[middle], temperature)
    together = fuse_photographs(posterior[-1], temperature)[None]
    fused, inside = claims.restrict(sum_up(model.tree, together))
    own = [level[0] for level in fused]
    record = answer_record(
        photos[0], model.points(fused, seen.one_place())[0], own, model, Listing(config.mass, config.top)
    )
    claims.extend(record, own, claims.regions(fused)[0], None if inside is None else float(inside[0]))
    same_place_record(record, photos, agrees.shared.tolist(), agrees.contradicting)
    return record


def seen_together(photos: list[Photo], model: Model, config: InferConfig) -> Iterator[tuple[list[int], Seen]]:
    """Yield which photographs were read together and what is seen on them; with --same-place, all at once."""
    found: list[tuple[list[int], Seen]] = []
    paths = [photo.path for photo in photos]
    for batch in photo_batches(Pictures.of_files(paths), model.transform, config.batch_size, config.workers):
        for _, reason in batch.unreadable:
            log.warning("left out: %s", reason)
        if not len(batch.index):
            continue
        found.append((batch.index.tolist(), model.see(batch.pixels)))
        if not config.same_place:
            yield found.pop()
    if found:
        yield [i for index, _ in found for i in index], Seen.joined([seen for _, seen in found])


def unique_names(photos: list[Path]) -> dict[Path, str]:
    """Return a file name for each photograph's map: its stem, with a number where two are called the same."""
    taken: set[str] = set()
    names = {}
    for photo in photos:
        numbered = (f"{photo.stem}-{number}" for number in count(2))
        # Some file systems do not tell upper from lower case.
        names[photo] = next(name for name in chain([photo.stem], numbered) if name.lower() not in taken)
        taken.add(names[photo].lower())
    return names


def write_maps(stem: Path, photo: Photo, record: Record, evidence: Evidence, model: Model, tiles: str | None) -> None:
    """Write the page and the picture of one answer."""
    # Drawing takes most of a second to import; answers without maps do not wait for it.
    from viz.prediction import prediction_html, prediction_png

    layers = [cell_layer(model, level) for level in record["levels"]]
    thumbnail, drawn = small_jpeg(photo.path, THUMBNAIL_SIDE), (evidence.heat, evidence.neighbours_jpeg)
    page = prediction_html(record, layers, thumbnail, photo.truth_deg, tiles, record["model"], *drawn)
    write_text(stem.with_name(f"{stem.name}.html"), page)
    with atomic_path(stem.with_name(f"{stem.name}.png")) as partial:
        partial.write_bytes(prediction_png(record, layers, photo.truth_deg))


def cell_layer(model: Model, level: dict[str, Any]) -> "CellLayer":
    """Return the listed cells of a level as they are drawn."""
    from viz.prediction import CellLayer

    rows = model.hierarchy.rows(model.hierarchy.level_index(level["level"]))
    known = {name: rows.start + k for k, name in enumerate(model.hierarchy.name[rows])}
    drawn = [known[cell["id"]] for cell in level["cells"]]
    probability = np.array([cell["probability"] for cell in level["cells"]])
    depth, keys = model.hierarchy.level_index(level["level"]), model.hierarchy.key[drawn].tolist()
    outlines = [_outline(model.hierarchy.partition, key, depth) for key in keys]
    bounds = model.hierarchy.bounds_deg[drawn]
    return CellLayer(level["level"], [c["id"] for c in level["cells"]], probability, bounds, outlines)


@lru_cache(maxsize=4096)
def _outline(partition: Partition, key: int, depth: int) -> Any:
    """Return the polygons of a cell; most photographs of a series have the same likeliest areas."""
    return partition.outline(key, depth)


def _table(records: list[Record], names: dict[Path, str]) -> str:
    width = min(40, max(len(names[Path(record["input"])]) for record in records))
    lines = [f"{'photograph':<{width}}  {'latitude':>9} {'longitude':>10}  best finest cell; place of the point"]
    for record in records:
        point, place, best = record["point"], record["place"], record["levels"][-1]["cells"][0]
        lines.append(
            f"{names[Path(record['input'])][:width]:<{width}}  {point['latitude']:>9.4f} {point['longitude']:>10.4f}  "
            + (record.get("answer_words") or f"{best['id']} ({best['probability']:.1%})")
            + (f"; near {place['name']}, {place['country_code']}" if place["name"] else "")
        )
    return "\n".join(lines)
