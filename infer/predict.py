"""What `python -m infer` does: read photographs, answer, write files and maps."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dataset.images import Pictures
from infer.answer import Listing, answer_record
from infer.claims import Claims, same_place_record
from infer.config import InferConfig
from infer.decode.multi_image import agreement, fuse_photographs
from infer.decode.posterior import sum_up
from infer.decode.region import cell_outline
from infer.explain.evidence import Evidence, add_evidence, small_jpeg
from infer.explain.retrieval import open_neighbours
from infer.export import bulk
from infer.export.formats import write_format, write_sidecars
from infer.export.strip import write_stripped
from infer.export.tables import Record, photographs_of, write_answers
from infer.images import Photo, evenly, files_of, find_photos, photo_batches, unique_names, unpacked
from infer.model import Model, NetworkOutput, load_model
from infer.network.devices import pick_device
from plumbing.config import as_plain
from plumbing.files import atomic_path, write_text
from plumbing.progress import progress
from plumbing.version import git_commit, now_utc

if TYPE_CHECKING:
    from viz.maps.prediction import CellLayer

log = logging.getLogger(__name__)

THUMBNAIL_SIDE = 480


def main(config: InferConfig) -> None:
    """Answer for every photograph that can be read and name each that cannot.

    Raises:
        ValueError: none can be read, or one could be written over.
    """
    if config.bulk:
        bulk.run(config)
        return
    given = find_photos(config.photos, config.split, out=config.out)
    photos = evenly(given, config.limit)
    files = files_of(photos, config.out / "photographs")
    names = unique_names(files)
    new = [path for photo, path in zip(photos, files, strict=True) if photo.packed]
    keep_originals([photo.path for photo in given], [*new, *planned_files(config, names)])
    photos = unpacked(photos, files)
    model = load_model(config.run, pick_device(config.device)).with_choices(
        config.fusion, config.point, bool(config.within or config.exclude)
    )
    records: list[Record] = []
    expected = 1 if config.same_place else len(photos)
    for photo, record, evidence in progress(answers(photos, model, config), "answering", "photograph", expected):
        records.append(record)
        if config.maps:
            write_maps(config.out / names[photo.path], photo, record, evidence, model, config.tiles)
    if not records:
        raise ValueError(f"none of {len(photos)} files could be read as a photograph")
    print(_table(records, names), flush=True)
    paths = write_all(config, records, names)
    answered = sum(len(photographs_of(record)) for record in records)
    print(
        f"{answered} of {len(photos)} answered{' together, as one place,' if config.same_place else ''} in {paths[0]}, "
        f".csv, .geojson{_map_words(config)}"
    )
    print("A hypothesis, not proof.")


def _map_words(config: InferConfig) -> str:
    if not config.maps:
        return ""
    return ", with one map" if config.same_place else ", with a map each"


def planned_files(config: InferConfig, names: dict[Path, str]) -> Iterator[Path]:
    """Yield every file that answers may need, whichever photographs can be read; side-cars have names as no picture has."""
    for suffix in ("json", "csv", "geojson", *config.formats):
        yield config.out / f"predictions.{suffix}"
    for name in names.values():
        if config.maps:
            yield from (config.out / f"{name}.{suffix}" for suffix in ("html", "png"))
        if config.strip:
            yield from (config.out / "stripped" / f"{name}.{suffix}" for suffix in ("jpg", "png"))


def keep_originals(photos: Sequence[Path], written: Iterable[Path]) -> None:
    """Refuse to write over a photograph.

    Raises:
        ValueError: one of the files to write is one of the photographs.
    """
    originals = {_identity(photo) for photo in photos} - {None}
    for path in written:
        if _identity(path) in originals:
            raise ValueError(f"{path} is one of the photographs and could be written over: choose another --out")


def _identity(path: Path) -> tuple[int, int] | None:
    """Return by what a file is told under any of its names, through links and whatever the case; None where none is."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def write_all(config: InferConfig, records: list[Record], names: dict[Path, str]) -> list[Path]:
    """Write every file that was asked for, each record with what another needs to check it."""
    settings = {key: value for key, value in as_plain(config).items() if key != "photos"}
    audit = {"answered_at_utc": now_utc(), "git_commit": git_commit(), "flags": settings}
    for record in records:
        record["audit"] = audit
    paths = write_answers(config.out, records)
    paths += [write_format(config.out, records, name) for name in config.formats]
    photos = [Path(photograph["input"]) for record in records for photograph in photographs_of(record)]
    if config.sidecars is not None:
        written = write_sidecars(config.out, records, config.sidecars)
        log.info("%d of %d photographs have a side-car in %s", len(written), len(photos), config.out / "sidecars")
    if config.strip:
        for photo in photos:
            write_stripped(photo, config.out / "stripped", names[photo])
    return paths


