"""Metadata of pictures, fifty at a time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fetch.client import Exhausted, Retry
from fetch.mapillary.answers import read_json
from fetch.mapillary.config import ServiceConfig
from fetch.mapillary.errors import Gone
from fetch.mapillary.facts import Facts
from fetch.mapillary.sdk import FIELDS, image_address
from fetch.mapillary.transport import Transport

BATCH = 50
THUMBNAIL, PANORAMA_THUMBNAIL = "thumb_1024_url", "thumb_2048_url"


@dataclass
class Described:
    """What is known of several pictures.

    Attributes:
        facts: by id.
        urls: where the pixels lie, for some minutes.
        gone: ids that the source no longer has, with its words.
        failed: ids of which nothing could be learnt this time, with the last error.
    """

    facts: dict[int, Facts] = field(default_factory=dict)
    urls: dict[int, str] = field(default_factory=dict)
    gone: dict[int, str] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)


class Graph:
    """The metadata of pictures."""

    def __init__(
        self, config: ServiceConfig, transport: Transport, fields: Sequence[str] = (*FIELDS, THUMBNAIL)
    ) -> None:
        self._config = config
        self._transport = transport
        self._fields = ",".join(fields)

    def describe(self, images: Iterable[int]) -> Described:
        """Ask about pictures; what cannot be learnt stands in `failed`."""
        described = Described()
        for batch in _batches(images):
            self._describe(batch, described)
        return described

    def _describe(self, images: Sequence[int], into: Described) -> None:
        address = f"{self._config.graph_url.rstrip('/')}/images"
        params = {"image_ids": ",".join(map(str, images)), "fields": self._fields}
        try:
            found = self._transport.fetch("graph", address, lambda answer: _objects(read_json(answer)), params)
        except Exhausted as error:
            # The service answers like this also to what it finds too much.
            if len(images) == 1:
                into.failed[images[0]] = str(error)
                return
            for half in (images[: len(images) // 2], images[len(images) // 2 :]):
                self._describe(half, into)
            return
        except Gone:
            found = []
        for said in found:
            self._take(said, into)
        for image in images:
            if image not in into.facts and image not in into.gone:
                self._ask_alone(image, into)

    def _ask_alone(self, image: int, into: Described) -> None:
        """Ask about a picture that a batch left out; only this answer says that it is gone."""
        try:
            said = self._transport.fetch(
                "graph", image_address(image, self._config.graph_url), read_json, {"fields": self._fields}
            )
        except Gone as gone:
            into.gone[image] = str(gone)
        except Exhausted as error:
            into.failed[image] = str(error)
        else:
            if not self._take(said, into):
                into.gone[image] = "it has no position"

    def _take(self, said: dict[str, Any], into: Described) -> bool:
        """Keep what an object says of a picture, and return whether it can be used."""
        facts = Facts.from_graph(said)
        if facts is None:
            return False
        into.facts[facts.image] = facts
        thumbnail = PANORAMA_THUMBNAIL if facts.is_pano and said.get(PANORAMA_THUMBNAIL) else THUMBNAIL
        if said.get(thumbnail):
            into.urls[facts.image] = str(said[thumbnail])
        return True


def _batches(images: Iterable[int]) -> Iterable[Sequence[int]]:
    ids = list(images)
    return [ids[i : i + BATCH] for i in range(0, len(ids), BATCH)]


def _objects(answer: dict[str, Any]) -> list[dict[str, Any]]:
    data = answer.get("data")
    if not isinstance(data, list) or not all(isinstance(each, dict) and "id" in each for each in data):
        raise Retry("an answer without the data asked for")
    return data
