"""A page on this machine that takes a photograph and shows what `python -m infer` answers; gradio gives it an API too."""

import html
import logging
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from infer.claims import Claims
from infer.config import AppConfig, InferConfig
from infer.images import Photo
from infer.model import Model, load_model
from infer.network.devices import pick_device
from infer.predict import answers, write_maps
from plumbing.addresses import is_loopback

log = logging.getLogger(__name__)

HEAD = """# Where was this photograph taken?

**A hypothesis, not proof.** A network is most often wrong where its training pictures are few, and sure of itself all the same.
Do not use it to find a person, a home or a shelter. Photographs are deleted after ten minutes; GPS in a file is not shown to the
network."""

KEPT_S = 600
"""Photographs that were handed in are deleted after so many seconds."""


def main(config: AppConfig) -> None:
    """Serve until interrupted.

    Raises:
        ValueError: gradio is not installed, or the run cannot be loaded.
    """
    app = make_app(config)
    if not is_loopback(config.host):
        log.warning("--host %s: whoever reaches this machine can ask; there is no password", config.host)
    app.launch(server_name=config.host, server_port=config.port, share=False, footer_links=["api"])


def make_app(config: AppConfig) -> Any:
    """Return the page, a gradio Blocks."""
    # Before the import: nothing is told to anybody about who uses this.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        import gradio
    except ImportError:
        raise ValueError("python -m infer serve needs gradio, which is optional: pip install gradio") from None
    model = load_model(config.run, pick_device(config.device))
    model = model.with_choices(config.fusion, config.point, bool(config.within or config.exclude))
    # What cannot be asked is refused now and not at the first question.
    Claims.of(config, config.run, model)

    def answer(photo: str | None) -> tuple[str, dict[str, Any]]:
        if photo is None:
            raise gradio.Error("choose a photograph first")
        try:
            page, record = answer_page(Path(photo), model, config)
        except ValueError as refusal:
            raise gradio.Error(str(refusal)) from None
        return framed(page), record

    with gradio.Blocks(title="Where was this photograph taken?", delete_cache=(KEPT_S, KEPT_S)) as app:
        gradio.Markdown(HEAD)
        photo = gradio.File(label="Photograph", file_types=["image"], type="filepath")
        ask = gradio.Button("Answer")
        page, record = gradio.HTML(label="Map"), gradio.JSON(label="All of the answer", open=False)
        ask.click(answer, photo, [page, record], api_name="answer")
    return app


def answer_page(photo: Path, model: Model, config: AppConfig) -> tuple[str, dict[str, Any]]:
    """Return the page and the record of a photograph, those of `python -m infer`.

    Raises:
        ValueError: it cannot be read as a photograph.
    """
    claims = {name: value for name, value in asdict(config).items() if name not in ("host", "port")}
    with tempfile.TemporaryDirectory() as folder:
        asked = InferConfig(photos=(photo,), out=Path(folder), workers=0, **claims)
        for given, record, evidence in answers([Photo(photo)], model, asked):
            write_maps(Path(folder) / "answer", given, record, evidence, model, None)
            page = (Path(folder) / "answer.html").read_text(encoding="utf-8")
            return page, {**record, "input": photo.name}
    raise ValueError(f"{photo.name} cannot be read as a photograph")


def framed(page: str) -> str:
    """Return a whole page inside another; its scripts see nothing of the outer one."""
    return (
        f'<iframe sandbox="allow-scripts" title="map" style="width:100%;height:80vh;border:0" srcdoc="{html.escape(page)}">'
        "</iframe>"
    )
