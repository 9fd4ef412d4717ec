"""One table of photographs in every dialect, encoding and kind of file gives the same photographs."""

import bz2
import csv
import gzip
import io
import json
import lzma

import geopandas
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset.places import check_coordinates
from dataset.tables.fields import ManifestFields
from dataset.tables.folders import with_folders
from dataset.tables.headings import HEADINGS, columns_of, folded
from dataset.tables.photo_table import check_places, read_table
from dataset.tables.times import utc_times

ROWS = [
    ("p00.jpg", 48.8566, 2.3522),
    ("p01.jpg", 52.52, 13.405),
    ("p02.jpg", 40.4168, -3.7038),
    ("p03.jpg", -33.8688, 151.2093),
]


def places_in(path, asked=None) -> list[tuple[str, float, float]]:
    table = read_table(path, asked)
    check_places(table, path)
    latlon_deg, reasons = check_coordinates(table.photos)
    assert not any(reasons)
    return [(name, lat, lon) for name, (lat, lon) in zip(table.photos["picture"], latlon_deg.tolist(), strict=True)]


def as_csv(rows=ROWS, headings=("filename", "lat", "lon"), separator=",", decimal=".", **settings) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, **settings)
    writer.writerow(headings)
    writer.writerows((name, str(lat).replace(".", decimal), str(lon).replace(".", decimal)) for name, lat, lon in rows)
    return text.getvalue()


