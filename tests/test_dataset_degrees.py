"""Coordinates as people write them, a column at a time."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataset.degrees import read_degrees
from dataset.pairs import could_be_places, tells_swapped
from dataset.places import check_coordinates
from dataset.units import stands_for_nothing


def parts(value: float, axis: str, digits: int = 4) -> dict[str, object]:
    """Return what notations are made of: whole degrees, minutes and seconds, decimals, hemisphere."""
    size = abs(value)
    seconds = round(size * 3600, digits)
    degrees, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    side = ("NS" if axis == "latitude" else "EW")[value < 0]
    words = {"N": "North", "S": "South", "E": "East", "W": "West"}
    german = {"N": "Nord", "S": "Süd", "E": "Ost", "W": "West"}
    return {
        "x": f"{value:.8f}", "c": f"{value:.8f}".replace(".", ","), "a": f"{size:.8f}", "ac": f"{size:.8f}".replace(".", ","),
        "d": int(degrees), "m": int(minutes), "s": f"{seconds:.{digits}f}", "sc": f"{seconds:.{digits}f}".replace(".", ","),
        "dm": f"{minutes + seconds / 60:.8f}", "h": side, "word": words[side], "wort": german[side],
        "minus": "-" if value < 0 else "",
        "true_minus": "−" if value < 0 else "", "sign": "-" if value < 0 else "+", "e": f"{value:.12e}",
    }  # fmt: skip


NOTATIONS = {
    "plain": "{x}",
    "exponent": "{e}",
    "decimal comma": "{c}",
    "explicit sign": "{sign}{a}",
    "true minus sign": "{true_minus}{a}",
    "en dash": "{minus}{a}",
    "degree sign": "{x}°",
    "degree sign and comma": "{c}°",
    "deg": "{x} deg",
    "degrees": "{x} degrees",
    "ordinal sign": "{x}º",
    "hemisphere behind": "{a}{h}",
    "hemisphere behind a space": "{a} {h}",
    "hemisphere before": "{h} {a}",
    "small hemisphere": "{a}° {h}",
    "hemisphere and comma": "{ac}° {h}",
    "word": "{a} {word}",
    "German word": "{ac}° {wort}",
    "degrees, minutes, seconds": "{d}°{m}'{s}\"{h}",
    "with spaces": "{d}° {m}' {s}\" {h}",
    "primes": "{d}° {m}′ {s}″ {h}",
    "curly quotes": "{d}°{m}’{s}”{h}",
    "two apostrophes": "{d}°{m}'{s}''{h}",
    "exiftool": "{d} deg {m}' {s}\" {h}",
    "colons": "{minus}{d}:{m}:{s}",
    "spaces": "{d} {m} {s} {h}",
    "letters": "{d}d{m}m{s}s {h}",
    "dashes": "{d}-{m}-{s}{h}",
    "seconds with comma": "{d}°{m}'{sc}\" {h}",
    "minutes with decimals": "{d}°{dm}'{h}",
    "hemisphere before degrees": "{h}{d}°{m}'{s}\"",
    "XMP": "{d},{dm}{h}",
    "as text": "'{x}",
    "formula": '="{x}"',
    "no-break space": "{a}\u00a0°\u00a0{h}",
    "wrongly decoded": "{d}Â°{m}'{s}\"{h}",
    "negative minutes": "{minus}{d}°{m}'{s}\"",
    "labelled": "lat: {x}",
}
values = st.lists(st.floats(-89.99, 89.99).map(lambda x: round(x, 7)), min_size=1, max_size=12)


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("axis", ["latitude", "longitude"])
@settings(max_examples=25, deadline=None)
@given(wanted=values)
def test_a_column_is_read_alike_in_every_notation(notation, axis, wanted):
    column = read_degrees(
        pd.Series([NOTATIONS[notation].format(**parts(value, axis)) for value in wanted], dtype=object)
    )
    assert not column.unreadable.any()
    assert not column.missing.any()
    # A ten thousandth of a second.
    assert column.degrees == pytest.approx(wanted, abs=1e-7)


@given(st.lists(st.tuples(st.floats(-89, 89), st.sampled_from(sorted(NOTATIONS))), min_size=2, max_size=20))
def test_notations_may_be_mixed_where_no_value_could_be_two(rows):
    kept = [(value, name) for value, name in rows if "comma" not in name and name != "German word"]
    column = read_degrees(
        pd.Series([NOTATIONS[name].format(**parts(value, "latitude")) for value, name in kept], dtype=object)
    )
    assert column.degrees == pytest.approx([value for value, _ in kept], abs=1e-7)


PAIRS = {
    "comma": "{0[x]}, {1[x]}",
    "comma alone": "{0[x]},{1[x]}",
    "brackets": "({0[x]}, {1[x]})",
    "space": "{0[x]} {1[x]}",
    "semicolon and decimal commas": "{0[c]}; {1[c]}",
    "decimal commas": "{0[c]}, {1[c]}",
    "four parts": "{0[c]},{1[c]}",
    "hemispheres": "{0[a]}° {0[h]}, {1[a]}° {1[h]}",
    "hemispheres without comma": "{0[d]}°{0[m]}'{0[s]}\"{0[h]} {1[d]}°{1[m]}'{1[s]}\"{1[h]}",
    "longitude first": "{1[a]}° {1[h]}, {0[a]}° {0[h]}",
    "exiftool": "{0[d]} deg {0[m]}' {0[s]}\" {0[h]}, {1[d]} deg {1[m]}' {1[s]}\" {1[h]}",
    "WKT": "POINT ({1[x]} {0[x]})",
    "EWKT": "SRID=4326;POINT({1[x]} {0[x]})",
    "WKT with height": "POINT Z ({1[x]} {0[x]} 12)",
    "object": '{{"lat": {0[x]}, "lng": {1[x]}}}',
    "GeoJSON": '{{"type": "Point", "coordinates": [{1[x]}, {0[x]}]}}',
    "address of a place": "geo:{0[x]},{1[x]}",
}
places = st.tuples(st.floats(-89.9, 89.9), st.floats(-179.9, 179.9))


@pytest.mark.parametrize("notation", PAIRS)
@settings(max_examples=25, deadline=None)
@given(wanted=st.lists(places, min_size=1, max_size=8))
def test_both_coordinates_in_one_column_are_read_in_every_notation(notation, wanted):
    # A row tells which number is the latitude, as most tables have one.
    wanted = [(48.8566, 139.6503), *wanted]
    texts = [PAIRS[notation].format(parts(lat, "latitude"), parts(lon, "longitude")) for lat, lon in wanted]
    column = pd.Series(texts, dtype=object)
    assert could_be_places(column)
    latlon_deg, _ = check_coordinates(pd.DataFrame({"latlon": column}))
    assert latlon_deg == pytest.approx(pd.DataFrame(wanted).to_numpy(), abs=1e-7)


@given(st.lists(places, min_size=1, max_size=8), st.booleans())
def test_points_are_read_as_wkb_in_bytes_and_in_hexadecimal(wanted, in_hex):
    # Far from (0, 0), so that they are not taken for radians.
    wanted = [(48.8566, 139.6503), *wanted]
    shapely = pytest.importorskip("shapely")
    points = shapely.points([(lon, lat) for lat, lon in wanted])
    column = pd.Series(shapely.to_wkb(shapely.set_srid(points, 4326), hex=in_hex, include_srid=in_hex), dtype=object)
    latlon_deg, _ = check_coordinates(pd.DataFrame({"latlon": column}))
    assert latlon_deg == pytest.approx(pd.DataFrame(wanted).to_numpy())


def degrees(*texts: str) -> list[float]:
    return read_degrees(pd.Series(texts, dtype=object)).degrees.tolist()


def test_o_is_east_or_west_by_the_other_letters_of_the_column():
    assert degrees("2,35 O", "3,70 W") == [2.35, -3.70]
    assert degrees("2.35 E", "3.70 O") == [2.35, -3.70]
    with pytest.raises(ValueError, match=r"Ost \(east\) or Ouest \(west\)"):
        degrees("2.35 O", "3.70 O")


def test_thousands_dots_are_refused_unless_digits_are_grouped_from_the_left():
    with pytest.raises(ValueError, match=r"thousands separators.*48\.856\.614"):
        degrees("48.856.614", "2.352.222")
    assert degrees("48.856.6", "-2.352.222") == [48.8566, -2.352222]


def test_two_decimal_marks_are_refused_where_one_could_be_a_thousands_separator():
    assert degrees("48,8566", "2.3522", "7") == [48.8566, 2.3522, 7]
    with pytest.raises(ValueError, match=r"both decimal points and decimal commas: 2\.352 and 48,8566"):
        degrees("48,8566", "2.352", "7,1234", "3.5")
    with pytest.raises(ValueError, match=r"both decimal points and decimal commas: 21\.133 and 51,352"):
        degrees("48°51,352'", "2°21.133'")


@pytest.mark.parametrize(
    "text",
    [
        "north",
        "48°61'",
        "48.5°30'",
        "-48 N",
        "2018-05-10",
        "12-05-10",
        "448251 m",
        "48.85 2.35",
        "Paris",
        "48°51'23'N x",
    ],
)
def test_what_is_no_angle_is_refused_with_its_value_and_its_row(text):
    photos = pd.DataFrame({"latitude": ["1", text, "3"], "longitude": ["1", "2", "3"]}, dtype=object)
    with pytest.raises(
        ValueError, match=r"1 of 3 latitudes cannot be read as degrees: .*\(row 1\).*--exclude-rows 1"
    ) as refusal:
        check_coordinates(photos)
    assert repr(text) in str(refusal.value)


def test_the_rows_to_leave_out_can_be_copied_from_the_refusal():
    texts = ["north" if row % 3 == 0 else "1" for row in range(180)]
    photos = pd.DataFrame({"latitude": texts, "longitude": ["2"] * 180}, dtype=object)
    with pytest.raises(ValueError, match="60 of 180 latitudes") as refusal:
        check_coordinates(photos)
    assert f"--exclude-rows {' '.join(map(str, range(0, 180, 3)))}, counted" in str(refusal.value)


def test_rows_that_are_left_out_prevent_nothing():
    photos = pd.DataFrame({"latitude": ["1", "north"], "longitude": ["2", "2"]}, dtype=object)
    latlon_deg, reasons = check_coordinates(photos, pd.Series([False, True]).to_numpy())
    assert latlon_deg[0].tolist() == [1, 2]
    assert reasons.tolist() == ["", "without coordinates"]


def both(lat: list[str], lon: list[str]) -> list[list[float]]:
    return check_coordinates(pd.DataFrame({"latitude": lat, "longitude": lon}, dtype=object))[0].tolist()


def test_longitudes_from_0_to_360_are_turned_where_none_is_negative(caplog):
    caplog.set_level("INFO")
    assert both(["1", "2", "3"], ["10", "181", "359.5"]) == [[1, 10], [2, -179], [3, -0.5]]
    assert "longitudes run from 0 to 360: 181 in row 1 is -179" in caplog.text
    with pytest.raises(ValueError, match=r"2 of 3 places are out of range .*: 2, 181 \(row 1\), 3, 359\.5 \(row 2\)"):
        both(["1", "2", "3"], ["-10", "181", "359.5"])
    # One of many is a slip.
    with pytest.raises(ValueError, match="1 of 15 places is out of range"):
        both(["1"] * 15, ["10"] * 14 + ["181"])


@given(
    st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=1, max_size=9),
    st.one_of(st.floats(90.001, 98), st.floats(361, 900), st.floats(-9e5, -1001)).filter(
        lambda value: not stands_for_nothing(np.array([[value, 2.0]]))[0]
    ),
)
@example(good=[(0.0, 0.0)], wrong=-32_767.0)
def test_one_latitude_that_is_none_prevents_the_whole_table_and_is_shown(good, wrong):
    lat, lon = zip(*good, (wrong, 2.0), strict=True)
    photos = pd.DataFrame({"latitude": lat, "longitude": lon})
    with pytest.raises(ValueError, match=r"latitudes? .*beyond 90|out of range|not (in )?degrees") as refusal:
        check_coordinates(photos)
    assert f"{wrong:.6g}"[:4] in str(refusal.value)
    # Left out, it prevents nothing.
    ignored = np.arange(len(photos)) == len(good)
    assert check_coordinates(photos, ignored)[0][:-1].tolist() == [list(place) for place in good]


@pytest.mark.parametrize(
    ("lat", "lon"),
    [("-999", "-999"), ("999", "999"), ("-9999", "-9999"), ("99", "99"), ("99.9999", "99.9999"), ("-99", ""), ("48.8", "999"),
     ("-32768", "-32768"), ("-2147483648", "2147483647"), ("9999999", "9999999"), ("", "999")],
)  # fmt: skip
def test_numbers_that_stand_for_a_missing_value_are_missing(lat, lon):
    photos = pd.DataFrame({"latitude": ["48.8", "-33.8", lat], "longitude": ["2.3", "151.2", lon]}, dtype=object)
    latlon_deg, reasons = check_coordinates(photos)
    assert reasons.tolist() == ["", "", "without coordinates"]
    assert np.isnan(latlon_deg[2]).all()
    assert latlon_deg[:2].tolist() == [[48.8, 2.3], [-33.8, 151.2]]


@pytest.mark.parametrize(("lat", "lon"), [("99", "2"), ("95.2", "13.4"), ("99.5", "99.5"), ("inf", "3"), ("48", "212")])
def test_a_slip_is_no_sign_for_a_missing_value(lat, lon):
    with pytest.raises(ValueError, match=r"1 of 3 places is out of range .*\(row 2\).*--exclude-rows 2"):
        both(["48.8", "-33.8", lat], ["-2.3", "151.2", lon])


def test_rows_that_contradict_each_other_about_the_order_are_shown():
    with pytest.raises(
        ValueError, match=r"1 of 3 places .*: 151\.2, -33\.8 \(row 1\), exchanged as other rows show: correct"
    ):
        both(["2.3", "151.2", "35.6"], ["48.8", "-33.8", "139.6"])


@pytest.mark.parametrize("notation", ["POINT ({0} {1})", '{{"type": "Point", "coordinates": [{0}, {1}]}}'])
def test_points_with_the_latitude_first_are_refused(notation):
    texts = [notation.format(lat, lon) for lat, lon in [(48.8, 2.3), (-33.8, 151.2)]]
    with pytest.raises(
        ValueError, match=r"latitudes (is|are) beyond 90 degrees \(the first is 151\.2 in row 1\).*longitude first"
    ):
        check_coordinates(pd.DataFrame({"latlon": texts}))


@pytest.mark.parametrize(
    ("notation", "way"),
    [
        (lambda x: np.trunc(x) * 100 + np.fmod(x, 1) * 60, "ddmm.mmmm"),
        (lambda x: np.sign(x) * (np.trunc(abs(x)) * 10_000 + np.trunc(abs(x) % 1 * 60) * 100 + 7), "ddmmss"),
        (lambda x: np.round(x * 1e7), "latitude_e7"),
        (lambda x: np.round(x * 1e6), "latitude_e6"),
        (lambda x: x * 111_319.49, "EPSG:4326"),
        (np.radians, "radians"),
    ],
)
def test_numbers_in_another_unit_are_refused_and_named(notation, way):
    wanted = np.array([(48.8566, 2.3522), (40.4168, -3.7038), (-33.8688, 151.2093)])
    lat, lon = notation(wanted).T
    with pytest.raises(ValueError, match=way):
        check_coordinates(pd.DataFrame({"latitude": lat, "longitude": lon}))


def test_photographs_near_0_0_are_not_taken_for_radians():
    # Quay and town of São Tomé, and a line of round numbers.
    assert both(["0.3365", "0.3391", "0.3402"], ["6.7273", "6.7301", "6.7314"])[0] == [0.3365, 6.7273]
    assert both(["1", "0.5", "0.25"], ["1", "2", "3"])[0] == [1, 1]


@pytest.mark.parametrize(
    ("lat", "lon", "letters"), [("2.35 E", "48.85 N", "E, N"), ("2.35 W", "48.85", "W"), ("2.35", "48.85 S", "S")]
)
def test_hemispheres_of_the_other_column_are_refused(lat, lon, letters):
    with pytest.raises(ValueError, match=rf"hemispheres \({letters}\) belong to the other column.*--lat-column"):
        both([lat], [lon])


def test_metres_of_a_projection_are_refused():
    with pytest.raises(ValueError, match=r"not in degrees \(the first is 5411947, 448251.*EPSG:4326"):
        both(["5411947", "5411950"], ["448251", "448260"])


def test_hemispheres_in_columns_of_their_own_give_the_signs():
    photos = pd.DataFrame(
        {"latitude": ["33.8", "48.8"], "longitude": ["151.2", "2.3"], "latitude_side": ["South", "North"],
         "longitude_side": ["E", "W"]},
        dtype=object,
    )  # fmt: skip
    assert check_coordinates(photos)[0].tolist() == [[-33.8, 151.2], [48.8, -2.3]]
    with pytest.raises(ValueError, match="is negative and its hemisphere is N"):
        check_coordinates(photos.assign(latitude=["-33.8", "-48.8"]))


def test_points_of_another_reference_system_and_lines_are_refused():
    with pytest.raises(ValueError, match="EPSG:3857"):
        check_coordinates(pd.DataFrame({"latlon": ["SRID=3857;POINT(1 2)"]}))
    with pytest.raises(ValueError, match="points are needed"):
        check_coordinates(pd.DataFrame({"latlon": ["POINT (1 2)", "MULTIPOINT (1 1, 2 2)"]}))


def test_the_order_of_two_numbers_is_told_by_a_row_or_by_the_heading():
    neutral = pd.DataFrame({"latlon": ["[2.35, 48.85]", "[139.65, 35.68]"]})
    assert check_coordinates(neutral)[0].tolist() == [[48.85, 2.35], [35.68, 139.65]]
    with pytest.raises(ValueError, match="call the column latlon or lonlat"):
        check_coordinates(neutral.iloc[:1])
    assert check_coordinates(pd.DataFrame({"lonlat": ["[2.35, 48.85]"]}))[0].tolist() == [[48.85, 2.35]]
    assert check_coordinates(pd.DataFrame({"latlon": ["2.35, 48.85"]}))[0].tolist() == [[2.35, 48.85]]


def test_a_place_name_is_no_column_of_places():
    assert not could_be_places(pd.Series(["Paris, France", "Rome"], dtype=object))
    assert could_be_places(pd.Series(["", "48.85, 2.35"], dtype=object))


def test_missing_values_are_missing_in_every_spelling():
    column = read_degrees(pd.Series(["", "nan", "N/A", "null", "-", "?", "1°"], dtype=object))
    assert column.missing.tolist() == [True] * 6 + [False]
    assert math.isnan(column.degrees[0])


@pytest.mark.parametrize(
    ("first", "second", "swapped", "right"),
    [
        (45, 80, False, False),
        (90, 90, False, False),
        (90.001, 90, True, False),
        (-120, -90, True, False),
        (360, 45, True, False),
        (360.001, 45, False, False),
        (90, 90.001, False, True),
        (-90, -120, False, True),
        (45, 360, False, True),
        (45, 360.001, False, False),
        (91, 91, False, False),
        (math.nan, 120, False, False),
        (120, math.nan, False, False),
    ],
)
def test_a_row_tells_the_order_where_just_one_of_its_numbers_can_be_a_latitude(first, second, swapped, right):
    assert [bool(told[0]) for told in tells_swapped(np.array([[first, second]], dtype=float))] == [swapped, right]
