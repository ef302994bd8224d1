"""Erasing photos and events: the rows at once, and everything outside the database by jobs that do not give up."""

from collections.abc import Sequence

from sqlalchemy import select

from webapp.db.extensions import db
from webapp.models import (
    ConfirmedVector,
    Face,
    FaceVector,
    Match,
    Person,
    Photo,
    PhotoStatus,
    RemovalKind,
    Rendition,
    User,
)
from webapp.services.core import audit, blobs, deletion_outbox, locks, rematch_requests
from webapp.services.events import covers


def erase_photo(photo: Photo, actor: User | None) -> str:
    """Erase a photo with its renditions, faces and matches, and its faces at a service; returns the receipt's id."""
    return erase_photos(photo.event_id, [photo], actor)[0]


def erase_photos(event_id: int, photos: Sequence[Photo], actor: User | None) -> list[str]:
    """Erase photos of one event together, in as many statements as for one, with all that they have replaced.

    Returns a receipt's id for each.
    """
    event = locks.lock_event(event_id)
    ids = [photo.id for photo in photos]
    former = select(Photo).where(Photo.replaced_by_id.in_(ids), Photo.id.not_in(ids)).order_by(Photo.id)
    photos = [*photos, *db.session.scalars(former)]
    ids = [photo.id for photo in photos]
    external_ids = select(FaceVector.external_id).join(Face).where(Face.photo_id.in_(ids))
    deletion_outbox.remove_faces(event, RemovalKind.PHOTO_FACES, db.session.scalars(external_ids))
    confirmed = select(ConfirmedVector.external_id).join(Face).where(Face.photo_id.in_(ids))
    deletion_outbox.remove_faces(event, RemovalKind.GUEST_FACES, db.session.scalars(confirmed))
    # A try may have got as far as the service and not as far as its rows.
    begun = [photo.public_id for photo in photos if not _is_indexed(photo)]
    deletion_outbox.remove_leftovers(event.engine, event.public_id, RemovalKind.PHOTO_NAMES, begun)
    prefixes = [blobs.photo_key(event.public_id, photo.public_id, "") for photo in photos]
    deletion_outbox.remove_blobs_below(event.public_id, *prefixes)
    covers.forget_photos(event, {photo.public_id for photo in photos})
    # One that took another one's place, or was replaced, has its pictures below that one's prefix.
    stored = select(Rendition.blob_key).where(Rendition.photo_id.in_(ids))
    elsewhere = [key for key in db.session.scalars(stored) if not key.startswith(tuple(prefixes))]
    deletion_outbox.remove_blobs(event.public_id, elsewhere)
    # People whose galleries change have to be told so, and a face that somebody confirmed is a template no longer.
    shown = select(Person).where(Person.id.in_(select(Match.person_id).where(Match.photo_id.in_(ids))))
    people = list(db.session.scalars(shown.order_by(Person.id).with_for_update()))
    for photo in photos:
        db.session.delete(photo)
    event.removals_revision += 1
    db.session.flush()
    for person in people:
        rematch_requests.templates_changed(event, person)
        person.match_revision += 1
    rematch_requests.mark([person.id for person in people])
    return [audit.record(actor, "photo.erased", "photo", photo.public_id) for photo in photos]


def _is_indexed(photo: Photo) -> bool:
    """That no try is left over; of one that is being erased, the moment when it was indexed says so. One that was
    replaced has never been tried under its own name.
    """
    if photo.status is PhotoStatus.ERASING:
        return photo.indexed_at is not None
    return photo.status in (PhotoStatus.INDEXED, PhotoStatus.REPLACED)
