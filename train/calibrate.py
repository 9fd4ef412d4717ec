"""Calibration of a run: temperatures, the fusion and point that score best, conformity scores and confidence.

Every photograph used here lies in the calibration split. A part of its groups is held out for the conformity scores, so that
nothing else is fitted on them (`train.conformal`). A temperature per level is fitted, for each way of combining levels, to the
negative log likelihood of the very posterior that users get (Guo et al. 2017, section 4.2).
"""

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

from dataset.groups import leakage_groups
from dataset.images import Pictures
from dataset.manifest import coordinates, has_coordinates, read_manifest
from geocells.hierarchy import UNKNOWN
from geocells.sphere import distance_km, geoscore
from infer.decode.conformal import CONFORMAL, from_json
from infer.decode.posterior import FUSIONS, fuse
from infer.evaluate.measure import asked_photos, trained_ids
from infer.images import network_outputs
from infer.model import TEMPERATURES, Model, load_model
from infer.network.devices import pick_device
from infer.network.output import NetworkOutput
from infer.prepared_pixels import prepared_photos
from infer.run_files import UNCALIBRATED
from label_maps.labels import truth_of
from plumbing.files import write_json
from plumbing.progress import progress
from plumbing.text import agreeing, counted
from plumbing.version import now_utc
from train.config import CalibrateConfig
from train.conformal import AT_ONCE, LEAST, Calibration, Parts, fit_all

log = logging.getLogger(__name__)

CHOSEN_FROM = ("chain", "product")
"""Fusions that may become a run's default; the published rule is there to compare with."""
CHOICE_GROUPS = LEAST
"""Leakage groups from which on the scores of ways of answering decide which one a run answers by."""
FIT_GROUPS = 10
"""Leakage groups from which on temperatures, confidence and regions are fitted at all: each has a parameter or more a level."""
LOGITS_BYTES = 4_000_000_000
"""Logits of more photographs than fit into this are not kept: a run with a class for each of 100,000 places has many."""
LIMITS = (0.05, 20.0)
"""Temperatures outside are no calibration but a sign of too few photographs."""


def main(config: CalibrateConfig) -> None:
    """Fit, choose, write `temperatures.json` and print what was fitted."""
    model = load_model(config.run, pick_device(config.device), read_calibration=False, precision=config.precision)
    known = Parts.of(_read_split(model, config.data, config, config.max_photos), config.conformal_share, config.seed)
    # Before all that takes long, for what is wrong with it should be said at once.
    unseen = _unseen(model, config, known)
    data = known.fitted
    if not (data.classes != UNKNOWN).any():
        raise ValueError(
            f"no photograph of the {config.split} split ({len(data.classes):,}) has a cell or class that {config.run} knows: "
            "split the dataset again, or train on more places"
        )
    groups = len(np.unique(data.group))
    if groups < FIT_GROUPS:
        log.warning("%s", _too_few(config, model, len(data.group), groups))
        about = {"model_hash": model.hash, "groups": groups, "needed": FIT_GROUPS, "created_at_utc": now_utc()}
        write_json(config.run / UNCALIBRATED, about)
        return
    fitted = {fusion: fit_temperatures(model, data, fusion) for fusion in FUSIONS}
    nll = {fusion: _nll_before_after(model, data, fusion, fitted[fusion]) for fusion in FUSIONS}
    scores = _scores(model, data.located(), fitted)
    chosen = groups >= CHOICE_GROUPS
    fusion, point = _best_way(model, scores, nll) if chosen else (model.fusion, model.point)
    record = {
        "model_hash": model.hash,
        "precision": model.precision,
        "split": config.split,
        "photographs": len(data.latlon_deg),
        "located": int(data.here.sum()),
        "groups": groups,
        "created_at_utc": now_utc(),
        "fusion": fusion,
        "point": point,
        "chosen": chosen,
        "temperatures": {f: dict(zip(model.hierarchy.level_names, t, strict=True)) for f, t in fitted.items()},
        "temperature_limits": list(LIMITS),
        "nll": nll,
        "geoscore": scores,
    }
    conformal = fit_all(replace(model, temperatures=fitted, fusion=fusion), known, unseen)
    # Interrupted here, a run has no conformal scores rather than those of other temperatures.
    (config.run / CONFORMAL).unlink(missing_ok=True)
    write_json(config.run / TEMPERATURES, record)
    write_json(config.run / CONFORMAL, {"model_hash": model.hash, "fusion": fusion, **conformal})
    (config.run / UNCALIBRATED).unlink(missing_ok=True)
    print(_table(record))
    for text in at_limit(record):
        log.warning("%s", text)
    for places, own in conformal["places"].items():
        calibration = from_json(own, fusion)
        what = "regions" if calibration.scores else f"sets of {' and '.join(calibration.class_scores)}"
        print(f"{what} for {places} photographs; coverage guarantee: {calibration.guarantee}")


