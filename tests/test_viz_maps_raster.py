import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geocells import grid
from viz.maps.raster import as_rows, varints


def read_varints(packed):
    values, value, shift = [], 0, 0
    for byte in packed:
        value, shift = value | (byte & 127) << shift, shift + 7
        if byte < 128:
            values, value, shift = [*values, value], 0, 0
    return values


@given(st.lists(st.integers(0, 2**40)))
def test_packed_numbers_are_read_back(values):
    assert read_varints(varints(np.array(values, dtype=np.int64))) == values


def test_the_example_of_the_dwarf_standard_packs_as_it_says():
    assert varints(np.array([624485])) == bytes([0xE5, 0x8E, 0x26])


def test_the_picture_of_cells_starts_in_the_north_west_and_goes_east_first():
    picture = as_rows(np.arange(64))
    assert grid.format_ids(picture[0, :3], 3) == ["0/0/0", "0/0/1", "0/1/0"]
    assert grid.format_id(picture[7, 7], 3) == "3/3/3"
