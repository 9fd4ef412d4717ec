"""The flag that says what is made of panoramas, and what its values mean. Nothing here imports more than flags need."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from tyro.conf import arg

from plumbing.flags import Groups

MOST_VIEWS = 36


@dataclass(frozen=True, kw_only=True)
class PanoramaFlag:
    """What is made of panoramas."""

    GROUPS: ClassVar[Groups] = {"panoramas": "panorama"}

    panorama: Annotated[str, arg(metavar="auto|off|N")] = "auto"
    """Cut 360-degree (equirectangular) panoramas into views of 90 degrees. auto: four views of a full circle, from files that
    say that they are such (GPano), or whose left and right edges join and whose top and bottom are single points. N: that many
    views, also from every other picture of 2:1 from 1,024 pixels on. off: squash panoramas like any picture. Frames of
    360-degree videos are cut likewise where videos are read."""


def views_wanted(panorama: str) -> int | None:
    """Return how many views are cut from a panorama; 0 for none, None where its width decides.

    Raises:
        ValueError: it is neither `auto`, `off` nor a number of views.
    """
    if panorama in ("auto", "off"):
        return None if panorama == "auto" else 0
    if panorama.isascii() and panorama.isdigit() and 1 <= int(panorama) <= MOST_VIEWS:
        return int(panorama)
    raise ValueError(f"--panorama is auto, off, or a number of views from 1 to {MOST_VIEWS}, got {panorama}")
