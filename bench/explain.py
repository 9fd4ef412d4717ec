"""Whether explanations point at what makes the difference, in ten pairs of pictures of the demo planet.

`python -m bench.explain --data data/demo --run runs/demo` draws scenes that nobody trained on, changes one clue of each and
nothing else, and asks the run why it answers the first picture's cell and not the second's.

The pairs are chosen by rule, not by success. Scenes come in the order of their number; each clue of `CLUES` takes the first two
in which changing it by half its range changes the best cell to one elsewhere, in which either picture is at least `DECISIVE`
nats (e to one) more for its own cell than for the other, and in which no other clue, changed likewise, moves the odds between
these cells as far: so it is this clue that separates them. (The density of trees is not tried: with it, everything drawn later
moves.)

A pair is `found` when the hottest pixel of the first picture's heat map lies in the box around the pixels that differ, `MARGIN`
pixels wider; `by_chance` is the share of the picture that the box takes. `mass_in_box` is the share of the positive heat in it.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.report import write_results
from dataset.manifest import DATASET
from fetch.demo import scenes
from fetch.demo.dataset import Planet, make_planet
from fetch.demo.planet import NAMES
from geocells.sphere import distance_km
from infer.explain.occlusion import APART_KM, contrast, heat_map
from infer.model import Model, load_model
from plumbing.files import read_json
from plumbing.progress import progress

CLUES = ("sign_colour", "pole_colour", "bollard_colour", "line_colour", "wall_colour")
EACH = 2
SCENES, JOURNEYS = 4000, 8
"""Scenes of one set of journeys, and how many sets at most are searched."""
DECISIVE = 1.0
DIFFERS = 4
"""Levels of 255 by which a pixel differs."""
MARGIN = 2
PLACES_SEED = 90_210
"""Of journeys that no dataset of the demo planet was made of by default."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Two pictures that differ in one clue, and the best cell of each.

    Attributes:
        clue: which.
        scene: its number.
        pixels: (2, 3, size, size) uint8.
        cells: of the finest level.
        odds: in nats, of the first cell over the second, in each picture.
    """

    clue: str
    scene: int
    pixels: Tensor
    cells: tuple[int, int]
    odds: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Scene:
    """A scene of the demo planet that can be drawn with one clue changed and all else equal."""

    planet: Planet
    row: int
    number: int
    look: tuple[int, int]
    size: int

    @property
    def clues(self) -> dict[str, float]:
        """Return the value of each clue; NaN where it is not in view."""
        return dict(zip(NAMES, self.planet.shown[self.row].tolist(), strict=True))

    def pixels(self, model: Model, changed: str | None) -> Tensor:
        """Return what a network sees of the scene, one clue changed by half its range."""
        clues = self.clues
        if changed is not None:
            # Which side people drive on is 0 or 1.
            clues[changed] = 1 - clues[changed] if changed == "driving_side" else (clues[changed] + 0.5) % 1
        picture = scenes.paint(clues, self.look, self.size, float(self.planet.places.sun_hour[self.row]))
        return model.transform.from_picture(picture)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--places-seed", type=int, default=PLACES_SEED)
    flags = parser.parse_args()
    model = load_model(flags.run, torch.device("cpu"))
    settings = read_json(flags.data / DATASET)["settings"]
    found = [row(model, pair) for pair in pairs(model, settings["seed"], settings["size"], flags.places_seed)]
    print(f"{sum(r['found'] for r in found)} of {len(found)} found; {sum(r['by_chance'] for r in found):.1f} by chance")
    write_results("explain", found)


def pairs(model: Model, seed: int, size: int, places_seed: int) -> Iterator[Pair]:
    """Yield the pairs, clue by clue."""
    for clue in CLUES:
        tried = (decided(model, scene, clue) for scene in scenes_with(clue, seed, size, places_seed))
        yield from islice((pair for pair in progress(tried, f"scenes with {clue}", "scene") if pair is not None), EACH)


def scenes_with(clue: str, seed: int, size: int, places_seed: int) -> Iterator[Scene]:
    """Yield the scenes that show a clue and have no flaw, journeys after journeys."""
    for more in range(JOURNEYS):
        planet = make_planet(seed, SCENES, places_seed + more)
        for row in np.flatnonzero(~np.isnan(planet.shown[:, NAMES.index(clue)]) & (planet.flaw == "")).tolist():
            yield Scene(planet, row, more * SCENES + row, (places_seed + more, int(planet.look[row])), size)


def decided(model: Model, scene: Scene, clue: str) -> Pair | None:
    """Return the pair of a scene if the clue is what separates its two best cells."""
    pixels = torch.stack([scene.pixels(model, changed) for changed in (None, clue)])
    cells = model.posterior(model.logits(pixels))[-1].argmax(dim=1).tolist()
    centers = model.hierarchy.center_deg[model.hierarchy.rows(model.hierarchy.depth - 1)]
    with_it, changed = contrast(model, pixels.float(), *cells).tolist()
    if distance_km(*centers[cells]) <= APART_KM or with_it < DECISIVE or changed > -DECISIVE:
        return None
    others = torch.stack([scene.pixels(model, other) for other in scene.clues if other not in (clue, "tree_density")])
    if float(contrast(model, others.float(), *cells).min()) <= changed:
        return None
    return Pair(clue, scene.number, pixels, (cells[0], cells[1]), (with_it, changed))


def row(model: Model, pair: Pair) -> dict[str, Any]:
    """Return how well the explanation of a pair's first picture points at what differs."""
    heat = heat_map(model, pair.pixels[0], *pair.cells)
    differs = (pair.pixels[0].int() - pair.pixels[1].int()).abs().amax(dim=0).numpy() > DIFFERS
    box = around(differs, MARGIN)
    positive = heat.clip(0)
    return {
        "clue": pair.clue,
        "scene": pair.scene,
        "nats_with": round(pair.odds[0], 2),
        "nats_changed": round(pair.odds[1], 2),
        "by_chance": round(float(box.mean()), 3),
        "found": bool(box.flat[heat.argmax()]),
        "mass_in_box": round(float(positive[box].sum() / max(positive.sum(), 1e-12)), 3),
    }


def around(differs: NDArray[np.bool_], margin: int) -> NDArray[np.bool_]:
    """Return the box around all marked pixels, `margin` pixels wider on each side."""
    box = np.zeros_like(differs)
    (top, left), (bottom, right) = (edge(np.argwhere(differs), axis=0) for edge in (np.min, np.max))
    box[max(0, top - margin) : bottom + margin + 1, max(0, left - margin) : right + margin + 1] = True
    return box


if __name__ == "__main__":
    main()
