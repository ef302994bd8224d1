"""Tell exports of one shot from other shots: by the frame number in the file's name, and by the pixels.

Only photos of one camera and one moment are compared. Where either of the two speaks against it, or the pixels are not
known, they are different shots: a wrong answer would hide somebody's photo.
"""

import re
from contextlib import suppress
from pathlib import PurePath

from PIL import Image
from sqlalchemy import ColumnElement, select, update

from webapp import imaging
from webapp.database import reading
from webapp.errors import FindMeError
from webapp.extensions import db
from webapp.models import Photo, Rendition, RenditionKind
from webapp.queueing import unit_of_work
from webapp.services import blobs

CLOSE = 32
"""Differing bits of 128 up to which two pictures count as one. Exports in black and white, graded, turned by 2° or
cropped by 4 % at each side differ in up to 32, pictures of other groups of people in 41 or more.
"""

MOST_MEGAPIXELS = 1

_EXPORT = re.compile(
    r"[-_ ]*(?:\(\d{1,3}\)|[-_ ](?:edit(?:ed)?|copy|kopie|copie|export|final|web|print|bw|sw|retouch(?:ed)?|"
    r"small|large|full|hires|lowres)|(?<=[^\d]\d{4})[-_]\d{1,2})$"
)
"""What programs put behind a file's name when they export it once more."""

_CAMERA_NAME = re.compile(r"(?:^|[^a-z0-9])(?=\d{0,3}[a-z_])[a-z0-9_]{4}(\d{4})(?!\d)")
"""A name as the DCF standard has it: four free letters, of which photographers choose some, and the frame number."""

_LAST_NUMBER = re.compile(r"^(.*?)(\d+)$")


def is_same_shot(one: Photo, other: Photo) -> bool:
    """Return whether two photos of one camera and one moment are exports of the same shot."""
    if _is_other_frame(frame_of(one.filename), frame_of(other.filename)):
        return False
    if one.pixel_hash is None or other.pixel_hash is None:
        return False
    return distance(one.pixel_hash, other.pixel_hash) <= CLOSE


def distance(one: str, other: str) -> int:
    """Number of bits in which two perceptual hashes differ."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


def frame_of(filename: str) -> tuple[str, int] | None:
    """Series and number that a file's name gives to its frame; None without a number.

    All names by cameras are one series, whatever stands around them. Other names are a series where they differ only
    in their last number.
    """
    stem = stem_of(filename)
    camera = _CAMERA_NAME.search(stem)
    if camera is not None:
        return "", int(camera[1])
    last = _LAST_NUMBER.match(stem)
    return (last[1], int(last[2])) if last is not None else None


def stem_of(filename: str) -> str:
    """The file's name without its ending and without what programs add at an export."""
    stem, before = PurePath(filename.casefold()).stem, ""
    while stem != before:
        stem, before = _EXPORT.sub("", stem), stem
    return stem or filename.casefold()


def complete(condition: ColumnElement[bool]) -> None:
    """Compute the hashes that photos lack which were indexed before there were any, from their thumbnails.

    Call it outside a unit of work: pictures are read. What can't be read stays without.
    """
    with reading():
        lacking = db.session.execute(
            select(Photo.id, Rendition.blob_key)
            .join(Rendition, Rendition.photo_id == Photo.id)
            .where(condition, Photo.pixel_hash.is_(None), Rendition.kind == RenditionKind.THUMBNAIL)
        ).all()
    found: dict[int, str] = {}
    for photo_id, key in lacking:
        with suppress(FindMeError), blobs.store().open(key) as stream:
            frame = imaging.decode(stream, max_megapixels=MOST_MEGAPIXELS).frame
            found[photo_id] = imaging.pixel_hash(Image.fromarray(frame))
    if not found:
        return
    with unit_of_work():
        for photo_id, pixel_hash in found.items():
            db.session.execute(
                update(Photo)
                .where(Photo.id == photo_id, Photo.pixel_hash.is_(None))
                .values(pixel_hash=pixel_hash)
                .execution_options(synchronize_session=False)
            )


def _is_other_frame(one: tuple[str, int] | None, other: tuple[str, int] | None) -> bool:
    return one is not None and other is not None and one[0] == other[0] and one[1] != other[1]
