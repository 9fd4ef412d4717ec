"""Which part of a country a region covers, in words."""

import pytest
import shapely

from infer.country_parts import part_of, parts_of
from infer.wording import headline


@pytest.mark.parametrize(
    ("code", "box", "part"),
    [
        ("TH", (98, 17, 105, 21), "northern"),
        ("TH", (99, 5, 101, 9), "southern"),
        ("US", (-120, 31, -103, 36), "southwestern"),
        ("FR", (1.5, 45.5, 3.5, 47.5), "central"),
        ("TH", (90, 0, 110, 30), ""),
        ("TH", (0, 0, 5, 5), ""),
        ("LU", (5.7, 49.9, 6.2, 50.2), ""),
        ("??", (0, 0, 5, 5), ""),
    ],
    ids=["north", "south", "southwest", "middle", "all of it", "none of it", "a small country", "no country"],
)
def test_a_part_is_named_by_its_direction(code, box, part):
    assert part_of(code, shapely.box(*box)) == part


def test_a_region_in_two_far_corners_of_a_country_has_no_direction():
    corners = shapely.union(shapely.box(-70, -5, -62, 0), shapely.box(-56, -31, -50, -25))
    assert part_of("BR", corners) == ""


def test_a_headline_names_parts_where_it_names_countries():
    box = shapely.geometry.mapping(shapely.MultiPolygon([shapely.box(98, 17, 105, 21)]))
    shares = [("TH", 0.5), ("LA", 0.45), ("KH", 0.05)]
    assert headline(shares, parts_of(shares, box)) == "Most likely northern Thailand"
    many = [(code, 0.2) for code in ("TH", "LA", "KH", "VN", "MM", "MY", "ID")]
    assert parts_of(many, box) == {}
