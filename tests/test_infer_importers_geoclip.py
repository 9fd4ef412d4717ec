"""GeoCLIP as a run answers what its package answers, on any partition, and every verb works on it."""

import importlib.util
import json
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from infer.importers.config import GeoclipConfig
from infer.importers.geoclip import main, package_files, read_gallery
from infer.model import load_model
from label_maps.run_folder import read_run
from tests.published import random_clip

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("geoclip", "transformers")),
    reason="the packages geoclip and transformers are not installed",
)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return random_clip(tmp_path_factory.mktemp("clip"), projection=768)


@pytest.fixture(scope="module")
def places() -> np.ndarray:
    """Return every 40th place of the gallery, some of them twice."""
    every = read_gallery(package_files()["coordinates_100K.csv"])[::40]
    return np.concatenate([every, every[:200]])


@pytest.fixture(scope="module")
def package(clip, places):
    """Return the package's own model around the same CLIP, with fewer places and these encoded once."""
    return packaged(clip, places)


def packaged(clip, places):
    # What the package itself and its libraries warn of is theirs.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "geopy" not in sys.modules and importlib.util.find_spec("geopy") is None:
            # The package's training alone measures distances with it.
            unused = types.ModuleType("geopy.distance")
            unused.geodesic = None
            sys.modules |= {"geopy": types.ModuleType("geopy"), "geopy.distance": unused}
        from geoclip import GeoCLIP

        model = GeoCLIP(clip_path=str(clip)).eval()
    gallery = torch.from_numpy(places).float()
    with torch.inference_mode():
        encoded = torch.cat([model.location_encoder(part) for part in gallery.split(2000)])
    model.gps_gallery = gallery
    model.location_encoder = Encoded(encoded)
    return model


class Encoded(torch.nn.Module):
    def __init__(self, encoded):
        super().__init__()
        self.encoded = encoded

    def forward(self, location):
        return self.encoded


def imported(clip, places, run, monkeypatch, **flags):
    monkeypatch.setattr("infer.importers.geoclip.read_gallery", lambda path: places)
    main(GeoclipConfig(run=run, clip=clip, **flags))
    return run


