"""Cells of the table of the world and the classes to which they belong."""

import numpy as np

from geocells import grid
from geocells.class_cells import class_cells
from geocells.hierarchy import UNKNOWN, build_hierarchy
from geocells.land import land_table
from geocells.partitions import QuadPartition

PLACES = [(48.86, 2.35), (-1.29, 36.82), (-33.87, 151.21), (-18.14, 178.44)]


def test_each_cell_belongs_to_the_class_that_holds_its_middle_and_to_no_other():
    hierarchy = build_hierarchy(QuadPartition((1, 3, 5)), PLACES)
    cells = np.flatnonzero(land_table().share > 0)
    of, cell = class_cells(hierarchy, 1, cells)
    classes = hierarchy.classes(grid.center_deg(cells, 8))[:, 1]
    assert len(np.unique(cell)) == len(cell) == (classes != UNKNOWN).sum()
    np.testing.assert_array_equal(of, classes[classes != UNKNOWN])
    assert set(of.tolist()) == set(range(hierarchy.sizes()[1]))


def test_a_class_smaller_than_a_cell_has_the_cell_around_its_coordinate():
    hierarchy = build_hierarchy(QuadPartition((3, 12)), PLACES)
    of, cell = class_cells(hierarchy, 1, np.arange(4**8))
    np.testing.assert_array_equal(np.sort(of), np.arange(4))
    center = hierarchy.center_deg[hierarchy.rows(1)][of]
    np.testing.assert_array_equal(cell, grid.encode(center, 8))


def test_the_cell_around_a_coordinate_counts_although_it_is_not_among_those_shared_out():
    hierarchy = build_hierarchy(QuadPartition((12,)), PLACES)
    of, cell = class_cells(hierarchy, 0, np.zeros(0, dtype=np.int64))
    assert (len(of), len(cell)) == (4, 4)
