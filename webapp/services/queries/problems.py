"""What went wrong in an event and is not mended: photos, files that never came in, and guests."""

from dataclasses import dataclass

from sqlalchemy import func, select

from webapp.db.extensions import db
from webapp.models import Event, Person, Photo, PhotoStatus, Selfie, SelfieStatus
from webapp.services.queries.guests_without import gave_up, of_guests
from webapp.services.uploads import upload_ledger

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
    uploads_total: int
    guests_total: int

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
    guests, guests_total = _guests_not_searched_for(event)
    lost = upload_ledger.trouble(event, limit=MOST)
    return Trouble(
        photos=[(key, filename, reason) for key, filename, reason in photos],
        uploads=[(row.filename, row.status.value, row.reason) for row in lost.rows],
        guests=guests,
        uploads_total=lost.total,
        guests_total=guests_total,
    )


def _guests_not_searched_for(event: Event) -> tuple[list[tuple[str, str, str | None]], int]:
    """The latest and the number of all. One row each: a guest may have several selfies that failed."""
    failed = (Selfie.status == SelfieStatus.FAILED) & Selfie.retired_at.is_(None)
    why = (
        select(Selfie.reason)
        .where(Selfie.person_id == Person.id, failed)
        .order_by(Selfie.id.desc())
        .limit(1)
        .correlate(Person)
        .scalar_subquery()
    )
    asked = select(Person.public_id, Person.name, func.coalesce(why, Person.match_failure), func.count().over())
    rows = db.session.execute(of_guests(event, asked).where(gave_up()).order_by(Person.id.desc()).limit(MOST)).all()
    return [(key, name, reason) for key, name, reason, _ in rows], rows[0][3] if rows else 0
