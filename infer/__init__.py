"""Where a photograph was taken: from a run folder and pixels to a `Prediction`.

Read `prediction` (the answer, made of `parts`), `predictor` (images to predictions), `prepared` and `answer` (from network
output to an answer), `one_place` (several photographs, one answer), `model` (a run folder: pixels to a posterior), `images`
and `photo_files`; then `network/` (trunks, heads, weights), `decode/` (posterior, point, region, prior), `evaluate/` (how
good a run is), `explain/` (what an answer rests on), `export/` (files of answers), `importers/` (runs of other projects'
files), `play/` (people beside a network) and `serve/` (the app). `predict` is the command for files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infer.prediction import Cell, LevelPrediction, MetadataLocation, Prediction, Provenance, Region
    from infer.predictions import Predictions
    from infer.predictor import Predictor, load

__all__ = [
    "Cell",
    "LevelPrediction",
    "MetadataLocation",
    "Prediction",
    "Predictions",
    "Predictor",
    "Provenance",
    "Region",
    "load",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for only then: torch takes seconds, and `import infer` should not."""
    if name not in __all__:
        raise AttributeError(f"module 'infer' has no attribute {name!r}")
    from importlib import import_module

    home = "infer.predictor" if name in ("Predictions", "Predictor", "load") else "infer.prediction"
    return getattr(import_module(home), name)


def page_of(prediction: Prediction) -> str:
    """Return the offline page of an answer.

    The pages belong to viz, which stands above this folder; a notebook that imports infer alone still shows its map. So
    this one function finds them by name, as `__main__` wires them for the commands.
    """
    from importlib import import_module

    page: str = import_module("viz.maps.prediction").prediction_html(prediction)
    return page
