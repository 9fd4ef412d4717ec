"""Which files are photographs: one list for all commands, told by content and not by name."""

from functools import cache
from pathlib import Path
from typing import IO

from PIL import Image, UnidentifiedImageError

PICTURE_SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".avif", ".heic", ".heif", ".hif", ".bmp", ".tif", ".tiff", ".gif",
})  # fmt: skip
"""Endings of photographs; a file with another ending, or none, is one where its content says so."""
RAW_SUFFIXES = frozenset({
    ".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".raf", ".orf", ".rw2", ".rwl", ".pef", ".srw",
    ".x3f", ".3fr", ".fff", ".iiq", ".mos", ".mrw", ".kdc", ".dcr", ".erf", ".mef", ".gpr",
})  # fmt: skip
"""Endings of what a sensor recorded. Many are TIFF by content, of which only a small preview would be read."""
VIDEO_SUFFIXES = frozenset(
    {".mov", ".mp4", ".m4v", ".avi", ".mkv", ".webm", ".3gp", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv"}
)

UNSTITCHED_SUFFIXES = frozenset({".insp", ".insv", ".360"})
"""Endings of what cameras with two fish eyes write before it is stitched: JPEG and MP4 by content."""

HEIF, AVIF, RAW, VIDEO, UNSTITCHED = "HEIC", "AVIF", "RAW", "video", "unstitched 360-degree"
JPEG_XL, JPEG_2000, PHOTOSHOP = "JPEG XL", "JPEG 2000", "Photoshop"
DECODERS = {
    "JPEG": "JPEG", "PNG": "PNG", "GIF": "GIF", "BMP": "BMP", "TIFF": "TIFF", "WebP": "WEBP", AVIF: "AVIF", HEIF: "HEIF",
}  # fmt: skip
"""Kinds that are decoded, and how Pillow calls what decodes them. Nothing else that Pillow can read is ever tried: its rare
formats are where files from the internet find its faults."""
STARTS = (
    (b"\xff\xd8\xff", "JPEG"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"GIF87a", "GIF"), (b"GIF89a", "GIF"), (b"BM", "BMP"),
    (b"II\x2a\0", "TIFF"), (b"MM\0\x2a", "TIFF"), (b"II\x2b\0", "TIFF"), (b"MM\0\x2b", "TIFF"), (b"MM\x2a\0", "TIFF"),
    (b"II\0\x2a", "TIFF"), (b"FUJIFILMCCD-RAW", RAW), (b"IIRO", RAW), (b"IIRS", RAW), (b"MMOR", RAW), (b"IIU\0", RAW),
    (b"FOVb", RAW), (b"\xff\x0a", JPEG_XL), (b"\0\0\0\x0cJXL ", JPEG_XL), (b"\x1a\x45\xdf\xa3", VIDEO),
    (b"\0\0\0\x0cjP  ", JPEG_2000), (b"\xff\x4f\xff\x51", JPEG_2000), (b"8BPS", PHOTOSHOP),
)  # fmt: skip
HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})
AVIF_BRANDS = frozenset({b"avif", b"avis"})
HEAD_BYTES = 64

AN = (AVIF, UNSTITCHED)
ADVICE = {
    HEIF: "install pillow-heif (`pip install pillow-heif`), or convert it to JPEG",
    AVIF: "install Pillow 11.3 or newer, or convert it to JPEG",
    RAW: "develop it to JPEG, or take its preview: `exiftool -b -JpgFromRaw -w %f.jpg FILE` (DNG, CR3: -PreviewImage)",
    VIDEO: "take photographs out of it, such as with `ffmpeg -i FILE -r 1 %04d.jpg`",
    UNSTITCHED: "export it from the program of the camera as an equirectangular JPEG or MP4",
    JPEG_XL: "convert it to JPEG (`djxl FILE FILE.jpg`)",
    JPEG_2000: "convert it to JPEG (`magick FILE FILE.jpg`)",
    PHOTOSHOP: "save it as JPEG",
}
"""What to do about a kind that cannot be read."""


