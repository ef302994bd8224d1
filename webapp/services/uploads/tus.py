"""Uploads that go on where they stopped: what the tus protocol's endpoints do.

The row in the ledger says whose file it is and how long it shall become; how much has arrived, the file on the disk
says. So whatever dies (a connection, a laptop's battery, a web process), the next request goes on at the right byte.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import IO

import structlog
from flask import current_app
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from webapp.db.database import is_passing, reading
from webapp.db.extensions import db
from webapp.errors import Conflict, Forbidden, NotFound, TooLarge
from webapp.models import Event, EventStatus, Photo, Upload, UploadStatus, UploadWay, User
from webapp.queueing import unit_of_work
from webapp.services.core import blobs
from webapp.services.core.blobs import partials
from webapp.services.uploads import intake, upload_ledger, upload_limits
from webapp.services.uploads.upload_limits import Announced

log = structlog.get_logger()

PIECE = 256 * 1024
"""Bytes that are held in memory of a file that is coming in."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a file is: its id, how many of its bytes are here, and, once all are, what became of it."""

    upload_id: str
    offset: int
    length: int
    expires_at: datetime | None
    result: intake.UploadResult | None


def begin(event: Event, user: User, filename: str, length: int) -> Progress:
    """Announce a file of `length` bytes.

    Raises:
        Forbidden: the event is closed.
        NotFound: here bytes go straight to the store.
        TooLarge: it is larger than we take, which the ledger remembers.
        TooMany: too many files are on their way already. Transient: `no_space`: the disk has no room for it.
    """
    require_open(event)
    if blobs.store().direct_uploads is not None:
        raise NotFound(code="not_found")
    refuse_too_large(event, user, filename, UploadWay.TUS, length)
    event_key = event.public_id
    file = Announced(event.id, user.id, intake.displayable(filename), UploadWay.TUS, length)
    intake.require_room(current_app.extensions["settings"].partials_dir, length)
    opened = upload_limits.announce(file, make_room)
    if length == 0:
        return _finish(event_key, opened.upload_id)
    return Progress(opened.upload_id, 0, length, opened.expires_at, None)


def progress(event: Event, user: User, upload_id: str) -> Progress:
    """How far an upload is. One whose last byte had arrived when its process died is brought to its end here.

    Raises:
        NotFound: `upload_missing`: there is none, or it was given up.
    """
    event_key, row = event.public_id, _row(event, user, upload_id)
    if row.status is not UploadStatus.RECEIVING:
        return _of_ended(row)
    length, expires_at = row.byte_size, row.expires_at
    db.session.rollback()
    offset = partials().size(key_of(event_key, upload_id))
    if offset >= length:
        return _finish(event_key, upload_id)
    return Progress(upload_id, offset, length, expires_at, None)


def append(event: Event, user: User, upload_id: str, offset: int, source: IO[bytes]) -> Progress:
    """Add what `source` yields behind the first `offset` bytes, piece by piece; with the last byte it is taken in.

    Raises:
        Forbidden: the event is closed.
        NotFound: `upload_missing`: there is no such upload, or it was given up.
        Conflict: `upload_offset`: there are more or fewer bytes by now.
        TooLarge: `upload_too_long`: there is more than was announced.
        Transient: the disk can't take it now; what had arrived stays.
    """
    require_open(event)
    event_key, row = event.public_id, _row(event, user, upload_id)
    if row.status is not UploadStatus.RECEIVING:
        raise Conflict(code="upload_offset")
    row_id, length = row.id, row.byte_size
    # Over a weak network the bytes take their time, and no transaction waits for them.
    db.session.rollback()
    try:
        offset = _append_all(key_of(event_key, upload_id), offset, length, source)
    finally:
        _note(row_id, partials().size(key_of(event_key, upload_id)))
    if offset == length:
        return _finish(event_key, upload_id)
    return Progress(upload_id, offset, length, upload_ledger.expiry(offset), None)


def cancel(event: Event, user: User, upload_id: str) -> None:
    """Give an upload up: what has arrived goes, and the ledger says that it was interrupted, if anything had.

    Raises:
        NotFound: `upload_missing`: there is none, or it has ended.
    """
    row_id, key = _row(event, user, upload_id).id, key_of(event.public_id, upload_id)
    if not upload_ledger.drop(row_id, partials().size(key)):
        raise NotFound(code="upload_missing")
    partials().delete(key)


def require_open(event: Event) -> None:
    """Raises Forbidden when the event takes no more uploads: programs would try again after a conflict."""
    if event.status is not EventStatus.OPEN:
        raise Forbidden(code="event_closed")


def refuse_too_large(event: Event, user: User, filename: str, way: UploadWay, length: int) -> None:
    """Raises TooLarge, and the ledger remembers it, when a file is announced that is larger than we take."""
    if length > intake.largest():
        arrival = intake.Arrival(event.id, event.public_id, user.id, intake.displayable(filename), way)
        intake.reject(arrival, "photo_too_large", length)
        raise TooLarge(code="photo_too_large")


