"""The commands of infer, label_maps and train as people type them."""

import errno
import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infer.config import EvaluateConfig, InferConfig
from label_maps.config import LabelMapsConfig
from plumbing.config import command, parse
from train.config import CalibrateConfig, JointConfig, LevelConfig

ROOT = Path(__file__).parent.parent

HELP = """
import runpy, sys
module, *verbs = sys.argv[1].split()
sys.argv = [module, *verbs, "--help"]
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
except SystemExit as leaving:
    assert not leaving.code, leaving.code
loaded = {"torch", "torchvision", "pandas", "scipy", "matplotlib", "folium"} & set(sys.modules)
print("loaded:", sorted(loaded))
"""


@pytest.mark.parametrize(
    "module",
    [
        "infer predict",
        "infer evaluate",
        "infer serve",
        "label_maps build",
        "train level",
        "train joint",
        "train refine",
        "train calibrate",
    ],
)
def test_help_needs_no_torch_and_names_the_command(module):
    done = subprocess.run([sys.executable, "-c", HELP, module], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: []"
    assert f"python -m {module}" in done.stdout
    assert "--run" in done.stdout


def outcome(capsys, config, prog, action, argv):
    """Run a command in this process and return its exit code and what it said."""
    with pytest.raises(SystemExit) as leaving:
        command(config, prog, action, [str(word) for word in argv])
    return leaving.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        ([], "no photographs given"),
        (["nowhere.jpg"], "there is no file or folder nowhere.jpg"),
        (["https://example.org/a.jpg"], "it is an address: download what is there, and name the file"),
        (["text.jpg", "--bulk", "--out", "text.jpg"], "--out text.jpg is a file: name a folder for the answers"),
        (["text.jpg"], "text.jpg: not a picture that can be read"),
        (["text.jpg", "--device", "cuda:88"], "--device cuda:88 cannot be used here"),
        (["text.jpg", "--mass", "2"], "--mass is a share above 0"),
        (["text.jpg", "--run", "nowhere"], "nowhere is not a run folder"),
    ],
)
def test_infer_refuses_with_one_line_and_exit_code_2(tiny_run, tmp_path, monkeypatch, capsys, argv, complaint):
    monkeypatch.chdir(tmp_path)
    Path("text.jpg").write_text("a letter", encoding="utf-8")
    run = [] if "--run" in argv else ["--run", tiny_run]
    code, said = outcome(capsys, InferConfig, "python -m infer", "infer.predict:main", [*argv, *run])
    assert code == 2
    assert said.strip().splitlines()[-1].startswith("error: ")
    assert complaint in said
    assert len([line for line in said.splitlines() if line.startswith("error")]) == 1
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["text.jpg"]


def test_infer_ends_with_exit_code_0_when_something_could_be_read(tiny, tiny_run, tmp_path, capsys):
    (tmp_path / "text.jpg").write_text("a letter")
    argv = [tiny / "images", tmp_path / "text.jpg", "--run", tiny_run, "--out", tmp_path / "out", "--no-maps"]
    code, _ = outcome(capsys, InferConfig, "python -m infer", "infer.predict:main", argv)
    assert not code
    assert (tmp_path / "out" / "predictions.csv").is_file()


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--levels", "0", "3"], "level L0 does not exist"),
        (["--levels", "3", "17"], "level L17 does not exist"),
        (["--levels", "5", "3"], "coarse to fine"),
        (["--min-images", "0"], "--min-images must be 1 or more"),
        (["--data", "nowhere"], "nowhere is not a dataset"),
    ],
)
def test_label_maps_refuses_with_one_line_and_exit_code_2(tiny, tmp_path, capsys, flags, complaint):
    argv = ["--data", tiny, "--run", tmp_path / "run", *flags]
    code, said = outcome(capsys, LabelMapsConfig, "python -m label_maps", "label_maps.build:main", argv)
    assert (code, len(said.strip().splitlines())) == (2, 1)
    assert complaint in said
    assert not (tmp_path / "run").exists()


def test_a_full_disk_while_writing_a_checkpoint_is_one_line_and_exit_code_2(
    tiny, tiny_run, tmp_path, monkeypatch, capsys
):
    run = shutil.copytree(tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("joint*"))

    def full(path, data):
        path.open("wb").close()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    argv = ["--data", tiny, "--run", run, "--arch", "shufflenet_v2_x0_5", "--weights", "none", "--image-size", "32"]
    argv += ["--workers", "0", "--device", "cpu", "--epochs", "1"]
    code, said = outcome(capsys, JointConfig, "python -m train joint", "train.tasks:train_joint", argv)
    assert code == 2
    last = said.strip().splitlines()[-1]
    assert last.startswith("error: No space left on device: ")
    assert ".safetensors; free some space" in last, "the file is named, and what helps"
    assert "Traceback" not in said
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["joint.json"]
    assert not (run / "joint.safetensors").exists()


def test_a_flag_after_a_recipe_wins():
    argv = [str(ROOT / "train/recipes/demo.yaml"), "--data", "d", "--run", "r", "--epochs", "3", "--optim.lr", "0.5"]
    config = parse(JointConfig, "python -m train joint", argv)
    assert (config.epochs, config.optim.lr, config.arch) == (3, 0.5, "resnet18")


def test_the_published_recipe_is_the_default_of_a_level():
    recipe = parse(
        LevelConfig,
        "python -m train level",
        [str(ROOT / "train/recipes/geoguessr2.yaml"), "--data", "d", "--run", "r", "--level", "L3"],
    )
    assert recipe == LevelConfig(Path("d"), Path("r"), level="L3")


@pytest.mark.parametrize("config", [EvaluateConfig, CalibrateConfig])
def test_commands_that_measure_need_only_a_dataset_and_a_run(config):
    assert parse(config, "x", ["--data", "d", "--run", "r"]).device == "auto"


def commands_of_the_makefile() -> list[list[str]]:
    """Return the words of every command that `make` runs of ours, its variables filled in."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    values = dict(re.findall(r"^(\w+) :?=\s*(\S+)$", text, flags=re.MULTILINE))
    lines = re.findall(r"^\t\$\(PY\) -m ((?:fetch|label_maps|train|infer|viz|geocells) .*)$", text, flags=re.MULTILINE)
    filled = [re.sub(r"\$\((\w+)\)", lambda name: values[name[1]], line.replace("$@", "made")) for line in lines]
    return [line.partition(">")[0].split() for line in filled]


@pytest.mark.parametrize("words", commands_of_the_makefile(), ids=" ".join)
def test_every_command_of_the_makefile_can_be_typed(words, monkeypatch):
    monkeypatch.chdir(ROOT)
    config, action = importlib.import_module(f"{words[0]}.__main__").COMMANDS[words[1]]
    assert action
    assert isinstance(parse(config, "x", words[2:]), config)
