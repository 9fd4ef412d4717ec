"""A scripted player whose scores are known, an interrupted game that goes on, and McNemar's test against textbook numbers."""

import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import infer
from geocells.sphere import distance_km, geoscore
from infer.evaluate.metrics import mean_intervals
from infer.play.config import PlayConfig
from infer.play.countries import read_guess, true_countries
from infer.play.game import Game, as_the_network_sees
from infer.play.score import mcnemar, score_text, scores
from infer.play.table import COLUMNS, NETWORK, PERSON, Answer, append, read
from infer.play.terminal import main
from plumbing.config import parse
from tests.tiny import PLACES

COUNTRIES = {"paris": "FR", "nairobi": "KE", "sydney": "AU", "new-york": "US", "lima": "PE", "suva": "FJ"}
WRONG = ("Chad", "Oman", "Laos", "Peru", "Mali")


def country_of(picture: Path) -> str:
    """Return the country that the colour of a shown square tells."""
    colour = np.asarray(Image.open(picture).convert("RGB"), dtype=float).mean(axis=(0, 1))
    nearest = min(PLACES, key=lambda name: float(np.abs(colour - np.array(PLACES[name][2])).sum()))
    return COUNTRIES[nearest]


class Scripted:
    """A player who sees the country and names it at a place of their own, and stops after some photographs."""

    def __init__(self, picture: Path, place, stop_after: int = 99) -> None:
        self.picture, self.place, self.stop_after, self.prompts = picture, place, stop_after, []

    def __call__(self, prompt: str) -> str:
        if len(self.prompts) == self.stop_after:
            raise EOFError
        self.prompts.append(prompt)
        place = self.place(len(self.prompts) - 1) if callable(self.place) else self.place
        wrong = [name for name in WRONG if read_guess(name).codes[0] != country_of(self.picture)][:4]
        return ", ".join(wrong if place is None else [*wrong[:place], country_of(self.picture), *wrong[place:]])


def config(tiny, run, tmp_path, player="Ada", **more):
    return PlayConfig(
        data=tiny, run=run, player=player, table=tmp_path / "t.csv", device="cpu", **{"photos": 12, **more}
    )


def played(tiny, run, tmp_path, place, **more):
    player = Scripted(tmp_path / "picture.png", place, more.pop("stop_after", 99))
    main(config(tiny, run, tmp_path, **more), player)
    return player


@pytest.mark.parametrize(("place", "expected"), [(0, (1, 1, 1)), (2, (0, 1, 1)), (4, (0, 0, 1)), (None, (0, 0, 0))])
def test_a_player_who_names_the_country_at_a_known_place_has_the_known_scores(
    tiny, tiny_run, tmp_path, place, expected
):
    played(tiny, tiny_run, tmp_path, place)
    (score,) = scores(read(tmp_path / "t.csv"))
    assert tuple(score.person[k]["value"] for k in (1, 3, 5)) == expected
    assert (score.photographs, score.player, score.run, score.resolution) == (12, "Ada", "run", "network")
    model, right = infer.load(tiny_run, "cpu"), {1: [], 3: [], 5: []}
    rows = [answer for answer in read(tmp_path / "t.csv") if answer.kind == NETWORK]
    for row in rows:
        codes = [country.code for country in model.predict(next(tiny.rglob(f"{row.photograph}.jpg"))).countries]
        assert row.guesses == tuple(codes[:5])
        assert row.country == COUNTRIES[row.photograph.rpartition("-")[0]]
        for k, hits in right.items():
            hits.append(row.country in codes[:k])
    assert {k: score.network[k]["value"] for k in right} == {k: np.mean(hits) for k, hits in right.items()}
    assert score.difference[1]["value"] == pytest.approx(expected[0] - np.mean(right[1]))


def test_a_second_start_goes_on_with_what_is_not_guessed_yet(tiny, tiny_run, tmp_path, capsys):
    first = played(tiny, tiny_run, tmp_path, 0, stop_after=5)
    assert "5 of 12 photographs guessed" in capsys.readouterr().out
    second = played(tiny, tiny_run, tmp_path, 0)
    assert (len(first.prompts), len(second.prompts)) == (5, 7)
    assert "5 guessed already" in capsys.readouterr().out
    answers = read(tmp_path / "t.csv")
    by_kind = [[a.photograph for a in answers if a.kind == kind] for kind in (PERSON, NETWORK)]
    assert all(len(ids) == len(set(ids)) == 12 for ids in by_kind)
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 25
    assert played(tiny, tiny_run, tmp_path, 0).prompts == []


