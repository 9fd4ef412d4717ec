"""The sheet of augmented pictures shows the very pixels that training learns from."""

import base64
import shutil

import numpy as np
import pytest
from PIL import Image

from dataset.manifest import read_manifest
from infer.network.transform import InputTransform
from label_maps.files import read_hierarchy
from plumbing.config import parse
from train.data import LabelledPhotos, PixelSource, augmentation
from train.parts_config import AugmentConfig
from train.sheet import caption, main, variants
from train.sheet_config import AugmentationsConfig, SheetConfig
from viz.config import ReportConfig
from viz.report.page import write_report

STRONG = AugmentConfig(flip=0.5, color_jitter=0.5, rotation_deg=30, crop_scale=0.5)
FLAGS = ["--arch", "shufflenet_v2_x0_5", "--weights", "none", "--image-size", "64", "--level", "L3"]


def drawn(tiny, *words):
    main(parse(AugmentationsConfig, "x", ["--data", str(tiny), *FLAGS, *map(str, words)]))


@pytest.fixture
def source(tiny, tiny_run):
    table = read_manifest(tiny)
    photos = LabelledPhotos.of(tiny, table[table["split"] == "train"], read_hierarchy(tiny_run))
    return PixelSource(photos, InputTransform(16), seed=3)


def test_columns_are_the_plain_picture_and_what_epochs_learn(source):
    change = augmentation(STRONG, 16)
    cells = variants(source, change, [4, 9], 3)
    assert cells.shape == (2, 4, 3, 16, 16)
    for row, index in enumerate((4, 9)):
        plain = InputTransform(16).pixels(source.pictures.source(index)).numpy()
        np.testing.assert_array_equal(cells[row, 0], plain)
        source.augment = change
        for epoch in range(3):
            np.testing.assert_array_equal(cells[row, 1 + epoch], source[(epoch, index)][1].numpy())
        assert len({cell.tobytes() for cell in cells[row]}) == 4


def test_the_same_seed_gives_the_same_file_and_another_seed_another(tiny, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        drawn(tiny, "--out", tmp_path / f"{name}.png", "--seed", seed)
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b != c


def test_the_sheet_has_a_row_for_each_photograph_and_a_column_for_each_variant(tiny, tmp_path):
    drawn(tiny, "--out", tmp_path / "a.png", "--photographs", 2, "--variants", 3)
    with Image.open(tmp_path / "a.png") as sheet:
        assert sheet.size == (6 + 4 * 134, 20 + 2 * 148 + 20)
        first = np.asarray(sheet)[20 : 20 + 128 : 2, 6 : 6 + 128 : 2]
    photos = read_manifest(tiny)
    (path, *_) = photos.loc[photos["split"] == "train", "path"]
    np.testing.assert_array_equal(first, InputTransform(64).pixels(tiny / path).numpy().transpose(1, 2, 0))


def test_a_recipe_of_a_refiner_is_drawn_as_the_run_sees_pictures(tiny, tiny_run, tmp_path):
    recipe = tmp_path / "experts.yaml"
    recipe.write_text("kind: experts\nown_trunk: true\naugment:\n  rotation_deg: 20\n")
    words = [
        recipe,
        "--data",
        tiny,
        "--run",
        tiny_run,
        "--out",
        tmp_path / "s.png",
        "--photographs",
        2,
        "--variants",
        3,
    ]
    config = parse(AugmentationsConfig, "x", [str(word) for word in words])
    main(config)
    # The run sees 32 pixels, which are drawn four times as large.
    with Image.open(tmp_path / "s.png") as sheet:
        assert 4 * 128 <= sheet.width < 5 * 128


def test_the_report_of_a_run_shows_its_sheet(tiny, tiny_run, tmp_path):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    write_report(ReportConfig(run, tmp_path / "before.html"))
    assert "Random changes" not in (tmp_path / "before.html").read_text()
    drawn(tiny, "--run", run)
    write_report(ReportConfig(run, tmp_path / "after.html"))
    picture = base64.b64encode((run / "augmentations.jpg").read_bytes()).decode()
    assert f'src="data:image/jpeg;base64,{picture}"' in (tmp_path / "after.html").read_text()


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (
            ["--out", "OUT/a.png", "--augment.flip", "0", "--augment.rotation-deg", "0", "--augment.color-jitter", "0"],
            "no picture",
        ),
        (["--out", "OUT/a.gif"], "--out is a file NAME.png or NAME.jpg"),
        (["--out", "OUT/nowhere/a.png"], "is not a folder"),
        (["--out", "OUT/a.png", "--variants", "0"], "--photographs and --variants must be 1 or more"),
        ([], "name a picture to write by --out NAME.png, or a run folder by --run"),
    ],
)
def test_what_cannot_be_drawn_is_refused(words, refusal, tiny, tmp_path):
    with pytest.raises(ValueError, match=refusal):
        drawn(tiny, *(word.replace("OUT", str(tmp_path)) for word in words))
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_says_how_pictures_are_changed(tmp_path):
    words = ["train/recipes/director.yaml", "--data", "d", "--out", "sheets/a.png"]
    config = parse(AugmentationsConfig, "x", words)
    assert config.training.augment.vertical_flip == 0.5
    assert config.sheet == SheetConfig(out=config.sheet.out)
    assert caption(config.training.augment) == (
        "crop of 70% to 100% of the area; flip with probability 0.5; vertical flip with probability 0.5; grayscale with "
        "probability 0.1; rotation up to 20 degrees; brightness, contrast and saturation up to 20%"
    )
