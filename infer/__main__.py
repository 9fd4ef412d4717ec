"""`python -m infer VERB`: where a photograph was taken, and how good such answers are."""

from contextlib import closing
from typing import TYPE_CHECKING

from infer.config import EvaluateConfig, ImportConfig, InferConfig
from infer.importers.config import ClipConfig, GeoclipConfig, Osv5mConfig
from infer.play.config import PlayConfig
from infer.serve.config import AppConfig
from plumbing.config import Commands, dispatch

if TYPE_CHECKING:
    from infer.overview import Overview
    from infer.prediction import Prediction


def predict(config: InferConfig) -> None:
    """Predict, and draw pages with viz; this module alone of infer may know what stands above it."""
    from infer.predict import main

    main(config, draw, draw_index)


def serve(config: AppConfig) -> None:
    """Serve the app, whose pages are drawn with viz."""
    from infer.serve.start import check_installed, check_run, listening

    check_installed(config)
    check_run(config)
    with closing(listening(config)) as at:
        from infer.serve.server import Pages, main
        from viz.app.area import area_html
        from viz.app.game import game_html
        from viz.maps.prediction import prediction_html, prediction_png

        main(config, Pages(prediction_html, prediction_png, area_html, game_html), at)


def draw(prediction: "Prediction", tiles: str | None) -> tuple[str, bytes]:
    """Return the page and the picture of an answer; drawing takes most of a second to import, so only now."""
    from viz.maps.prediction import prediction_html, prediction_png

    return prediction_html(prediction, tiles), prediction_png(prediction)


def draw_index(overview: "Overview", tiles: str | None) -> str:
    """Return the page that lists many answers."""
    from viz.maps.index import index_html

    return index_html(overview, tiles)


COMMANDS: Commands = {
    "predict": (InferConfig, "infer.__main__:predict"),
    "evaluate": (EvaluateConfig, "infer.evaluate.run:main"),
    "serve": (AppConfig, "infer.__main__:serve"),
    "play": (PlayConfig, "infer.play.terminal:main"),
    "import": {
        "clip": (ClipConfig, "infer.importers.clip_zero_shot:main"),
        "geoclip": (GeoclipConfig, "infer.importers.geoclip:main"),
        "osv5m": (Osv5mConfig, "infer.importers.osv5m:main"),
        "geoguessr2": (ImportConfig, "infer.importers.geoguessr2:main"),
    },
}

if __name__ == "__main__":
    dispatch("python -m infer", COMMANDS, usual="predict")
