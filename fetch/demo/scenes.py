"""Street scenes of the demo planet: from what a picture shows of its region to the picture.

Things stand on a flat ground in metres: X to the right of the road's middle, Y up, Z away from the camera. All colours
of clues lie along palettes that never come back to an earlier colour, so a colour can be read as a number.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

OVERSAMPLE = 2
FOCAL = 0.9
"""Focal length in picture widths."""

Colour = tuple[int, int, int]
Thing = tuple[float, Callable[[], None]]
"""How far away something stands, and what draws it."""

SKY = ((236, 168, 104), (188, 214, 220), (74, 148, 236), (66, 76, 176), (172, 108, 186))
VEGETATION = ((206, 188, 96), (138, 158, 52), (44, 134, 52), (22, 84, 66), (152, 112, 142))
SOIL = ((232, 212, 166), (214, 124, 70), (128, 60, 50), (66, 60, 62), (150, 150, 164))
ROAD = ((52, 52, 60), (128, 128, 132), (200, 184, 152), (178, 104, 84))
LINE = ((250, 250, 250), (250, 214, 40), (240, 110, 20), (190, 30, 60))
PAINT = ((222, 40, 40), (244, 150, 30), (240, 230, 60), (50, 170, 70), (40, 190, 210), (40, 70, 200), (160, 60, 190))
WALL = ((240, 236, 226), (236, 196, 96), (206, 96, 66), (118, 70, 60), (96, 130, 100), (92, 128, 178), (176, 150, 196))


@dataclass(frozen=True)
class View:
    """A camera over the road and the canvas it draws on.

    Attributes:
        side: of the square canvas, in pixels.
        horizon: of the height, from the top.
        vanishing: where the road meets the horizon, of the width.
        height_m: of the camera.
    """

    draw: ImageDraw.ImageDraw
    side: int
    horizon: float
    vanishing: float
    height_m: float

    def at(self, x_m: float, y_m: float, z_m: float) -> tuple[float, float]:
        """Return the pixel of a point in metres."""
        right = self.vanishing + FOCAL * x_m / z_m
        down = self.horizon + FOCAL * (self.height_m - y_m) / z_m
        return right * self.side, down * self.side

    def roomier(self) -> int:
        """Return on which side of the road more of the land is in the frame: -1 left, 1 right."""
        return -1 if self.vanishing > 0.5 else 1

    def in_frame(self, x_m: float, z_m: float) -> float:
        """Return a distance, `z_m` or farther, at which something beside the road is not cut off by the frame."""
        room = (self.vanishing if x_m < 0 else 1 - self.vanishing) - 0.08
        return max(z_m, FOCAL * abs(x_m) / room)

    def quad(self, x_m: tuple[float, float], y_m: tuple[float, float], z_m: float, colour: Colour) -> None:
        """Fill an upright rectangle that faces the camera."""
        (left, top), (right, bottom) = self.at(x_m[0], y_m[1], z_m), self.at(x_m[1], y_m[0], z_m)
        self.draw.rectangle((left, top, max(right, left + 1), max(bottom, top + 1)), fill=colour)

    def strip(self, x_m: tuple[float, float], z_m: tuple[float, float], colour: Colour) -> None:
        """Fill a strip of the ground along the road."""
        (x0, x1), (near, far) = x_m, z_m
        corners = [self.at(x0, 0, near), self.at(x1, 0, near), self.at(x1, 0, far), self.at(x0, 0, far)]
        self.draw.polygon(corners, fill=colour)


@dataclass(frozen=True)
class Light:
    """What the hour and the weather make of a scene.

    Attributes:
        tint: (3,) factor on red, green, blue.
        overcast: 0 clear to 1 grey.
    """

    tint: NDArray[np.float32]
    overcast: float


def paint(clues: Mapping[str, float], look: int | tuple[int, ...], size: int, sun_hour: float = 12.0) -> Image.Image:
    """Draw one street scene.

    Args:
        clues: value of every clue of `planet.CLUES`, 0 to 1; NaN where it is not in view.
        look: seed of all that says nothing about the place: weather, camera, where things stand, noise.
        size: side of the square picture in pixels.
        sun_hour: local solar time, 6 to 20.
    """
    rng = np.random.default_rng(look)
    side = size * OVERSAMPLE
    light = _light(rng, sun_hour)
    horizon = float(rng.uniform(0.38, 0.5))
    canvas = _sky(rng, clues["sky"], light, side, horizon)
    height_m, vanishing = float(rng.uniform(1.7, 2.9)), float(rng.uniform(0.34, 0.66))
    view = View(ImageDraw.Draw(canvas), side, horizon, vanishing, height_m)
    if shows(clues, "mountains"):
        _mountains(view, rng, clues["mountains"], clues["sky"])
    half_m = 1.5 + 2.8 * clues["road_width"]
    _ground(view, rng, clues, half_m)
    if shows(clues, "line_colour"):
        _lines(view, rng, clues, half_m)
    _things(view, rng, clues, half_m)
    if rng.random() < 0.25:
        _occluder(view, rng)
    return _develop(canvas.reduce(OVERSAMPLE), rng, light)


def shows(clues: Mapping[str, float], name: str) -> bool:
    """Say whether a clue is in view."""
    return not np.isnan(clues[name])


def along(palette: tuple[Colour, ...], value: float) -> Colour:
    """Return the colour at a value in 0 to 1 along a palette."""
    place = value * (len(palette) - 1)
    k = min(int(place), len(palette) - 2)
    return mix(palette[k], palette[k + 1], place - k)


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """Return a colour between two, `share` of the way to the second."""
    return (
        round(a[0] + (b[0] - a[0]) * share),
        round(a[1] + (b[1] - a[1]) * share),
        round(a[2] + (b[2] - a[2]) * share),
    )


def darkened(picture: Image.Image) -> Image.Image:
    """Return a picture as taken at night, too dark to tell anything."""
    return picture.point(lambda level: level // 10)


def blurred(picture: Image.Image) -> Image.Image:
    """Return a picture as taken out of focus."""
    return picture.filter(ImageFilter.GaussianBlur(picture.width / 16))


def retaken(picture: Image.Image) -> Image.Image:
    """Return a picture as taken again a moment later, when the sun is a little weaker."""
    return picture.point(lambda level: level * 15 // 16)


def _light(rng: np.random.Generator, sun_hour: float) -> Light:
    low = max(0.0, abs(sun_hour - 13) / 7 - 0.55) / 0.45  # 0 for most of the day, 1 at its ends
    overcast = float(rng.uniform(0, 1) ** 2)
    brightness = rng.uniform(0.88, 1.08) * (1 - 0.3 * low) * (1 - 0.18 * overcast)
    return Light((brightness * np.array([1 + 0.08 * low, 1, 1 - 0.12 * low])).astype(np.float32), overcast)


def _sky(rng: np.random.Generator, value: float, light: Light, side: int, horizon: float) -> Image.Image:
    """Return a canvas with a sky that pales towards the horizon, under a few clouds."""
    top = np.array(mix(along(SKY, value), (176, 178, 182), 0.4 * light.overcast), dtype=np.float32)
    pale = top + 0.35 * (245 - top)
    down = np.clip(np.arange(side, dtype=np.float32) / (horizon * side), 0, 1)[:, None] ** 2
    column = (top + down * (pale - top)).astype(np.uint8)
    canvas = Image.fromarray(column[:, None, :]).resize((side, side), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(canvas)
    for _ in range(rng.integers(0, 4)):
        x, y, w = rng.uniform(0, 1) * side, rng.uniform(0, horizon - 0.1) * side, rng.uniform(0.05, 0.16) * side
        cloud = mix((244, 244, 246), (150, 152, 158), light.overcast)
        draw.ellipse((x - w, y - w / 4, x + w, y + w / 4), fill=cloud)
        draw.ellipse((x - w / 2, y - w / 2, x + w / 2, y + w / 5), fill=cloud)
    return canvas


def _mountains(view: View, rng: np.random.Generator, value: float, sky: float) -> None:
    """Draw ridges whose height is the clue: from a flat rim to a third of the picture."""
    peaks = 9
    x = np.linspace(-0.1, 1.1, peaks) + rng.uniform(-0.05, 0.05, peaks)
    height = (0.01 + 0.3 * value) * rng.uniform(0.55, 1.0, peaks)
    height[::2] *= 0.55
    ridge = [(float(a) * view.side, (view.horizon - float(b)) * view.side) for a, b in zip(x, height, strict=True)]
    floor = view.horizon * view.side + 1
    colour = mix((84, 88, 112), along(SKY, sky), 0.25)
    view.draw.polygon([(-0.2 * view.side, floor), *ridge, (1.2 * view.side, floor)], fill=colour)


def _ground(view: View, rng: np.random.Generator, clues: Mapping[str, float], half_m: float) -> None:
    """Draw the land: vegetation away from the road, soil beside it, then the road itself."""
    near, far = 0.9, 400.0
    plants, soil = along(VEGETATION, clues["vegetation"]), along(SOIL, clues["soil"])
    view.draw.rectangle((0, view.horizon * view.side, view.side, view.side), fill=plants)
    for edge in (-1, 1):
        bare_m = float(rng.uniform(2.4, 4.4))
        view.strip((edge * half_m, edge * (half_m + bare_m)), (near, far), soil)
    for _ in range(8):
        x, z = float(rng.uniform(4, 22)) * float(rng.choice((-1, 1))), float(rng.uniform(5, 25))
        (left, top), (right, bottom) = view.at(x - 1.2, 0.25, z), view.at(x + 1.2, -0.25, z)
        view.draw.ellipse((left, top, right, bottom), fill=mix(plants, (20, 30, 10), float(rng.uniform(0.1, 0.35))))
    view.strip((-half_m, half_m), (near, far), along(ROAD, clues["road_surface"]))


def _lines(view: View, rng: np.random.Generator, clues: Mapping[str, float], half_m: float) -> None:
    """Draw the middle line, dashed by its clue from a solid line to short far dashes, and solid edge lines."""
    colour = along(LINE, clues["line_colour"])
    period, filled = 3 + 6 * clues["line_dashes"], 0.95 - 0.7 * clues["line_dashes"]
    z = float(rng.uniform(0, period)) - period
    while z < 60:
        if z + filled * period > 1.2:
            view.strip((-0.17, 0.17), (max(z, 1.2), z + filled * period), colour)
        z += period
    for edge in (-1, 1):
        view.strip((edge * (half_m - 0.35), edge * (half_m - 0.12)), (1.0, 80.0), colour)


def _things(view: View, rng: np.random.Generator, clues: Mapping[str, float], half_m: float) -> None:
    """Draw what stands upright, the farthest first."""
    standing: list[Thing] = []
    if shows(clues, "tree_kind"):
        standing += _trees(view, rng, clues, half_m)
    if shows(clues, "roof"):
        standing += _buildings(view, rng, clues, half_m)
    if shows(clues, "pole_colour"):
        standing += _poles(view, rng, clues["pole_colour"], half_m)
    if shows(clues, "bollard_colour"):
        standing += _bollards(view, rng, clues["bollard_colour"], half_m)
    if shows(clues, "sign_colour"):
        x = view.roomier() * (half_m + float(rng.uniform(1.0, 1.8)))
        z = view.in_frame(x, float(rng.uniform(6, 9)))
        standing.append((z, partial(_sign, view, x, z, clues["sign_colour"])))
    if shows(clues, "driving_side"):
        standing.append(_vehicle(view, rng, clues["driving_side"], half_m))
    for _, drawn in sorted(standing, key=lambda thing: -thing[0]):
        drawn()


def _trees(view: View, rng: np.random.Generator, clues: Mapping[str, float], half_m: float) -> list[Thing]:
    """Return trees, two to eighteen by their density; their kind goes from spruce over oak to umbrella."""
    count = round(2 + 16 * clues["tree_density"])
    z = rng.uniform(11, 45, count)
    x = (half_m + 3.5 + rng.uniform(0, 1, count) * (6 + 0.25 * z)) * rng.choice((-1, 1), count)
    tall = rng.uniform(5, 8, count)
    leaves = mix(along(VEGETATION, clues["vegetation"]), (16, 56, 30), 0.55)
    kind = clues["tree_kind"]
    return [
        (float(b), partial(_tree, view, float(a), float(b), float(t), kind, leaves))
        for a, b, t in zip(x, z, tall, strict=True)
    ]


def _tree(view: View, x: float, z: float, tall: float, kind: float, leaves: Colour) -> None:
    """Draw one tree: the crown begins higher and spreads wider from spruce to umbrella."""
    trunk_m, reach_m = tall * (0.1 + 0.55 * kind), tall * (0.16 + 0.4 * kind)
    view.quad((x - 0.22, x + 0.22), (0, trunk_m + 0.2), z, (86, 62, 44))
    (left, top), (right, bottom) = view.at(x - reach_m, tall, z), view.at(x + reach_m, trunk_m, z)
    if kind < 0.33:
        view.draw.polygon([(left, bottom), ((left + right) / 2, top), (right, bottom)], fill=leaves)
    else:
        view.draw.ellipse((left, top, right, bottom), fill=leaves)


def _buildings(view: View, rng: np.random.Generator, clues: Mapping[str, float], half_m: float) -> list[Thing]:
    """Return one to three houses beside the road."""
    houses: list[Thing] = []
    for _ in range(rng.integers(1, 4)):
        z, wide, tall = float(rng.uniform(11, 20)), float(rng.uniform(5, 8)), float(rng.uniform(3, 4.5))
        x = float(rng.choice((-1, 1))) * (half_m + 3 + wide / 2 + float(rng.uniform(0, 2.5)))
        z = view.in_frame(x, z)
        shape = (x, z, wide, tall)
        houses.append((z, partial(_house, view, shape, clues["roof"], along(WALL, clues["wall_colour"]))))
    return houses


def _house(view: View, shape: tuple[float, float, float, float], roof: float, wall: Colour) -> None:
    """Draw a house with windows, under a roof between flat and as steep as a spire."""
    x, z, wide, tall = shape
    view.quad((x - wide / 2, x + wide / 2), (0, tall), z, wall)
    glass = mix(wall, (30, 36, 50), 0.75)
    for column in (-0.3, 0.0, 0.3):
        view.quad((x + (column - 0.07) * wide, x + (column + 0.07) * wide), (0.45 * tall, 0.8 * tall), z, glass)
    eaves, ridge_m = 0.56 * wide, 0.15 + 0.75 * wide * roof
    corners = [view.at(x - eaves, tall, z), view.at(x, tall + ridge_m, z), view.at(x + eaves, tall, z)]
    view.draw.polygon(corners, fill=(96, 60, 56))


def _poles(view: View, rng: np.random.Generator, value: float, half_m: float) -> list[Thing]:
    """Return a row of painted poles with a crossbar, on one side."""
    x = float(rng.choice((-1, 1))) * (half_m + 1.3)
    first, colour = view.in_frame(x, float(rng.uniform(6, 9))), along(PAINT, value)

    def draw(z: float) -> None:
        view.quad((x - 0.2, x + 0.2), (0, 7.5), z, colour)
        view.quad((x - 1.1, x + 1.1), (6.3, 6.6), z, colour)

    return [(z, partial(draw, z)) for z in (first, first + 11, first + 22)]


def _bollards(view: View, rng: np.random.Generator, value: float, half_m: float) -> list[Thing]:
    """Return bollards along one edge of the road, white with a painted head."""
    x, first = float(rng.choice((-1, 1))) * (half_m + 0.5), float(rng.uniform(4.0, 5.5))
    colour = along(PAINT, value)

    def draw(z: float) -> None:
        view.quad((x - 0.2, x + 0.2), (0, 0.5), z, (238, 238, 236))
        view.quad((x - 0.2, x + 0.2), (0.5, 1.25), z, colour)

    return [(z, partial(draw, z)) for z in (first + 3.5 * k for k in range(5))]


def _sign(view: View, x: float, z: float, value: float) -> None:
    """Draw a round sign with a pale rim."""
    view.quad((x - 0.08, x + 0.08), (0, 2.0), z, (150, 150, 154))
    for radius, colour in ((1.15, (245, 245, 245)), (0.95, along(PAINT, value))):
        (left, top), (right, bottom) = view.at(x - radius, 2.9 + radius, z), view.at(x + radius, 2.9 - radius, z)
        view.draw.ellipse((left, top, right, bottom), fill=colour)


def _vehicle(view: View, rng: np.random.Generator, side: float, half_m: float) -> Thing:
    """Return a car: coming, with white lamps, or going, with red ones; its lane tells the side people drive on."""
    coming = bool(rng.random() < 0.6)
    own_lane = 1 if side < 0.5 else -1  # 0 keeps right
    lane = -own_lane if coming else own_lane
    x, z = lane * half_m * 0.5, float(rng.uniform(7, 15))
    body = along(PAINT, float(rng.random()))
    body = mix(body, (120, 120, 124), 0.6)

    def draw() -> None:
        view.quad((x - 0.95, x + 0.95), (0.1, 0.35), z, (24, 24, 26))
        view.quad((x - 0.95, x + 0.95), (0.3, 0.95), z, body)
        view.quad((x - 0.7, x + 0.7), (0.95, 1.5), z, (40, 48, 60) if coming else mix(body, (20, 20, 20), 0.4))
        for lamp in (-0.7, 0.7):
            colour = (255, 255, 235) if coming else (220, 20, 20)
            view.quad((x + lamp - 0.22, x + lamp + 0.22), (0.5, 0.85), z, colour)

    return z, draw


def _occluder(view: View, rng: np.random.Generator) -> None:
    """Draw something in the way at an edge of the picture: a wing mirror, a pillar, a thumb."""
    x, w = float(rng.choice((0.0, 1.0))) * view.side, float(rng.uniform(0.05, 0.14)) * view.side
    y, h = float(rng.uniform(0.2, 1.0)) * view.side, float(rng.uniform(0.1, 0.4)) * view.side
    shade = int(rng.integers(15, 70))
    view.draw.ellipse((x - w, y - h, x + w, y + h), fill=(shade, shade, shade + 4))


def _develop(picture: Image.Image, rng: np.random.Generator, light: Light) -> Image.Image:
    """Return the picture in its light, with the uneven shade of real surfaces and the noise of a sensor."""
    size = picture.width
    patches = Image.fromarray(rng.standard_normal((12, 12), dtype=np.float32))
    shade = 1 + 0.035 * np.asarray(patches.resize((size, size), Image.Resampling.BILINEAR))
    grain = rng.standard_normal((size, size, 3), dtype=np.float32) * np.float32(rng.uniform(2, 8))
    pixels = np.asarray(picture, dtype=np.float32) * (shade[..., None] * light.tint) + grain
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
