"""What a player typed, as codes of countries; and the countries in which photographs were taken."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from dataset.country_names import Match, country_name, match_country
from dataset.manifest import coordinates, has_coordinates
from geocells import grid
from geocells.country_outlines import country_outlines
from geocells.land import TABLE_LEVEL, land_table

MOST = 5
"""Countries that may be named for a photograph, as in the published comparison."""
NEARLY = 60.0
"""How alike (0 to 100) the names of countries must be to be suggested for a text that is none."""
SUGGESTED = 3


@dataclass(frozen=True)
class Guess:
    """What was typed for one photograph.

    Attributes:
        codes: ISO 3166-1 alpha-2, the likeliest first; none where the player had no idea.
        taken: names that were not typed as they are, such as `Kazakhstan for 'Kazakstan'`.
        problem: why the text cannot be taken, in one line; nothing where it can.
    """

    codes: tuple[str, ...]
    taken: tuple[str, ...] = ()
    problem: str = ""


def read_guess(text: str) -> Guess:
    """Return up to five countries of a text: names or codes, the likeliest first, separated by commas.

    Example:
        >>> read_guess("France, be; Kazakstan").codes
        ('FR', 'BE', 'KZ')
        >>> read_guess("Frnace").problem
        "'Frnace' is not a country: did you mean France?"
    """
    matches = [match_country(part.strip()) for part in re.split("[,;]", text) if part.strip()]
    for match in matches:
        if not match.alpha2:
            return Guess((), problem=_unclear(match))
    codes = [match.alpha2 for match in matches]
    twice = next((code for code in codes if codes.count(code) > 1), None)
    if twice is not None:
        return Guess((), problem=f"{country_name(twice)} is named twice")
    if len(codes) > MOST:
        return Guess((), problem=f"at most {MOST} countries, got {len(codes)}")
    taken = [f"{country_name(match.alpha2)} for {match.text!r}" for match in matches if match.how == "like"]
    return Guess(tuple(codes), tuple(taken))


def _unclear(match: Match) -> str:
    """Return why a text is not one country, and which it could be."""
    if match.how == "ambiguous":
        return f"{match.text!r} could be {_either(match.candidates)}"
    nearly = match_country(match.text, NEARLY)
    likely = [nearly.alpha2] if nearly.alpha2 else list(nearly.candidates)
    meant = f": did you mean {_either(tuple(likely[:SUGGESTED]))}?" if likely else ""
    return f"{match.text!r} is not a country{meant}"


def _either(codes: tuple[str, ...]) -> str:
    return " or ".join(country_name(code) for code in codes)


def countries_at(points_deg: NDArray[np.float64]) -> NDArray[np.str_]:
    """Return the (N,) country around each of (N, 2) points; '' far out at sea."""
    codes = np.array(list(country_outlines()))
    found = land_table().country[grid.encode(points_deg, TABLE_LEVEL)].astype("U2")
    points = shapely.points(points_deg[:, ::-1])  # GeoJSON's order is (lon, lat)
    point, country = shapely.STRtree(list(country_outlines().values())).query(points, predicate="intersects")
    found[point] = codes[country]
    return found


def true_countries(photos: pd.DataFrame) -> NDArray[np.str_]:
    """Return the (N,) country of each row of a manifest: the stated one, else that around its coordinates; '' far out at sea.

    Where simplified outlines leave a place off the coast, the country with most land in its cell counts.
    """
    found = np.full(len(photos), "", dtype="U2")
    here = np.flatnonzero(has_coordinates(photos))
    found[here] = countries_at(coordinates(photos)[here])
    if "country" in photos:
        stated = photos["country"].fillna("").to_numpy(dtype=str)
        found = np.where(stated != "", stated, found)
    return found
