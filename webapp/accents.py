"""An event's colour: a palette that is known to be readable, and any other colour, moved until it is.

Text keeps 4.5 : 1 in both themes, whatever a photographer chooses: the colour as text on the page, and the text upon
it.
"""

import re
from dataclasses import dataclass
from zlib import crc32

PALETTE = {
    "petrol": "#145f5c",
    "ocean": "#1f5f8b",
    "forest": "#2b6a48",
    "plum": "#7a3b69",
    "gold": "#7c5600",
    "indigo": "#48429c",
}
"""The accents of static/css/tokens.css, by name, as in its light theme."""

CONTRAST = 4.5
"""What WCAG AA asks of text."""

_COLOUR = re.compile(r"#[0-9a-f]{6}")
_NAMES = {colour: name for name, colour in PALETTE.items()}
_CUSTOM = "c-"

Rgb = tuple[int, int, int]

_WHITE: Rgb = (255, 255, 255)
_BLACK: Rgb = (0, 0, 0)
_LIGHT_GROUNDS: tuple[Rgb, ...] = ((251, 250, 247), (242, 239, 233), _WHITE)
_DARK_GROUNDS: tuple[Rgb, ...] = ((19, 18, 17), (29, 27, 25), (12, 11, 10))
_ON_ACCENT_DARK: Rgb = (13, 20, 19)


@dataclass(frozen=True, slots=True)
class Shades:
    """What one theme draws with a colour, each as #rrggbb."""

    accent: str
    strong: str
    soft: str


def is_colour(value: str) -> bool:
    """Whether this is a colour as events keep it: #rrggbb in small letters."""
    return _COLOUR.fullmatch(value) is not None


def given(colour: str, public_id: str) -> str:
    """The colour of an event: its photographer's, else one of the palette that is steady for each event."""
    return colour or tuple(PALETTE.values())[crc32(public_id.encode()) % len(PALETTE)]


def name_of(colour: str) -> str:
    """What `data-accent` says of a colour: the name of the palette's, or one of the colour's own."""
    return _NAMES.get(colour) or f"{_CUSTOM}{colour.removeprefix('#')}"


def is_own(name: str) -> bool:
    """Whether a name of `name_of` needs a style sheet of its own."""
    return name.startswith(_CUSTOM)


def light(colour: str) -> Shades:
    """The colour for the light theme, darkened as far as it takes."""
    accent = _moved(_rgb(colour), _BLACK, _LIGHT_GROUNDS)
    # What stands on the soft ground is the colour itself.
    soft = _moved(_mixed(accent, _WHITE, 0.88), _WHITE, (accent,))
    return Shades(_hex(accent), _hex(_mixed(accent, _BLACK, 0.2)), _hex(soft))


def dark(colour: str) -> Shades:
    """The colour for the dark theme, lightened as far as it takes."""
    accent = _moved(_mixed(_rgb(colour), _WHITE, 0.35), _WHITE, (*_DARK_GROUNDS, _ON_ACCENT_DARK))
    soft = _moved(_mixed(accent, _DARK_GROUNDS[0], 0.84), _BLACK, (accent,))
    return Shades(_hex(accent), _hex(_mixed(accent, _WHITE, 0.3)), _hex(soft))


def cover(colour: str) -> str:
    """The ground of a cover without a picture, on which white is read."""
    return _hex(_moved(_mixed(_rgb(colour), _BLACK, 0.1), _BLACK, (_WHITE,)))


def style_sheet(colour: str) -> str:
    """CSS that gives the colour its name, in both themes."""
    name, by_day, by_night = name_of(colour), light(colour), dark(colour)
    at = f'[data-accent="{name}"]'
    return (
        f"{at} {{ {_variables(by_day)} }}\n"
        f"{at} .cover, {at}.cover {{ --cover: {cover(colour)}; }}\n"
        f"@media (prefers-color-scheme: dark) {{ {at} {{ {_variables(by_night)} }} }}\n"
    )


def contrast(first: str, second: str) -> float:
    """The contrast of two colours by WCAG 2.2, 1 to 21."""
    return _contrast(_rgb(first), _rgb(second))


def _variables(shades: Shades) -> str:
    return f"--accent: {shades.accent}; --accent-strong: {shades.strong}; --accent-soft: {shades.soft};"


def _moved(colour: Rgb, towards: Rgb, grounds: tuple[Rgb, ...]) -> Rgb:
    """The colour, moved in small steps until it can be read on, or behind, each of these."""
    for step in range(101):
        moved = _mixed(colour, towards, step / 100)
        if all(_contrast(moved, ground) >= CONTRAST for ground in grounds):
            return moved
    return towards


def _mixed(colour: Rgb, other: Rgb, share: float) -> Rgb:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def _contrast(first: Rgb, second: Rgb) -> float:
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Rgb) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (x / 255 for x in colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _rgb(colour: str) -> Rgb:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _hex(colour: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
