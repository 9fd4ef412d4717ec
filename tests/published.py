"""A random CLIP as a folder of transformers, for tests of published models."""

from pathlib import Path

import torch


def random_clip(folder: Path, projection: int = 32, seed: int = 0) -> Path:
    """Write a CLIP with random weights: vision tower of two layers, its image processor, text tower and tokenizer."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    torch.manual_seed(seed)
    text = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": 2}
    vision = {"hidden_size": 48, "intermediate_size": 96, "num_attention_heads": 4, "num_hidden_layers": 2}
    config = CLIPConfig(
        projection_dim=projection,
        text_config={**text, "vocab_size": 600, "projection_dim": projection, "bos_token_id": 0, "eos_token_id": 1},
        vision_config={**vision, "patch_size": 32, "projection_dim": projection},
    )
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessor().save_pretrained(folder)
    return folder