def _too_few(config: CalibrateConfig, model: Model, photographs: int, groups: int) -> str:
    """Return why nothing is fitted, and what helps."""
    point = f" --point {model.point}" if model.answers_points else ""
    state = f"stays uncalibrated and answers by --fusion {model.fusion}{point} as before"
    if (config.run / TEMPERATURES).is_file():
        state = "keeps its earlier calibration"
    return (
        f"{counted(photographs, 'photograph')} in {counted(groups, 'group')} of the {config.split} split decide nothing, so "
        f"{config.run} {state}: at least {FIT_GROUPS} groups are needed to fit and {CHOICE_GROUPS} to choose; "
        "add photographs of other places, or give calibration more with `python -m fetch split`"
    )


def _scores(model: Model, data: Calibration, fitted: dict[str, tuple[float, ...]]) -> dict[str, dict[str, float]]:
    """Return the mean GeoScore of each way of answering; empty where points mean nothing or no photograph has coordinates."""
    if not model.answers_points or not len(data.group):
        return {}
    return {
        fusion: {point: _score(model, data, fusion, temperatures, point) for point in model.point_methods}
        for fusion, temperatures in fitted.items()
    }


def _best_way(model: Model, scores: dict[str, dict[str, float]], nll: dict[str, dict[str, float]]) -> tuple[str, str]:
    """Return the fusion and point of highest GeoScore; without one, the fusion of least NLL and the point as it is."""
    if not scores:
        return min(CHOSEN_FROM, key=lambda fusion: round(nll[fusion]["after"], 6)), model.point
    ways = ((fusion, point) for fusion in CHOSEN_FROM for point in model.point_methods)
    return max(ways, key=lambda way: scores[way[0]][way[1]])


