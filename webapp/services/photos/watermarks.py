"""What guests save: the original, or where the photographer wants a watermark, a web-size picture that carries it."""

import hashlib
from functools import cache
from typing import IO

from flask import current_app
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from sqlalchemy import select

from webapp.db.extensions import db
from webapp.models import Event, Membership, Photo, RenditionKind, User
from webapp.pictures import imaging
from webapp.services.photos import renditions
from webapp.services.photos.renditions import Stored
from webapp.settings import ROOT

WEB_SIDE = 2048
"""Long side of a web-size picture, in pixels."""

MOST_PIXELS = 24_000_000
"""What is decoded whole in a web process. JPEG is scaled while it is decoded, so it may be larger."""

FONT = ROOT / "static" / "vendor" / "fonts" / "figtree.woff2"
TEXT_SHARE, MOST_WIDTH = 0.03, 0.6
"""Height of the letters relative to the picture's long side; what of its width the text may take at most."""

SHADE, INK = 150, 215
"""How dark the shadow is, and how white the letters: 255 would hide what is behind."""


def may_have_original(user: User, photo: Photo) -> bool:
    """Whether somebody who may see the photo may have its file as it came: always who runs the event, guests where
    nobody wants a watermark.
    """
    event = db.session.get_one(Event, photo.event_id)
    if not event.watermark or user.is_admin:
        return True
    membership = db.session.scalar(
        select(Membership).where(Membership.event_id == event.id, Membership.user_id == user.id)
    )
    return membership is not None and membership.runs_event


def web_size(photo: Photo) -> Stored:
    """The photo at web size as JPEG, with the event's watermark; made once for each text.

    Raises:
        NotFound: the photo's renditions are not made yet.
        Transient: the store is away.
        UnsupportedType, TooLarge: the file can't be read any more.
    """
    text = db.session.get_one(Event, photo.event_id).watermark
    # Nothing is made before a worker has found the file to be a picture.
    source = renditions.of_kind(photo, RenditionKind.PREVIEW)
    original = renditions.of_kind(photo, RenditionKind.ORIGINAL)
    pixels = (photo.width or 0) * (photo.height or 0)
    if original.content_type == "image/jpeg" or pixels <= MOST_PIXELS:
        source = original
    megapixels: float = current_app.extensions["settings"].max_megapixels

    def make(stream: IO[bytes]) -> imaging.Rendition:
        frame = imaging.decode(stream, max_megapixels=megapixels, min_long_side=WEB_SIDE).frame
        return imaging.jpeg(marked(imaging.fit(Image.fromarray(frame), WEB_SIDE), text), quality=85)

    stamp = hashlib.sha256(text.encode()).hexdigest()[:12]
    return renditions.on_demand(photo, RenditionKind.WEB, source, make, stamp)


def marked(picture: Image.Image, text: str) -> Image.Image:
    """The picture with the text in its lower right corner: white letters on a soft shadow, so that they can be read on
    light and on dark. Without letters to write, the picture as it is.
    """
    text = _writable(text)
    if not text:
        return picture
    long_side = max(picture.size)
    letters = _letters(text, max(10, round(long_side * TEXT_SHARE)), round(picture.width * MOST_WIDTH))
    gap = max(2, round(long_side * 0.018))
    place = (picture.width - letters.width - gap, picture.height - letters.height - gap)
    soft = max(1, letters.height // 6)
    ground = Image.new("L", (letters.width + 6 * soft, letters.height + 6 * soft))
    ground.paste(letters, (3 * soft, 3 * soft))
    ground = ground.filter(ImageFilter.GaussianBlur(soft)).point(lambda value: min(SHADE, value * 3))
    done = picture.copy()
    done.paste((0, 0, 0), (place[0] - 3 * soft, place[1] - 3 * soft), ground)
    done.paste((255, 255, 255), place, letters.point(lambda value: value * INK // 255))
    return done


def _letters(text: str, size: int, most_width: int) -> Image.Image:
    """The text as a mask, smaller where it would be too wide."""
    font = _font(size)
    width = font.getlength(text)
    if width > most_width:
        font = _font(max(6, int(size * most_width / width)))
    left, top, right, bottom = font.getbbox(text)
    mask = Image.new("L", (max(1, round(right - left)), max(1, round(bottom - top))))
    ImageDraw.Draw(mask).text((-left, -top), text, fill=255, font=font)
    return mask


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.truetype(FONT, size)
    font.set_variation_by_axes([600])
    return font


def _writable(text: str) -> str:
    """What of the text the font has letters for: others would be drawn as empty boxes."""
    return " ".join("".join(letter for letter in text if letter.isspace() or _known(letter)).split())


@cache
def _known(letter: str) -> bool:
    font = _font(20)
    return bytes(font.getmask(letter)) != bytes(font.getmask("\uffff"))
