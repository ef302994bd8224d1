"""Further looks of a guest beside the front: a little from the left and a little from the right."""

from sqlalchemy import select

from webapp.db.extensions import db
from webapp.models import Person, Selfie, SelfieStatus
from webapp.services.core import consents
from webapp.services.selfies.selfie_intake import WAITING

SIDES: tuple[str, ...] = ("left", "right")


def missing(person: Person) -> list[str]:
    """Return the sides from which no selfie of the person is searched with, or waits to be.

    None is missing for a person without a selfie from the front, or without consent: these come first.
    """
    live = select(Selfie.angle).where(
        Selfie.person_id == person.id,
        Selfie.status.in_((*WAITING, SelfieStatus.ACCEPTED)),
        Selfie.retired_at.is_(None),
    )
    angles = set(db.session.scalars(live))
    if "front" not in angles or not consents.has_agreed(person):
        return []
    return [side for side in SIDES if side not in angles]


def refusal(person: Person, side: str) -> str | None:
    """Return why the person's last look from a side was refused; None where it was not."""
    latest = select(Selfie.status, Selfie.reason).where(Selfie.person_id == person.id, Selfie.angle == side)
    row = db.session.execute(latest.order_by(Selfie.id.desc()).limit(1)).one_or_none()
    return row.reason if row is not None and row.status in (SelfieStatus.REJECTED, SelfieStatus.FAILED) else None