def _read_split(model: Model, folder: Path, config: CalibrateConfig, most: int) -> Calibration:
    """Return the logits of at most so many photographs of a dataset's split, none of which the run was trained on."""
    photos = asked_photos(model.hierarchy, folder, config.split, config.run)
    overlap = photos["id"].isin(trained_ids(config.run))
    if overlap.any():
        raise ValueError(
            f"{counted(int(overlap.sum()), 'photograph')} of the {config.split} split of {folder} "
            f"{agreeing(int(overlap.sum()), 'were')} trained on, such as {photos['id'][overlap].iloc[0]}: "
            "calibrate on photographs that the run has not seen"
        )
    held = max(1, LOGITS_BYTES // model.kept_bytes)
    if min(len(photos), most) > held:
        log.warning(
            "%s of %s photographs are taken: the network output of more, %s bytes each, does not fit into memory",
            *(f"{count:,}" for count in (held, len(photos), model.kept_bytes)),
        )
        most = held
    if len(photos) > most:
        photos = photos.iloc[np.linspace(0, len(photos) - 1, most).astype(int)].reset_index(drop=True)
    return collect(model, folder, photos, config.batch_size, config.workers)


def _unseen(model: Model, config: CalibrateConfig, known: Parts) -> Parts | None:
    """Return photographs of unseen places: of the datasets named, or those far from training ones; None where too few."""
    if not config.unseen:
        return known.far_from(_training_places(config))
    most = max(1, config.max_photos // len(config.unseen))
    found = Calibration.joined([_read_split(model, folder, config, most) for folder in config.unseen])
    groups = len(np.unique(found.group))
    if groups < LEAST:
        raise ValueError(
            f"--unseen has {counted(len(found.group), 'photograph')} in {counted(groups, 'group')}: "
            f"at least {LEAST} groups are needed to calibrate"
        )
    return Parts.of(found, config.conformal_share, config.seed)


def _training_places(config: CalibrateConfig) -> NDArray[np.float64]:
    """Return the (M, 2) places of the photographs that the run learned from, as far as the dataset holds them."""
    photos, learned = (
        read_manifest(config.data, ["id", "latitude", "longitude"]),
        trained_ids(config.run),
    )
    found = photos[photos["id"].isin(learned)]
    if len(found) < len(learned):
        log.warning(
            f"{config.data} holds {len(found):,} of {counted(len(learned), 'training photograph')} of {config.run}: calibration "
            f"for --places unseen {'goes by these' if len(found) else 'is left out'}"
        )
    return coordinates(found[has_coordinates(found)])


def collect(model: Model, data: Path, photos: Any, batch_size: int, workers: int) -> Calibration:
    """Return the logits of photographs; those that cannot be read are named and left out."""
    parts: list[NetworkOutput] = []
    read = []
    prepared = prepared_photos(data, photos, model.transform)
    found = network_outputs(model, Pictures.of_dataset(data, photos), batch_size, workers, prepared=prepared)
    for rows, output in progress(found, "reading logits", "batch", -(-len(photos) // batch_size)):
        parts.append(output)
        read.append(rows)
    if not read:
        raise ValueError(f"no photograph of {data} could be read ({len(photos):,} tried)")
    group = leakage_groups(photos)
    photos = photos.iloc[np.concatenate(read)]
    truth, classes = truth_of(model.hierarchy, photos)
    outputs = NetworkOutput.joined(parts)
    # Clones, for what is computed in inference mode cannot be learned from.
    outputs = replace(outputs, logits=[level.clone() for level in outputs.logits])
    known = torch.from_numpy(classes).to(model.device)
    placed = has_coordinates(photos) & model.hierarchy.placed
    return Calibration(outputs.logits, known, truth, group[np.concatenate(read)], outputs, placed)


def fit_temperatures(model: Model, data: Calibration, fusion: str) -> tuple[float, ...]:
    """Return one temperature for each level that minimise the NLL of the posterior, summed over levels, by L-BFGS."""
    # The greedy rule cuts true cells off, where its likelihood is zero; it was published with each level's own fit.
    rule = "own" if fusion == "greedy" else fusion

    # Within bounds: networks that tell nothing apart would send a temperature to infinity. Rounded, for the exponential of
    # a bound's logarithm is not the bound.
    bounds = [tuple(np.log(LIMITS))] * len(data.logits)
    found = minimize(
        partial(sum_nll, model, data, rule), np.zeros(len(bounds)), jac=True, method="L-BFGS-B", bounds=bounds
    )
    return tuple(float(t) for t in np.exp(found.x).round(9))


def sum_nll(
    model: Model, data: Calibration, rule: str, log_t: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Return the NLL of the true cells, and its (levels,) gradient by the logarithms of the temperatures.

    It is the sum over levels of the mean over photographs whose true cell is a class. Photographs come in batches, for
    the posteriors of all would be gigabytes that pass through memory at each operation.
    """
    count = (data.classes != UNKNOWN).sum(dim=0).clamp(min=1)
    asked = torch.tensor(log_t, dtype=torch.float32, device=model.device, requires_grad=True)
    total, gradient = 0.0, torch.zeros_like(asked, dtype=torch.float64)
    for start in range(0, len(data.classes), AT_ONCE):
        true = data.classes[start : start + AT_ONCE]
        scaled = [z[start : start + AT_ONCE] / t for z, t in zip(data.logits, asked.exp(), strict=True)]
        if rule == "own":
            posterior = [torch.log_softmax(z, dim=1) for z in scaled]
        else:
            posterior = fuse(model.tree, scaled, (1.0,) * len(scaled), rule)
        loss = asked.new_zeros(())
        for level, log_probability in enumerate(posterior):
            of_true = log_probability.gather(1, true[:, level, None].clamp(min=0))[:, 0]
            loss = loss - torch.where(true[:, level] == UNKNOWN, 0, of_true).sum() / count[level]
        total += loss.item()
        gradient += torch.autograd.grad(loss, asked)[0]
    return total, gradient.cpu().numpy()


def _nll_before_after(model: Model, data: Calibration, fusion: str, fitted: tuple[float, ...]) -> dict[str, float]:
    rule = "own" if fusion == "greedy" else fusion
    as_they_are, own = np.zeros(len(fitted)), np.log(fitted)
    return {"before": sum_nll(model, data, rule, as_they_are)[0], "after": sum_nll(model, data, rule, own)[0]}


@torch.inference_mode()
def _score(model: Model, data: Calibration, fusion: str, temperatures: tuple[float, ...], point: str) -> float:
    """Return the mean GeoScore of a way of answering."""
    assert data.outputs is not None, "collect keeps the network output"
    answering, points = replace(model, point=point), []
    for start in range(0, len(data.latlon_deg), AT_ONCE):
        outputs = data.outputs.rows(slice(start, start + AT_ONCE))
        points.append(answering.points(fuse(model.tree, outputs.logits, temperatures, fusion), outputs))
    return float(geoscore(distance_km(np.concatenate(points), data.latlon_deg)).mean())


def at_limit(record: dict[str, Any]) -> list[str]:
    """Return a line for each level whose temperature is a limit of the fit, for the fusion that the run answers by."""
    fitted = record["temperatures"][record["fusion"]]
    return [
        f"the temperature of {level} is {t:g}, a limit of the fit: the network's probabilities of this level say "
        + ("almost nothing" if t == LIMITS[1] else "too little of how certain it is")
        + "; calibrate on more photographs, or train longer"
        for level, t in fitted.items()
        if t in LIMITS
    ]


def _table(record: dict[str, Any]) -> str:
    levels, points = list(record["temperatures"]["chain"]), list(record["geoscore"].get("chain", ()))
    lines = [
        f"fitted on {counted(record['photographs'], 'photograph')} in {counted(record['groups'], 'group')} of "
        f"the {record['split']} split"
        + "; temperature by level, NLL summed over levels"
        + (", GeoScore by point" if points else "")
    ]
    if record["located"] < record["photographs"]:
        lines.append(f"{record['photographs'] - record['located']:,} of them without coordinates")
    temperature_heads = "".join(f" {level:>9}" for level in levels)
    lines.append(
        f"{'fusion':<10}{temperature_heads} {'NLL before':>12} {'after':>8}" + "".join(f"{p:>10}" for p in points)
    )
    # Of one level all fusions are the same.
    for fusion in FUSIONS if len(levels) > 1 else (record["fusion"],):
        fitted = "".join(f" {record['temperatures'][fusion][level]:>9.3f}" for level in levels)
        nll, scores = record["nll"][fusion], record["geoscore"].get(fusion, {})
        lines.append(
            f"{fusion:<10}{fitted} {nll['before']:>12.3f} {nll['after']:>8.3f}"
            + "".join(f"{scores[point]:>10,.0f}" for point in points)
        )
    point = f" --point {record['point']}" if points else ""
    way = f"--fusion {record['fusion']}{point}"
    lines.append(
        f"this run answers by {way} from now on"
        if record["chosen"]
        else f"this run answers by {way} as before: {counted(record['groups'], 'group', 'are')} "
        f"too few to choose by, {CHOICE_GROUPS} are enough"
    )
    return "\n".join(lines)
