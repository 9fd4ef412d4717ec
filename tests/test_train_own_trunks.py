"""Refiners whose networks learn end to end: an expert for each cell, or one network that is told the cell."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

import infer
import train.own_trunks
from dataset.images import Pictures
from dataset.manifest import coordinates, read_manifest
from geocells.sphere import distance_km
from infer.config import EvaluateConfig
from infer.decode.known_class import know_class
from infer.evaluate.run import main as evaluate
from infer.images import network_outputs, photo_batches
from infer.model import load_model
from infer.network.coordinate_head import CoordinateSpec
from infer.network.refiner import widened_boxes
from infer.network.sphere import latlon_deg_of
from infer.network.weights import load_network
from infer.run_files import REFINE
from label_maps.build import main as make_label_maps
from label_maps.config import LabelMapsConfig
from label_maps.files import read_hierarchy
from tests.tiny import assert_answers_alike_alone_and_in_bulk, joint_config
from train.calibrate import main as calibrate
from train.config import CalibrateConfig, LevelConfig
from train.own_trunks import _box
from train.parts_config import AugmentConfig, OptimConfig
from train.refine import main
from train.refine_config import RefineConfig
from train.tasks import train_joint, train_level

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def director(tiny, tmp_path_factory):
    """A run whose one level is the macro regions, with a network that tells them apart a little; copied, not changed."""
    run = tmp_path_factory.mktemp("director") / "run"
    make_label_maps(LabelMapsConfig(tiny, run, partition="macro"))
    joint = joint_config(tiny, run)
    shared = (
        "arch",
        "weights",
        "image_size",
        "epochs",
        "batch_size",
        "workers",
        "device",
        "precision",
        "optim",
        "augment",
    )
    train_level(LevelConfig(tiny, run, level="macro", **{name: getattr(joint, name) for name in shared}))
    return run


@pytest.fixture
def run(director, tmp_path):
    return shutil.copytree(director, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints"))


def refine(data, run, **flags):
    own = {
        "own_trunk": True,
        "kind": "experts",
        "arch": "shufflenet_v2_x0_5",
        "weights": "none",
        "epochs": 2,
        "batch_size": 8,
        "workers": 0,
        "device": "cpu",
        "precision": "float32",
        "optim": OptimConfig("adamw", lr=0.01),
    }
    main(RefineConfig(data, run, **{**own, **flags}))


def interrupt_at_the_third_expert(monkeypatch, data, run, **flags):
    """Train experts until the third one begins."""
    run_plan, begun = train.own_trunks.run_plan, []

    def interrupted(config, hierarchy, plan, device, trackers):
        begun.append(plan.name)
        if len(begun) == 3:
            raise KeyboardInterrupt
        run_plan(config, hierarchy, plan, device, trackers)

    with monkeypatch.context() as patched:
        patched.setattr(train.own_trunks, "run_plan", interrupted)
        with pytest.raises(KeyboardInterrupt):
            refine(data, run, **flags)


def asked(data, run):
    """The model of a run, its posterior and output for the test photographs, their pixels, and the photographs."""
    model = load_model(run, CPU)
    photos = read_manifest(data).query("split == 'test'").reset_index(drop=True)
    pictures = Pictures.of_dataset(data, photos)
    ((_, output),) = network_outputs(model, pictures, 64, 0)
    (batch,) = photo_batches(pictures, model.transform, 64, 0)
    return model, model.posterior(output.logits), output, batch.pixels, photos


def test_the_published_rule_takes_the_most_probable_region_and_its_expert_answers(tiny, run):
    refine(tiny, run)
    model, posterior, output, pixels, photos = asked(tiny, run)
    assert model.point_methods[-1] == "expert"
    assert "refined" not in model.point_methods, "each further cell would cost a pass of its expert"
    train = read_manifest(tiny).query("split == 'train'")
    hierarchy = read_hierarchy(run)
    boxes = widened_boxes(hierarchy, 0, coordinates(train))
    expected = []
    for row in range(len(photos)):
        # Literally: the director's best class, that expert's network, a sigmoid, and the region's box.
        region = int(torch.softmax(output.logits[0][row], dim=0).argmax())
        network, spec = load_network(run / "refine" / f"{region:04d}.safetensors")
        with torch.inference_mode():
            down, along = network(spec.transform.normalise(pixels[row : row + 1]))["coordinates"][0].sigmoid().tolist()
        south, west, north, east = boxes[region]
        width = east - west + (360 if east < west else 0)
        expected.append((south + down * (north - south), (west + along * width + 180) % 360 - 180))
    found = model.with_choices(None, "expert").points(posterior, output)
    assert distance_km(found, np.array(expected)).max() < 0.01
    assert len({tuple(point) for point in found.round(6).tolist()}) == len(photos), "each picture has its own answer"


def test_the_expert_of_a_region_that_is_known_answers_for_it(tiny, run):
    refine(tiny, run)
    _, _, _, pixels, photos = asked(tiny, run)
    hierarchy, predictor = read_hierarchy(run), infer.load(run, device="cpu")
    boxes = widened_boxes(hierarchy, 0, coordinates(read_manifest(tiny).query("split == 'train'")))
    picture = tiny / str(photos["path"][0])
    for region, name in enumerate(hierarchy.name[hierarchy.rows(0)]):
        network, spec = load_network(run / "refine" / f"{region:04d}.safetensors")
        with torch.inference_mode():
            down, along = network(spec.transform.normalise(pixels[:1]))["coordinates"][0].sigmoid().tolist()
        south, west, north, east = boxes[region]
        width = east - west + (360 if east < west else 0)
        expected = (south + down * (north - south), (west + along * width + 180) % 360 - 180)
        known = f"{hierarchy.level_names[0]}={name}"
        (held,) = know_class(None, hierarchy, [known]).hold(np.array([expected]))
        assert distance_km(predictor.predict(picture, point="expert", known_class=known).point, held) < 0.01


def test_the_embedding_answers_standardised_coordinates_of_the_most_probable_cell(tiny, run):
    refine(tiny, run, kind="embedding")
    model, posterior, output, pixels, _ = asked(tiny, run)
    network, spec = load_network(run / "refine" / "embedding.safetensors")
    train = coordinates(read_manifest(tiny).query("split == 'train'"))
    assert spec.coordinates.kind == "standardised"
    assert spec.coordinates.mean_deg == pytest.approx(train.mean(axis=0))
    assert spec.coordinates.std_deg == pytest.approx(train.std(axis=0))
    with torch.inference_mode():
        told = network(spec.transform.normalise(pixels), posterior[0].argmax(dim=1))["coordinates"]
    expected = told.numpy() * train.std(axis=0) + train.mean(axis=0)
    expected[:, 1] = (expected[:, 1] + 180) % 360 - 180
    found = model.with_choices(None, "expert").points(posterior, output)
    assert distance_km(found, expected).max() < 0.05


def test_the_embedding_hears_which_cell_it_is_told(tiny, run):
    refine(tiny, run, kind="embedding")
    refiner = load_model(run, CPU).refiner[0]
    given = refiner.given(torch.zeros(1, 3, 32, 32, dtype=torch.uint8), "float32")
    found = latlon_deg_of(refiner.vectors(given, torch.arange(6)[None])[0])
    assert distance_km(found[:-1].numpy(), found[1:].numpy()).min() > 1e-3


@pytest.mark.parametrize("kind", ["experts", "embedding"])
def test_a_run_with_own_trunks_is_calibrated_measured_and_asked_like_any_other(tiny, run, tmp_path, capsys, kind):
    plain = load_model(run, CPU).hash
    refine(tiny, run, kind=kind)
    printed = capsys.readouterr().out
    assert "in the true cell, median km" in printed
    assert ("all of macro" in printed) == (kind == "embedding")
    assert load_model(run, CPU).hash != plain
    calibrate(CalibrateConfig(tiny, run, workers=0, device="cpu"))
    record = json.loads((run / "temperatures.json").read_text())
    assert set(record["geoscore"]["chain"]) == {"top", "mean", "median", "geoscore", "expert"}
    evaluate(EvaluateConfig(data=tiny, run=run, point="expert", workers=0, device="cpu", out=tmp_path / "e.json"))
    report = json.loads((tmp_path / "e.json").read_text())
    assert report["point"] == "expert"
    assert "in the true cell" in capsys.readouterr().out
    assert report["answers"]["in the true cell"] != report["answers"]["model"], "the director errs on this planet"
    assert_answers_alike_alone_and_in_bulk(tiny, run, tmp_path, "expert")


def test_of_several_photographs_of_one_place_an_expert_answers_each_and_the_mean_is_taken(tiny, run):
    refine(tiny, run)
    model, posterior, output, _, _ = asked(tiny, run)
    chosen = model.with_choices(None, "expert")
    two = output.rows(torch.tensor([0, 1]))
    best = posterior[0][:1]
    together = chosen.points([best], two.one_place())[0]
    each = chosen.points([best.expand(2, -1)], two)
    middle = chosen.refiner[0].vectors(two.refining, best.argmax(dim=1).expand(2)[:, None]).sum(dim=0)
    assert distance_km(together, latlon_deg_of(middle)[0].numpy()) < 0.01
    assert distance_km(together, each[0]) <= distance_km(each[0], each[1]) + 0.01


def test_a_region_of_too_few_photographs_gets_no_expert_and_answers_its_centre(tiny, run, tmp_path, caplog):
    photos = read_manifest(tiny)
    lone = (photos["id"].str.startswith("nairobi")) & (photos["split"] == "calibration")
    data = shutil.copytree(tiny, tmp_path / "data")
    photos[~lone].reset_index(drop=True).to_parquet(data / "manifest.parquet")
    again = tmp_path / "again"
    make_label_maps(LabelMapsConfig(data, again, partition="macro"))
    train_joint(joint_config(data, again, epochs=1))
    refine(data, again, epochs=1)
    assert "Africa has too few photographs (training 6, validation 0) and gets no expert" in caplog.text
    model = load_model(again, CPU)
    africa = model.hierarchy.name.index("Africa")
    assert not (again / "refine" / f"{africa:04d}.safetensors").exists()
    vectors = model.refiner[0].vectors(torch.zeros(1, 3, 32, 32, dtype=torch.uint8), torch.tensor([[africa]]))
    assert distance_km(latlon_deg_of(vectors[0]).numpy(), model.hierarchy.center_deg[africa]).max() < 0.01


def test_an_interrupted_training_of_experts_continues_and_ends_the_same(tiny, director, tmp_path, monkeypatch):
    whole = shutil.copytree(director, tmp_path / "whole")
    refine(tiny, whole)
    torn = shutil.copytree(director, tmp_path / "torn")
    interrupt_at_the_third_expert(monkeypatch, tiny, torn)
    assert load_model(torn, CPU).refiner is None, "half a refiner does not answer"
    with pytest.raises(ValueError, match=r"refine is of an interrupted training: --resume continues it"):
        refine(tiny, torn)
    refine(tiny, torn, resume=True)
    names = sorted(path.name for path in (whole / "refine").glob("*.safetensors"))
    assert len(names) == 6
    assert sorted(path.name for path in (torn / "refine").glob("*.safetensors")) == names
    for name in names:
        one, other = load_network(whole / "refine" / name)[0], load_network(torn / "refine" / name)[0]
        assert all(torch.equal(t, other.state_dict()[key]) for key, t in one.state_dict().items())


def test_one_refiner_replaces_another_only_when_asked(tiny, run):
    refine(tiny, run, kind="embedding")
    with pytest.raises(ValueError, match=r"refiner\.json exists: pass --overwrite"):
        refine(tiny, run)
    head = {"data": tiny, "run": run, "kind": "experts", "epochs": 1, "workers": 0, "device": "cpu"}
    with pytest.raises(ValueError, match=r"refiner\.json exists: pass --overwrite"):
        main(RefineConfig(**head))
    main(RefineConfig(**head, overwrite=True))
    assert not (run / "refine").exists()
    with pytest.raises(ValueError, match=r"refine\.safetensors exists: pass --overwrite"):
        refine(tiny, run)
    refine(tiny, run, overwrite=True)
    assert not (run / REFINE).exists()
    assert load_model(run, CPU).point_methods[-1] == "expert"


def test_a_training_that_is_refused_leaves_the_refiner_that_it_would_have_replaced(tiny, run):
    refine(tiny, run)
    before = load_model(run, CPU).hash
    with pytest.raises(ValueError, match=r"nowhere\.pth"):
        refine(tiny, run, overwrite=True, weights="nowhere.pth")
    assert load_model(run, CPU).hash == before


def test_a_training_begun_again_and_interrupted_takes_nothing_of_the_old_one_when_resumed(tiny, run, monkeypatch):
    refine(tiny, run)
    old = {path.name: path.read_bytes() for path in (run / "refine").glob("*.safetensors")}
    interrupt_at_the_third_expert(monkeypatch, tiny, run, overwrite=True, seed=1)
    assert load_model(run, CPU).refiner is None
    assert len(list((run / "refine").glob("*.safetensors"))) == 2
    refine(tiny, run, resume=True, seed=1)
    new = {path.name: path.read_bytes() for path in (run / "refine").glob("*.safetensors")}
    assert new.keys() == old.keys()
    assert all(new[name] != old[name] for name in new)


def test_networks_that_are_damaged_or_of_other_label_maps_are_named_in_one_line(tiny, run):
    refine(tiny, run, kind="embedding")
    file = run / "refine" / "embedding.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    with pytest.raises(
        ValueError, match=r"embedding\.safetensors is missing or not the one that .*refiner\.json names"
    ):
        load_model(run, CPU)
    file.write_bytes(whole)
    about = run / "refine" / "refiner.json"
    content = json.loads(about.read_text())
    about.write_text(json.dumps({**content, "label_map_hash": "of another"}))
    with pytest.raises(ValueError, match=r"refiner\.json refines cells of other label maps"):
        load_model(run, CPU)
    about.write_text(json.dumps({"kind": "experts"}))
    with pytest.raises(ValueError, match=r"refiner\.json is damaged: train it again"):
        load_model(run, CPU)


def test_where_pictures_tell_the_place_experts_learn_it(tmp_path):
    from dataset.manifest import image_path, write_manifest
    from tests.tiny import write_square

    rng, rows = np.random.default_rng(0), []
    for number in range(120):
        where = np.array([rng.uniform(-35, -10), rng.uniform(115, 150)])
        # Redder to the north, bluer to the east.
        colour = (int(255 * (where[0] + 35) / 25), 60, int(255 * (where[1] - 115) / 35))
        path = image_path(f"p{number}", where)
        write_square(tmp_path / "data" / path, colour, rng)
        row = {"id": f"p{number}", "path": path, "latitude": where[0], "longitude": where[1], "source": "tiny"}
        rows.append({**row, "split": "train" if number < 90 else "calibration"})
    write_manifest(tmp_path / "data", pd.DataFrame(rows))
    run = tmp_path / "run"
    make_label_maps(LabelMapsConfig(tmp_path / "data", run, partition="quad", levels=(1,)))
    train_joint(joint_config(tmp_path / "data", run, epochs=1))
    gentle = AugmentConfig(flip=0, color_jitter=0, rotation_deg=0)
    for kind in ("experts", "embedding"):
        flags = {"kind": kind, "epochs": 16, "patience": 0, "augment": gentle, "overwrite": True, "cache_pixels": True}
        refine(tmp_path / "data", run, **flags, coordinate_loss="smooth_l1", batch_size=10)
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        best = min(line["val/median_km"] for line in lines if line["name"].startswith("refine/"))
        assert best < 600, "from the middle of the photographs it is 1,100 km"


def test_shares_of_a_box_over_the_antimeridian_are_of_its_own_turn():
    spec = _box(np.array([-20.0, 170.0, -10.0, -170.0]))
    assert spec == CoordinateSpec("box", (-20.0, 170.0), (10.0, 20.0))
    places = torch.tensor([[-20.0, 175.0], [-10.0, -175.0]])
    torch.testing.assert_close(spec.standardised(places), torch.tensor([[0.0, 0.25], [1.0, 0.75]]))
    answer = torch.tensor([[0.0, 0.0]])
    assert distance_km(latlon_deg_of(spec.vectors(answer)).numpy(), [(-15.0, 180.0)]).max() < 0.01
