"""Panoramas are cut into views and answered as one place, one answer for one file."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import infer
from dataset.panoramas import cut_views
from dataset.spheres import Sphere
from infer.config import InferConfig
from infer.cutter import Cutter
from infer.predict import main as predict
from infer.prediction import Prediction
from plumbing.files import read_json
from tests.spheres import gpano, panorama
from tests.tiny import PLACES, write_square

COLOURS = [colour for *_, colour in PLACES.values()]


@pytest.fixture(scope="module")
def model(calibrated):
    return infer.load(calibrated, device="cpu")


@pytest.fixture(scope="module")
def quarters(tmp_path_factory):
    """Return a panorama that shows Paris ahead, to the right and behind, and Nairobi to the left."""
    pixels = np.zeros((256, 512, 3), dtype=np.uint8)
    pixels[:] = COLOURS[0]
    pixels[:, 64:192] = COLOURS[1]
    path = tmp_path_factory.mktemp("panoramas") / "quarters.jpg"
    Image.fromarray(pixels).save(path, xmp=gpano(), quality=95)
    return path


@pytest.fixture(scope="module")
def square(tmp_path_factory):
    return write_square(tmp_path_factory.mktemp("squares") / "suva.jpg", PLACES["suva"][2], np.random.default_rng(1))


def asked(run, out, *photos, **flags):
    return InferConfig(photos=photos, run=run, out=out, device="cpu", workers=0, **flags)


def test_a_panorama_has_one_answer_of_four_views(model, quarters):
    p = model.predict(quarters)
    assert [(view.kind, view.input, view.yaw_deg) for view in p.views] == [
        ("panorama", "quarters.jpg", yaw) for yaw in (0.0, 90.0, -180.0, -90.0)
    ]
    assert p.photographs == ()
    assert any("without several views of one file" in warning for warning in p.warnings)


def test_each_view_shows_what_lies_there(quarters):
    found = Cutter().pictures(quarters, 64)
    means = [np.asarray(picture, dtype=float).mean(axis=(0, 1)) for picture, _ in found]
    for mean, colour in zip(means, (COLOURS[0], COLOURS[0], COLOURS[0], COLOURS[1]), strict=True):
        assert mean == pytest.approx(colour, abs=12)


def test_the_answer_is_that_of_four_photographs_of_one_place(model, tmp_path):
    path = tmp_path / "pano.jpg"
    panorama(512).save(path, xmp=gpano(), quality=95)
    views = cut_views(path, Sphere(), [0.0, 90.0, -180.0, -90.0], model.model.transform.view_side)
    whole, four = model.predict(path), model.predict(views, same_place=True)
    assert whole.levels == four.levels
    assert whole.point == four.point
    assert [view.agreement for view in whole.views] == [photo.agreement for photo in four.photographs]


def test_a_panorama_of_one_colour_is_answered_as_a_photograph_of_it(model, tmp_path):
    Image.new("RGB", (512, 256), COLOURS[2]).save(tmp_path / "sydney.png", pnginfo=None)
    Image.new("RGB", (512, 256), COLOURS[2]).save(tmp_path / "sydney.jpg", xmp=gpano(), quality=95)
    whole, alone = model.predict(tmp_path / "sydney.jpg"), model.predict(tmp_path / "sydney.png")
    assert len(whole.views) == 4
    assert alone.views == ()
    assert whole.point == pytest.approx(alone.point, abs=1)


def test_off_answers_as_before_panoramas_were_cut(model, quarters, tmp_path):
    with Image.open(quarters) as opened:
        opened.convert("RGB").save(tmp_path / "plain.png")
    squashed, plain = model.predict(quarters, panorama="off"), model.predict(tmp_path / "plain.png")
    assert squashed.views == ()
    assert squashed.levels == plain.levels


def test_a_number_cuts_so_many_views(model, quarters):
    assert [view.yaw_deg for view in model.predict(quarters, panorama=3).views] == [0.0, 120.0, -120.0]
    assert len(model.predict(quarters, panorama="1").views) == 1


def test_ordinary_photographs_are_answered_as_without_panoramas_beside_them(model, quarters, square):
    before, after = model.predict([square, square]), model.predict([square, quarters, square])
    assert [p.input for p in after] == ["suva.jpg", "quarters.jpg", "suva.jpg"]
    assert after[0].levels == before[0].levels == after[2].levels
    assert [len(p.views) for p in after] == [0, 4, 0]


def test_more_views_count_no_more_than_four(model, quarters):
    four, many = model.predict(quarters), model.predict(quarters, panorama=36)
    best = [p.levels["L3"].top(1)[0].probability for p in (four, many)]
    assert best[1] == pytest.approx(best[0], abs=0.1)


def test_bytes_pictures_and_files_of_panoramas_have_the_same_answer(model, quarters):
    with Image.open(quarters) as opened:
        answers = [model.predict(image) for image in (quarters, quarters.read_bytes(), opened)]
    assert [len(p.views) for p in answers] == [4, 4, 4]
    assert answers[0].levels == answers[1].levels
    assert answers[2].point == pytest.approx(answers[0].point, abs=0.5)


def test_among_photographs_of_one_place_a_panorama_is_one(model, quarters, square):
    p = model.predict([quarters, square], same_place=True)
    assert [photo.input for photo in p.photographs] == ["quarters.jpg", "suva.jpg"]
    assert len(p.views) == 4


def test_the_answer_says_that_it_was_a_panorama_in_every_file(calibrated, quarters, square, tmp_path):
    predict(asked(calibrated, tmp_path, quarters, square, maps=False))
    records = read_json(tmp_path / "predictions.json")
    assert [len(record["views"]) for record in records] == [4, 0]
    read = Prediction.from_dict(records[0])
    assert json.loads(json.dumps(read.to_dict())) == records[0]
    table = pd.read_csv(tmp_path / "predictions.csv")
    assert table["read_as"].tolist()[0] == "a panorama, cut into 4 views"
    assert table["read_as"].isna().tolist() == [False, True]


def test_bulk_answers_as_one_by_one(calibrated, quarters, square, tmp_path):
    copy = square.with_name("other.jpg")
    copy.write_bytes(square.read_bytes())
    predict(asked(calibrated, tmp_path / "bulk", square, quarters, copy, bulk=True))
    predict(asked(calibrated, tmp_path / "single", square, quarters, copy, maps=False))
    bulk, single = pd.read_parquet(tmp_path / "bulk"), pd.read_csv(tmp_path / "single" / "predictions.csv")
    assert bulk["read_as"].fillna("").tolist() == ["", "a panorama, cut into 4 views", ""]
    assert bulk["latitude"].tolist() == pytest.approx(single["latitude"].tolist(), abs=1e-4)
    assert ["several views" in text for text in bulk["warnings"]] == [False, True, False]


def test_embeddings_have_one_row_for_a_panorama(calibrated, quarters, square, tmp_path):
    predict(asked(calibrated, tmp_path, quarters, square, maps=False, embeddings=tmp_path / "e.npz"))
    found = np.load(tmp_path / "e.npz")
    assert len(found["path"]) == 2


def test_a_torn_panorama_is_named_and_ends_nothing(calibrated, quarters, square, tmp_path, caplog):
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(quarters.read_bytes()[:3000])
    predict(asked(calibrated, tmp_path / "out", torn, square, maps=False))
    assert "left out" in caplog.text
    assert "torn.jpg: damaged or cut short" in caplog.text
    assert len(read_json(tmp_path / "out" / "predictions.json")) == 1


def test_a_panorama_without_metadata_is_told_by_its_pixels(model, tmp_path):
    panorama(1024).save(tmp_path / "pano.jpg")
    assert len(model.predict(tmp_path / "pano.jpg").views) == 4


def test_a_wrong_value_of_the_flag_is_refused(calibrated, model, quarters, tmp_path):
    with pytest.raises(ValueError, match="--panorama is auto, off, or a number of views from 1 to 36, got 99"):
        asked(calibrated, tmp_path, quarters, panorama="99")
    with pytest.raises(ValueError, match="--panorama is auto, off"):
        model.predict(quarters, panorama="many")


def test_the_page_says_it_and_shows_the_whole_panorama(calibrated, quarters, tmp_path):
    from viz.maps.prediction import prediction_html

    html = prediction_html(infer.load(calibrated, device="cpu").predict(quarters))
    assert "Read as a panorama, cut into 4 views" in html
    assert 'alt="quarters.jpg"' in html