def kind_of(head: bytes) -> str:
    """Return the kind of file that begins with some bytes, '' where it is none that is known: `JPEG`, `HEIC`, `video`."""
    if head[4:8] == b"ftyp":
        return _kind_of_brands(head)
    if head[:4] == b"RIFF":
        return {b"WEBP": "WebP", b"AVI ": VIDEO}.get(head[8:12], "")
    if head[:4] == b"II\x2a\0" and head[8:10] == b"CR":
        return RAW
    return next((kind for start, kind in STARTS if head.startswith(start)), "")


def _kind_of_brands(head: bytes) -> str:
    """Return the kind of a file of ISO media, by its brand and those that it is compatible with."""
    end = max(16, min(int.from_bytes(head[:4]), len(head)))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))]
    if brands[0] == b"crx ":
        return RAW
    if AVIF_BRANDS.intersection(brands):
        return AVIF
    return HEIF if HEIF_BRANDS.intersection(brands) else VIDEO


def kind_of_file(path: Path) -> str:
    """Return the kind of a file by its content, RAW by its ending too; '' where it is none, or cannot be read."""
    if path.suffix.lower() in RAW_SUFFIXES:
        return RAW
    try:
        with path.open("rb") as file:
            return kind_of(file.read(HEAD_BYTES))
    except OSError:
        return ""


@cache
def decoder(kind: str) -> str:
    """Return what Pillow calls the decoder of a kind; '' where there is none here."""
    if kind == HEIF:
        _add_heif()
    name = DECODERS.get(kind, "")
    if name not in Image.OPEN:
        Image.init()
    return name if name in Image.OPEN else ""


def _add_heif() -> None:
    try:
        import pillow_heif
    except ImportError:
        return
    pillow_heif.register_heif_opener(thumbnails=False)


def open_picture(file: IO[bytes], name: str) -> Image.Image:
    """Open a picture by the one decoder of its kind; no pixel is decoded.

    Args:
        file: at its start, stays open as long as the picture is used.
        name: by what messages call it.

    Raises:
        ValueError: it is of a kind that is not read; the message says which kind and what to do.
        Exception: whatever a decoder makes of a damaged file.
    """
    head = file.read(HEAD_BYTES)
    file.seek(0)
    kind = kind_of(head)
    if kind in DECODERS and Path(name).suffix.lower() in RAW_SUFFIXES:
        kind = RAW
    if kind in DECODERS and Path(name).suffix.lower() in UNSTITCHED_SUFFIXES:
        kind = UNSTITCHED
    if kind in DECODERS and (own := decoder(kind)):
        try:
            return Image.open(file, formats=(own,))
        except UnidentifiedImageError:
            raise ValueError(f"its beginning is not that of a whole {kind} file") from None
    if kind:
        raise UnreadKindError(
            f"{name} is {'an' if kind in AN else 'a'} {kind} file, which is not read here: {ADVICE[kind]}"
        )
    if not head:
        raise UnreadKindError(f"{name}: the file is empty (0 bytes)")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise UnreadKindError(f"{name}: a web page or other marked-up text, not a picture: download the picture again")
    if head.startswith((b"PK\3\4", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b")):
        raise UnreadKindError(f"{name}: an archive, not a picture: unpack it, then name the folder")
    if head.startswith(b"version https://git-lfs"):
        raise UnreadKindError(f"{name}: a pointer of Git LFS, not the picture: run `git lfs pull` where it comes from")
    if not any(head):
        raise UnreadKindError(
            f"{name}: it begins with nothing but zeros: a copy that was never finished? Copy it again"
        )
    raise UnreadKindError(f"{name}: not a picture that can be read (is it another kind of file?)")


class UnreadKindError(ValueError):
    """A file is of a kind that is not read."""
