"""Names and codes of countries, as people write them, to ISO 3166-1 alpha-2; ambiguous and unknown ones are listed."""

import gettext
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import pycountry
from rapidfuzz import fuzz, process

from plumbing.text import counted

CUTOFF = 88.0
"""How alike (0 to 100, after the order of words is forgotten) a name must be to be taken for a country's."""
MARGIN = 4.0
"""How much less alike the next country must be, or the name is ambiguous."""

FURTHER_NAMES = {
    "XK": ("Kosovo", "XKX", "Republic of Kosovo", "Kosova"),
    "AE": ("UAE", "Emirates"), "BA": ("Bosnia",), "BO": ("Bolivia",), "BR": ("Brasil",), "CC": ("Cocos Islands",), "CD": (
        "DR Congo", "DRC", "Congo Kinshasa", "Democratic Republic of the Congo", "Congo-Kinshasa"),
    "CG": ("Congo Brazzaville", "Republic of the Congo", "Congo-Brazzaville"), "CI": ("Ivory Coast",),
    "CV": ("Cape Verde",), "CZ": ("Czech Republic",), "DE": ("Deutschland",), "ES": ("España",),
    "FK": ("Falkland Islands",), "FM": ("Micronesia",), "GB": (
        "UK", "Great Britain", "Britain", "England", "Scotland", "Wales", "Northern Ireland"),
    "IT": ("Italia",), "KP": ("North Korea",), "KR": ("South Korea", "Republic of Korea"), "LA": ("Laos",), "MK": ("Macedonia",),
    "MM": ("Burma",), "MO": ("Macau",), "NL": ("Holland",), "PS": ("Palestine",), "RU": ("Russia",),
    "ST": ("Sao Tome",), "SY": ("Syria",), "SZ": ("Swaziland",), "TL": ("East Timor",), "TR": ("Turkey",),
    "TZ": ("Tanzania",), "US": ("USA", "U S", "U S A", "America", "United States of America"), "VA": ("Vatican", "Vatican City"),
    "VN": ("Vietnam",), "VE": ("Venezuela",), "IR": ("Iran",), "MD": ("Moldova",), "TW": ("Taiwan",),
    "BN": ("Brunei",), "SH": ("Saint Helena",), "VG": ("British Virgin Islands",), "VI": ("US Virgin Islands",),
}  # fmt: skip
"""Names in use beside those of pycountry; constituent countries count as their state, as in ISO 3166-1."""

LANGUAGES = (
    "de", "fr", "es", "it", "pt", "pt_BR", "nl", "pl", "ru", "uk", "cs", "sk", "hu", "ro", "bg", "el", "sr", "hr", "sl", "sv", "da",
    "nb", "fi", "is", "et", "lv", "lt", "tr", "ar", "he", "fa", "hi", "bn", "th", "vi", "id", "ms", "ja", "ko", "zh_CN", "zh_TW",
)  # fmt: skip
FURTHER_OWN_NAMES = {
    "RU": ("Россия",),
    "KR": ("한국", "남한"),
    "KP": ("북한",),
    "GB": ("Großbritannien", "Grande-Bretagne", "Gran Bretaña"),
}

SHARED_NAMES = frozenset({"kongo", "congo", "korea", "corea", "coree", "koreja"})
"""Names, without accents, that some languages give to one of several countries."""

AMBIGUOUS: dict[str, tuple[str, ...]] = {
    "congo": ("CD", "CG"),
    "kongo": ("CD", "CG"),
    "korea": ("KP", "KR"),
    "republic of china": ("CN", "TW"),
    "saint martin": ("MF", "SX"),
    "virgin islands": ("VG", "VI"),
}
"""Names that several countries share."""

SHORT_NAMES = {
    "BN": "Brunei", "BQ": "Bonaire, Sint Eustatius and Saba", "CC": "Cocos Islands", "CD": "Democratic Republic of the Congo",
    "CG": "Republic of the Congo", "CI": "Ivory Coast", "CV": "Cape Verde", "FK": "Falkland Islands", "FM": "Micronesia",
    "MF": "Saint Martin (French part)", "MO": "Macau", "PS": "Palestine", "RU": "Russia", "SH": "Saint Helena",
    "SX": "Sint Maarten", "TR": "Turkey", "VA": "Vatican City", "VG": "British Virgin Islands", "VI": "US Virgin Islands",
    "XK": "Kosovo",
}  # fmt: skip
"""Names in plain English where pycountry has a formal one, or none."""

