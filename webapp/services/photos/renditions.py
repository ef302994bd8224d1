"""The pictures that are made of a photo: most while it is indexed, some when they are first asked for."""

import io
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from sqlalchemy import select

from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.errors import NotFound
from webapp.models import Event, Photo, Rendition, RenditionKind
from webapp.pictures import imaging
from webapp.queueing import unit_of_work
from webapp.services.core import blobs, deletion_outbox

JPEG_OF = {
    RenditionKind.PREVIEW: RenditionKind.PREVIEW_JPEG,
    RenditionKind.THUMBNAIL: RenditionKind.THUMBNAIL_JPEG,
}
"""What programs get that don't know the format of what is made for screens."""

MOST_PREVIEW_MEGAPIXELS = 10

# A web process has little memory: however many ask at once, one picture is decoded at a time.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a rendition lies, and as what it is served."""

    blob_key: str
    content_type: str


def keep(event_key: str, photo_key: str, kind: RenditionKind, picture: imaging.Rendition, name: str = "") -> Rendition:
    """Store a picture, and return its row, which belongs to no photo yet. name: of the blob, by default the kind's."""
    key = blobs.photo_key(event_key, photo_key, (name or kind.value) + blobs.extension(picture.content_type))
    blobs.store().put(key, io.BytesIO(picture.content))
    return Rendition(
        kind=kind,
        blob_key=key,
        content_type=picture.content_type,
        width=picture.width,
        height=picture.height,
        byte_size=len(picture.content),
    )


def replace_all(event_key: str, photo: Photo, made: list[Rendition]) -> None:
    """Put what was made of the original in place of everything that was made of it, or of a former one, before."""
    former = [row for row in photo.renditions if row.kind is not RenditionKind.ORIGINAL]
    photo.renditions = [row for row in photo.renditions if row.kind is RenditionKind.ORIGINAL]
    db.session.flush()  # the old rows go before the new ones of their kinds come
    photo.renditions.extend(made)
    kept = {row.blob_key for row in photo.renditions}
    deletion_outbox.remove_blobs(event_key, sorted({row.blob_key for row in former} - kept))


def of_kind(photo: Photo, kind: RenditionKind) -> Rendition:
    """The photo's row of this kind.

    Raises:
        NotFound: it is not made yet.
    """
    for row in photo.renditions:
        if row.kind is kind:
            return row
    raise NotFound()


def stored(photo: Photo, kind: RenditionKind, *, webp: bool) -> Stored:
    """A rendition of the photo, or the same as JPEG for those who don't know WebP, made when it is first asked for.

    Raises:
        NotFound: it is not made yet.
        Transient: the store is away.
    """
    found = of_kind(photo, kind)
    if webp or found.content_type != "image/webp" or kind not in JPEG_OF:
        return Stored(found.blob_key, found.content_type)
    return on_demand(photo, JPEG_OF[kind], found, _as_jpeg)


def _as_jpeg(source: IO[bytes]) -> imaging.Rendition:
    return imaging.as_jpeg(imaging.decode(source, max_megapixels=MOST_PREVIEW_MEGAPIXELS).frame)


def on_demand(
    photo: Photo,
    kind: RenditionKind,
    source: Rendition,
    make: Callable[[IO[bytes]], imaging.Rendition],
    stamp: str = "",
) -> Stored:
    """A rendition that is made when it is first asked for, and kept from then on.

    source: what it is made of; make: makes it from that one's bytes; stamp: letters that name what it depends on
    beside, so that one with another stamp is made anew. Of two that make it at once one is kept.

    Raises:
        NotFound: the photo or its source has gone meanwhile.
        Transient: the store is away.
    """
    name = "-".join(filter(None, (kind.value, stamp))) + "-"
    photo_id, photo_key, source_id, source_key = photo.id, photo.public_id, source.id, source.blob_key
    event_key = db.session.get_one(Event, photo.event_id).public_id
    with _ONE_AT_A_TIME:
        with reading():
            known = _known(photo_id, kind, name)
        if known is not None:
            return known
        with blobs.store().open(source_key) as stream:
            picture = make(stream)
    # Each try has a blob of its own: whoever loses removes theirs and nobody else's.
    made = keep(event_key, photo_key, kind, picture, name + secrets.token_hex(4))
    place = Stored(made.blob_key, made.content_type)
    with unit_of_work():
        kept = _adopt(event_key, photo_id, source_id, made, name)
    if kept != place:
        blobs.store().delete(place.blob_key)
    if kept is None:
        raise NotFound()
    return kept


def _known(photo_id: int, kind: RenditionKind, name: str) -> Stored | None:
    """The rendition, where it is there with the right stamp."""
    row = db.session.scalar(select(Rendition).where(Rendition.photo_id == photo_id, Rendition.kind == kind))
    if row is None or not row.blob_key.rpartition("/")[2].startswith(name):
        return None
    return Stored(row.blob_key, row.content_type)


def _adopt(event_key: str, photo_id: int, source_id: int, made: Rendition, name: str) -> Stored | None:
    """Give the photo what was made of it, unless somebody was faster; None where it was made of what is no more."""
    photo = db.session.scalar(
        select(Photo).where(Photo.id == photo_id).with_for_update(of=Photo).execution_options(populate_existing=True)
    )
    if photo is None or source_id not in [row.id for row in photo.renditions]:
        return None
    known = _known(photo_id, made.kind, name)
    if known is not None:
        return known
    former = [row for row in photo.renditions if row.kind is made.kind]
    photo.renditions = [row for row in photo.renditions if row.kind is not made.kind]
    db.session.flush()
    photo.renditions.append(made)
    deletion_outbox.remove_blobs(event_key, [row.blob_key for row in former])
    return Stored(made.blob_key, made.content_type)
