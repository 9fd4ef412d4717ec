"""Frames and metadata of videos that these tests write themselves."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbing.videos import MOST_FRAMES, frames_of, is_video, latlon_of_iso6709, video_latlon_deg
from tests.clips import write_clip

pytest.importorskip("av", reason="videos are read by PyAV, which is optional (pip install av)")

KINDS = [
    ("a.mp4", "libx264"),
    ("a.mov", "libx264"),
    ("a.mkv", "libx264"),
    ("a.webm", "libvpx-vp9"),
    ("a.avi", "mpeg4"),
    ("b.avi", "mjpeg"),
]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clips") / "a.mp4", seconds=2).read_bytes()


def grey(frame) -> int:
    return int(np.asarray(frame.picture)[30, 30, 0])


@pytest.mark.parametrize(("name", "codec"), KINDS)
def test_a_frame_is_taken_every_so_many_seconds(name, codec, tmp_path):
    clip = write_clip(tmp_path / name, codec, seconds=4)
    frames = list(frames_of(clip, 1.0))
    assert is_video(clip)
    assert [frame.at_s for frame in frames] == [0, 1, 2, 3]
    # The clip grows brighter by 5 a frame, 10 frames a second.
    assert [grey(frame) for frame in frames] == pytest.approx([0, 50, 100, 150], abs=4)


@pytest.mark.parametrize("gop", [1, 12, 300])
def test_frames_are_the_same_however_far_those_that_stand_alone_are_apart(gop, tmp_path):
    clip = write_clip(tmp_path / "a.mp4", seconds=20, gop=gop, slope=1)
    frames = list(frames_of(clip, 3.0))
    assert [frame.at_s for frame in frames] == [0, 3, 6, 9, 12, 15, 18]
    assert [grey(frame) for frame in frames] == pytest.approx([0, 30, 60, 90, 120, 150, 180], abs=4)


def test_bytes_are_read_as_files_are(tmp_path):
    clip = write_clip(tmp_path / "a.mp4")
    assert is_video(clip.read_bytes())
    assert [f.at_s for f in frames_of(clip.read_bytes(), 1.0)] == [f.at_s for f in frames_of(clip, 1.0)]


def test_of_a_long_clip_so_many_frames_are_taken_evenly(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", seconds=4)
    assert [frame.at_s for frame in frames_of(clip, 0.1, most=5)] == [0, 0.8, 1.6, 2.4, 3.2]
    assert MOST_FRAMES == 100


def test_a_clip_shorter_than_the_step_gives_its_first_frame(tmp_path):
    assert [frame.at_s for frame in frames_of(write_clip(tmp_path / "a.mp4", seconds=1), 60.0)] == [0]


@pytest.mark.parametrize(
    ("matrix", "red"),
    [
        ((0, 1, -1, 0), "right top"),
        ((-1, 0, 0, -1), "right bottom"),
        ((0, -1, 1, 0), "left bottom"),
        ((1, 0, 0, 1), "left top"),
    ],
)
def test_frames_stand_upright_as_the_stream_says(matrix, red, tmp_path):
    clip = write_clip(tmp_path / "a.mp4")
    content = bytearray(clip.read_bytes())
    # ISO/IEC 14496-12: the matrix of the track header, 40 bytes behind its name, in 16.16 fixed point.
    place = content.find(b"tkhd") + 44
    a, b, c, d = (int(value) << 16 for value in matrix)
    content[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    picture = np.asarray(next(frames_of(bytes(content), 1.0)).picture, dtype=int)
    assert picture.shape[:2] == ((64, 48) if matrix[0] == 0 else (48, 64))
    corners = {
        "left top": picture[3, 3],
        "right top": picture[3, -4],
        "left bottom": picture[-4, 3],
        "right bottom": picture[-4, -4],
    }
    assert max(corners, key=lambda name: corners[name][0]) == red


def test_a_large_frame_is_made_smaller(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", seconds=1, size=(2048, 64))
    assert next(frames_of(clip, 1.0)).picture.size == (1024, 32)


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.avi"])
@pytest.mark.parametrize("kept", [13, 64, 200])
def test_a_clip_that_is_cut_short_is_one_line(name, kept, tmp_path):
    clip = write_clip(tmp_path / name, dict(KINDS)[name], seconds=2)
    clip.write_bytes(clip.read_bytes()[:kept])
    with pytest.raises(
        ValueError, match=r"^[^\n]*a\.\w+: (damaged or cut short|it holds no frame|it has no picture)[^\n]*$"
    ):
        list(frames_of(clip, 1.0))
    assert video_latlon_deg(clip) is None


@pytest.mark.parametrize("seed", range(40))
def test_damage_never_raises_anything_but_one_line(seed, clip):
    content, rng = bytearray(clip), np.random.default_rng(seed)
    for place in rng.integers(0, len(content), 12):
        content[place] = rng.integers(0, 256)
    said = ""
    try:
        found = len(list(frames_of(bytes(content), 1.0)))
    except ValueError as error:
        found, said = 0, str(error)
    assert found <= MOST_FRAMES
    assert "\n" not in said


def test_playlists_open_no_other_file(tmp_path):
    secret = write_clip(tmp_path / "a.mp4")
    playlist = tmp_path / "list.mp4"
    playlist.write_text(f"#EXTM3U\n#EXTINF:1,\n{secret}\n")
    assert not is_video(playlist)
    with pytest.raises(ValueError, match="damaged or cut short"):
        list(frames_of(playlist, 1.0))
    concat = tmp_path / "concat.mp4"
    concat.write_text(f"ffconcat version 1.0\nfile {secret}\n")
    with pytest.raises(ValueError, match="damaged or cut short"):
        list(frames_of(concat, 1.0))


def test_a_rare_codec_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"its pictures are ffv1, which is not read: convert it to H\.264"):
        list(frames_of(write_clip(tmp_path / "a.mkv", "ffv1"), 1.0))


def test_the_place_of_a_phone_is_read(tmp_path):
    apple = {"com.apple.quicktime.location.ISO6709": "-33.8568+151.2153+010.000/"}
    assert video_latlon_deg(write_clip(tmp_path / "a.mov", tags=apple)) == (-33.8568, 151.2153)
    android = {"location": "+48.8577+002.2950/"}
    assert video_latlon_deg(write_clip(tmp_path / "a.mp4", tags=android)) == (48.8577, 2.295)
    assert video_latlon_deg(write_clip(tmp_path / "b.mp4")) is None


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("+27.5916+086.5640+8850/", (27.5916, 86.564)),
        ("+4851.462+00217.7/", (48 + 51.462 / 60, 2 + 17.7 / 60)),
        ("-335124.5+1511255/", (-(33 + 51 / 60 + 24.5 / 3600), 151 + 12 / 60 + 55 / 3600)),
        ("+40-075CRSWGS_84/", None),
        ("+40-075/", (40.0, -75.0)),
        ("+91.0+000.0/", None),
        ("+4861.0+00217.7/", None),
        ("48.85, 2.35", None),
        ("", None),
    ],
)
def test_places_of_iso_6709(text, place):
    assert latlon_of_iso6709(text) == (place if place is None else pytest.approx(place))


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_written_places_are_read(lat, lon):
    found = latlon_of_iso6709(f"{lat:+08.4f}{lon:+09.4f}/")
    assert found == pytest.approx((lat, lon), abs=1e-4)


def test_a_video_of_two_fish_eyes_is_refused_with_the_way(clip, tmp_path):
    (tmp_path / "a.insv").write_bytes(clip)
    with pytest.raises(ValueError, match=r"a\.insv is an unstitched 360-degree video, which is not read: export it"):
        list(frames_of(tmp_path / "a.insv", 1.0))
