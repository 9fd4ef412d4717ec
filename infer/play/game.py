"""Which photographs are guessed, how they are shown, and what the network says of the same ones."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dataset.groups import leakage_groups
from dataset.images import Pictures
from dataset.manifest import content_hash, coordinates, has_coordinates, read_manifest
from geocells.sphere import distance_km
from infer.evaluate.measure import trained_ids
from infer.network.transform import InputTransform
from infer.play.config import Resolution
from infer.play.countries import MOST, countries_at, true_countries
from infer.play.table import NETWORK, PERSON, Answer, append, game_of, read
from infer.predictor import Predictor
from infer.prepared import Options
from label_maps.labels import COUNTRY
from plumbing.images import open_rgb
from plumbing.version import now_utc

SHOWN = 448
"""Pixels a side to which small pictures are enlarged at least; this adds nothing that the network does not see."""
LARGEST = 2048
"""Pixels of the longer side of a picture shown at full resolution."""


class Game:
    """The photographs that a player guesses, in an order that the seed alone decides.

    Attributes:
        count: photographs of the game.
        left: numbers of those that the player has not guessed, in order.
        side: pixels a side that the network sees.

    Raises:
        ValueError: the dataset has no such photographs, or the network names no countries.
    """

    def __init__(
        self,
        data: Path,
        predictor: Predictor,
        player: str,
        photos: int,
        resolution: Resolution,
        table: Path,
        seed: int = 0,
    ) -> None:
        """Choose photographs, and find in the table what was answered before."""
        if not predictor.model.hierarchy.placed:
            raise ValueError(f"{predictor.model.name} answers labels without places, and here countries are compared")
        self._predictor, self._player, self._resolution, self._table = predictor, player, resolution, table
        # What is to be said of the run is said now and not in the middle of a question.
        predictor.prepared(Options(coverage=()))
        test = read_manifest(data)
        test = test[test["split"] == "test"].reset_index(drop=True)
        country = true_countries(test)
        held_out = (country != "") & ~test["id"].isin(trained_ids(predictor.run)).to_numpy()
        if not held_out.any():
            raise ValueError(f"{data} has no photographs in its test split whose country is known")
        chosen = np.random.default_rng(seed).permutation(len(test))
        self._rows = chosen[held_out[chosen]][:photos]
        self._ids, self._country = test["id"].tolist(), country
        self._place_deg = np.where(has_coordinates(test)[:, None], coordinates(test), np.nan)
        self._group = _group_names(leakage_groups(test), self._ids)
        self._pictures = Pictures.of_dataset(data, test)
        self._about = (data.resolve().name, content_hash(test))
        self.count, self.side = len(self._rows), predictor.model.transform.size
        self._answered: dict[tuple[str, str, str], Answer] = {}
        self._remember(read(table) if table.is_file() else [])
        self._catch_up()

    @property
    def note(self) -> str:
        """Return how the network's cells become countries; nothing where its finest level is that of countries."""
        finest = self._predictor.model.hierarchy.level_names[-1]
        if finest == COUNTRY:
            return ""
        return (
            f"The network answers cells of {finest}; the probability of a cell is divided among countries by their share of the "
            "land in it."
        )

    @property
    def left(self) -> list[int]:
        """Return the numbers of the photographs that the player has not guessed."""
        return [k for k in range(self.count) if not self._has(PERSON, k)]

    @property
    def answers(self) -> list[Answer]:
        """Return what the player and this network answered."""
        return list(self._answered.values())

    def picture(self, number: int) -> Image.Image:
        """Return a photograph as the player is to see it, without metadata.

        Raises:
            ValueError: it cannot be read.
        """
        source = self._pictures.source(int(self._rows[number]))
        if self._resolution == "full":
            return open_rgb(source, max_side=LARGEST)
        return as_the_network_sees(source, self._predictor.model.transform)

    def truth(self, number: int) -> tuple[str, tuple[float, float] | None]:
        """Return the country in which a photograph was taken, and its latitude and longitude where they are known."""
        row = int(self._rows[number])
        latitude, longitude = self._place_deg[row].tolist()
        return str(self._country[row]), None if np.isnan(latitude) else (latitude, longitude)

    def answered(self, kind: str, number: int) -> Answer | None:
        """Return what the player (`person`) or the network (`network`) answered for a photograph, if they did."""
        player = self._player if kind == PERSON else self._predictor.model.name
        return self._answered.get((kind, player, self._ids[int(self._rows[number])]))

    def guess(self, number: int, codes: Sequence[str], point: tuple[float, float] | None = None) -> None:
        """Enter the player's answer and the network's into the table.

        Args:
            number: of the photograph.
            codes: countries, the likeliest first.
            point: latitude and longitude that the player pointed at, if any; without countries, its own counts.
        """
        if point is not None and not codes:
            codes = [code for code in countries_at(np.array([point])).tolist() if code]
        self._enter([self._answer(PERSON, number, codes, point), *self._network(number)])

    def _network(self, number: int) -> list[Answer]:
        """Return the answer of the network, where the table does not have it."""
        if self._has(NETWORK, number):
            return []
        prediction = self._predictor.predict(self._pictures.source(int(self._rows[number])), coverage=())
        codes = [country.code for country in prediction.countries[:MOST]]
        return [self._answer(NETWORK, number, codes, prediction.point)]

    def _catch_up(self) -> None:
        """Enter the answers of the network that an interruption, or a game against another network, left out."""
        for number in range(self.count):
            if self._has(PERSON, number) and not self._has(NETWORK, number):
                self._enter(self._network(number))

    def _answer(self, kind: str, number: int, codes: Sequence[str], point: tuple[float, float] | None = None) -> Answer:
        row = int(self._rows[number])
        person = kind == PERSON
        at = None if point is None else (round(point[0], 5), round(point[1], 5))
        _, truth = self.truth(number)
        data, split_hash = self._about
        return Answer(
            kind=kind,
            player=self._player if person else self._predictor.model.name,
            photograph=self._ids[row],
            group=self._group[row],
            country=str(self._country[row]),
            guesses=tuple(codes),
            data=data,
            split_hash=split_hash,
            resolution=self._resolution,
            side=self.side,
            model_hash="" if person else self._predictor.model.hash,
            answered_at_utc=now_utc(),
            latitude=None if at is None else at[0],
            longitude=None if at is None else at[1],
            distance_km=None if at is None or truth is None else round(float(distance_km(at, truth)), 3),
        )

    def _enter(self, answers: Sequence[Answer]) -> None:
        append(self._table, answers)
        self._remember(answers)

    def _remember(self, answers: Sequence[Answer]) -> None:
        """Keep those answers that are of this game, this player and this network."""
        ours = game_of(self._answer(PERSON, 0, ()))
        who = {(PERSON, self._player, ""), (NETWORK, self._predictor.model.name, self._predictor.model.hash)}
        for answer in answers:
            key = answer.kind, answer.player, answer.model_hash
            if game_of(answer) == ours and key in who:
                self._answered[answer.kind, answer.player, answer.photograph] = answer

    def _has(self, kind: str, number: int) -> bool:
        found = self.answered(kind, number)
        if found is None or kind == PERSON:
            return found is not None
        # Older tables have no points of the network.
        return found.latitude is not None or not self._predictor.model.answers_points


def as_the_network_sees(source: Path | bytes, transform: InputTransform) -> Image.Image:
    """Return the pixels that a network sees of a picture, enlarged by a whole number until people can see them too."""
    pixels = Image.fromarray(transform.pixels(source).permute(1, 2, 0).numpy())
    side = transform.size * max(1, -(-SHOWN // transform.size))
    return pixels.resize((side, side), Image.Resampling.BICUBIC)


def _group_names(group: NDArray[np.int64], ids: Sequence[str]) -> list[str]:
    """Return for each photograph the id of the first one of its group."""
    first = dict(zip(group[::-1].tolist(), reversed(ids), strict=True))
    return [first[number] for number in group.tolist()]
