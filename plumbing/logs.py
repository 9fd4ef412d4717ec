"""Where log lines go: to the terminal, and with `--log-file PATH`, which every command takes, into a file that is rotated."""

import io
import logging
import sys
import time
from collections.abc import Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path

from plumbing.text import printable
from plumbing.world import World

FLAG = "--log-file"
ABOUT = (
    "Write log lines into this file too, with their time in UTC. At 10 MB it becomes PATH.1; five older ones are kept."
)
MOST_BYTES, KEPT = 10_000_000, 5


def to_terminal() -> None:
    """Send log lines to the terminal."""
    for stream in (sys.stdout, sys.stderr):
        # Names of files may hold what the terminal's encoding has not.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Printable("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


class _Printable(logging.Formatter):
    """Shows control characters in names instead of letting the terminal obey them."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a line."""
        return printable(super().format(record))


def without_log_file(words: Sequence[str]) -> tuple[list[str], Path | None]:
    """Return the words of a command line without `--log-file PATH`, and the path; None where it is not given.

    Raises:
        ValueError: the flag lacks its value.
    """
    left, path = list(words), None
    for place in reversed([k for k, word in enumerate(left) if word.replace("_", "-").split("=")[0] == FLAG]):
        _, given, value = left.pop(place).partition("=")
        if not given and place < len(left) and not left[place].startswith("--"):
            value = left.pop(place)
        if not value:
            raise ValueError(f"{FLAG} lacks its value: write {FLAG} PATH")
        path = path or Path(value)
    return left, path


def to_file(path: Path, begun: str) -> logging.Handler:
    """Send log lines into a file too, and begin with what was begun; the handler is for `end`.

    Raises:
        ValueError: the file cannot be written.
    """
    rank = World.from_env().rank
    path = path.with_name(f"{path.name}.rank{rank}") if rank else path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(
            path, maxBytes=MOST_BYTES, backupCount=KEPT, encoding="utf-8", errors="backslashreplace"
        )
    except OSError as error:
        raise ValueError(f"{FLAG} {path} cannot be written ({error.strerror}): name another file") from None
    formatter = _Printable("%(asctime)sZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.getLogger().addHandler(handler)
    _tell(handler, logging.INFO, f"begun: {begun}")
    return handler


def end(handler: logging.Handler | None, said: str, level: int = logging.INFO) -> None:
    """Write how a command ended, and close the file."""
    if handler is not None:
        _tell(handler, level, said)
        logging.getLogger().removeHandler(handler)
        handler.close()


def _tell(handler: logging.Handler, level: int, said: str) -> None:
    """Write a line into the file alone: the terminal knows what was typed, and is told of errors by themselves."""
    handler.handle(logging.LogRecord("command", level, __file__, 0, said, None, None))
