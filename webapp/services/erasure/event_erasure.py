"""Deleting an event on purpose: its owner says its name first, and is shown what goes."""

from dataclasses import dataclass

from sqlalchemy import func, select

from webapp.db.extensions import db
from webapp.errors import Invalid
from webapp.models import Event, Membership, MembershipRole, Photo, User
from webapp.services.core import audit, deletion_outbox, locks
from webapp.services.events import events
from webapp.services.rules.visibility import is_there


@dataclass(frozen=True, slots=True)
class Contents:
    """What an event holds."""

    photos: int
    guests: int


def contents_of(event: Event) -> Contents:
    """What goes with the event."""
    there = (Photo.event_id == event.id) & is_there()
    photos = select(func.count()).select_from(Photo).where(there)
    guests = (
        select(func.count())
        .select_from(Membership)
        .where(Membership.event_id == event.id, Membership.role == MembershipRole.ATTENDEE)
    )
    return Contents(db.session.scalar(photos) or 0, db.session.scalar(guests) or 0)


def delete_event(event: Event, typed_name: str, actor: User) -> str:
    """Erase the event with everything in it; returns the receipt's id.

    Raises:
        Forbidden: the actor isn't its owner.
        Invalid: this is not its name; case and spaces don't count.
    """
    events.require_owner(event, actor)
    if " ".join(typed_name.split()).casefold() != event.name.casefold():
        raise Invalid(code="event_name_differs", fields={"name": "event_name_differs"})
    return erase_event(event, actor)


def erase_event(event: Event, actor: User | None) -> str:
    """Erase an event with everything and everybody in it; accounts stay. Returns the receipt's id."""
    event = locks.lock_event(event.id)
    deletion_outbox.remove_collections(event)
    deletion_outbox.remove_blobs_below(event.public_id, f"events/{event.public_id}/")
    public_id = event.public_id
    db.session.delete(event)
    db.session.flush()
    return audit.record(actor, "event.erased", "event", public_id)
