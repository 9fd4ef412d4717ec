"""A random CLIP as a folder of transformers, for tests of published models."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

SPECIAL = {"bos_token_id": 512, "eos_token_id": 513, "pad_token_id": 513}


def random_clip(folder: Path, projection: int = 32, seed: int = 0) -> Path:
    """Write a CLIP with random weights: vision tower of two layers, its image processor, text tower and tokenizer."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

    torch.manual_seed(seed)
    text = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": 2}
    vision = {"hidden_size": 48, "intermediate_size": 96, "num_attention_heads": 4, "num_hidden_layers": 2}
    config = CLIPConfig(
        projection_dim=projection,
        text_config={**text, "vocab_size": 600, "projection_dim": projection, **SPECIAL},
        vision_config={**vision, "patch_size": 32, "projection_dim": projection},
    )
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessor().save_pretrained(folder)
    # A token for each letter, within a word and at its end.
    letters = sorted({chr(k) for k in range(33, 127)} | {chr(k) for k in range(161, 323)})
    vocabulary = [*letters, *(f"{letter}</w>" for letter in letters)][:512]
    vocabulary += [f"unused{k}" for k in range(512 - len(vocabulary))] + ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({text: k for k, text in enumerate(vocabulary)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer.from_pretrained(folder).save_pretrained(folder)
    return folder


VISION = {
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "patch_size": 32,
}
QUADTREE = (-90, -45, -10, 20, 55, 90)
"""Edges of bands of latitude; each band has four boxes."""


def osv5m_files(folder: Path, shared: bool = False) -> Path:
    """Write a quadtree of 20 cells and a checkpoint in the layout of the published hybrid model, with small layers.

    Args:
        folder: for quadtree.csv, model.safetensors and the config.json of its vision tower.
        shared: one sequence of layers for logits and offsets, as in older checkpoints, and not one for each.
    """
    import safetensors.torch
    from transformers import CLIPVisionConfig, CLIPVisionModel

    rng = np.random.default_rng(5)
    rows = ["cluster_id,min_lat,min_lon,max_lat,max_lon,mean_lat,mean_lon"]
    for south, north in pairwise(QUADTREE):
        for west in (-180, -90, 0, 90):
            lat, lon = rng.uniform((south + 5, west + 10), (north - 5, west + 80)).round(4)
            rows.append(f"{len(rows) - 1},{south},{west},{north},{west + 90},{lat},{lon}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "quadtree.csv").write_text("\n".join(rows) + "\n")
    config = CLIPVisionConfig(**VISION)
    config.save_pretrained(folder)
    state: dict[str, torch.Tensor] = {}
    for name, tensor in CLIPVisionModel(config).state_dict().items():
        # Drawn by numpy, whose numbers stay the same: answers of the published code for them are stored.
        kept = name if name.startswith("vision_model.") else f"vision_model.{name}"
        spread = 0.0 if name.endswith("position_ids") else 0.3
        drawn = rng.normal(0, spread, tensor.shape) + (1.0 if "norm" in name and name.endswith("weight") else 0.0)
        state[f"backbone.clip.{kept}"] = torch.from_numpy(drawn).float()
    ends = {"mlp": 60} if shared else {"classif": 20, "reg": 40}
    for branch, count in ends.items():
        sizes = {0: (48,), 1: (32, 48), 2: (32,), 4: (24, 32), 5: (24,), 7: (count, 24)}
        for number, shape in sizes.items():
            scale = rng.normal(1 if len(shape) == 1 else 0, 0.4, shape)
            state[f"mid.{branch}.{number}.weight"] = torch.from_numpy(scale).float()
            state[f"mid.{branch}.{number}.bias"] = torch.from_numpy(rng.normal(0, 0.4, shape[0])).float()
    safetensors.torch.save_file(state, folder / "model.safetensors")
    return folder


def noisy_pixels(count: int = 6) -> torch.Tensor:
    """Return (count, 3, 224, 224) uint8 pixels, each picture another."""
    rng = np.random.default_rng(9)
    tiles = rng.integers(0, 256, (count, 3, 7, 7))
    return torch.from_numpy(np.kron(tiles, np.ones((32, 32), dtype=np.int64)).astype(np.uint8))
