"""The project runs on Windows and macOS too: what the tests can know of that on another system."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.windows import OURS

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for folder in OURS
    if folder not in ("bench", "tools")
    for path in (ROOT / folder).rglob("*.py")
    if path.stem != "__main__"
)
OPTIONAL = ("gradio", "fastapi", "timm", "transformers", "geoclip", "onnxruntime", "faiss", "av", "wandb")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="what a process has open is read from /proc")


def as_on_windows(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "tests.windows", *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )


def test_every_text_file_is_opened_with_its_encoding_which_windows_guesses_otherwise():
    ruff = [Path(sys.executable).parent / "ruff", "check", "--preview", "--select", "PLW1514", "--no-cache", *OURS]
    done = subprocess.run(ruff, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@LINUX
def test_all_modules_are_imported_where_windows_lacks_modules_and_names():
    code = f"""
import importlib
from tests.windows import disguise
disguise()
for name in {MODULES}:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        assert error.name and error.name.split(".")[0] in {OPTIONAL}, error
import fetch.mapillary.state, infer.serve.server
for module in (fetch.mapillary.state, infer.serve.server):
    assert not hasattr(getattr(module, "os", None), "fork")
import dataset.images
assert not hasattr(dataset.images.os, "pread")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@LINUX
def test_the_disguise_refuses_what_windows_refuses(tmp_path):
    code = f"""
import os
from pathlib import Path
from tests.windows import disguise
path = Path({str(tmp_path)!r}, "a")
path.write_bytes(b"a")
disguise()
names = {{"__name__": "dataset.example", "__spec__": None}}
exec("import os", names)
for gone in ("from os import pread", "import fcntl"):
    try:
        exec(gone, names)
    except ImportError as error:
        print(error)
with path.open("rb") as read:
    for refused in (path.unlink, lambda: os.replace(path, path.with_name("b")), lambda: names["os"].fsync(read.fileno())):
        try:
            refused()
        except OSError as error:
            print(type(error).__name__)
path.unlink()
print(path.exists())
path.write_text("a\\n")
from plumbing.files import write_text
write_text(path.with_name("b"), "a\\n")
print(path.read_bytes(), path.with_name("b").read_bytes())
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert "pread" in lines[0], done.stderr
    assert lines[1:] == [
        "No module named 'fcntl', as on Windows",
        "PermissionError",
        "PermissionError",
        "OSError",
        "False",
        r"b'a\r\n' b'a\n'",
    ]


@LINUX
@pytest.mark.slow
def test_the_whole_pipeline_runs_as_on_windows(tmp_path):
    data, run = tmp_path / "data", tmp_path / "run"
    trunk = ["--arch", "resnet18", "--weights", "none", "--image-size", "32"]
    for words in (
        ("fetch", "demo", "--out", data, "--images", 60, "--size", 32),
        ("fetch", "thin", "--data", data),
        ("label_maps", "build", "--data", data, "--run", run),
        ("train", "joint", "--data", data, "--run", run, *trunk, "--epochs", 1, "--workers", 1),
        ("train", "calibrate", "--data", data, "--run", run),
        ("infer", "evaluate", "--data", data, "--run", run, "--split", "test"),
        (
            "infer",
            "predict",
            data,
            "--split",
            "test",
            "--run",
            run,
            "--out",
            tmp_path / "answers",
            "--limit",
            2,
            "--workers",
            0,
        ),
        ("viz", "report", "--run", run, "--data", data, "--out", tmp_path / "report.html"),
        ("fetch", "pack", "--data", data),
        (
            "infer",
            "predict",
            data,
            "--split",
            "all",
            "--run",
            run,
            "--out",
            tmp_path / "bulk",
            "--bulk",
            "--workers",
            0,
        ),
        (
            "label_maps",
            "folders",
            "--data",
            data,
            "--run",
            run,
            "--level",
            "L1",
            "--out",
            tmp_path / "folders",
            "--copy",
        ),
    ):
        done = as_on_windows(*words)
        assert done.returncode == 0, (words, done.stderr.decode(errors="replace"))
    assert b"\r" not in (run / "run.json").read_bytes()
    assert list(tmp_path.rglob("*.partial")) == []
