"""Regions in words: which countries, subregions (UN M49) or continents hold a probability."""

from collections.abc import Callable, Mapping, Sequence

from dataset.country_names import country_name
from geocells.m49 import regions, subregions
from label_maps.labels import COUNTRY

COVER = 0.9
"""The words name places that hold at least this share of a region's probability on land."""
LIKELY = 0.5
"""Of what is most likely, they hold at least this share."""
AT_MOST = 3
"""So many places make a phrase; where more are needed, larger ones are named."""
ANYWHERE = "anywhere on land"
NO_PARTS: Mapping[str, str] = {}


def region_words(
    countries: Sequence[tuple[str, float]], cover: float = COVER, parts: Mapping[str, str] = NO_PARTS
) -> str:
    """Return where a region lies: 'Thailand or Laos', 'Eastern Africa or Western Asia', 'anywhere on land'.

    The fewest countries that hold `cover` of the probability are named, or else the fewest subregions, or continents.

    Args:
        countries: ISO 3166-1 alpha-2 codes and probabilities of any sum; what lies in no country is left out.
        cover: in (0, 1].
        parts: which part of a country is meant, such as `northern`, by code.

    >>> region_words([("TH", 0.6), ("LA", 0.35), ("KH", 0.05)], parts={"TH": "northern"})
    'northern Thailand or Laos'
    >>> region_words([("BR", 0.4), ("PE", 0.2), ("CO", 0.2), ("AR", 0.2)])
    'South America'
    """
    naming, named = named_places(countries, cover)
    if not named:
        return ANYWHERE
    return either([part_name(code, parts.get(code, "")) for code in named] if naming == COUNTRIES else named)


def named_places(countries: Sequence[tuple[str, float]], cover: float = COVER) -> tuple[str, list[str]]:
    """Return what names a region (`COUNTRIES`, `SUBREGIONS` or `CONTINENTS`) and which; none where it takes too many."""
    masses = [(code, mass) for code, mass in countries if code and mass > 0]
    for kind, name in NAMINGS:
        named = _fewest(masses, name, cover)
        if len(named) <= AT_MOST:
            return kind, named
    return CONTINENTS, []


def names_country(countries: Sequence[tuple[str, float]], code: str, cover: float = LIKELY) -> bool:
    """Say whether the words for a region name a country, or a larger place that holds it.

    >>> names_country([("DE", 0.4), ("PL", 0.3), ("FR", 0.1)], "FR")
    False
    >>> names_country([("BR", 0.4), ("PE", 0.2), ("CO", 0.2), ("AR", 0.2)], "CL", cover=0.9)
    True
    """
    kind, named = named_places(countries, cover)
    if not named or code not in regions():
        return True
    return dict(NAMINGS)[kind](code) in named


def trail(countries: Sequence[tuple[str, float]], cover: float = LIKELY) -> list[str]:
    """Return the way down to the first place that the words for a region name: continent, subregion, code of a country.

    Below a place that is named, the way goes on to the most probable subregion and country in it.

    >>> trail([("TH", 0.6), ("LA", 0.4)])
    ['Asia', 'Southeast Asia', 'TH']
    >>> trail([("BR", 0.4), ("PE", 0.2), ("CO", 0.2), ("AR", 0.2)], cover=0.9)
    ['the Americas', 'South America', 'BR']
    """
    kind, named = named_places(countries, cover)
    if not named:
        return []
    name = dict(NAMINGS)[kind]
    left = [(code, mass) for code, mass in countries if code and mass > 0 and name(code) == named[0]]
    if kind == CONTINENTS:
        subregion = _fewest(left, subregions().__getitem__, 1e-6)[0]
        left = [(code, mass) for code, mass in left if subregions()[code] == subregion]
    code = max(left, key=lambda each: each[1])[0]
    return [regions()[code], subregions()[code], code]


