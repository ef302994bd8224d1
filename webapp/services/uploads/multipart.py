"""Files that a browser sends straight to the store, in parts: announced, signed part by part, and finished by us.

The browser works with our own id of an upload; the store's name of it, and the key, are ours and never taken from a
request. Nobody has looked into a file when it is finished: a worker does (services/receiving.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import aliased

from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.errors import Conflict, Invalid, NotFound
from webapp.models import Event, Photo, PhotoStatus, Rendition, RenditionKind, Upload, UploadStatus, UploadWay, User
from webapp.queueing import INDEX_PHOTO, enqueue_after_commit, unit_of_work
from webapp.services.core import alarms, blobs, deletion_outbox
from webapp.services.events import events, publishing
from webapp.services.uploads import intake, tus, upload_ledger, upload_limits
from webapp.services.uploads.upload_limits import Announced, Opened
from webapp.storage.blobs import DirectUploads, Part
from webapp.storage.blobs import Upload as StoreUpload

PART = 8 * 1024 * 1024
"""Bytes of each part but the last."""

UNKNOWN = "application/octet-stream"
"""The type of a file that nobody has looked into yet."""

CHECKING = "checking"
"""What is said of a file that is here, while no worker has looked into it."""


@dataclass(frozen=True, slots=True)
class _Known:
    """An upload under way, as its row says."""

    row_id: int
    store: StoreUpload
    length: int
    event_id: int
    event_key: str
    user_id: int | None


def begin(event: Event, user: User, filename: str, length: int) -> str:
    """Announce a file of `length` bytes; returns the upload's id.

    Raises:
        Forbidden: the event is closed.
        NotFound: here bytes come through us.
        Invalid: `empty`: there is nothing to send; TooLarge: it is larger than we take. The ledger remembers both.
        TooMany: too many files are on their way already.
        Transient: the store can't be reached.
    """
    tus.require_open(event)
    store = _direct()
    tus.refuse_too_large(event, user, filename, UploadWay.S3, length)
    event_id, event_key, user_id, name = event.id, event.public_id, user.id, intake.displayable(filename)
    if length == 0:
        intake.reject(intake.Arrival(event_id, event_key, user_id, name, UploadWay.S3), "empty", 0)
        raise Invalid(code="empty")
    # The row comes first, so that what is beyond a limit opens nothing at the store.
    opened = upload_limits.announce(Announced(event_id, user_id, name, UploadWay.S3, length), make_room)
    try:
        _open_in_store(store, event_key, opened)
    except Exception:
        upload_ledger.drop(opened.row_id, received=0)
        raise
    return opened.upload_id


def _open_in_store(store: DirectUploads, event_key: str, opened: Opened) -> None:
    # The photo will be called like its upload, so that all that it ever has lies below one prefix.
    key = blobs.photo_key(event_key, opened.upload_id, "original")
    with alarms.guard("storage_rights"):
        made = store.begin_upload(key, UNKNOWN)
    with unit_of_work():
        row = upload_ledger.locked(opened.row_id)
        if row is None or row.status is not UploadStatus.RECEIVING:
            raise NotFound(code="upload_missing")
        row.blob_key, row.multipart_id = key, made.upload_id


def part_url(event: Event, user: User, upload_id: str, number: int) -> str:
    """Where the part `number`, from 1, is sent: an address that is good for this part and a few minutes.

    Raises:
        Forbidden, NotFound: as above. Invalid: the file has no such part.
    """
    tus.require_open(event)
    known = _known(event, user, upload_id)
    if not 1 <= number <= _parts_of(known.length):
        raise Invalid(code="upload_header_invalid")
    return _direct().part_url(known.store, number)


def require(event: Event, user: User, upload_id: str) -> None:
    """Raises NotFound where this is no upload of the user's."""
    _row(event, user, upload_id)


def parts(event: Event, user: User, upload_id: str) -> list[Part]:
    """The parts that have arrived; all of them of a file that was finished before."""
    row = _row(event, user, upload_id)
    sizes = [min(PART, row.byte_size - start) for start in range(0, row.byte_size, PART)]
    whole = [Part(number, upload_id, size) for number, size in enumerate(sizes, 1)]
    if row.status is not UploadStatus.RECEIVING:
        return whole
    known = _known(event, user, upload_id)
    try:
        return _direct().uploaded_parts(known.store)
    except NotFound:
        # Just being finished by a request whose answer nobody waits for any more.
        if _is_made(known):
            return whole
        raise


