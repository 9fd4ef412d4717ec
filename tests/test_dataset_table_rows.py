"""Tables whose rows are not what they seem: cut, shifted, swallowed, repeated; and headings of two lines or in a code page."""

import csv
import io
import json

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset.places import check_coordinates
from dataset.tables.photo_table import read_table

ROWS = [
    ("a.jpg", 48.8566, 139.6503),
    ("b.jpg", -33.8688, 151.2093),
    ("c.jpg", 40.4168, -3.7038),
    ("d.jpg", 35.68, 120.5),
]


def as_text(separator: str = ",", headings: str = "file,lat,lon") -> str:
    lines = [headings.split(","), *([name, str(lat), str(lon)] for name, lat, lon in ROWS)]
    return "\n".join(separator.join(line) for line in lines) + "\n"


def rows_of(path, text: str | bytes) -> list[tuple[str, float, float]]:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    table = read_table(path)
    places = check_coordinates(table.photos)[0].tolist()
    return [(name, lat, lon) for name, (lat, lon) in zip(table.photos["picture"], places, strict=True)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (as_text().rstrip("\n").rpartition(",")[0], r"line 5 has 2 fields, the first line 3.*is the file whole"),
        (as_text().replace("40.4168,-3.7038", "40.4168"), r"line 4 has 2 fields"),
        (
            "file,title,lat,lon,alt\na.jpg,x,1,100,9\nb.jpg,y,2,100,9\nc.jpg,3,100,9\n",
            r"line 4 has 4 fields, the first line 5",
        ),
        (
            as_text(";").replace("c.jpg;40.4168;-3.7038", "c.jpg,40.4168,-3.7038"),
            r"line 4 has 1 field.*',' between its fields",
        ),
        (as_text().replace("b.jpg", '"b.jpg'), r"line 3 opens a quote that is closed in line 5"),
        (
            as_text(headings="file,lat,lon").replace("151.2093", '"151.2093').replace("120.5", '120.5"'),
            r"line 3 opens a quote",
        ),
    ],
)
def test_a_row_that_is_cut_shifted_or_swallows_others_refuses_the_table(text, words, tmp_path):
    with pytest.raises(ValueError, match=words) as refusal:
        rows_of(tmp_path / "a.csv", text)
    assert "\n" not in str(refusal.value)


def test_quotes_that_swallow_every_second_row_are_refused_and_are_letters_between_tabs(tmp_path):
    lines = ["file,title,lat,lon", *(f'{name},"5 inch,{lat},{lon}' for name, lat, lon in ROWS)]
    with pytest.raises(ValueError, match="line 2 opens a quote that is closed in line 3"):
        rows_of(tmp_path / "a.csv", "\n".join(lines))
    assert rows_of(tmp_path / "a.tsv", "\n".join(lines).replace(",", "\t")) == ROWS


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(st.sampled_from("ab ,;\"\n7.'"), max_size=12), min_size=len(ROWS), max_size=len(ROWS)),
    st.sampled_from(",;\t|"),
)
def test_titles_of_any_letters_neither_refuse_nor_shift_a_table_that_is_written_well(
    tmp_path_factory, titles, separator
):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator="\n")
    writer.writerow(["file", "title", "lat", "lon"])
    writer.writerows((name, f"a{title}", lat, lon) for (name, lat, lon), title in zip(ROWS, titles, strict=True))
    assert rows_of(tmp_path_factory.mktemp("t") / "a.csv", out.getvalue()) == ROWS


def test_trailing_cells_may_be_missing_and_notes_may_follow(tmp_path):
    text = (
        "file,lat,lon,note,stars\n"
        + "".join(f"{name},{lat},{lon}\n" for name, lat, lon in ROWS[:3])
        + "d.jpg,35.68,120.5,x,5\n"
    )
    assert rows_of(tmp_path / "a.csv", text) == ROWS
    assert rows_of(tmp_path / "b.csv", as_text() + "# end\n")[:-1] == ROWS


def test_repeated_headings_are_passed_by(tmp_path, caplog):
    caplog.set_level("INFO")
    assert rows_of(tmp_path / "a.csv", as_text().replace("c.jpg", "file,lat,lon\nc.jpg")) == ROWS
    assert "1 row repeats the headings and is skipped" in caplog.text


def test_numbers_of_rows_without_a_heading_are_no_shift(tmp_path):
    text = "file,lat,lon\n" + "".join(f'"{n}","{name}",{lat},{lon}\n' for n, (name, lat, lon) in enumerate(ROWS, 1))
    assert rows_of(tmp_path / "a.csv", text) == ROWS
    with pytest.raises(ValueError, match="line 2 has 4 fields, the first line 3"):
        rows_of(tmp_path / "a.csv", text.replace('"2"', '"7"'))