WITH_ARTICLE = frozenset({
    "AE", "AX", "BS", "CC", "CD", "CF", "CG", "CK", "DO", "FK", "FO", "GB", "GM", "IM", "IO", "KM", "KY", "MH", "MP", "MV",
    "NL", "PH", "SB", "SC", "TC", "TF", "UM", "US", "VG", "VI",
})  # fmt: skip
"""Countries that take "the" within a sentence."""

FORMAL = frozenset({
    "of", "and", "republic", "kingdom", "state", "states", "federal", "federation", "federative", "democratic", "people",
    "peoples", "s", "islamic", "commonwealth", "principality", "grand", "duchy", "sultanate", "plurinational",
    "bolivarian", "socialist",
})  # fmt: skip
"""Words of official names that say nothing of which country it is."""


@dataclass(frozen=True)
class Match:
    """What a text was taken for.

    Attributes:
        text: as given.
        alpha2: the code, '' where it is ambiguous or unknown.
        how: `code`, `name`, `like` (nearly a name), `ambiguous`, `unknown` or `empty`.
        candidates: codes that came into question, best first.
    """

    text: str
    alpha2: str
    how: str
    candidates: tuple[str, ...] = ()


def match_country(text: str, cutoff: float = CUTOFF) -> Match:
    """Return what a name or a code of a country stands for: 'NA' is Namibia, 'XK' Kosovo, 'Kazakstan' Kazakhstan."""
    plain = _plain(text)
    if not any(letter.isalnum() for letter in text):
        return Match(text, "", "empty")
    if code := _codes().get(text.strip().upper()):
        return Match(text, code, "code", (code,))
    if plain in AMBIGUOUS:
        return Match(text, "", "ambiguous", AMBIGUOUS[plain])
    if code := _names().get(plain):
        return Match(text, code, "name", (code,))
    telling = _telling(plain)
    if telling in AMBIGUOUS:
        return Match(text, "", "ambiguous", AMBIGUOUS[telling])
    if code := _names().get(telling):
        return Match(text, code, "name", (code,))
    found = process.extract(plain, list(_names()), scorer=fuzz.token_sort_ratio, limit=12, score_cutoff=cutoff - MARGIN)
    scores: dict[str, float] = {}
    for name, score, _ in found:
        # What two names share, such as "Republic of", must not outweigh the word that tells them apart.
        if _apart_ratio(plain, name) < cutoff - MARGIN:
            continue
        scores[_names()[name]] = max(score, scores.get(_names()[name], 0.0))
    ranked = sorted(scores, key=lambda code: -scores[code])
    # Two letters apart says much of a long name and nothing of a short one, such as Iran and Iraq.
    if not ranked or scores[ranked[0]] < cutoff or len(plain) < 5:
        # Only now: a slip in an English name, such as Nigera, may be the name of one country in another language.
        if code := _own_names().get(_folded(text)):
            return Match(text, code, "name", (code,))
        return Match(text, "", "unknown", tuple(ranked))
    if len(ranked) > 1 and scores[ranked[1]] > scores[ranked[0]] - MARGIN:
        return Match(text, "", "ambiguous", tuple(ranked))
    return Match(text, ranked[0], "like", tuple(ranked))


def country_name(code: str, article: bool = False) -> str:
    """Return the usual English name of a country: 'Germany' of DE, 'Democratic Republic of the Congo' of CD.

    Args:
        code: ISO 3166-1 alpha-2, or XK.
        article: as within a sentence: 'the Netherlands'.

    Raises:
        ValueError: there is no such code.
    """
    country = pycountry.countries.get(alpha_2=code)
    name = SHORT_NAMES.get(code) or getattr(country, "common_name", None) or getattr(country, "name", None)
    if name is None:
        raise ValueError(f"{code!r} is not a country's code: give two letters of ISO 3166-1 such as DE")
    return f"the {name}" if article and code in WITH_ARTICLE else name


