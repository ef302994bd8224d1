"""Everything about picture files, with Pillow: what a file is, its pixels upright, and the renditions that are shown.

Files come from strangers. Only the formats of FORMATS are tried, the megapixels are checked before anything is decoded,
and whatever Pillow raises leaves here as one of the codes of FAULTS.
"""

import base64
import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import IO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from webapp.errors import FindMeError, TooLarge, UnsupportedType
from webapp.pictures import exif, isobmff, picture_heads, pixel_data
from webapp.pictures.exif import CameraBody
from webapp.pictures.picture_heads import Head

try:
    # The extra `heic`: its wheels are under the GPL, so that whoever passes FindMe on may leave it out.
    from pillow_heif import register_heif_opener
except ImportError:
    HEIC = False
else:
    register_heif_opener(thumbnails=False)
    HEIC = True

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", *(["HEIF"] if HEIC else []))
"""What is tried. MPO, the phones' JPEG with a second picture behind the first, is opened as JPEG."""

FAULTS = {
    "empty": "The file is empty. Please send it again.",
    "not_a_picture": "This is not a JPEG, PNG, WebP, AVIF or HEIC picture.",
    "heic": "This is a HEIC picture, which can't be read here. Please send it as JPEG.",
    "truncated": "The picture is damaged or did not arrive completely. Please send it again.",
    "too_many_pixels": "The picture has too many pixels. Please send a smaller version.",
}
"""Every code that this module raises, with its sentence in English."""

FRAME_SIDE, PREVIEW_SIDE, THUMBNAIL_SIDE = 1600, 1600, 400
SELFIE_SIDE, CROP_SIDE, PLACEHOLDER_SIDE = 480, 240, 16

LINK_PREVIEW = (1200, 630)
"""Width and height of what apps show beside a link: a card's ratio, and as large as the largest card is."""

MOST_LINK_PREVIEW_BYTES = 300_000
"""Beyond that WhatsApp shows no picture."""

LINK_PREVIEW_QUALITIES = (80, 65, 45, 25)

MOST_SMALL_COVER_BYTES = 45_000
"""Nine tenths of a second at 400 kbit/s, so that the cover is there three seconds after the tap on the link."""

SMALL_COVER_RATIO = 2.0
"""A phone shows nearly a square of it; what a panorama has beyond that would only take the pixels."""

SMALL_COVERS = ((900, 74), (900, 60), (900, 45), (900, 30), (640, 30), (480, 25), (320, 20))
"""Long side and quality, until it is light enough: confetti needs the later ones."""

_AVIF_BRANDS = (b"avif", b"avis")

Frame = npt.NDArray[np.uint8]

# The limit in megapixels is ours, checked on every file before it is decoded; Pillow's warning would only go to a log,
# and its error beyond twice that size stays in force.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


@dataclass(frozen=True, slots=True)
class PictureInfo:
    """What the head of a file says."""

    format: str
    """JPEG, PNG, WEBP, AVIF or HEIF."""
    width: int
    height: int
    """Pixels of the upright picture."""
    pixels: int
    """How many are decoded: more than width × height where the container crops them."""
    scales: bool
    """Whether it is scaled down while it is decoded, in little memory: a JPEG that is not progressive."""
    taken_at: datetime | None
    """By the camera's clock; with a zone only where the camera wrote one."""
    camera: CameraBody | None


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """A picture's pixels, upright, and what its file says."""

    frame: Frame
    """(height, width, 3), RGB in sRGB; smaller than the file's picture where that saves work."""
    info: PictureInfo


@dataclass(frozen=True, slots=True)
class Rendition:
    """A picture file that is served, without any metadata."""

    content: bytes
    content_type: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Renditions:
    """What the gallery shows of a photo."""

    preview: Rendition
    thumbnail: Rendition
    placeholder: str
    """A `data:` URI of about 150 characters, shown blurred until the thumbnail is there."""
    pixel_hash: str
    """See `pixel_hash()`."""


def probe(stream: IO[bytes], *, max_megapixels: float) -> PictureInfo:
    """Read the header of a file in constant memory, without decoding it. Leaves the stream at its start.

    Raises:
        UnsupportedType: code `empty`, `not_a_picture`, `heic` or `truncated`.
        TooLarge: code `too_many_pixels`.
    """
    try:
        with _faults_named():
            head = _head(stream, max_megapixels)
            return _info(head, exif.read(head.exif, head.xmp), (head.width, head.height))
    finally:
        stream.seek(0)


