"""What a folder holds: photographs by content, everything else counted and named."""

import io
import os
from pathlib import Path

import pytest
from PIL import Image

from dataset.picture_folder import PictureFolder
from plumbing.images import open_rgb


def save(path: Path, kind: str = "JPEG") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), "red").save(path, kind)
    return path


def names(folder: Path, out: Path | None = None) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in PictureFolder.of(folder, out).pictures]


def test_endings_of_all_formats_are_taken_and_content_counts_where_there_is_none(tmp_path):
    for name in ("a.jfif", "b.jpe", "c.JPG", "d", "e.dat"):
        save(tmp_path / name)
    save(tmp_path / "f.webp", "WEBP")
    save(tmp_path / "g.tif", "TIFF")
    assert names(tmp_path) == ["a.jfif", "b.jpe", "c.JPG", "d", "e.dat", "f.webp", "g.tif"]


def test_thumbnails_and_leavings_of_systems_are_passed_by_and_counted(tmp_path):
    save(tmp_path / "a.jpg")
    litter = (
        "@eaDir/a.jpg/SYNOPHOTO_THUMB_XL.jpg", "__MACOSX/a.jpg", "._a.jpg", ".hidden/b.jpg", "@__thumb/a.jpg", "a.thm",
        "a.jpg_original", "a.jpg~", "~$a.jpg", "a.jpg.bak", "a.tmp", "thumbs/a.jpg", "x Previews.lrdata/a.jpg",
        "x.photoslibrary/resources/derivatives/a.jpg",
    )  # fmt: skip
    for name in litter:
        save(tmp_path / name)
    save(tmp_path / "x.photoslibrary" / "originals" / "b.jpg")
    found = PictureFolder.of(tmp_path)
    assert [path.name for path in found.pictures] == ["a.jpg", "b.jpg"]
    assert found.passed_words() == "14 thumbnail, backup or hidden files"


def test_what_is_not_read_is_named_by_kind_and_ending(tmp_path):
    save(tmp_path / "a.jpg")
    (tmp_path / "a.MOV").write_bytes(b"\0\0\0\x14ftypqt  ")
    (tmp_path / "b.jpg").write_bytes(b"\0\0\0\x14ftypisom\0\0\0\0")
    for name in ("a.AAE", "c.txt"):
        (tmp_path / name).write_text("x")
    for name in ("d.dng", "e.arw"):
        save(tmp_path / name, "TIFF")
    (tmp_path / "f.jp2").write_bytes(b"\0\0\0\x0cjP  \r\n\x87\n")
    found = PictureFolder.of(tmp_path)
    assert found.passed_words() == (
        "2 videos (.jpg, .mov), 2 RAW files (.arw, .dng), 1 JPEG 2000 picture (.jp2), 2 other files (.aae, .txt)"
    )
    assert "RAW: develop it to JPEG" in found.advice()


def test_of_many_endings_the_most_frequent_are_named(tmp_path):
    for number in range(20):
        (tmp_path / f"a.{number:02d}").write_text("x")
    (tmp_path / "b.19").write_text("x")
    assert PictureFolder.of(tmp_path).passed_words() == (
        "21 other files (.00, .01, .02, .03, .04, .05, .06, .07, .08, .09, .10, .19, …)"
    )


def test_damaged_photographs_stay_so_that_their_reason_is_said(tmp_path):
    (tmp_path / "a.heic").write_bytes(b"x")
    (tmp_path / "b.jpg").write_bytes(b"")
    assert names(tmp_path) == ["a.heic", "b.jpg"]


def test_linked_folders_are_followed_once_and_circles_end(tmp_path):
    save(tmp_path / "real" / "a.jpg")
    save(tmp_path / "in" / "b.jpg")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    (tmp_path / "in" / "again").symlink_to(tmp_path / "real", target_is_directory=True)
    (tmp_path / "in" / "circle").symlink_to(tmp_path / "in", target_is_directory=True)
    found = PictureFolder.of(tmp_path / "in")
    assert [path.relative_to(tmp_path / "in").as_posix() for path in found.pictures] == ["b.jpg", "again/a.jpg"]
    assert found.passed_words() == "2 repeated folder links"


def test_links_that_lead_nowhere_and_pipes_are_no_photographs(tmp_path):
    (tmp_path / "a.jpg").symlink_to(tmp_path / "gone.jpg")
    os.mkfifo(tmp_path / "b.jpg")
    assert names(tmp_path) == []
    assert PictureFolder.of(tmp_path).passed_words() == "2 broken link or special files"


def test_what_cameras_with_two_fish_eyes_write_is_named_with_the_way(tmp_path):
    photo = io.BytesIO()
    Image.new("RGB", (64, 32)).save(photo, "JPEG")
    (tmp_path / "a.insp").write_bytes(photo.getvalue())
    (tmp_path / "b.360").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(40))
    found = PictureFolder.of(tmp_path)
    assert found.pictures == []
    assert found.passed_words() == "2 unstitched 360-degree files (.360, .insp)"
    assert "export it from the program of the camera as an equirectangular JPEG or MP4" in found.advice()
    with pytest.raises(
        ValueError, match=r"a\.insp is an unstitched 360-degree file, which is not read here: export it"
    ):
        open_rgb(tmp_path / "a.insp")


def test_archives_are_named_with_the_way(tmp_path):
    (tmp_path / "photos.zip").write_bytes(b"PK\3\4")
    assert PictureFolder.of(tmp_path).advice() == "archives: unpack them, then name the folder"


def test_small_copies_that_cameras_keep_of_videos_are_passed_by(tmp_path):
    (tmp_path / "PRIVATE" / "M4ROOT" / "THMBNL").mkdir(parents=True)
    (tmp_path / "PRIVATE" / "M4ROOT" / "THMBNL" / "C0001T01.JPG").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "GL010001.LRV").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(40))
    assert PictureFolder.of(tmp_path).passed_words() == "2 thumbnail, backup or hidden files"


def test_the_folder_of_answers_is_not_searched(tmp_path):
    save(tmp_path / "a.jpg")
    save(tmp_path / "out" / "map.png", "PNG")
    assert names(tmp_path, tmp_path / "out") == ["a.jpg"]
