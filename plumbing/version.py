"""What made a file: the version of this software and the commit it ran from."""

import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

VERSION = "0.2.0"


@cache
def git_commit() -> str | None:
    """Return the commit of the checkout this runs from, with `+` behind it where files differ; None outside git."""
    here = Path(__file__).parent
    try:
        commit = _git(here, "rev-parse", "HEAD")
        return commit + ("+" if _git(here, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()


def now_utc() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
