"""Photographs to predictions: `infer.load(run).predict(images)`; the commands, the app and notebooks call this alone."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from infer.answer import Extras, one_prediction
from infer.config import EVERY_S, IN_DISTRIBUTION, Precision
from infer.decode.conformal import read_conformal
from infer.decode.countries import LeafCountries
from infer.decode.greedy_rule import PUBLISHED_K, PUBLISHED_THRESHOLDS
from infer.decode.known_class import know_class
from infer.decode.prior import make_prior
from infer.decode.region_finder import RegionFinder
from infer.explain.evidence import explained
from infer.explain.retrieval import Neighbours, open_neighbours
from infer.images import IMAGE_KINDS, ImageLike, Images, network_outputs, with_article
from infer.model import Model, load_model
from infer.network.devices import pick_device
from infer.network.sphere import vectors_of
from infer.one_place import Seen, one_place
from infer.parts import View, views_words
from infer.prediction import Prediction
from infer.predictions import Predictions
from infer.prepared import Options, Prepared
from infer.views import answers_of_files, by_file, judged

log = logging.getLogger(__name__)

PREPARED = 8
"""Sets of options that a predictor keeps ready."""


class Predictor:
    """A run that answers photographs. Several threads may share one.

    Attributes:
        run: the run folder.
        model: networks, cells and temperatures.

    Example:
        With `model = infer.load("runs/demo")` and the path of a photograph:

        >>> p = model.predict(photo)
        >>> 0 < p.confidence < 1
        True
        >>> model.predict(photo, within="-90,-180,90,180").prior.probability_inside
        1.0
    """

    def __init__(self, run: Path, model: Model) -> None:
        """Hold a model; what options need is prepared when they are first asked for."""
        self.run, self.model = run, model
        self._prepared: OrderedDict[Any, Prepared] = OrderedDict()
        self._finders: dict[Any, RegionFinder] = {}
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        """Return the run, its levels and the device."""
        return f"<Predictor of {self.run}: {', '.join(self.model.hierarchy.level_names)} on {self.model.device}>"

    def predict(
        self,
        images: ImageLike | Iterable[ImageLike],
        *,
        coverage: float | Sequence[float] = (0.5, 0.9),
        confidence: float | None = None,
        coarsest: str | None = None,
        within: str | Sequence[str] = (),
        exclude: str | Sequence[str] = (),
        known_class: str | Sequence[str] = (),
        places: str = IN_DISTRIBUTION,
        fusion: str | None = None,
        point: str | None = None,
        greedy_thresholds: Sequence[float] = PUBLISHED_THRESHOLDS,
        greedy_k: Sequence[int] = PUBLISHED_K,
        same_place: bool = False,
        same_place_temperature: float = 2.0,
        mass: float = 0.9,
        top: int = 100,
        panorama: str | int = "auto",
        every_s: float = EVERY_S,
        batch_size: int = 32,
        workers: int = 0,
        on_error: Literal["raise", "skip"] = "raise",
    ) -> Any:
        """Return where a photograph, or each of many, was taken.

        Args:
            images: a path, the bytes of a file, a PIL image, or an (H, W, 3) uint8 array; or an iterable of them.
            coverage: of the conformal prediction regions, each in 0 to 1.
            confidence: answer at the finest level whose best cell is right with this probability, 0 to 1.
            coarsest: with `confidence`, the coarsest level that is of use.
            within: areas of which one holds the place: country codes or names, `south,west,north,east`, files of polygons.
            exclude: areas that do not hold it.
            known_class: classes `LEVEL=CLASS`, of one level, of which one is that of the photograph.
            places: `in-distribution`, or `unseen` for cities without training photographs.
            fusion: `chain`, `product` or `greedy`; what the calibration split preferred when None.
            point: how the point is chosen; what the calibration split preferred when None.
            greedy_thresholds: with fusion `greedy`, least probabilities of a level's best cell, descending.
            greedy_k: with fusion `greedy`, of how many best cells the children are kept for each, and below the last.
            same_place: all images show one place, and one prediction answers for all of them.
            same_place_temperature: 1 takes them as independent, their number takes them as one.
            mass: per level, the fewest cells that hold this share of the probability are listed.
            top: at most so many cells a level are listed.
            panorama: `auto`, `off`, or the number of views that are cut from a panorama and answered as one place.
            every_s: seconds between the frames of a video that are answered as one place.
            batch_size: images in a step of the network.
            workers: processes that decode pictures beside this one, where a list holds many files; not from several threads at
                once, nor without `if __name__ == "__main__"` where processes are spawned.
            on_error: what to do with an image of many that cannot be read, when its turn comes: `raise`, or `skip` it with a
                log line.

        Returns:
            A `Prediction` for one image or for several of one place; `Predictions` for an iterable.

        Raises:
            ValueError: an image cannot be read, or an option cannot work; the message says what to do.
        """
        options = Options(
            coverage=tuple(np.atleast_1d(coverage).tolist()),
            confidence=confidence,
            coarsest=coarsest,
            within=(within,) if isinstance(within, str) else tuple(within),
            exclude=(exclude,) if isinstance(exclude, str) else tuple(exclude),
            known_class=(known_class,) if isinstance(known_class, str) else tuple(known_class),
            places=places,  # type: ignore[arg-type]
            fusion=fusion,  # type: ignore[arg-type]
            point=point,  # type: ignore[arg-type]
            greedy_thresholds=tuple(greedy_thresholds),
            greedy_k=tuple(greedy_k),
            same_place=same_place,
            same_place_temperature=same_place_temperature,
            mass=mass,
            top=top,
            panorama=str(panorama),
            every_s=every_s,
        )
        if on_error not in ("raise", "skip"):
            raise ValueError(f"on_error is 'raise' or 'skip', got {on_error!r}")
        prepared = self.prepared(options)
        single = Images.is_one(images)
        if not single and not isinstance(images, Iterable):
            raise ValueError(f"{IMAGE_KINDS}, or an iterable of them, got {with_article(type(images).__name__)}")
        given: Any = [images] if single else images
        refuse = on_error == "raise" or single
        stream = (p for _, p in self.stream(given, prepared, batch_size, workers, refuse=refuse))
        if single or same_place:
            found = next(stream, None)
            if found is None:
                raise ValueError("none of the images could be read as a photograph")
            return found
        return Predictions(stream, kept=isinstance(given, list | tuple))

    def prepared(self, options: Options) -> Prepared:
        """Return what options need beside the photographs, made once: the area, the regions, the calibration.

        Raises:
            ValueError: an option cannot work with this run.
        """
        key = (tuple(asdict(options).items()), tuple(_stamp(area) for area in (*options.within, *options.exclude)))
        with self._lock:
            if key not in self._prepared:
                self._prepared[key] = self._prepare(options)
                while len(self._prepared) > PREPARED:
                    self._prepared.popitem(last=False)
            self._prepared.move_to_end(key)
            return self._prepared[key]

    def _prepare(self, options: Options) -> Prepared:
        bounded = bool(options.within or options.exclude or options.known_class)
        model = self.model.with_choices(options.fusion, options.point, bounded, options.greedy)
        if bounded and not model.hierarchy.placed:
            raise ValueError(
                f"--within, --exclude and --known-class: the classes of {model.name} are labels without places, which "
                "lie in no area: leave them out"
            )
        prior = make_prior(model.hierarchy, options.within, options.exclude)
        if options.known_class:
            prior = know_class(prior, model.hierarchy, options.known_class)
        coarsest = model.hierarchy.level_index(options.coarsest) if options.coarsest else 0
        conformal = read_conformal(self.run, model.hash, model.fusion, options.places)
        if options.confidence is not None and conformal is None:
            raise ValueError(
                f"--confidence {options.confidence:g} needs a calibrated run and {model.name} is not: run "
                "`python -m train calibrate` on it first"
            )
        if prior is not None:
            # The coordinates that stand for leaves lie inside the area too.
            inside = vectors_of(torch.from_numpy(prior.center_deg).to(model.device))
            model = replace(model, centers=(*model.centers[:-1], inside.to(model.centers[-1].dtype)))
        finder = None
        if conformal is not None and options.coverage and model.hierarchy.placed:
            shared = self._finders.setdefault(
                (model.fusion, options.places), RegionFinder(model.hierarchy, conformal, model.device, ())
            )
            finder = shared.asked(options.coverage, *(() if prior is None else (prior.table, prior.country)))
        countries = self._countries
        if prior is not None and countries is not None:
            countries = LeafCountries.of(model.hierarchy, prior.country, prior.table)
        return Prepared(options, model, prior, conformal, finder, coarsest, countries)

    @cached_property
    def _countries(self) -> LeafCountries | None:
        return LeafCountries.of(self.model.hierarchy) if self.model.hierarchy.placed else None

    def stream(
        self,
        images: Iterable[ImageLike],
        prepared: Prepared,
        batch_size: int = 32,
        workers: int = 2,
        *,
        refuse: bool = False,
        explain: bool = False,
        neighbours: Neighbours | None = None,
        truths_deg: Sequence[tuple[float, float] | None] | None = None,
        embedded: dict[int, NDArray[np.float32]] | None = None,
    ) -> Iterator[tuple[int, Prediction]]:
        """Yield the number of each image that can be read, with its prediction; with `same_place`, one of all.

        Args:
            images: any number of them.
            prepared: of `prepared`.
            batch_size: images in a step of the network.
            workers: processes that decode files, where a list holds many.
            refuse: raise where an image cannot be read; otherwise a log line names it.
            explain: compute a heat map too, which takes seconds.
            neighbours: training photographs to compare with.
            truths_deg: where each image was taken, where a dataset knows it.
            embedded: is given the (width,) features of each image by its number.

        Raises:
            ValueError: with `refuse`, an image cannot be read.
        """
        together: list[Seen] = []
        views: dict[int, tuple[View, ...]] = {}
        cutter = prepared.options.cutter
        for chunk, first in _chunks(images, batch_size):
            # Processes that decode are started for files alone: for each chunk of a stream they would cost more than they save.
            decoding = workers if chunk.are_files else 0
            for rows, output in network_outputs(
                self.model, chunk, batch_size, decoding, refuse=refuse, cutter=cutter, views=views
            ):
                if embedded is not None:
                    # Of what was cut, the mean of its views.
                    embedded |= {
                        first + int(rows[at[0]]): output.at(at).features.mean(dim=0).cpu().numpy()
                        for at in by_file(rows)
                    }
                if prepared.options.same_place:
                    # Kept small: the images themselves are let go where they are no files.
                    together += [
                        Seen(
                            chunk,
                            int(rows[at[0]]),
                            first + int(rows[at[0]]),
                            output.at(at),
                            views.pop(int(rows[at[0]]), ()),
                        )
                        for at in by_file(rows)
                    ]
                    continue
                found: dict[int, Prediction] = {}
                for numbers, answered, agrees in answers_of_files(prepared, rows, output):
                    for k, i in enumerate(numbers.tolist()):
                        truth = None if truths_deg is None else truths_deg[first + i]
                        described = chunk.described(i, first + i)
                        cut = judged(views.pop(i, ()), agrees, described.name)
                        extras = Extras(truth, views=cut)
                        if explain and not cut:
                            extras = explained(chunk, i, answered.row(k), prepared.model, neighbours, truth)
                        elif explain:
                            log.warning("%s is %s: --explain has no effect on it", described.name, views_words(cut))
                        found[first + i] = one_prediction(prepared, [described], answered.row(k), extras)
                yield from sorted(found.items())
        if together:
            yield together[0].number, one_place(prepared, together)

    def embeddings(
        self, images: ImageLike | Iterable[ImageLike], batch_size: int = 32, workers: int = 2
    ) -> NDArray[np.float32]:
        """Return (N, width) features of images as they are, uncut, those that the heads of the finest level read.

        Raises:
            ValueError: an image cannot be read, or there is none.
        """
        given: Any = [images] if Images.is_one(images) else images
        found = [
            output.features.cpu().numpy()
            for chunk, _ in _chunks(given, batch_size)
            for _, output in network_outputs(
                self.model, chunk, batch_size, workers if chunk.are_files else 0, refuse=True
            )
        ]
        if not found:
            raise ValueError("no images given: give at least one")
        return np.concatenate(found)

    def neighbours(self, data: str | Path, batch_size: int = 32, workers: int = 2) -> Neighbours:
        """Return the training photographs of this run, to compare with; their features are computed once and kept."""
        return open_neighbours(self.model, self.run, Path(data), batch_size, workers)


def load(run: str | Path, device: str = "auto", precision: Precision | None = None) -> Predictor:
    """Return a run folder as what answers photographs.

    Args:
        run: the run folder.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        precision: `float32`, `bfloat16`, or `auto` for bfloat16 where the processor computes in it; as the run was calibrated
            when None.

    Raises:
        ValueError: the run is not complete, damaged or made of parts that do not belong together.

    Example:
        >>> import infer
        >>> infer.load("runs/nowhere")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        ValueError: runs/nowhere is not a run folder...
    """
    folder = Path(run)
    return Predictor(folder, load_model(folder, pick_device(device), precision=precision))


def _stamp(area: str) -> tuple[int, int] | None:
    """Return by what a changed file of polygons is told; None of what is not a file."""
    try:
        about = Path(area).stat()
    except (OSError, ValueError):
        return None
    return about.st_mtime_ns, about.st_size


def _chunks(images: Iterable[ImageLike], batch_size: int) -> Iterator[tuple[Images, int]]:
    """Yield images in chunks with the number of the first of each; a list of files is one chunk, which workers decode."""
    if isinstance(images, list | tuple) and Images(images).are_files:
        if images:
            yield Images(images), 0
        return
    source, first = iter(images), 0
    while chunk := list(islice(source, batch_size)):
        yield Images(chunk), first
        first += len(chunk)
