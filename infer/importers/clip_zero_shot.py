"""`python -m infer import clip`: CLIP zero-shot as a run: StreetCLIP (Haas et al. 2023), or any CLIP, and a list of places.

A place's row is the embedding of its prompt, as CLIP classifies (Radford et al. 2021, section 3.1). Of several prompts for one
place the normalised embeddings are averaged, and the average is normalised (ibid., prompt ensembling).
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from dataset.country_names import match_country
from geocells.hierarchy import build_hierarchy
from geocells.partitions import build_partition
from geocells.partitions.admin import AdminPartition
from geocells.sphere import check_latlon
from infer.importers.clip_files import ClipFiles, find_clip
from infer.importers.config import ClipConfig
from infer.importers.published import (
    Cells,
    Published,
    gallery_network,
    refuse_taken,
    summary,
    without_photographs,
    write_run,
)
from infer.network.weight_files import read_state
from plumbing.files import sha256
from plumbing.progress import progress

log = logging.getLogger(__name__)

AT_ONCE = 256
NON_COMMERCIAL = "CC BY-NC 4.0: non-commercial use only"
LICENCES = {"geolocal/StreetCLIP": NON_COMMERCIAL, "openai/": "MIT", "laion/CLIP-": "MIT"}
"""Of the weights of models, by the beginnings of their names."""
UNKNOWN_LICENCE = "unknown: see the page of the model, and give --licence"
CLIP_CITATION = "Radford et al.: Learning Transferable Visual Models From Natural Language Supervision. ICML 2021."
CITATIONS = {
    "geolocal/StreetCLIP": "Haas, L., Alberti, S., Skreta, M.: Learning Generalized Zero-Shot Learners for Open-Domain Image "
    "Geolocalization. arXiv:2302.00275, 2023."
}


@dataclass(frozen=True, eq=False)
class Places:
    """The places of a table of prompts.

    Attributes:
        names: each once, as they come.
        prompts: of each place, one or more.
        latlon_deg: (N, 2); None where the table has no coordinates.
    """

    names: list[str]
    prompts: list[list[str]]
    latlon_deg: NDArray[np.float64] | None

    def rows(self, kept: list[int]) -> "Places":
        """Return some of the places."""
        points = None if self.latlon_deg is None else self.latlon_deg[kept]
        return Places([self.names[k] for k in kept], [self.prompts[k] for k in kept], points)


def main(config: ClipConfig) -> None:
    """Embed the prompts, write a run folder and say what was done."""
    refuse_taken(config.run)
    places = read_places(config.prompts, config.template)
    places, cells = place_cells(config, places)
    clip = find_clip(config, config.model, text=True)
    rows, log_scale = embed(clip, places.prompts)
    network, spec = gallery_network(clip, cells, rows, log_scale)
    published = Published(
        model=f"CLIP zero-shot, {config.model}",
        licence=config.licence or _known(LICENCES, config.model, UNKNOWN_LICENCE),
        citation=_known(CITATIONS, config.model, CLIP_CITATION),
        source=config.model,
        revision=clip.revision,
        sha256={**clip.sha256, config.prompts.name: sha256(config.prompts)},
    )
    settings = {"partition": config.partition, "template": config.template}
    write_run(config.run, cells.hierarchy, network, spec, settings, published)
    print(summary(config.run, cells.hierarchy, len(places.names), "places", published))


def _known(table: dict[str, str], model: str, otherwise: str) -> str:
    return next((said for start, said in table.items() if model.startswith(start)), otherwise)


def read_places(path: Path, template: str) -> Places:
    """Return the places of a CSV file with columns name, and optionally prompt, latitude and longitude.

    Args:
        path: of the file; rows of one name are prompts of one place, whose first coordinates count.
        template: prompt of a row without one; `{name}` stands for its name.

    Raises:
        ValueError: there is no such file, it has no names, or only some places have coordinates.
    """
    if not path.is_file():
        raise ValueError(f"--prompts {path}: there is no such file; give a CSV file with a column name, a place a row")
    # 'NA' is Namibia: no text may turn into a missing value.
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(
            f"--prompts {path} is not a CSV file that can be read ({' '.join(str(error).split())}): write it as UTF-8 with commas"
        ) from None
    if "name" not in table or not len(table):
        lacks = "has no rows" if "name" in table else f"has no column name, only {', '.join(map(str, table))}"
        raise ValueError(
            f"--prompts {path} {lacks}: give a column name, a place a row, and, where wanted, a column prompt"
        )
    if not (named := table["name"].str.strip() != "").all():
        raise ValueError(
            f"--prompts {path} has no name in row {int((~named).argmax()) + 2}: name the place, or remove the row"
        )
    written = table["prompt"] if "prompt" in table else pd.Series([""] * len(table))
    prompt = [text or template.replace("{name}", name) for text, name in zip(written, table["name"], strict=True)]
    first = table.drop_duplicates("name")
    by_name: dict[str, list[str]] = {name: [] for name in first["name"]}
    for name, text in zip(table["name"], prompt, strict=True):
        by_name[name].append(text)
    return Places(list(by_name), list(by_name.values()), _coordinates(path, first))


def _coordinates(path: Path, table: pd.DataFrame) -> NDArray[np.float64] | None:
    if not {"latitude", "longitude"} <= set(table):
        return None
    points = table[["latitude", "longitude"]].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    known = np.isfinite(points).all(axis=1)
    if not known.any():
        return None
    if not known.all():
        raise ValueError(
            f"--prompts {path}: {table['name'][~known].iloc[0]} has no coordinates: give them for all places or none"
        )
    check_latlon(points[:, 0], points[:, 1])
    return points


def place_cells(config: ClipConfig, places: Places) -> tuple[Places, Cells]:
    """Return the cells that places belong to, and those of the places that belong to one.

    Raises:
        ValueError: places have no coordinates and are to be cells of something else than countries, or none is known.
    """
    flags: dict[str, Any] = {"levels": config.levels, "clusters": config.clusters, "countries": config.countries}
    given = {flag: value for flag, value in flags.items() if value is not None}
    known = places.latlon_deg
    if known is None and config.partition != "admin":
        raise ValueError(
            f"--prompts {config.prompts} has no coordinates, so its places are countries: leave out --partition "
            f"{config.partition}, or add the columns latitude and longitude"
        )
    partition = build_partition(config.partition, np.zeros((0, 2)) if known is None else known, **given)
    if known is not None:
        return places, Cells.of(partition, known)
    assert isinstance(partition, AdminPartition), "the others take coordinates"
    number = {text: k for k, text in enumerate(partition.texts[0].tolist())}
    codes = [match_country(name).alpha2 for name in places.names]
    kept = [k for k, code in enumerate(codes) if code in number]
    if left := [name for name, code in zip(places.names, codes, strict=True) if code not in number]:
        log.warning(
            "names left out: %d of %d, such as %s: not a country's name, or one too small for the shipped table "
            "(--countries reads Natural Earth's file)",
            len(left),
            len(codes),
            left[0],
        )
    if not kept:
        raise ValueError(
            f"--prompts {config.prompts}: none of its {len(codes)} names is a country's, such as {places.names[0]!r}: name "
            "countries, or add the columns latitude and longitude"
        )
    keys = np.array([[number[codes[k]]] for k in kept], dtype=np.int64)
    hierarchy = without_photographs(build_hierarchy(partition, partition.places_in(keys[:, 0]), keys=keys))
    return places.rows(kept), Cells.of_classes(hierarchy, hierarchy.classes_of_keys(keys)[:, -1])


def embed(clip: ClipFiles, prompts: list[list[str]]) -> tuple[Tensor, Tensor]:
    """Return the (places, width) normalised embeddings of the prompts of places, and the log of CLIP's logit scale.

    Raises:
        ValueError: the folder does not hold a whole CLIP.
    """
    try:
        from transformers import AutoTokenizer, CLIPTextModelWithProjection, logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        tokenizer = AutoTokenizer.from_pretrained(clip.folder)
        tower = CLIPTextModelWithProjection.from_pretrained(clip.folder).eval()
    except ImportError:
        raise ValueError("import clip needs its package: pip install transformers") from None
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"{clip.folder} is not a whole CLIP with its tokenizer ({reason}): copy all of its files"
        ) from None
    scale = read_state(clip.folder / next(iter(clip.sha256))).get("logit_scale")
    if scale is None:
        raise ValueError(f"{clip.folder} has no logit_scale: it is a part of a CLIP, copy the whole model")
    texts = [text for own in prompts for text in own]
    owner = torch.repeat_interleave(torch.tensor([len(own) for own in prompts]))
    batches = [texts[start : start + AT_ONCE] for start in range(0, len(texts), AT_ONCE)]
    found = []
    with torch.inference_mode():
        for batch in progress(batches, "embedding prompts", "batch", len(batches)):
            tokens = tokenizer(batch, padding=True, truncation=True, return_tensors="pt")
            found.append(F.normalize(tower(**tokens).text_embeds, dim=1))
        every = torch.cat(found)
        means = torch.zeros(len(prompts), every.shape[1]).index_add_(0, owner, every)
        return F.normalize(means, dim=1).clone(), scale.detach().clone()
