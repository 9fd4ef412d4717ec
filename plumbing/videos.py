"""Frames and metadata of videos, through PyAV, which is optional: `pip install av`.

What is opened is the given file alone: ffmpeg is handed an open file and the one container format that its beginning shows, so
that no playlist or reference makes it open anything else, and decodes few common kinds of video.
"""

import contextlib
import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from PIL import Image

from plumbing.picture_kinds import ADVICE, HEAD_BYTES, UNSTITCHED, UNSTITCHED_SUFFIXES, VIDEO, kind_of
from plumbing.spherical import Spherical, eye_box, spherical_of

INSTALL = "it is a video, which PyAV reads: run `pip install av`, or take photographs out of it (`ffmpeg -i FILE -r 1 %04d.jpg`)"
CODECS = frozenset(
    {"h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "mpeg4", "mjpeg", "mpeg2video", "mpeg1video", "h263", "prores"}
)
"""Decoders that are used, as ffmpeg calls them. The hundreds of others are where files from the internet find its faults."""
MOST_FRAMES = 100
"""At most so many frames of a video are taken."""
MOST_MEGAPIXELS = 50
FRAME_SIDE = 1024
"""The longer side of a frame, at most."""
NEAR_S = 0.5
"""So far ahead, decoding on is no slower than looking for the next frame that stands alone."""
TURNS = {1: Image.Transpose.ROTATE_90, 2: Image.Transpose.ROTATE_180, 3: Image.Transpose.ROTATE_270}
"""What turns a frame upright, by quarters of a turn against the clock."""
ISO6709 = re.compile(r"^([-+])(\d{2,6}(?:\.\d+)?)([-+])(\d{3,7}(?:\.\d+)?)(?:[-+/]|$)")
PLACES = ("com.apple.quicktime.location.iso6709", "location", "location-eng")


@dataclass(frozen=True)
class Frame:
    """A frame of a video.

    Attributes:
        at_s: seconds from its beginning.
        picture: upright RGB; of a frame with two eyes the first.
        spherical: what the video says of the sphere around its camera.
    """

    at_s: float
    picture: Image.Image
    spherical: Spherical | None = None


def is_video(source: Path | bytes | Image.Image) -> TypeGuard[Path | bytes]:
    """Say whether a file is a video by its content."""
    if isinstance(source, bytes):
        return kind_of(source[:HEAD_BYTES]) == VIDEO
    try:
        return isinstance(source, Path) and kind_of(_head(source)) == VIDEO
    except OSError:
        return False


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _container_format(head: bytes) -> str:
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "matroska"
    return "avi" if head[:4] == b"RIFF" else "mov"


@contextlib.contextmanager
def _opened(source: Path | bytes) -> Iterator[Any]:
    """Open a video as a container of PyAV.

    Raises:
        ValueError: it cannot be read, or PyAV is not installed; the message names the file.
    """
    name = str(source) if isinstance(source, Path) else "picture"
    if isinstance(source, Path) and source.suffix.lower() in UNSTITCHED_SUFFIXES:
        raise ValueError(f"{name} is an {UNSTITCHED} video, which is not read: {ADVICE[UNSTITCHED]}")
    try:
        import av
    except ImportError:
        raise ValueError(f"{name}: {INSTALL}") from None
    av.logging.set_level(None)
    # What a hostile or torn file makes a decoder raise is not a closed list.
    try:
        with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as file:
            kind = _container_format(file.read(HEAD_BYTES))
            file.seek(0)
            with av.open(file, "r", format=kind, metadata_errors="replace") as container:
                yield container
    except _RefusedError as refusal:
        raise ValueError(f"{name}: {refusal}") from None
    except Exception as error:
        raise ValueError(f"{name}: damaged or cut short ({_reason(error)})") from None


class _RefusedError(Exception):
    """A video is not read, though it is not damaged."""


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def video_latlon_deg(source: Path | bytes) -> tuple[float, float] | None:
    """Return where a video says that it was taken, in degrees; None where it does not say, or cannot be read here."""
    try:
        with _opened(source) as container:
            tags = {str(key).lower(): str(value) for key, value in dict(container.metadata).items()}
    except ValueError:
        return None
    return next((place for key in PLACES if (place := latlon_of_iso6709(tags.get(key, "")))), None)


def latlon_of_iso6709(text: str) -> tuple[float, float] | None:
    """Return latitude and longitude of `+48.8577+002.295/`; degrees may have minutes and seconds (`+4851.462+00217.7/`).

    Source: ISO 6709:2008, annex H.
    """
    match = ISO6709.match(text.strip())
    if match is None:
        return None
    lat, lon = _degrees(match[2], 2), _degrees(match[4], 3)
    if lat is None or lon is None or lat > 90 or lon > 180:
        return None
    return (-lat if match[1] == "-" else lat), (-lon if match[3] == "-" else lon)


def _degrees(text: str, digits: int) -> float | None:
    """Return degrees of digits that are degrees, or end in two of minutes, or in two of minutes and two of seconds."""
    whole, dot, fraction = text.partition(".")
    parts = [whole[:digits], *(whole[at : at + 2] for at in range(digits, len(whole), 2))]
    if any(len(part) < 2 for part in parts) or len(parts) > 3:
        return None
    values = [float(part) for part in parts[:-1]] + [float(parts[-1] + dot + fraction)]
    return sum(value / 60**place for place, value in enumerate(values)) if max(values[1:], default=0) < 60 else None


def frames_of(
    source: Path | bytes, every_s: float, most: int = MOST_FRAMES, sphere_side: int = FRAME_SIDE
) -> Iterator[Frame]:
    """Yield a frame of a video every so many seconds, the first one at its beginning, at most `most` evenly over it.

    Where it is damaged after its first frame, it ends there.

    Args:
        source: a file, or the bytes of one.
        every_s: seconds between frames.
        most: frames at most.
        sphere_side: the longer side of frames that may show a whole sphere, at most, where it is more than of others.

    Raises:
        ValueError: no frame of it can be read; the message names the file.
    """
    with _opened(source) as container:
        stream = next(iter(container.streams.video), None)
        if stream is None:
            raise _RefusedError("it has no picture")
        codec = stream.codec_context
        if codec.name not in CODECS:
            raise _RefusedError(f"its pictures are {codec.name}, which is not read: convert it to H.264")
        _check_size(codec.width, codec.height)
        stream.thread_type = "AUTO"
        seconds = length_s(container, stream)
        step_s = every_s if seconds is None else max(every_s, seconds / most)
        reader = _Reader(container, stream)
        first = reader.next()
        if first is None:
            raise _RefusedError("it holds no frame that can be read")
        begin_s = reader.reached_s
        yield _frame(0.0, first, sphere_side)
        for number in range(1, most):
            found = reader.at(begin_s + number * step_s)
            if found is None:
                return
            yield _frame(round(reader.reached_s - begin_s, 3), found, sphere_side)


def length_s(container: Any, stream: Any) -> float | None:
    """Return how many seconds a video has; None where it does not say."""
    if stream.duration and stream.time_base:
        return max(0.0, float(stream.duration * stream.time_base)) or None
    return container.duration / 1e6 if container.duration and container.duration > 0 else None


class _Reader:
    """Where a video is being read."""

    def __init__(self, container: Any, stream: Any) -> None:
        self._container, self._stream = container, stream
        self._frames = container.decode(stream)
        self.reached_s = -math.inf
        self._near_s = NEAR_S

    def next(self) -> Any:
        """Return the next frame; None at the end, or where damage begins."""
        from av import FFmpegError

        try:
            frame = next(self._frames)
        except (StopIteration, FFmpegError):
            return None
        # A few old containers give no times: then one frame follows the other.
        rate = float(self._stream.average_rate or 25)
        at_s = frame.time if frame.time is not None else max(self.reached_s, 0.0) + 1 / rate
        self.reached_s = float(at_s)
        return frame

    def at(self, wanted_s: float) -> Any:
        """Return the first frame at or after a time; None behind the end."""
        before_s = self.reached_s
        if wanted_s - before_s > self._near_s and self._stream.time_base:
            self._container.seek(int(wanted_s / self._stream.time_base), stream=self._stream, backward=True)
            self._frames = self._container.decode(self._stream)
            frame = self.next()
            if frame is not None and self.reached_s <= before_s:
                # Frames that stand alone are so far apart that decoding on was as good.
                self._near_s = wanted_s - self.reached_s
        else:
            frame = self.next()
        while frame is not None and self.reached_s < wanted_s - 1e-3:
            frame = self.next()
        return frame


def _check_size(width: int, height: int) -> None:
    if width * height > MOST_MEGAPIXELS * 1_000_000:
        raise _RefusedError(
            f"its frames of {width}x{height} are over {MOST_MEGAPIXELS} megapixels: make them smaller first"
        )


def _frame(at_s: float, frame: Any, sphere_side: int) -> Frame:
    """Return a frame upright, as its stream says that it is shown, and of two eyes the first."""
    _check_size(frame.width, frame.height)
    spherical, eye = spherical_of(frame), eye_box(frame, frame.width, frame.height)
    wide = spherical is not None or frame.width >= 1.9 * frame.height
    side = max(FRAME_SIDE, sphere_side) if wide else FRAME_SIDE
    shrink = min(1.0, side / (max(frame.width, frame.height) if eye is None else max(eye)))
    width, height = max(1, round(frame.width * shrink)), max(1, round(frame.height * shrink))
    picture: Image.Image = frame.to_image(width=width, height=height)
    if box := eye_box(frame, width, height):
        picture = picture.crop(box)
    turn = TURNS.get(round(frame.rotation / 90) % 4)
    return Frame(at_s, picture if turn is None else picture.transpose(turn), spherical)
