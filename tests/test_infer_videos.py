"""A video has one answer, of frames that are answered as one place."""

import logging

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import infer
from dataset.panoramas import cut_views
from dataset.spheres import Sphere
from infer.config import InferConfig
from infer.cutter import Cutter
from infer.parts import View
from infer.predict import main as predict
from plumbing.files import read_json
from plumbing.videos import frames_of
from tests.clip_boxes import said_by_sv3d, said_by_xml, write_sphere_clip
from tests.clips import write_clip
from tests.spheres import panorama
from tests.tiny import PLACES, write_square
from viz.maps.prediction import prediction_html

pytest.importorskip("av", reason="videos are read by PyAV, which is optional (pip install av)")


@pytest.fixture(scope="module")
def model(calibrated):
    return infer.load(calibrated, device="cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a clip of five seconds that has a place, a photograph, and a damaged clip."""
    path = tmp_path_factory.mktemp("clips")
    write_clip(path / "clip.mp4", seconds=5, tags={"location": "+48.8577+002.2950/"})
    write_square(path / "suva.jpg", PLACES["suva"][2], np.random.default_rng(1))
    (path / "torn.mp4").write_bytes((path / "clip.mp4").read_bytes()[:300])
    return path


def asked(run, out, *photos, **flags):
    return InferConfig(photos=photos, run=run, out=out, device="cpu", workers=0, **flags)


def test_a_clip_has_one_answer_of_a_frame_every_two_seconds(model, folder):
    p = model.predict(folder / "clip.mp4")
    assert [(view.kind, view.at_s) for view in p.views] == [("video", 0.0), ("video", 2.0), ("video", 4.0)]
    assert [view.at_s for view in model.predict(folder / "clip.mp4", every_s=1).views] == [0, 1, 2, 3, 4]
    assert len(model.predict((folder / "clip.mp4").read_bytes()).views) == 3


def test_the_place_that_a_phone_wrote_is_the_known_one(model, folder):
    known = model.predict(folder / "clip.mp4").known
    assert (known.source, known.latitude, known.longitude) == ("video", 48.8577, 2.295)
    assert known.distance_km > 0


def test_the_answer_says_that_it_was_a_video_in_every_file_and_on_its_page(calibrated, folder, tmp_path):
    predict(asked(calibrated, tmp_path, folder / "clip.mp4", every="1s"))
    (record,) = read_json(tmp_path / "predictions.json")
    assert [view["at_s"] for view in record["views"]] == [0, 1, 2, 3, 4]
    assert pd.read_csv(tmp_path / "predictions.csv")["read_as"].tolist() == ["a video, of which 5 frames are taken"]
    html = prediction_html(infer.load(calibrated, device="cpu").predict(folder / "clip.mp4", every_s=1))
    assert "Read as a video, of which 5 frames are taken" in html
    assert html.count('alt="clip.mp4 at ') == 6
    assert "The video says 48.8577° N, 2.2950° E" in html


def test_videos_of_a_folder_are_named_and_taken_when_asked_for(calibrated, folder, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    predict(asked(calibrated, tmp_path / "a", folder, maps=False))
    assert "skipped: 2 videos (.mp4); video: add --every 2s to answer their frames" in caplog.text
    assert len(read_json(tmp_path / "a" / "predictions.json")) == 1
    predict(asked(calibrated, tmp_path / "b", folder, maps=False, every="2s"))
    assert [record["input"] for record in read_json(tmp_path / "b" / "predictions.json")] == ["clip.mp4", "suva.jpg"]
    assert "torn.mp4: damaged or cut short" in caplog.text


def test_in_bulk_a_damaged_clip_is_a_row_with_its_problem(calibrated, folder, tmp_path):
    predict(asked(calibrated, tmp_path / "bulk", folder, bulk=True, every="2s"))
    table = pd.read_parquet(tmp_path / "bulk")
    assert table["read_as"].fillna("").tolist() == ["a video, of which 3 frames are taken", "", ""]
    assert table["problem"].isna().tolist() == [True, True, False]
    assert "torn.mp4: damaged or cut short" in table["problem"].iloc[2]
    predict(asked(calibrated, tmp_path / "single", folder / "clip.mp4", maps=False))
    single = pd.read_csv(tmp_path / "single" / "predictions.csv")
    assert table["latitude"].iloc[0] == pytest.approx(single["latitude"].iloc[0], abs=1e-4)


def test_the_flag_is_refused_without_a_video_and_with_other_values(calibrated, folder, tmp_path):
    with pytest.raises(ValueError, match="--every 2s takes frames of videos, and no video is given: leave it out"):
        predict(asked(calibrated, tmp_path, folder / "suva.jpg", every="2s"))
    with pytest.raises(ValueError, match="--every 2s takes frames of videos, and no video is given"):
        predict(asked(calibrated, tmp_path / "bulk", folder / "suva.jpg", every="2s", bulk=True))
    (tmp_path / "empty.mp4").write_bytes(b"")
    with pytest.raises(ValueError, match=r"empty.mp4: the file is empty \(0 bytes\)"):
        predict(asked(calibrated, tmp_path / "a", tmp_path / "empty.mp4", every="2s"))
    for text in ("0", "-1s", "two", "nan", "1m", "1e3"):
        with pytest.raises(ValueError, match="--every takes seconds above 0"):
            asked(calibrated, tmp_path, folder, every=text)


def test_fewer_frames_than_asked_for_are_said(model, folder):
    p = model.predict(write_clip(folder.parent / "long.mp4", seconds=20), every_s=0.1)
    assert len(p.views) == 100
    assert "at most 100 frames of a video are taken: one every 0.2 s, not every 0.1 s" in p.warnings


def test_frames_of_other_places_are_said():
    from infer.views import views_warnings

    views = [View("video", at_s=2.0 * k, contradicts=k == 3) for k in range(5)]
    assert views_warnings(views, 2.0) == [
        "1 of 5 frames contradicts the others: at 6 s; does the clip show several places?"
    ]


def test_without_pyav_one_line_says_what_to_install(model, folder, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(ValueError, match=r"clip\.mp4: it is a video, which PyAV reads: run `pip install av`"):
        model.predict(folder / "clip.mp4")


def test_stripped_copies_pass_by_a_video(calibrated, folder, tmp_path, caplog):
    predict(asked(calibrated, tmp_path, folder / "clip.mp4", folder / "suva.jpg", maps=False, strip=True))
    assert [path.name for path in (tmp_path / "stripped").iterdir()] == ["suva.jpg"]
    assert "clip.mp4 is a video and has no stripped copy" in caplog.text


def test_the_app_reads_no_videos(calibrated, folder):
    from infer.prepared import Options
    from infer.serve.photographs import Photographs

    with pytest.raises(ValueError, match=r"clip\.mp4 .*video"):
        Photographs(infer.load(calibrated, device="cpu"), Options()).one(folder / "clip.mp4", Options())


def test_the_same_clip_has_the_same_page_twice(model, folder):
    pages = [prediction_html(model.predict(folder / "clip.mp4")) for _ in range(2)]
    assert pages[0].count("<figure") == pages[1].count("<figure") == 6


YAWS = [0.0, 90.0, -180.0, -90.0]


@pytest.fixture(scope="module")
def round_clip(tmp_path_factory):
    """Return a clip of three seconds, a frame a second, that shows the whole sphere around a camera, and does not say so."""
    path = tmp_path_factory.mktemp("round") / "round.mp4"
    return write_sphere_clip(path, [panorama(1024)] * 3)


def pictures_of(content, **flags):
    return Cutter(every_s=1.0, **flags).pictures(content, 64)


def means(found):
    return np.array([np.asarray(picture, dtype=float).mean(axis=(0, 1)) for picture, _ in found])


def test_frames_of_a_360_degree_video_are_cut_into_views(round_clip):
    found = pictures_of(round_clip)
    assert [(view.kind, view.at_s, view.yaw_deg) for _, view in found] == [
        ("video", at_s, yaw) for at_s in (0.0, 1.0, 2.0) for yaw in YAWS
    ]
    views = cut_views(panorama(1024), Sphere(), YAWS, 64)
    for (picture, _), view in zip(found, views * 3, strict=True):
        assert picture.size == (64, 64)
        assert np.abs(np.asarray(picture, dtype=float) - np.asarray(view, dtype=float)).mean() < 4


@pytest.mark.parametrize("said", [said_by_xml, said_by_sv3d])
def test_metadata_say_that_a_narrow_or_stretched_video_is_a_sphere(said, tmp_path):
    squeezed = panorama(1024).resize((512, 288))
    content = write_sphere_clip(tmp_path / "a.mp4", [squeezed]).read_bytes()
    assert [view.yaw_deg for _, view in pictures_of(content)] == [None]
    found = pictures_of(said(content))
    assert [view.yaw_deg for _, view in found] == YAWS
    expected = [(view, None) for view in cut_views(panorama(1024), Sphere(), YAWS, 64)]
    assert means(found) == pytest.approx(means(expected), abs=4)


def test_where_the_viewer_begins_to_look_is_no_tilt_of_the_camera(round_clip):
    said = pictures_of(said_by_xml(round_clip.read_bytes(), InitialViewPitchDegrees="40", InitialViewRollDegrees="9"))
    assert means(said) == pytest.approx(means(pictures_of(round_clip)), abs=1e-6)


def test_the_tilt_of_a_video_is_undone(round_clip):
    said = pictures_of(said_by_sv3d(round_clip.read_bytes(), pitch=20, roll=-30))
    expected = cut_views(panorama(1024), Sphere(pitch_deg=20, roll_deg=-30), YAWS, 64)
    assert means(said) == pytest.approx(means([(view, None) for view in expected * 3]), abs=4)


def test_a_video_of_half_a_sphere_is_cut_within_it(tmp_path):
    part = panorama(720, left=-90, across=180, top=45, down=90)
    content = write_sphere_clip(tmp_path / "a.mp4", [part]).read_bytes()
    found = pictures_of(said_by_sv3d(content, crop=(0.25, 0.25, 0.25, 0.25)))
    assert [view.yaw_deg for _, view in found] == [-45, 45]
    expected = cut_views(part, Sphere(-90, 180, 45, 90), [-45, 45], 64)
    assert means(found) == pytest.approx(means([(view, None) for view in expected]), abs=4)


def test_of_two_eyes_the_first_is_looked_with(tmp_path):
    left, right = panorama(512), panorama(512, seed=3)
    above = Image.new("RGB", (512, 512))
    above.paste(left, (0, 0))
    above.paste(right, (0, 256))
    content = write_sphere_clip(tmp_path / "a.mp4", [above]).read_bytes()
    expected = means([(view, None) for view in cut_views(left, Sphere(), YAWS, 64)])
    for said in (said_by_sv3d(content, stereo=1), said_by_xml(content, StereoMode="top-bottom")):
        assert means(pictures_of(said)) == pytest.approx(expected, abs=4)
    beside = Image.new("RGB", (1024, 256))
    beside.paste(left, (0, 0))
    beside.paste(right, (512, 0))
    content = write_sphere_clip(tmp_path / "b.mp4", [beside]).read_bytes()
    assert means(pictures_of(said_by_sv3d(content, stereo=2))) == pytest.approx(expected, abs=4)


def test_a_video_of_another_projection_is_answered_as_it_is(round_clip):
    assert [view.yaw_deg for _, view in pictures_of(said_by_sv3d(round_clip.read_bytes(), cube=True))] == [None] * 3


def test_an_ordinary_video_of_two_to_one_is_not_cut_unless_asked(tmp_path):
    view = panorama(2048, left=-90, across=180, top=45, down=90).resize((1024, 512))
    clip = write_sphere_clip(tmp_path / "a.mp4", [view] * 2)
    assert [v.yaw_deg for _, v in pictures_of(clip)] == [None, None]
    assert [v.yaw_deg for _, v in pictures_of(clip, panorama="2")] == [0.0, -180.0] * 2


def test_a_clip_that_begins_in_black_is_told_by_its_other_frames(tmp_path):
    clip = write_sphere_clip(tmp_path / "a.mp4", [Image.new("RGB", (1024, 512)), *[panorama(1024)] * 2])
    assert len(pictures_of(clip)) == 12


def test_off_answers_the_squashed_frames(round_clip):
    said = said_by_sv3d(round_clip.read_bytes())
    assert [(v.yaw_deg, picture.size) for picture, v in pictures_of(said, panorama="off")] == [(None, (1024, 512))] * 3


def test_frames_of_spheres_are_as_large_as_their_views_need(tmp_path):
    clip = write_sphere_clip(tmp_path / "a.mp4", [panorama(2048)])
    (frame,) = frames_of(clip, 1.0)
    assert frame.picture.size == (1024, 512)
    picture, _ = Cutter().pictures(clip, 600)[0]
    assert picture.size == (600, 600)


def test_the_answer_of_a_360_degree_video_says_its_frames_and_views(calibrated, model, round_clip, tmp_path, capsys):
    p = model.predict(round_clip, every_s=1)
    assert len(p.views) == 12
    still = tmp_path / "still.png"
    panorama(1024).save(still)
    assert p.point == pytest.approx(model.predict(still).point, abs=1)
    predict(asked(calibrated, tmp_path / "a", round_clip, every="1s"))
    words = "a 360-degree video, of which 3 frames are cut into 12 views"
    assert pd.read_csv(tmp_path / "a" / "predictions.csv")["read_as"].tolist() == [words]
    assert f"; read as {words}\n" in capsys.readouterr().out
    assert f"Read as {words}, answered together as one place." in prediction_html(p)
    predict(asked(calibrated, tmp_path / "bulk", round_clip, bulk=True, every="1s"))
    assert pd.read_parquet(tmp_path / "bulk")["read_as"].tolist() == [words]


def test_a_frame_of_a_360_degree_video_contradicts_with_all_its_views_or_not_at_all():
    from infer.views import views_warnings

    views = [
        View("video", yaw_deg=yaw, at_s=2.0 * k, contradicts=k == 1 or (k == 0 and yaw == 90))
        for k in range(3)
        for yaw in YAWS
    ]
    assert views_warnings(views, 2.0) == [
        "1 of 3 frames contradicts the others: at 2 s; does the clip show several places?"
    ]
