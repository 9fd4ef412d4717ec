"""`python -m fetch mapillary`: which stages run, with which token, and how a run ends."""

import logging
import os
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from fetch.mapillary.budget import budget
from fetch.mapillary.config import GraphConfig, MapillaryConfig, RecheckConfig, ServiceConfig
from fetch.mapillary.errors import Stop
from fetch.mapillary.export import export, write_survey
from fetch.mapillary.fill import fill
from fetch.mapillary.maintenance import recheck, status, verify
from fetch.mapillary.plan import plan
from fetch.mapillary.probe import probe
from fetch.mapillary.run import Run
from fetch.mapillary.state import State
from fetch.mapillary.survey import survey
from fetch.mapillary.transport import Transport, scrub

TOKEN_VARIABLE = "MAPILLARY_TOKEN"

log = logging.getLogger(__name__)


def run(config: MapillaryConfig) -> int:
    """Run one stage, or all, and return the exit code.

    Raises:
        ValueError: bad input, or a stage lacks what an earlier one makes.
    """
    if config.dry_run:
        print(budget(config))
        return 0
    if config.stage == "probe":
        return ended(lambda: probe(config, read_token(config)))
    return ended(lambda: _stages(config))


def run_recheck(config: RecheckConfig) -> int:
    """Remove deleted pictures from a dataset, and return the exit code.

    Raises:
        ValueError: it is not a dataset, or has no pictures of Mapillary.
    """
    return ended(lambda: recheck(config, read_token(config)))


def _stages(config: MapillaryConfig) -> None:
    if config.out.exists() and not config.out.is_dir():
        raise ValueError(f"{config.out} is a file: --out names a dataset folder")
    asks = config.stage in ("all", "survey", "run", "fill")
    token = read_token(config) if asks else ""
    state = State(config.out)
    try:
        if config.stage == "verify":
            verify(config, state)
        elif config.stage == "plan":
            plan(config, state)
            write_survey(config.out, state)
        elif asks:
            with _transport(config, token, state) as transport:
                _fetch(config, state, transport)
        if config.stage in ("all", "status", "verify"):
            print(status(config, state))
    except sqlite3.Error as error:
        raise ValueError(f"{state.path} cannot be written ({error}): is the disk full?") from None
    finally:
        state.close()


def _fetch(config: MapillaryConfig, state: State, transport: Transport) -> None:
    """Do the stages that ask; whatever ends them, what is stored becomes a dataset."""
    if config.stage in ("all", "survey"):
        survey(config, state, transport)
    if config.stage == "survey":
        return
    if config.stage == "all":
        plan(config, state)
    try:
        if config.stage in ("all", "run"):
            Run(config, state, transport).all_phases()
        if config.stage in ("all", "fill"):
            fill(config, state, transport)
    finally:
        export(config, state)


@contextmanager
def _transport(config: ServiceConfig, token: str, state: State) -> Iterator[Transport]:
    """Give the transport of a run, and count in the end what was asked."""
    transport = Transport(config, token, lambda: state.spend_tile(config.tiles_per_day))
    try:
        yield transport
    finally:
        transport.close()
        state.count_requests({surface: n for surface, n in transport.requests.items() if surface != "tiles"})


def ended(work: Callable[[], object]) -> int:
    """Do work and return its exit code; SIGTERM ends it as Ctrl-C does."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    ours = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, interrupt) if ours else None
    try:
        work()
        return 0
    except Stop as stop:
        log.error(f"error: {scrub(str(stop))}")
        return stop.exit_code
    finally:
        if ours:
            signal.signal(signal.SIGTERM, before)


def read_token(config: GraphConfig) -> str:
    """Return the token of --token-file or of the environment.

    Raises:
        ValueError: there is none, or it is not a token.
    """
    if config.token_file is not None:
        token, source = config.token_file.read_text(encoding="utf-8").strip(), str(config.token_file)
    else:
        token, source = os.environ.get(TOKEN_VARIABLE, "").strip(), TOKEN_VARIABLE
    if not token:
        raise ValueError(
            f"there is no access token in {source}: get one at https://www.mapillary.com/dashboard/developers and set "
            f"{TOKEN_VARIABLE}, or name a file with --token-file"
        )
    if not token.isascii() or any(character.isspace() or not character.isprintable() for character in token):
        raise ValueError(f"{source} holds no access token: it is one word, such as MLY|123|abc")
    return token
