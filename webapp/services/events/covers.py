"""The cover picture of an event: what everybody who knows its code sees of it, also before they join."""

import io
import threading
from collections.abc import Collection
from typing import IO

from flask import current_app
from sqlalchemy import select

from webapp.db.columns import new_public_id
from webapp.db.extensions import db
from webapp.errors import FindMeError, NotFound, TooLarge, Transient
from webapp.models import Event, Photo, PhotoStatus, Rendition, RenditionKind, User
from webapp.pictures import cover_process, imaging
from webapp.queueing import unit_of_work
from webapp.services.core import audit, blobs, deletion_outbox, locks
from webapp.services.rules.visibility import is_out

MOST_MEGABYTES = 30
MOST_MEGAPIXELS = 24
"""What is decoded while somebody waits; a JPEG that is scaled while it is decoded may be larger."""

CHOICE = 12
CONTENT_TYPE, SMALL_CONTENT_TYPE = "image/jpeg", "image/webp"

_ONE_AT_A_TIME = threading.Lock()
"""Decoding takes memory, in whichever process: each web process has one cover decoded at a time."""

_ONE_PREVIEW_AT_A_TIME = threading.Lock()
"""Made of a cover that is ours, within a tenth of a second: it does not wait for files that are decoded."""

_PREVIEW_PLACES = threading.BoundedSemaphore(4)
"""How many threads of a process may make or wait for a preview: who asks for very many can't hold all of them."""


def choice(event: Event) -> list[Photo]:
    """Photos of the event that can be its cover, the latest first: those that guests may be shown at all."""
    return list(
        db.session.scalars(
            select(Photo)
            .where(
                Photo.event_id == event.id,
                Photo.status == PhotoStatus.INDEXED,
                Photo.published_at.is_not(None),
                Photo.hidden_at.is_(None),
            )
            .order_by(Photo.id.desc())
            .limit(CHOICE)
        )
    )


def preview(event: Event) -> bytes:
    """The cover as apps show it beside a link, see `imaging.link_preview`. Call it outside a unit of work.

    Raises:
        NotFound: there is none.
        Transient: the store is away, or too many are asked for at once.
    """
    key = event.cover_key
    if key is None:
        raise NotFound(code="not_found")
    db.session.rollback()
    if not _PREVIEW_PLACES.acquire(blocking=False):
        raise Transient
    try:
        with blobs.store().open(key) as stream:
            content = io.BytesIO(stream.read())
        # Made each time: a copy that is kept would have to go whenever the cover goes.
        with _ONE_PREVIEW_AT_A_TIME:
            return imaging.link_preview(imaging.decode(content, max_megapixels=MOST_MEGAPIXELS).frame).content
    finally:
        _PREVIEW_PLACES.release()


def set_picture(event: Event, stream: IO[bytes], actor: User) -> None:
    """Make a picture that somebody handed in the cover. Call it outside a unit of work: storing takes its time.

    Raises:
        UnsupportedType, TooLarge: it can't be used; the cover stays as it was.
        Transient: it can't be stored now.
    """
    if stream.seek(0, io.SEEK_END) > MOST_MEGABYTES * 1024 * 1024:
        raise TooLarge(code="cover_too_large", fields={"file": "cover_too_large"})
    stream.seek(0)
    try:
        content = _rendered(stream)
    except FindMeError as error:
        error.fields = {"file": error.code}
        raise
    _keep(event, content, actor)


def set_photo(event: Event, photo_public_id: str, actor: User) -> None:
    """Make a copy of one of the event's photos the cover.

    Raises:
        NotFound: it is none that guests may be shown.
        Transient: it can't be stored now.
    """
    key = db.session.scalar(
        select(Rendition.blob_key)
        .join(Photo)
        .where(
            Photo.public_id == photo_public_id,
            Photo.event_id == event.id,
            Photo.status == PhotoStatus.INDEXED,
            Photo.published_at.is_not(None),
            Photo.hidden_at.is_(None),
            Rendition.kind == RenditionKind.PREVIEW,
        )
    )
    if key is None:
        raise NotFound(code="photo_unknown", fields={"photo": "photo_unknown"})
    with blobs.store().open(key) as stream:
        content = _rendered(stream)
    _keep(event, content, actor, photo_public_id)


def remove(event: Event, actor: User) -> None:
    """Go back to a cover without a picture. Call it outside a unit of work."""
    _exchange(event.id, None, None, actor)


def forget_photos(event: Event, photo_public_ids: Collection[str]) -> None:
    """Let the cover go with the photo that it is a copy of, if that is one of these. The event is locked."""
    if event.cover_key is not None and _photo_of(event.cover_key) in photo_public_ids:
        _remove_blobs(event)
        event.cover_key = event.cover_small_key = None


def _rendered(stream: IO[bytes]) -> bytes:
    """The picture as it is served, see `cover_process.render`."""
    settings = current_app.extensions["settings"]
    info = imaging.probe(stream, max_megapixels=settings.max_megapixels)
    if not info.scales and info.pixels > MOST_MEGAPIXELS * 1e6:
        raise imaging.fault("too_many_pixels")
    with _ONE_AT_A_TIME:
        return cover_process.render(stream, settings.max_megapixels)


def _keep(event: Event, content: bytes, actor: User, photo_public_id: str = "") -> None:
    event_id, event_key = event.id, event.public_id
    db.session.rollback()
    small = imaging.small_cover(imaging.decode(io.BytesIO(content), max_megapixels=MOST_MEGAPIXELS).frame).content
    # The name says of which photo it is a copy, so that it goes with that one.
    name = "-".join(filter(None, (new_public_id(), photo_public_id)))
    key, small_key = (f"events/{event_key}/cover/{name}{end}" for end in (".jpg", "-small.webp"))
    try:
        blobs.store().put(key, io.BytesIO(content))
        blobs.store().put(small_key, io.BytesIO(small))
        _exchange(event_id, key, small_key, actor)
    except BaseException:
        blobs.store().delete(key)
        blobs.store().delete(small_key)
        raise


def _require_photo(public_id: str) -> None:
    """Raises NotFound when the photo of a cover has been deleted or hidden while the cover was made. The event is
    locked.
    """
    out = select(Photo.id).where(Photo.public_id == public_id, is_out())
    if public_id and db.session.scalar(out) is None:
        raise NotFound(code="photo_unknown", fields={"photo": "photo_unknown"})


def _photo_of(key: str) -> str:
    """The public id of the photo that a cover is a copy of; empty for a picture that somebody handed in."""
    return key.rpartition("/")[2].removesuffix(".jpg").partition("-")[2]


def _exchange(event_id: int, key: str | None, small_key: str | None, actor: User) -> None:
    with unit_of_work():
        event = locks.lock_event(event_id)
        _require_photo(_photo_of(key or ""))
        _remove_blobs(event)
        event.cover_key, event.cover_small_key = key, small_key
        audit.record(actor, "event.cover", "event", event.public_id)


def _remove_blobs(event: Event) -> None:
    keys = [key for key in (event.cover_key, event.cover_small_key) if key is not None]
    if keys:
        deletion_outbox.remove_blobs(event.public_id, keys)
