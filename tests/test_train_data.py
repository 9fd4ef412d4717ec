"""Training photographs: one shared order, and the same random changes whichever process makes them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from dataset.images import Pictures
from dataset.manifest import coordinates, read_manifest
from geocells.sphere import unit_vectors
from infer.network.transform import InputTransform
from label_maps.files import read_hierarchy
from train.data import (
    InOrder,
    LabelledPhotos,
    PixelSource,
    SharedOrder,
    augmentation,
    draw_weighted,
    mix_pictures,
    mixed_seed,
    readable,
    sample_weights,
)
from train.parts_config import AugmentConfig

STRONG = AugmentConfig(flip=0.5, color_jitter=0.5, rotation_deg=30, crop_scale=0.5, grayscale=0.2)


@pytest.fixture(scope="module")
def photos(tiny, tiny_run):
    table = read_manifest(tiny)
    return LabelledPhotos.of(tiny, table[table["split"] == "train"], read_hierarchy(tiny_run))


@pytest.fixture
def source(photos):
    source = PixelSource(photos, InputTransform(16), seed=3)
    source.augment = augmentation(STRONG, 16)
    return source


def indices(order):
    return [index for _, index in order]


@given(st.integers(0, 50), st.integers(1, 9), st.integers(0, 99), st.integers(0, 9))
def test_processes_get_equally_many_photographs_each_at_most_once(length, size, seed, epoch):
    shares = [indices(SharedOrder(length, seed, epoch, rank=rank, size=size)) for rank in range(size)]
    dealt = [index for share in shares for index in share]
    assert set(map(len, shares)) == {length // size}
    assert len(set(dealt)) == len(dealt)
    assert set(dealt) <= set(range(length))
    assert length - len(dealt) < size


@given(st.integers(1, 50), st.integers(1, 5), st.data())
def test_what_is_left_after_an_interruption_is_dealt_as_it_would_have_been(length, size, data):
    done = size * data.draw(st.integers(0, length // size))
    for rank in range(size):
        whole = indices(SharedOrder(length, 1, 2, rank=rank, size=size))
        left = SharedOrder(length, 1, 2, done, rank, size)
        assert indices(left) == whole[done // size :]
        assert len(left) == len(indices(left))


def test_each_epoch_and_each_seed_has_an_order_of_its_own():
    orders = {tuple(indices(SharedOrder(40, seed, epoch))) for seed in (0, 1) for epoch in (0, 1, 2)}
    assert len(orders) == 6
    assert indices(SharedOrder(40, 1, 1)) == indices(SharedOrder(40, 1, 1))


def test_the_order_carries_its_epoch_along():
    assert {epoch for epoch, _ in SharedOrder(5, 0, 7)} == {7}


@given(st.integers(0, 30), st.integers(1, 5))
def test_validation_sees_every_photograph_once_in_order(length, size):
    shares = [indices(InOrder(length, rank, size)) for rank in range(size)]
    assert sorted(index for share in shares for index in share) == list(range(length))
    assert all(share == sorted(share) and len(share) == len(InOrder(length, r, size)) for r, share in enumerate(shares))


def test_weighted_photographs_come_as_often_as_their_weights_say():
    order = SharedOrder(40_000, 0, 0, weights=torch.tensor([1.0, 0.0, 3.0]).repeat_interleave(13_334)[:40_000])
    drawn = np.array(indices(order)) // 13_334
    assert len(drawn) == 40_000
    assert (drawn == 1).sum() == 0
    assert (drawn == 2).mean() == pytest.approx(0.75, abs=0.02)


def test_the_last_photograph_of_no_weight_is_never_drawn():
    assert set(draw_weighted(torch.tensor([0.0, 1.0, 0.0]), 500, torch.Generator().manual_seed(0)).tolist()) == {1}


def test_balanced_sampling_draws_classes_alike_and_tempered_in_between():
    classes = np.array([0] * 90 + [1] * 10)
    assert sample_weights(classes, "plain") is None
    for sampler, share in (("balanced", 0.5), ("tempered", 10**0.5 / (10**0.5 + 90**0.5))):
        weights = sample_weights(classes, sampler)
        assert float(weights[90:].sum() / weights.sum()) == pytest.approx(share)


def test_the_same_photograph_in_the_same_epoch_is_changed_alike(source):
    first = [source[(2, index)][1] for index in range(8)]
    torch.manual_seed(1234)
    torch.rand(7)
    again = [source[(2, index)][1] for index in reversed(range(8))][::-1]
    for one, other in zip(first, again, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_other_epochs_other_photographs_and_other_seeds_are_changed_otherwise(photos, source):
    source.cache = torch.randint(0, 255, (1, 3, 16, 16), dtype=torch.uint8).expand(len(photos), -1, -1, -1)
    seen = {source[(epoch, index)][1].numpy().tobytes() for epoch in range(3) for index in range(3)}
    source.seed = 4
    seen.add(source[(0, 0)][1].numpy().tobytes())
    assert len(seen) == 10


def test_changing_a_photograph_leaves_the_generator_alone(source):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    source[(0, 0)]
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)


def test_workers_change_photographs_as_the_training_process_does(source):
    def batches(workers):
        order = SharedOrder(len(source), 0, 1)
        return list(DataLoader(source, 5, sampler=order, num_workers=workers))

    for (index, pixels), (other_index, other) in zip(batches(0), batches(2), strict=True):
        torch.testing.assert_close(index, other_index)
        torch.testing.assert_close(pixels, other, rtol=0, atol=0)


def test_without_augmentation_pixels_are_those_of_the_picture(photos, source):
    source.augment = None
    for epoch in range(3):
        index, pixels = source[(epoch, 1)]
        assert index == 1
        expected = InputTransform(16).pixels(photos.pictures.source(1))
        torch.testing.assert_close(pixels, expected, rtol=0, atol=0)


def test_pixels_from_memory_are_those_from_files_and_never_changed_twice(source):
    from_files = [source[(1, index)][1] for index in range(len(source))]
    source.augment, augment = None, source.augment
    source.fill_cache(workers=0)
    source.augment = augment
    for index, expected in enumerate(from_files):
        torch.testing.assert_close(source[(1, index)][1], expected, rtol=0, atol=0)


def test_all_changes_at_strength_zero_are_none():
    nothing = AugmentConfig(flip=0, color_jitter=0, rotation_deg=0, crop_scale=1, grayscale=0)
    assert augmentation(nothing, 16) is None


@pytest.mark.parametrize(
    "name", ["flip", "vertical_flip", "color_jitter", "hue", "rotation_deg", "crop_scale", "grayscale"]
)
def test_each_change_changes_pixels_and_keeps_their_kind(name):
    none = {"flip": 0.0, "color_jitter": 0.0, "rotation_deg": 0.0, "crop_scale": 1.0, "grayscale": 0.0}
    strong = {"flip": 1.0, "color_jitter": 0.5, "rotation_deg": 30.0, "crop_scale": 0.3, "grayscale": 1.0}
    strong |= {"vertical_flip": 1.0, "hue": 0.5}
    torch.manual_seed(0)
    pixels = torch.randint(0, 255, (3, 16, 16), dtype=torch.uint8)
    changed = augmentation(AugmentConfig(**{**none, name: strong[name]}), 16)(pixels)
    assert (changed.shape, changed.dtype) == (pixels.shape, torch.uint8)
    assert not torch.equal(changed, pixels)


STILL = {"flip": 0.0, "color_jitter": 0.0, "rotation_deg": 0.0}


def test_a_vertical_flip_puts_the_sky_below_and_a_horizontal_one_does_not():
    pixels = torch.arange(3 * 16 * 16).reshape(3, 16, 16).to(torch.uint8)
    upside_down = augmentation(AugmentConfig(**{**STILL, "vertical_flip": 1.0}), 16)(pixels)
    torch.testing.assert_close(upside_down, pixels.flip(1), rtol=0, atol=0)
    mirrored = augmentation(AugmentConfig(**{**STILL, "flip": 1.0}), 16)(pixels)
    torch.testing.assert_close(mirrored, pixels.flip(2), rtol=0, atol=0)


def test_a_crop_is_the_random_resized_crop_of_torchvision():
    pixels = torch.randint(0, 255, (3, 32, 32), dtype=torch.uint8)
    ours = augmentation(AugmentConfig(**STILL, crop_scale=0.08, crop_ratio=(3 / 4, 4 / 3)), 32)
    theirs = v2.RandomResizedCrop(32, antialias=True)
    for seed in range(20):
        torch.manual_seed(seed)
        found = ours(pixels)
        torch.manual_seed(seed)
        torch.testing.assert_close(found, theirs(pixels), rtol=0, atol=0)


def test_the_share_of_a_crop_is_one_of_the_area():
    config = AugmentConfig(**STILL, crop_scale=0.5)
    (crop,) = augmentation(config, 64).transforms
    boxes = [crop.make_params([torch.zeros(3, 640, 640)]) for _ in range(300)]
    areas = np.array([box["height"] * box["width"] / 640**2 for box in boxes])
    ratios = np.array([box["width"] / box["height"] for box in boxes])
    assert 0.49 < areas.min() < 0.53
    assert areas.max() > 0.9
    assert 0.79 < ratios.min() < ratios.max() < 1.27


def test_hue_alone_turns_colours_and_keeps_grey_grey():
    change = augmentation(AugmentConfig(**STILL, hue=0.5), 16)
    grey = torch.full((3, 16, 16), 100, dtype=torch.uint8)
    torch.testing.assert_close(change(grey), grey, rtol=0, atol=1)
    red = torch.zeros(3, 16, 16, dtype=torch.uint8)
    red[0] = 200
    torch.manual_seed(0)
    assert any(not torch.equal(change(red), red) for _ in range(3))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"vertical_flip": 1.5}, r"--augment\.vertical-flip is a probability from 0 to 1, got 1\.5"),
        ({"hue": 0.6}, r"--augment\.hue is a share of the colour circle from 0 to 0\.5, got 0\.6"),
        ({"crop_ratio": (1.25, 0.8)}, r"--augment\.crop-ratio takes the least and the greatest ratio"),
    ],
)
def test_changes_that_cannot_be_made_are_refused(flags, words):
    with pytest.raises(ValueError, match=words):
        AugmentConfig(**flags)


@pytest.mark.parametrize("flags", [{"cutmix": 1.0}, {"mixup": 0.4}, {"cutmix": 1.0, "mixup": 0.4}])
def test_mixed_pictures_say_how_much_of_which_they_hold(flags):
    torch.manual_seed(0)
    # Picture k is black but for channel k: its share can be read off the pixels.
    images = torch.eye(3)[:, :, None, None].expand(3, 3, 32, 32).contiguous()
    for _ in range(5):
        mixed, shares = mix_pictures(images, AugmentConfig(**flags))
        torch.testing.assert_close(shares.sum(dim=1), torch.ones(3))
        torch.testing.assert_close(mixed.mean(dim=(2, 3)), shares, atol=1e-4, rtol=1e-4)


def test_pictures_are_mixed_only_when_asked_and_never_alone():
    images = torch.rand(2, 3, 8, 8)
    assert mix_pictures(images, AugmentConfig())[1] is None
    assert mix_pictures(images[:1], AugmentConfig(cutmix=1.0))[1] is None


def test_the_truth_of_photographs_is_that_of_the_manifest(tiny, tiny_run, photos):
    table = read_manifest(tiny)
    points = coordinates(table[table["split"] == "train"])
    targets = photos.targets(torch.tensor([4, 0]), [0, 3], torch.device("cpu"))
    np.testing.assert_allclose(targets.vectors.numpy(), unit_vectors(points[[4, 0]]), atol=1e-6)
    np.testing.assert_array_equal(targets.classes.numpy(), read_hierarchy(tiny_run).classes(points[[4, 0]])[:, [0, 3]])


@pytest.mark.parametrize("workers", [0, 1])
def test_a_photograph_that_cannot_be_read_is_one_line_from_any_worker(photos, tmp_path, workers):
    paths = [photos.pictures.source(index) for index in range(len(photos))]
    paths[3] = tmp_path / "gone.jpg"
    pictures = Pictures.of_files(paths)
    source = PixelSource(LabelledPhotos(pictures, photos.latlon_deg, photos.classes), InputTransform(16))
    loader = DataLoader(source, 5, sampler=InOrder(len(source)), num_workers=workers)
    with pytest.raises(ValueError, match=r"gone\.jpg: no such file: mend it, or make the dataset again") as refused:
        list(readable(loader))
    assert "\n" not in str(refused.value)


def test_mixed_seeds_are_all_different_and_fit_a_generator():
    seeds = {mixed_seed(seed, epoch, index) for seed in range(-1, 3) for epoch in range(10) for index in range(50)}
    assert len(seeds) == 4 * 10 * 50
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert mixed_seed(1, 23) != mixed_seed(12, 3)
