"""`infer.load(run).predict(images)` as one writes it in a notebook or a script."""

import copy
import gc
import io
import json
import os
import pickle
import threading
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import infer
from infer.config import InferConfig
from infer.predict import main as command
from infer.prediction import Prediction
from infer.prepared import Options
from tests.tiny import PLACES, write_square


@pytest.fixture(scope="module")
def model(calibrated):
    return infer.load(calibrated, device="cpu")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(3)
    return [write_square(folder / f"{name}.png", colour, rng) for name, (_, _, colour) in PLACES.items()]


def same(one: Prediction, other: Prediction) -> bool:
    """Say whether two answers are the same but for the name of the image and the time."""
    plain = [p.to_dict() for p in (one, other)]
    for record in plain:
        for key in ("input", "path", "sha256"):
            record.pop(key)
        record["provenance"].pop("answered_at_utc")
    return plain[0] == plain[1]


def test_a_path_bytes_a_pil_image_and_an_array_get_the_same_answer(model, photos):
    path = photos[0]
    with Image.open(path) as picture:
        array = np.asarray(picture.convert("RGB"))
        answers = [model.predict(image) for image in (path, str(path), path.read_bytes(), picture, array)]
    assert all(same(answers[0], answer) for answer in answers[1:])
    assert [answer.input for answer in answers] == [path.name, path.name, "image 1", "image 1", "image 1"]


def test_the_command_gives_the_same_answer(model, calibrated, photos, tmp_path):
    command(InferConfig(photos=(photos[1],), run=calibrated, out=tmp_path, maps=False, workers=0, device="cpu"))
    (record,) = json.loads((tmp_path / "predictions.json").read_text())
    assert same(Prediction.from_dict(record), model.predict(photos[1]))


def test_an_answer_has_what_the_readme_names(model, photos):
    p = model.predict(photos[0])
    assert p.point == (p.latitude, p.longitude)
    assert p.place.name
    assert 0 < p.confidence < 1
    assert [cell.probability for cell in p.levels["L3"].top(2)] == sorted(
        (cell.probability for cell in p.levels["L3"].top(2)), reverse=True
    )
    assert p.regions[0.9].area_km2 > 0
    assert p.regions[0.9].geometry["type"] == "MultiPolygon"
    assert p.to_geojson()["features"][0]["geometry"]["coordinates"] == [p.longitude, p.latitude]


def test_reading_what_was_written_gives_the_same_answer(model, photos):
    for p in model.predict(photos, coverage=(0.5,), confidence=0.7):
        assert Prediction.from_dict(json.loads(json.dumps(p.to_dict()))) == p


def test_answers_are_frozen(model, photos):
    with pytest.raises(AttributeError):
        model.predict(photos[0]).latitude = 1.0


def test_many_images_come_in_order_and_as_a_table(model, photos):
    many = model.predict(photos)
    assert [p.input for p in many] == [path.name for path in photos]
    assert len(many) == len(photos)
    assert many[2].input == photos[2].name
    table = many.to_dataframe()
    assert table["latitude"].tolist() == [p.latitude for p in many]
    assert {"headline", "confidence", "region_90_km2", "warnings"} <= set(table.columns)


def test_many_images_and_one_at_a_time_agree(model, photos):
    for path, together in zip(photos, model.predict(photos, batch_size=4), strict=True):
        alone = model.predict(path)
        assert alone.point == pytest.approx(together.point, abs=1e-3)
        assert alone.confidence == pytest.approx(together.confidence, abs=1e-3)


def test_a_generator_is_read_as_it_is_answered_and_once(model, photos):
    asked = []

    def images():
        for path in photos:
            asked.append(path)
            yield path

    many = model.predict(images(), batch_size=2)
    assert asked == []
    first = next(iter(many))
    assert first.input == photos[0].name
    assert len(asked) == 2
    assert [p.input for p in many] == [path.name for path in photos[1:]]
    with pytest.raises(ValueError, match="read once"):
        list(many)


@pytest.mark.slow
def test_a_generator_of_ten_thousand_images_is_answered_in_constant_memory(model):
    memory = Path("/proc/self/statm")
    if not memory.is_file():
        pytest.skip("the memory of this process is read from /proc")
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (16, 16, 3), dtype=np.uint8) for _ in range(7)]
    images = (pictures[k % 7] for k in range(10_000))
    pages = []
    for number, _ in enumerate(model.predict(images, coverage=(), batch_size=64), start=1):
        if number % 1_000 == 0:
            gc.collect()
            pages.append(int(memory.read_text(encoding="utf-8").split()[1]))
    assert number == 10_000
    # Ten thousand answers that are kept take more than 100 MB.
    assert (pages[-1] - pages[0]) * os.sysconf("SC_PAGE_SIZE") < 30e6


def test_threads_share_a_model(model, photos):
    expected = {path: model.predict(path).point for path in photos}
    found: dict[Path, list] = {path: [] for path in photos}

    def ask(path):
        found[path] += [model.predict(path, within=within).point for within in ((), "-90,-180,90,180")]

    threads = [threading.Thread(target=ask, args=(path,)) for path in photos]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {path: points[0] for path, points in found.items()} == expected


def test_what_options_need_is_prepared_once(model, photos):
    model.predict(photos[0], coverage=0.8, within="KE")
    first = model.prepared(Options(coverage=(0.8,), within=("KE",)))
    model.predict(photos[1], coverage=[0.8], within=("KE",))
    assert model.prepared(Options(coverage=(0.8,), within=("KE",))) is first
    other = model.prepared(Options(coverage=(0.5,)))
    assert other.finder.density is first.finder.density