def match_countries(texts: Iterable[str], cutoff: float = CUTOFF) -> dict[str, Match]:
    """Return the match of each distinct text."""
    return {text: match_country(text, cutoff) for text in dict.fromkeys(texts)}


def _plain(text: str) -> str:
    """Return a text in small ASCII letters and single spaces."""
    ascii_text = unicodedata.normalize("NFKD", text.replace("&", " and ")).encode("ascii", "ignore").decode().lower()
    words = "".join(c if c.isalnum() else " " for c in ascii_text).split()
    return " ".join("saint" if word == "st" else word for word in words if word != "the")


def _telling(plain: str) -> str:
    return " ".join(word for word in plain.split() if word not in FORMAL)


def _apart_ratio(one: str, other: str) -> float:
    """Return how alike (0 to 100) the words are that two names do not share."""
    words = [set(name.split()) - {"of", "and"} for name in (one, other)]
    ours, theirs = (" ".join(sorted(own - shared)) for own, shared in zip(words, reversed(words), strict=True))
    return float(fuzz.ratio(ours, theirs)) if ours or theirs else 100.0


def _folded(text: str) -> str:
    """Return a text of any script without case, accents and punctuation."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in plain if letter.isalnum())


@cache
def _own_names() -> dict[str, str]:
    """Return the names of countries in languages of many of them, as pycountry brings them; those that several share left out."""
    found: dict[str, set[str]] = {}
    for language in LANGUAGES:
        try:
            translated = gettext.translation("iso3166-1", pycountry.LOCALES_DIR, [language]).gettext
        except OSError:
            continue
        for country in pycountry.countries:
            for field in ("name", "common_name", "official_name"):
                if name := getattr(country, field, None):
                    found.setdefault(_folded(translated(name)), set()).add(country.alpha_2)
    for code, given in FURTHER_OWN_NAMES.items():
        for name in given:
            found[_folded(name)] = {code}
    return {name: codes.pop() for name, codes in found.items() if len(codes) == 1 and name not in SHARED_NAMES}


@cache
def _codes() -> dict[str, str]:
    known = {country.alpha_2: country.alpha_2 for country in pycountry.countries}
    known |= {country.alpha_3: country.alpha_2 for country in pycountry.countries}
    return known | {"XK": "XK", "XKX": "XK", "UK": "GB"}


@cache
def _names() -> dict[str, str]:
    names: dict[str, str] = {}
    for country in pycountry.countries:
        for field in ("name", "official_name", "common_name"):
            name = getattr(country, field, None)
            if name:
                names[_plain(name)] = country.alpha_2
                names.setdefault(_plain(name.split(",")[0].split("(")[0]), country.alpha_2)
    further = {_plain(name): code for code, given in FURTHER_NAMES.items() for name in given}
    return {name: code for name, code in (names | further).items() if name not in AMBIGUOUS}


_WAYS = {
    "code": "by code",
    "name": "by name",
    "like": "by a name that is alike",
    "ambiguous": "ambiguous",
    "unknown": "unknown",
    "empty": "empty",
}


def report(matches: dict[str, Match], count: Counter[str]) -> str:
    """Return how many rows were matched in which way, and each text that was not taken literally."""
    by_way: Counter[str] = Counter()
    for text, match in matches.items():
        by_way[match.how] += count[text]
    ways = ", ".join(f"{n:,} {_WAYS[how]}" for how, n in by_way.most_common())
    lines = [f"{counted(sum(count.values()), 'row')}: {ways}"]
    for match in matches.values():
        if match.how in ("like", "ambiguous", "unknown"):
            could = f"is {match.how} and left out; could be {' or '.join(match.candidates) or 'anything'}"
            name = country_name(match.alpha2) if match.alpha2 else ""
            alike = f"is taken as {name} ({match.alpha2}), whose name is alike"
            lines.append(f"  {match.text!r} ({counted(count[match.text], 'row')}) {alike if match.alpha2 else could}")
    return "\n".join(lines)
