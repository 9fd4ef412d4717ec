"""A page on this machine that takes a photograph and shows its answer; gradio gives it an API too."""

import html
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from infer.config import AppConfig
from infer.prediction import Prediction
from infer.predictor import Predictor, load
from infer.prepared import Options
from infer.review import SANDBOX
from plumbing.addresses import is_loopback

log = logging.getLogger(__name__)

HEAD = """# Where was this photograph taken?

**A hypothesis, not proof.** A network is most often wrong, and overconfident, where its training pictures are few. Do not use it
to find a person, a home or a shelter. Photographs are deleted after ten minutes; GPS in a file is not shown to the network."""

KEPT_S = 600
"""Photographs that were handed in are deleted after so many seconds."""


def main(config: AppConfig, page_of: Callable[[Prediction], str]) -> None:
    """Serve until interrupted.

    Raises:
        ValueError: gradio is not installed, or the run cannot be loaded.
    """
    app = make_app(config, page_of)
    if not is_loopback(config.host):
        log.warning("--host %s: whoever reaches this machine can ask; there is no password", config.host)
    # Gradio's own lines advertise a public link, which would hand photographs to others.
    app.launch(
        server_name=config.host,
        server_port=config.port,
        share=False,
        footer_links=["api"],
        quiet=True,
        prevent_thread_lock=True,
    )
    print(f"serving {config.run} at http://{config.host}:{config.port}; Ctrl-C ends it", flush=True)
    app.block_thread()


def make_app(config: AppConfig, page_of: Callable[[Prediction], str]) -> Any:
    """Return the page, a gradio Blocks."""
    # Before the import: nothing is told to anybody about who uses this.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        import gradio
    except ImportError:
        raise ValueError("python -m infer serve needs gradio, which is optional: pip install gradio") from None
    predictor, options = load(config.run, config.device, config.precision), Options.of(config)
    # What cannot be asked is refused now and not at the first question.
    predictor.prepared(options)

    def answer(photo: str | None) -> tuple[str, dict[str, Any]]:
        if photo is None:
            raise gradio.Error("choose a photograph first")
        try:
            prediction = answered(Path(photo), predictor, options)
        except ValueError as refusal:
            raise gradio.Error(str(refusal)) from None
        return framed(page_of(prediction)), {**prediction.to_dict(), "path": None}

    with gradio.Blocks(title="Where was this photograph taken?", delete_cache=(KEPT_S, KEPT_S)) as app:
        gradio.Markdown(HEAD + terms(predictor.model.record))
        photo = gradio.File(label="Photograph", file_types=["image"], type="filepath")
        ask = gradio.Button("Answer")
        page, record = gradio.HTML(label="Map"), gradio.JSON(label="All of the answer", open=False)
        ask.click(answer, photo, [page, record], api_name="answer")
    return app


def terms(record: Mapping[str, Any]) -> str:
    """Return what is said of a published model: its licence and citation; nothing of one that was trained here."""
    published = record.get("published")
    return (
        f"\n\nModel: {published['model']}. Licence: {published['licence']}. {published['citation']}"
        if published
        else ""
    )


def answered(photo: Path, predictor: Predictor, options: Options) -> Prediction:
    """Return the prediction of a photograph, that of `python -m infer predict`.

    Raises:
        ValueError: it cannot be read as a photograph.
    """
    try:
        return next(predictor.stream([photo], predictor.prepared(options), workers=0, refuse=True))[1]
    except ValueError as refusal:
        raise ValueError(
            f"{photo.name} cannot be read as a photograph ({_without_folders(str(refusal), photo)})"
        ) from None


def _without_folders(text: str, photo: Path) -> str:
    return text.replace(str(photo), photo.name)


def framed(page: str) -> str:
    """Return a whole page inside another; its scripts see nothing of the outer one."""
    return (
        f'<iframe sandbox="{SANDBOX}" title="map" style="width:100%;height:80vh;border:0" srcdoc="{html.escape(page)}">'
        "</iframe>"
    )