def finish(event: Event, user: User, upload_id: str) -> intake.UploadResult:
    """All parts are there: make a photo of them, which a worker looks into. Doing so twice is no error.

    Raises:
        Forbidden, NotFound: as above.
        Conflict: `upload_incomplete`: what the store has is not what was announced.
        Transient: the store can't be reached; nothing is lost.
    """
    row = _row(event, user, upload_id)
    if row.status is not UploadStatus.RECEIVING:
        return outcomes(event, user, [upload_id])[upload_id]
    tus.require_open(event)
    known = _known(event, user, upload_id)
    with alarms.guard("storage_rights"):
        _make_blob(known)
    return _register(known)


def outcomes(event: Event, user: User, upload_ids: Sequence[str]) -> dict[str, intake.UploadResult]:
    """What has become of these files by now, as far as they are the user's: one query.

    Its status is CHECKING while no worker has looked into a file.
    """
    first = aliased(Photo)
    rows = db.session.execute(
        select(Upload, first)
        .outerjoin(first, first.id == Upload.photo_id)
        .where(Upload.public_id.in_(upload_ids), Upload.event_id == event.id, Upload.user_id == user.id)
        .where(Upload.way == UploadWay.S3)
    ).all()
    return {row.public_id: _result(row, photo) for row, photo in rows}


def cancel(event: Event, user: User, upload_id: str) -> None:
    """Give an upload up: what has arrived goes, and the ledger says that it was interrupted, if anything had."""
    known = _known(event, user, upload_id)
    _drop(known, _arrived(known))


def give_up(row_id: int) -> None:
    """Bring an upload to its end whose time is over: taken in where all of it is here, else interrupted.

    One whose first bytes are found here has not been idle for as long as such a file is kept: it is kept on.
    """
    known = _under_way(row_id)
    if known is not None and not _take_whole(known) and not _keep_on(known):
        # Its line stays also where nothing of it came: whoever sent it may not know.
        _drop(known, known.length)


def make_room(row_id: int, with_bytes: bool) -> None:
    """Give an upload up for a newer one. with_bytes: also where some of it is here; all of it is taken in then."""
    known = _under_way(row_id)
    if known is None:
        return
    arrived = _arrived(known)
    if arrived == 0 or (with_bytes and not _take_whole(known)):
        _drop(known, arrived)


def _under_way(row_id: int) -> _Known | None:
    with reading():
        row = db.session.get(Upload, row_id)
        event = db.session.get(Event, row.event_id) if row is not None else None
        if row is None or event is None or row.status is not UploadStatus.RECEIVING:
            return None
        store = StoreUpload(row.blob_key or "", row.multipart_id or "")
        return _Known(row.id, store, row.byte_size, event.id, event.public_id, row.user_id)


def _arrived(known: _Known) -> int:
    """Bytes that the store has of an upload. Without an id there, its opening was interrupted."""
    if not known.store.upload_id:
        return 0
    try:
        return sum(part.size for part in _direct().uploaded_parts(known.store))
    except NotFound:
        return known.length if _is_made(known) else 0


def _take_whole(known: _Known) -> bool:
    """Take an upload in if all of it is here; returns whether it was."""
    if not known.store.upload_id:
        return False
    try:
        _make_blob(known)
    except (NotFound, Conflict, Invalid):
        return False
    _register(known)
    return True


def _keep_on(known: _Known) -> bool:
    """Note that bytes have arrived since we looked last, and wait on; returns False where none have.

    Nothing is waited for of an account that is disabled.
    """
    arrived = _arrived(known)
    with unit_of_work():
        try:
            upload_ledger.require_active(known.user_id)
        except Conflict:
            return False
        row = upload_ledger.locked(known.row_id)
        if row is None or row.status is not UploadStatus.RECEIVING or arrived <= row.received:
            return False
        row.received, row.expires_at = arrived, upload_ledger.expiry(arrived)
    return True


