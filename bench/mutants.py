"""How many small mistakes the tests notice: mutants by the operators of Cosmic Ray, each against the tests of its own module.

`python -m bench.mutants --seed 1` draws 25 mutants of each area, applies each to a copy of the checkout and prints those that no
test noticed, to be judged by hand: either nothing can tell them from the code (equivalent), or an assertion is missing.
It needs `pip install cosmic-ray` and Linux or macOS, takes about an hour and is no part of `make check`.
"""

import argparse
import ast
import contextlib
import difflib
import importlib
import itertools
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from plumbing.files import write_json

ROOT = Path(__file__).parent.parent
AREAS = {
    "geometry": ("geocells/*.py", "geocells/partitions/*.py"),
    "decoding": ("infer/decode/*.py",),
    "evaluation": ("infer/evaluate/*.py",),
    "losses": ("train/losses.py",),
    "splits": ("fetch/splits.py", "fetch/thin.py", "dataset/groups.py"),
    "readers": (
        *(
            f"dataset/{name}.py"
            for name in ("degrees", "pairs", "places", "side_cars", "file_names", "metadata_location", "exif")
        ),
        *("dataset/tables/*.py", "label_maps/files.py", "plumbing/inside.py", "plumbing/parquet.py"),
    ),
}
FAMILIES = {
    "ReplaceBinaryOperator": {"operator"},
    "ReplaceComparisonOperator": {"comparison"},
    "ReplaceUnaryOperator": {"factor", "not_test"},
}
"""Kinds of nodes that the many operators of a family look at; the few others look at every node."""
SKIPPED = (
    "__init__",
    "__main__",
    "config",
    "levels",
    "registry",
    "country_codes",
    "flags",
    "make_outlines",
    "make_table",
)
"""Modules that compute nothing, or that run once, by hand, to make the shipped tables."""
LIBRARIES = (
    "torch",
    "torchvision",
    "pandas",
    "scipy.stats",
    "sklearn.cluster",
    "shapely",
    "geopandas",
    "pyogrio",
    "pyarrow.parquet",
)
TEST_LIBRARIES = (
    "pytest",
    "hypothesis",
    "hypothesis.extra.numpy",
    "tyro",
    "PIL.Image",
    "optuna",
    "folium",
    "matplotlib.pyplot",
)
"""Imported once, before processes are forked: each mutant then costs its own tests only."""
MEMORY_BYTES = 24 << 30
LEAST_S = 20.0
IDLE = 20
"""A mutant that waits and computes nothing ends after its limit of processor time so many times over."""
NOT_MADE = "not made"
REWRITTEN = "-Wignore:Module already imported so cannot be rewritten:pytest.PytestAssertRewriteWarning"


@dataclass(frozen=True)
class Mutant:
    """One change of one place of a module."""

    area: str
    module: str
    line: int
    operator: str
    occurrence: int


@dataclass(frozen=True)
class Outcome:
    """What the tests said of a mutant: killed, survived, timeout (which counts as killed), or not made."""

    mutant: Mutant
    what: str
    seconds: float
    diff: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mutants", type=int, default=25, help="mutants of each area")
    parser.add_argument("--areas", nargs="+", choices=AREAS, default=list(AREAS))
    parser.add_argument(
        "--out", type=Path, default=Path("out/mutants.json"), help="outcomes; those in it are not run again"
    )
    flags = parser.parse_args()
    areas = [draw(area, flags.mutants, flags.seed) for area in flags.areas]
    # In turn, so that a run cut short has as many of each.
    drawn = [mutant for turn in itertools.zip_longest(*areas) for mutant in turn if mutant is not None]
    outcomes = read_outcomes(flags.out)
    missing = [mutant for mutant in drawn if mutant not in {outcome.mutant for outcome in outcomes}]
    preload()
    with scratch_copy() as tree:
        limits: dict[tuple[str, ...], float] = {}
        for mutant in tqdm(missing, unit="mutant", disable=None):
            outcomes.append(judge(tree, mutant, limits))
            flags.out.parent.mkdir(parents=True, exist_ok=True)
            write_json(flags.out, [asdict(outcome) for outcome in outcomes])
    show([outcome for outcome in outcomes if outcome.mutant in drawn])


