"""What spherical videos say of themselves, put into clips that tests write: boxes of MP4 that PyAV cannot write."""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

V1 = bytes.fromhex("ffcc8263f8554a938814587a02521fdd")
"""The UUID of the XML of Spherical Video V1."""
TRACK = ((b"moov", 0), (b"trak", 0))
SAMPLE = (*TRACK, (b"mdia", 0), (b"minf", 0), (b"stbl", 0), (b"stsd", 8), (b"avc1", 78))
"""Where boxes lie: those around them, and how many bytes of each stand before its own boxes."""


def write_sphere_clip(path: Path, pictures: Sequence[Image.Image], rate: int = 1) -> Path:
    """Write an MP4 of H.264 whose frames are some pictures, nearly without loss."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "10"})
        (stream.width, stream.height), stream.pix_fmt = pictures[0].size, "yuv420p"
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_image(picture)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def box(kind: bytes, body: bytes) -> bytes:
    """Return a box of ISO/IEC 14496-12."""
    return struct.pack(">I", 8 + len(body)) + kind + body


def said_by_xml(content: bytes, **fields: str) -> bytes:
    """Return an MP4 with Spherical Video V1 metadata, as most cameras write them."""
    required = {"Spherical": "true", "Stitched": "true", "StitchingSoftware": "a test"}
    given = {**required, "ProjectionType": "equirectangular", **fields}
    text = "".join(f"<GSpherical:{name}>{value}</GSpherical:{name}>" for name, value in given.items())
    spaces = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:GSpherical="http://ns.google.com/videos/1.0/spherical/"'
    xml = f'<?xml version="1.0"?><rdf:SphericalVideo {spaces}>{text}</rdf:SphericalVideo>'
    return with_box(content, TRACK, box(b"uuid", V1 + xml.encode()))


def said_by_sv3d(
    content: bytes,
    pitch: float = 0,
    roll: float = 0,
    crop: tuple[float, float, float, float] = (0, 0, 0, 0),
    stereo: int = 0,
    cube: bool = False,
) -> bytes:
    """Return an MP4 with Spherical Video V2 metadata; `crop` is the share lacking at the top, bottom, left and right."""
    pose = box(b"prhd", struct.pack(">I3i", 0, 0, round(pitch * 65536), round(roll * 65536)))
    bounds = box(b"equi", struct.pack(">5I", 0, *(round(share * 2**32) for share in crop)))
    projection = box(b"cbmp", bytes(12)) if cube else bounds
    header = box(b"svhd", bytes(4) + b"a test\0")
    boxes = box(b"st3d", struct.pack(">IB", 0, stereo)) + box(b"sv3d", header + box(b"proj", pose + projection))
    return with_box(content, SAMPLE, boxes)


def with_box(content: bytes, path: Sequence[tuple[bytes, int]], new: bytes) -> bytes:
    """Return an MP4 whose pictures come before their description, with boxes more at the end of the box of a path."""
    changed, around, start, end = bytearray(content), [], 0, len(content)
    for kind, before in path:
        at, size = next((at, size) for own, at, size in boxes_of(content, start, end) if own == kind)
        around.append((at, size))
        start, end = at + 8 + before, at + size
    changed[end:end] = new
    for at, size in around:
        changed[at : at + 4] = struct.pack(">I", size + len(new))
    return bytes(changed)


def boxes_of(content: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, place and size of the boxes between two places."""
    while start < end:
        size = int.from_bytes(content[start : start + 4])
        yield content[start + 4 : start + 8], start, size
        start += size
