"""Why here and not there."""

import json
import shutil
from dataclasses import replace

import numpy as np
import piexif
import pytest
import torch
from PIL import Image
from torch import nn

from geocells.sphere import distance_km
from infer.__main__ import predict as main
from infer.config import InferConfig
from infer.explain.evidence import uncropped
from infer.explain.occlusion import APART_KM, contrast, elsewhere, explain, heat_map
from infer.model import load_model
from infer.predictor import Predictor
from tests.tiny import PLACES, write_square
from viz.maps.explanation import COLOURS, heat_png

CPU = torch.device("cpu")
SIZE = 32


class LooksAt(nn.Module):
    """A trunk whose only feature is how bright one square of the picture is."""

    def __init__(self, top, left, side=6):
        super().__init__()
        self.where = (slice(top, top + side), slice(left, left + side))

    def forward(self, images):
        return images[..., self.where[0], self.where[1]].mean(dim=(1, 2, 3))[:, None]


def looking_model(run, top, left, favoured=0):
    """Return a model that answers one finest cell the more surely, the brighter one square is."""
    model = load_model(run, CPU)
    (network,) = model.networks
    network.trunk = LooksAt(top, left)
    for level, head in network.heads.items():
        network.heads[level] = nn.Linear(1, head.out_features)
        nn.init.zeros_(network.heads[level].weight)
        nn.init.zeros_(network.heads[level].bias)
    with torch.no_grad():
        network.heads["L8"].weight[favoured] = 3.0
    return replace(model, fusion="product")


def bright_squares(*places):
    """Return a dark picture with bright squares of six pixels."""
    pixels = torch.full((3, SIZE, SIZE), 20, dtype=torch.uint8)
    for top, left in places:
        pixels[:, top : top + 6, left : left + 6] = 250
    return pixels


@pytest.mark.parametrize(("top", "left"), [(2, 3), (20, 4), (13, 22)])
def test_the_heat_is_highest_where_the_network_looks_and_not_at_what_is_as_bright(tiny_run, top, left):
    model = looking_model(tiny_run, top, left)
    pixels = bright_squares((2, 3), (20, 4), (13, 22))
    heat = heat_map(model, pixels, 0, 3)
    assert heat.shape == (SIZE, SIZE)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert top - 2 <= row < top + 8
    assert left - 2 <= column < left + 8
    assert heat.max() > 0


def test_what_speaks_for_a_cell_speaks_against_the_other(tiny_run):
    model, pixels = looking_model(tiny_run, 13, 22), bright_squares((13, 22))
    np.testing.assert_allclose(heat_map(model, pixels, 0, 3), -heat_map(model, pixels, 3, 0), atol=1e-5)


def test_a_picture_without_anything_has_no_heat(tiny_run):
    model = looking_model(tiny_run, 13, 22)
    assert np.abs(heat_map(model, torch.full((3, SIZE, SIZE), 90, dtype=torch.uint8), 0, 3)).max() < 1e-5


def test_the_contrast_is_that_of_the_posterior_that_answers(tiny_run):
    model = load_model(tiny_run, CPU)
    pixels = bright_squares((2, 3))[None]
    log_leaf = model.posterior(model.logits(pixels))[-1][0]
    assert contrast(model, pixels.float(), 1, 4).item() == pytest.approx(float(log_leaf[1] - log_leaf[4]), abs=1e-5)
    assert contrast(model, pixels.float(), 1, None).item() == pytest.approx(float(log_leaf[1]), abs=1e-5)


def test_elsewhere_is_the_likeliest_cell_that_is_far_away():
    centers = np.array([(0, 0), (0, 1), (0, 30), (0, 60)], dtype=np.float64)
    assert distance_km(centers[0], centers[1]) < APART_KM < distance_km(centers[0], centers[2])
    assert elsewhere(np.log([0.5, 0.3, 0.05, 0.15]), centers, 0) == 3
    assert elsewhere(np.log([0.5, 0.3, 0.15, 0.05]), centers, 0) == 2


def test_without_a_possible_cell_elsewhere_there_is_none():
    centers = np.array([(0, 0), (0, 1), (0, 30)], dtype=np.float64)
    assert elsewhere(np.array([-0.7, -0.7, -np.inf]), centers, 0) is None
    assert elsewhere(np.log([0.6, 0.4]), centers[:2], 0) is None


def test_the_cell_explained_is_the_one_answered(tiny_run):
    model = looking_model(tiny_run, 13, 22, favoured=2)
    pixels = bright_squares((13, 22))
    log_leaf = model.posterior(model.logits(pixels[None]))[-1][0]
    names = model.hierarchy.name[model.hierarchy.rows(3)]
    found = explain(model, pixels, log_leaf, names[2])
    assert found.cell == names[2]
    assert found.against in names
    assert found.against != names[2]


