"""What the commands of infer refuse before anything is loaded."""

from pathlib import Path

import pytest

from infer.config import EvaluateConfig, InferConfig
from infer.serve.config import AppConfig
from plumbing.config import parse

PHOTO = ["photo.jpg", "--run", "run"]


def refusal(argv: list[str]) -> str:
    with pytest.raises(ValueError, match=r"^--") as refused:
        parse(InferConfig, "python -m infer predict", argv)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    "flags",
    [
        *("--coverage 0.5 0.9", "--top 3", "--mass 0.9", "--no-maps", "--maps", "--explain", "--formats kml"),
        *("--strip", "--sidecars 0.5", "--confidence 0.5", "--same-place", "--tiles https://a/{z}/{x}/{y}.png"),
    ],
)
def test_bulk_refuses_what_has_no_effect_on_it(flags):
    name = flags.split()[0]
    said = refusal([*PHOTO, "--bulk", *flags.split()])
    assert said.startswith(name)
    assert said.endswith(f"leave out {name}, or --bulk")


@pytest.mark.parametrize(
    "flags, without",
    [
        ("--same-place-temperature 2", "--same-place"),
        ("--coarsest L3", "--confidence"),
        ("--data data", "--explain"),
        ("--no-maps --tiles https://a/{z}/{x}/{y}.png", "--maps"),
    ],
)
def test_a_flag_that_needs_another_names_it(flags, without):
    assert f"no effect without {without}" in refusal([*PHOTO, *flags.split()])


@pytest.mark.parametrize("tiles", ["nonsense", "ftp://a/{z}/{x}/{y}", "https://a/{z}/{x}.png"])
def test_tiles_that_no_map_can_take_are_refused_before_anything_is_answered(tiles):
    assert refusal([*PHOTO, "--tiles", tiles]).startswith("--tiles must be an http(s) address with {x}, {y} and {z}")


def test_tiles_that_a_map_can_take_are_taken():
    tiles = "https://tile.example.org/{z}/{x}/{y}.png"
    assert parse(InferConfig, "x", [*PHOTO, "--tiles", tiles]).tiles == tiles


def test_a_split_of_no_dataset_is_refused(tmp_path):
    photo = tmp_path / "photo.jpg"
    photo.touch()
    said = refusal([str(photo), "--run", "run", "--split", "all"])
    assert said == "--split all chooses photographs of a dataset folder, and none is given: leave out --split"


def test_a_split_of_a_dataset_is_taken(tmp_path):
    (tmp_path / "manifest.parquet").touch()
    assert InferConfig(photos=(tmp_path,), run=Path("run"), split="all").split == "all"


@pytest.mark.parametrize("config", [InferConfig, EvaluateConfig, AppConfig])
def test_the_name_that_greedy_had_is_refused_naming_greedy(config):
    with pytest.raises(ValueError, match=r"got 'seed'; seed is now called greedy$"):
        parse(config, "x", ["--fusion", "seed"])


@pytest.mark.parametrize(
    ("config", "given"),
    [(InferConfig, ["photo.jpg"]), (EvaluateConfig, ["--data", "data"]), (AppConfig, [])],
)
def test_numbers_of_the_greedy_rule_are_taken_with_it_and_refused_without(config, given):
    numbers = ["--greedy-thresholds", "0.9", "0.5", "--greedy-k", "1", "4", "8"]
    parsed = parse(config, "x", [*given, "--run", "run", "--fusion", "greedy", *numbers])
    assert (parsed.greedy_thresholds, parsed.greedy_k) == ((0.9, 0.5), (1, 4, 8))
    assert parse(config, "x", [*given, "--run", "run"]).greedy.to_dict() == {
        "thresholds": [0.85, 0.65, 0.4],
        "k": [1, 2, 3, 6],
    }
    with pytest.raises(ValueError, match="have no effect without --fusion greedy"):
        parse(config, "x", [*given, "--run", "run", *numbers])
    with pytest.raises(ValueError, match="takes one number more"):
        parse(config, "x", [*given, "--run", "run", "--fusion", "greedy", "--greedy-k", "1", "2"])
