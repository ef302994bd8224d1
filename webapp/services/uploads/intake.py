"""Taking photos in: checked, hashed, stored, and a row that waits. Nothing is decoded here."""

import hashlib
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from flask import current_app
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from webapp.db.columns import new_public_id
from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.errors import Conflict, Invalid, NotFound, TooLarge, Transient, UnsupportedType
from webapp.models import Event, Photo, PhotoStatus, Rendition, RenditionKind, UploadStatus, UploadWay, User
from webapp.pictures import imaging
from webapp.queueing import INDEX_PHOTO, enqueue_after_commit, unit_of_work
from webapp.services.core import alarms, blobs, claims
from webapp.services.events import events, publishing
from webapp.services.uploads import upload_ledger
from webapp.settings import MEGABYTE
from webapp.storage.folders import free_bytes

MAX_FILENAME = 200


@dataclass(frozen=True, slots=True)
class UploadResult:
    """What became of one file: accepted, duplicate (then of which photo) or rejected (then why)."""

    filename: str
    photo_id: str | None
    status: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file that has arrived: whose, where, by which way, and its row of the ledger if it has one already."""

    event_id: int
    event_key: str
    user_id: int | None
    filename: str
    way: UploadWay
    row_id: int | None = None


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a file is by its content, its SHA-256 and its size in bytes."""

    info: imaging.PictureInfo
    digest: str
    size: int


def receive_photo(
    event: Event, user: User, filename: str, stream: IO[bytes], *, way: UploadWay = UploadWay.FORM
) -> UploadResult:
    """Take one file in, in a unit of work of its own. A file that can't be used is a result with its reason.

    Raises:
        Conflict: the event is closed.
        Transient: it can't be stored now; nothing was kept, send it again.
    """
    events.require_open(event)
    return take_in(Arrival(event.id, event.public_id, user.id, displayable(filename), way), stream)


def take_in(arrival: Arrival, stream: IO[bytes]) -> UploadResult:
    """The same with a file that is there already. What becomes of it stands in the ledger with the photo itself.

    Raises:
        NotFound: the event is gone.
        Transient: it can't be stored now; nothing was kept.
    """
    # No transaction is held while the bytes are read and written.
    db.session.rollback()
    try:
        file = inspect(stream)
    except (UnsupportedType, Invalid, TooLarge) as error:
        return reject(arrival, error.code, size_of(stream))
    with reading():
        known = _same_bytes(arrival.event_id, file.digest)
        kept_key = _original_key(known) if known is not None else None
    with alarms.guard("storage_rights"):
        if kept_key is not None:
            return _take_again(arrival, file, kept_key, stream)
        return _take(arrival, file, stream)


def reject(arrival: Arrival, reason: str, size: int) -> UploadResult:
    """Write down that a file can't be used. size: its bytes, as they came or as they were announced."""
    with unit_of_work():
        result = UploadResult(arrival.filename, None, UploadStatus.REJECTED, reason)
        _write_down(arrival, size, result)
    return result


def _take(arrival: Arrival, file: Inspected, stream: IO[bytes]) -> UploadResult:
    photo_id = new_public_id()
    kind = blobs.content_type(file.info.format)
    key = blobs.photo_key(arrival.event_key, photo_id, f"original{blobs.extension(kind)}")
    original = Rendition(kind=RenditionKind.ORIGINAL, blob_key=key, content_type=kind, byte_size=file.size)
    photo = Photo(
        public_id=photo_id,
        event_id=arrival.event_id,
        uploaded_by_id=arrival.user_id,
        filename=arrival.filename,
        sha256=file.digest,
        byte_size=file.size,
        renditions=[original],
    )
    blobs.store().put(key, stream)
    try:
        result = _register(arrival, photo)
    except Exception:
        blobs.store().delete(key)
        raise
    if result.photo_id != photo_id:
        blobs.store().delete(key)
    return result


def _register(arrival: Arrival, photo: Photo) -> UploadResult:
    """Make the photo's row, unless its bytes are in the event already: the unique constraint decides, also for two that
    come at once.
    """
    public_id, digest, size = photo.public_id, photo.sha256 or "", photo.byte_size
    with unit_of_work():
        try:
            event = events.hold_open(arrival.event_id)
            upload_ledger.require_sender(arrival.event_id, arrival.user_id)
        except Conflict as error:
            # Meanwhile the event was closed, or who sends the file was disabled or left the team.
            result = UploadResult(arrival.filename, None, UploadStatus.REJECTED, error.code)
            _write_down(arrival, size, result)
            return result
        photo.published_at = publishing.published_at_for(event)
        try:
            with db.session.begin_nested():
                db.session.add(photo)
        except IntegrityError:
            return _known(arrival, digest, size)
        enqueue_after_commit(INDEX_PHOTO, public_id)
        result = UploadResult(arrival.filename, public_id, UploadStatus.ACCEPTED)
        _write_down(arrival, size, result, photo)
    return result


