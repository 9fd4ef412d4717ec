import re

import pytest
import shapely

from tests.test_viz_maps_prediction import FIJI, prediction_at, region
from viz.maps.prediction import prediction_html
from viz.maps.regions import drawn_regions, regions_html
from viz.maps.scene import Scene
from viz.maps.wording import area_words, listed, region_line


def answer(*regions):
    return prediction_at(FIJI, regions={one.coverage: one for one in regions})


def test_a_region_across_the_antimeridian_is_drawn_whole_on_either_side():
    wide = answer(region((170, 0, 180, 10), (-180, 0, -175, 10)))
    for lon_deg, west, east in ((179, 170, 185), (-179, -190, -175)):
        (ring,) = drawn_regions(wide, lon_deg)[0]["rings"]
        lons = [lon for _, lon in ring]
        assert (min(lons), max(lons)) == (west, east)
        assert shapely.Polygon(ring).area == pytest.approx(150)


def test_only_the_smallest_region_has_a_solid_line_and_lies_on_top():
    two = answer(region((0, 0, 1, 1), coverage=0.5), region((0, 0, 5, 5), coverage=0.9))
    assert [(drawn["label"], drawn["dashed"]) for drawn in drawn_regions(two, 0)] == [
        ("90% region: 410,000 km², in Fiji and Tonga", True),
        ("50% region: 410,000 km², in Fiji and Tonga", False),
    ]


def test_the_legend_of_the_page_names_each_outline():
    html = prediction_html(answer(region((0, 0, 1, 1), coverage=0.5), region((0, 0, 5, 5), coverage=0.9)))
    assert '<i class="outline dashed"></i>90% region' in html
    assert '<i class="outline"></i>50% region' in html
    assert "outline" not in prediction_html(answer()).split("</style>")[-1].split("<script")[0]


def test_a_run_that_is_not_calibrated_has_no_regions_to_draw():
    assert drawn_regions(answer(), 0) == []
    assert regions_html(answer()) == ""


def test_a_region_that_was_cut_to_nothing_is_still_said():
    nothing = answer(region(area_km2=0.0, countries=()))
    assert drawn_regions(nothing, 0)[0]["rings"] == []
    assert "90% region: 0 km²" in regions_html(nothing)
    assert region_line(nothing.regions[0.9]) == "90% region: 0 km², at sea"


def test_the_words_name_the_areas_and_say_what_coverage_means():
    two = answer(region((0, 0, 1, 1), coverage=0.5, area_km2=12_300), region((0, 0, 1, 1)))
    said = re.sub("<[^>]+>", "", regions_html(two))
    assert said == "90% region: 410,000 km² 50% region: 12,000 km²"
    meaning = "Of photographs like those that the run was calibrated with, about 90% lie inside their 90% region"
    assert meaning in prediction_html(two)


def test_single_cells_apart_are_hatched_and_everything_else_is_outlined():
    # Seven cells of one degree: five together, two apart.
    boxes = ((0, 0, 5, 1), (10, 0, 11, 1), (20, 0, 21, 1))
    two = answer(region(*boxes, coverage=0.9, area_km2=7 * 12_360), region(*boxes, coverage=0.5, area_km2=7 * 12_360))
    wide, narrow = drawn_regions(two, 0)
    assert [sorted({lon for _, lon in ring}) for ring in wide["rings"]] == [[0, 5]]
    assert [sorted({lon for _, lon in ring}) for ring in wide["specks"]] == [[10, 11], [20, 21]]
    assert (len(narrow["rings"]), narrow["specks"]) == (3, [])
    assert "90% region, single cells" in prediction_html(two)
    assert "single cells" not in prediction_html(answer(region((0, 0, 5, 1), area_km2=61_800)))


def test_the_frame_follows_the_smallest_region_and_not_what_lies_far_from_it():
    near, far = (170, -20, 180, -10), (10, 60, 12, 62)
    two = answer(region(near, far, coverage=0.5), region(near, far, (-100, 0, 20, 50)))
    south, west, north, east = Scene.of(two).views()[-1]
    assert (south, west, north, east) == pytest.approx((-27.5, 162.5, -2.5, 187.5))


def test_a_place_as_wide_as_russia_is_framed_with_a_little_of_the_world_around_it():
    views = Scene.of(answer(region((30, 42, 178, 78), coverage=0.5))).views()
    # Ten degrees around it and the point, or a tenth of the extent.
    assert views[-1] == pytest.approx((-27.8, 15.04, 88, 194.56), abs=0.05)


@pytest.mark.parametrize(
    ("area_km2", "words"),
    [
        (140.2e6, "140 million km²"),
        (1_234_567, "1.2 million km²"),
        (2e6, "2 million km²"),
        (999_999, "1 million km²"),
        (413_000, "410,000 km²"),
        (0.52, "0.52 km²"),
    ],
)
def test_areas_are_written_out_to_two_digits(area_km2, words):
    assert area_words(area_km2) == words


def test_a_coverage_is_never_rounded_to_certainty():
    assert region_line(region((0, 0, 1, 1), coverage=0.995)).startswith("99.5% region: ")


@pytest.mark.parametrize(
    ("names", "words"),
    [((), ""), (("A",), "A"), (("A", "B"), "A and B"), (tuple("ABCDEF"), "A, B, C, D and 2 more")],
)
def test_names_are_listed_as_in_a_sentence(names, words):
    assert listed(names) == words
