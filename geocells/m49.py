"""Parts of the world that countries lie in, by the United Nations' standard M49.

Source: "Standard country or area codes for statistical use (M49)", United Nations Statistics Division. M49 has no entry for
Taiwan and Kosovo; they stand with their neighbours. English words follow common usage: M49's "South-eastern Asia" is
"Southeast Asia", its "Middle Africa" is "Central Africa".
"""

from functools import cache

REGIONS: dict[str, dict[str, str]] = {
    "Africa": {
        "Northern Africa": "DZ EG EH LY MA SD TN",
        "Western Africa": "BF BJ CI CV GH GM GN GW LR ML MR NE NG SH SL SN TG",
        "Central Africa": "AO CD CF CG CM GA GQ ST TD",
        "Eastern Africa": "BI DJ ER ET IO KE KM MG MU MW MZ RE RW SC SO SS TF TZ UG YT ZM ZW",
        "Southern Africa": "BW LS NA SZ ZA",
    },
    "the Americas": {
        "Northern America": "BM CA GL PM US",
        "Central America": "BZ CR GT HN MX NI PA SV",
        "the Caribbean": "AG AI AW BB BL BQ BS CU CW DM DO GD GP HT JM KN KY LC MF MQ MS PR SX TC TT VC VG VI",
        "South America": "AR BO BR BV CL CO EC FK GF GS GY PE PY SR UY VE",
    },
    "Antarctica": {"Antarctica": "AQ"},
    "Asia": {
        "Central Asia": "KG KZ TJ TM UZ",
        "Eastern Asia": "CN HK JP KP KR MN MO TW",
        "Southeast Asia": "BN ID KH LA MM MY PH SG TH TL VN",
        "Southern Asia": "AF BD BT IN IR LK MV NP PK",
        "Western Asia": "AE AM AZ BH CY GE IL IQ JO KW LB OM PS QA SA SY TR YE",
    },
    "Europe": {
        "Northern Europe": "AX DK EE FI FO GB GG IE IM IS JE LT LV NO SE SJ",
        "Western Europe": "AT BE CH DE FR LI LU MC NL",
        "Southern Europe": "AD AL BA ES GI GR HR IT ME MK MT PT RS SI SM VA XK",
        "Eastern Europe": "BG BY CZ HU MD PL RO RU SK UA",
    },
    "Oceania": {
        "Australia and New Zealand": "AU CC CX HM NF NZ",
        "Melanesia": "FJ NC PG SB VU",
        "Micronesia": "FM GU KI MH MP NR PW UM",
        "Polynesia": "AS CK NU PF PN TK TO TV WF WS",
    },
}
"""Codes (ISO 3166-1 alpha-2) of each subregion of each region; names stand as they do after "in"."""


@cache
def subregions() -> dict[str, str]:
    """Return the subregion of each country's code."""
    return {code: name for parts in REGIONS.values() for name, codes in parts.items() for code in codes.split()}


@cache
def regions() -> dict[str, str]:
    """Return the region of each country's code."""
    return {code: region for region, parts in REGIONS.items() for codes in parts.values() for code in codes.split()}