def _take_again(arrival: Arrival, file: Inspected, key: str, stream: IO[bytes]) -> UploadResult:
    """The same bytes were there before; where they have been lost since, they are kept again."""
    try:
        blobs.store().info(key)
    except NotFound:
        blobs.store().put(key, stream)
    with unit_of_work():
        return _known(arrival, file.digest, file.size)


def _known(arrival: Arrival, digest: str, size: int) -> UploadResult:
    """A photo whose bytes are there already; handing in a failed one once more is a wish to try it again."""
    known = _same_bytes(arrival.event_id, digest)
    if known is None:
        raise Transient(code="storage_away")
    if known.status is PhotoStatus.ERASING:
        raise Transient(code="photo_going")
    again = known.status is PhotoStatus.FAILED
    if again:
        wait_again(known)
    result = UploadResult(arrival.filename, known.public_id, UploadStatus.ACCEPTED if again else UploadStatus.DUPLICATE)
    _write_down(arrival, size, result, known)
    return result


def _write_down(arrival: Arrival, size: int, result: UploadResult, photo: Photo | None = None) -> None:
    """The file's row of the ledger, in the transaction that decides."""
    if arrival.row_id is None:
        _event(arrival)
        row = upload_ledger.begin(arrival.event_id, arrival.user_id, arrival.filename, arrival.way, size)
    else:
        found = upload_ledger.locked(arrival.row_id)
        if found is None:
            raise NotFound(code="upload_missing")
        row = found
    row.byte_size = size
    status, photo_key = UploadStatus(result.status), photo.id if photo is not None else None
    upload_ledger.settle(row, status, photo_id=photo_key, reason=result.reason)


def _event(arrival: Arrival) -> Event:
    event = db.session.get(Event, arrival.event_id)
    if event is None:
        raise NotFound(code="not_found")
    return event


def retry_failed(event: Event, photo_public_id: str | None = None, *, reason: str | None = None) -> int:
    """Let failed photos be tried again (or one, or those that failed for one reason); returns how many."""
    wanted = select(Photo).where(Photo.event_id == event.id, Photo.status == PhotoStatus.FAILED)
    if photo_public_id is not None:
        wanted = wanted.where(Photo.public_id == photo_public_id)
    if reason is not None:
        wanted = wanted.where(Photo.failure_reason == reason)
    photos = db.session.scalars(wanted).all()
    for photo in photos:
        wait_again(photo)
    return len(photos)


def displayable(filename: str) -> str:
    """A file's name as it may be shown: its last part, printable, not endless. It is never used as a path."""
    last = filename.replace("\\", "/").rpartition("/")[2]
    return "".join(char for char in last if char.isprintable())[:MAX_FILENAME].strip() or "photo"


def size_of(stream: IO[bytes]) -> int:
    """Bytes of a seekable stream, which is at its start afterwards."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    return size


def largest() -> int:
    """How many bytes a photo may have."""
    return int(current_app.extensions["settings"].max_photo_mb) * 1024 * 1024


def require_room(folder: Path, size: int) -> None:
    """Refuse bytes that would leave less than UPLOAD_RESERVE_MB free on a folder's disk: others need room there, too.

    Raises:
        Transient: `no_space`: nothing was taken, and it may work later.
    """
    reserve = int(current_app.extensions["settings"].upload_reserve_mb) * MEGABYTE
    if reserve and free_bytes(folder) - size < reserve:
        raise Transient(code="no_space")


def require_room_for_form(size: int) -> None:
    """Refuse a form of `size` bytes for which there is no room where it is read, or where its photos are stored.

    Raises:
        Transient: `no_space`: as above.
    """
    require_room(Path(tempfile.gettempdir()), size)
    if blobs.store().direct_uploads is None:
        require_room(current_app.extensions["settings"].data_dir, size)


def inspect(stream: IO[bytes]) -> Inspected:
    """What the file is by its content; the stream is at its start again afterwards.

    Raises:
        UnsupportedType, TooLarge: it can't be used; the code says why.
    """
    settings, size = current_app.extensions["settings"], size_of(stream)
    if size > largest():
        raise TooLarge(code="photo_too_large")
    info = imaging.probe(stream, max_megapixels=settings.max_megapixels)
    stream.seek(0)
    digest = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    stream.seek(0)
    return Inspected(info, digest, size)


def _same_bytes(event_id: int, digest: str) -> Photo | None:
    return db.session.scalar(select(Photo).where(Photo.event_id == event_id, Photo.sha256 == digest))


def _original_key(photo: Photo) -> str:
    return next(row.blob_key for row in photo.renditions if row.kind is RenditionKind.ORIGINAL)


def wait_again(photo: Photo) -> None:
    """Let a photo that failed be tried again."""
    photo.status, photo.failure_reason = PhotoStatus.UPLOADED, None
    claims.settle(photo)
    photo.retries = 1  # The try that failed may have left faces at a service: the next one looks for them.
    enqueue_after_commit(INDEX_PHOTO, photo.public_id)
