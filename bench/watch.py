"""Runs the project's own commands and watches their memory and open files while they work."""

import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

EVERY_S = 0.1


@dataclass
class Watched:
    """What a command took.

    Attributes:
        seconds: from its start to its end.
        core_s: seconds of cores, of it and the processes that it started.
        mb: resident megabytes at each look.
        files: open files and sockets at each look.
    """

    seconds: float = 0.0
    core_s: float = 0.0
    mb: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    def growth(self) -> tuple[float, int]:
        """Return by how much the largest of the last quarter is above that of the second quarter, when all is loaded."""
        quarter = max(1, len(self.mb) // 4)
        early, late = slice(quarter, 2 * quarter), slice(-quarter, None)
        return max(self.mb[late]) - max(self.mb[early]), max(self.files[late]) - max(self.files[early])


def watch(module: str, *flags: str, work: Path | None = None) -> Watched:
    """Run `python -m MODULE FLAGS` to its end.

    Args:
        module: such as `fetch demo`.
        flags: of the command.
        work: folder that it runs in.

    Raises:
        SystemExit: it failed; the message holds the end of what it printed.
    """
    found, began = Watched(), time.monotonic()
    root = str(Path(__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, "-m", *module.split(), *flags],
        cwd=work or root,
        env={**os.environ, "PYTHONPATH": root},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.append((process.stdout or sys.stdin).read()))
    reader.start()
    while True:
        ended, status, used = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        _look(process.pid, found)
        time.sleep(EVERY_S)
    found.seconds, found.core_s = time.monotonic() - began, used.ru_utime + used.ru_stime
    process.returncode = os.waitstatus_to_exitcode(status)
    reader.join()
    if process.stdout is not None:
        process.stdout.close()
    if process.returncode:
        raise SystemExit(f"python -m {module} {' '.join(flags)} ended with {process.returncode}:\n{said[0][-3000:]}")
    print(f"{found.seconds:7.1f} s  {module} {' '.join(flags)}", flush=True)
    return found


def _look(pid: int, found: Watched) -> None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
        resident = next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), None)
        files = len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return
    if resident is not None:
        found.mb.append(resident / 1024)
        found.files.append(files)
