"""Flags, YAML files as flags, refusals in one line."""

import errno
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from plumbing.config import as_plain, command, parse

words = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=8)


@dataclass(frozen=True)
class Optim:
    """Optimiser."""

    lr: float = 1e-3
    """Step size."""
    steps: tuple[int, ...] = (1, 2)
    """Where it falls."""

    def __post_init__(self) -> None:
        if self.lr < 0:
            raise ValueError(f"--optim.lr must not be negative, got {self.lr:g}")


@dataclass(frozen=True)
class Config:
    """Do something."""

    level: int = 3
    """The level."""
    names: tuple[str, ...] = ("a",)
    """Several names."""
    limit: int | None = 4
    """At most so many."""
    colour_jitter: bool = True
    """Whether colours change."""
    out: Path = Path("out")
    """Where it goes."""
    optim: Optim = field(default_factory=Optim)
    """Optimiser."""

    def __post_init__(self) -> None:
        if self.level < 0:
            raise ValueError(f"--level must be 0 or more, got {self.level}")


def recipe(folder: Path, name: str = "recipe.yaml", **values: object) -> str:
    path = folder / name
    path.write_text(yaml.safe_dump(values))
    return str(path)


def print_level(config: Config) -> int:
    """Stand for a command's function: print, refuse levels 13 to 16, and break at level 99."""
    if config.level == 13:
        raise ValueError("level 13 brings bad luck: take another")
    if config.level == 14:
        raise PermissionError(errno.EACCES, "Permission denied", "out/level.txt")
    if config.level == 15:
        raise OSError(errno.ENOSPC, "No space left on device")
    if config.level == 16:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")
    if config.level == 99:
        raise RuntimeError("a defect")
    print(f"level {config.level}")
    return 0


PRINTS = """
from dataclasses import dataclass
from plumbing.config import command

@dataclass(frozen=True)
class Lines:
    \"\"\"Print lines.\"\"\"

    limit: int
    \"\"\"How many.\"\"\"

def say(config):
    for number in range(config.limit):
        print("line", number)

if __name__ == "__main__":
    command(Lines, "prints", "prints:say")
"""


def run(argv: list[str]) -> int:
    with pytest.raises(SystemExit) as leaving:
        command(Config, "python -m x", f"{__name__}:print_level", argv)
    return leaving.value.code


def test_without_flags_the_dataclass_says_the_defaults():
    assert parse(Config, "x", []) == Config()


def test_a_yaml_file_stands_for_its_flags(tmp_path):
    path = recipe(
        tmp_path, level=5, names=["b", "c"], limit=None, colour_jitter=False, out="o", optim={"lr": 0.5, "steps": [7]}
    )
    assert parse(Config, "x", [path]) == Config(5, ("b", "c"), None, False, Path("o"), Optim(0.5, (7,)))


@given(level=st.integers(0, 10**9), names=st.lists(words, max_size=3), jitter=st.booleans(), lr=st.floats(0, 1e6))
def test_a_config_written_as_yaml_reads_back_as_itself(tmp_path_factory, level, names, jitter, lr):
    config = Config(level, tuple(names), None, jitter, Path("a"), Optim(lr, ()))
    path = recipe(tmp_path_factory.mktemp("recipe"), **as_plain(config))
    assert parse(Config, "x", [path]) == config


def test_a_yaml_key_may_have_dashes_like_its_flag(tmp_path):
    assert not parse(Config, "x", [recipe(tmp_path, **{"colour-jitter": False})]).colour_jitter


def test_an_empty_list_is_no_value_at_all(tmp_path):
    assert parse(Config, "x", [recipe(tmp_path, names=[])]).names == ()


def test_a_flag_after_a_recipe_wins(tmp_path):
    assert parse(Config, "x", [recipe(tmp_path, level=5, names=["b", "c"]), "--level", "7", "--names", "z"]) == Config(
        7, ("z",)
    )


def test_a_recipe_after_a_flag_wins(tmp_path):
    assert parse(
        Config, "x", ["--level", "7", "--no-colour-jitter", recipe(tmp_path, level=5, colour_jitter=True)]
    ) == (Config(5))


def test_of_two_recipes_the_later_wins(tmp_path):
    first, second = recipe(tmp_path, "1.yaml", level=1, limit=1), recipe(tmp_path, "2.yml", level=2)
    assert parse(Config, "x", [first, second]) == Config(2, limit=1)


