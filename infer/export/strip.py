"""Copies of photographs without metadata; the originals are never touched."""

from pathlib import Path

from plumbing.files import atomic_path
from plumbing.images import open_rgb
from plumbing.picture_kinds import open_picture

KEPT = (0xEE,)
"""Application segments of a JPEG that its colours need (Adobe's); the others can say where and by whom it was taken."""


def write_stripped(photo: Path, out: Path, stem: str = "") -> Path:
    """Write a copy without any metadata into a folder and return it; it keeps its stem unless another is given.

    An upright JPEG keeps its pixels to the bit. Anything else is decoded, turned upright and stored as PNG.

    Raises:
        ValueError: it cannot be decoded.
    """
    content = photo.read_bytes()
    plain = _jpeg_pixels(content) if content[:2] == b"\xff\xd8" and _is_upright(photo) else None
    path = out / f"{stem or photo.stem}{'.jpg' if plain else '.png'}"
    if path.resolve() == photo.resolve():
        raise ValueError(f"{photo} would be overwritten by its copy: choose another --out")
    picture = None if plain else open_rgb(photo)
    with atomic_path(path) as partial:
        if plain:
            partial.write_bytes(plain)
        elif picture is not None:
            picture.save(partial, "PNG")
    return path


def _is_upright(photo: Path) -> bool:
    try:
        with photo.open("rb") as file, open_picture(file, photo.name) as picture:
            return bool(picture.getexif().get(0x0112, 1) == 1)
    # What damage makes the parser raise is not a closed list.
    except Exception:
        return True


def _jpeg_pixels(content: bytes) -> bytes | None:
    """Return a JPEG without its application segments and comments, and nothing behind its end; None if it is torn."""
    kept, place = [content[:2]], 2
    while place + 4 <= len(content):
        if content[place] != 0xFF:
            return None
        marker = content[place + 1]
        if marker == 0xD9:
            return b"".join([*kept, content[place : place + 2]])
        if marker == 0xFF:
            place += 1
            continue
        end = place + 2 + int.from_bytes(content[place + 2 : place + 4])
        if marker == 0xDA:
            end = _scan_end(content, end)
        if marker in KEPT or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            kept.append(content[place:end])
        place = end
    return b"".join([*kept, content[place : place + 2]]) if content[place : place + 2] == b"\xff\xd9" else None


def _scan_end(content: bytes, start: int) -> int:
    """Return where the compressed pixels that begin at `start` end: at a marker that is not a restart or stuffed byte."""
    while 0 <= (found := content.find(b"\xff", start)) < len(content) - 1:
        if content[found + 1] != 0 and not 0xD0 <= content[found + 1] <= 0xD7:
            return found
        start = found + 2
    return len(content)
