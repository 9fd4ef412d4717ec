"""Every recipe is what it says, by the very commands that stand in its first lines, from label maps to answers."""

import json
import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest

from dataset.manifest import read_manifest
from fetch.demo.config import DemoConfig
from fetch.demo.dataset import run as make_demo
from infer.config import EvaluateConfig, InferConfig
from infer.predict import main as infer
from label_maps.config import LabelMapsConfig
from plumbing.config import command, parse
from tests.test_geocells_partitions import files  # noqa: F401
from train.config import JointConfig, LevelConfig, RegressConfig
from train.refine_config import RefineConfig
from train.sweep_config import SweepConfig

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "train" / "recipes"

COMMANDS: dict[str, tuple[type, str]] = {
    "label_maps build": (LabelMapsConfig, "label_maps.build:main"),
    "train level": (LevelConfig, "train.tasks:train_level"),
    "train joint": (JointConfig, "train.tasks:train_joint"),
    "train refine": (RefineConfig, "train.refine:main"),
    "train regress": (RegressConfig, "train.tasks:train_regress"),
    "train sweep": (SweepConfig, "train.sweep:main"),
    "infer predict": (InferConfig, "infer.predict:main"),
    "infer evaluate": (EvaluateConfig, "infer.evaluate.run:main"),
}

CLAIMS: dict[str, tuple[str, dict[str, object]]] = {
    "geoguessr2": ("train level", {"arch": "resnet50", "epochs": 6, "optim.lr": 1e-4, "batch_size": 64}),
    "director": (
        "train level",
        {
            "level": "macro", "arch": "efficientnet_b0", "optim.name": "adamw", "optim.lr": 5e-4, "patience": 6,
            "optim.weight_decay": 1e-4, "optim.schedule": "plateau", "sampler": "balanced", "class_weights": True,
            "augment.vertical_flip": 0.5, "augment.flip": 0.5, "augment.rotation_deg": 20, "augment.grayscale": 0.1,
        },
    ),
    "experts": (
        "train refine",
        {"kind": "experts", "own_trunk": True, "arch": "efficientnet_b0", "coordinate_loss": "smooth_l1", "patience": 6},
    ),
    "region_embedding": (
        "train refine",
        {
            "kind": "embedding", "own_trunk": True, "arch": "resnet101", "optim.name": "adam", "optim.lr": 1e-4,
            "optim.plateau_patience": 5, "patience": 5, "optim.clip": 1.0, "augment.rotation_deg": 15, "augment.flip": 0.5,
        },
    ),
    "country": (
        "train level",
        {
            "level": "country", "optim.name": "adamw", "optim.trunk_lr_factor": 0.1, "optim.schedule": "step",
            "augment.flip": 0.0, "augment.rotation_deg": 10, "augment.crop_scale": 0.75, "augment.color_jitter": 0.5,
            "augment.hue": 0.1, "epochs": 50, "patience": 5, "batch_size": 200, "dropout": 0.5, "keep": "accuracy",
        },
    ),
    "region_classifier": (
        "train level",
        {
            "arch": "vit_b_16", "class_weights": True, "label_smoothing": 0.1, "dropout": 0.3, "batch_size": 16,
            "optim.schedule": "cosine_restarts", "optim.restart_epochs": 5, "optim.restart_factor": 1, "optim.lr": 2e-4,
        },
    ),
    "region_smooth": ("train level", {"level": "region", "loss": "haversine", "tau_km": (75.0,)}),
    "coordinates": ("train regress", {"kind": "standardised", "coordinate_loss": "mse"}),
    "multiscale": (
        "train joint",
        {
            "loss": "focal", "coordinate_weight": 1.0, "optim.schedule": "plateau", "embedding": 512, "dropout": 0.2,
            "level_weights": (0.3, 0.3, 0.2, 0.2), "arch": "efficientnet_b4", "optim.plateau_patience": 5,
        },
    ),
    "foundation": ("train joint", {"freeze_trunk": True, "hidden": 1024, "loss": "haversine", "loss_on": "tree"}),
    "joint": ("train joint", {"loss": "haversine", "epochs": 20, "batch_size": 256}),
    "demo": ("train joint", {"arch": "resnet18", "weights": "none", "image_size": 64, "cache_pixels": True}),
}  # fmt: skip
"""Which command each recipe is for, and what the published system is known by."""

SAME_AS_DEFAULT = {"geoguessr2"}
"""The defaults are this one, written out."""

TINY = (
    "--arch resnet18 --weights none --image-size 32 --epochs 1 --batch-size 16 --workers 0 --device cpu "
    "--precision float32 --no-cache-pixels"
)
CACHED = " --no-cache-pixels"
"""What a training of heads alone has no use for."""
TINY_REFINER = "--arch resnet18 --weights none --epochs 1 --batch-size 16 --workers 0 --device cpu --precision float32"
"""Of networks that see pictures as their run does."""


