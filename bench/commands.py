"""Runs the project's own commands, as a user would, and says what they took."""

import os
import subprocess
import sys
import time


def run_command(module: str, *flags: str, threads: int | None = None) -> float:
    """Run `python -m MODULE FLAGS` to its end and return the seconds of one core that it took.

    Args:
        module: such as `train joint`, or `fetch demo` with its subcommand.
        flags: of the command.
        threads: that it may compute with; all cores when None.

    Raises:
        SystemExit: it failed; the message holds the end of what it printed.
    """
    own = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    started_at = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", *module.split(), *flags],
        env={**os.environ, **own},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"python -m {module} {' '.join(flags)} ended with {process.returncode}:\n{output[-3000:]}")
    print(f"{time.monotonic() - started_at:7.1f} s  {module} {' '.join(flags)}", flush=True)
    return used.ru_utime + used.ru_stime