def decode(stream: IO[bytes], *, max_megapixels: float, min_long_side: int = FRAME_SIDE) -> Decoded:
    """The picture, upright, in sRGB, scaled down by a whole factor so that its long side stays ≥ `min_long_side`.

    JPEG is scaled while it is decoded, which saves most of time and memory: 24 MP take 90 ms and 18 MB. Transparent
    pictures are laid on white; of animated ones the first frame counts. Metadata that can't be read, or a missing end
    marker, are no damage; missing pixels are.

    Raises:
        UnsupportedType: code `empty`, `not_a_picture`, `heic` or `truncated`.
        TooLarge: code `too_many_pixels`.
    """

    def draft(image: Image.Image) -> None:
        longest = max(image.size)
        if longest > min_long_side:
            wanted = (math.ceil(side * min_long_side / longest) for side in image.size)
            image.draft(None, (next(wanted), next(wanted)))

    with _faults_named():
        head = _head(stream, max_megapixels)
        tags = exif.read(head.exif, head.xmp)
        image = pixel_data.load(stream, head, FORMATS, draft)
        # The container of HEIC and AVIF says which way is up; libheif has turned the pixels already.
        if head.format == "AVIF":
            orientation = exif.orientation(image.getexif())
        else:
            orientation = 1 if head.format == "HEIF" else exif.orientation(tags)
        frame = np.asarray(_upright(_reduced_rgb(image, min_long_side), orientation))
        return Decoded(frame, _info(head, tags, (head.width, head.height) if head.format != "HEIF" else image.size))


def renditions(frame: Frame) -> Renditions:
    """Preview (long side ≤ 1600), thumbnail (≤ 400) and placeholder, all WebP: a third of what JPEG takes.

    frame: (height, width, 3), RGB. Never enlarges.
    """
    preview = fit(Image.fromarray(frame), PREVIEW_SIDE)
    thumbnail = fit(preview, THUMBNAIL_SIDE)
    tiny = _webp(fit(thumbnail, PLACEHOLDER_SIDE), quality=20)
    uri = f"data:{tiny.content_type};base64,{base64.b64encode(tiny.content).decode()}"
    return Renditions(_webp(preview, quality=80), _webp(thumbnail, quality=75), uri, pixel_hash(thumbnail))


def pixel_hash(image: Image.Image) -> str:
    """Perceptual hash (dHash) of an upright picture: 128 bits in hex, one for each step of brightness between
    neighbours in a grid of 9 × 9, to the right and downwards. Tones and sizes change few of them.
    """
    grey = np.asarray(image.convert("L").resize((9, 9), Image.Resampling.BOX), np.int16)
    here, right, below = grey[:-1, :-1], grey[:-1, 1:], grey[1:, :-1]
    return np.packbits(np.concatenate([(right > here).ravel(), (below > here).ravel()])).tobytes().hex()


def as_jpeg(frame: Frame) -> Rendition:
    """A rendition for programs that don't know WebP. frame: (height, width, 3), RGB."""
    return jpeg(Image.fromarray(frame), quality=82)


def link_preview(frame: Frame) -> Rendition:
    """The picture as apps show it beside a link: cut to LINK_PREVIEW, as light as all of them take it."""
    # A little above the middle, where people's heads are.
    image = ImageOps.fit(Image.fromarray(frame), LINK_PREVIEW, Image.Resampling.LANCZOS, centering=(0.5, 0.4))
    for quality in LINK_PREVIEW_QUALITIES:
        made = jpeg(image, quality)
        if len(made.content) <= MOST_LINK_PREVIEW_BYTES:
            break
    return made


def _within(image: Image.Image, ratio: float) -> Image.Image:
    """The picture, cut at its long sides where it is longer than `ratio` times its short side."""
    width, height = image.size
    size = (min(width, round(height * ratio)), min(height, round(width * ratio)))
    # As covers are placed: in the middle, and a little above it, where people's heads are.
    return image if size == image.size else ImageOps.fit(image, size, centering=(0.5, 0.35))


def small_cover(frame: Frame) -> Rendition:
    """An event's cover for phones: long side ≤ 900, WebP, as light as a weak network needs it."""
    image = _within(Image.fromarray(frame), SMALL_COVER_RATIO)
    for side, quality in SMALL_COVERS:
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
        made = _webp(image, quality)
        if len(made.content) <= MOST_SMALL_COVER_BYTES:
            break
    return made


