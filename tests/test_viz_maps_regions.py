import pytest
import shapely

from viz.maps.regions import drawn_regions, regions_html


def region(*boxes, coverage=0.9):
    geometry = shapely.geometry.mapping(shapely.MultiPolygon([shapely.box(*box) for box in boxes]))
    countries = [{"code": "FJ", "share": 0.75}, {"code": "<b>", "share": 0.25}]
    return {"coverage": coverage, "area_km2": 1_234_567.0, "geometry": geometry, "countries": countries}


def test_a_region_across_the_antimeridian_is_drawn_whole_on_either_side():
    answer = {"regions": [region((170, 0, 180, 10), (-180, 0, -175, 10))]}
    for lon_deg, west, east in ((179, 170, 185), (-179, -190, -175)):
        (ring,) = drawn_regions(answer, lon_deg)[0]["rings"]
        lons = [lon for _, lon in ring]
        assert (min(lons), max(lons)) == (west, east)
        assert shapely.Polygon(ring).area == pytest.approx(150)


def test_only_the_smallest_region_has_a_solid_line_and_lies_on_top():
    answer = {"regions": [region((0, 0, 1, 1), coverage=0.5), region((0, 0, 5, 5), coverage=0.9)]}
    assert [(drawn["label"], drawn["dashed"]) for drawn in drawn_regions(answer, 0)] == [
        ("90% region: 1.2 million km²", True),
        ("50% region: 1.2 million km²", False),
    ]


def test_a_run_without_promises_has_no_regions_to_draw():
    assert drawn_regions({}, 0) == []
    assert regions_html([]) == ""


def test_the_words_name_area_and_countries_escaped():
    html = regions_html([region((0, 0, 1, 1))])
    assert "1.2 million km²" in html
    assert "FJ 75.0%, &lt;b&gt; 25.0%" in html
