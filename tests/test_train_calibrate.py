"""Temperatures that make probabilities mean what they say, and the way of answering that scores best."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dataset.groups import group_weights, leakage_groups
from dataset.manifest import read_manifest, write_manifest
from geocells.hierarchy import UNKNOWN
from infer.decode.conformal import CONFORMAL, read_conformal
from infer.decode.posterior import FUSIONS, Tree, chain, product
from infer.evaluate.measure import split_photos
from infer.model import TEMPERATURES, load_model
from infer.run_files import UNCALIBRATED, to_calibrate
from label_maps.build import main as make_label_maps
from label_maps.config import LabelMapsConfig
from plumbing.files import write_json
from tests.tiny import joint_config
from train.calibrate import Calibration, at_limit, collect, fit_temperatures, main, sum_nll
from train.config import CalibrateConfig
from train.conformal import LEAST, Parts, fit_confidence, fit_conformal
from train.tasks import train_joint

CPU = torch.device("cpu")
TREE = Tree((torch.arange(4).repeat_interleave(3), torch.arange(12).repeat_interleave(2)), (4, 12, 24))
MODEL = SimpleNamespace(tree=TREE, device=CPU)


def synthetic(scales, rule=chain, count=6000):
    """Photographs whose truth is drawn from the posterior of logits that were then scaled, level by level."""
    generator = torch.Generator().manual_seed(0)
    logits = [2 * torch.randn(count, size, generator=generator) for size in TREE.sizes]
    leaf = torch.multinomial(rule(TREE, logits)[-1].exp(), 1, generator=generator)[:, 0]
    middle = TREE.parent_class[1][leaf]
    classes = torch.stack([TREE.parent_class[0][middle], middle, leaf], dim=1)
    scaled = [z * scale for z, scale in zip(logits, scales, strict=True)]
    return Calibration(scaled, classes, np.zeros((count, 2)), np.arange(count))


def nll(data, rule, temperatures):
    return sum_nll(MODEL, data, rule, np.log(temperatures))[0]


@pytest.mark.parametrize("scales", [(1.0, 1.0, 1.0), (3.0, 0.5, 2.0), (0.3, 5.0, 1.0)])
def test_the_temperature_of_scaled_logits_is_the_scale(scales):
    assert fit_temperatures(MODEL, synthetic(scales), "chain") == pytest.approx(scales, rel=0.12)


def test_the_temperature_of_each_level_is_found_through_their_product():
    fitted = fit_temperatures(MODEL, synthetic((3.0, 0.5, 2.0), product), "product")
    assert fitted == pytest.approx((3.0, 0.5, 2.0), rel=0.25)


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("scales", [(1.0, 1.0, 1.0), (5.0, 5.0, 5.0), (0.1, 0.1, 0.1)])
def test_no_calibration_makes_the_likelihood_worse(fusion, scales):
    data, rule = synthetic(scales, count=300), "own" if fusion == "greedy" else fusion
    fitted = fit_temperatures(MODEL, data, fusion)
    assert nll(data, rule, fitted) <= nll(data, rule, (1.0, 1.0, 1.0)) + 1e-4
    for level in range(3):
        for factor in (0.8, 1.25):
            other = [min(20.0, max(0.05, t * factor)) if level == k else t for k, t in enumerate(fitted)]
            assert nll(data, rule, fitted) <= nll(data, rule, other) + 1e-4


def test_the_likelihood_is_that_of_the_posterior_users_get():
    data = synthetic((1.0, 1.0, 1.0), count=600)
    posterior = chain(TREE, data.logits)
    expected = sum(-p.gather(1, c[:, None]).mean() for p, c in zip(posterior, data.classes.T, strict=True))
    assert nll(data, "chain", (1.0, 1.0, 1.0)) == pytest.approx(float(expected), rel=1e-5)


def test_photographs_of_unknown_cells_count_at_the_levels_that_know_them():
    data = synthetic((1.0, 1.0, 1.0), count=600)
    classes = data.classes.clone()
    classes[:300, 2] = UNKNOWN
    posterior = chain(TREE, data.logits)
    expected = sum(-p.gather(1, c[:, None]).mean() for p, c in zip(posterior[:2], classes.T[:2], strict=True))
    expected -= posterior[2][300:].gather(1, classes[300:, 2:]).mean()
    partly = Calibration(data.logits, classes, data.latlon_deg, data.group)
    assert nll(partly, "chain", (1.0, 1.0, 1.0)) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("rule", ["chain", "product", "own"])
def test_the_gradient_of_the_likelihood_is_its_slope(rule):
    data = synthetic((1.5, 0.7, 1.0), count=600)
    classes = data.classes.clone()
    classes[::3, 2] = UNKNOWN
    partly = Calibration(data.logits, classes, data.latlon_deg, data.group)
    at, step = np.log([0.8, 1.3, 1.1]), 1e-2
    _, gradient = sum_nll(MODEL, partly, rule, at)
    for level, along in enumerate(step * np.eye(3)):
        slope = (sum_nll(MODEL, partly, rule, at + along)[0] - sum_nll(MODEL, partly, rule, at - along)[0]) / (2 * step)
        assert gradient[level] == pytest.approx(slope, rel=1e-2, abs=1e-3)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_temperatures_of_perfect_and_of_useless_logits_stay_within_limits(fusion):
    data, rule = synthetic((1.0, 1.0, 1.0), count=200), "own" if fusion == "greedy" else fusion
    true = [torch.nn.functional.one_hot(c, n) for c, n in zip(data.classes.T, TREE.sizes, strict=True)]
    perfect = Calibration([5.0 * z for z in true], data.classes, data.latlon_deg, data.group)
    fitted = fit_temperatures(MODEL, perfect, fusion)
    assert all(0.05 <= t <= 1.01 for t in fitted)
    assert nll(perfect, rule, fitted) < 1e-3
    wrong = Calibration([-5.0 * z for z in true], data.classes, data.latlon_deg, data.group)
    assert max(fit_temperatures(MODEL, wrong, fusion)) == 20.0


def test_a_temperature_at_a_limit_of_the_fit_is_named_for_the_fusion_that_answers():
    record = {"fusion": "chain", "temperatures": {"chain": {"L1": 1.5, "L3": 20.0}, "product": {"L1": 0.05, "L3": 1.0}}}
    (said,) = at_limit(record)
    assert said.startswith(
        "the temperature of L3 is 20, a limit of the fit: the network's probabilities of this level say almost nothing"
    )
    assert "L1 is 0.05" in at_limit({**record, "fusion": "product"})[0]
    assert at_limit({**record, "temperatures": {"chain": {"L1": 1.0}}}) == []


@pytest.fixture
def run(tiny_run, tmp_path):
    return shutil.copytree(tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints"))


def calibrate(data, run, **flags):
    main(CalibrateConfig(data, run, workers=0, device="cpu", **flags))
    return json.loads((run / TEMPERATURES).read_text())


def test_what_is_fitted_is_written_printed_and_used(tiny, run, capsys):
    record = calibrate(tiny, run)
    model = load_model(run, CPU)
    assert record["photographs"] == 12
    assert model.calibrated
    assert (model.fusion, model.point) == (record["fusion"], record["point"])
    for fusion in FUSIONS:
        assert model.temperatures[fusion] == tuple(record["temperatures"][fusion].values())
        assert record["nll"][fusion]["after"] <= record["nll"][fusion]["before"] + 1e-4
    printed = capsys.readouterr().out
    assert "fitted on 12 photographs in " in printed
    assert f"this run answers by --fusion {record['fusion']} --point {record['point']} as before: " in printed


def test_few_groups_fit_temperatures_but_choose_no_way_of_answering(tiny, run, monkeypatch, capsys):
    # The other way scores better on the twelve photographs, and would be chosen on thirty.
    for better in [("product", "top"), ("chain", "mean")]:
        scores = {f: {p: float((f, p) == better) for p in ("geoscore", "mean", "top")} for f in FUSIONS}
        monkeypatch.setattr("train.calibrate._scores", lambda *given, found=scores: found)
        record = calibrate(tiny, run)
        assert (record["fusion"], record["point"], record["chosen"]) == ("chain", "geoscore", False)
    assert f"{record['groups']} groups are too few to choose by, 30 are enough" in capsys.readouterr().out


@pytest.mark.parametrize("size", [6, 12])
def test_two_photographs_or_one_sequence_of_many_decide_nothing_and_leave_the_run_as_it_is(
    tiny, run, monkeypatch, caplog, size
):
    monkeypatch.setattr("train.calibrate.leakage_groups", lambda photos: np.arange(len(photos)) // size)
    main(CalibrateConfig(tiny, run, workers=0, device="cpu"))
    groups = "1 group" if size == 12 else "2 groups"
    assert f"12 photographs in {groups} of the calibration split decide nothing" in caplog.text
    assert "answers by --fusion chain --point geoscore as before: at least 10 groups are needed" in caplog.text
    assert not (run / TEMPERATURES).exists()
    assert not (run / CONFORMAL).exists()
    caplog.clear()
    model = load_model(run, CPU)
    read_conformal(run, model.hash, model.fusion)
    assert not model.calibrated
    helps = f"{groups} of photographs were too few for `python -m train calibrate`, which needs 10: add photographs of other"
    assert [helps in line for line in caplog.messages] == [True, True]
    assert helps in model.to_calibrate
    # Of another network nothing was found out.
    assert to_calibrate(run, "0") == "run `python -m train calibrate`"
    monkeypatch.undo()
    calibrate(tiny, run)
    assert to_calibrate(run, model.hash) == "run `python -m train calibrate`"


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"model_hash": "x", "groups": "many"}', '{"model_hash": "x", "groups": 1e999}']
)
def test_a_record_of_too_few_photographs_that_is_none_gives_the_usual_advice(tmp_path, content):
    (tmp_path / UNCALIBRATED).write_text(content)
    assert to_calibrate(tmp_path, "x") == "run `python -m train calibrate`"


def test_an_earlier_calibration_stays_where_too_few_photographs_are_left(tiny, run, monkeypatch, caplog):
    before = calibrate(tiny, run)
    monkeypatch.setattr("train.calibrate.leakage_groups", lambda photos: np.arange(len(photos)) // 6)
    main(CalibrateConfig(tiny, run, workers=0, device="cpu"))
    assert f"{run} keeps its earlier calibration: at least 10 groups" in caplog.text
    assert json.loads((run / TEMPERATURES).read_text()) == before
    assert load_model(run, CPU).calibrated


def test_the_way_of_answering_that_scores_best_is_chosen_and_never_the_published_rule(tiny, run, monkeypatch, capsys):
    monkeypatch.setattr("train.calibrate.CHOICE_GROUPS", 10)
    record = calibrate(tiny, run)
    scores = {(f, p): s for f in ("chain", "product") for p, s in record["geoscore"][f].items()}
    assert record["geoscore"][record["fusion"]][record["point"]] == max(scores.values())
    assert set(record["geoscore"]) == set(FUSIONS)
    way = f"--fusion {record['fusion']} --point {record['point']}"
    assert f"this run answers by {way} from now on" in capsys.readouterr().out


def test_calibrating_twice_is_calibrating_once(tiny, run):
    one, other = calibrate(tiny, run), calibrate(tiny, run)
    assert {**one, "created_at_utc": ""} == {**other, "created_at_utc": ""}


def test_interrupted_before_the_conformal_scores_it_leaves_none_of_other_temperatures(tiny, run, monkeypatch):
    calibrate(tiny, run)
    assert (run / CONFORMAL).is_file()

    def full(path, record):
        if path.name == CONFORMAL:
            raise OSError("no space left on device")
        write_json(path, record)

    monkeypatch.setattr("train.calibrate.write_json", full)
    with pytest.raises(OSError, match="no space"):
        calibrate(tiny, run)
    assert (run / TEMPERATURES).is_file()
    assert not (run / CONFORMAL).exists()


def test_a_dataset_without_the_training_photographs_cannot_say_which_places_are_unseen(tiny, run, tmp_path, caplog):
    data = shutil.copytree(tiny, tmp_path / "data")
    photos = read_manifest(data)
    write_manifest(data, photos[photos["split"] == "calibration"])
    calibrate(data, run)
    assert "unseen" not in json.loads((run / CONFORMAL).read_text())["places"]
    assert "holds 0 of 36 training photographs" in caplog.text


def test_conformal_calibration_counts_a_leakage_group_once(tiny, run):
    model = load_model(run, CPU)
    data = collect(model, tiny, split_photos(tiny, "calibration"), 8, 0)
    # The second half of the groups has three photographs for each one that there was.
    member = np.unique(data.group, return_inverse=True)[1]
    often = data.rows(np.repeat(np.arange(12), np.where(member > member.max() / 2, 3, 1)))
    assert len(often.group) > 12
    once, more = (fit_conformal(model, Parts(photos, None)) for photos in (data, often))
    assert more.weights == pytest.approx(once.weights, abs=1e-4)
    for level, weights in once.confidence_weights.items():
        assert more.confidence_weights[level] == pytest.approx(weights, abs=1e-2)
    for name, scores in once.scores.items():
        assert [more.scores[name].quantile(c) for c in (0.3, 0.5, 0.8)] == pytest.approx(
            [scores.quantile(c) for c in (0.3, 0.5, 0.8)], abs=1e-3
        )


def test_confidence_is_fitted_with_the_training_photographs_of_best_cells(tiny, run):
    model = load_model(run, CPU)
    data = collect(model, tiny, split_photos(tiny, "calibration"), 8, 0)
    posterior, counts = model.posterior(data.logits), np.ones(len(model.hierarchy.key), dtype=np.int64)
    for level, log_probability in enumerate(posterior):
        # Every other best cell is right, and has many training photographs.
        cell = log_probability.argmax(dim=1)
        data.classes[:, level] = torch.where(cell % 2 == 1, cell, UNKNOWN)
        counts[model.hierarchy.rows(level)][1::2] = 400
    model = replace(model, hierarchy=replace(model.hierarchy, train_count=counts))
    fitted = fit_conformal(model, Parts(data, None)).confidence_weights
    for level, name in enumerate(model.hierarchy.level_names):
        best, cell = (t.double().numpy() for t in posterior[level].max(dim=1))
        learned = counts[model.hierarchy.rows(level)][cell.astype(int)]
        right = cell == data.classes[:, level].numpy()
        expected = fit_confidence(np.exp(best), learned, right, group_weights(data.group))
        assert fitted[name] == pytest.approx(expected, abs=1e-3)
    assert max(weights[3] for weights in fitted.values()) > 0.1


def test_photographs_of_unseen_places_calibrate_the_regions_there(tiny, run, tmp_path):
    unseen = shutil.copytree(tiny, tmp_path / "unseen")
    photos = read_manifest(tiny)
    # Stand-ins: the calibration photographs and thrice those of the test split, as if of four datasets.
    write_manifest(unseen, photos[photos["split"] == "test"].assign(split="calibration"))
    calibrate(tiny, run, unseen=(tiny, unseen, unseen, unseen))
    places = json.loads((run / CONFORMAL).read_text())["places"]
    assert places["in-distribution"]["photographs"] == 12
    assert places["unseen"]["photographs"] == 48
    known, there = (places[name]["conformity_scores"]["L1"] for name in ("in-distribution", "unseen"))
    # Groups of one dataset are not those of another, whatever their numbers.
    test_groups = len(np.unique(leakage_groups(photos[photos["split"] == "test"])))
    assert there["groups"] == known["groups"] + 3 * test_groups


def test_too_few_groups_of_unseen_places_are_refused_before_anything_is_fitted(tiny, run, monkeypatch):
    monkeypatch.setattr("train.calibrate.fit_temperatures", None)
    with pytest.raises(ValueError, match=r"--unseen has 12 photographs in \d+ groups: at least 30 groups are needed"):
        calibrate(tiny, run, unseen=(tiny,))
    assert not (run / CONFORMAL).exists()


def test_many_photographs_of_few_groups_do_not_calibrate_unseen_places(tiny, run, monkeypatch):
    # Forty-eight photographs, but the groups of four copies of one split.
    monkeypatch.setattr("train.calibrate.leakage_groups", lambda photos: np.arange(len(photos)) // 6)
    with pytest.raises(ValueError, match=r"--unseen has 48 photographs in 8 groups: at least 30 groups are needed"):
        calibrate(tiny, run, unseen=(tiny,) * 4)


def test_places_far_from_training_ones_count_by_groups_too():
    data = synthetic((1.0, 1.0, 1.0), count=4 * LEAST)
    far_away = replace(data, latlon_deg=np.full((4 * LEAST, 2), 40.0))
    training = np.zeros((1, 2))
    assert len(Parts(far_away, None).far_from(training).fitted.group) == 4 * LEAST
    in_groups = replace(far_away, group=np.arange(4 * LEAST) // 5)
    assert Parts(in_groups, None).far_from(training) is None
    parts = Parts.of(far_away, 0.5, 0).far_from(training)
    assert [len(part.group) for part in parts.every] == [2 * LEAST, 2 * LEAST]
    # Too few in a part: one calibration of all, which is approximate.
    joined = Parts.of(replace(far_away, group=np.arange(4 * LEAST) // 2), 0.4, 0).far_from(training)
    assert (len(joined.fitted.group), joined.held_out) == (4 * LEAST, None)


@pytest.mark.parametrize(("share", "held"), [(0.5, 60), (0.25, 30), (0.2, 0), (0.0, 0), (0.9, 0)])
def test_whole_groups_are_held_out_where_both_parts_have_enough_and_none_elsewhere(share, held):
    data = synthetic((1.0, 1.0, 1.0), count=360)
    data = replace(data, group=np.random.default_rng(0).permutation(np.arange(360) // 3))
    parts = Parts.of(data, share, 3)
    if not held:
        assert parts.held_out is None
        assert parts.fitted is parts.scored is data
        return
    fitted, scored = (set(part.group.tolist()) for part in (parts.fitted, parts.held_out))
    assert len(scored) == held
    assert fitted | scored == set(range(120))
    assert not fitted & scored
    assert len(parts.fitted.group) + len(parts.held_out.group) == 360
    again, other = Parts.of(data, share, 3), Parts.of(data, share, 4)
    assert set(again.held_out.group.tolist()) == scored != set(other.held_out.group.tolist())


def test_held_out_photographs_change_conformity_scores_and_nothing_that_they_depend_on(tiny, run, monkeypatch):
    monkeypatch.setattr("train.conformal.LEAST", 2)
    monkeypatch.setattr("train.calibrate.FIT_GROUPS", 2)
    calibrate(tiny, run)
    one, temperatures = (json.loads((run / name).read_text()) for name in (CONFORMAL, TEMPERATURES))
    own = one["places"]["in-distribution"]
    assert own["guarantee"] == "exact"
    assert temperatures["photographs"] + own["photographs"] == 12
    assert temperatures["groups"] + own["groups"] == len(np.unique(leakage_groups(split_photos(tiny, "calibration"))))
    plain = Parts.of.__func__

    def upside_down(cls, data, share, seed):
        parts = plain(cls, data, share, seed)
        held = parts.held_out
        return Parts(parts.fitted, replace(held, logits=[-level for level in held.logits]))

    monkeypatch.setattr(Parts, "of", classmethod(upside_down))
    calibrate(tiny, run)
    other, after = (json.loads((run / name).read_text()) for name in (CONFORMAL, TEMPERATURES))
    assert {**after, "created_at_utc": ""} == {**temperatures, "created_at_utc": ""}
    changed = other["places"]["in-distribution"]
    assert changed["density_weights"] == own["density_weights"]
    assert changed["conformity_scores"] != own["conformity_scores"]


def test_a_small_calibration_split_is_not_divided_and_the_guarantee_is_said_to_be_approximate(tiny, run, capsys):
    calibrate(tiny, run)
    assert json.loads((run / CONFORMAL).read_text())["places"]["in-distribution"]["guarantee"] == "approximate"
    assert "regions for in-distribution photographs; coverage guarantee: approximate" in capsys.readouterr().out


def test_a_run_that_is_being_calibrated_is_not_said_to_be_uncalibrated(tiny, run, caplog):
    (run / TEMPERATURES).unlink(missing_ok=True)
    calibrate(tiny, run)
    assert "not calibrated" not in caplog.text


def test_photographs_of_unseen_places_that_were_trained_on_are_refused(tiny, run, tmp_path):
    unseen = shutil.copytree(tiny, tmp_path / "unseen")
    write_manifest(unseen, read_manifest(tiny).assign(split="calibration"))
    with pytest.raises(ValueError, match=r"36 photographs of the calibration split of .*unseen were trained on"):
        calibrate(tiny, run, unseen=(unseen,))


@pytest.mark.parametrize("name", [TEMPERATURES, CONFORMAL])
def test_a_damaged_record_is_one_line_that_says_what_to_do(tiny, run, name):
    calibrate(tiny, run)
    content = json.loads((run / name).read_text())
    broken = {"temperatures": ["a"]} if name == TEMPERATURES else {"places": {"in-distribution": {}}}
    (run / name).write_text(json.dumps({**content, **broken}))

    def read():
        model = load_model(run, CPU)
        read_conformal(run, model.hash, model.fusion)

    with pytest.raises(ValueError, match=rf"{name} .*damaged.* run `python -m train calibrate` again"):
        read()


def test_photographs_that_were_trained_on_are_refused_and_nothing_is_written(tiny, run, tmp_path):
    with pytest.raises(ValueError, match=r"36 photographs of the train split of .* were trained on, such as .*-\d: "):
        calibrate(tiny, run, split="train")
    data = shutil.copytree(tiny, tmp_path / "data")
    photos = read_manifest(data)
    photos.loc[photos["id"] == "lima-0", "split"] = "calibration"
    write_manifest(data, photos)
    with pytest.raises(ValueError, match=r"1 photograph of the calibration split of .* was trained on, such as lima-0"):
        calibrate(data, run)
    assert not (run / TEMPERATURES).exists()


def test_at_most_so_many_photographs_are_used_drawn_evenly(tiny, run, monkeypatch):
    monkeypatch.setattr("train.calibrate.FIT_GROUPS", 2)
    assert calibrate(tiny, run, max_photos=5)["photographs"] == 5


def test_photographs_that_cannot_be_read_are_named(tiny, run, tmp_path, caplog):
    data = shutil.copytree(tiny, tmp_path / "data")
    photos = read_manifest(data)
    gone = photos["path"][photos["split"] == "calibration"].iloc[0]
    (data / gone).write_bytes(b"")
    assert calibrate(data, run)["photographs"] == 11
    assert f"{gone}: the file is empty (0 bytes)" in caplog.text


def test_photographs_of_which_the_run_knows_no_cell_cannot_calibrate_it(tiny, tmp_path):
    data, run = shutil.copytree(tiny, tmp_path / "data"), tmp_path / "run"
    photos = read_manifest(data)
    write_manifest(data, photos[photos["id"].str.startswith("paris")])
    make_label_maps(LabelMapsConfig(data, run))
    train_joint(joint_config(data, run, epochs=1, batch_size=3))
    write_manifest(data, photos[photos["id"].str.startswith("lima")])
    with pytest.raises(
        ValueError, match=r"no photograph of the calibration split \(2\) has a cell or class that .* knows"
    ):
        calibrate(data, run)
    assert not (run / TEMPERATURES).exists()


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_that_leaves_nothing_is_refused(tmp_path, share):
    with pytest.raises(ValueError, match="--conformal-share is a share of at least 0 and less than 1"):
        CalibrateConfig(tmp_path, tmp_path, conformal_share=share)


@pytest.mark.parametrize("flags", [{"max_photos": 0}, {"batch_size": 0}, {"workers": -1}])
def test_flags_that_cannot_work_are_refused(tmp_path, flags):
    with pytest.raises(ValueError, match="must be 1 or more, --workers 0 or more"):
        CalibrateConfig(tmp_path, tmp_path, **flags)
