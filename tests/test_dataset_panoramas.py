import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from dataset.panorama_flag import views_wanted
from dataset.panoramas import cut_views, find_sphere, view_yaws
from dataset.perspective import perspective
from dataset.spheres import Sphere, looks_whole, stated_sphere
from tests.spheres import colours, gpano, panorama

WHOLE = panorama(720)


def straight_ahead(view):
    """Return the mean of the four pixels around the middle of a view."""
    middle = np.asarray(view, dtype=float)
    row, column = middle.shape[0] // 2, middle.shape[1] // 2
    return middle[row - 1 : row + 1, column - 1 : column + 1].mean(axis=(0, 1))


@given(st.floats(-720, 720))
def test_the_middle_of_a_view_is_what_lies_in_its_direction(yaw):
    view = perspective(WHOLE, Sphere(), yaw, (64, 64))
    assert straight_ahead(view) == pytest.approx(colours(np.array(yaw), np.array(0.0)), abs=3)


@given(st.floats(-180, 180), st.integers(0, 63), st.integers(0, 63))
def test_every_pixel_of_a_view_is_the_colour_of_its_direction(yaw, row, column):
    # By rotating a ray instead of by adding angles.
    ray = np.array([32.0, column - 31.5, 31.5 - row])
    turn = np.radians(yaw)
    ahead, right = ray[0] * np.cos(turn) - ray[1] * np.sin(turn), ray[0] * np.sin(turn) + ray[1] * np.cos(turn)
    azimuth, elevation = np.degrees(np.arctan2(right, ahead)), np.degrees(np.arcsin(ray[2] / np.linalg.norm(ray)))
    view = np.asarray(perspective(WHOLE, Sphere(), yaw, (64, 64)), dtype=float)
    assert view[row, column] == pytest.approx(colours(azimuth, elevation), abs=3)


def test_a_view_over_the_edge_of_the_picture_has_no_seam():
    ahead = np.asarray(perspective(WHOLE, Sphere(), 0, (128, 128)), dtype=float)
    turned = Image.fromarray(np.roll(np.asarray(WHOLE), 360, axis=1))
    over = np.asarray(perspective(turned, Sphere(), 180, (128, 128)), dtype=float)
    assert np.abs(ahead - over).max() <= 1


@pytest.mark.parametrize("yaw", [-10.0, 0.0, 25.0])
def test_a_part_of_a_sphere_is_cut_without_what_it_lacks(yaw):
    part = panorama(720, left=-100, across=200, top=30, down=50)
    view = perspective(part, Sphere(-100, 200, 30, 50), yaw, (128, 128))
    assert view.width == 128
    # Of the 90 degrees from top to bottom, 30 above and 20 below the horizon, on a plane.
    assert view.height == pytest.approx(64 * (np.tan(np.radians(30)) + np.tan(np.radians(20))), abs=1)
    horizon = np.asarray(view, dtype=float)[int(64 * np.tan(np.radians(30))), 63:65].mean(axis=0)
    assert horizon == pytest.approx(colours(np.array(yaw), np.array(0.0)), abs=5)


@given(st.integers(1, 36), st.floats(-180, 179), st.floats(20, 359))
def test_views_of_a_part_lie_within_it(count, left, across):
    yaws = view_yaws(Sphere(left, across, 40, 70), str(count))
    half = min(90, across) / 2
    assert len(yaws) == count
    for yaw in yaws:
        beyond = (yaw - half - left + 1e-6) % 360
        assert beyond <= across - 2 * half + 1e-3


def test_a_whole_circle_is_cut_into_four_views_that_meet():
    assert view_yaws(Sphere()) == [0, 90, -180, -90]
    assert view_yaws(Sphere(), "3") == [0, 120, -120]
    assert view_yaws(Sphere(-90, 180, 30, 60)) == [-45, 45]
    assert view_yaws(Sphere(-60, 80, 30, 60)) == [-20]


def test_what_a_file_says_of_its_crop_is_read_in_degrees():
    fields = {
        "FullPanoWidthPixels": 8000,
        "FullPanoHeightPixels": 4000,
        "CroppedAreaImageWidthPixels": 4000,
        "CroppedAreaImageHeightPixels": 1000,
        "CroppedAreaLeftPixels": 1000,
        "CroppedAreaTopPixels": 1500,
        "PoseHeadingDegrees": 350.5,
        "PosePitchDegrees": 3.5,
        "PoseRollDegrees": -2,
    }
    expected = Sphere(-135.0, 180.0, 22.5, 45.0, 350.5, 3.5, -2)
    assert stated_sphere(gpano(**fields).decode(), 4000, 1000) == expected
    # Shrunk since; cropped since.
    assert stated_sphere(gpano(**fields).decode(), 1000, 250) == expected
    assert stated_sphere(gpano(**fields).decode(), 1000, 700) is None


def test_fields_may_be_elements():
    text = "<GPano:ProjectionType>equirectangular</GPano:ProjectionType><GPano:PoseHeadingDegrees>-90</GPano:PoseHeadingDegrees>"
    assert stated_sphere(text, 2000, 1000) == Sphere(heading_deg=270)


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({"ProjectionType": "cylindrical"}, (2000, 1000)),
        ({}, (1500, 1000)),
        ({}, (128, 64)),
        ({"FullPanoWidthPixels": 0, "FullPanoHeightPixels": 0, "CroppedAreaImageWidthPixels": 0}, (1500, 1000)),
        ({"PoseHeadingDegrees": "nan"}, (1500, 1000)),
    ],
)
def test_what_is_no_equirectangular_picture_is_none(fields, size):
    assert stated_sphere(gpano(**fields).decode(), *size) is None


