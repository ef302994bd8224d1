"""Draws the places of the demo event: an evening in a garden, out of focus behind people or sharp without them.

Everything is computed from a seeded generator, so that the same demo event is drawn on every machine.
"""

import math
import random
from collections.abc import Callable, Sequence
from itertools import pairwise

from PIL import Image, ImageChops, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Stop = tuple[float, Colour]

WARM: tuple[Colour, ...] = ((255, 214, 140), (255, 184, 96), (255, 236, 190), (255, 160, 90))
PARTY: tuple[Colour, ...] = ((255, 120, 170), (140, 120, 255), (90, 200, 255), (255, 190, 110))
LEAVES: tuple[Colour, ...] = ((38, 66, 44), (56, 88, 50), (30, 52, 42), (84, 112, 58))

DETAIL = 4
"""Blurred places are drawn at a quarter of their size: nobody sees the difference, and it takes a tenth of the time."""


def backdrop(place: str, size: tuple[int, int], seed: int) -> Image.Image:
    """A place out of focus, as behind a portrait. size: width, height; place: a key of PLACES."""
    small = (size[0] // DETAIL, size[1] // DETAIL)
    drawn = PLACES[place](small, random.Random(seed))
    return drawn.filter(ImageFilter.GaussianBlur(small[0] / 110)).resize(size, Image.Resampling.BICUBIC)


def view(place: str, size: tuple[int, int], seed: int) -> Image.Image:
    """A place as the picture's subject, sharp. size: width, height; place: a key of PLACES."""
    return PLACES[place](size, random.Random(seed))


def _garden(size: tuple[int, int], rng: random.Random) -> Image.Image:
    scene = _gradient(size, [(0, (66, 74, 92)), (0.4, (196, 142, 104)), (0.58, (120, 104, 64)), (1, (34, 44, 30))])
    _discs(scene, rng, 60, (0.03, 0.07), LEAVES[2:3], (0.62, 1.05), strength=0.8)
    _discs(scene, rng, 160, (0.006, 0.026), LEAVES, (0.5, 1.0), strength=0.8)
    _lights(scene, rng, 40, (0.008, 0.028), WARM, (0.1, 0.75))
    return _strings(scene, rng, 2, WARM)


def _dusk(size: tuple[int, int], rng: random.Random) -> Image.Image:
    scene = _gradient(size, [(0, (28, 36, 78)), (0.45, (108, 84, 126)), (0.68, (236, 152, 112)), (1, (72, 50, 60))])
    _hills(scene, rng, [(0.72, (70, 52, 80)), (0.82, (42, 34, 56)), (0.92, (24, 22, 36))])
    _lights(scene, rng, 26, (0.004, 0.014), WARM, (0.72, 0.95))
    return _strings(scene, rng, 3, WARM)


def _hall(size: tuple[int, int], rng: random.Random) -> Image.Image:
    scene = _gradient(size, [(0, (44, 26, 24)), (0.5, (112, 66, 44)), (1, (36, 20, 20))])
    _lights(scene, rng, 70, (0.012, 0.05), WARM, (0.05, 0.8))
    return scene


def _stage(size: tuple[int, int], rng: random.Random) -> Image.Image:
    scene = _gradient(size, [(0, (18, 12, 44)), (0.55, (78, 34, 104)), (1, (20, 12, 34))])
    _lights(scene, rng, 60, (0.012, 0.045), PARTY, (0.02, 0.85))
    return scene


def _sea(size: tuple[int, int], rng: random.Random) -> Image.Image:
    scene = _gradient(
        size,
        [
            (0, (92, 132, 176)),
            (0.4, (246, 196, 150)),
            (0.55, (255, 222, 168)),
            (0.56, (120, 132, 150)),
            (1, (44, 66, 92)),
        ],
    )
    width, height = size
    sun = (int(width * rng.uniform(0.3, 0.7)), int(height * 0.47))
    _glow(scene, [(sun, height * 0.05)], (255, 236, 190), reach=3)
    sparks = [
        ((int(rng.gauss(sun[0], width * 0.05 * (1 + 2 * depth))), int(height * (0.57 + 0.42 * depth))), height * 0.0035)
        for depth in (rng.random() ** 1.5 for _ in range(220))
    ]
    _glow(scene, sparks, (255, 214, 160), reach=1.5)
    return scene


def _meadow(size: tuple[int, int], rng: random.Random) -> Image.Image:
    scene = _gradient(size, [(0, (132, 178, 214)), (0.5, (222, 230, 222)), (0.62, (150, 178, 112)), (1, (78, 122, 58))])
    _hills(scene, rng, [(0.55, (136, 164, 150)), (0.63, (110, 146, 98)), (0.74, (88, 130, 66))])
    flowers: tuple[Colour, ...] = ((246, 222, 96), (240, 240, 232), (226, 120, 130))
    _discs(scene, rng, 140, (0.003, 0.008), flowers, (0.78, 1.0), strength=0.85)
    return scene


def _fireworks(size: tuple[int, int], rng: random.Random) -> Image.Image:
    scene = _gradient(size, [(0, (8, 10, 30)), (0.7, (32, 30, 64)), (1, (66, 48, 66))])
    width, height = size
    for colour in (WARM[0], PARTY[0], PARTY[2], WARM[3]):
        centre = (width * rng.uniform(0.15, 0.85), height * rng.uniform(0.15, 0.5))
        reach, rays = height * rng.uniform(0.16, 0.28), rng.randrange(26, 40)
        sparks = []
        for ray in range(rays):
            angle, length = 2 * math.pi * ray / rays, reach * rng.uniform(0.85, 1.05)
            for step in range(3, 15):
                far = length * step / 14
                fall = reach * 0.12 * (step / 14) ** 2
                point = (int(centre[0] + far * math.cos(angle)), int(centre[1] + far * math.sin(angle) + fall))
                sparks.append((point, height * 0.0012 * (1 + step / 9)))
        _glow(scene, sparks, colour, reach=3)
    _hills(scene, rng, [(0.88, (16, 16, 30)), (0.94, (8, 8, 18))])
    return scene


def _balloons(size: tuple[int, int], rng: random.Random) -> Image.Image:
    scene = _meadow(size, rng)
    width, height = size
    colours: list[Colour] = [
        (226, 92, 84),
        (244, 176, 78),
        (92, 148, 196),
        (238, 216, 196),
        (132, 172, 120),
        (206, 120, 160),
    ]
    for n in range(11):
        radius = height * rng.uniform(0.045, 0.085)
        x, y = width * (0.08 + 0.085 * n) + rng.uniform(-0.02, 0.02) * width, height * rng.uniform(0.14, 0.5)
        _balloon(scene, (x, y), radius, colours[n % len(colours)])
    return scene


def _balloon(scene: Image.Image, at: tuple[float, float], radius: float, colour: Colour) -> None:
    """Lit from the upper left, with its string."""
    (x, y), draw = at, ImageDraw.Draw(scene)
    draw.line(
        [(x, y + radius * 1.2), (x + radius * 0.2, y + radius * 4)],
        fill=(236, 236, 230),
        width=max(1, int(radius / 30)),
    )
    steps = 40
    for step in range(steps):
        share = step / steps
        r = radius * (1 - share)
        shade = tuple(int(part * (0.72 + 0.28 * share) + 70 * share**2) for part in colour)
        cx, cy = x - radius * 0.3 * share, y - radius * 0.38 * share
        draw.ellipse((cx - r, cy - r * 1.18, cx + r, cy + r * 1.18), fill=tuple(min(255, part) for part in shade))


PLACES: dict[str, Callable[[tuple[int, int], random.Random], Image.Image]] = {
    "garden": _garden,
    "dusk": _dusk,
    "hall": _hall,
    "stage": _stage,
    "sea": _sea,
    "meadow": _meadow,
    "fireworks": _fireworks,
    "balloons": _balloons,
}


def _gradient(size: tuple[int, int], stops: Sequence[Stop]) -> Image.Image:
    """Colours from top to bottom, each stop at its share of the height."""
    column = Image.new("RGB", (1, 512))
    for row in range(512):
        share = row / 511
        (low, first), (high, second) = next(
            (pair for pair in pairwise(stops) if share <= pair[1][0]), (stops[-2], stops[-1])
        )
        part = (share - low) / (high - low)
        column.putpixel((0, row), tuple(round(a + (b - a) * part) for a, b in zip(first, second, strict=True)))
    return column.resize(size, Image.Resampling.BICUBIC)


def _lights(
    scene: Image.Image,
    rng: random.Random,
    count: int,
    radii: tuple[float, float],
    colours: Sequence[Colour],
    rows: tuple[float, float],
) -> None:
    """Lamps out of focus: discs of light that add up. radii and rows are shares of width and height."""
    width, height = scene.size
    for colour in colours:
        layer = Image.new("RGB", scene.size)
        draw = ImageDraw.Draw(layer)
        for _ in range(count // len(colours)):
            r = width * rng.uniform(*radii)
            x, y = width * rng.random(), height * rng.uniform(*rows)
            light = rng.uniform(0.12, 0.5)
            draw.ellipse((x - r, y - r, x + r, y + r), fill=tuple(int(part * light) for part in colour))
        scene.paste(ImageChops.screen(scene, _blurred(layer, width / 600)))


def _discs(
    scene: Image.Image,
    rng: random.Random,
    count: int,
    radii: tuple[float, float],
    colours: Sequence[Colour],
    rows: tuple[float, float],
    strength: float,
) -> None:
    """Leaves or flowers: opaque soft spots. radii and rows are shares of width and height."""
    width, height = scene.size
    layer, mask = scene.copy(), Image.new("L", scene.size)
    over, through = ImageDraw.Draw(layer), ImageDraw.Draw(mask)
    for _ in range(count):
        r = width * rng.uniform(*radii)
        x, y = width * rng.random(), height * rng.uniform(*rows)
        spot = (x - r, y - r * rng.uniform(0.6, 1), x + r, y + r)
        over.ellipse(spot, fill=rng.choice(list(colours)))
        through.ellipse(spot, fill=int(255 * strength))
    scene.paste(layer, mask=_blurred(mask, width / 500))


def _hills(scene: Image.Image, rng: random.Random, ridges: Sequence[Stop]) -> None:
    """Ridges one before the other; each begins at its share of the height."""
    width, height = scene.size
    draw = ImageDraw.Draw(scene)
    for level, colour in ridges:
        waves = [(rng.uniform(0.5, 3.5), rng.uniform(0, 7), rng.uniform(0.006, 0.024)) for _ in range(4)]
        ridge = [
            (
                x,
                height
                * (level - sum(rise * math.sin(pace * 2 * math.pi * x / width + phase) for pace, phase, rise in waves)),
            )
            for x in range(0, width + 8, 8)
        ]
        draw.polygon([*ridge, (width + 8, height), (0, height)], fill=colour)


def _strings(scene: Image.Image, rng: random.Random, count: int, colours: Sequence[Colour]) -> Image.Image:
    """Strings of bulbs that sag between two points beyond the picture's edges."""
    width, height = scene.size
    draw = ImageDraw.Draw(scene)
    for n in range(count):
        left, right, sag = (height * rng.uniform(*span) for span in ((0.02, 0.2), (0.02, 0.2), (0.08, 0.2)))
        line = [
            (int(width * share), int(left + (right - left) * share + 4 * sag * share * (1 - share)))
            for share in (step / 60 for step in range(61))
        ]
        draw.line(line, fill=(38, 32, 36), width=max(1, width // 900))
        _glow(scene, [(point, height * 0.006) for point in line[1 + n :: 4]], rng.choice(list(colours)), reach=4)
    return scene


def _glow(scene: Image.Image, points: Sequence[tuple[tuple[int, int], float]], colour: Colour, reach: float) -> None:
    """Small lamps with a shine around them. points: centre and radius each; reach: the shine's size in radii."""
    halo, core = Image.new("RGB", scene.size), Image.new("RGB", scene.size)
    around, within = ImageDraw.Draw(halo), ImageDraw.Draw(core)
    largest = max(radius for _, radius in points)
    for (x, y), radius in points:
        far = radius * reach * 0.6
        around.ellipse((x - far, y - far, x + far, y + far), fill=tuple(int(part * 0.75) for part in colour))
        within.ellipse(
            (x - radius, y - radius, x + radius, y + radius), fill=tuple((part + 510) // 3 for part in colour)
        )
    lit = ImageChops.screen(scene, _blurred(halo, max(1.0, largest * reach * 0.6)))
    scene.paste(ImageChops.screen(lit, _blurred(core, largest * 0.25)))


def _blurred(layer: Image.Image, radius: float) -> Image.Image:
    """A Gaussian blur, computed on fewer pixels where it is so wide that nobody sees the difference."""
    factor = max(1, int(radius / 2))
    small = layer if factor == 1 else layer.reduce(factor)
    soft = small.filter(ImageFilter.GaussianBlur(radius / factor))
    return soft if factor == 1 else soft.resize(layer.size, Image.Resampling.BICUBIC)
