"""A video has one answer, of frames that are answered as one place."""

import logging

import numpy as np
import pandas as pd
import pytest

import infer
from infer.config import InferConfig
from infer.predict import main as predict
from plumbing.files import read_json
from tests.clips import write_clip
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
    assert "passed by: 2 videos (.mp4); video: add --every 2s to answer their frames" in caplog.text
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
    from infer.parts import View
    from infer.views import views_warnings

    views = [View("video", at_s=2.0 * k, contradicts=k == 3) for k in range(5)]
    assert views_warnings(views, 2.0) == [
        "1 of 5 frames contradict the others: at 6 s; does the clip show several places?"
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
