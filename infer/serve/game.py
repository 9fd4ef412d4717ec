"""/play: a person and the network guess where the same held-out photographs were taken; the page asks these routes."""

import io
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from anyio.to_thread import run_sync
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from dataset.country_names import country_name
from geocells.sphere import geoscore
from infer.play.countries import MOST, read_guess
from infer.play.game import Game
from infer.play.score import TOP, scores
from infer.play.table import NETWORK, PERSON, Answer
from infer.predictor import Predictor
from infer.serve.config import AppConfig
from infer.serve.locate import error

PATH = "/play"
PLAYERS = 32
"""Players whose games are kept at hand; the table keeps all of them."""
LONGEST_NAME, LONGEST_TEXT = 60, 500
NOBODY = "nobody"
"""Whose game shows pictures before anybody plays."""


class Table:
    """The games of all players of one table.

    Attributes:
        about: what the page says of the game.
    """

    def __init__(self, config: AppConfig, predictor: Predictor) -> None:
        """Choose the photographs.

        Raises:
            ValueError: the dataset has none, or the network names no countries.
        """
        assert config.play is not None, "there is no game otherwise"
        self._config, self._predictor, self._lock = config, predictor, threading.RLock()
        self._games: OrderedDict[str, Game] = OrderedDict()
        game = self._shown = self._new(NOBODY)
        self.about: dict[str, Any] = {
            "data": config.play.resolve().name,
            "run": predictor.model.name,
            "photographs": game.count,
            "side": game.side,
            "blind": config.blind,
            "note": game.note,
            "most": MOST,
        }

    def _new(self, player: str) -> Game:
        config = self._config
        assert config.play is not None, "there is no game otherwise"
        shown = "network" if config.blind else "full"
        return Game(config.play, self._predictor, player, config.photos, shown, config.table, config.seed)  # type: ignore[arg-type]

    def _game(self, player: str) -> Game:
        if player not in self._games:
            self._games[player] = self._new(player)
            while len(self._games) > PLAYERS:
                self._games.popitem(last=False)
        self._games.move_to_end(player)
        return self._games[player]

    def state(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Return which photograph a player is to guess next, and how they do so far.

        Raises:
            ValueError: the name is none.
        """
        player = _player(content)
        with self._lock:
            game = self._game(player)
            left, found = game.left, scores(game.answers)
            return {
                "player": player,
                "count": game.count,
                "left": len(left),
                "number": left[0] if left else None,
                "table": self._config.table.name,
                "score": _score_dict(found[0]) if found else None,
            }

    def picture(self, number: int) -> bytes:
        """Return a photograph as it is shown, without metadata, as a PNG or, where it is shown whole, a JPEG.

        Raises:
            ValueError: there is none of the number, or it cannot be read.
        """
        if not 0 <= number < self._shown.count:
            raise ValueError(f"there is no photograph {number} in a game of {self._shown.count}")
        encoded = io.BytesIO()
        picture = self._shown.picture(number)
        if self._config.blind:
            picture.save(encoded, "PNG")
        else:
            picture.save(encoded, "JPEG", quality=90)
        return encoded.getvalue()

    def guess(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Enter a guess and return the true place, both answers and the next photograph; or what is to be typed again.

        Raises:
            ValueError: it holds what the page does not send, or its photograph is guessed already.
        """
        player, number = _player(content), content.get("number")
        text, point = _text(content), _point(content)
        typed = read_guess(text)
        if typed.problem:
            return {"problem": typed.problem}
        if not typed.codes and point is None and content.get("none") is not True:
            return {"problem": "name a country or choose a place on the map, or choose No idea"}
        with self._lock:
            game = self._game(player)
            if not isinstance(number, int) or number not in game.left:
                raise ValueError(f"photograph {number} is not one of those that are left: load the page again")
            game.guess(number, typed.codes, point)
            country, at = game.truth(number)
            return {
                "truth": {"country": country_name(country), "at": at},
                "person": _answer_dict(game.answered(PERSON, number)),
                "network": _answer_dict(game.answered(NETWORK, number)),
                "taken": list(typed.taken),
                "state": self.state(content),
            }


def _player(content: Mapping[str, Any]) -> str:
    name = content.get("player")
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
        raise ValueError(f"the name of a player has 1 to {LONGEST_NAME} letters, got {str(name)[:LONGEST_NAME]!r}")
    return name.strip()


def _text(content: Mapping[str, Any]) -> str:
    text = content.get("countries", "")
    if not isinstance(text, str) or len(text) > LONGEST_TEXT:
        raise ValueError(f"countries are a text of at most {LONGEST_TEXT} letters")
    return text


def _point(content: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return latitude and longitude of a guess; None where no place was chosen."""
    given = content.get("latitude"), content.get("longitude")
    if given == (None, None):
        return None
    latitude, longitude = given
    numbers = all(isinstance(value, int | float) and math.isfinite(value) for value in given)
    if not numbers or abs(latitude) > 90 or abs(longitude) > 180:  # type: ignore[arg-type]
        raise ValueError(f"latitude is in -90 to 90 and longitude in -180 to 180, got {latitude}, {longitude}")
    return float(latitude), float(longitude)  # type: ignore[arg-type]


def _answer_dict(answer: Answer | None) -> dict[str, Any]:
    assert answer is not None, "both have answered"
    away = answer.distance_km
    return {
        "countries": [country_name(code) for code in answer.guesses],
        "at": None if answer.latitude is None else [answer.latitude, answer.longitude],
        "distance_km": away,
        "points": None if away is None else float(geoscore(away)),
    }


def _score_dict(score: Any) -> dict[str, Any]:
    return {
        "player": score.player,
        "photographs": score.photographs,
        "top": [{"k": k, "person": score.person[k], "network": score.network[k]} for k in TOP],
        "placed": score.placed,
        "points": score.points,
        "caveat": score.caveat,
    }


def add_game(app: FastAPI, table: Table, page: str) -> None:
    """Add the page and what it asks to an application."""

    def asked(work: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Any:
        async def route(request: Request) -> Response:
            if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
                return error(415, "send JSON")
            try:
                content = await request.json()
            except ValueError:
                return error(400, "the body is not JSON")
            if not isinstance(content, dict):
                return error(400, "the body is not a JSON object")
            try:
                return JSONResponse(await run_sync(work, content))
            except ValueError as refusal:
                return error(400, str(refusal))

        return route

    async def picture(request: Request) -> Response:
        try:
            content = await run_sync(table.picture, int(request.path_params["number"]))
        except ValueError as refusal:
            return error(404, without_folders(str(refusal), table))
        return Response(content, media_type="image/png" if table.about["blind"] else "image/jpeg")

    app.add_route(PATH, lambda _: HTMLResponse(page), include_in_schema=False)
    app.add_route(f"{PATH}/start", asked(table.state), methods=["POST"], include_in_schema=False)
    app.add_route(f"{PATH}/guess", asked(table.guess), methods=["POST"], include_in_schema=False)
    app.add_route(f"{PATH}/picture/{{number:int}}", picture, include_in_schema=False)


def without_folders(said: str, table: Table) -> str:
    """Return a refusal without the folder of the dataset, which tells where photographs were taken."""
    data = table._config.play
    return "the photograph cannot be read" if data is not None and str(data) in said else said
