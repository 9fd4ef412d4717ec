"""Flags without effect beside the others are refused, by what was typed and by values in Python."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import pytest

from plumbing.config import parse
from plumbing.rules import check_rules, excludes, needs


@dataclass(frozen=True)
class Config:
    """Do something."""

    RULES: ClassVar = (
        needs("tau_km tau_end", "loss", "haversine"),
        needs("coarsest", "confidence"),
        needs("places", "coverage confidence"),
        excludes("bulk", "top maps", why="answers with points alone"),
        needs("tiles", "maps"),
    )

    loss: Literal["cross_entropy", "haversine"] = "cross_entropy"
    """Loss."""
    tau_km: tuple[float, ...] = ()
    """Length."""
    tau_end: float = 1.0
    """Share."""
    confidence: float | None = None
    """Chance."""
    coarsest: str | None = None
    """Level."""
    coverage: tuple[float, ...] = (0.9,)
    """Regions."""
    places: Literal["usual", "unseen"] = "usual"
    """Places."""
    bulk: bool = False
    """Many."""
    top: int = 100
    """Cells."""
    maps: bool = True
    """Pages."""
    tiles: str | None = None
    """Address."""

    def __post_init__(self) -> None:
        check_rules(self)


REFUSED = [
    (
        {"tau_km": (75.0, 50.0), "tau_end": 0.5},
        "--tau-km 75 50 --tau-end 0.5",
        "--tau-km 75 50 and --tau-end 0.5 have no effect without --loss haversine: add it, or leave out --tau-km and "
        "--tau-end",
    ),
    (
        {"coarsest": "L3"},
        "--coarsest L3",
        "--coarsest L3 has no effect without --confidence NUMBER: add it, or leave out --coarsest",
    ),
    (
        {"places": "unseen", "coverage": ()},
        "--places unseen --coverage",
        "--places unseen has no effect without --coverage NUMBER or --confidence NUMBER: add it, or leave out --places",
    ),
    (
        {"bulk": True, "top": 3, "maps": False},
        "--bulk --top 3 --no-maps",
        "--top 3 and --no-maps have no effect with --bulk, which answers with points alone: leave out --top and "
        "--no-maps, or --bulk",
    ),
    (
        {"maps": False, "tiles": "https://a"},
        "--no-maps --tiles=https://a",
        "--tiles https://a has no effect without --maps: add it, or leave out --tiles",
    ),
]


@pytest.mark.parametrize("values, line, said", REFUSED)
def test_a_config_made_in_python_refuses_values_without_effect(values, line, said):
    with pytest.raises(ValueError, match="no effect") as refused:
        Config(**values)
    assert str(refused.value) == said


@pytest.mark.parametrize("values, line, said", REFUSED)
def test_a_command_line_refuses_flags_without_effect(values, line, said):
    with pytest.raises(ValueError, match="no effect") as refused:
        parse(Config, "x", line.split())
    assert str(refused.value) == said


@pytest.mark.parametrize(
    "line, idle", [("--bulk --top 100", "--top 100"), ("--tau_end 1", "--tau-end 1"), ("--bulk --maps", "--maps")]
)
def test_a_flag_that_is_typed_counts_although_it_has_its_default(line, idle):
    with pytest.raises(ValueError, match=f"^{idle} has no effect with"):
        parse(Config, "x", line.split())


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"tau_km": (75.0,), "loss": "haversine"},
        {"coarsest": "L3", "confidence": 0.5},
        {"places": "unseen"},
        {"places": "unseen", "coverage": (), "confidence": 0.5},
        {"bulk": True},
        {"tiles": "https://a"},
    ],
)
def test_flags_that_have_an_effect_are_taken(values):
    assert Config(**values).top == 100


def test_a_recipe_may_write_down_defaults(tmp_path: Path):
    path = tmp_path / "all.yaml"
    path.write_text("tau_km: []\ntau_end: 1.0\nplaces: usual\n")
    assert parse(Config, "x", [str(path)]) == Config()


def test_a_recipe_is_refused_for_what_has_no_effect(tmp_path: Path):
    path = tmp_path / "idle.yaml"
    path.write_text("tau_end: 0.5\n")
    with pytest.raises(ValueError, match=r"^--tau-end 0\.5 has no effect without --loss haversine"):
        parse(Config, "x", [str(path)])