def _drop(known: _Known, received: int) -> None:
    if not upload_ledger.drop(known.row_id, received):
        return
    direct = blobs.store().direct_uploads
    if direct is not None and known.store.upload_id:
        direct.abort_upload(known.store)
        blobs.store().delete(known.store.key)


def _make_blob(known: _Known) -> None:
    try:
        arrived = _direct().uploaded_parts(known.store)
    except NotFound:
        # Finished before by a request whose answer was lost.
        if _is_made(known):
            return
        raise
    if sum(part.size for part in arrived) != known.length:
        # A store may forget the parts of what another request finishes before it forgets the upload.
        if _is_made(known):
            return
        raise Conflict(code="upload_incomplete")
    _direct().finish_upload(known.store, arrived)


def _is_made(known: _Known) -> bool:
    return blobs.exists(known.store.key) and blobs.store().info(known.store.key).size == known.length


def _register(known: _Known) -> intake.UploadResult:
    with unit_of_work():
        try:
            event = events.hold_open(known.event_id)
            upload_ledger.require_sender(known.event_id, known.user_id)
        except Conflict as error:
            return _refuse(known, error.code)
        row = upload_ledger.locked(known.row_id)
        if row is None:
            raise NotFound(code="upload_missing")
        if row.status is not UploadStatus.RECEIVING:
            return _result(row, db.session.get(Photo, row.photo_id) if row.photo_id is not None else None)
        original = Rendition(
            kind=RenditionKind.ORIGINAL, blob_key=known.store.key, content_type=UNKNOWN, byte_size=known.length
        )
        photo = Photo(
            public_id=row.public_id,
            event_id=event.id,
            uploaded_by_id=row.user_id,
            filename=row.filename,
            byte_size=known.length,
            published_at=publishing.published_at_for(event),
            renditions=[original],
        )
        db.session.add(photo)
        db.session.flush()
        upload_ledger.settle(row, UploadStatus.ACCEPTED, photo_id=photo.id)
        enqueue_after_commit(INDEX_PHOTO, photo.public_id)
        return _result(row, photo)


def _parts_of(length: int) -> int:
    return -(-length // PART)


def _refuse(known: _Known, reason: str) -> intake.UploadResult:
    """The event was closed while the file came, or the account disabled: the ledger says so, and what came goes."""
    row = upload_ledger.locked(known.row_id)
    if row is None:
        raise NotFound(code="upload_missing")
    if row.status is UploadStatus.RECEIVING:
        upload_ledger.settle(row, UploadStatus.REJECTED, reason=reason)
        deletion_outbox.remove_blobs(known.event_key, [known.store.key])
    return _result(row, None)


def _direct() -> DirectUploads:
    direct = blobs.store().direct_uploads
    if direct is None:
        raise NotFound(code="not_found")
    return direct


def _row(event: Event, user: User, upload_id: str) -> Upload:
    row = db.session.scalar(
        select(Upload).where(
            Upload.public_id == upload_id,
            Upload.event_id == event.id,
            Upload.user_id == user.id,
            Upload.way == UploadWay.S3,
        )
    )
    if row is None or row.multipart_id is None or row.status is UploadStatus.INTERRUPTED:
        raise NotFound(code="upload_missing")
    return row


def _known(event: Event, user: User, upload_id: str) -> _Known:
    """The upload, without a transaction being held while the store is asked."""
    row = _row(event, user, upload_id)
    if row.status is not UploadStatus.RECEIVING:
        raise NotFound(code="upload_missing")
    store = StoreUpload(row.blob_key or "", row.multipart_id or "")
    known = _Known(row.id, store, row.byte_size, event.id, event.public_id, row.user_id)
    db.session.rollback()
    return known


def _result(row: Upload, photo: Photo | None) -> intake.UploadResult:
    waits = photo is not None and photo.sha256 is None and photo.status in (PhotoStatus.UPLOADED, PhotoStatus.INDEXING)
    status = CHECKING if waits and row.status is UploadStatus.ACCEPTED else row.status
    return intake.UploadResult(row.filename, photo.public_id if photo else None, status, row.reason)
