"""Tell exports of one shot from other shots: by the frame number in the file's name, by the pixels and by the faces.

Only photos of one camera and one moment are compared. Where any of the three speaks against it, or the pixels are not
known, they are different shots: a wrong answer would hide somebody's photo.
"""

import re
from pathlib import PurePath

from PIL import Image
from sqlalchemy import ColumnElement, select, update

from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.errors import FindMeError, Transient
from webapp.faces.core import boxes, vectors
from webapp.faces.core.protocols import Box, Vector
from webapp.models import Face, FaceVector, Photo, Rendition, RenditionKind
from webapp.pictures import imaging
from webapp.queueing import unit_of_work
from webapp.services.core import blobs

CLOSE = 16
"""Differing bits of 128 up to which two pictures count as one. Of the demo's photos, exports in black and white,
graded, sharpened or made smaller differed in up to 8 bits, those cropped by 2 % at each side in up to 16, and different
photos in 21 or more. A larger crop keeps both photos.
"""

SAME_FACE = 0.6
"""Cosine from which faces at the same place are one face. Exports of one shot hardly change it."""

MOST_MEGAPIXELS = 1

_EXPORT = re.compile(
    r"[-_ ]*(?:\((\d{1,3})\)|[-_ ](?:edit(?:ed)?|copy|kopie|copie|export|final|web|print|bw|sw|retouch(?:ed)?|"
    r"small|large|full|hires|lowres)|(?<=[^\d]\d{4})[-_](\d{1,2}))$"
)
"""What programs put behind a file's name when they export it once more: a number in brackets, a word, a number."""

_CAMERA_NAME = re.compile(r"(?:^|[^a-z0-9])(?=\d{0,3}[a-z_])[a-z0-9_]{4}(\d{4})(?!\d)")
"""A name as the DCF standard has it: four free letters, of which photographers choose some, and the frame number."""

_LAST_NUMBER = re.compile(r"^(.*?)(\d+)$")


def is_same_shot(one: Photo, other: Photo) -> bool:
    """Return whether two photos of one camera and one moment are exports of the same shot. Their faces are recorded."""
    if _is_other_frame(one.filename, other.filename):
        return False
    if one.pixel_hash is None or other.pixel_hash is None:
        return False
    return distance(one.pixel_hash, other.pixel_hash) <= CLOSE and not _shows_others(one, other)


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
    return _split(filename)[0]


def _split(filename: str) -> tuple[str, tuple[str | None, str | None]]:
    """The stem, and the numbers that were cut off from it: the one in brackets and the one behind a dash."""
    stem, before = PurePath(filename.casefold()).stem, ""
    brackets = dash = None
    while stem != before:
        before = stem
        if found := _EXPORT.search(stem):
            brackets, dash = found[1] or brackets, found[2] or dash
            stem = stem[: found.start()]
    return stem or filename.casefold(), (brackets, dash)


def complete(condition: ColumnElement[bool]) -> None:
    """Compute the hashes that photos lack which were indexed before there were any, from their thumbnails.

    Call it outside a unit of work: pictures are read. A picture that is damaged or gone stays without.

    Raises:
        Transient: the pictures can't be read now.
    """
    with reading():
        lacking = db.session.execute(
            select(Photo.id, Rendition.blob_key)
            .join(Rendition, Rendition.photo_id == Photo.id)
            .where(condition, Photo.pixel_hash.is_(None), Rendition.kind == RenditionKind.THUMBNAIL)
        ).all()
    found: dict[int, str] = {}
    for photo_id, key in lacking:
        try:
            with blobs.store().open(key) as stream:
                frame = imaging.decode(stream, max_megapixels=MOST_MEGAPIXELS).frame
        except Transient:
            raise
        except FindMeError:
            continue
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


def _is_other_frame(one: str, other: str) -> bool:
    """Whether the names of two files say that they are different frames.

    Two files with different numbers behind the name are counted through. A number that only one of them has may be a
    copy's; in brackets, behind a name that is no camera's, it is a phone's frame of a burst.
    """
    (stem, numbers), (_, others) = _split(one), _split(other)
    if any(number and there and number != there for number, there in zip(numbers, others, strict=True)):
        return True
    if numbers[0] != others[0] and not _CAMERA_NAME.search(stem):
        return True
    frame, other_frame = frame_of(one), frame_of(other)
    return frame is not None and other_frame is not None and frame[0] == other_frame[0] and frame[1] != other_frame[1]


def _shows_others(one: Photo, other: Photo) -> bool:
    """Whether the faces of two photos are those of different people, as far as there are vectors of them.

    They are where faces at the same place differ, or where none is at the place of one in the other photo.
    """
    faces, others = _faces(one), _faces(other)
    if not faces or not others:
        return False
    pairs = boxes.pairs([box for box, _ in faces], [box for box, _ in others])
    return not pairs or any(float(faces[old][1] @ others[new][1]) < SAME_FACE for old, new in pairs.items())


def _faces(photo: Photo) -> list[tuple[Box, Vector]]:
    """Places and vectors of the photo's clear faces."""
    rows = db.session.execute(
        select(Face, FaceVector.vector)
        .join(FaceVector, FaceVector.face_id == Face.id)
        .where(Face.photo_id == photo.id, Face.weak.is_(False))
    ).all()
    return [
        (Box(face.box_x, face.box_y, face.box_width, face.box_height), vectors.from_blobs([vector])[0])
        for face, vector in rows
        if vector is not None
    ]