def answers(photos: list[Photo], model: Model, config: InferConfig) -> Iterator[tuple[Photo, Record, Evidence]]:
    """Yield the record of each readable photograph in order; an unreadable one is one warning line."""
    listing = Listing(config.mass, config.top)
    claims = Claims.of(config, config.run, model, sidecars=config.sidecars is not None)
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


def one_place(photos: list[Path], seen: NetworkOutput, claims: Claims, config: InferConfig) -> Record:
    """Return the record of what is seen on N photographs of one place."""
    model, temperature = claims.model, config.same_place_temperature
    posterior = model.posterior(seen.logits)
    middle = max(0, len(posterior) - 2)
    agrees = agreement(posterior[middle], temperature)
    together = fuse_photographs(posterior[-1], temperature)[None]
    fused, inside = claims.restrict(sum_up(model.tree, together))
    own = [level[0] for level in fused]
    point, listing = model.points(fused, seen.one_place())[0], Listing(config.mass, config.top)
    records = [answer_record(photo, point, own, model, listing) for photo in photos]
    record = same_place_record(records, agrees.shared.tolist(), agrees.contradicting)
    claims.extend(record, own, claims.regions(fused)[0], None if inside is None else float(inside[0]))
    return record


def seen_together(photos: list[Photo], model: Model, config: InferConfig) -> Iterator[tuple[list[int], NetworkOutput]]:
    """Yield which photographs were read together and what is seen on them; with --same-place, all at once."""
    found: list[tuple[list[int], NetworkOutput]] = []
    paths = [photo.path for photo in photos]
    for batch in photo_batches(Pictures.of_files(paths), model.transform, config.batch_size, config.workers):
        for _, reason in batch.unreadable:
            log.warning("left out: %s", reason)
        if not len(batch.index):
            continue
        found.append((batch.index.tolist(), model.outputs(batch.pixels)))
        if not config.same_place:
            yield found.pop()
    if found:
        yield [i for index, _ in found for i in index], NetworkOutput.joined([seen for _, seen in found])


def write_maps(stem: Path, photo: Photo, record: Record, evidence: Evidence, model: Model, tiles: str | None) -> None:
    """Write the page and the picture of one answer."""
    # Drawing takes most of a second to import; answers without maps do not wait for it.
    from viz.maps.prediction import prediction_html, prediction_png

    layers = [cell_layer(model, level) for level in record["levels"]]
    thumbnail, drawn = small_jpeg(photo.path, THUMBNAIL_SIDE), (evidence.heat, evidence.neighbours_jpeg)
    page = prediction_html(record, layers, thumbnail, photo.truth_deg, tiles, record["model"], *drawn)
    write_text(stem.with_name(f"{stem.name}.html"), page)
    with atomic_path(stem.with_name(f"{stem.name}.png")) as partial:
        partial.write_bytes(prediction_png(record, layers, photo.truth_deg))


def cell_layer(model: Model, level: dict[str, Any]) -> "CellLayer":
    """Return the listed cells of a level as they are drawn."""
    from viz.maps.prediction import CellLayer

    rows = model.hierarchy.rows(model.hierarchy.level_index(level["level"]))
    known = {name: rows.start + k for k, name in enumerate(model.hierarchy.name[rows])}
    drawn = [known[cell["id"]] for cell in level["cells"]]
    probability = np.array([cell["probability"] for cell in level["cells"]])
    depth, keys = model.hierarchy.level_index(level["level"]), model.hierarchy.key[drawn].tolist()
    outlines = [cell_outline(model.hierarchy.partition, key, depth) for key in keys]
    bounds = model.hierarchy.bounds_deg[drawn]
    return CellLayer(level["level"], [c["id"] for c in level["cells"]], probability, bounds, outlines)


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