def draw(area: str, count: int, seed: int) -> list[Mutant]:
    """Return mutants of an area: places drawn evenly among all that an operator can change, then one change of each."""
    places: dict[tuple[str, tuple[int, int]], list[Mutant]] = {}
    for module in modules(area):
        for mutant, position in mutants_of(area, module):
            places.setdefault((module, position), []).append(mutant)
    chance = random.Random(f"{seed}/{area}")
    order = sorted(places)
    chance.shuffle(order)  # so that more mutants of a seed are those of fewer, and others
    return [chance.choice(places[place]) for place in order[:count]]


def modules(area: str) -> list[str]:
    """Return the modules of an area, by their paths in the checkout."""
    paths = [path for pattern in AREAS[area] for path in sorted(ROOT.glob(pattern)) if path.stem not in SKIPPED]
    return [path.relative_to(ROOT).as_posix() for path in paths]


def mutants_of(area: str, module: str) -> Iterator[tuple[Mutant, tuple[int, int]]]:
    """Yield each mutant of a module with the line and column that it changes; annotations are left alone."""
    import parso  # before cosmic_ray, whose own first import of it is circular
    from cosmic_ray.plugins import get_operator, operator_names

    source = (ROOT / module).read_text()
    annotations = annotation_spans(source)
    nodes = list(walk(parso.parse(source)))
    for name in filter(sensible, operator_names()):
        family = name.removeprefix("core/").partition("_")[0]
        operator = get_operator(name)()
        ours = [node for node in nodes if node.type in FAMILIES[family]] if family in FAMILIES else nodes
        positions = [start for node in ours for start, _ in operator.mutation_positions(node)]
        for occurrence, position in enumerate(positions):
            if not any(start <= position < stop for start, stop in annotations):
                yield Mutant(area, module, position[0], name, occurrence), position


def walk(node: Any) -> Iterator[Any]:
    """Yield a node and all below it, in the order in which Cosmic Ray counts occurrences."""
    yield node
    for child in getattr(node, "children", ()):
        yield from walk(child)


def sensible(name: str) -> bool:
    """Return whether an operator makes mistakes that people make."""
    if name.endswith(("VariableReplacer", "VariableInserter")):
        return False  # they need the names of variables, and replace by chance
    # `==` for `is` on None and on flags changes nothing, and `is` for `<` is no slip.
    return "Comparison" not in name or "Is" not in name or name.endswith(("_Is_IsNot", "_IsNot_Is"))


