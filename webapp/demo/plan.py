"""The list of the demo event's photos: which place, who is on it, how large, in what light."""

from dataclasses import dataclass

Tint = tuple[float, float, float]

DAY: Tint = (1.0, 1.0, 0.98)
GOLDEN: Tint = (1.0, 0.93, 0.8)
EVENING: Tint = (0.98, 0.86, 0.78)
BLUE_HOUR: Tint = (0.84, 0.86, 0.98)
CANDLES: Tint = (1.0, 0.86, 0.68)
PARTY: Tint = (0.95, 0.82, 0.98)
INDOORS: Tint = (0.92, 0.96, 1.0)

LANDSCAPE, WIDE, UPRIGHT, SQUARE, LARGE = (2000, 1333), (2200, 1238), (1333, 2000), (1600, 1600), (2400, 1600)


@dataclass(frozen=True, slots=True)
class Figure:
    """A person in a photo. Shares are of the photo's width (x) and height (y, face)."""

    name: str
    x: float
    y: float
    face: float
    tilt: float = 0.0
    mirrored: bool = False
    light_from_left: bool = True
    blur: float = 0.0


@dataclass(frozen=True, slots=True)
class Shot:
    """A photo to draw."""

    file: str
    place: str
    size: tuple[int, int]
    figures: tuple[Figure, ...] = ()
    tint: Tint = DAY
    brightness: float = 1.0
    contrast: float = 1.0
    compression: int = 90
    grey: bool = False


def _grace(x: float, y: float, face: float, **more: float | bool) -> Figure:
    return Figure("grace", x, y, face, **more)  # type: ignore[arg-type]


def _eileen(x: float, y: float, face: float, **more: float | bool) -> Figure:
    return Figure("eileen", x, y, face, **more)  # type: ignore[arg-type]


_PLAN = (
    Shot("", "meadow", LANDSCAPE, (_eileen(0.36, 0.42, 0.24),), DAY),
    Shot("", "balloons", LANDSCAPE, (), DAY),
    Shot("", "meadow", UPRIGHT, (_grace(0.52, 0.52, 0.26, mirrored=True),), DAY, compression=84),
    Shot("", "garden", LARGE, (_grace(0.68, 0.6, 0.26), _eileen(0.32, 0.56, 0.25)), GOLDEN),
    Shot("", "garden", LANDSCAPE, (_eileen(0.62, 0.46, 0.3, mirrored=True, tilt=3),), GOLDEN, contrast=1.06),
    Shot("", "meadow", LARGE, (), DAY, compression=86),
    Shot("", "garden", SQUARE, (_grace(0.5, 0.54, 0.34, tilt=-2),), GOLDEN),
    Shot("", "sea", LANDSCAPE, (_eileen(0.3, 0.5, 0.2, tilt=-2),), GOLDEN, brightness=0.96),
    Shot("", "sea", WIDE, (), GOLDEN),
    Shot(
        "",
        "sea",
        LANDSCAPE,
        (_grace(0.36, 0.62, 0.22, mirrored=True), _eileen(0.66, 0.58, 0.21)),
        GOLDEN,
        compression=82,
    ),
    Shot("", "garden", UPRIGHT, (_eileen(0.46, 0.4, 0.17),), EVENING),
    Shot("", "dusk", LANDSCAPE, (_grace(0.66, 0.58, 0.3, light_from_left=False),), EVENING),
    Shot("", "dusk", LARGE, (), EVENING),
    Shot("", "dusk", WIDE, (_eileen(0.7, 0.52, 0.28, mirrored=True, light_from_left=False),), EVENING, brightness=0.92),
    Shot("", "dusk", LARGE, (_eileen(0.56, 0.66, 0.17), _grace(0.36, 0.7, 0.17, mirrored=True)), BLUE_HOUR),
    Shot("", "hall", LANDSCAPE, (_grace(0.38, 0.54, 0.34, tilt=2, mirrored=True),), CANDLES, contrast=1.08),
    Shot("", "hall", UPRIGHT, (_eileen(0.52, 0.6, 0.2, tilt=-3),), CANDLES, compression=80),
    Shot("", "hall", SQUARE, (_eileen(0.5, 0.46, 0.3),), DAY, contrast=1.1, grey=True),
    Shot(
        "", "garden", WIDE, (_grace(0.24, 0.66, 0.24), _eileen(0.5, 0.62, 0.22, mirrored=True)), EVENING, brightness=0.9
    ),
    Shot("", "hall", LARGE, (_eileen(0.68, 0.52, 0.27, mirrored=True), _grace(0.34, 0.58, 0.28)), CANDLES),
    Shot("", "stage", LANDSCAPE, (_eileen(0.42, 0.5, 0.26, tilt=4),), PARTY, contrast=1.06),
    Shot("", "stage", LANDSCAPE, (), PARTY),
    Shot("", "stage", UPRIGHT, (_grace(0.5, 0.56, 0.24, tilt=-4),), PARTY, compression=78),
    Shot(
        "", "stage", WIDE, (_grace(0.62, 0.66, 0.26, mirrored=True), _eileen(0.34, 0.6, 0.25)), PARTY, brightness=0.94
    ),
    Shot("", "garden", LANDSCAPE, (_grace(0.4, 0.72, 0.15, blur=1.2),), EVENING, brightness=0.84, compression=72),
    Shot("", "dusk", SQUARE, (_eileen(0.5, 0.62, 0.15),), BLUE_HOUR, brightness=0.86),
    Shot("", "fireworks", LARGE, (), DAY),
    Shot("", "dusk", LANDSCAPE, (_eileen(0.3, 0.62, 0.22), _grace(0.66, 0.68, 0.23)), BLUE_HOUR, brightness=0.96),
    Shot("", "hall", LANDSCAPE, (_grace(0.6, 0.6, 0.4, light_from_left=False),), CANDLES, brightness=1.06),
    Shot("", "dusk", UPRIGHT, (_eileen(0.48, 0.62, 0.22, tilt=2),), EVENING, contrast=1.05),
)

PHOTOS = tuple(
    Shot(
        f"DSC_{1041 + 3 * n:04d}.jpg",
        s.place,
        s.size,
        s.figures,
        s.tint,
        s.brightness,
        s.contrast,
        s.compression,
        s.grey,
    )
    for n, s in enumerate(_PLAN)
)
"""In the order in which they were taken: with one of the two, with both, or with nobody."""

SELFIES = {
    "grace": Shot(
        "selfie-grace.jpg",
        "hall",
        (1200, 1600),
        (_grace(0.47, 0.5, 0.36, tilt=5, light_from_left=False),),
        INDOORS,
        brightness=1.12,
        compression=85,
    ),
    "eileen": Shot(
        "selfie-eileen.jpg",
        "meadow",
        (1200, 1600),
        (_eileen(0.55, 0.48, 0.36, tilt=-5, light_from_left=False),),
        INDOORS,
        brightness=1.1,
        contrast=0.94,
        compression=85,
    ),
}