def test_several_photographs_of_one_place_get_one_answer(model, photos):
    p = model.predict(photos[:3], same_place=True)
    assert [photo.input for photo in p.photographs] == [path.name for path in photos[:3]]
    assert all(0 <= photo.agreement <= 1 for photo in p.photographs)


def test_identical_photographs_of_a_place_count_once_and_all_are_listed(model, photos):
    once = model.predict([photos[0], photos[1]], same_place=True)
    again = model.predict([photos[0], photos[1], photos[0].read_bytes()], same_place=True)
    assert again.point == once.point
    assert [photo.sha256 for photo in again.photographs] == [once.photographs[k].sha256 for k in (0, 1, 0)]
    assert again.photographs[2].agreement == once.photographs[0].agreement


def test_one_photograph_of_a_place_keeps_its_answer(model, photos):
    assert model.predict([photos[0]], same_place=True).point == model.predict(photos[0]).point


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        ("nowhere.jpg", "nowhere.jpg: no such file"),
        (b"not a picture", "not a picture that can be read"),
        (np.zeros((4, 4), np.uint8), r"got a uint8 array of shape \(4, 4\)"),
        (np.zeros((4, 4, 3)), r"got a float64 array of shape \(4, 4, 3\)"),
        (".", "is a folder: give its photographs"),
    ],
)
def test_what_is_not_an_image_is_refused_with_one_line(model, image, complaint):
    with pytest.raises(ValueError, match=complaint):
        model.predict(image)


def test_of_many_one_that_cannot_be_read_is_refused_or_passed_by_as_asked(model, photos, caplog):
    given = [photos[0], b"not a picture", photos[1]]
    with pytest.raises(ValueError, match="image 2"):
        list(model.predict(given))
    assert [p.input for p in model.predict(given, on_error="skip")] == [photos[0].name, photos[1].name]
    assert "left out: image 2" in caplog.text


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"coverage": 1.5}, "--coverage"),
        ({"confidence": 2}, "--confidence"),
        ({"coarsest": "L3"}, "--coarsest"),
        ({"point": "refined"}, "--point refined"),
        ({"on_error": "ignore"}, "on_error is 'raise' or 'skip', got 'ignore'"),
    ],
)
def test_options_that_cannot_work_are_refused(model, photos, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        model.predict(photos[0], **options)


def test_a_notebook_shows_the_map_in_a_frame(model, photos):
    shown = model.predict(photos[0])._repr_html_()
    assert shown.startswith(
        '<iframe sandbox="allow-scripts allow-downloads allow-popups allow-popups-to-escape-sandbox"'
    )
    assert "srcdoc=" in shown
    assert shown.count("<iframe") == 1


def test_bytes_with_exif_are_compared_with_what_it_says(model, photos):
    content, exif = io.BytesIO(), Image.Exif()
    exif.get_ifd(0x8825).update({1: "S", 2: (33.0, 52.0, 0.0), 3: "E", 4: (151.0, 12.0, 0.0)})
    with Image.open(photos[0]) as picture:
        picture.convert("RGB").save(content, "JPEG", exif=exif)
    (said,) = model.predict(content.getvalue()).metadata
    assert (said.source, said.latitude, said.longitude) == (
        "EXIF",
        pytest.approx(-33.8667, abs=1e-3),
        pytest.approx(151.2),
    )


def test_the_greedy_rule_takes_its_numbers_and_the_answer_says_them(model, photos):
    p = model.predict(photos[0], fusion="greedy", greedy_thresholds=[0.9], greedy_k=[1, 1], mass=1)
    options = p.to_dict()["provenance"]["options"]
    assert (options["greedy_thresholds"], options["greedy_k"]) == ([0.9], [1, 1])
    parents = {cell.id.rsplit("/", 2)[0] for cell in p.levels["L3"].cells if cell.probability > 0}
    assert parents == {p.levels["L1"].best.id}
    assert Prediction.from_dict(p.to_dict()).to_dict() == p.to_dict()


def test_numbers_of_the_greedy_rule_are_refused_without_it(model, photos):
    with pytest.raises(ValueError, match="--greedy-k 1 2 3 4 has no effect without --fusion greedy"):
        model.predict(photos[0], greedy_k=(1, 2, 3, 4))
    with pytest.raises(ValueError, match="takes one number more"):
        model.predict(photos[0], fusion="greedy", greedy_k=(1, 2))


def test_a_level_or_coverage_that_an_answer_lacks_is_named_with_those_that_it_has(model, photos):
    p = model.predict(photos[0])
    with pytest.raises(KeyError, match="no level 'L9': it has 'L1', 'L3', 'L5', 'L8'"):
        p.levels["L9"]
    with pytest.raises(
        KeyError, match=r"no region of coverage 0\.8: it has .*; ask for it by predict\(\.\.\., coverage=\.\.\.\)"
    ):
        p.regions[0.8]
    assert p.regions.get(0.8) is None
    assert "L9" not in p.levels
    for same in (copy.deepcopy(p), pickle.loads(pickle.dumps(p)), replace(p)):
        assert same == p
        with pytest.raises(KeyError, match="no level 'L9': it has"):
            same.levels["L9"]
    assert asdict(replace(p, drawing=None))["levels"].keys() == p.levels.keys()
