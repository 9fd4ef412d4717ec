"""Views are level: the pitch and the roll that a panorama states are undone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.spatial.transform import Rotation

from dataset.panoramas import cut_views, find_sphere
from dataset.perspective import perspective, untilted, within
from dataset.spheres import Sphere, stated_sphere
from tests.spheres import colours, gpano, panorama

SIDE = 64
LEVEL = panorama(1024)


def turned(azimuth_deg, elevation_deg, pitch, roll):
    """Return the level directions of directions of a tilted camera, by rotation matrices: x is ahead, y left, z up."""
    azimuth, elevation = np.radians(azimuth_deg), np.radians(elevation_deg)
    own = np.stack([np.cos(elevation) * np.cos(azimuth), -np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], -1)
    pose = Rotation.from_euler("y", -pitch, degrees=True) * Rotation.from_euler("x", roll, degrees=True)
    x, y, z = np.moveaxis(pose.apply(own.reshape(-1, 3)).reshape(own.shape), -1, 0)
    return np.degrees(np.arctan2(-y, x)), np.degrees(np.arcsin(z.clip(-1, 1)))


def tilted(pitch, roll, left=-180.0, across=360.0, top=90.0, down=180.0, width=1024):
    """Return the equirectangular picture that a tilted camera takes of the sphere of `colours`."""
    height = round(width * down / across)
    azimuth = left + (np.arange(width) + 0.5) / width * across
    elevation = top - (np.arange(height) + 0.5) / height * down
    return Image.fromarray(colours(*turned(*np.meshgrid(azimuth, elevation), pitch, roll)).round().astype(np.uint8))


@settings(max_examples=25, deadline=None)
@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(-180, 180))
def test_views_of_a_tilted_sphere_are_those_of_the_level_one(pitch, roll, yaw):
    seen = perspective(tilted(pitch, roll), Sphere(pitch_deg=pitch, roll_deg=roll), yaw, (SIDE, SIDE))
    level = perspective(LEVEL, Sphere(), yaw, (SIDE, SIDE))
    assert np.abs(np.asarray(seen, dtype=float) - np.asarray(level, dtype=float)).max() <= 6


@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(-180, 180), st.floats(-89, 89))
def test_undoing_a_tilt_is_the_inverse_of_tilting(pitch, roll, azimuth, elevation):
    there = turned(np.array(azimuth), np.array(elevation), pitch, roll)
    back = untilted(Sphere(pitch_deg=pitch, roll_deg=roll), *there)
    assert colours(*back) == pytest.approx(colours(np.array(azimuth), np.array(elevation)), abs=1e-3)


def test_a_camera_that_looked_up_has_its_middle_above_the_horizon():
    # PosePitchDegrees: degrees above the horizon of the middle of the picture.
    assert untilted(Sphere(pitch_deg=20), np.array(0.0), np.array(20.0)) == pytest.approx((0, 0), abs=1e-9)


def test_as_roll_grows_the_horizon_of_the_picture_turns_against_the_clock():
    # PoseRollDegrees, in these words: the level right end of the horizon lies higher in the picture.
    azimuth, elevation = untilted(Sphere(roll_deg=10), np.array(90.0), np.array(0.0))
    assert (azimuth, elevation) == pytest.approx((90, 10))


@pytest.mark.parametrize(("pitch", "roll"), [(15, 0), (0, 20), (-25, 40), (10, -170)])
def test_the_horizon_of_every_view_is_level(pitch, roll, tmp_path):
    width, height = 1024, 512
    azimuth = -180 + (np.arange(width) + 0.5) / width * 360
    elevation = 90 - (np.arange(height) + 0.5) / height * 180
    above = turned(*np.meshgrid(azimuth, elevation), pitch, roll)[1] > 0
    pixels = np.where(above[..., None], (90, 150, 240), (60, 90, 40)).astype(np.uint8)
    path = tmp_path / "pano.png"
    Image.fromarray(pixels).save(path)
    path = tmp_path / "pano.jpg"
    Image.fromarray(pixels).save(
        path, xmp=gpano(PosePitchDegrees=pitch, PoseRollDegrees=roll), quality=95, subsampling=0
    )
    sphere = find_sphere(path)
    assert sphere == Sphere(pitch_deg=pitch, roll_deg=roll)
    for view in cut_views(path, sphere, [0.0, 90.0, -180.0, -90.0], SIDE):
        sky = np.asarray(view, dtype=int)[..., 2] > 140
        # The sky ends in the middle row, in every column.
        assert sky.sum(axis=0) == pytest.approx(SIDE / 2, abs=1)
        assert sky[: SIDE // 2 - 1].all()


@pytest.mark.parametrize("yaw", [-30.0, 0.0, 20.0])
def test_views_of_a_tilted_part_hold_nothing_beyond_it(yaw):
    part = tilted(8, -6, left=-80, across=160, top=30, down=60)
    view = np.asarray(perspective(part, Sphere(-80, 160, 30, 60, None, 8, -6), yaw, (128, 128)), dtype=float)
    level = np.asarray(perspective(LEVEL, Sphere(), yaw, (128, 128)), dtype=float)
    height, width = view.shape[:2]
    assert width > 90
    assert height > 40
    # It is a window of the level view, to the pixel.
    apart = [
        np.abs(level[top : top + height, left : left + width] - view).max()
        for top in range(129 - height)
        for left in range(129 - width)
    ]
    assert min(apart) <= 6


def test_a_part_that_is_tilted_away_from_the_horizon_is_cut_as_it_lies():
    part = panorama(512, left=-40, across=80, top=20, down=40)
    sphere = Sphere(-40, 80, 20, 40)
    away = Sphere(-40, 80, 20, 40, None, 85.0, 0.0)
    assert perspective(part, away, 0, (SIDE, SIDE)) == perspective(part, sphere, 0, (SIDE, SIDE))


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=9), min_size=1, max_size=9))
def test_what_is_kept_of_a_view_is_shown(cells):
    width = max(map(len, cells))
    shown = np.array([row + [True] * (width - len(row)) for row in cells])
    rows, columns = within(shown)
    assert shown[rows, columns].all()
    if shown.all():
        assert (rows, columns) == (slice(0, len(cells)), slice(0, width))


def test_a_tilt_that_cannot_be_counts_for_nothing():
    text = gpano(PosePitchDegrees=123, PoseRollDegrees=5, PoseHeadingDegrees=10).decode()
    assert stated_sphere(text, 2000, 1000) == Sphere(heading_deg=10)
    text = gpano(PosePitchDegrees=-7.5, PoseRollDegrees=5).decode()
    assert stated_sphere(text, 2000, 1000) == Sphere(pitch_deg=-7.5, roll_deg=5)


def test_numbers_may_have_all_the_decimals_of_a_float():
    text = gpano(
        PosePitchDegrees="0.30000001192092896", PoseRollDegrees="1.5e-05", PoseHeadingDegrees="123.4000015258789"
    )
    sphere = stated_sphere(text.decode(), 2000, 1000)
    assert (sphere.pitch_deg, sphere.roll_deg) == pytest.approx((0.3, 1.5e-5))
    assert sphere.heading_deg == pytest.approx(123.4)
