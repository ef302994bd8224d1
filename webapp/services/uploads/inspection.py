"""Looking into files that came straight to the store: what they are, and whether their bytes are here already."""

from typing import IO

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.errors import FindMeError, Transient
from webapp.models import Event, Photo, PhotoStatus, Rendition, RenditionKind, UploadStatus
from webapp.queueing import unit_of_work
from webapp.services.core import blobs, claims, deletion_outbox
from webapp.services.uploads import intake, upload_ledger


def inspect_in_worker(public_id: str, token: str, stream: IO[bytes]) -> bool:
    """Look into the file of a photo that the worker has claimed; its type and SHA-256 are written down.

    Returns whether there is more to do: False when its bytes were here already, or it is no longer the worker's. What
    is no new photo leaves no photo behind, only its line in the ledger, as when the bytes come through us.

    Raises:
        UnsupportedType, TooLarge: it can't be used; the code says why, and the ledger too.
        Transient: the store can't be reached, or the photo with the same bytes is just being erased.
    """
    try:
        file = intake.inspect(stream)
    except FindMeError as error:
        if not isinstance(error, Transient):
            _reject(public_id, token, error.code)
        raise
    _restore(public_id, file.digest, stream)
    with unit_of_work():
        photo: Photo | None = claims.held(Photo, public_id, token)
        if photo is None:
            return False
        try:
            with db.session.begin_nested():
                photo.sha256, photo.byte_size = file.digest, file.size
        except IntegrityError:
            photo = claims.held(Photo, public_id, token)
            if photo is not None:
                _become_duplicate(photo, file.digest)
            return False
        _original(photo).content_type = blobs.content_type(file.info.format)
    return True


def _restore(public_id: str, digest: str, stream: IO[bytes]) -> None:
    """Where the photo with the same bytes has lost its file since, it gets it back before this one goes."""
    with reading():
        photo = db.session.scalars(select(Photo).where(Photo.public_id == public_id)).one_or_none()
        first = _first(photo.event_id, digest) if photo is not None else None
        key = _original(first).blob_key if first is not None else None
    if key is not None and not blobs.exists(key):
        stream.seek(0)
        blobs.store().put(key, stream)


def _reject(public_id: str, token: str, reason: str) -> None:
    with unit_of_work():
        photo: Photo | None = claims.held(Photo, public_id, token)
        if photo is not None:
            upload_ledger.decided_in_worker(photo, UploadStatus.REJECTED, reason=reason)
            _remove(photo)


def _become_duplicate(photo: Photo, digest: str) -> None:
    """The same bytes were there before: that photo stays, and this one goes."""
    first = _first(photo.event_id, digest)
    if first is None or first.status is PhotoStatus.ERASING:
        raise Transient(code="photo_going")
    if first.status is PhotoStatus.FAILED:
        intake.wait_again(first)
    upload_ledger.decided_in_worker(photo, UploadStatus.DUPLICATE, of=first)
    _remove(photo)


def _remove(photo: Photo) -> None:
    """Nobody has seen it yet: it has neither faces nor matches."""
    event = db.session.get_one(Event, photo.event_id)
    deletion_outbox.remove_blobs_below(event.public_id, blobs.photo_key(event.public_id, photo.public_id, ""))
    db.session.delete(photo)


def _first(event_id: int, digest: str) -> Photo | None:
    return db.session.scalar(select(Photo).where(Photo.event_id == event_id, Photo.sha256 == digest))


def _original(photo: Photo) -> Rendition:
    return next(row for row in photo.renditions if row.kind is RenditionKind.ORIGINAL)
