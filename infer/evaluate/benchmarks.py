"""Published results, to stand beside ours."""

from typing import Literal

from infer.evaluate.metrics import RADII_KM

Benchmark = Literal["im2gps3k", "osv5m"]

PUBLISHED: dict[str, dict[str, tuple[float, ...]]] = {
    "im2gps3k": {
        "PlaNet": (8.5, 24.8, 34.3, 48.4, 64.6),
        "ISN ResNet-50": (10.1, 28.0, 36.9, 51.1, 67.0),
        "GeoCLIP": (14.1, 34.5, 50.7, 69.7, 83.8),
        "PIGEOTTO": (11.3, 36.7, 53.8, 72.4, 85.3),
        "best of 2026": (23.6, 55.1, 67.1, 80.4, 90.7),
    }
}
"""Percent of photographs within `RADII_KM`, by benchmark and system; the best of 2026 joins a language model to
retrieval."""

OSV5M_BASELINE_GEOSCORE = 3361
"""Of the baseline in Astruc et al. 2024 on the test set of OpenStreetView-5M."""


def published_lines(benchmark: Benchmark | None) -> list[str]:
    """Return the published rows of a benchmark as lines of an evaluation's table."""
    if benchmark == "osv5m":
        return [f"{'published: OSV-5M baseline':<40} GeoScore {OSV5M_BASELINE_GEOSCORE:,}"]
    rows = PUBLISHED.get(benchmark or "", {})
    head = f"{'published, percent within':<40}" + "".join(f"{f'≤{r} km':>10}" for r in RADII_KM)
    lines = [f"{system:<40}" + "".join(f"{share:>9.1f}%" for share in shares) for system, shares in rows.items()]
    return [head, *lines] if lines else []
