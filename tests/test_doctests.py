"""The examples in docstrings run; those of the API on a small calibrated run."""

import doctest
import importlib
from pathlib import Path

import pytest

import infer

ROOT = Path(__file__).parent.parent
FOLDERS = ("geocells", "dataset", "label_maps", "fetch", "infer", "train", "viz", "plumbing")
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_a_module_run(module, calibrated, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        imported = importlib.import_module(module)
    except ModuleNotFoundError as missing:
        if str(missing.name).partition(".")[0] in FOLDERS:
            raise
        pytest.skip(f"{missing.name}, which is optional, is not installed")
    given = {"model": infer.load(calibrated, "cpu"), "photo": next(tiny.rglob("paris-9.jpg"))}
    found = doctest.testmod(imported, extraglobs=given)
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize(
    "name", [name for name in infer.__all__ if name in ("Predictor", "Predictions", "Prediction", "load")]
)
def test_what_is_public_and_called_has_an_example_that_is_not_skipped(name):
    docs = getattr(infer, name).__doc__
    assert ">>> " in docs
    assert "+SKIP" not in docs