@pytest.fixture(scope="module")
def run(clip, places, tmp_path_factory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        return imported(clip, places, tmp_path_factory.mktemp("geoclip") / "run", patch, clusters=(10, 100))


def some_photographs(shared_data, count=50) -> list[Path]:
    found = sorted((shared_data / "photos").glob("*/*.jpg"))
    return found[:: max(1, len(found) // count)][:count]


def compare(run, package, photographs):
    model = load_model(run, CPU)
    pixels = torch.stack([model.transform.pixels(path) for path in photographs])
    with torch.inference_mode():
        seen = torch.cat([package.image_encoder.preprocess_image(open_rgb(path)) for path in photographs])
        theirs = package.image_encoder(seen)
        ours = model.outputs(pixels)
        np.testing.assert_allclose(ours.features, theirs, atol=1e-5)
        softmax = package(seen, package.gps_gallery).softmax(dim=-1)
    posterior = model.posterior(ours.logits)
    points = model.with_choices(None, "top").points(posterior, ours)
    for k, path in enumerate(photographs):
        places, probability = package.predict(str(path), 5)
        np.testing.assert_allclose(points[k], places[0], atol=1e-5, err_msg=str(path))
        own = posterior[-1][k].exp().sort(descending=True).values[:5]
        np.testing.assert_allclose(own, probability, atol=1e-4)
    return posterior, softmax


def open_rgb(path):
    from PIL import Image

    with Image.open(path) as picture:
        return picture.convert("RGB")


def test_fifty_photographs_have_the_packages_embedding_point_and_top_five(run, package, shared_data):
    compare(run, package, some_photographs(shared_data))


@pytest.mark.slow
def test_the_whole_gallery_answers_as_the_package_does(clip, shared_data, tmp_path):
    main(GeoclipConfig(run=tmp_path / "run", clip=clip))
    gallery = read_gallery(package_files()["coordinates_100K.csv"])
    assert gallery.shape == (100_000, 2)
    compare(tmp_path / "run", packaged(clip, gallery), some_photographs(shared_data))


@pytest.mark.parametrize(
    "flags", [{"partition": "quad"}, {"partition": "kmeans", "clusters": (8, 50)}, {"partition": "points"}]
)
def test_a_cell_of_any_partition_has_the_sum_of_its_places(
    clip, places, package, shared_data, tmp_path, monkeypatch, flags
):
    run = imported(clip, places, tmp_path / "run", monkeypatch, **flags)
    model = load_model(run, CPU)
    photographs = some_photographs(shared_data, 5)
    pixels = torch.stack([model.transform.pixels(path) for path in photographs])
    posterior = model.posterior(model.logits(pixels))
    seen = torch.cat([package.image_encoder.preprocess_image(open_rgb(path)) for path in photographs])
    with torch.inference_mode():
        softmax = package(seen, package.gps_gallery).softmax(dim=-1).double()
    classes = model.hierarchy.classes(places)
    for level, own in enumerate(posterior):
        summed = torch.zeros(len(photographs), own.shape[1], dtype=torch.float64)
        if level == len(posterior) - 1 and flags["partition"] == "points":
            # Places that lie twice in the gallery are two classes: compared by their place.
            by_place = torch.zeros_like(summed).index_add_(1, first_of_place(model), own.exp().double())
            own = by_place.log()
        summed.index_add_(1, torch.from_numpy(classes[:, level]), softmax)
        np.testing.assert_allclose(own.exp(), summed, atol=1e-6, rtol=1e-4)


def first_of_place(model):
    level = model.hierarchy.depth - 1
    return torch.from_numpy(model.hierarchy.classes(model.hierarchy.center_deg[model.hierarchy.rows(level)])[:, level])


def test_the_run_names_its_licence_its_citation_and_the_hashes_of_its_files(run, clip):
    from plumbing.files import sha256

    published = read_run(run)["published"]
    assert published["licence"].startswith("MIT")
    assert "Vivanco Cepeda" in published["citation"]
    assert published["sha256"]["model.safetensors"] == sha256(clip / "model.safetensors")
    assert published["sha256"]["coordinates_100K.csv"] == sha256(package_files()["coordinates_100K.csv"])


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({}, "give --clip FOLDER with its config.json, preprocessor_config.json, model.safetensors"),
        ({"clip": Path("nowhere")}, "nowhere has no config.json"),
    ],
)
def test_without_the_vision_tower_the_message_says_what_to_bring(tmp_path, flags, said):
    with pytest.raises(ValueError, match=said):
        main(GeoclipConfig(run=tmp_path / "run", **flags))


def test_the_metadata_of_the_network_builds_it_again_without_the_package(run):
    from safetensors import safe_open

    with safe_open(run / "joint.safetensors", "pt") as file:
        spec = json.loads(file.metadata()["spec"])
    assert spec["gallery"]["rows"] == 2700
    assert spec["projection"] == [[["linear", 768, 768], ["relu"], ["linear", 768, 512]]]
    assert spec["arch"] == "hf:openai/clip-vit-large-patch14"


# Every verb


@pytest.fixture(scope="module")
def own(clip, places, tiny, tmp_path_factory) -> Path:
    """Return an imported run, calibrated on photographs that it never saw."""
    from train.calibrate import main as calibrate
    from train.config import CalibrateConfig

    with pytest.MonkeyPatch.context() as patch:
        run = imported(clip, places, tmp_path_factory.mktemp("own") / "run", patch, clusters=(10, 100))
    calibrate(CalibrateConfig(tiny, run, split="train", workers=0, device="cpu"))
    return run


def test_calibration_takes_no_more_photographs_than_memory_holds(own, tiny, monkeypatch, caplog):
    import train.calibrate
    from train.config import CalibrateConfig

    model = load_model(own, CPU)
    monkeypatch.setattr(train.calibrate, "LOGITS_BYTES", 4 * 7 * sum(model.hierarchy.sizes()))
    config = CalibrateConfig(tiny, own, split="train", workers=0, device="cpu")
    read = train.calibrate._read_split(model, tiny, config, 20_000)
    assert len(read.latlon_deg) == 7
    said = "7 of 36 photographs are taken: the network output of more, 11,240 bytes each, does not fit into memory"
    assert said in caplog.text


def test_it_predicts_and_the_licence_is_shown_with_every_answer(own, tiny, tmp_path, capsys):
    from infer.__main__ import predict
    from infer.config import InferConfig

    predict(InferConfig(photos=(tiny,), run=own, limit=2, out=tmp_path, workers=0, device="cpu"))
    assert "Licence of the model: MIT (GeoCLIP and OpenAI CLIP)" in capsys.readouterr().out
    answers = json.loads((tmp_path / "predictions.json").read_text())
    made = answers[0]["provenance"]
    assert made["licence"].startswith("MIT")
    assert "NeurIPS 2023" in made["citation"]
    assert made["source"].startswith("package geoclip 1.3")
    assert "licence" in (tmp_path / "predictions.csv").read_text().splitlines()[0]
    page = next(path for path in sorted(tmp_path.glob("*.html")) if path.name != "index.html").read_text()
    assert "Model licence: MIT (GeoCLIP and OpenAI CLIP)" in page
    assert "Vivanco Cepeda" in page
    assert answers[0]["levels"][-1]["confidence"] is not None
    assert not [warning for warning in answers[0]["warnings"] if "training photograph" in warning]


def test_it_evaluates_reports_and_bulks(own, tiny, tmp_path):
    from infer.config import EvaluateConfig, InferConfig
    from infer.evaluate.run import main as evaluate
    from infer.predict import main as predict
    from viz.config import ReportConfig
    from viz.report.page import write_report

    evaluate(EvaluateConfig(data=tiny, run=own, out=tmp_path / "figures.json", workers=0, device="cpu"))
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["photographs"] == 12
    with pytest.raises(ValueError, match="records none: leave out --baselines"):
        evaluate(EvaluateConfig(data=tiny, run=own, baselines=True, workers=0, device="cpu"))
    predict(InferConfig(photos=(tiny,), run=own, bulk=True, out=tmp_path / "bulk", workers=0, device="cpu"))
    assert json.loads(next((tmp_path / "bulk").glob("*.json")).read_text())["published"]["licence"].startswith("MIT")
    write_report(ReportConfig(run=own, out=tmp_path / "report.html"))
    assert "MIT (GeoCLIP and OpenAI CLIP)" in (tmp_path / "report.html").read_text()


def test_it_explains_and_says_that_neighbours_take_training_photographs(own, tiny, tmp_path):
    from infer.config import InferConfig
    from infer.predict import main as predict

    flags = {"photos": (tiny,), "run": own, "limit": 1, "out": tmp_path, "workers": 0, "device": "cpu", "explain": True}
    predict(InferConfig(**flags))
    answer = json.loads((tmp_path / "predictions.json").read_text())[0]
    assert answer["explanation"]["cell"]
    with pytest.raises(ValueError, match="records no training photographs, so none can be compared with"):
        predict(InferConfig(**flags, data=tiny))
