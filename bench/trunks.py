"""Pictures a second that trunks turn into features, and what a real model costs by these rates (docs/real-model.md).

Random weights of the real networks: they compute as fast as published ones. Precisions are measured in turn, in one run.
`--costs` writes the table of docs/real-model.md.
"""

import argparse
import importlib.util
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from bench.report import write_results
from infer.network.devices import activation_dtype, autocast, pick_device
from infer.network.libraries.hugging_face import build as build_tower
from infer.network.transform import InputTransform
from infer.network.trunks import build_trunk

PAGE = Path(__file__).parents[1] / "docs" / "real-model.md"
BEGIN, END = "<!-- costs -->", "<!-- /costs -->"
PICTURES = 55_000
LARGE = {"image_size": 224, "patch_size": 14, "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24}
BASE = {"image_size": 224, "patch_size": 16, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12}
TOWERS: dict[str, dict[str, Any]] = {
    "CLIP ViT-L/14": {
        "class": "CLIPVisionModelWithProjection",
        "config": {"model_type": "clip_vision_model", **LARGE, "num_attention_heads": 16, "projection_dim": 768},
        "output": "image_embeds",
    },
    "SigLIP 2 B/16": {
        "class": "SiglipVisionModel",
        "config": {"model_type": "siglip_vision_model", **BASE, "num_attention_heads": 12},
        "output": "pooler_output",
    },
}
"""Vision towers of transformers by their published configurations."""
ARCHES = {
    "EfficientNet-Lite0": ("timm:tf_efficientnet_lite0", 224),
    "ResNet-50": ("resnet50", 224),
    "DINOv2 S/14": ("timm:vit_small_patch14_dinov2.lvd142m", 224),
}
"""Trunks by their name, and the size of their pictures."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--costs", action="store_true", help="write the table of docs/real-model.md")
    flags = parser.parse_args()
    device = pick_device(flags.device)
    rows = [row for name in (*ARCHES, *TOWERS) if (row := measured(name, device, flags.batch, flags.repeats))]
    rows.append(decoding(flags.repeats))
    write_results("trunks", rows)
    if flags.costs:
        write_costs(rows)


def measured(name: str, device: torch.device, batch: int, repeats: int) -> dict[str, Any] | None:
    """Return how many pictures a second a trunk turns into features, by precision; None where its library is absent."""
    if not importlib.util.find_spec("transformers" if name in TOWERS else "timm"):
        return None
    arch, size = ARCHES.get(name, (name, 224))
    trunk = build_tower(name, size, TOWERS[name]) if name in TOWERS else build_trunk(arch, size)
    module = trunk.module.eval().to(device).to(memory_format=torch.channels_last)
    images = torch.randn(batch, 3, size, size, device=device).contiguous(memory_format=torch.channels_last)
    # Emulated, bfloat16 is slower by far than float32 and says nothing.
    known = ["float32"] + ["bfloat16"] * (activation_dtype("auto", device) == torch.bfloat16)
    times: dict[str, list[float]] = {precision: [] for precision in known}
    with torch.inference_mode():
        for _ in range(repeats + 1):
            for precision, seconds in times.items():
                with autocast(device, precision):
                    started_at = time.perf_counter()
                    module(images)
                    if device.type == "cuda":
                        torch.cuda.synchronize()
                seconds.append(time.perf_counter() - started_at)
    rates = {precision: batch / statistics.median(seconds[1:]) for precision, seconds in times.items()}
    return {"what": name, "size": size, "width": trunk.width, "device": device.type, "bfloat16": 0.0, **rates}


def decoding(repeats: int) -> dict[str, Any]:
    """Return how many stored pictures a second one core decodes and resizes."""
    import io

    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)).resize((683, 512))
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=90)
    transform = InputTransform(resize="shorter", interpolation="bicubic", backend="pillow")
    times = []
    for _ in range(repeats + 1):
        started_at = time.perf_counter()
        for _ in range(50):
            transform.pixels(content.getvalue())
        times.append((time.perf_counter() - started_at) / 50)
    rate = 1 / statistics.median(times[1:])
    return {"what": "decoding, one core", "size": 224, "width": 0, "device": "cpu", "bfloat16": 0.0, "float32": rate}


def write_costs(rows: list[dict[str, Any]]) -> None:
    """Write the table of costs into the page on a real model."""
    lines = [
        "| trunk | features | pictures a second, float32 | bfloat16 | hours for all features |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        if row["width"]:
            best = max(row["float32"], row["bfloat16"])
            reduced = f"{row['bfloat16']:.1f}" if row["bfloat16"] else "not computed in"
            lines.append(
                f"| {row['what']}, {row['size']} px, {row['device']} | {row['width']:,} | {row['float32']:.1f} | "
                f"{reduced} | {PICTURES / best / 3600:.1f} |"
            )
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
