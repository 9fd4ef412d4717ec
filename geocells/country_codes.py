"""Codes of countries by which Natural Earth differs from ISO 3166-1. 'NA' is Namibia, Kosovo is 'XK'."""

from numpy.typing import NDArray

ALPHA2_OF_ADM0_A3 = {
    "ATC": "AU", "BJN": "CO", "CLP": "FR", "CSI": "AU", "CYN": "CY", "ESB": "GB", "FRA": "FR", "GIB": "GI",
    "IOA": "CX", "KAB": "KZ", "KAS": "IN", "KOS": "XK", "NOR": "NO",
    "SER": "CO", "SOL": "SO", "TUV": "TV", "TWN": "TW", "UK": "GB", "UMI": "UM", "USG": "CU", "WSB": "GB",
    "SDS": "SS",
}  # fmt: skip
"""Alpha-2 of Natural Earth's codes for which its countries file has none or -99: de jure owner, as in ISO 3166-1."""

ALPHA2_OF_NAME = {
    "Guyane française": "GF", "Guadeloupe": "GP", "Martinique": "MQ", "La Réunion": "RE", "Mayotte": "YT",
    "Svalbard": "SJ", "Bouvet Island": "BV", "Tokelau": "TK", "Cocos (Keeling) Islands": "CC",
    "Laâyoune - Boujdour - Sakia El Hamra": "EH", "Oued el Dahab": "EH",
    "Bonaire": "BQ", "Saba": "BQ", "St. Eustatius": "BQ",
}  # fmt: skip
"""Regions of a country that ISO 3166-1 gives a code of their own."""


def alpha2_of_adm0_a3(adm0_a3: NDArray, iso_a2: NDArray) -> dict[str, str]:
    """Return the alpha-2 code of each code of a countries file; ISO_A2 is -99 for France and Norway in some editions."""
    proper = {
        str(a3): str(a2) for a3, a2 in zip(adm0_a3, iso_a2, strict=True) if len(str(a2)) == 2 and str(a2).isalpha()
    }
    return proper | ALPHA2_OF_ADM0_A3