def selfie_preview(frame: Frame) -> Rendition:
    """The selfie as its owner is shown it: long side ≤ 480, JPEG. frame: (height, width, 3), RGB."""
    image = Image.fromarray(frame)
    # Averaged by a whole factor first: for a small picture that nobody zooms into, it costs a quarter.
    return jpeg(fit(image.reduce(max(1, max(image.size) // SELFIE_SIDE)), SELFIE_SIDE), quality=82)


def face_crop(frame: Frame, x: float, y: float, width: float, height: float) -> Rendition:
    """The square around one face and nothing more of the picture: 240 × 240, JPEG.

    frame: (height, width, 3), RGB; x, y, width, height: the face's box relative to the picture, 0 to 1. The square is
    1.3 times as large as the box's longer side, moved inwards at the picture's edge.
    """
    rows, columns = frame.shape[:2]
    side = max(1, min(rows, columns, round(1.3 * max(width * columns, height * rows))))
    left = min(max(0, round((x + width / 2) * columns - side / 2)), columns - side)
    top = min(max(0, round((y + height / 2) * rows - side / 2)), rows - side)
    square = Image.fromarray(np.ascontiguousarray(frame[top : top + side, left : left + side]))
    return jpeg(square.resize((CROP_SIDE, CROP_SIDE), Image.Resampling.LANCZOS), quality=85)


def fault(code: str) -> FindMeError:
    """The error for a code of FAULTS."""
    kind = TooLarge if code == "too_many_pixels" else UnsupportedType
    return kind(code=code)


@contextmanager
def _faults_named() -> Iterator[None]:
    """Whatever Pillow's readers raise on a damaged file means that it is damaged: they raise almost anything."""
    try:
        yield
    except FindMeError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise fault("too_many_pixels") from error
    except picture_heads.HeadError as error:
        raise fault(error.code) from error
    except (UnidentifiedImageError, isobmff.BrokenContainerError, pixel_data.MissingPixelsError) as error:
        raise fault("truncated") from error
    except Exception as error:
        raise fault("truncated") from error


def _head(stream: IO[bytes], max_megapixels: float) -> Head:
    stream.seek(0)
    start = stream.read(16)
    try:
        head = picture_heads.read(stream)
    except picture_heads.HeadError as error:
        if not HEIC and isobmff.is_picture(start) and start[8:12] not in _AVIF_BRANDS:
            raise fault("heic") from error
        raise
    if head.format == "HEIF" and not HEIC:
        raise fault("heic")
    if head.pixels > max_megapixels * 1e6:
        raise fault("too_many_pixels")
    return head


def _info(head: Head, tags: Image.Exif, size: tuple[int, int]) -> PictureInfo:
    width, height = size
    if head.container is None and exif.orientation(tags) >= 5:
        width, height = height, width
    scales = head.format == "JPEG" and not head.progressive
    return PictureInfo(head.format, width, height, head.pixels, scales, exif.taken_at(tags), exif.camera(tags))


def _reduced_rgb(image: Image.Image, min_long_side: int) -> Image.Image:
    """The picture in 8-bit sRGB on white, averaged down first where its pixels can be averaged."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I;16"):
        # Pillow clips 16-bit grey at 255 instead of scaling it.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode == "P" or "transparency" in image.info:
        image = image.convert("RGBA")
    factor = max(image.size) // min_long_side
    if factor > 1 and image.mode in ("L", "LA", "RGB", "RGBA", "CMYK"):
        image = image.reduce(factor)
    if image.mode in ("LA", "PA", "RGBA", "RGBa", "La"):
        on_white = Image.new("RGBA", image.size, "white")
        on_white.alpha_composite(image.convert("RGBA"))
        image = on_white.convert("RGB")
    return _to_srgb(image, profile)


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Phones write Display P3, studios Adobe RGB: shown without their profile, skin would look pale."""
    if profile and image.mode in ("RGB", "CMYK"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            fits = source.profile.xcolor_space.strip() == image.mode
            if fits and "srgb" not in ImageCms.getProfileDescription(source).lower():
                converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
                return converted if converted is not None else image.convert("RGB")
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            # A damaged profile is no reason to refuse the picture.
            pass
    return image if image.mode == "RGB" else image.convert("RGB")


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }.get(orientation)
    return image if turn is None else image.transpose(turn)


def fit(image: Image.Image, long_side: int) -> Image.Image:
    """The picture with this long side at most; one that is smaller stays as it is."""
    if max(image.size) <= long_side:
        return image
    factor = long_side / max(image.size)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def jpeg(image: Image.Image, quality: int) -> Rendition:
    """The picture as JPEG, without any metadata. quality: 1 to 95."""
    target = io.BytesIO()
    image.save(target, "JPEG", quality=quality, optimize=True, progressive=True)
    return Rendition(target.getvalue(), "image/jpeg", image.width, image.height)


def _webp(image: Image.Image, quality: int) -> Rendition:
    target = io.BytesIO()
    # Method 2 takes a third of the time of the usual 4 for 5 % more bytes.
    image.save(target, "WEBP", quality=quality, method=2)
    return Rendition(target.getvalue(), "image/webp", image.width, image.height)
