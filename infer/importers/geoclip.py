"""`python -m infer import geoclip`: GeoCLIP (Vivanco Cepeda et al. 2023) as a run, of the files of its package.

The gallery's places are encoded once, here; the run holds their embeddings and predicts without the package.
"""

import importlib.util
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from geocells.partitions import build_partition
from geocells.sphere import check_latlon
from infer.importers.clip_files import find_clip
from infer.importers.config import GeoclipConfig
from infer.importers.published import Cells, Published, gallery_network, refuse_taken, summary, write_run
from infer.network.weight_files import read_state
from plumbing.files import sha256
from plumbing.progress import progress

CLIP = "openai/clip-vit-large-patch14"
PROJECTION, LOCATION = "image_encoder_mlp_weights.pth", "location_encoder_weights.pth"
SCALE, GALLERY = "logit_scale_weights.pth", "coordinates_100K.csv"
EQUAL_EARTH = (1.340264, -0.081106, 0.000893, 0.003796)
"""Coefficients of the Equal Earth projection (Šavrič, Patterson and Jenny 2019)."""
MAP_SCALE = 66.50336
"""Projected coordinates are multiplied by this, and divided by 180, before they are encoded."""
AT_ONCE = 2048
CITATION = (
    "Vivanco Cepeda, V., Nayak, G. K., Shah, M.: GeoCLIP: Clip-Inspired Alignment between Locations and Images for Effective "
    "Worldwide Geo-localization. NeurIPS 2023. Vision tower: Radford et al., Learning Transferable Visual Models From Natural "
    "Language Supervision. ICML 2021."
)


def main(config: GeoclipConfig) -> None:
    """Encode the gallery, write a run folder and say what was done."""
    refuse_taken(config.run)
    files = package_files()
    clip = find_clip(config, CLIP)
    places = read_gallery(files[GALLERY])
    flags = {"levels": config.levels, "clusters": config.clusters}
    given = {flag: value for flag, value in flags.items() if value is not None}
    partition = build_partition(config.partition, places, **given)
    cells = Cells.of(partition, places)
    rows = F.normalize(encode_places(read_state(files[LOCATION]), places), dim=1)
    scale = torch.load(files[SCALE], map_location="cpu", weights_only=True)
    projection = read_state(files[PROJECTION])
    network, spec = gallery_network(clip, cells, rows, scale.detach(), projection=(layers(projection),))
    assert network.projection is not None, "the spec has one"
    network.projection.branches[0].load_state_dict(projection)
    published = Published(
        model="GeoCLIP",
        licence="MIT (GeoCLIP and OpenAI CLIP)",
        citation=CITATION,
        source=f"package geoclip {metadata.version('geoclip')}; {CLIP}",
        revision=clip.revision,
        sha256={**{name: sha256(path) for name, path in files.items()}, **clip.sha256},
    )
    write_run(config.run, cells.hierarchy, network, spec, {"partition": config.partition, **given}, published)
    print(summary(config.run, cells.hierarchy, len(places), "places of the gallery", published))


def package_files() -> dict[str, Path]:
    """Return the files of the package by their names; nothing of it is imported.

    Raises:
        ValueError: it is not installed, or of another version.
    """
    found = importlib.util.find_spec("geoclip")
    if found is None or not found.submodule_search_locations:
        raise ValueError("import geoclip reads the files of its package: pip install geoclip")
    model = Path(found.submodule_search_locations[0]) / "model"
    files = {name: model / "weights" / name for name in (PROJECTION, LOCATION, SCALE)}
    files[GALLERY] = model / "gps_gallery" / GALLERY
    lacking = [path for path in files.values() if not path.is_file()]
    if lacking:
        raise ValueError(f"the package geoclip has no {lacking[0]}: pip install geoclip==1.3.0")
    return files


def read_gallery(path: Path) -> NDArray[np.float64]:
    """Return the (N, 2) places of the gallery.

    Raises:
        ValueError: the file has other columns, or a place is none.
    """
    table = pd.read_csv(path)
    if not {"LAT", "LON"} <= set(table):
        raise ValueError(f"{path} has no columns LAT,LON: pip install geoclip==1.3.0")
    places = table[["LAT", "LON"]].to_numpy(dtype=np.float64)
    check_latlon(places[:, 0], places[:, 1])
    return places


def layers(state: Mapping[str, Tensor]) -> tuple[tuple[str | int, ...], ...]:
    """Return the layers of the image side by their weights: linear ones with a ReLU between each two."""
    sizes = [tensor.shape for name, tensor in state.items() if name.endswith("weight")]
    built: list[tuple[str | int, ...]] = []
    for width, from_width in sizes:
        built += [("relu",), ("linear", from_width, width)]
    return tuple(built[1:])


def encode_places(state: Mapping[str, Tensor], places_deg: NDArray[np.float64]) -> Tensor:
    """Return (N, width) embeddings of (N, 2) places by the location encoder's weights.

    Random Fourier features (Tancik et al. 2020) of several scales, each with layers of its own, are summed.
    """
    # Single precision step by step as in the published code: the finest scale turns by 1,500 radians for each unit.
    places = torch.from_numpy(places_deg).float()
    capsules = sorted({name.split(".")[0] for name in state})
    batches = progress(places.split(AT_ONCE), "encoding the gallery", "batch", -(-len(places) // AT_ONCE))
    with torch.inference_mode():
        return torch.cat([_encoded(state, capsules, equal_earth(batch) * MAP_SCALE / 180) for batch in batches]).clone()


def _encoded(state: Mapping[str, Tensor], capsules: list[str], mapped: Tensor) -> Tensor:
    total = torch.zeros(len(mapped), 1)
    for capsule in capsules:
        turns = 2 * torch.pi * mapped @ state[f"{capsule}.capsule.0.b"].T
        value = torch.cat([turns.cos(), turns.sin()], dim=-1)
        for layer in (1, 3, 5):
            name = f"{capsule}.capsule.{layer}"
            value = F.relu(F.linear(value, state[f"{name}.weight"], state[f"{name}.bias"]))
        total = total + F.linear(value, state[f"{capsule}.head.0.weight"], state[f"{capsule}.head.0.bias"])
    return total


def equal_earth(latlon_deg: Tensor) -> Tensor:
    """Return (N, 2) coordinates, east then north, of the Equal Earth projection of (N, 2) places on a unit sphere."""
    a1, a2, a3, a4 = EQUAL_EARTH
    latitude, longitude = latlon_deg.deg2rad().unbind(dim=1)
    root = torch.sqrt(torch.tensor(3.0))
    theta = torch.asin((root / 2) * latitude.sin())
    slope = 3 * (9 * a4 * theta**8 + 7 * a3 * theta**6 + 3 * a2 * theta**2 + a1)
    east = (2 * root * longitude * theta.cos()) / slope
    north = a4 * theta**9 + a3 * theta**7 + a2 * theta**3 + a1 * theta
    return torch.stack([east, north], dim=1)
