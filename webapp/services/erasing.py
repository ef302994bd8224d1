"""Erasing photos and events: the rows at once, and everything outside the database by jobs that do not give up."""

from sqlalchemy import select

from webapp.extensions import db
from webapp.models import (
    ConfirmedVector,
    Event,
    Face,
    FaceVector,
    Match,
    Person,
    Photo,
    PhotoStatus,
    RemovalKind,
    User,
)
from webapp.services import audit, blobs, marking, removals


def erase_photo(photo: Photo, actor: User | None) -> str:
    """Erase a photo with its renditions, faces and matches, and its faces at a service; returns the receipt's id."""
    event = marking.lock_event(photo.event_id)
    external_ids = select(FaceVector.external_id).join(Face).where(Face.photo_id == photo.id)
    removals.remove_faces(event, RemovalKind.PHOTO_FACES, db.session.scalars(external_ids))
    confirmed = select(ConfirmedVector.external_id).join(Face).where(Face.photo_id == photo.id)
    removals.remove_faces(event, RemovalKind.GUEST_FACES, db.session.scalars(confirmed))
    if photo.status is not PhotoStatus.INDEXED:
        # A try may have got as far as the service and not as far as its rows.
        removals.remove_leftovers(event.engine, event.public_id, RemovalKind.PHOTO_NAMES, [photo.public_id])
    removals.remove_blobs_below(event.public_id, blobs.photo_key(event.public_id, photo.public_id, ""))
    # People whose galleries change have to be told so, and a face that somebody confirmed is a template no longer.
    shown = select(Person).where(Person.id.in_(select(Match.person_id).where(Match.photo_id == photo.id)))
    people = list(db.session.scalars(shown.order_by(Person.id).with_for_update()))
    db.session.delete(photo)
    event.removals_revision += 1
    db.session.flush()
    for person in people:
        marking.templates_changed(event, person)
        person.match_revision += 1
    marking.mark([person.id for person in people])
    return audit.record(actor, "photo.erased", "photo", photo.public_id)


def erase_event(event: Event, actor: User | None) -> str:
    """Erase an event with everything and everybody in it; accounts stay. Returns the receipt's id."""
    event = marking.lock_event(event.id)
    removals.remove_collections(event)
    removals.remove_blobs_below(event.public_id, f"events/{event.public_id}/")
    public_id = event.public_id
    db.session.delete(event)
    db.session.flush()
    return audit.record(actor, "event.erased", "event", public_id)
