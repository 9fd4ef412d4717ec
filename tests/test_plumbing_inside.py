"""Names of files that come out of files stay inside their folder."""

from pathlib import PureWindowsPath

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbing.inside import LEADING_OUT, inside, is_relative, remove_inside

OUTSIDE = [
    "../a",
    "a/../../b",
    "/etc/passwd",
    "..",
    "",
    "\\\\host\\share\\a",
    "C:\\a",
    "C:a",
    "a\\..\\..\\b",
    "a\0b",
    ".",
]


@pytest.mark.parametrize("name", [*OUTSIDE, None, 3, b"a"])
def test_names_that_lead_out_on_any_system_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="is not the name of a file inside"):
        inside(tmp_path, name)


@given(st.text(alphabet="ab./\\", max_size=12), st.sampled_from(["", "images/", "C:", "\\\\"]))
def test_a_name_is_accepted_just_where_no_system_reads_a_drive_a_root_or_a_way_out_in_it(name, folder):
    read = PureWindowsPath(folder + name)
    parts = [part for part in read.parts if part != "."]
    assert is_relative(folder + name) == (bool(parts) and not read.anchor and ".." not in parts)


@given(st.lists(st.text(alphabet="ab./\\:\0é", max_size=12), min_size=1))
def test_arrow_reads_the_rule_as_python_does(names):
    found = pc.match_substring_regex(pa.array(names), LEADING_OUT)
    assert found.to_pylist() == [not is_relative(name) for name in names]


@given(st.text(alphabet="ab./\\:", max_size=12))
def test_an_accepted_name_lies_below_its_folder(tmp_path_factory, name):
    folder = tmp_path_factory.getbasetemp()
    if is_relative(name):
        assert (folder / name).resolve().is_relative_to(folder.resolve())


def test_a_file_that_is_gone_already_counts_as_removed(tmp_path):
    assert remove_inside(tmp_path, "images/a.jpg")


def test_nothing_is_removed_outside_or_behind_a_link_that_leads_out(tmp_path):
    data, victim = tmp_path / "data", tmp_path / "victim"
    for folder in (data / "images", victim):
        folder.mkdir(parents=True)
    for path in (victim / "keep.txt", data / "images" / "a.jpg"):
        path.write_text("x")
    (data / "images" / "link").symlink_to(victim, target_is_directory=True)
    assert not remove_inside(data, "../victim/keep.txt")
    assert not remove_inside(data, str(victim / "keep.txt"))
    assert not remove_inside(data, "images/link/keep.txt")
    assert (victim / "keep.txt").read_text() == "x"
    assert remove_inside(data, "images/a.jpg")
    assert not (data / "images" / "a.jpg").exists()
