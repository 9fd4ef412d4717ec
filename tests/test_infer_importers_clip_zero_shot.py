"""CLIP zero-shot as a run answers what transformers' own CLIP answers for the same prompts."""

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from infer.importers.clip_zero_shot import main, read_places
from infer.importers.config import ClipConfig
from infer.model import load_model
from label_maps.run_folder import read_run
from tests.published import random_clip

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="the package transformers is not installed"
)
CPU = torch.device("cpu")
COUNTRIES = ["France", "Kenya", "NA", "South Korea", "Brazil", "Deutschland"]
CODES = ["FR", "KE", "NA", "KR", "BR", "DE"]
TOWNS = {
    "Paris": (48.86, 2.35),
    "Nairobi": (-1.29, 36.82),
    "Lima": (-12.05, -77.04),
    "Suva": (-18.14, 178.44),
    "Oslo": (59.9, 10.7),
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return random_clip(tmp_path_factory.mktemp("clip"))


def table(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def photographs(shared_data) -> list[Path]:
    return sorted((shared_data / "photos").glob("*/*.jpg"))[::40]


def theirs(clip, photographs, prompts):
    """Return the (photographs, prompts) probabilities of transformers' own model and processors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

        model = CLIPModel.from_pretrained(clip).eval()
        pictures = [Image.open(path).convert("RGB") for path in photographs]
        pixels = AutoImageProcessor.from_pretrained(clip)(images=pictures, return_tensors="pt")
        tokens = AutoTokenizer.from_pretrained(clip)(prompts, padding=True, return_tensors="pt")
        with torch.inference_mode():
            return model(**pixels, **tokens).logits_per_image.softmax(dim=-1).numpy()


def posterior_of(run, photographs):
    model = load_model(run, CPU)
    pixels = torch.stack([model.transform.pixels(path) for path in photographs])
    return model, [level.exp().numpy() for level in model.posterior(model.logits(pixels))]


def test_countries_have_the_probabilities_of_their_prompts(clip, photographs, tmp_path):
    prompts = table(tmp_path / "countries.csv", "name", *COUNTRIES)
    main(ClipConfig(run=tmp_path / "run", prompts=prompts, clip=clip, model="geolocal/StreetCLIP"))
    model, posterior = posterior_of(tmp_path / "run", photographs)
    expected = theirs(clip, photographs, [f"a photo in {name}" for name in COUNTRIES])
    order = [CODES.index(name) for name in model.hierarchy.name]
    np.testing.assert_allclose(posterior[0], expected[:, order], atol=1e-5)
    published = read_run(tmp_path / "run")["published"]
    assert published["licence"] == "CC BY-NC 4.0: non-commercial use only"
    assert "Haas" in published["citation"]
    assert set(published["sha256"]) == {"model.safetensors", "countries.csv"}


def test_places_with_coordinates_are_classes_of_their_own(clip, photographs, tmp_path):
    lines = [f"{name},{lat},{lon},a street in {name}" for name, (lat, lon) in TOWNS.items()]
    prompts = table(tmp_path / "towns.csv", "name,latitude,longitude,prompt", *lines)
    config = ClipConfig(
        run=tmp_path / "run", prompts=prompts, clip=clip, model="openai/clip-vit-base-patch32", partition="points"
    )
    main(config)
    model, posterior = posterior_of(tmp_path / "run", photographs)
    expected = theirs(clip, photographs, [f"a street in {name}" for name in TOWNS])
    places = np.array(list(TOWNS.values()))
    classes = model.hierarchy.classes(places)[:, -1]
    np.testing.assert_allclose(posterior[-1][:, classes], expected, atol=1e-5)
    assert model.hierarchy.center_deg[classes] == pytest.approx(places, abs=1e-5)
    assert read_run(tmp_path / "run")["published"]["licence"] == "MIT"


def test_several_prompts_for_one_place_are_averaged(clip, photographs, tmp_path):
    twice = table(
        tmp_path / "twice.csv", "name,prompt", "France,a photo in France", "Kenya,", "France,a photo in France"
    )
    main(ClipConfig(run=tmp_path / "run", prompts=twice, clip=clip, model="some/clip"))
    _, posterior = posterior_of(tmp_path / "run", photographs)
    expected = theirs(clip, photographs, ["a photo in France", "a photo in Kenya"])
    np.testing.assert_allclose(posterior[0], expected, atol=1e-5)
    assert read_run(tmp_path / "run")["published"]["licence"].startswith("unknown")
    assert read_places(twice, "{name}").prompts == [["a photo in France"] * 2, ["Kenya"]]


@pytest.mark.parametrize(
    ("lines", "flags", "said"),
    [
        (("city", "Paris"), {}, "has no column name, only city: give a column name"),
        (("name",), {}, "has no rows: give a column name, a place a row"),
        (("name,prompt", "France,x", ",y"), {}, "has no name in row 3: name the place, or remove the row"),
        (("name", "Atlantis"), {}, "none of its 1 names is a country's, such as 'Atlantis': name countries, or add"),
        (("name", "France"), {"partition": "quad"}, "leave out --partition quad"),
        (("name,latitude,longitude", "Paris,48.9,2.4", "Lyon,,"), {}, "Lyon has no coordinates"),
    ],
)
def test_a_table_that_cannot_work_is_refused_in_one_line(clip, tmp_path, lines, flags, said):
    prompts = table(tmp_path / "prompts.csv", *lines)
    with pytest.raises(ValueError, match=said):
        main(ClipConfig(run=tmp_path / "run", prompts=prompts, clip=clip, model="some/clip", **flags))


def test_a_template_without_its_name_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"--template holds \{name\}"):
        ClipConfig(run=tmp_path, prompts=tmp_path, model="some/clip", template="a photo")


def test_a_vision_tower_alone_is_not_enough(clip, tmp_path):
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((clip / name).read_bytes())
    prompts = table(tmp_path / "countries.csv", "name", *COUNTRIES)
    with pytest.raises(ValueError, match=r"has no tokenizer\.json"):
        main(ClipConfig(run=tmp_path / "run", prompts=prompts, clip=tmp_path, model="some/clip"))
