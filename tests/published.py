"""A random CLIP as a folder of transformers, for tests of published models."""

import json
from pathlib import Path

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
