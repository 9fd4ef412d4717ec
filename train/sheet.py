"""A sheet of training pictures: each as the network sees it, and as single epochs learn it, by the code of training itself."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torchvision.transforms import v2

from dataset.images import Pictures
from dataset.manifest import read_manifest
from infer.network.transform import InputTransform
from infer.network.trunks import choose_trunk
from infer.network.weights import load_network
from infer.run_files import network_files
from label_maps.files import read_hierarchy
from plumbing.evenly import evenly
from plumbing.files import atomic_path
from plumbing.text import counted
from train.config import TrainConfig
from train.data import LabelledPhotos, PixelSource, augmentation
from train.parts_config import AugmentConfig
from train.refine_config import RefineConfig
from train.sheet_config import AUGMENTATIONS, AugmentationsConfig

log = logging.getLogger(__name__)

LEAST_SIDE = 128
"""Smaller pictures are drawn enlarged, pixel by pixel."""
GAP, LINE, TEXT = 6, 20, 13
"""Between pictures, height of a line of text, and its size, in pixels."""
SOFT = (90, 98, 106)


def main(config: AugmentationsConfig) -> None:
    """Write the sheet."""
    training = config.training
    out = config.sheet.out or training.run / AUGMENTATIONS
    if not out.parent.is_dir():
        raise ValueError(
            f"{out.parent} is not a folder: name a run folder that `python -m label_maps build` made, or --out"
        )
    transform = _transform(training)
    change = augmentation(training.augment, transform.size)
    if change is None:
        raise ValueError("these flags change no picture at random: every --augment flag is at nothing")
    photos = read_manifest(training.data)
    photos = photos[photos["split"] == "train"].reset_index(drop=True)
    if not len(photos):
        raise ValueError(f"{training.data} has no training photographs")
    source = PixelSource(_unlabelled(training.data, photos), transform, training.seed)
    rows = evenly(list(range(len(photos))), config.sheet.photographs)
    cells = variants(source, change, rows, config.sheet.variants)
    sheet = drawn(cells, [_credit(photos.iloc[row]) for row in rows], caption(training.augment))
    with atomic_path(out) as partial:
        sheet.save(partial, "PNG" if out.suffix.lower() == ".png" else "JPEG", quality=90, optimize=True)
    of_each = counted(config.sheet.variants, "variant")
    log.info(f"{out} shows {counted(len(rows), 'training photograph')}, {of_each} of each")


def _transform(training: TrainConfig) -> InputTransform:
    """Return how the network that is trained sees pictures; a refiner sees them as the run's own network does."""
    if isinstance(training, RefineConfig):
        return load_network(network_files(training.run, read_hierarchy(training.run))[-1])[1].transform
    return choose_trunk(training.arch, training.weights, training.image_size, training.resize).transform


def variants(source: PixelSource, change: v2.Transform, rows: list[int], count: int) -> NDArray[np.uint8]:
    """Return (rows, 1 + count, 3, size, size) pixels: of each photograph first unchanged, then as epochs 1 to count learn it."""
    found = []
    for row in rows:
        source.augment = None
        plain = source[(0, row)][1]
        source.augment = change
        found.append(torch.stack([plain, *(source[(epoch, row)][1] for epoch in range(count))]))
    return torch.stack(found).numpy()


def drawn(cells: NDArray[np.uint8], credits: list[str], said: str) -> Image.Image:
    """Return a sheet of (rows, columns, 3, size, size) pixels, with a line of text below each row and one below all."""
    count, columns, _, size, _ = cells.shape
    side = size * -(-LEAST_SIDE // size)
    width = GAP + columns * (side + GAP)
    sheet = Image.new("RGB", (width, LINE + count * (side + LINE) + LINE), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(TEXT)
    heads = ["as validated", *(f"epoch {k}" for k in range(1, columns))]
    for column, head in enumerate(heads):
        draw.text((GAP + column * (side + GAP), 3), head, "black", font)
    for row in range(count):
        top = LINE + row * (side + LINE)
        for column in range(columns):
            picture = Image.fromarray(np.ascontiguousarray(cells[row, column].transpose(1, 2, 0)))
            enlarged = picture.resize((side, side), Image.Resampling.NEAREST)
            sheet.paste(enlarged, (GAP + column * (side + GAP), top))
        draw.text((GAP, top + side + 2), _fitting(credits[row], width - 2 * GAP, font), SOFT, font)
    draw.text((GAP, sheet.height - LINE + 2), _fitting(said, width - 2 * GAP, font), "black", font)
    return sheet


def caption(augment: AugmentConfig) -> str:
    """Return the random changes in words."""
    parts = [f"crop of {augment.crop_scale:.0%} to 100% of the area"] if augment.crop_scale < 1 else []
    named = (("flip", augment.flip), ("vertical flip", augment.vertical_flip), ("grayscale", augment.grayscale))
    parts += [f"{name} with probability {value:g}" for name, value in named if value]
    parts += [f"rotation up to {augment.rotation_deg:g} degrees"] if augment.rotation_deg else []
    parts += [f"brightness, contrast and saturation up to {augment.color_jitter:.0%}"] if augment.color_jitter else []
    parts += [f"hue up to {augment.hue:.0%}"] if augment.hue else []
    mixed = [name for name, alpha in (("CutMix", augment.cutmix), ("MixUp", augment.mixup)) if alpha]
    parts += [f"{' and '.join(mixed)} of whole batches, not shown"] if mixed else []
    return "; ".join(parts)


def _unlabelled(data: Path, photos: pd.DataFrame) -> LabelledPhotos:
    count = len(photos)
    return LabelledPhotos(Pictures.of_dataset(data, photos), np.zeros((count, 2)), np.zeros((count, 1), dtype=np.int64))


def _credit(photo: pd.Series) -> str:
    """Return the id of a photograph, and whose it is under which licence, where the manifest says so."""
    known = [photo.get(name) for name in ("id", "creator", "licence")]
    return ", ".join(str(text) for text in known if isinstance(text, str) and text)


def _fitting(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Return a text, cut short where it is wider than so many pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"
