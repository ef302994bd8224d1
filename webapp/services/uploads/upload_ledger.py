"""The ledger of files: a row for each file that anybody began to hand in, and what became of it.

So that every file of an evening can be accounted for, by whatever way it came: the page, the plain form, the API, a
watched folder, or straight to the store.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import func, select

from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.errors import Conflict
from webapp.models import Event, Membership, MembershipRole, Photo, Upload, UploadStatus, UploadWay, User
from webapp.queueing import unit_of_work

PAGE = 60
"""Rows of one page of the ledger."""

EMPTY_KEPT = timedelta(hours=1)
"""How long an announced file without a byte is waited for: its sender loses nothing by announcing it again."""

TROUBLE = (UploadStatus.REJECTED, UploadStatus.INTERRUPTED)
"""What somebody has to do something about: send the file again, or another one."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Files that did not come in: the latest of them, and how many there are."""

    rows: list[Upload]
    total: int


def begin(event_id: int, user_id: int | None, filename: str, way: UploadWay, byte_size: int) -> Upload:
    """A row for a file that is about to come. `byte_size`: as announced."""
    row = Upload(
        event_id=event_id,
        user_id=user_id,
        filename=filename,
        way=way,
        byte_size=byte_size,
        status=UploadStatus.RECEIVING,
        received=0,
        expires_at=expiry(0),
    )
    db.session.add(row)
    db.session.flush()
    return row


def keeping() -> timedelta:
    """How long what has arrived of an unfinished file is kept."""
    return timedelta(hours=current_app.extensions["settings"].upload_keep_hours)


def expiry(received: int) -> datetime:
    """When an unfinished file is given up of which `received` bytes are here by now."""
    return utcnow() + (keeping() if received else min(keeping(), EMPTY_KEPT))


def settle(row: Upload, status: UploadStatus, *, photo_id: int | None = None, reason: str | None = None) -> None:
    """Write down what became of a file."""
    row.status, row.photo_id, row.reason = status, photo_id, reason
    row.expires_at = None
    row.finished_at = utcnow()
    if status in (UploadStatus.ACCEPTED, UploadStatus.DUPLICATE):
        row.received = row.byte_size


def drop(row_id: int, received: int) -> bool:
    """Give an unfinished file up; returns False where it had ended before.

    The row of one without a byte is deleted, so that announcing files and giving them up without end fills no table.
    """
    with unit_of_work():
        row = locked(row_id)
        if row is None or row.status is not UploadStatus.RECEIVING:
            return False
        if received:
            settle(row, UploadStatus.INTERRUPTED)
        else:
            db.session.delete(row)
    return True


def locked(row_id: int) -> Upload | None:
    """The row, locked to the end of the transaction, as it is now."""
    return db.session.scalar(
        select(Upload).where(Upload.id == row_id).with_for_update().execution_options(populate_existing=True)
    )


def require_active(user_id: int | None) -> None:
    """Raises Conflict when the account that sends a file is disabled; until the transaction ends nobody disables it."""
    disabled_at = db.session.scalar(select(User.disabled_at).where(User.id == user_id).with_for_update(read=True))
    if disabled_at is not None:
        raise Conflict(code="account_disabled")


def require_sender(event_id: int, user_id: int | None) -> None:
    """Raises Conflict when the account that sends a file is disabled or has left the team since the file was begun;
    until the transaction ends neither happens.
    """
    require_active(user_id)
    if user_id is None:
        return
    roles = (MembershipRole.OWNER, MembershipRole.TEAM)
    runs = select(Membership.id).where(Membership.event_id == event_id, Membership.user_id == user_id)
    if db.session.scalar(runs.where(Membership.role.in_(roles)).with_for_update(read=True)) is None:
        raise Conflict(code="forbidden")


def decided_in_worker(
    photo: Photo, status: UploadStatus, *, reason: str | None = None, of: Photo | None = None
) -> None:
    """What a worker found out about a photo whose bytes went straight to the store.

    of: the photo that had the same bytes before. Without one, no photo is left to point at.
    """
    rows = select(Upload).where(Upload.photo_id == photo.id, Upload.status == UploadStatus.ACCEPTED)
    for row in db.session.scalars(rows):
        settle(row, status, photo_id=of.id if of is not None else None, reason=reason)


def counts(event: Event) -> dict[UploadStatus, int]:
    """How many files of each outcome; every outcome has its number."""
    found = db.session.execute(
        select(Upload.status, func.count()).where(Upload.event_id == event.id).group_by(Upload.status)
    ).all()
    return dict.fromkeys(UploadStatus, 0) | {row[0]: row[1] for row in found}


def page(
    event: Event, status: UploadStatus | None = None, before: int | None = None, *, limit: int = PAGE
) -> list[Upload]:
    """A page of the ledger, the latest first. before: the `id` of the last row of the page before."""
    wanted = select(Upload).where(Upload.event_id == event.id)
    if status is not None:
        wanted = wanted.where(Upload.status == status)
    if before is not None:
        wanted = wanted.where(Upload.id < before)
    return list(db.session.scalars(wanted.order_by(Upload.id.desc()).limit(limit)))


def trouble(event: Event, before: int | None = None, *, limit: int = PAGE) -> Lost:
    """The latest files that were rejected or never came to their end, unless they were taken in afterwards.

    before: the `id` of the last row of the page before; `total` counts from there on.

    Cameras number alike, so a name alone tells no file: somebody else's is another one, and so is one of another size,
    but for a file that could not be used, which whoever sent it has mended.
    """
    lost = (Upload.event_id == event.id) & Upload.status.in_(TROUBLE)
    # Most often there is none, and then nothing else is read.
    if db.session.scalar(select(Upload.id).where(lost).limit(1)) is None:
        return Lost([], 0)
    later = (
        select(Upload.filename, Upload.user_id, Upload.byte_size, func.max(Upload.id).label("last"))
        .where(Upload.event_id == event.id, Upload.status.in_((UploadStatus.ACCEPTED, UploadStatus.DUPLICATE)))
        .where(Upload.filename.in_(select(Upload.filename).where(lost)))
        .group_by(Upload.filename, Upload.user_id, Upload.byte_size)
        .subquery()
    )
    mended = (
        (later.c.filename == Upload.filename)
        & later.c.user_id.is_not_distinct_from(Upload.user_id)
        & ((later.c.byte_size == Upload.byte_size) | (Upload.status == UploadStatus.REJECTED))
        & (later.c.last > Upload.id)
    )
    wanted = select(Upload, func.count().over()).outerjoin(later, mended).where(lost, later.c.last.is_(None))
    if before is not None:
        wanted = wanted.where(Upload.id < before)
    rows = db.session.execute(wanted.order_by(Upload.id.desc()).limit(limit)).all()
    return Lost([row for row, _ in rows], rows[0][1] if rows else 0)