names = st.text(
    st.characters(codec="utf-8", categories=("L", "N"), include_characters=" -_,;'()"), min_size=1, max_size=12
).map(lambda name: f"{name.strip(' ') or 'x'}.jpg")
latitudes, longitudes = (st.floats(*ends).map(lambda x: round(x, 5)) for ends in ((-89, 89), (91, 179)))
tables = st.lists(st.tuples(names, latitudes, longitudes), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(
    rows=tables,
    separator=st.sampled_from(["\t", ";", ",", "|"]),
    decimal=st.sampled_from([".", ","]),
    ends=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"]),
    before=st.sampled_from(["", "sep={}\n", "Photographs of 2019\n", "Export\n\nmade by hand\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    headings=st.sampled_from(
        [
            ("filename", "lat", "lon"),
            ("Dateiname", "Breitengrad", "Längengrad"),
            ("Image Path", "Latitude (deg)", "Longitude [°]"),
        ]
    ),
)
def test_a_table_is_the_same_in_every_dialect(
    tmp_path_factory, rows, separator, decimal, ends, encoding, before, quoting, headings
):
    text = before.format(separator) + as_csv(rows, headings, separator, decimal, lineterminator="\n", quoting=quoting)
    path = tmp_path_factory.mktemp("dialect") / "photos.csv"
    path.write_bytes(text.replace("\n", ends).encode(encoding))
    assert places_in(path) == rows


def as_gpkg_free_kinds(folder) -> dict[str, bytes]:
    """Return the table as bytes, by the name of the file."""
    records = [{"file_name": name, "latitude": lat, "longitude": lon} for name, lat, lon in ROWS]
    features = [
        {"type": "Feature", "properties": {"filename": name}, "geometry": {"type": "Point", "coordinates": [lon, lat]}}
        for name, lat, lon in ROWS
    ]
    marks = "".join(
        f"<Placemark><name>{name}</name><Point><coordinates>{lon},{lat},0</coordinates></Point></Placemark>"
        for name, lat, lon in ROWS
    )
    text = as_csv().encode()
    lines = "\n".join(map(json.dumps, records)).encode()
    heading = {"MAPCompassHeading": {"TrueHeading": 5}}
    mapillary = [{"filename": name, "MAPLatitude": lat, "MAPLongitude": lon, **heading} for name, lat, lon in ROWS]
    return {
        "a.csv": text,
        "a.csv.gz": gzip.compress(text),
        "a.csv.bz2": bz2.compress(text),
        "a.tsv.xz": lzma.compress(as_csv(separator="\t").encode()),
        "records.json": json.dumps(records).encode(),
        "columns.json": pd.DataFrame(records).to_json().encode(),
        "keyed.json": json.dumps({name: {"lat": lat, "lng": lon} for name, lat, lon in ROWS}).encode(),
        "pairs.json": json.dumps({name: [lat, lon] for name, lat, lon in ROWS}).encode(),
        "nested.json": json.dumps(
            [{"image": name, "location": {"lat": lat, "lon": lon}} for name, lat, lon in ROWS]
        ).encode(),
        "lines.jsonl": lines,
        "lines.ndjson.gz": gzip.compress(lines),
        "coco.json": json.dumps({"info": {}, "images": records, "annotations": [], "licenses": []}).encode(),
        "mapillary_image_description.json": json.dumps(mapillary).encode(),
        "a.geojson": json.dumps({"type": "FeatureCollection", "features": features}).encode(),
        "a.geojsonl": "\n".join(map(json.dumps, features)).encode(),
        "a.kml": f'<?xml version="1.0"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document>{marks}</Document></kml>'.encode(),
        "misnamed.txt": json.dumps(records).encode(),
    }


@pytest.mark.parametrize("name", sorted(as_gpkg_free_kinds(None)))
def test_a_table_is_the_same_in_every_kind_of_file(name, tmp_path):
    (tmp_path / name).write_bytes(as_gpkg_free_kinds(tmp_path)[name])
    assert places_in(tmp_path / name) == ROWS


@pytest.mark.parametrize("title_lines", [0, 2])
def test_workbooks_are_read_from_the_sheet_that_has_the_headings(title_lines, tmp_path):
    pytest.importorskip("openpyxl", reason="writes the workbook that is read")
    pytest.importorskip("python_calamine", reason="reads workbooks")
    frame = pd.DataFrame(ROWS, columns=["Dateiname", "Breite", "Länge"])
    with pd.ExcelWriter(tmp_path / "a.xlsx") as workbook:
        pd.DataFrame({"note": ["nothing here"]}).to_excel(workbook, sheet_name="About", index=False)
        frame.to_excel(workbook, sheet_name="Photos", index=False, startrow=title_lines)
    assert places_in(tmp_path / "a.xlsx") == ROWS


def test_geoparquet_is_read_in_any_reference_system(tmp_path):
    names, lat, lon = zip(*ROWS, strict=True)
    frame = geopandas.GeoDataFrame({"path": names}, geometry=geopandas.points_from_xy(lon, lat), crs=4326)
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_crs(3857).to_parquet(tmp_path / "b.parquet")
    assert places_in(tmp_path / "a.parquet") == ROWS
    assert [row[1:] for row in places_in(tmp_path / "b.parquet")] == [pytest.approx(row[1:]) for row in ROWS]


@pytest.mark.parametrize("nested", [True, False])
def test_pictures_inside_parquet_are_found_by_their_row_in_any_row_group(nested, tmp_path):
    pictures = [f"picture {row}".encode() for row in range(len(ROWS))]
    column = [{"bytes": picture, "path": None} for picture in pictures] if nested else pictures
    frame = pa.table({"image": column, "latitude": [row[1] for row in ROWS], "longitude": [row[2] for row in ROWS]})
    pq.write_table(frame, tmp_path / "a.parquet", row_group_size=3)
    table = read_table(tmp_path / "a.parquet")
    assert table.pictures is not None
    assert [table.pictures.read(row) for row in table.photos["row"]] == pictures
    assert table.photos["id"].tolist() == [f"a-{row:06d}" for row in range(len(ROWS))]


def test_a_table_without_headings_is_read_where_its_rows_tell_what_is_what(tmp_path, caplog):
    caplog.set_level("INFO")
    (tmp_path / "a.csv").write_text("\n".join(f"{name},{lat},{lon}" for name, lat, lon in ROWS))
    (tmp_path / "b.csv").write_text("\n".join(f"{lon};{lat};C:\\x\\{name}" for name, lat, lon in ROWS))
    assert places_in(tmp_path / "a.csv") == ROWS
    assert "no line of headings" in caplog.text
    assert [row[1:] for row in places_in(tmp_path / "b.csv")] == [row[1:] for row in ROWS]
    (tmp_path / "c.csv").write_text("\n".join(f"{name},{lat},{lon},35.5" for name, lat, lon in ROWS))
    with pytest.raises(ValueError, match=r"3 columns could be coordinates.*--lat-column 2 --lon-column 3"):
        read_table(tmp_path / "c.csv")
    assert places_in(tmp_path / "c.csv", {"latitude": "2", "longitude": "3", "picture": "1"}) == ROWS
    (tmp_path / "d.csv").write_text("\n".join(f"{lat},{lon}" for _, lat, lon in ROWS))
    with pytest.raises(ValueError, match=r"not a line of headings \(48\.8566, 2\.3522\), and no column names pictures"):
        read_table(tmp_path / "d.csv")


def test_windows_1252_is_read_and_said(tmp_path, caplog):
    caplog.set_level("INFO")
    (tmp_path / "a.csv").write_bytes("Dateiname;Breitengrad;Längengrad\nmünchen.jpg;48,137°;11,575°\n".encode("cp1252"))
    assert places_in(tmp_path / "a.csv") == [("münchen.jpg", 48.137, 11.575)]
    assert "read as Windows-1252" in caplog.text


def test_columns_that_flags_name_win_and_used_and_unused_columns_are_said(tmp_path):
    (tmp_path / "a.csv").write_text("filename,lat,lon,true y,true x,shot,who\nq.jpg,1,2,48.8566,139.3522,p00.jpg,ann\n")
    asked = {"latitude": "true y", "longitude": "TRUE X", "picture": "shot", "creator": "who"}
    assert places_in(tmp_path / "a.csv", asked) == [("p00.jpg", 48.8566, 139.3522)]
    used = read_table(tmp_path / "a.csv", asked).used
    assert "latitude from true y" in used
    assert "not used: filename, lat, lon" in used
    with pytest.raises(ValueError, match=r"no column northing \(--lat-column\); its columns are: filename, lat"):
        read_table(tmp_path / "a.csv", {"latitude": "northing"})


def test_one_column_with_both_coordinates_may_be_given_to_both_flags(tmp_path):
    (tmp_path / "a.csv").write_text('path,where\np.jpg,"48.8566, 139.3522"\n')
    assert places_in(tmp_path / "a.csv", {"latitude": "where", "longitude": "where"}) == [("p.jpg", 48.8566, 139.3522)]


@pytest.mark.parametrize(
    ("heading", "ours"),
    [
        ("GPSLatitude", "latitude"), ("EXIF:GPSLatitude", "latitude"), ("decimalLatitude", "latitude"),
        ("Latitude (°)", "latitude"), ("LAT_WGS84", "latitude"), ("Szerokość geograficzna", "latitude"),
        ("緯度", "latitude"), ("Широта", "latitude"), ("lng", "longitude"), ("Longitudine", "longitude"),
        ("Delka", "longitude"), ("location.lon", "longitude"), ("경도", "longitude"), ("SourceFile", "picture"),
        ("nom du fichier", "picture"), ("Имя файла", "picture"), ("Image", "picture"), ("key", "id"),
        ("DateTimeOriginal", "captured_at_utc"), ("GPSPosition", "latlon"), ("ca", "compass_angle"),
        ("rights_holder", "creator"),
    ],
)  # fmt: skip
def test_headings_of_tools_and_languages_are_known(heading, ours):
    assert columns_of(["something", heading], {}) == {ours: [1]}


def test_no_heading_stands_for_two_columns():
    seen: dict[str, str] = {}
    for ours, listed in HEADINGS.items():
        for name in listed.split():
            assert seen.setdefault(folded(name), ours) == ours, name


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.gpx", b"<?xml version='1.0'?><gpx></gpx>", "exiftool -geotag"),
        ("a.csv", b"PK\x03\x04" + bytes(60), "is an archive: unpack it"),
        ("a.xlsx", b"PK\x03\x04" + bytes(60), "cannot be read as a workbook"),
        ("a.csv", b"<html><table></table></html>", "is a web page"),
        ("a.csv", b"SQLite format 3\x00", "ogr2ogr"),
        ("a.csv.gz", b"\x1f\x8bxxxx", "cannot be unpacked"),
        ("a.json", b'{"images": [', "damaged JSON"),
        ("a.json", b"[1, 2]", "list of something else than records"),
        ("a.json", b'{"info": 1, "lists": []}', "no list of photographs: its parts are info, lists"),
        ("a.json", b"{}", "no list of photographs: its parts are none"),
        ("a.json", b"[" * 100_000, "damaged JSON|nested too deeply"),
        ("a.jsonl", b'{"path": "a.jpg"}\n{"path": \n', "line 2"),
        ("a.kml", b"<!DOCTYPE x [<!ENTITY a 'b'>]><kml></kml>", "declares entities"),
        ("a.kml", "<!DOCTYPE x [<!ENTITY a 'b'>]><kml></kml>".encode("utf-16-le"), "declares entities"),
        ("a.kml", b"<kml><Placemark>", "damaged KML"),
        ("a.parquet", b"PAR1xxxx", "cannot be read as Parquet"),
        ("a.csv", bytes(range(1, 255)) * 4, "UTF-8"),
        ("a.csv", b"path,lat,lon\na,b.jpg,1,2\n", "line 2 has 4 fields, the first line 3: put texts"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line_that_says_what_to_do(name, content, words, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=words) as refusal:
        read_table(tmp_path / name)
    assert name in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_trailing_separators_and_empty_rows_are_no_data(tmp_path):
    text = "filename,lat,lon\n" + "".join(f"{name},{lat},{lon},,\n" for name, lat, lon in ROWS) + ",,\n,,\n"
    (tmp_path / "a.csv").write_text(text)
    assert places_in(tmp_path / "a.csv") == ROWS


def test_names_that_became_floats_are_numbers_again_all_or_none(tmp_path):
    (tmp_path / "a.csv").write_text("id,lat,lon\n1000.0,1,100\n7.0,2,100\n")
    (tmp_path / "b.csv").write_text("id,lat,lon\nv1.0,1,100\n7.0,2,100\n")
    assert [row[0] for row in places_in(tmp_path / "a.csv")] == ["1000", "7"]
    assert [row[0] for row in places_in(tmp_path / "b.csv")] == ["v1.0", "7.0"]


def test_inaturalist_names_licences_and_photographers(tmp_path):
    content = {
        "images": [{"id": 5, "file_name": "a/b.jpg", "latitude": 1.5, "longitude": 100, "license": 1, "rights_holder": "Ann",
                    "date": "2019-05-01"}],
        "licenses": [{"id": 1, "name": "CC BY-NC 4.0"}],
    }  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps(content))
    fields = ManifestFields.of(read_table(tmp_path / "a.json").photos)
    assert len(fields) == 1
    assert fields.row(0) == {
        "creator": "Ann",
        "captured_at_utc": pd.Timestamp("2019-05-01", tz="UTC"),
        "licence": "CC BY-NC 4.0",
    }


def test_rows_that_name_folders_become_a_row_for_each_picture_of_one_sequence(tmp_path):
    for name in ("u-0/0.jpg", "u-0/90.jpg", "u-0/notes.txt", "u-1/270.png"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).touch()
    (tmp_path / "a.csv").write_text("uuid,lat,lon\nu-0,1,100\nu-1,2,100\nu-2,3,100\n../data,4,100\n")
    photos = with_folders(read_table(tmp_path / "a.csv").photos, [tmp_path / "data"])
    assert photos["picture"].tolist() == ["u-0/0.jpg", "u-0/90.jpg", "u-1/270.png", "u-2", "../data"]
    assert photos["sequence_id"].tolist() == ["u-0", "u-0", "u-1", "", ""]
    assert photos["compass_angle"].tolist() == ["0", "90", "270", "", ""]
    assert photos["row"].tolist() == [0, 0, 1, 2, 3]
    assert check_coordinates(photos)[0][:3].tolist() == [[1, 100], [1, 100], [2, 100]]


def test_dates_are_read_by_the_column_and_null_where_they_could_be_two():
    assert utc_times(pd.Series(["03/04/2019", "25/12/2019"]))[0] == pd.Timestamp("2019-04-03", tz="UTC")
    assert utc_times(pd.Series(["03/04/2019", "12/25/2019"]))[0] == pd.Timestamp("2019-03-04", tz="UTC")
    assert utc_times(pd.Series(["03/04/2019", "04/05/2019"])).isna().all()
    assert utc_times(pd.Series(["03/13/2019", "13/03/2019"])).isna().all()
    assert utc_times(pd.Series(["03.04.2019 14:30"]))[0] == pd.Timestamp("2019-04-03T14:30", tz="UTC")


@pytest.mark.parametrize(
    "text",
    ["2020:05:01 12:00:00", "2020_05_01_12_00_00_000", "20200501T120000Z", "20200501_120000", "43952.5", "1588334400000000",
     "May 1, 2020 12:00", "Fri May  1 12:00:00 2020", "2020/05/01 12:00", "Fri, 01 May 2020 12:00:00 GMT", "20200501120000"],
)  # fmt: skip
def test_times_of_cameras_tools_and_spreadsheets_are_read(text):
    assert utc_times(pd.Series([text]))[0] == pd.Timestamp("2020-05-01T12:00:00", tz="UTC")


@pytest.mark.parametrize("text", ["2018", "2018-05", "12:30", "0000:00:00 00:00:00", "2020-13-45", "soon", "5", ""])
def test_what_is_no_whole_date_is_null(text):
    assert utc_times(pd.Series([text])).isna().all()


def test_degrees_minutes_and_seconds_in_columns_of_their_own_are_one_coordinate(tmp_path):
    (tmp_path / "a.csv").write_text(
        "file,lat_deg,lat_min,lat_sec,lat_dir,lon_deg,lon_min,lon_sec,lon_dir\na.jpg,33.0,52,7.68,S,151,12,33.48,E\n"
    )
    assert places_in(tmp_path / "a.csv") == [("a.jpg", pytest.approx(-33.8688), pytest.approx(151.2093))]


@pytest.mark.parametrize(
    "text",
    [
        "file lat  lon\na.jpg 1 100\n",
        "a.jpg 1.0 100.0\n",
        "sep=\t\nfile\tlat\tlon\na.jpg\t1\t100\n",
        "file,lat,lon\ra.jpg,1,100\r",
    ],
)
def test_tables_of_excel_old_macs_and_with_spaces_are_read(text, tmp_path):
    (tmp_path / "a.csv").write_bytes(text.encode())
    assert places_in(tmp_path / "a.csv") == [("a.jpg", 1, 100)]


def test_lines_in_geojson_are_refused_as_places(tmp_path):
    line = {"type": "LineString", "coordinates": [[1, 2], [3, 4]]}
    features = [{"type": "Feature", "properties": {"image": "a.jpg"}, "geometry": line}]
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    with pytest.raises(ValueError, match="no column of the latitude"):
        places_in(tmp_path / "a.geojson")
