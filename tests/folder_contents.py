"""What the files of two folders say, compared: recorded times left out, whatever way they are stored."""

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from safetensors import safe_open

TIMES = {
    "created_at_utc",
    "started_at_utc",
    "answered_at_utc",
    "evaluated_at_utc",
    "calibrated_at_utc",
    "trained_at_utc",
    "photos_per_second",
    "seconds",
    "epoch_s",
    "time_s",
    "resume",
}
"""Keys of JSON and of metadata that say when something was done, how fast, or whether it was continued."""
PACKED = re.compile(rb'"(eN[\w+/]{20,}={0,2})"')
"""What pages carry for downloads: compressed, in base64."""
WHEN = re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?")


def contents(folder: Path) -> dict[str, str]:
    """Return a digest of what each file says, times left out, by its path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(_said(path)).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _said(path: Path) -> bytes:
    try:
        return READERS.get(path.suffix, Path.read_bytes)(path)
    except ValueError:
        return path.read_bytes()


def _json(path: Path) -> bytes:
    return _dumped(json.loads(path.read_bytes()))


def _json_lines(path: Path) -> bytes:
    return b"\n".join(_dumped(json.loads(line)) for line in path.read_bytes().splitlines())


def _dumped(value: Any) -> bytes:
    return json.dumps(_timeless(value), sort_keys=True).encode()


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _timeless(v) for k, v in value.items() if k not in TIMES}
    return [_timeless(v) for v in value] if isinstance(value, list) else value


def _parquet(path: Path) -> bytes:
    table = pq.read_table(path)
    about = {k.decode(): v.decode(errors="replace") for k, v in (table.schema.metadata or {}).items()}
    kept = [name for name in table.column_names if name not in TIMES]
    return _dumped({"about": about, "columns": kept}) + str(table.select(kept).to_pylist()).encode()


def _tensors(path: Path) -> bytes:
    with safe_open(path, "np") as file:
        about = {k: v for k, v in (file.metadata() or {}).items() if k not in TIMES}
    content = path.read_bytes()
    return _dumped(about) + content[8 + int.from_bytes(content[:8], "little") :]


def _page(path: Path) -> bytes:
    def unpacked(found: re.Match[bytes]) -> bytes:
        content = zlib.decompress(base64.b64decode(found[1]))
        return _dumped(json.loads(content)) if content[:1] == b"{" else content

    return WHEN.sub(b"", PACKED.sub(unpacked, path.read_bytes()))


def _checkpoint(path: Path) -> bytes:
    import torch

    digest = hashlib.sha256()

    def read(value: Any, at: str) -> None:
        if isinstance(value, torch.Tensor):
            digest.update(f"{at} {value.dtype} {tuple(value.shape)} ".encode() + value.numpy().tobytes())
        elif isinstance(value, dict | list | tuple):
            for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
                if key not in TIMES:
                    read(inner, f"{at}/{key}")
        else:
            digest.update(f"{at} {value!r} ".encode())

    read(torch.load(path, weights_only=True), "")
    return digest.digest()


READERS: dict[str, Callable[[Path], bytes]] = {
    ".json": _json,
    ".jsonl": _json_lines,
    ".parquet": _parquet,
    ".pt": _checkpoint,
    ".html": _page,
    ".safetensors": _tensors,
}


def differences(wanted: dict[str, str], found: dict[str, str]) -> list[str]:
    """Return in what two folders differ, as words."""
    return [
        *(f"{name} is missing" for name in sorted(wanted.keys() - found.keys())),
        *(f"{name} is left over" for name in sorted(found.keys() - wanted.keys())),
        *(f"{name} differs" for name in sorted(wanted.keys() & found.keys()) if wanted[name] != found[name]),
    ]
