"""Names of countries as people write them become ISO 3166-1 codes; what is ambiguous or unknown is listed, not guessed."""

import csv
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pycountry
import pytest

from dataset.country_names import match_countries, match_country
from label_maps.config import CountriesConfig
from label_maps.countries import main


@pytest.mark.parametrize(
    ("text", "code", "how"),
    [
        ("NA", "NA", "code"),  # Namibia, not a missing value
        ("na", "NA", "code"),
        ("GBR", "GB", "code"),
        ("XK", "XK", "code"),
        ("Kosovo", "XK", "name"),
        ("Namibia", "NA", "name"),
        ("Côte d'Ivoire", "CI", "name"),
        ("Ivory Coast", "CI", "name"),
        ("the Netherlands", "NL", "name"),
        ("Türkiye", "TR", "name"),
        ("Turkey", "TR", "name"),
        ("England", "GB", "name"),
        ("Brasil", "BR", "name"),
        ("St. Lucia", "LC", "name"),
        ("Russian Federation", "RU", "name"),
        ("Kazakstan", "KZ", "like"),
        ("Bangladsh", "BD", "like"),
        ("Swizerland", "CH", "like"),
        ("  united   STATES ", "US", "name"),
        ("Congo", "", "ambiguous"),
        ("Korea", "", "ambiguous"),
        ("Virgin Islands", "", "ambiguous"),
        ("Nigera", "", "ambiguous"),  # Niger or Nigeria
        ("Slovania", "", "unknown"),  # Slovenia or Slovakia
        ("Irak", "IQ", "name"),  # in German and French
        ("Iraz", "", "unknown"),  # too short to tell from Iran
        ("Utah", "", "unknown"),
        ("Republic of Ireland", "IE", "name"),  # not Iceland, though most letters are the same
        ("Republic of Slovakia", "SK", "name"),
        ("Republic of Irland", "", "unknown"),
        ("Republic of Korea", "KR", "name"),
        ("Republic of China", "", "ambiguous"),
        ("Unted States of America", "US", "like"),
        ("中国", "CN", "name"),
        ("Allemagne", "DE", "name"),
        ("Kongo", "", "ambiguous"),
        ("Atlantis", "", "unknown"),
        ("", "", "empty"),
        (" - ", "", "empty"),
    ],
)
def test_a_text_stands_for_a_country_or_is_in_doubt(text, code, how):
    match = match_country(text)
    assert (match.alpha2, match.how) == (code, how)


def test_ambiguous_names_say_between_which():
    assert match_country("Congo").candidates == ("CD", "CG")
    assert set(match_country("Nigera").candidates) == {"NE", "NG"}


@pytest.mark.parametrize("field", ["alpha_2", "alpha_3", "name", "official_name", "common_name"])
def test_every_code_and_name_of_the_standard_is_its_own_country(field):
    for country in pycountry.countries:
        text = getattr(country, field, None)
        if text and text != "Congo":  # which in the standard is the one and in speech either
            assert match_country(text).alpha2 == country.alpha_2, text


def test_photographs_with_a_country_only_have_its_code(shared_data):
    photos = pd.read_csv(shared_data / "photos" / "photos.csv", keep_default_na=False)
    bare = photos[photos["latitude"] == ""]
    assert len(bare) >= 30
    assert all(match.how == "code" for match in match_countries(bare["country"]).values())


def test_the_command_lists_what_is_in_doubt(tmp_path, capsys):
    (tmp_path / "t.csv").write_text("id,country\n1,NA\n2,Kazakstan\n3,Congo\n4,Congo\n5,Utah\n6,\n")
    main(CountriesConfig(table=tmp_path / "t.csv", out=tmp_path / "out.csv"))
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "6 rows: 2 ambiguous, 1 by code, 1 by a name that is alike, 1 unknown, 1 empty"
    assert said[1:] == [
        "  'Kazakstan' (1 row) is taken as Kazakhstan (KZ), whose name is alike",
        "  'Congo' (2 rows) is ambiguous and left out; could be CD or CG",
        "  'Utah' (1 row) is unknown and left out; could be anything",
    ]
    with (tmp_path / "out.csv").open(newline="") as file:
        assert [row["alpha2"] for row in csv.DictReader(file)] == ["NA", "KZ", "", "", ""]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.csv"], "nowhere.csv: no such file"),
        (["pyproject.toml"], ""),
        (["x.csv", "--cutoff", "0"], "--cutoff"),
    ],
)
def test_bad_input_is_refused_in_one_line(arguments, said):
    command = [sys.executable, "-m", "label_maps", "countries", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