def test_players_guess_the_same_photographs_in_the_same_order(tiny, tiny_run, tmp_path):
    for name in ("Ada", "Ben"):
        played(tiny, tiny_run, tmp_path, 0, player=name, photos=6)
    answers = read(tmp_path / "t.csv")
    ada, ben = ([a.photograph for a in answers if a.player == name] for name in ("Ada", "Ben"))
    assert ada == ben
    assert len([a for a in answers if a.kind == NETWORK]) == 6
    longer = played(tiny, tiny_run, tmp_path, 0, player="Ada", photos=8)
    assert len(longer.prompts) == 2


def without_stamps(line):
    return re.sub(r"\d{4}-\d\d-\d\dT[^,]*", "", line)


def test_the_network_answers_later_what_an_interruption_left_out(tiny, tiny_run, tmp_path):
    played(tiny, tiny_run, tmp_path, 0, photos=4)
    path = tmp_path / "t.csv"
    lines = path.read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(NETWORK)]
    path.write_text("".join(kept) + "person,Ada,cut sho")
    played(tiny, tiny_run, tmp_path, 0, photos=4)
    again = path.read_text().splitlines(keepends=True)
    assert sorted(map(without_stamps, again)) == sorted(map(without_stamps, lines))


def test_what_is_no_country_is_asked_again_with_suggestions(tiny, tiny_run, tmp_path, capsys):
    typed = iter(["Farnce", "Koreaa, FR", "Kazakstan", "", "q"])
    main(config(tiny, tiny_run, tmp_path), lambda _: next(typed))
    said = capsys.readouterr().out
    assert "did you mean" in said
    assert "taken as Kazakhstan for 'Kazakstan'" in said
    assert [a.guesses for a in read(tmp_path / "t.csv") if a.kind == PERSON][1:] == [()]


@pytest.mark.parametrize(
    ("text", "codes", "problem"),
    [
        ("France, be;JPN", ("FR", "BE", "JP"), ""),
        ("", (), ""),
        (" , ", (), ""),
        ("Korea", (), "'Korea' could be North Korea or South Korea"),
        ("France, FR", (), "France is named twice"),
        ("FR,BE,DE,ES,IT,PT", (), "at most 5 countries, got 6"),
        ("Zanzibarland", (), "'Zanzibarland' is not a country"),
        ("Namibbia", ("NA",), ""),
    ],
)
def test_countries_are_read_as_people_type_them(text, codes, problem):
    guess = read_guess(text)
    assert guess.codes == codes
    assert guess.problem.startswith(problem)
    assert bool(guess.problem) == bool(problem)


def test_the_true_country_is_the_stated_one_or_that_around_the_coordinates():
    places = [(lat, lon) for lat, lon, _ in PLACES.values()]
    photos = pd.DataFrame([*places, (0.0, -150.0), (48.86, 2.35), (np.nan, np.nan)], columns=["latitude", "longitude"])
    photos["country"] = [None] * (len(places) + 1) + ["MC", "NA"]
    assert true_countries(photos).tolist() == [*COUNTRIES.values(), "", "MC", "NA"]


def test_mcnemars_exact_test_has_the_textbook_numbers():
    first = np.repeat([True, True, False, False], [59, 6, 16, 80])
    second = np.repeat([True, False, True, False], [59, 6, 16, 80])
    found = mcnemar(first, second)
    assert (found.first_alone, found.second_alone) == (6, 16)
    # The example of the exact test in Fagerland, Lydersen and Laake 2013 and in encyclopaedias gives 0.053.
    assert found.p == pytest.approx(0.0525, abs=5e-5)
    assert found.p == pytest.approx(2 * sum(math.comb(22, k) for k in range(7)) / 2**22)
    assert mcnemar(first, first).p == 1.0


def answer(kind, photograph, guesses, group=None, player="Ada", **more):
    about = {
        "data": "d",
        "split_hash": "h",
        "resolution": "network",
        "side": 64,
        "model_hash": "",
        "answered_at_utc": "",
    }
    if kind == NETWORK:
        about |= {"model_hash": "m"}
        player = "run"
    return Answer(
        kind=kind, player=player, photograph=photograph, group=group or photograph, country="FR", guesses=guesses,
        **(about | more),
    )  # fmt: skip


