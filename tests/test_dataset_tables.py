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
from dataset.tables.fields import manifest_fields
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
        ("inf", "2", "out of range"),
        ("90.1", "120", "out of range"),
        ("10", "-180.1", "out of range"),
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


def test_one_row_that_can_only_be_swapped_refuses_the_table_and_one_that_cannot_be_does_not():
    few = [("1", "2")] * 9
    with pytest.raises(
        ValueError, match=r"swapped, name the columns with --lat-column and --lon-column.*--exclude-rows 0"
    ):
        check_coordinates(frame(("95", "10"), *few))
    assert check_coordinates(frame(("95", "10"), ("10", "95"), *few))[1][0] == "with coordinates out of range"


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
    first, second = manifest_fields(photos)
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
    assert manifest_fields(table(tmp_path, "path,lat,lon\na.jpg,1,2\nb.jpg,1,2\n")) == [{}, {}]


@pytest.mark.parametrize(
    "text", ["1588334400", "1588334400000", "2020-05-01T12:00:00Z", "2020-05-01 14:00:00+02:00", "2020-05-01 12:00:00"]
)
def test_times_are_read_in_every_notation(text):
    assert utc_times(pd.Series([text, "nonsense"])).tolist() == [pd.Timestamp("2020-05-01T12:00:00Z"), pd.NaT]
