"""What is checked before anything heavy is loaded: optional packages, the run folder, and a port that can be had."""

import importlib.util
import socket

from infer.serve.config import AppConfig
from label_maps.run_folder import read_run


def check_installed(config: AppConfig) -> None:
    """Refuse what an optional package is missing for.

    Raises:
        ValueError: gradio is not installed, or, with --mcp, mcp is not.
    """
    if not _has("gradio"):
        raise ValueError("python -m infer serve needs gradio, which is optional: pip install gradio")
    if config.mcp and not _has("mcp"):
        raise ValueError(
            '--mcp needs the package mcp, which is optional: pip install "gradio[mcp]", or leave out --mcp'
        )


def _has(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:
        # Python sets what must not be imported to None.
        return False


def check_run(config: AppConfig) -> None:
    """Refuse a folder that is not a run.

    Raises:
        ValueError: it is not; the message names it.
    """
    read_run(config.run)


def listening(config: AppConfig) -> socket.socket:
    """Return a socket that listens.

    Raises:
        ValueError: another program listens there, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        return socket.create_server((config.host, config.port), family=family)
    except OSError as error:
        raise ValueError(
            f"cannot listen at {config.host}:{config.port} ({error.strerror}): choose another --port or --host"
        ) from None
