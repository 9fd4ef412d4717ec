"""What holds of the folders themselves: imports, names, and how lightly a command starts."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("geocells", "dataset", "label_maps", "fetch", "infer", "train", "viz", "plumbing", "bench", "tests", "tools")
HEAVY = ("torch", "torchvision", "pandas", "geopandas", "sklearn", "matplotlib", "requests", "gradio")
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
CONFIGS = sorted(path.parent.name for path in ROOT.glob("*/config.py") if path.parent.name in FOLDERS)


def python(code: str) -> str:
    """Return what a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_is_a_package_or_an_installed_one_of_its_name_would_win(folder):
    assert (ROOT / folder / "__init__.py").is_file()
    assert Path(importlib.import_module(folder).__file__).parent == ROOT / folder


@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES}), ids=lambda path: path.name)
def test_every_folder_of_modules_has_its_init(folder):
    assert (folder / "__init__.py").is_file()


def test_no_module_is_named_like_one_of_the_standard_library():
    assert [str(path) for path in MODULES if path.stem in sys.stdlib_module_names] == []


def test_every_module_says_what_it_is():
    ours = [path for path in MODULES if path.parent.name != "tests"]
    assert [str(path) for path in ours if not path.read_text(encoding="utf-8").startswith('"""')] == []


def test_no_file_is_longer_than_400_lines():
    ours = [path for path in MODULES if path.parent.name != "tests"]
    assert [str(path) for path in ours if len(path.read_text(encoding="utf-8").splitlines()) > 400] == []


def test_imports_point_down_only():
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("folder", CONFIGS)
def test_a_config_imports_nothing_heavy_so_that_help_is_instant(folder):
    loaded = python(f"import sys, {folder}.config; print(*(set(sys.modules) & set({HEAVY})))")
    assert loaded == ""


def test_the_parser_imports_nothing_heavy_so_that_help_is_instant():
    heavy = (*HEAVY, "numpy")
    assert python(f"import sys, plumbing.config; print(*(set(sys.modules) & set({heavy})))") == ""


@pytest.mark.parametrize("folder", [folder for folder in FOLDERS if folder not in ("tests", "bench", "tools")])
def test_importing_a_folder_prints_and_loads_nothing(folder):
    assert python(f"import sys, {folder}; print(*(set(sys.modules) & set({HEAVY})))") == ""


@pytest.mark.parametrize("folder", ["geocells", "plumbing"])
def test_geometry_and_plumbing_import_no_network_library_and_no_torch(folder):
    names = [
        f"{folder}.{path.stem}" for path in (ROOT / folder).glob("*.py") if path.stem not in ("__init__", "__main__")
    ]
    loaded = python(
        f"import sys, {', '.join(names)}; print(*(set(sys.modules) & {{'torch', 'torchvision', 'requests'}}))"
    )
    assert loaded == ""


def test_an_answer_without_maps_and_explanations_loads_nothing_that_draws_or_explains():
    drawing = {"captum", "matplotlib", "viz.maps.prediction", "viz.maps.explanation", "folium"}
    assert python(f"import sys, infer.predict; print(*(set(sys.modules) & {drawing}))") == ""


@pytest.mark.parametrize("folder", [path.parent.name for path in sorted(ROOT.glob("*/__main__.py"))])
def test_a_folder_that_is_a_command_says_how_it_is_used(folder):
    done = subprocess.run([sys.executable, "-m", folder, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"usage: python -m {folder}" in done.stdout
    assert done.stderr == ""
