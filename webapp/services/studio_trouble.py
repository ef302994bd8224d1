"""What went wrong in an event and is not mended: photos, files that never came in, and guests."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import and_, func, or_, select

from webapp.extensions import db
from webapp.models import Event, Person, Photo, PhotoStatus, Selfie, SelfieStatus, Upload, UploadStatus

MOST = 10
"""Rows that each list shows at most."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong and is not mended: the latest of each kind, in plain values."""

    photos: list[tuple[str, str, str | None]]
    """Public id, file name and reason."""
    uploads: list[tuple[str, str, str | None]]
    """File name, `rejected` or `interrupted`, and reason."""
    guests: list[tuple[str, str, str | None]]
    """Public id, name and reason of whoever could not be searched for."""

    def __bool__(self) -> bool:
        return bool(self.photos or self.uploads or self.guests)


def trouble_of(event: Event) -> Trouble:
    """What went wrong and is not mended; a constant number of queries."""
    photos = db.session.execute(
        select(Photo.public_id, Photo.filename, Photo.failure_reason)
        .where(Photo.event_id == event.id, Photo.status == PhotoStatus.FAILED)
        .order_by(Photo.id.desc())
        .limit(MOST)
    )
    failed = (Selfie.status == SelfieStatus.FAILED) & Selfie.retired_at.is_(None)
    guests = db.session.execute(
        select(Person.public_id, Person.name, func.coalesce(Selfie.reason, Person.match_failure))
        .outerjoin(Selfie, and_(Selfie.person_id == Person.id, failed))
        .where(Person.event_id == event.id, or_(Selfie.id.is_not(None), Person.match_failed.is_(True)))
        .order_by(Person.id.desc())
        .limit(MOST)
    )
    return Trouble(
        photos=[(key, filename, reason) for key, filename, reason in photos],
        uploads=_lost_uploads(event),
        # Somebody may have handed in several selfies that failed.
        guests=list({key: (key, name, reason) for key, name, reason in guests}.values()),
    )


def _lost_uploads(event: Event) -> list[tuple[str, str, str | None]]:
    """Files that were begun or sent and did not become photos, but for those that came in later under the same name."""
    rows = db.session.execute(
        select(Upload.id, Upload.filename, Upload.status, Upload.reason)
        .where(Upload.event_id == event.id, Upload.status.in_((UploadStatus.REJECTED, UploadStatus.INTERRUPTED)))
        .order_by(Upload.id.desc())
        .limit(MOST)
    ).all()
    mended = _came_in_later(event, {row.filename for row in rows})
    return [(row.filename, row.status.value, row.reason) for row in rows if mended.get(row.filename, 0) < row.id]


def _came_in_later(event: Event, filenames: Iterable[str]) -> dict[str, int]:
    """File name → the latest row of the ledger that says that such a file is in."""
    rows = db.session.execute(
        select(Upload.filename, func.max(Upload.id))
        .where(
            Upload.event_id == event.id,
            Upload.status.in_((UploadStatus.ACCEPTED, UploadStatus.DUPLICATE)),
            Upload.filename.in_(list(filenames)),
        )
        .group_by(Upload.filename)
    )
    return {filename: row_id for filename, row_id in rows}  # noqa: C416 - rows are no pairs for the types