def annotation_spans(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return where annotations begin and end: nothing that runs depends on `int | None`."""
    nodes = list(ast.walk(ast.parse(source)))
    found = [node.returns for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    found += [node.annotation for node in nodes if isinstance(node, (ast.arg, ast.AnnAssign))]
    return [
        ((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)) for node in found if node is not None
    ]


def own_tests(module: str) -> tuple[str, ...]:
    """Return the tests of a module: named for it; else of its folder and importing it; else importing it; else of its folder."""
    folder, _, name = module.removesuffix(".py").rpartition("/")
    dotted = re.escape(folder.replace("/", "."))
    imported = re.compile(
        rf"\bfrom {dotted}\.{name} import|\bimport {dotted}\.{name}\b|\bfrom {dotted} import [^\n]*\b{name}\b"
    )
    every = sorted((ROOT / "tests").glob("test_*.py"))
    prefix = "test_" + folder.replace("/", "_").removesuffix("s")
    named = [path for path in every if re.match(rf"{prefix}s?_{name}(_|\.)", path.name)]
    importing = [path for path in every if imported.search(path.read_text())]
    of_folder = [path for path in every if path.name.startswith(prefix)]
    near = [path for path in importing if path in of_folder]
    return tuple(f"tests/{path.name}" for path in named or near or importing or of_folder)


def preload() -> None:
    """Import what tests import anyway, but nothing of the checkout."""
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in (*LIBRARIES, *TEST_LIBRARIES):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


@contextlib.contextmanager
def scratch_copy() -> Iterator[Path]:
    """Give a copy of the files that git knows, to be changed freely."""
    with tempfile.TemporaryDirectory(prefix="mutants_") as folder:
        tree = Path(folder) / "tree"
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, tree / name)
        yield tree


def judge(tree: Path, mutant: Mutant, limits: dict[tuple[str, ...], float]) -> Outcome:
    """Run the tests of a mutant's module on it, within thrice the processor time that they take on the code as it is."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    tests = own_tests(mutant.module)
    if tests not in limits:
        passed, seconds = run_tests(tree, tests, limit_s=600, keep_bytecode=True)
        if not passed:
            said = (tree.parent / "output.txt").read_text()[-3000:]
            raise SystemExit(f"{said}\n{' '.join(tests)} fail without any mutant: mend them first")
        limits[tests] = LEAST_S + 3 * seconds
    path = tree / mutant.module
    source = (ROOT / mutant.module).read_text()
    try:
        changed = mutate_code(source, get_operator(mutant.operator)(), mutant.occurrence)
    except AttributeError:
        # Cosmic Ray replaces an exception that is a plain name, and trips over `module.Error`.
        return Outcome(mutant, NOT_MADE, 0.0, "")
    assert changed is not None
    path.write_text(changed)
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
        compiled.unlink()
    passed, seconds = run_tests(tree, tests, limits[tests])
    path.write_text(source)
    lines = difflib.unified_diff(source.splitlines(), changed.splitlines(), lineterm="", n=0)
    diff = "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))
    return Outcome(mutant, {True: "survived", False: "killed", None: "timeout"}[passed], round(seconds, 1), diff)


def run_tests(
    tree: Path, tests: Sequence[str], limit_s: float, keep_bytecode: bool = False
) -> tuple[bool | None, float]:
    """Return whether tests pass in a forked process, None where it reaches its limit of processor time, and how much it took."""
    shutil.rmtree(tree / ".hypothesis", ignore_errors=True)
    ends_at = time.monotonic() + IDLE * limit_s
    child = os.fork()
    if child == 0:
        _be_pytest(tree, tests, limit_s, keep_bytecode)
    while True:
        ended, status, usage = os.wait4(child, os.WNOHANG)
        if ended:
            stopped = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)
            return None if stopped else status == 0, usage.ru_utime + usage.ru_stime
        if time.monotonic() > ends_at:
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.05)


def _be_pytest(tree: Path, tests: Sequence[str], limit_s: float, keep_bytecode: bool) -> None:
    os.setsid()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (int(limit_s), int(limit_s) + 5))
    os.chdir(tree)
    silent = os.open(tree.parent / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    ours = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    for name in [name for name in sys.modules if name.partition(".")[0] in ours]:
        del sys.modules[name]
    sys.path[:] = [str(tree), *(entry for entry in sys.path if Path(entry or ".").resolve() not in (ROOT, tree.parent))]
    sys.dont_write_bytecode = not keep_bytecode
    status = 1
    try:
        import pytest

        own = ["-x", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", "-m", "not slow and not browser", REWRITTEN]
        status = int(pytest.main([*own, f"--basetemp={tree.parent / 'temporary'}", *tests]))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(min(status, 1))


def read_outcomes(path: Path) -> list[Outcome]:
    """Return the outcomes of an earlier call."""
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    return [Outcome(**{**outcome, "mutant": Mutant(**outcome["mutant"])}) for outcome in found]


def show(outcomes: Sequence[Outcome]) -> None:
    """Print the mutants that no test noticed, then how many each area has."""
    for outcome in outcomes:
        if outcome.what == "survived":
            print(f"{outcome.mutant.module}:{outcome.mutant.line} ({outcome.mutant.operator})\n{outcome.diff}\n")
    print(f"{'area':<12}{'mutants':>8}{'killed':>8}{'survived':>10}")
    for area in dict.fromkeys(outcome.mutant.area for outcome in outcomes):
        ours = [outcome for outcome in outcomes if outcome.mutant.area == area and outcome.what != NOT_MADE]
        survived = sum(outcome.what == "survived" for outcome in ours)
        print(f"{area:<12}{len(ours):>8}{len(ours) - survived:>8}{survived:>10}")


if __name__ == "__main__":
    main()