@pytest.mark.parametrize(("width", "height", "shape"), [(40, 20, (8, 16)), (20, 40, (16, 8)), (10, 10, (8, 8))])
def test_heat_of_a_middle_square_lies_in_the_middle_of_the_picture(width, height, shape):
    whole = uncropped(np.ones((8, 8)), width, height)
    assert whole.shape == shape
    assert whole.sum() == 64
    np.testing.assert_array_equal(whole, whole[::-1, ::-1])


def test_the_overlay_is_clear_without_heat_and_tells_for_from_against(tmp_path):
    (tmp_path / "heat.png").write_bytes(heat_png(np.array([[2.0, 0.0], [0.0, -1.0]]), 40, 40))
    with Image.open(tmp_path / "heat.png") as picture:
        shown = np.asarray(picture)
    assert shown.shape == (40, 40, 4)
    assert tuple(shown[0, 0, :3]) == COLOURS(1.0, bytes=True)[:3]
    assert tuple(shown[-1, -1, :3]) == COLOURS(0.25, bytes=True)[:3]
    assert shown[0, 0, 3] > shown[-1, -1, 3] > 0
    assert shown[0, -1, 3] == 0


def answer(photos, run, out, **flags):
    given = {"maps": False, "workers": 0, "device": "cpu", "explain": True, **flags}
    main(InferConfig(photos=tuple(photos), run=run, out=out, **given))
    return json.loads((out / "predictions.json").read_text())


def test_an_answer_says_why_and_its_page_shows_it(tiny_run, tmp_path):
    photo = write_square(tmp_path / "in" / "red.jpg", (230, 40, 40), np.random.default_rng(0))
    (record,) = answer([photo], tiny_run, tmp_path / "out", maps=True)
    assert set(record["explanation"]) == {"cell", "against", "method"}
    assert record["explanation"]["cell"] == record["levels"][-1]["cells"][0]["id"]
    page = (tmp_path / "out" / "red.html").read_text()
    assert page.count('class="heat"') == 1
    assert "A hypothesis, not proof." in page
    assert record["similar"] == []


def test_a_planted_place_enters_neither_explanation_nor_neighbours(tiny, tiny_run, tmp_path):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    photo = write_square(tmp_path / "in" / "red.jpg", PLACES["paris"][2], np.random.default_rng(0))
    (plain,) = answer([photo], run, tmp_path / "out", data=tiny, maps=True)
    before = (tmp_path / "out" / "red.html").read_text()
    heat = before[before.index('class="heat"') :].split('"', 6)[5]
    north = {piexif.GPSIFD.GPSLatitudeRef: b"S", piexif.GPSIFD.GPSLatitude: ((33, 1), (52, 1), (12, 1))}
    east = {piexif.GPSIFD.GPSLongitudeRef: b"E", piexif.GPSIFD.GPSLongitude: ((151, 1), (12, 1), (36, 1))}
    piexif.insert(piexif.dump({"GPS": north | east}), str(photo))
    (planted,) = answer([photo], run, tmp_path / "out", data=tiny, maps=True)
    assert [place["source"] for place in planted["metadata"]] == ["EXIF"]
    assert planted["explanation"] == plain["explanation"]
    assert planted["similar"] == plain["similar"]
    assert heat.startswith("data:image/png;base64,")
    assert heat in (tmp_path / "out" / "red.html").read_text()


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ({"explain": True, "same_place": True}, "--explain has no effect with --same-place"),
        ({"explain": True, "bulk": True}, "leave out --explain"),
        ({"data": "."}, "--data . has no effect without --explain"),
    ],
)
def test_flags_that_cannot_work_together_are_refused(tmp_path, flags, complaint):
    with pytest.raises(ValueError, match=complaint):
        InferConfig(photos=(tmp_path,), run=tmp_path, **flags)


@pytest.mark.parametrize(("count", "said"), [(1, "1 training photograph"), (4, "4 training photographs"), (5, None)])
def test_an_answer_says_when_its_cell_was_learned_from_few_photographs(tiny_run, tmp_path, count, said):
    photo = write_square(tmp_path / "red.jpg", (230, 40, 40), np.random.default_rng(0))
    model = load_model(tiny_run, CPU)
    model.hierarchy.train_count.setflags(write=True)
    model.hierarchy.train_count[:] = count
    prediction = Predictor(tiny_run, model).predict(photo)
    best = prediction.levels["L8"].best
    assert best.training_photographs == count
    found = [line for line in prediction.warnings if line.startswith("the most probable cell")]
    assert found == ([] if said is None else [f"the most probable cell L8 {best.id} had {said}"])
