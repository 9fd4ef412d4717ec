"""Tests with the lowest versions that requirements.txt allows: `python -m tools.lowest`.

Run it before each release and when a bound changes. It makes an environment of its own with uv (`pip install uv`), some 8 GB
with the CUDA build of torch, and runs the quick tests there. What stands behind `--` goes to pytest in their place:

    python -m tools.lowest -- tests/test_geocells_grid.py
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
QUICK = ("-q", "-m", "not slow and not browser")


def main() -> None:
    """Install and test, and end as the tests ended."""
    parser = argparse.ArgumentParser(prog="python -m tools.lowest")
    parser.add_argument("--env", type=Path, default=ROOT / ".venv-lowest", help="folder of the environment")
    parser.add_argument("--python", default=sys.executable, help="interpreter, or its version")
    parser.add_argument("tests", nargs="*", help="what pytest is given, behind --; the quick tests when left out")
    given = parser.parse_args()
    if shutil.which("uv") is None:
        sys.exit("error: uv is not installed: pip install uv")
    install(given.env.absolute(), given.python)
    tests = [python_of(given.env.absolute()), "-m", "pytest", "-p", "no:cacheprovider", *(given.tests or QUICK)]
    sys.exit(subprocess.run(tests, cwd=ROOT, check=False).returncode)


def install(environment: Path, python: str) -> None:
    """Make an environment, unless it is there, and bring its packages to the lowest versions of all direct requirements."""
    if not Path(python_of(environment)).is_file():
        subprocess.run(["uv", "venv", "--python", python, str(environment)], check=True)
    subprocess.run(
        ["uv", "pip", "install", "--resolution", "lowest-direct", "-r", str(ROOT / "requirements.txt")],
        env={**os.environ, "VIRTUAL_ENV": str(environment)},
        check=True,
    )


def python_of(environment: Path) -> str:
    """Return the interpreter of an environment."""
    return str(environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


if __name__ == "__main__":
    main()
