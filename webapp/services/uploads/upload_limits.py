"""Limits of the uploads that are open: announced, and not all of their bytes here. They are counted by file and by
announced byte, for each person and for the installation.

The upload page opens five at a time, so a person who sends photos stays far below UPLOAD_OPEN_FILES. Where a limit is
reached, room is made before anything is refused:

- of a person's own uploads, those are given up that were announced a while ago and of which no byte has come. Their
  rows are deleted: a lost answer makes the client announce the same file twice, and no flood may fill the table.
- at the installation's limit, the person who holds most gives up the upload that would expire first, if they hold more
  than the newcomer will. So many accounts that flood together can't keep the others out, and with equal shares the
  newcomer waits.

Who is refused is answered 429 and tries again: the upload page does so by itself, and nothing is lost.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import ColumnElement, func, select, text

from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.errors import TooMany
from webapp.models import Upload, UploadStatus, UploadWay
from webapp.queueing import unit_of_work
from webapp.services.uploads import upload_ledger
from webapp.settings import MEGABYTE, Settings

QUIET = timedelta(minutes=10)
"""How long after its announcement an upload without a byte may be given up for a newer one of the same person."""

GIVEN_UP_AT_ONCE = 5
ROUNDS = 3
"""How often room is made for one announcement, before it is refused."""

GiveUp = Callable[[int, bool], None]
"""Gives up the upload with this row id. True: also where bytes of it have arrived; False: only an empty one."""


@dataclass(frozen=True, slots=True)
class Announced:
    """A file that is about to come: `length` in bytes as its sender says."""

    event_id: int
    user_id: int
    filename: str
    way: UploadWay
    length: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A new upload's row id, public id and when it is given up, should nothing come of it."""

    row_id: int
    upload_id: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Held:
    """Open uploads of one person, or of all: how many, and the bytes that were announced for them."""

    files: int = 0
    size: int = 0

    def __add__(self, other: "Held") -> "Held":
        return Held(self.files + other.files, self.size + other.size)

    def fits(self, limit: "Held") -> bool:
        """Return whether neither number is above the limit's."""
        return self.files <= limit.files and self.size <= limit.size


@dataclass(frozen=True, slots=True)
class _Victims:
    """Uploads that make room, by row id. `with_bytes`: also where some of their bytes have arrived."""

    row_ids: list[int]
    with_bytes: bool


def announce(file: Announced, give_up: GiveUp) -> Opened:
    """Write a row for a file that is about to come, if the limits have room for it or room can be made.

    give_up: is called outside any transaction, as it may have to ask a store.

    Raises:
        TooMany: `uploads_open`: this person has too many open; `uploads_open_all`: all together have.
    """
    for attempt in range(ROUNDS):
        with unit_of_work():
            _lock()
            found = _held()
            code = _reached(found, file)
            if code is None:
                row = upload_ledger.begin(file.event_id, file.user_id, file.filename, file.way, file.length)
                return Opened(row.id, row.public_id, row.expires_at)
            victims = _victims(code, found, file) if attempt < ROUNDS - 1 else _Victims([], with_bytes=False)
        if not victims.row_ids:
            break
        for row_id in victims.row_ids:
            give_up(row_id, victims.with_bytes)
    raise TooMany(code=code)


def _lock() -> None:
    """Count and write as one step. SQLite has one writer anyway; on PostgreSQL announcements wait here for each other.

    Nothing else takes this lock, and it is taken before any row's.
    """
    if db.engine.dialect.name == "postgresql":
        db.session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('open uploads', 0))"))


def _held() -> dict[int | None, Held]:
    """Return the open uploads by person. The limits themselves bound how many rows this reads."""
    rows = db.session.execute(
        select(Upload.user_id, func.count(), func.coalesce(func.sum(Upload.byte_size), 0))
        .where(Upload.status == UploadStatus.RECEIVING)
        .group_by(Upload.user_id)
    ).all()
    return {user_id: Held(files, int(size)) for user_id, files, size in rows}


def _reached(found: dict[int | None, Held], file: Announced) -> str | None:
    """Return the code of the limit that one more file would break, if there is one."""
    settings: Settings = current_app.extensions["settings"]
    more = Held(1, file.length)
    own = found.get(file.user_id, Held()) + more
    if not own.fits(Held(settings.upload_open_files, settings.upload_open_mb * MEGABYTE)):
        return "uploads_open"
    everybody = sum(found.values(), more)
    if not everybody.fits(Held(settings.upload_open_files_all, settings.upload_open_mb_all * MEGABYTE)):
        return "uploads_open_all"
    return None


def _victims(code: str, found: dict[int | None, Held], file: Announced) -> _Victims:
    if code == "uploads_open":
        quiet = (Upload.received == 0) & (Upload.created_at < utcnow() - QUIET)
        return _Victims(_first_to_expire(file, Upload.user_id == file.user_id, quiet), with_bytes=False)
    settings: Settings = current_app.extensions["settings"]
    own = found.get(file.user_id, Held()) + Held(1, file.length)
    by_files = sum(held.files for held in found.values()) >= settings.upload_open_files_all
    largest, held = max(found.items(), key=lambda item: item[1].files if by_files else item[1].size)
    if (held.files <= own.files) if by_files else (held.size <= own.size):
        return _Victims([], with_bytes=True)
    theirs = Upload.user_id == largest if largest is not None else Upload.user_id.is_(None)
    return _Victims(_first_to_expire(file, theirs)[: 1 if by_files else None], with_bytes=True)


def _first_to_expire(file: Announced, *which: ColumnElement[bool]) -> list[int]:
    """Return the row ids of open uploads that come as `file` does. Those without a byte expire long before the rest."""
    wanted = select(Upload.id).where(Upload.status == UploadStatus.RECEIVING, Upload.way == file.way, *which)
    return list(db.session.scalars(wanted.order_by(Upload.expires_at, Upload.id).limit(GIVEN_UP_AT_ONCE)))
