"""What went wrong in an event and is not mended: photos, files that never came in, and guests."""

from dataclasses import dataclass

from sqlalchemy import and_, func, or_, select

from webapp.extensions import db
from webapp.models import Event, Person, Photo, PhotoStatus, Selfie, SelfieStatus
from webapp.services import upload_ledger

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
        uploads=[(row.filename, row.status.value, row.reason) for row in upload_ledger.trouble(event, limit=MOST)],
        # Somebody may have handed in several selfies that failed.
        guests=list({key: (key, name, reason) for key, name, reason in guests}.values()),
    )