def part_name(code: str, part: str = "") -> str:
    """Return a country within a sentence, or a part of it: `the Netherlands`, `the southern United States`.

    >>> part_name("US", "southern")
    'the southern United States'
    """
    name = country_name(code, article=True)
    if not part:
        return name
    return f"the {part} {name[4:]}" if name.startswith("the ") else f"{part} {name}"


def _code(code: str) -> str:
    return code


COUNTRIES, SUBREGIONS, CONTINENTS = "countries", "subregions", "continents"
NAMINGS: tuple[tuple[str, Callable[[str], str]], ...] = (
    (COUNTRIES, _code),
    (SUBREGIONS, lambda code: subregions()[code]),
    (CONTINENTS, lambda code: regions()[code]),
)
"""What a region is named by, the finest first, and what each country is then named."""


def _fewest(masses: Sequence[tuple[str, float]], name: Callable[[str], str], cover: float) -> list[str]:
    """Return the fewest names whose countries hold a share of all, the most probable first."""
    sums: dict[str, float] = {}
    for code, mass in masses:
        sums[name(code)] = sums.get(name(code), 0.0) + mass
    ranked = sorted(sums, key=lambda each: -sums[each])
    # Rounding must not ask for one more.
    left = cover * sum(sums.values()) - 1e-9
    held, named = 0.0, []
    for each in ranked:
        if held >= left:
            break
        named.append(each)
        held += sums[each]
    return named


def either(names: Sequence[str]) -> str:
    """Return names as alternatives: 'Germany, Poland or Czechia'."""
    return " or ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def class_words(name: str, level_name: str) -> str:
    """Return a class in words: the name of a country, and a label as it is."""
    if level_name != COUNTRY:
        return name
    try:
        return country_name(name)
    except ValueError:
        return name


def headline(countries: Sequence[tuple[str, float]], parts: Mapping[str, str] = NO_PARTS) -> str:
    """Return the headline of an answer: the fewest places that hold half of the probability.

    Args:
        countries: codes and probabilities.
        parts: which part of a country is meant, such as `northern`, by code.

    >>> headline([("DE", 0.4), ("PL", 0.15), ("FR", 0.1), ("CZ", 0.12), ("AT", 0.1)])
    'Most likely Germany or Poland'
    """
    words = region_words(countries, LIKELY, parts)
    return f"Could be {words}" if words == ANYWHERE else f"Most likely {words}"


def abstention_headline(countries: Sequence[tuple[str, float]]) -> str:
    """Return the headline of an answer that is not confident: the region that holds it, and no more.

    >>> abstention_headline([("KE", 0.3), ("ET", 0.2), ("TZ", 0.1), ("YE", 0.2), ("SA", 0.2)])
    'Probably somewhere in Eastern Africa or Western Asia; not confident enough to say more'
    """
    words = region_words(countries)
    where = "Anywhere on land" if words == ANYWHERE else f"Probably somewhere in {words}"
    return f"{where}; not confident enough to say more"


def prior_words(words: str, codes: Sequence[str] | None, inside: float) -> str:
    """Return how much the model itself put inside an area: 'the model itself put 3.1% inside Germany (within DE)'.

    Args:
        words: what was asked for, such as 'within DE'.
        codes: the countries that are the area, None where it is another.
        inside: probability, 0 to 1.
    """
    area = " and ".join(country_name(code, article=True) for code in codes or ())
    return f"the model itself put {percent(inside)} inside {f'{area} ({words})' if area else f'the area ({words})'}"


def percent(share: float) -> str:
    """Return a share in percent, two digits or one decimal: '93%', '3.1%', 'less than 0.1%', '100%' of 1 alone.

    >>> [percent(share) for share in (1, 0.9999, 0.5, 0.031, 0.0004, 0)]
    ['100%', 'more than 99.9%', '50%', '3.1%', 'less than 0.1%', '0%']
    """
    if 0 < share < 0.001:
        return "less than 0.1%"
    if 0.999 < share < 1:
        return "more than 99.9%"
    return f"{100 * share:.1f}".removesuffix(".0") + "%"
