"""/play: the same photographs for a person and the network, the true place only after a guess, the table of `infer play`."""

import io
import math

import pytest
from PIL import Image

import infer
from dataset.country_names import country_name
from geocells.sphere import distance_km, geoscore
from infer.play.table import NETWORK, PERSON, read
from infer.serve.config import AppConfig
from tests.tiny import PLACES

pytest.importorskip("fastapi", reason="gradio, which is optional and brings fastapi, is not installed")
COUNTRIES = {"paris": "FR", "nairobi": "KE", "sydney": "AU", "new-york": "US", "lima": "PE", "suva": "FJ"}


@pytest.fixture
def table(tiny, tiny_run, tmp_path):
    from infer.serve.game import Table

    config = AppConfig(run=tiny_run, play=tiny, photos=3, blind=True, table=tmp_path / "t.csv", device="cpu")
    return Table(config, infer.load(tiny_run, "cpu"))


def test_a_guess_by_countries_and_by_a_place_is_scored_and_entered(table, tmp_path):
    state = table.state({"player": " Ada "})
    assert (state["player"], state["count"], state["left"], state["number"], state["score"]) == ("Ada", 3, 3, 0, None)
    found = table.guess(
        {"player": "Ada", "number": 0, "countries": "Perú, Frnace", "latitude": -12.0, "longitude": -77.0}
    )
    assert found == {"problem": "'Frnace' is not a country: did you mean France?"}
    found = table.guess({"player": "Ada", "number": 0, "countries": "Peru", "latitude": -12.0, "longitude": -77.0})
    person, network = (next(a for a in read(tmp_path / "t.csv") if a.kind == kind) for kind in (PERSON, NETWORK))
    place = COUNTRIES[person.photograph.rpartition("-")[0]]
    assert (person.player, person.guesses, person.resolution, person.country) == ("Ada", ("PE",), "network", place)
    assert found["truth"]["country"] == country_name(place)
    km = float(distance_km((-12.0, -77.0), tuple(found["truth"]["at"])))
    assert found["person"]["distance_km"] == pytest.approx(km, abs=0.001)
    assert found["person"]["points"] == pytest.approx(5000 * math.exp(-km / 1492.7), rel=1e-3)
    assert found["network"]["points"] == pytest.approx(float(geoscore(network.distance_km)))
    assert found["state"]["number"] == 1
    assert found["state"]["score"]["photographs"] == 1
    assert "only 1 group" in found["state"]["score"]["caveat"]


def test_a_game_goes_on_after_a_restart_and_another_player_begins_it(table, tiny, tiny_run, tmp_path):
    from infer.serve.game import Table

    table.guess({"player": "Ada", "number": 0, "none": True})
    config = AppConfig(run=tiny_run, play=tiny, photos=3, blind=True, table=tmp_path / "t.csv", device="cpu")
    again = Table(config, infer.load(tiny_run, "cpu"))
    assert again.state({"player": "Ada"})["number"] == 1
    assert again.state({"player": "Ben"})["number"] == 0
    for number in (1, 2):
        last = again.guess({"player": "Ada", "number": number, "countries": "FR"})
    assert last["state"]["number"] is None
    assert last["state"]["left"] == 0


def test_photographs_are_shown_as_the_network_sees_them_or_whole_and_without_metadata(table, tiny, tiny_run, tmp_path):
    from infer.serve.game import Table

    with Image.open(io.BytesIO(table.picture(0))) as blind:
        assert (blind.format, blind.size) == ("PNG", (448, 448))
    config = AppConfig(run=tiny_run, play=tiny, photos=3, table=tmp_path / "t.csv", device="cpu")
    with Image.open(io.BytesIO(Table(config, infer.load(tiny_run, "cpu")).picture(0))) as whole:
        assert whole.format == "JPEG"
        assert max(whole.size) <= 16
        assert not whole.getexif()
    with pytest.raises(ValueError, match="no photograph 3 in a game of 3"):
        table.picture(3)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"player": ""}, "name of a player"),
        ({"player": "a" * 61, "number": 0}, "name of a player"),
        ({"player": "Ada\n", "number": 0}, "name of a player"),
        ({"player": "Ada", "number": 7, "countries": "FR"}, "photograph 7 is not one of those that are left"),
        ({"player": "Ada", "number": "0", "countries": "FR"}, "photograph 0 is not one"),
        ({"player": "Ada", "number": 0, "countries": 5}, "countries are a text"),
        ({"player": "Ada", "number": 0, "latitude": 91, "longitude": 0}, "latitude is in -90 to 90"),
        ({"player": "Ada", "number": 0, "latitude": float("nan"), "longitude": 0}, "latitude is in -90 to 90"),
        ({"player": "Ada", "number": 0, "latitude": "1", "longitude": 0}, "latitude is in -90 to 90"),
    ],
)
def test_what_the_page_never_sends_is_refused(table, content, said):
    with pytest.raises(ValueError, match=said):
        table.guess(content)


def test_nothing_is_no_guess_unless_it_is_meant(table):
    assert "No idea" in table.guess({"player": "Ada", "number": 0, "countries": " "})["problem"]
    assert table.guess({"player": "Ada", "number": 0, "none": True})["person"]["countries"] == []


@pytest.mark.slow
def test_the_routes_answer_json_and_tell_no_place_before_a_guess(app, tiny):
    status, state = app.json("/play/start", {"player": "Cleo"})
    assert (status, state["number"]) == (200, 0)
    assert not any(name in str(state) for name in (*PLACES, *COUNTRIES.values()))
    status, headers, body = app.ask("/play/picture/0")
    assert (status, headers["content-type"]) == (200, "image/jpeg")
    assert body[:2] == b"\xff\xd8"
    assert app.json("/play/picture/99")[0] == 404
    assert app.json("/play/guess", {"player": "Cleo", "number": 99, "countries": "FR"})[0] == 400
    assert app.json("/play/guess", b"[1]")[0] == 415
    assert app.json("/play/guess", b"{", Content_Type="application/json")[0] == 400
    assert app.json("/play/guess", [1])[0] == 400
    assert app.ask("/play/start", b"{}", Content_Type="application/json", Origin="http://evil.example")[0] == 403
    assert b"has not learned from" in app.ask("/play")[2]
