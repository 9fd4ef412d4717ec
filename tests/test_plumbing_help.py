"""What --help shows: required flags first, groups, reflowed texts, and values as a reader would write them."""

import re
import subprocess
import sys
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import pytest
from tyro.conf import Positional, arg

from plumbing.config import Commands
from plumbing.flags import Folder, Groups, LevelName, Share, flags_of
from plumbing.help import help_text

ROOT = Path(__file__).parents[1]
FOLDERS = sorted(path.parent.name for path in ROOT.glob("*/__main__.py"))


@dataclass(frozen=True)
class Optim:
    """Optimiser."""

    lr: float = 1e-3
    """Step
    size."""


@dataclass(frozen=True, kw_only=True)
class Base:
    """What commands have in common."""

    GROUPS: ClassVar[Groups] = {"speed": "batch_size"}

    batch_size: int = 8
    """Rows a step."""
    of_the_base: int | None = None
    """Shown after the options of the command itself."""


@dataclass(frozen=True, kw_only=True)
class Config(Base):
    """Do something. And more.

    A second paragraph
    of two lines.
    """

    GROUPS: ClassVar[Groups] = {"what is done": "share kind names"}

    share: Share | None = None
    """How much; left out,
    all."""
    kind: Literal["a", "b"] | None = None
    """Which."""
    names: tuple[Annotated[str, arg(metavar="NAME")], ...] = ()
    """Several."""
    draw: bool = True
    """Draw it."""
    quick: bool = False
    """Be quick."""
    wide_km: float = 2.5
    """How wide."""
    optim: Optim = field(default_factory=lambda: Optim(0.5))
    """Optimiser and schedule."""
    photos: Positional[tuple[Path, ...]]
    """Photographs."""
    level: LevelName
    """Its level."""
    out: Folder = Path("out")
    """Where to."""


SAID = """\
usage: python -m x y PHOTO ... --level L [flags]

Do something. And more.

A second paragraph of two lines.

required:
  PHOTO ...               Photographs.
  --level L               Its level.

what is done:
  --share 0..1            How much; left out, all.
  --kind {a,b}            Which.
  --names NAME ...        Several.

speed:
  --batch-size N          Rows a step. (default: 8)

options:
  --draw, --no-draw       Draw it. (default: --draw)
  --quick                 Be quick.
  --wide-km KM            How wide. (default: 2.5)
  --out FOLDER            Where to. (default: out)
  --of-the-base N         Shown after the options of the command itself.

optimiser and schedule:
  --optim.lr NUMBER       Step size. (default: 0.5)

every command:
  --log-file PATH         Write log lines into this file too, with their time in UTC. At 10 MB it
                          becomes PATH.1; five older ones are kept.
"""


def test_help_is_this_page(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert help_text(Config, "python -m x y") == SAID


def test_help_is_no_wider_than_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, help_text(Config, "python -m x y").splitlines())) <= 60


def verbs(commands: Commands, before: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], type]]:
    found = []
    for name, chosen in commands.items():
        found += [((*before, name), chosen[0])] if isinstance(chosen, tuple) else verbs(chosen, (*before, name))
    return found


VERBS = [
    ((folder, *names), config)
    for folder in FOLDERS
    for names, config in verbs(import_module(f"{folder}.__main__").COMMANDS)
]


@pytest.mark.parametrize("words, config", VERBS, ids=[" ".join(words) for words, _ in VERBS])
def test_every_verb_has_required_flags_first_no_none_and_no_long_line(words, config, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    text = help_text(config, f"python -m {' '.join(words)}")
    assert "None" not in text
    assert max(map(len, text.splitlines())) <= 100
    titles = re.findall(r"^([a-z][^\n]*):\n  \S", text, flags=re.MULTILINE)
    assert len(titles) == len(set(titles))
    assert "required" not in titles[1:]
    assert all(line.strip() for line in text.split("\n\n"))


@pytest.mark.parametrize("words, config", VERBS, ids=[" ".join(words) for words, _ in VERBS])
def test_every_flag_of_every_verb_says_what_it_does(words, config):
    assert [flag.written for flag in flags_of(config) if not flag.about.endswith((".", "…"))] == []


PROBE = """
import runpy, sys
sys.argv = [sys.argv[1], *sys.argv[2:], "--help"]
try:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
except SystemExit as leaving:
    assert not leaving.code, leaving.code
heavy = {"torch", "torchvision", "numpy", "pandas", "scipy", "matplotlib", "folium", "requests", "PIL"}
print("loaded:", sorted(heavy & set(sys.modules)))
"""


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_help_of_every_folder_and_verb_loads_nothing_heavy(folder):
    # One process for each folder; its verbs differ only in their config, which its __main__ has imported.
    first = next(words for words, _ in VERBS if words[0] == folder)
    done = subprocess.run([sys.executable, "-c", PROBE, *first], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0].startswith(f"usage: python -m {' '.join(first)} ")
    assert done.stdout.splitlines()[-1] == "loaded: []"


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_alone_lists_its_verbs_with_a_line_each(folder):
    done = subprocess.run([sys.executable, "-m", folder], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = re.findall(r"^  (\S+(?: \S+)?)  +\S", done.stdout, flags=re.MULTILINE)
    assert listed == [" ".join(words[1:]) for words, _ in VERBS if words[0] == folder]


@pytest.mark.parametrize(
    "words, said",
    [
        (
            ["infer", "photo.jpg"],
            "error: a verb is missing before photo.jpg: write `python -m infer predict photo.jpg`\n",
        ),
        (
            ["label_maps", "--data", "my data"],
            "error: a verb is missing before --data: write `python -m label_maps build --data 'my data'`\n",
        ),
        (["infer", "pedict"], "error: python -m infer has no verb 'pedict': did you mean predict? It has predict, "),
        (["train", "--data"], "error: python -m train has no verb '--data': it has joint, level, "),
    ],
)
def test_what_is_no_verb_is_refused_with_what_to_write(words, said):
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("words, config", VERBS, ids=[" ".join(words) for words, _ in VERBS])
def test_groups_rules_and_renamed_values_name_flags_that_there_are(words, config):
    known = {flag.field for flag in flags_of(config)} | set(getattr(config, "FIXED", ()))
    named = {name for cls in config.__mro__ for names in vars(cls).get("GROUPS", {}).values() for name in names.split()}
    named |= set(getattr(config, "RENAMED", {}))
    rules = getattr(config, "RULES", ())
    rules = rules if isinstance(rules, tuple) else ()  # a property of trainings, whose losses are a registry
    named |= {name for rule in rules for name in rule.fields}
    assert named - known == set()
