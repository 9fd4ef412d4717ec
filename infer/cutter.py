"""Files that are several pictures of one place: panoramas, which are cut into views, and videos, of which frames are taken."""

import math
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from dataset.panoramas import cut_views, find_sphere, find_sphere_of_video, view_yaws
from infer.config import EVERY_S
from infer.parts import PANORAMA, VIDEO, View
from plumbing.videos import frames_of, is_video


@dataclass(frozen=True)
class Cutter:
    """What is made of panoramas and videos.

    Attributes:
        panorama: `auto`, `off` or a number of views.
        every_s: seconds between frames of a video.
    """

    panorama: str = "auto"
    every_s: float = EVERY_S

    def pictures(self, source: Path | bytes | Image.Image, side: int) -> list[tuple[Image.Image, View]] | None:
        """Return the views of a file as RGB pictures; None of an ordinary photograph, and of what cannot be read.

        Args:
            source: a file, the bytes of one, or an opened picture.
            side: enough pixels of a view.

        Raises:
            ValueError: it is a panorama or a video that cannot be decoded.
        """
        if is_video(source):
            return self._of_video(source, side)
        sphere = find_sphere(source, self.panorama)
        if sphere is None:
            return None
        yaws = view_yaws(sphere, self.panorama)
        views = [View(PANORAMA, yaw_deg=round(yaw, 1)) for yaw in yaws]
        return list(zip(cut_views(source, sphere, yaws, side), views, strict=True))

    def _of_video(self, source: Path | bytes, side: int) -> list[tuple[Image.Image, View]]:
        """Return frames of a video; of each one of a 360-degree video the views of it."""
        frames = list(frames_of(source, self.every_s, sphere_side=math.ceil(math.pi * side)))
        sphere = find_sphere_of_video(frames, self.panorama)
        if sphere is None:
            return [(frame.picture, View(VIDEO, at_s=frame.at_s)) for frame in frames]
        yaws = view_yaws(sphere, self.panorama)
        found: list[tuple[Image.Image, View]] = []
        for frame in frames:
            views = [View(VIDEO, yaw_deg=round(yaw, 1), at_s=frame.at_s) for yaw in yaws]
            found += zip(cut_views(frame.picture, sphere, yaws, side), views, strict=True)
        return found
