"""`python -m infer predict --bulk`: answers for more photographs than anybody opens one by one, as Parquet parts.

Photographs are cut into parts in their order; under torchrun each process answers every so many-th part. A part that is
there already is not done again, however many processes go on. Read together, `pandas.read_parquet(OUT)` gives the table: one
row for each photograph, unreadable ones with their reason.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from infer.config import InferConfig
from infer.export.bulk_photos import BulkPhotos
from infer.export.bulk_table import BulkAnswers, table_of
from infer.export.problems import problem_words
from infer.images import network_outputs
from infer.network.output import NetworkOutput
from infer.overview import BULK_INDEX, Overview
from infer.parts import View
from infer.prediction import NOTICE
from infer.predictor import load
from infer.prepared import Answered, Options, Prepared
from infer.views import answers_of_files
from plumbing.files import atomic_path, read_json, write_json, write_text
from plumbing.progress import progress
from plumbing.text import counted, utf8
from plumbing.version import VERSION
from plumbing.world import World

log = logging.getLogger(__name__)

PART = 2048
"""Photographs in a part; so many are at most done again after an interruption."""
RECORD = "_bulk.json"
"""What the parts of a folder were made by and of; readers of Parquet folders pass over names that begin so."""


def run(config: InferConfig, draw_index: Callable[[Overview, str | None], str] | None = None) -> None:
    """Answer for this process's share of the photographs; the one that finds all parts done lists them on a page.

    Args:
        config: the flags.
        draw_index: makes that page; without it none is written.

    Raises:
        ValueError: the folder holds parts of other photographs or another model, or no photograph could be read.
    """
    world = World.from_env()
    if not world.first:
        logging.getLogger().setLevel(logging.WARNING)
    bulk = BulkPhotos.of(config)
    prepared = load(config.run, _device(config.device, world), config.precision).prepared(
        replace(Options.of(config), coverage=())
    )
    _begin(config, prepared, bulk, world)
    count = len(bulk.pictures)
    parts = [range(start, min(start + PART, count)) for start in range(0, count, PART)]
    files = [config.out / f"part-{number:06d}-of-{len(parts):06d}.parquet" for number in range(len(parts))]
    own = range(world.rank, len(parts), world.size)
    left = [number for number in own if not files[number].is_file()]
    photographs = sum(len(parts[number]) for number in left)
    bar = progress(range(photographs), "answering", "photograph", photographs, quiet=not world.first)
    answered = _answered(prepared, bulk, [parts[number] for number in left], config)
    for number, answers in zip(left, answered, strict=True):
        with atomic_path(files[number]) as partial:
            pq.write_table(table_of(prepared, bulk, parts[number], answers), partial, compression="zstd")
        bar.update(len(parts[number]))
    bar.close()
    before = sum(len(parts[number]) for number in own) - photographs
    _refuse_nothing(config, files, count)
    problems = _problems(files[number] for number in own)
    if draw_index is not None and all(file.is_file() for file in files):
        write_text(config.out / BULK_INDEX, draw_index(Overview.of_bulk(files, prepared.model.name), None))
    if published := prepared.model.record.get("published"):
        log.info("Licence of the model: %s", published["licence"])
    log.info(
        f"{config.out}: {photographs + before - len(problems):,} of {counted(photographs + before, 'photograph')} answered"
        + (f"; {len(problems):,} could not be read (column problem): {problem_words(problems)}" if problems else "")
        + (f"; {before:,} of them by an earlier run of the command" if before else "")
        + f". {NOTICE}"
    )


def _problems(files: Iterable[Path]) -> list[str]:
    """Return why photographs of some parts could not be read."""
    columns = (pq.read_table(file, columns=["problem"]).column("problem") for file in files)
    return [reason for column in columns for reason in column.drop_null().to_pylist()]


def _refuse_nothing(config: InferConfig, files: list[Path], count: int) -> None:
    """Refuse, once all parts are there, to call it done where none of the photographs could be read; nothing is left behind.

    Raises:
        ValueError: none could.
    """
    if not all(file.is_file() for file in files) or len(problems := _problems(files)) < count:
        return
    for file in [*files, config.out / RECORD]:
        file.unlink(missing_ok=True)
    if not any(config.out.iterdir()):
        config.out.rmdir()
    raise ValueError(
        f"no photograph could be read, so there are no answers ({count:,} tried): {problem_words(problems)}"
    )


def _device(name: str, world: World) -> str:
    """Return the device of a process: with several on a machine, each takes the GPU of its local rank."""
    spread = world.size > 1 and name in ("auto", "cuda") and torch.cuda.is_available()
    return f"cuda:{world.local_rank}" if spread else name


def _begin(config: InferConfig, prepared: Prepared, bulk: BulkPhotos, world: World) -> None:
    """Refuse to mix answers."""
    model, prior = prepared.model, prepared.prior
    about: dict[str, Any] = {
        "version": VERSION,
        "run": model.name,
        "model_hash": model.hash,
        "fusion": model.fusion,
        "point": model.point,
        "precision": model.precision,
        "temperatures": list(model.temperatures[model.fusion]),
        "prior": prior.words if prior else None,
        "prior_hash": hashlib.sha256(prior.leaf.tobytes()).hexdigest() if prior else None,
        "photographs": len(bulk.pictures),
        "photographs_hash": bulk.hash(),
        "part": PART,
    }
    about |= {"greedy": model.greedy.to_dict()} if model.fusion == "greedy" and not model.greedy.published else {}
    about |= {"panorama": prepared.options.panorama} if prepared.options.panorama != "auto" else {}
    about |= {"every_s": prepared.options.every_s} if config.every is not None else {}
    about |= {"published": model.record["published"]} if "published" in model.record else {}
    path = config.out / RECORD
    if path.is_file():
        if read_json(path) != about:
            raise ValueError(f"{config.out} holds answers of other photographs or flags: choose another --out")
    elif world.first:
        write_json(path, about)


def _answered(prepared: Prepared, bulk: BulkPhotos, parts: list[range], config: InferConfig) -> Iterator[BulkAnswers]:
    """Yield the answers of each part; workers go on with the next one while this is written."""
    batches = [part[at : at + config.batch_size] for part in parts for at in range(0, len(part), config.batch_size)]
    answers = {part: BulkAnswers.empty(len(part), prepared.model.hierarchy.depth) for part in parts}
    left = list(parts)

    def unreadable(index: int, reason: str) -> None:
        part = next(part for part in left if index in part)
        answers[part].problems[index - part.start] = utf8(reason)

    views: dict[int, tuple[View, ...]] = {}
    outputs = network_outputs(
        prepared.model,
        bulk.pictures,
        config.batch_size,
        config.workers,
        unreadable=unreadable,
        batches=batches,
        cutter=prepared.options.cutter,
        views=views,
    )
    for rows, output in outputs:
        while rows[0] not in left[0]:
            yield answers.pop(left.pop(0))
        start = left[0].start
        _fill(answers[left[0]], rows - start, output, prepared)
        answers[left[0]].views.update({row - start: views.pop(row) for row in list(views)})
    while left:
        yield answers.pop(left.pop(0))


def _fill(answers: BulkAnswers, rows: NDArray[np.int64], output: NetworkOutput, prepared: Prepared) -> None:
    for numbers, found, _ in answers_of_files(prepared, rows, output, regions=False):
        _fill_answered(answers, numbers, found, prepared)


def _fill_answered(answers: BulkAnswers, rows: NDArray[np.int64], found: Answered, prepared: Prepared) -> None:
    answers.points_deg[rows] = found.points_deg
    # One reading from the device for each level, not for each photograph.
    for depth, level in enumerate(found.posterior):
        answers.best[rows, depth] = level.argmax(dim=1).cpu().numpy()
    if (confidence := prepared.confidence(found.posterior, found.inside)) is not None:
        answers.confidence[rows] = confidence
    if found.inside is not None:
        answers.inside[rows] = found.inside
