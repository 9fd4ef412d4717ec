"""`python -m infer serve`: the parts of the app as one server, which listens on this machine alone unless told otherwise."""

import asyncio
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infer.prediction import Prediction
from infer.predictor import load
from infer.prepared import Options
from infer.serve.config import AppConfig
from infer.serve.guard import MOST_BYTES, Guard
from infer.serve.photographs import Photographs
from infer.serve.uploads import clear_old, own_folder
from plumbing.addresses import is_loopback

log = logging.getLogger(__name__)

SWEEP_S = 30
ENVIRONMENT = {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_RUN_HISTORY": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}
"""Nothing is told to anybody about who uses this, and no browser keeps what was asked."""
UPLOADS = "GRADIO_TEMP_DIR"


@dataclass(frozen=True)
class Pages:
    """What is drawn, by what stands above this folder.

    Attributes:
        answer: an answer as a page.
        picture: an answer as a PNG.
        area: a page on which a box is drawn, for a frame.
        game: the page of the game, from what it is to show.
    """

    answer: Callable[[Prediction], str]
    picture: Callable[[Prediction], bytes]
    area: Callable[[], str]
    game: Callable[[dict[str, Any]], str]


def main(config: AppConfig, pages: Pages, listening: socket.socket) -> None:
    """Serve at a socket until interrupted.

    Raises:
        ValueError: the run cannot be loaded, or the dataset of the game cannot be used.
    """
    if not is_loopback(config.host):
        log.warning("--host %s: whoever reaches this machine can ask; there is no password", config.host)
    with own_folder(_parent()) as folder:
        app = make_server(config, pages, folder)
        _end_cleanly()
        with suppress(KeyboardInterrupt):
            run(app, listening, f"serving {config.run} at http://{_shown(config.host)}:{config.port}; Ctrl-C ends it")


def run(app: Guard, listening: socket.socket, said: str) -> None:
    """Serve at a socket until interrupted; say a line once it answers."""
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                print(said, flush=True)

    # Pages keep a connection open, which must not hold up the end.
    config = uvicorn.Config(app, log_level="warning", server_header=False, timeout_graceful_shutdown=2)
    Server(config).run([listening])


def _end_cleanly() -> None:
    """Let a request to terminate clear up as an interruption does; uvicorn raises it again when it has stopped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def _parent() -> Path:
    return Path(os.environ.get(UPLOADS) or tempfile.gettempdir())


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def make_server(config: AppConfig, pages: Pages, folder: Path) -> Guard:
    """Return the app as what an ASGI server runs.

    Args:
        config: the flags.
        pages: what is drawn.
        folder: where photographs lie that were handed in; it is cleared by age.

    Raises:
        ValueError: the run or the dataset of the game cannot be used.
    """
    # Before the import, which reads them.
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ[UPLOADS] = str(folder)
    from fastapi import FastAPI
    from gradio import mount_gradio_app
    from starlette.responses import HTMLResponse

    from infer.serve.app import FOOTER, LISTEN, LOOK, make_app, theme
    from infer.serve.locate import add_locate

    photographs = Photographs(load(config.run, config.device, config.precision), Options.of(config))
    server = FastAPI(lifespan=_sweeping(folder), docs_url=None, redoc_url=None, openapi_url=None)
    server.add_route("/area", lambda _: HTMLResponse(pages.area()), include_in_schema=False)
    add_locate(server, photographs)
    if config.play is not None:
        from infer.serve.game import Table, add_game

        table = Table(config, photographs.predictor)
        add_game(server, table, pages.game(table.about))
    app = make_app(photographs, pages, folder, game=config.play is not None, mcp=config.mcp)
    # gradio looks whether a file was handed in only once an app was launched, which one that is mounted never is.
    app.has_launched = True
    mount_gradio_app(
        server,
        app,
        path="",
        max_file_size=MOST_BYTES,
        footer_links=FOOTER,
        mcp_server=config.mcp,
        ssr_mode=False,
        theme=theme(),
        css=LOOK,
        head=LISTEN,
    )
    return Guard(server, config.host, config.hosts)


def _sweeping(folder: Path) -> Callable[[Any], Any]:
    """Return what clears a folder by age while an application runs."""

    async def sweep() -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            await asyncio.to_thread(clear_old, folder)

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        task = asyncio.create_task(sweep())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    return lifespan