@given(st.text(alphabet='GPano:ProjectionType ="equirectangular<>\n\t', max_size=200))
def test_damaged_fields_never_raise(text):
    stated_sphere(f"GPano:ProjectionType{text}", 2000, 1000)


def test_a_long_gap_in_the_fields_takes_no_time():
    assert stated_sphere("GPano:ProjectionType" + " " * 2_000_000, 2000, 1000) is None


def test_a_file_that_says_so_is_a_panorama_and_one_that_is_turned_is_not(tmp_path):
    path = tmp_path / "pano.jpg"
    panorama(512).save(path, xmp=gpano(PoseHeadingDegrees=90))
    assert find_sphere(path) == Sphere(heading_deg=90)
    assert find_sphere(path.read_bytes()) == Sphere(heading_deg=90)
    with Image.open(path) as opened:
        assert find_sphere(opened) == Sphere(heading_deg=90)
    assert find_sphere(path, "off") is None
    exif = Image.Exif()
    exif[0x0112] = 6
    panorama(512).save(path, xmp=gpano(), exif=exif)
    assert find_sphere(path) is None


@pytest.mark.parametrize("seed", range(5))
def test_a_sphere_is_told_by_its_pixels(seed, tmp_path):
    path = tmp_path / "pano.jpg"
    panorama(1024, seed=seed).save(path, quality=85)
    assert find_sphere(path) == Sphere()


def ordinary_pictures():
    """Yield pictures of 2:1 that are no spheres: part of one, in bars, in a frame, a logo on white, a gradient, noise."""
    view = perspective(panorama(2048), Sphere(), 20, (1024, 1024)).crop((0, 256, 1024, 768))
    yield pytest.param(view, id="a crop of a photograph")
    yield pytest.param(ImageOps.expand(view.resize((1024, 412)), (0, 50), "black"), id="bars above and below")
    yield pytest.param(ImageOps.expand(view.resize((984, 472)), 20, "white"), id="a frame")
    logo = Image.new("RGB", (1024, 512), "white")
    logo.paste(view.resize((300, 200)), (362, 156))
    yield pytest.param(logo, id="a logo on white")
    down = np.linspace(230, 40, 512)[:, None, None] * np.ones((1, 1024, 3))
    yield pytest.param(Image.fromarray(down.astype(np.uint8)), id="a gradient")
    noise = np.random.default_rng(0).integers(0, 255, (512, 1024, 3), dtype=np.uint8)
    yield pytest.param(Image.fromarray(noise), id="noise")
    # The edges join, and no more.
    mirrored = Image.new("RGB", (1024, 512))
    mirrored.paste(view.resize((512, 512)), (0, 0))
    mirrored.paste(ImageOps.mirror(view.resize((512, 512))), (512, 0))
    yield pytest.param(mirrored, id="a mirrored photograph")
    yield pytest.param(panorama(1024, left=-90, across=180, top=45, down=90), id="a part of a sphere")


@pytest.mark.parametrize("picture", list(ordinary_pictures()))
def test_an_ordinary_picture_of_two_to_one_is_no_panorama(picture, tmp_path):
    assert not looks_whole(picture)
    picture.save(tmp_path / "wide.png")
    assert find_sphere(tmp_path / "wide.png") is None
    # Where a number of views is asked for, the shape suffices.
    assert find_sphere(tmp_path / "wide.png", "4") == Sphere()


def test_no_crop_of_a_real_photograph_is_taken_for_a_panorama(shared_data):
    taken = []
    for path in sorted((shared_data / "photos").rglob("*.jpg")):
        with Image.open(path) as opened:
            photo = opened.convert("RGB")
        for top in (0.0, 0.5, 1.0):
            height = min(photo.height, photo.width // 2)
            above = round((photo.height - height) * top)
            taken += [path.name] if looks_whole(photo.crop((0, above, photo.width, above + height))) else []
    assert taken == []


def test_a_damaged_panorama_is_refused_by_name_when_it_is_cut(tmp_path):
    path = tmp_path / "torn.jpg"
    panorama(512).save(path, xmp=gpano())
    path.write_bytes(path.read_bytes()[:4000])
    sphere = find_sphere(path)
    assert sphere is not None
    with pytest.raises(ValueError, match=r"torn\.jpg: damaged or cut short"):
        cut_views(path, sphere, [0.0], 64)


def test_views_are_no_larger_than_the_panorama_has_detail_for():
    view, *_ = cut_views(panorama(1024), Sphere(), [0.0], 2000)
    assert view.size == (326, 326)
    view, *_ = cut_views(panorama(1024), Sphere(), [0.0], 100)
    assert view.size == (100, 100)


@pytest.mark.parametrize("text", ["four", "0", "-1", "37", "", "²", "2.5"])
def test_other_values_of_the_flag_are_refused(text):
    with pytest.raises(ValueError, match="--panorama is auto, off, or a number of views from 1 to 36, got"):
        views_wanted(text)
