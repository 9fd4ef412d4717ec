"""From the fields of the app's form to the options of an answer."""

from typing import Any

from infer.serve.photographs import named_areas


def asked_on_the_page(
    countries: str | None,
    box: str | None,
    polygons: str | None,
    without: str | None,
    coverage: list[str],
    confidence: float | None,
    together: bool,
    explain: bool,
) -> tuple[dict[str, Any], bool]:
    """Return the options that a form changes, and whether a heat map is wanted.

    Args:
        countries: names or codes, with commas or semicolons between.
        box: south,west,north,east in degrees.
        polygons: a file that was handed in.
        without: countries, likewise.
        coverage: of the regions.
        confidence: 0 where the finest level is answered.
        together: whether all photographs show one place.
        explain: whether a heat map is wanted.

    Raises:
        ValueError: an area could be the name of a file, or both a heat map and one answer for all are wanted.
    """
    if together and explain:
        raise ValueError("one answer for all photographs has no heat map: leave out one of the two")
    within = named_areas([*_listed(countries), box or ""]) + ((polygons,) if polygons else ())
    changes = {
        "within": within,
        "exclude": named_areas(_listed(without)),
        "coverage": tuple(sorted(float(one) for one in coverage)),
        "confidence": confidence or None,
        "same_place": together,
    }
    return {name: value for name, value in changes.items() if value or name in ("coverage", "confidence")}, explain


def _listed(text: str | None) -> list[str]:
    return (text or "").replace(";", ",").split(",")
