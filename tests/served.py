"""The app as a process of its own on a free port of this machine, for tests that ask it as its visitors do."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Served:
    """An app that runs.

    Attributes:
        port: at which it listens on this machine.
        said: its first line.
        uploads: the folder below which it keeps what is handed in.
        process: which serves.
    """

    port: int
    said: str
    uploads: Path
    process: subprocess.Popen[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, path: str, body: bytes | None = None, method: str | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of a request; headers are named with underscores."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method or ("GET" if body is None else "POST"), path, body, named)
        answer = connection.getresponse()
        found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        connection.close()
        return found

    def json(self, path: str, content: Any = None, **headers: str) -> tuple[int, Any]:
        """Return status and answer of JSON that is sent."""
        sent = content if isinstance(content, bytes | None) else json.dumps(content).encode()
        kind = {} if isinstance(content, bytes | None) else {"Content_Type": "application/json"}
        status, _, body = self.ask(path, sent, **kind, **headers)
        return status, json.loads(body)


@contextmanager
def served(run: Path, uploads: Path, *flags: str) -> Iterator[Served]:
    """Serve a run until the block ends; skip where gradio is not installed."""
    if importlib.util.find_spec("gradio") is None:
        pytest.skip("gradio, which is optional, is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = [sys.executable, "-m", "infer", "serve", "--run", str(run), "--port", str(port), "--device", "cpu", *flags]
    environment = {**os.environ, "GRADIO_TEMP_DIR": str(uploads), "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Served(port, process.stdout.readline(), uploads, process)
        finally:
            process.terminate()


def comparable(record: dict[str, Any]) -> dict[str, Any]:
    """Return an answer without when and by which commit it was given, and without names and folders of its photographs."""
    provenance = {**record["provenance"], "answered_at_utc": None, "git_commit": None}
    photographs = [{**photo, "input": None, "path": None} for photo in record["photographs"]]
    return {**record, "provenance": provenance, "photographs": photographs, "input": None, "path": None}


def wait_until(true: Any, seconds: float = 90) -> bool:
    """Say whether something becomes true in time."""
    until = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < until:
        time.sleep(0.05)
    return bool(found)
