"""Photographs that a source offers, and what they are named once they are stored."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from plumbing.inside import unreserved

Offered: TypeAlias = Image.Image | Path | bytes | Callable[[int], Image.Image]


@dataclass(frozen=True)
class Candidate:
    """A photograph that a source offers.

    Attributes:
        id: its name at the source; made safe for file names and unique when stored.
        latlon_deg: latitude and longitude in degrees; None where `fields` have a `country` or a `label` and no more is known.
        picture: a decoded picture, a file, the bytes of one, or what makes a picture whose longer side has at most so many
            pixels; that goes with `known_by`.
        fields: further columns of the manifest, by name. Where some rows have a `split`, it stays, and the others
            are shared out among the rest.
        known_by: by what it is known again instead of its bytes, such as the address that it was downloaded from;
            once stored, `picture` need not exist any more.
    """

    id: str
    latlon_deg: tuple[float, float] | None
    picture: Offered
    fields: Mapping[str, Any] = field(default_factory=dict)
    known_by: str = ""

    @property
    def stated(self) -> str | None:
        """Return the country or the label that the source states."""
        return self.fields.get("country") or self.fields.get("label")

    def place_deg(self) -> NDArray[np.float64]:
        """Return (2,) latitude and longitude; NaN where only a country or a label is known."""
        assert self.latlon_deg is not None or self.stated, "a place, a country or a label"
        return np.array(self.latlon_deg or (np.nan, np.nan), dtype=np.float64)


def with_ids(candidates: Iterable[Candidate]) -> Iterator[tuple[Candidate, str]]:
    """Yield candidates with ids that are safe in file names and unique, also where case does not count."""
    taken: set[str] = set()
    for candidate in candidates:
        safe = safe_id(candidate.id)
        photo_id, count = safe, 1
        while photo_id.casefold() in taken:
            count += 1
            photo_id = f"{safe}-{count}"
        taken.add(photo_id.casefold())
        yield candidate, photo_id


def safe_id(name: str) -> str:
    """Return a name that is a file name on every system: letters, digits, `.`, `_` and `-`, at most 100 of them."""
    safe = re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII).strip("._") or "photo"
    if len(safe) > 100:
        safe = f"{safe[:87]}-{hashlib.blake2b(name.encode(), digest_size=6).hexdigest()}"
    return unreserved(safe)