def test_lines_that_were_quoted_as_a_whole_are_unwrapped(tmp_path):
    assert rows_of(tmp_path / "a.csv", "".join(f'"{line}"\n' for line in as_text().splitlines())) == ROWS


def test_headings_of_two_lines_are_one(tmp_path):
    assert rows_of(tmp_path / "a.csv", "Foto,Position,\n,Latitude,Longitude\n" + as_text().partition("\n")[2]) == ROWS


@pytest.mark.parametrize(
    ("page", "headings"),
    [
        ("cp1251", "Имя файла,Широта,Долгота"), ("koi8-r", "Имя файла,Широта,Долгота"), ("cp932", "ファイル名,緯度,経度"),
        ("gbk", "文件名,纬度,经度"), ("big5", "檔名,緯度,經度"), ("cp1250", "plik,Szerokość,Długość"),
        ("mac_roman", "Datei,Breite,Länge"),
        ("cp850", "Datei,Breite,Länge"), ("cp1253", "αρχείο,Γεωγραφικό πλάτος,Γεωγραφικό μήκος"), ("cp949", "파일명,위도,경도"),
    ],
)  # fmt: skip
def test_the_code_page_is_the_one_that_gives_headings(page, headings, tmp_path):
    assert rows_of(tmp_path / "a.csv", as_text(headings=headings).encode(page)) == ROWS


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_json_is_known_in_every_encoding(encoding, tmp_path):
    text = pd.DataFrame(ROWS, columns=["file", "lat", "lon"]).to_json(orient="records")
    assert rows_of(tmp_path / "a.json", text.encode(encoding)) == ROWS


def test_packed_tables_are_known_by_their_content(tmp_path):
    import gzip

    assert rows_of(tmp_path / "a.csv", gzip.compress(as_text().encode())) == ROWS


def test_sheets_of_the_same_headings_follow_each_other_and_hidden_ones_are_not_read(tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="writes the workbook that is read")
    pytest.importorskip("python_calamine", reason="reads workbooks")
    book = openpyxl.Workbook()
    for name, rows in (("hidden", [("x.jpg", 1, 100)]), ("2018", ROWS[:2]), ("2019", ROWS[2:])):
        sheet = book.create_sheet(name)
        for row in [("Filename", "Latitude", "Longitude"), *rows]:
            sheet.append(row)
    book["hidden"].sheet_state = "hidden"
    book.remove(book["Sheet"])
    book.active = 1
    book.save(tmp_path / "a.xlsx")
    assert rows_of(tmp_path / "a.xlsx", (tmp_path / "a.xlsx").read_bytes()) == ROWS
    book["2019"]["A1"] = "Photo"
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(ValueError, match=r"sheets '2018' and '2019', under other headings: save each as CSV"):
        read_table(tmp_path / "a.xlsx")


def as_documents() -> dict[str, str]:
    frame = pd.DataFrame(ROWS, columns=["file", "lat", "lon"])
    records = frame.to_dict("records")
    points = [
        {
            "type": "Feature",
            "properties": {"file": name},
            "geometry": {"type": "MultiPoint", "coordinates": [[lon, lat]]},
        }
        for name, lat, lon in ROWS
    ]
    return {
        "columns of lists": json.dumps(frame.to_dict("list")),
        "split": frame.to_json(orient="split"),
        "nested": json.dumps({"photos": {"page": 1, "photo": records}, "stat": "ok"}),
        "multipoints of one": json.dumps({"type": "FeatureCollection", "features": points}),
        "record separators": "".join(f"\x1e{json.dumps(point)}\n" for point in points),
    }


@pytest.mark.parametrize("kind", sorted(as_documents()))
def test_json_is_read_in_every_form(kind, tmp_path):
    assert rows_of(tmp_path / "a.json", as_documents()[kind]) == ROWS


@pytest.mark.parametrize(
    "text",
    [
        '{"file": ["a.jpg", "b.jpg"], "lat": [1], "lon": [2, 3]}',
        '{"columns": ["file", "lat", "lon"], "data": [["a.jpg", 1]]}',
        '{"columns": ["file", "lat", "lon"], "data": [7]}',
    ],
)
def test_json_whose_columns_are_not_of_one_length_is_refused(text, tmp_path):
    with pytest.raises(ValueError, match=r"a\.json has (columns of several lengths|rows that are not as long)"):
        rows_of(tmp_path / "a.json", text)