def said_commands(recipe: Path) -> list[tuple[str, list[str]]]:
    """Return the commands in the first lines of a recipe: module and verb, and the arguments."""
    text = recipe.read_text(encoding="utf-8").replace("\\\n#", "")
    lines = re.findall(r"^#   python -m (.+)$", text, flags=re.MULTILINE)
    words = [shlex.split(line, comments=True) for line in lines]
    return [(f"{module} {verb}", argv) for module, verb, *argv in words]


def value_of(config: object, name: str) -> object:
    for part in name.split("."):
        config = getattr(config, part)
    return config


def test_every_recipe_has_its_claims():
    assert sorted(path.stem for path in FOLDER.glob("*.yaml")) == sorted(CLAIMS)


PUBLISHED = {
    "geoguessr2": "Hierarchical Geolocation Classifier",
    "director": "GeoMind",
    "region_classifier": "Geolocation and Region Classification",
    "country": "Lost & Found",
    "region_smooth": "Lost & Found",
    "coordinates": "Geolocation and Region Classification",
    "experts": "GeoMind",
    "region_embedding": "Geolocation and Region Classification",
    "multiscale": "Geolocalization AI",
}
"""Which publication a recipe is of."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_first_lines_name_the_publication_what_is_as_published_and_what_is_not(name):
    said = (FOLDER / f"{name}.yaml").read_text().split("#   python -m")[0]
    assert PUBLISHED[name] in said
    assert "As published" in said
    assert re.search("Not (as )?published", said)


@pytest.mark.parametrize("name", CLAIMS)
def test_the_commands_in_the_first_lines_can_be_typed(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    said = said_commands(FOLDER / f"{name}.yaml")
    assert next(module for module, _ in said) == "label_maps build"
    assert CLAIMS[name][0] in [module for module, argv in said if f"train/recipes/{name}.yaml" in argv]
    for module, argv in said:
        config = COMMANDS[module][0]
        parsed = parse(config, f"python -m {module}", argv)
        run = parsed.training.run if isinstance(parsed, SweepConfig) else parsed.run
        assert str(run).startswith("runs/")


@pytest.mark.parametrize("name", CLAIMS)
def test_a_recipe_sets_what_it_is_known_by(name):
    module, claims = CLAIMS[name]
    config = COMMANDS[module][0]
    needed = ["--data", "d", "--run", "r"] + (["--level", "L3"] if config is LevelConfig else [])
    plain = parse(config, "x", needed)
    given = needed[:4] if "level" in claims else needed
    recipe = parse(config, "x", [str(FOLDER / f"{name}.yaml"), *given])
    assert {claim: value_of(recipe, claim) for claim in claims} == claims
    differing = [field.name for field in fields(recipe) if getattr(recipe, field.name) != getattr(plain, field.name)]
    assert bool(differing) == (name not in SAME_AS_DEFAULT)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A demo planet of 160 pictures."""
    folder = tmp_path_factory.mktemp("planet") / "data"
    make_demo(DemoConfig(out=folder, images=160, size=32))
    return folder


def typed(module: str, argv: list[str]) -> None:
    config, action = COMMANDS[module]
    with pytest.raises(SystemExit) as leaving:
        command(config, f"python -m {module}", action, argv)
    assert not leaving.value.code, f"python -m {module} {shlex.join(argv)} ended with {leaving.value.code}"


@pytest.mark.slow
@pytest.mark.parametrize("name", CLAIMS)
def test_a_recipe_runs_from_label_maps_to_answers(name, data, tmp_path, files, monkeypatch):  # noqa: F811
    monkeypatch.chdir(ROOT)
    run = tmp_path / "run"
    here = {"data/mine": data, "data/demo": data, "data/osv5m": data, "ne_50m_admin_0_countries.zip": files[0]}
    here |= {"K15": "K4", "K200": "K4"}  # the planet is small
    here |= {"ne_10m_admin_1_states_provinces.zip": files[1]}
    for module, argv in said_commands(FOLDER / f"{name}.yaml"):
        words = [str(here.get(word, run if word.startswith("runs/") else word)) for word in argv]
        if "--clusters" in words:
            words = [
                *words[: words.index("--clusters")],
                "--clusters",
                *("4", "8", "16", "32")[: len(words) - words.index("--clusters") - 1],
            ]
        if module == "train refine":
            typed(module, words + TINY_REFINER.split())
        elif module.startswith("train ") and module != "train sweep":
            for level in ("L1", "L3", "L5", "L8") if "L1" in words else ("",):
                tiny = TINY if name != "foundation" else TINY.removesuffix(CACHED)
                typed(module, [level if word == "L1" else word for word in words] + tiny.split())
        elif module == "label_maps build":
            typed(module, words)
    photos = [data / path for path in read_manifest(data)["path"].iloc[:2]]
    point = "expert" if CLAIMS[name][0] == "train refine" else None
    infer(InferConfig(photos=tuple(photos), run=run, out=tmp_path / "out", point=point, workers=0, device="cpu"))
    records = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert [record["input"] for record in records] == [photo.name for photo in photos]
    assert all(-90 <= record["latitude"] <= 90 for record in records)
