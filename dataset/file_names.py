"""Coordinates in the names of picture files, as datasets of visual place recognition have them."""

import re
from pathlib import Path

_NUMBER = r"[-+]?\d{1,3}(?:\.\d+)?"
_DECIMAL = r"[-+]?\d{1,3}\.\d{3,}"
_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # 48.85,2.35.jpg, img_48.85,2.35.jpg; a heading or other words may follow.
        rf"(?:img_)?({_NUMBER}),\s?({_NUMBER})(?:[_ ,].*)?",
        # CosPlace: @UTM_EAST@UTM_NORTH@ZONE@LETTER@LATITUDE@LONGITUDE@..., or @LATITUDE@LONGITUDE@.
        rf"@[\d.]+@[\d.]+@\d{{1,2}}@[C-X]@({_NUMBER})@({_NUMBER})@.*",
        rf"@({_NUMBER})@({_NUMBER})(?:@.*)?",
        # lat41.9028_lon12.4964
        rf"(?:.*[^a-z0-9])?lat[a-z]*[_=: -]?({_NUMBER})[_,; ]+lo?ng?[a-z]*[_=: ]?({_NUMBER})(?:[_,; ].*)?",
        # GSV-Cities: City_PLACE_YEAR_MONTH_NORTHDEG_LAT_LON_PANOID; and names with two decimals between _ or spaces.
        rf"(?:.*[_ ,])?({_DECIMAL})[_, ]+({_DECIMAL})(?:[_ ,@].*)?",
    )
)


def latlon_of_name(name: str) -> tuple[float, float] | None:
    """Return latitude and longitude of a file name such as `48.85,2.35.jpg` or `img_48.8566_2.3522.jpg`, or None.

    At least one of the numbers must have decimals: `12,5.jpg` is more often a date or a page.
    """
    stem = Path(name).stem if re.search(r"\.[a-z]{2,5}$", name, re.IGNORECASE) else name
    for pattern in _PATTERNS:
        match = pattern.fullmatch(stem)
        if not match or "." not in match[1] + match[2]:
            continue
        lat_deg, lon_deg = float(match[1]), float(match[2])
        if abs(lat_deg) <= 90 and abs(lon_deg) <= 180:
            return lat_deg, lon_deg
    return None