def key_of(event_key: str, upload_id: str) -> str:
    """Where the bytes of an upload lie until they are complete."""
    return f"events/{event_key}/uploads/{upload_id}"


def give_up(event_key: str, upload_id: str) -> None:
    """Bring an upload to its end whose time is over: taken in where all of it is here, else interrupted."""
    key = key_of(event_key, upload_id)
    with reading():
        length = db.session.scalar(select(Upload.byte_size).where(Upload.public_id == upload_id))
    if length is not None and partials().size(key) == length:
        _finish(event_key, upload_id)
        return
    with unit_of_work():
        row = db.session.scalar(select(Upload).where(Upload.public_id == upload_id).with_for_update())
        if row is not None and row.status is UploadStatus.RECEIVING:
            upload_ledger.settle(row, UploadStatus.INTERRUPTED)
    partials().delete(key)


def make_room(row_id: int, with_bytes: bool) -> None:
    """Give an upload up for a newer one. with_bytes: also where some of it is here; all of it is taken in then."""
    with reading():
        found = db.session.execute(
            select(Event.public_id, Upload.public_id)
            .join(Event, Event.id == Upload.event_id)
            .where(Upload.id == row_id)
        ).one_or_none()
    if found is None:
        return
    event_key, upload_id = found
    # What the row says of the bytes is written at the end of a request; the file itself grows before.
    if not partials().size(key_of(event_key, upload_id)):
        upload_ledger.drop(row_id, received=0)
    elif with_bytes:
        give_up(event_key, upload_id)


def _append_all(key: str, offset: int, length: int, source: IO[bytes]) -> int:
    for piece in _pieces(source):
        if offset + len(piece) > length:
            raise TooLarge(code="upload_too_long")
        offset = partials().append(key, offset, piece)
    if offset != partials().size(key):
        raise Conflict(code="upload_offset")
    return offset


def _pieces(source: IO[bytes]) -> Iterator[bytes]:
    """What arrives, until it ends or the connection breaks: what came before that is kept."""
    while True:
        try:
            piece = source.read(PIECE)
        except (OSError, ValueError):
            return
        if not piece:
            return
        yield piece


def _note(row_id: int, received: int) -> None:
    """Write down how far a file is, for who watches. Where that can't be done now, the file itself still says it: that
    the database has no room either must not hide what became of the bytes.
    """
    try:
        with unit_of_work():
            row = upload_ledger.locked(row_id)
            if row is not None and row.status is UploadStatus.RECEIVING and received > row.received:
                row.received, row.expires_at = received, upload_ledger.expiry(received)
    except SQLAlchemyError as error:
        if not is_passing(error):
            raise
        log.warning("upload.not_noted", error=type(getattr(error, "orig", None) or error).__name__)


def _finish(event_key: str, upload_id: str) -> Progress:
    """Make a photo of a file that is complete. Of two that try at once, the second one reads what the first made."""
    key = key_of(event_key, upload_id)
    if not _length(upload_id):
        partials().append(key, 0, b"")
    try:
        with partials().whole(key) as file:
            with reading():
                row = _by_id(upload_id)
                ended = _of_ended(row) if row.status is not UploadStatus.RECEIVING else None
                arrival = intake.Arrival(row.event_id, event_key, row.user_id, row.filename, row.way, row.id)
            if ended is not None:
                return ended
            result = intake.take_in(arrival, file)
            length = intake.size_of(file)
            partials().delete(key)
    except NotFound as error:
        # Somebody else has just taken it in and removed the file.
        with reading():
            row = _by_id(upload_id)
            if row.status is UploadStatus.RECEIVING:
                raise error
            return _of_ended(row)
    return Progress(upload_id, length, length, None, result)


def _row(event: Event, user: User, upload_id: str) -> Upload:
    row = db.session.scalar(
        select(Upload).where(
            Upload.public_id == upload_id,
            Upload.event_id == event.id,
            Upload.user_id == user.id,
            Upload.way == UploadWay.TUS,
        )
    )
    if row is None or row.status is UploadStatus.INTERRUPTED:
        raise NotFound(code="upload_missing")
    return row


def _by_id(upload_id: str) -> Upload:
    row = db.session.scalar(select(Upload).where(Upload.public_id == upload_id))
    if row is None or row.status is UploadStatus.INTERRUPTED:
        raise NotFound(code="upload_missing")
    return row


def _length(upload_id: str) -> int:
    with reading():
        return _by_id(upload_id).byte_size


def _of_ended(row: Upload) -> Progress:
    photo = db.session.get(Photo, row.photo_id) if row.photo_id is not None else None
    photo_id = photo.public_id if photo is not None else None
    result = intake.UploadResult(row.filename, photo_id, row.status, row.reason)
    return Progress(row.public_id, row.byte_size, row.byte_size, None, result)
