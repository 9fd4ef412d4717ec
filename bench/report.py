"""How a published figure is kept: a table to read, and a JSON file that says on which machine it was measured."""

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from plumbing.files import write_json

RESULTS = Path(__file__).parent / "results"
OF_GROUPS = "95 %, cluster bootstrap of leakage groups"
"""What the intervals of a result are."""


def write_results(name: str, rows: Sequence[Mapping[str, Any]], intervals: str | None = None) -> None:
    """Print rows as an aligned table and write them to bench/results/NAME.json, with what their intervals are."""
    columns = list(rows[0])
    lines = [columns, *([_text(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(columns))]
    for line in lines:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))
    about = {} if intervals is None else {"intervals": intervals}
    result = {"rows": [dict(row) for row in rows], **about, "machine": machine(), "command": command()}
    write_json(RESULTS / f"{name}.json", result)


def machine() -> dict[str, Any]:
    """Return what a figure depends on beside the code."""
    return {"cpu": _cpu(), "cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()}


def command() -> str:
    """Return the command that runs this benchmark again."""
    module = Path(sys.argv[0]).stem
    return " ".join(["python -m", f"bench.{module}", *sys.argv[1:]])


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    names = (
        [line for line in info.read_text(encoding="utf-8").splitlines() if "model name" in line]
        if info.is_file()
        else []
    )
    return names[0].split(":", 1)[1].strip() if names else platform.processor() or platform.machine()


def _text(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