def test_intervals_resample_groups_and_only_photographs_that_both_answered_count():
    right, wrong = ("FR", "BE"), ("BE", "DE", "FR")
    person = [answer(PERSON, f"p{k}", right if k < 3 else wrong, f"g{k // 2}") for k in range(8)]
    network = [answer(NETWORK, f"p{k}", right if k % 2 else wrong, f"g{k // 2}") for k in range(6)]
    (score,) = scores([*person, *network])
    assert (score.photographs, score.groups) == (6, 3)
    ours, theirs = np.array([1, 1, 1, 0, 0, 0.0]), np.array([0, 1, 0, 1, 0, 1.0])
    expected = mean_intervals({"a": ours, "b": theirs, "c": ours - theirs}, np.array([0, 0, 1, 1, 2, 2]))
    assert (score.person[1], score.network[1], score.difference[1]) == (expected["a"], expected["b"], expected["c"])
    assert score.person[3] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert (score.tests[1].first_alone, score.tests[1].second_alone) == (2, 2)


def test_answers_are_compared_only_where_the_pictures_were_shown_alike():
    person = answer(PERSON, "p", ("FR",))
    assert scores([person, answer(NETWORK, "p", ("FR",), side=96)]) == []
    assert scores([person, answer(NETWORK, "p", ("FR",), split_hash="other")]) == []
    full = [answer(PERSON, "p", ("FR",), resolution="full"), answer(NETWORK, "p", (), side=96, resolution="full")]
    assert len(scores(full)) == 1


def test_a_table_is_read_as_it_was_written_and_another_file_is_refused(tmp_path):
    answers = [answer(PERSON, 'a "quoted", id', ("FR", "NA")), answer(NETWORK, "b", ())]
    for one in answers:
        append(tmp_path / "t.csv", [one])
    assert read(tmp_path / "t.csv") == answers
    assert (tmp_path / "t.csv").read_text().splitlines()[0] == ",".join(COLUMNS)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="not a table of `python -m infer play`"):
        append(tmp_path / "other.csv", answers)
    assert (tmp_path / "other.csv").read_text() == "a,b\n1,2\n"


def test_pictures_are_what_the_network_sees_or_whole_and_say_nothing_of_their_place(tiny, tiny_run, tmp_path):
    model = infer.load(tiny_run, "cpu")
    shown = Game(tiny, model, "Ada", 3, "network", tmp_path / "t.csv")
    assert shown.picture(0).size == (448, 448)
    pixels = model.model.transform.pixels(next(tiny.rglob("paris-8.jpg")))
    small = as_the_network_sees(next(tiny.rglob("paris-8.jpg")), model.model.transform).resize(
        (32, 32), Image.Resampling.BOX
    )
    assert np.abs(np.asarray(small, dtype=float) - pixels.permute(1, 2, 0).numpy()).mean() < 2
    whole = Game(tiny, model, "Ada", 3, "full", tmp_path / "t.csv").picture(0)
    assert max(whole.size) <= 16
    assert whole.info == {}


def test_an_older_table_without_places_is_read_and_gets_them_with_the_next_answer(tmp_path):
    path, before = tmp_path / "t.csv", answer(PERSON, 'a "quoted", id', ("FR", "NA"))
    append(path, [before])
    older = [
        line.removesuffix(",,,")
        for line in path.read_text().replace(",latitude,longitude,distance_km", "").splitlines()
    ]
    path.write_text("\n".join(older) + "\n")
    assert "latitude" not in path.read_text()
    assert read(path) == [before]
    placed = answer(PERSON, "b", ("FR",), latitude=48.5, longitude=-2.25, distance_km=12.125)
    append(path, [placed])
    assert read(path) == [before, placed]
    assert path.read_text().splitlines()[0] == ",".join(COLUMNS)


def test_points_count_where_both_pointed_at_a_place():
    person = [answer(PERSON, f"p{k}", ("FR",), distance_km=km) for k, km in enumerate((0.0, 750.0, None, 10.0))]
    network = [answer(NETWORK, f"p{k}", ("FR",), distance_km=km) for k, km in enumerate((2500.0, 750.0, 1.0, None))]
    (score,) = scores([*person, *network])
    assert (score.photographs, score.placed) == (4, 2)
    assert score.points["person"]["value"] == pytest.approx((5000 + geoscore(750.0)) / 2)
    assert score.points["network"]["value"] == pytest.approx((geoscore(2500.0) + geoscore(750.0)) / 2)
    assert score.points["difference"]["value"] == pytest.approx((5000 - geoscore(2500.0)) / 2)
    assert "points" in score_text(score)
    (unplaced,) = scores([answer(PERSON, "p", ("FR",)), answer(NETWORK, "p", ("FR",))])
    assert unplaced.points == {}
    assert "points" not in score_text(unplaced)


