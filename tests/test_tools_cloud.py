"""The runner for a cloud machine: from a clone to a calibrated run, and again without doing anything twice."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dataset.manifest import read_manifest
from fetch.balance import run as balance
from fetch.config import BalanceConfig
from infer.model import load_model
from plumbing.files import sha256

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "tools" / "cloud.sh"
SHELLS = [shell for shell in ("sh", "dash", "bash") if shutil.which(shell)]

RECORDER = """#!/bin/sh
# Stands for python3, and for the python of the environment that it makes: notes what it is asked to do.
echo "$*" >> "{log}"
case "$*" in
"-m venv "*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
"-m pip --version") [ -f .venv/has_pip ] ;;
"-m pip install "*) [ ! -f "{fail}" ] && : > .venv/has_pip ;;
"-m label_maps build "*) mkdir -p "{run}" && : > "{run}/run.json" ;;
esac
"""


def cloud(*arguments, shell="sh", **env):
    return subprocess.run(
        [shell, str(SCRIPT), *map(str, arguments)],
        text=True,
        capture_output=True,
        check=False,
        env={**os.environ, **env},
    )


@pytest.fixture
def repository(tmp_path):
    """A small repository with requirements and nothing else."""
    folder = tmp_path / "upstream"
    folder.mkdir()
    (folder / "requirements.txt").write_text("one\n")
    git = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *words], check=True)
    return folder


@pytest.fixture
def recorded(tmp_path, repository):
    """Flags of the script, the environment in which python3 only takes notes, and a function that returns the notes."""
    log, programs = tmp_path / "log", tmp_path / "bin"
    programs.mkdir()
    run = tmp_path / "clone" / "runs" / "cloud"
    (programs / "python3").write_text(RECORDER.format(log=log, fail=tmp_path / "fail", run=run))
    (programs / "python3").chmod(0o755)
    flags = [
        "--repo",
        repository,
        "--list",
        "list.txt",
        "--from",
        "memory://x",
        "--dir",
        tmp_path / "clone",
        "--processes",
        "1",
    ]

    def notes():
        said = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return [line.removeprefix("-m ") for line in said]

    return flags, {"PATH": f"{programs}:{os.environ['PATH']}"}, notes


@pytest.mark.parametrize("shell", SHELLS)
def test_each_step_is_done_once_and_in_order(tmp_path, recorded, shell):
    flags, env, notes = recorded
    data, run = tmp_path / "clone/data/cloud", tmp_path / "clone/runs/cloud"
    training = ["--", "level", "train/recipes/director.yaml", "--epochs", "2"]
    first = cloud(*flags, *training, shell=shell, **env)
    assert first.returncode == 0, first.stderr
    later = [
        f"fetch pull list.txt --from memory://x --out {data}",
        f"train level train/recipes/director.yaml --epochs 2 --data {data} --run {run} --resume",
        f"train calibrate --data {data} --run {run}",
        f"infer evaluate --data {data} --run {run}",
    ]
    assert (
        notes()
        == [
            "pip --version",
            "venv .venv",
            "pip install --quiet --disable-pip-version-check -r requirements.txt",
            later[0],
            f"label_maps build --data {data} --run {run} --partition quad",
            *later[1:],
        ][1:]
    )
    assert cloud(*flags, *training, shell=shell, **env).returncode == 0
    assert notes() == later


def test_an_installation_that_failed_is_tried_again_and_nothing_follows_it(tmp_path, recorded):
    flags, env, notes = recorded
    (tmp_path / "fail").touch()
    assert cloud(*flags, **env).returncode != 0
    assert notes()[-1].startswith("pip install")
    (tmp_path / "fail").unlink()
    assert cloud(*flags, **env).returncode == 0
    said = notes()
    assert any(line.startswith("pip install") for line in said)
    assert any(line.startswith("train joint train/recipes/joint.yaml --data") for line in said)


def test_changed_requirements_are_installed(tmp_path, recorded):
    flags, env, notes = recorded
    cloud(*flags, **env)
    notes()
    (tmp_path / "clone" / "requirements.txt").write_text("two\n")
    cloud(*flags, **env)
    assert any(line.startswith("pip install") for line in notes())


def test_several_processes_are_started_by_torchrun(recorded):
    flags, env, notes = recorded
    ended = cloud(*flags[:-1], "3", "--no-calibrate", **env)
    assert ended.returncode == 0, ended.stderr
    assert notes()[-1].startswith("torch.distributed.run --standalone --nproc-per-node 3 -m -- train joint ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--repo ADDRESS is missing"),
        (["--repo", "x"], "--list FILE is missing"),
        (["--repo"], "--repo lacks its value"),
        (["--repo", "x", "--list", "l", "--from", "f", "--processes", "two"], "--processes must be 1 or more, got two"),
        (["joint"], "joint is not a flag"),
        (["--repo", "x", "--list", "l", "--from", "f", "--python", "/nowhere/python"], "is not a program"),
    ],
)
def test_bad_flags_are_one_line_and_exit_code_2(arguments, said, tmp_path):
    ended = cloud(*arguments)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: ")
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_folder_that_is_no_clone_is_left_alone(tmp_path, recorded):
    flags, env, _ = recorded
    (tmp_path / "clone").mkdir()
    ended = cloud(*flags, **env)
    assert ended.returncode == 2
    assert "exists and is not a clone" in ended.stderr
    assert list((tmp_path / "clone").iterdir()) == []


def test_the_script_is_clean_by_shellcheck():
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    ended = subprocess.run(["shellcheck", str(SCRIPT)], text=True, capture_output=True, check=False)
    assert ended.stdout == ""


@pytest.mark.slow
def test_a_clone_pulls_trains_and_calibrates_and_a_second_start_trains_nothing(tiny, tmp_path):
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a checkout: there is nothing to clone")
    balance(BalanceConfig(data=tiny, target="country", out=tmp_path / "list.txt"))
    arguments = [
        *("--repo", ROOT, "--list", tmp_path / "list.txt", "--from", tiny, "--dir", tmp_path / "clone"),
        *("--python", sys.executable, "--processes", "1", "--", "joint", "train/recipes/demo.yaml"),
        *("--arch", "shufflenet_v2_x0_5", "--image-size", "32", "--epochs", "1", "--batch-size", "9"),
        *("--readout-epochs", "0", "--device", "cpu"),
    ]
    first = cloud(*arguments, CUDA_VISIBLE_DEVICES="", OMP_NUM_THREADS="1")
    assert first.returncode == 0, first.stderr
    run = tmp_path / "clone" / "runs" / "cloud"
    model = load_model(run, "cpu")
    assert model.calibrated
    assert len(read_manifest(tmp_path / "clone" / "data" / "cloud")) == len(read_manifest(tiny))
    assert (run / "evaluation_test.json").is_file()
    weights = sha256(run / "joint.safetensors")
    second = cloud(*arguments, CUDA_VISIBLE_DEVICES="", OMP_NUM_THREADS="1")
    assert second.returncode == 0, second.stderr
    assert "is cloned already" in second.stdout
    assert "has its label maps already" in second.stdout
    assert sha256(run / "joint.safetensors") == weights
