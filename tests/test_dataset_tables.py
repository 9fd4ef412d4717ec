"""Tables in the layouts that people have."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset.file_names import latlon_of_name
from dataset.places import check_coordinates
from dataset.tables.fields import ManifestFields
from dataset.tables.photo_table import check_places, read_table
from dataset.tables.times import utc_times


def table(folder, text: str, name: str = "t.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    found = read_table(folder / name)
    check_places(found, folder / name)
    return found.photos


LAYOUTS = {
    "OSV-5M": (
        "id,latitude,longitude,country,region,sub-region,city,sequence,captured_at,creator_username\n"
        "0012345678901234567,48.85,2.35,FR,x,y,z,sq,1500000000000,ann\n",
        ("0012345678901234567", "0012345678901234567"),
    ),
    "Im2GPS3k and YFCC": ("IMG_ID,LAT,LON\n104_9_n00.jpg,48.85,2.35\n", ("104_9_n00.jpg", "104_9_n00.jpg")),
    "GeoCLIP": ("IMG_FILE,LAT,LON\n00/1f/a.jpg,48.85,2.35\n", ("00/1f/a.jpg", "00/1f/a")),
    "plain": ("image_path,lat,lon\na/b.png,48.85,2.35\n", ("a/b.png", "a/b")),
    "the older project": ("filename,lat,lon,grid_label\nb.jpg,48.85,2.35,0/1/2\n", ("b.jpg", "b")),
    "ours": ("id,path,latitude,longitude,licence\nx,c.jpg,48.85,2.35,CC0\n", ("c.jpg", "x")),
    "semicolons": ("Path;Lat;Lng\nd.jpg;48.85;2.35\n", ("d.jpg", "d")),
    "byte order mark": ("\ufeffpath,lat,lon\ne.jpg,48.85,2.35\n", ("e.jpg", "e")),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_known_layout_is_read(layout, tmp_path):
    text, (picture, photo_id) = LAYOUTS[layout]
    row = table(tmp_path, text).iloc[0]
    assert (row["picture"], row["id"]) == (picture, photo_id)
    assert (float(row["latitude"]), float(row["longitude"])) == (48.85, 2.35)


@pytest.mark.parametrize(
    "noted", [b"{}", b"no JSON", b'{"index_columns": [{"kind": "range"}], "columns": [], "column_indexes": []}']
)
def test_what_pandas_noted_in_parquet_is_not_followed(noted, tmp_path):
    frame = pd.DataFrame({"id": ["a"], "filename": ["a.jpg"], "latitude": [48.5], "longitude": [2.5]})
    table = pa.Table.from_pandas(frame.set_index("id")).replace_schema_metadata({b"pandas": noted})
    pq.write_table(table, tmp_path / "t.parquet")
    read = read_table(tmp_path / "t.parquet").photos
    assert read[["id", "latitude", "longitude"]].values.tolist() == [["a", 48.5, 2.5]]


def test_tabs_and_parquet_are_read_alike(tmp_path):
    frame = pd.DataFrame({"id": [1, 9007199254740993], "lat": [1.5, None], "lon": [2.5, 3.5], "sequence": ["s", None]})
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    for name in ("t.parquet", "t.tsv"):
        photos = read_table(tmp_path / name).photos
        assert photos["id"].tolist() == ["1", "9007199254740993"]
        assert photos["sequence_id"].tolist() == ["s", ""]
        latlon_deg, reasons = check_coordinates(photos)
        assert latlon_deg[0].tolist() == [1.5, 2.5]
        assert reasons.tolist() == ["", "without coordinates"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("id,path,latitude,longitude\n", "has no rows"),
        ("id,path\na,b.jpg\n", "no column of the latitude .*id, path"),
        ("path,lat\na.jpg,1\n", "no column of the longitude"),
        ("lat,lon\n1,2\n", "no column that names pictures"),
        ("path,lat,lon\na.jpg,1,2\nb.jpg,48,85,2,35\n", "line 3 has 5 fields, the first line 3"),
        ("path,lat,lon\na.jpg,48,85,2,35\n", "line 2 has 5 fields"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_clear_line(text, words, tmp_path):
    with pytest.raises(ValueError, match=words) as refusal:
        table(tmp_path, text)
    assert "t.csv" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_tables_that_are_none_are_refused(tmp_path):
    (tmp_path / "t.parquet").write_text("not parquet")
    with pytest.raises(ValueError, match="Parquet"):
        read_table(tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_bytes(b"path,lat,lon\n\x81.jpg,1,2\n")
    with pytest.raises(ValueError, match="UTF-8"):
        read_table(tmp_path / "t.csv")


def frame(*rows: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["latitude", "longitude"], dtype=object)


@pytest.mark.parametrize(
    ("lat", "lon", "reason"),
    [
        ("48.85", "2.35", ""),
        ("-90", "180", ""),
        ("0", "0.5", ""),
        ("", "2", "without coordinates"),
        ("NaN", "NaN", "without coordinates"),
        ("null", "2", "without coordinates"),
        ("-999", "-999", "without coordinates"),
        ("0.0", "-0.0", "at (0, 0)"),
    ],
)
def test_each_bad_coordinate_has_its_reason(lat, lon, reason):
    good = [("1", "2")] * 9
    assert reason in check_coordinates(frame((lat, lon), *good))[1][0]
    assert bool(reason) == bool(check_coordinates(frame((lat, lon), *good))[1][0])
    assert not any(check_coordinates(frame((lat, lon), *good))[1][1:])


def test_swapped_columns_are_refused_as_a_whole():
    world = np.random.default_rng(0).uniform([-60, -180], [70, 180], (50, 2))
    with pytest.raises(ValueError, match="swapped"):
        check_coordinates(frame(*((str(lon), str(lat)) for lat, lon in world)))
    assert not any(check_coordinates(frame(*((str(lat), str(lon)) for lat, lon in world)))[1])


def test_one_row_that_can_only_be_swapped_refuses_the_table_as_do_rows_that_contradict_each_other():
    few = [("1", "2")] * 9
    with pytest.raises(
        ValueError, match=r"swapped, name the columns with --lat-column and --lon-column.*--exclude-rows 0"
    ):
        check_coordinates(frame(("95", "10"), *few))
    with pytest.raises(ValueError, match=r"1 of 11 places is out of range .*: 95, 10 \(row 0\)"):
        check_coordinates(frame(("95", "10"), ("10", "95"), *few))
    # A published table has its slips, and columns that are known.
    assert check_coordinates(frame(("95", "10"), *few), known_columns=True)[1][0] == "with coordinates out of range"


def test_real_coordinates_pass_and_swapped_ones_do_not(shared_data):
    points = pd.read_csv(shared_data / "points" / "geoclip_mp16_gallery_100k.csv", dtype=str)
    points = points.set_axis(["latitude", "longitude"], axis=1)
    assert (check_coordinates(points)[1] == "").mean() > 0.999
    with pytest.raises(ValueError, match="swapped"):
        check_coordinates(points.set_axis(["longitude", "latitude"], axis=1))


@given(st.floats(-90, 90).map(lambda x: round(x, 6)), st.floats(-180, 180).map(lambda x: round(x, 6)))
def test_coordinates_in_file_names_are_read(lat, lon):
    assert latlon_of_name(f"{lat:f},{lon:f}.jpg") == (lat, lon)
    assert latlon_of_name(f"img_{lat:f},{lon:f}.jpg") == (lat, lon)
    assert latlon_of_name(f"{lat:f}, {lon:f}_90.png") == (lat, lon)


@pytest.mark.parametrize(
    "name", ["12,5.jpg", "IMG_2034.jpg", "95.0,10.0.jpg", "1.5,200.5.jpg", "a1.5,2.5.jpg", ",.jpg"]
)
def test_other_file_names_hold_none(name):
    assert latlon_of_name(name) is None


def test_real_file_names_agree_with_their_columns(shared_data):
    rows = pd.read_csv(shared_data / "points" / "dlcv_europe_filename_coords_5k.csv")
    read = np.array([latlon_of_name(name) for name in rows["filename"]])
    assert read == pytest.approx(rows[["latitude", "longitude"]].to_numpy(), abs=1e-9)


def test_real_rows_of_osv5m_are_read(shared_data):
    photos = read_table(shared_data / "points" / "osv5m_game_50.csv").photos
    assert photos["picture"][0] == "297765091851450"
    assert not any(check_coordinates(photos)[1])


def test_fields_take_the_manifests_types(tmp_path):
    photos = table(
        tmp_path,
        "id,lat,lon,sequence,captured_at,creator_username,heading,is_pano,license\n"
        "a,1,2,s,1500000000000,ann,370,True,CC0\nb,1,2,,,,x,maybe,nan\n",
    )
    fields = ManifestFields.of(photos)
    first, second = fields.row(0), fields.row(1)
    assert first == {
        "sequence_id": "s",
        "creator": "ann",
        "captured_at_utc": pd.Timestamp("2017-07-14T02:40:00Z"),
        "compass_angle": 10,
        "is_pano": True,
        "licence": "CC0",
    }
    assert set(second.values()) == {None}


def test_a_table_of_coordinates_alone_has_no_fields(tmp_path):
    fields = ManifestFields.of(table(tmp_path, "path,lat,lon\na.jpg,1,2\nb.jpg,1,2\n"))
    assert (len(fields), fields.row(0), fields.row(1)) == (2, {}, {})
    assert fields.with_column("country", ["FR", ""]).row(1) == {"country": None}


@pytest.mark.parametrize(
    "text", ["1588334400", "1588334400000", "2020-05-01T12:00:00Z", "2020-05-01 14:00:00+02:00", "2020-05-01 12:00:00"]
)
def test_times_are_read_in_every_notation(text):
    assert utc_times(pd.Series([text, "nonsense"])).tolist() == [pd.Timestamp("2020-05-01T12:00:00Z"), pd.NaT]


def coordinates_of(folder, text):
    (folder / "a.csv").write_text(text)
    photos = read_table(folder / "a.csv").photos
    return check_coordinates(photos)[0].tolist()


@pytest.mark.parametrize(
    ("headings", "lat", "lon"),
    [
        ("lat (°N),lon (°W)", "48.5", "3.7"),
        ("latitudeE7,longitudeE7", "485000000", "-37000000"),
        ("lat_e6,lon_e6", "48500000", "-3700000"),
        ("lat [rad],lon [rad]", "0.846484687", "-0.064577182"),
        ("latitude_rad,longitude_rad", "0.846484687", "-0.064577182"),
        ("Breitengrad,Längengrad", "48.5", "-3.7"),
        ("lat (N/S),lon (E/W)", "48.5", "-3.7"),
    ],
)
def test_units_and_hemispheres_in_headings_count(headings, lat, lon, tmp_path):
    assert coordinates_of(tmp_path, f"file,{headings}\na.jpg,{lat},{lon}\n") == [
        [pytest.approx(48.5), pytest.approx(-3.7)]
    ]


def test_values_that_contradict_their_heading_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"has -3\.7 in row 1 of lon \(W\): write west without a sign"):
        coordinates_of(tmp_path, "file,lat,lon (W)\na.jpg,48,1\nb.jpg,48,-3.7\n")
    with pytest.raises(ValueError, match=r"has '48\.5 N' in row 0 of latitudeE7, where plain numbers are needed"):
        coordinates_of(tmp_path, "file,latitudeE7,longitudeE7\na.jpg,48.5 N,1\n")


@pytest.mark.parametrize("headings", ["Lat Hemisphere,Long Hemisphere", "ns,ew", "LatNS,LonEW", "foo,bar"])
def test_hemispheres_of_their_own_columns_are_found_by_heading_or_content(headings, tmp_path):
    text = f"file,lat,lon,{headings}\na.jpg,33.5,151.2,S,E\nb.jpg,40.4,3.7,N,W\n"
    assert coordinates_of(tmp_path, text) == [[-33.5, 151.2], [40.4, -3.7]]


def test_exif_coordinates_whose_hemispheres_were_not_exported_are_refused(tmp_path):
    text = "SourceFile,EXIF:GPSLatitude,EXIF:GPSLongitude\na.jpg,33.5,{}\n"
    with pytest.raises(ValueError, match=r"has EXIF:GPSLatitude without hemispheres: export EXIF:GPSLatitudeRef"):
        coordinates_of(tmp_path, text.format("70.2"))
    both = "SourceFile,EXIF:GPSLatitude,EXIF:GPSLongitude,EXIF:GPSLatitudeRef,EXIF:GPSLongitudeRef\na.jpg,33.5,70.2,South,West\n"
    assert coordinates_of(tmp_path, both) == [[-33.5, -70.2]]


def test_gaps_are_filled_from_a_column_that_stands_for_the_same(tmp_path):
    text = "file,lat,lon,latitude,longitude\na.jpg,,,48.5,2.3\nb.jpg,40.4,-3.7,,\n"
    assert coordinates_of(tmp_path, text) == [[48.5, 2.3], [40.4, -3.7]]
    assert "latitude from latitude, lat" in read_table(tmp_path / "a.csv").used
    # Where the columns say something else, one is taken and its gaps stay.
    text = "file,lat,lon,latitude,longitude\na.jpg,1,1,,\nb.jpg,40.4,-3.7,40.5,-3.7\n"
    assert coordinates_of(tmp_path, text)[1] == [40.5, -3.7]
    assert "not used: lat" in read_table(tmp_path / "a.csv").used


def test_two_columns_of_one_name_that_differ_are_refused(tmp_path):
    text = "file,lat,lon,lat,lon\na.jpg,48.5,2.3,{},2.3\n"
    assert coordinates_of(tmp_path, text.format(48.5)) == [[48.5, 2.3]]
    assert "not used: lat, lon" in read_table(tmp_path / "a.csv").used
    with pytest.raises(ValueError, match=r"two columns lat that differ \(48\.5 and 48\.6 in row 0\)"):
        coordinates_of(tmp_path, text.format(48.6))


def test_the_one_column_of_file_names_is_taken_whatever_its_heading(tmp_path):
    (tmp_path / "a.csv").write_text("title,lat,lon,note\na.jpg,1,100,x\nb c.png,2,100,y\n")
    table = read_table(tmp_path / "a.csv")
    assert table.photos["picture"].tolist() == ["a.jpg", "b c.png"]
    assert table.headings["picture"] == "title"
    (tmp_path / "a.csv").write_text("title,lat,lon,note\na.jpg,1,100,x.jpg\nb c.png,2,100,y.jpg\n")
    with pytest.raises(ValueError, match="no column that names pictures"):
        read_table(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("headings", "values", "way"),
    [
        ("x,y", "2,48", r"if x and y are degrees, give --lat-column y --lon-column x"),
        ("easting,northing", "448251,5411932", r"easting holds the metres of a projection: .*EPSG:4326"),
        ("geohash,note", "u09tvw0f,", r"geohash holds codes of places: convert them"),
        ("geom,note", "SRID=3857;POINT(1 2),", r"in geom, the points are in EPSG:3857"),
        ("location,note", "8FW4V942+JV,", r"in location, '8FW4V942\+JV' cannot be read as a place"),
        ("foo,bar", "2,48", r"name it with --lat-column"),
    ],
)
def test_a_table_without_coordinates_is_refused_with_the_way(headings, values, way, tmp_path):
    (tmp_path / "a.csv").write_text(f"file,{headings}\na.jpg,{values}\n")
    with pytest.raises(ValueError, match=way):
        check_places(read_table(tmp_path / "a.csv"), tmp_path / "a.csv")


@pytest.mark.parametrize(
    "text",
    [
        "https://www.google.com/maps/@48.5,-3.7,17z",
        "https://www.google.com/maps/place/X/@48.1,-3.1,17z/data=!3m1!4b1!4m5!3m4!1s0x0!8m2!3d48.5!4d-3.7",
        "https://maps.google.com/?q=48.5,-3.7",
        "https://www.google.com/maps/search/?api=1&query=48.5%2C-3.7",
        "https://www.openstreetmap.org/?mlat=48.5&mlon=-3.7#map=5/48/-3",
        "https://www.openstreetmap.org/#map=17/48.5/-3.7",
        "geo:48.5,-3.7,35",
        "geo:48.5,-3.7;u=10",
        "POINTZ(-3.7 48.5 12)",
    ],
)
def test_links_of_web_maps_and_places_with_heights_are_places(text, tmp_path):
    assert coordinates_of(tmp_path, f'file,location\na.jpg,"{text}"\n') == [[48.5, -3.7]]