def test_intervals_of_few_groups_have_a_caveat():
    def text(groups):
        pairs = [answer(kind, f"p{k}", ("FR",)) for k in range(groups) for kind in (PERSON, NETWORK)]
        return score_text(scores(pairs)[0])

    assert text(1).endswith("only 1 group of photographs: no interval can be given, and nothing is decided")
    assert "100.0% [" not in text(1)
    assert "100.0% [100.0, 100.0]" in text(2)
    assert "only 29 groups" in text(29)
    assert "too narrow" not in text(30)


def test_a_place_that_is_pointed_at_counts_with_its_country_and_its_distance(tiny, tiny_run, tmp_path):
    game = Game(tiny, infer.load(tiny_run, "cpu"), "Ada", 12, "network", tmp_path / "t.csv")
    country, place = game.truth(0)
    game.guess(0, (), place)
    game.guess(1, ("PE",), place)
    game.guess(2, (), (0.0, -150.0))
    first, second, sea = (game.answered(PERSON, k) for k in range(3))
    assert (first.guesses, first.distance_km) == ((country,), pytest.approx(0, abs=0.002))
    assert second.guesses == ("PE",)
    assert second.distance_km == pytest.approx(float(distance_km(place, game.truth(1)[1])), abs=0.01)
    assert sea.guesses == ()
    network = game.answered(NETWORK, 0)
    assert network.distance_km == pytest.approx(
        float(distance_km((network.latitude, network.longitude), place)), abs=0.01
    )
    assert read(tmp_path / "t.csv") == game.answers


def test_warnings_of_the_run_come_before_the_first_question(tiny, tiny_run, tmp_path, caplog):
    model = infer.load(tiny_run, "cpu")
    game = Game(tiny, model, "Ada", 3, "network", tmp_path / "t.csv")
    assert "no conformal calibration" in caplog.text
    caplog.clear()
    game.guess(0, ("FR",))
    assert caplog.text == ""


def test_it_is_said_how_cells_become_countries(tiny, tiny_run, tmp_path, capsys):
    main(config(tiny, tiny_run, tmp_path), lambda _: "q")
    assert "divided among countries by their share of the land in it" in capsys.readouterr().out


def test_the_scores_of_a_table_are_printed_without_playing(tiny, tiny_run, tmp_path, capsys):
    played(tiny, tiny_run, tmp_path, 0)
    capsys.readouterr()
    main(PlayConfig(score=tmp_path / "t.csv"))
    said = capsys.readouterr().out
    assert said.startswith("Ada and the network run on 12 photographs in ")
    assert "top-1   100.0% [100.0, 100.0]" in said
    assert "p = " in said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "--data is missing: playing takes --data, --run and --player; --score TABLE"),
        (["--data", "d", "--run", "r", "--player", " "], "--player must be a name"),
        (["--data", "d", "--run", "r", "--player", "A", "--photos", "0"], "--photos must be 1 or more"),
        (["--score", "t.csv", "--player", "A"], "--player A has no effect with --score t.csv, which reads a table"),
    ],
)
def test_what_cannot_be_played_is_refused(given, said):
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        parse(PlayConfig, "python -m infer play", given)


@pytest.mark.slow
def test_the_command_reads_countries_from_its_input(tiny, tiny_run, tmp_path):
    arguments = [
        "play",
        "--data",
        tiny,
        "--run",
        tiny_run,
        "--player",
        "Ada",
        "--photos",
        "3",
        "--table",
        tmp_path / "t.csv",
    ]
    ended = subprocess.run(
        [sys.executable, "-m", "infer", *map(str, arguments)],
        cwd=Path(__file__).parents[1], input="France\nKenya, Peru\nq\n", text=True, capture_output=True, check=True,
    )  # fmt: skip
    assert "2 of 3 photographs guessed" in ended.stdout
    assert [a.guesses for a in read(tmp_path / "t.csv") if a.kind == PERSON] == [("FR",), ("KE", "PE")]
