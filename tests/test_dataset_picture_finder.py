"""The file that a table means is found as other systems and programs write its name, and never by a guess."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset.picture_finder import PictureFinder


def folder(tmp_path: Path, *names: str) -> Path:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"\xff\xd8\xff")
    return tmp_path


@pytest.mark.parametrize(
    "written",
    [
        "my photo.jpg", "my%20photo.jpg", "sub\\my photo.jpg", "C:\\Users\\ann\\sub\\my photo.jpg", "C:/x/my photo.jpg",
        "/home/ann/my photo.jpg", "https://example.org/a/my%20photo.jpg?size=1", "my photo", "MY PHOTO.JPG", ' "my photo.jpg" ',
        "./sub/my photo.jpg", "file:///home/ann/my%20photo.jpg",
    ],
)  # fmt: skip
def test_a_name_is_found_as_other_systems_write_it(tmp_path, written):
    data = folder(tmp_path, "sub/my photo.jpg")
    assert PictureFinder(data, None, data / "d").find(written) == data / "sub" / "my photo.jpg"


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("1000.0", "1000.jpg"), ("1000", "1000.jpg"), ("7", "000007.jpg"), ("7.0", "000007.jpg"), ("7.jpg", "000007.jpg"),
        ("1,000", "1000.jpg"), ("1.23456789012E+11", "123456789012.jpg"),
    ],
)  # fmt: skip
def test_ids_that_became_numbers_are_found(tmp_path, written, name):
    data = folder(tmp_path, "1000.jpg", "000007.jpg", "123456789012.jpg")
    assert PictureFinder(data, None, data / "d").find(written) == data / name


@pytest.mark.parametrize("written", ["1.2E+3", "1.23457E+11", "1.2345E+2", "9" * 5000])
def test_numbers_that_lost_digits_are_missing(tmp_path, written):
    data = folder(tmp_path, "1200.jpg", "123456789012.jpg", "123.jpg", "123457000000.jpg")
    assert PictureFinder(data, None, data / "d").find(written) == "missing"


@pytest.mark.parametrize(("on_disk", "in_table"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_accents_are_found_as_macos_and_as_others_write_them(tmp_path, on_disk, in_table):
    data = folder(tmp_path, unicodedata.normalize(on_disk, "Zürich/été.jpg"), "Oslo/other.jpg")
    found = PictureFinder(data, None, data / "d").find(unicodedata.normalize(in_table, "Zürich/été.jpg"))
    assert unicodedata.normalize("NFC", Path(str(found)).name) == unicodedata.normalize("NFC", "été.jpg")


def test_the_ending_may_be_another_where_the_table_has_no_second_of_the_name(tmp_path):
    data = folder(tmp_path, "a.jpeg", "b.png")
    assert PictureFinder(data, None, data / "d", ["a.jpg", "b.jpg"]).find("a.jpg") == data / "a.jpeg"
    assert PictureFinder(data, None, data / "d", ["b.jpg", "b.png"]).find("b.jpg") == "missing"


def test_a_number_that_two_files_have_is_ambiguous(tmp_path):
    data = folder(tmp_path, "07.jpg", "007.jpg")
    assert str(PictureFinder(data, None, data / "d").find("7")).startswith("ambiguous")


def test_folders_tell_files_of_one_name_apart(tmp_path):
    data = folder(tmp_path, "paris/0001.jpg", "rome/0001.jpg")
    finder = PictureFinder(data, None, data / "d")
    assert finder.find("D:\\all\\rome\\0001.jpg") == data / "rome" / "0001.jpg"
    assert finder.find("D:\\all\\oslo\\0001.jpg") == "missing"


def test_a_picture_of_another_folder_does_not_stand_in_where_the_table_has_two_of_its_name(tmp_path):
    data = folder(tmp_path, "rome/0001.jpg")
    finder = PictureFinder(data, None, data / "d", ["paris/0001.jpg", "rome/0001.jpg"])
    assert finder.find("paris/0001.jpg") == "missing"
    assert finder.find("rome/0001.jpg") == data / "rome" / "0001.jpg"


def test_a_table_cannot_reach_out_of_its_folder(tmp_path):
    data = folder(tmp_path, "table/a.jpg", "secret.jpg") / "table"
    finder = PictureFinder(data, None, data / "d")
    for written in ("../secret.jpg", "..\\secret.jpg", "%2e%2e/secret.jpg", "a/../../secret.jpg"):
        assert finder.find(written) in ("outside the folder of pictures", "missing"), written


@given(st.text(max_size=40))
def test_any_text_gives_a_file_below_or_a_reason(tmp_path_factory, text):
    data = folder(tmp_path_factory.getbasetemp() / "any", "a/b.jpg")
    found = PictureFinder(data, None, data / "d").find(text)
    assert isinstance(found, str) or (found.is_file() and found.is_relative_to(data))


COMMONS = [
    "File:Lac d'Annecy, été 2009.jpg",
    "file:Lac_d'Annecy,_été_2009.jpg",
    "Image:lac d'Annecy, été 2009.jpg",
    "Fichier : Lac d'Annecy, été 2009.jpg",
    "Lac d'Annecy,  été 2009.jpg",
    "File:Lac_d%27Annecy%2C_%C3%A9t%C3%A9_2009.jpg",
    "https://commons.wikimedia.org/wiki/File:Lac_d%27Annecy,_%C3%A9t%C3%A9_2009.jpg",
    "https://commons.wikimedia.org/wiki/File:Lac_d%27Annecy,_%C3%A9t%C3%A9_2009.jpg?uselang=fr",
    "https://commons.wikimedia.org/w/index.php?title=File:Lac_d%27Annecy,_%C3%A9t%C3%A9_2009.jpg",
    "http://commons.wikimedia.org/wiki/Special:FilePath/Lac%20d%27Annecy%2C%20%C3%A9t%C3%A9%202009.jpg",
    "https://fr.wikipedia.org/wiki/Annecy#/media/Fichier:Lac_d'Annecy,_été_2009.jpg",
    "https://upload.wikimedia.org/wikipedia/commons/a/ab/Lac_d%27Annecy%2C_%C3%A9t%C3%A9_2009.jpg",
    "https://upload.wikimedia.org/wikipedia/commons/thumb/a/ab/Lac_d%27Annecy%2C_%C3%A9t%C3%A9_2009.jpg/"
    "800px-Lac_d%27Annecy%2C_%C3%A9t%C3%A9_2009.jpg",
]


@pytest.mark.parametrize(
    "on_disk", ["Lac d'Annecy, été 2009.jpg", "Lac_d'Annecy,_été_2009.JPG", "sub/lac_d'Annecy,_été_2009.jpg"]
)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("written", COMMONS)
def test_titles_and_addresses_of_wikimedia_commons_find_their_file(tmp_path, written, form, on_disk):
    data = folder(tmp_path, unicodedata.normalize(form, on_disk), "other.jpg")
    assert PictureFinder(data, None, data / "d", [written]).find(written) == data / unicodedata.normalize(form, on_disk)


def test_characters_that_files_may_not_have_are_found_as_underscores(tmp_path):
    data = folder(tmp_path, "What is this_ (1).jpg")
    for written in ("File:What is this? (1).jpg", "What_is_this?_(1).jpg"):
        assert PictureFinder(data, None, data / "d", [written]).find(written) == data / "What is this_ (1).jpg"


def test_names_that_only_such_characters_tell_apart_are_not_guessed(tmp_path):
    data = folder(tmp_path, "a_b.jpg")
    finder = PictureFinder(data, None, data / "d", ["a?b.jpg", "a:b.jpg"])
    assert [finder.find(name) for name in ("a?b.jpg", "a:b.jpg")] == ["missing", "missing"]
    data = folder(tmp_path / "two", "a_b.jpg", "a b.jpg")
    assert PictureFinder(data, None, data / "d", ["a?b.jpg"]).find("a?b.jpg").startswith("ambiguous")
    finder = PictureFinder(data, None, data / "d", ["a b.jpg", "A_b.jpg"])
    assert [finder.find(name) for name in ("a b.jpg", "A_b.jpg")] == [data / "a b.jpg", data / "a_b.jpg"]
