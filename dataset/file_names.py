"""Coordinates in the names of picture files, as datasets of visual place recognition, maps and scripts have them."""

import re
from pathlib import Path
from urllib.parse import unquote

from plumbing.picture_kinds import PICTURE_SUFFIXES
from plumbing.videos import latlon_of_iso6709

_NUMBER = r"[-+]?\d{1,3}(?:\.\d+)?"
_DECIMAL = r"[-+]?\d{1,3}\.\d+"
_LONG = r"[-+]?\d{1,3}\.\d{3,}"
_ANGLE = r"\d{1,3}\.\d+"
_LAT, _LON = r"lat(?:itude)?", r"(?:lo?ng?|longitude)"
_IS = r"[_=: ]*"
_APART = r"(?:[_,;& @]*|-(?=[a-z]+[_=: ]*\d))"
"""Between labelled numbers; a minus in front of a number is a sign, unless it stands in front of the label too."""
_WORDS = (
    r"(?:img|image|photo|pic|picture|pano|panorama|gsv|sv|street_?view|view|loc|location|gps|coords?|latlon|geo|point)"
)
_REST = r"(?:[_ ,;@-].*)?"


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.ASCII)


_SIDES_FIRST = _compiled(rf"(?:.*[_ ,])?([NS])[_ ]?({_ANGLE})[_,; ]*([EW])[_ ]?({_ANGLE}){_REST}")
_SIDES_LAST = _compiled(rf"(?:.*[_ ,])?({_ANGLE})°?[_ ]?([NS])[_,; ]*({_ANGLE})°?[_ ]?([EW]){_REST}")
_LONGITUDE_FIRST = _compiled(rf"(?:.*[^a-z0-9])?{_LON}{_IS}({_NUMBER}){_APART}{_LAT}{_IS}({_NUMBER}){_REST}")
_SHORT = _compiled(rf"(?:{_WORDS}[_ @-]?(?:\d+_)?)?({_DECIMAL})[_;@ ]+({_DECIMAL}){_REST}")
_PATTERNS = tuple(
    map(
        _compiled,
        (
            # 48.85,2.35.jpg, img_48.85,2.35.jpg, 48.85;2.35.jpg; a heading or other words may follow.
            rf"(?:{_WORDS}[_:]?)?({_NUMBER})\s?[,;]\s?({_NUMBER}){_REST}",
            # CosPlace: @UTM_EAST@UTM_NORTH@ZONE@LETTER@LATITUDE@LONGITUDE@..., or @LATITUDE@LONGITUDE@; maps: @LAT,LON,15z.
            rf"@[\d.]+@[\d.]+@\d{{1,2}}@[C-X]@({_NUMBER})@({_NUMBER})@.*",
            rf"(?:[a-z]*)?@({_NUMBER})[@,]({_NUMBER})(?:[@,].*)?",
            # lat41.9028_lon12.4964
            rf"(?:.*[^a-z0-9])?{_LAT}{_IS}({_NUMBER}){_APART}{_LON}{_IS}({_NUMBER}){_REST}",
            # GSV-Cities: City_PLACE_YEAR_MONTH_NORTHDEG_LAT_LON_PANOID; and names with two long decimals.
            rf"(?:.*[_ ,])?({_LONG})[_, @]+({_LONG}){_REST}",
        ),
    )
)
_CLOCK = re.compile(r"([0-3]?\d)\.(\d\d)")


def latlon_of_name(name: str) -> tuple[float, float] | None:
    """Return latitude and longitude of a file name such as `48.85,2.35.jpg` or `img_48.8566_2.3522.jpg`, or None.

    At least one of the numbers must have decimals: `12,5.jpg` is more often a date or a page. Numbers with one or two decimals
    between underscores or spaces must be all of the name, but for words such as `img`, and must not be a date or a clock.
    """
    stem = unquote(_without_endings(name))
    if stem[:1] in ("+", "-") and stem.count(".") == 2 and (place := latlon_of_iso6709(stem)):
        return place
    stem = re.sub(r"[\[\](){}]", " ", stem).strip()
    stem = re.sub(r"^geo:", "", stem)
    return _between_sides(stem) or _between_numbers(stem)


def _without_endings(name: str) -> str:
    """Return a name without its ending, also a doubled one: the decimals behind a last point are none."""
    stem = Path(name).stem if re.search(r"\.[a-z]{2,5}$", name, re.IGNORECASE) else name
    return Path(stem).stem if Path(stem).suffix.lower() in PICTURE_SUFFIXES else stem


def _between_sides(stem: str) -> tuple[float, float] | None:
    """Return the place of a name with hemispheres."""
    if match := _SIDES_FIRST.fullmatch(stem):
        south, lat, west, lon = match.groups()
    elif match := _SIDES_LAST.fullmatch(stem):
        lat, south, lon, west = match.groups()
    else:
        return None
    lat_deg, lon_deg = float(lat), float(lon)
    return _on_earth(-lat_deg if south in "Ss" else lat_deg, -lon_deg if west in "Ww" else lon_deg)


def _between_numbers(stem: str) -> tuple[float, float] | None:
    for pattern in _PATTERNS:
        match = pattern.fullmatch(stem)
        if match and "." in match[1] + match[2] and (place := _on_earth(float(match[1]), float(match[2]))):
            return place
    if match := _LONGITUDE_FIRST.fullmatch(stem):
        return _on_earth(float(match[2]), float(match[1])) if "." in match[1] + match[2] else None
    match = _SHORT.fullmatch(stem)
    if match is None or (_is_clock(match[1]) and _is_clock(match[2])):
        return None
    return _on_earth(float(match[1]), float(match[2]))


def _is_clock(text: str) -> bool:
    """Say whether a number may be hours and minutes, or a day and a month."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        return False
    whole, behind = int(match[1]), int(match[2])
    return (whole < 24 and behind < 60) or (whole < 32 and behind <= 12)


def _on_earth(lat_deg: float, lon_deg: float) -> tuple[float, float] | None:
    return (lat_deg, lon_deg) if abs(lat_deg) <= 90 and abs(lon_deg) <= 180 else None