@pytest.mark.parametrize(
    "values, said",
    [
        ({"lvel": 3}, "sets lvel, which is not a flag of this command; it has: level, names"),
        ({"optim": {"lrr": 3}}, "sets optim.lrr, which is not a flag of this command; it has: lr, steps"),
        ({"level": {"a": 3}}, "sets flags below level, which has none"),
        ({"names": {"a": 3}}, "sets flags below names, which has none"),
        ({"level": None}, "leaves level empty"),
        ({"names": None}, "leaves names empty"),
    ],
)
def test_what_a_recipe_cannot_set_is_refused_by_name(tmp_path, capsys, values, said):
    assert run([recipe(tmp_path, **values)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_recipe_given_to_another_command_names_the_one_that_it_is_for(tmp_path):
    path = tmp_path / "experts.yaml"
    path.write_text("# About it.\n#   python -m train refine train/recipes/experts.yaml --data d\nexperts_at: L1\n")
    with pytest.raises(ValueError, match=r"sets experts_at, which .*; the recipe is for `python -m train refine`$"):
        parse(Config, "python -m train level", [str(path)])
    with pytest.raises(ValueError, match=r"it has: [^`]*$"):
        parse(Config, "python -m train refine", [str(path)])


@pytest.mark.parametrize("content", [b"level: [1", b"- 1\n- 2\n", b"", b"\x00", b"level: \xff\xfe"])
def test_a_recipe_that_is_no_mapping_is_refused_by_name(tmp_path, capsys, content):
    path = tmp_path / "broken.yaml"
    path.write_bytes(content)
    assert run([str(path)]) == 2
    error = capsys.readouterr().err
    assert str(path) in error
    assert error.count("\n") == 1


def test_a_missing_recipe_is_refused_by_name():
    with pytest.raises(ValueError, match=r"cannot read the recipe nowhere\.yaml"):
        parse(Config, "x", ["nowhere.yaml"])


@pytest.mark.parametrize(
    "argv, said",
    [
        (["--level", "-1"], "error: --level must be 0 or more, got -1\n"),
        (["--optim.lr", "-1"], "error: --optim.lr must not be negative, got -1\n"),
        (["--level", "13"], "error: level 13 brings bad luck: take another\n"),
        (["--level", "14"], "error: Permission denied: out/level.txt; name a folder that you may write to\n"),
        (["--level", "15"], "error: No space left on device; free some space, then give the same command again\n"),
    ],
)
def test_a_refusal_is_one_line_and_exit_code_2(capsys, argv, said):
    assert run(argv) == 2
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("argv", [["--lvel", "3"], ["--level", "three"], ["--level"], ["stray"]])
def test_a_command_line_that_makes_no_sense_exits_with_2_naming_it(capsys, argv):
    assert run(argv) == 2
    assert argv[0] in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="a pipe that is closed is another error there")
@pytest.mark.parametrize(("lines", "unbuffered"), [(3, ""), (3, "1"), (100_000, "")])
def test_output_that_nobody_reads_any_more_ends_a_command_without_a_word(lines, unbuffered, tmp_path):
    (tmp_path / "prints.py").write_text(PRINTS)
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "prints.py", "--limit", str(lines)],
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "PYTHONUNBUFFERED": unbuffered},
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_pipe_that_breaks_elsewhere_is_a_refusal(capsys):
    assert run(["--level", "16"]) == 2
    assert capsys.readouterr().err == "error: Broken pipe\n"


def test_a_defect_is_no_refusal():
    with pytest.raises(RuntimeError, match="a defect"):
        command(Config, "python -m x", f"{__name__}:print_level", ["--level", "99"])


def test_a_command_exits_with_what_its_function_returns(capsys):
    assert run(["--level", "4"]) == 0
    assert capsys.readouterr().out == "level 4\n"


def test_a_config_becomes_values_that_json_holds():
    assert json.loads(json.dumps(as_plain(Config()))) == {
        "level": 3,
        "names": ["a"],
        "limit": 4,
        "colour_jitter": True,
        "out": "out",
        "optim": {"lr": 0.001, "steps": [1, 2]},
    }


@pytest.mark.parametrize(
    "argv, code, said",
    [
        ([], 0, "land "),
        (["--help"], 0, "land "),
        (["lnad"], 2, "has no verb 'lnad': did you mean land? It has land, table"),
    ],
)
def test_a_folder_lists_its_commands_and_refuses_others(argv, code, said):
    done = subprocess.run([sys.executable, "-m", "geocells", *argv], capture_output=True, text=True)
    assert done.returncode == code
    assert said in done.stdout + done.stderr


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000,
        "a: 2020-99-99",
        "a: " + "9" * 5000,
        "a: !!python/object/apply:os.system ['echo']",
        "? [a, b]\n: 1",
        "\xff: [",
    ],
)
def test_a_recipe_that_no_reader_expects_is_one_line(tmp_path, text):
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"cannot read the recipe .*r\.yaml: ") as refused:
        parse(Config, "train", [str(tmp_path / "r.yaml")])
    assert "\n" not in str(refused.value)


def test_lists_within_lists_are_refused_before_they_unfold(tmp_path):
    field = next(iter(Config.__dataclass_fields__))
    (tmp_path / "r.yaml").write_text(f"{field}: [&a [x, x], [*a, *a]]\n")
    with pytest.raises(ValueError, match="sets lists within a list"):
        parse(Config, "train", [str(tmp_path / "r.yaml")])
