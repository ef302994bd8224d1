"""Erasing selfies: replaced and refused ones, and all of a person who takes consent back."""

from datetime import timedelta

import structlog
from sqlalchemy import delete, func, or_, select

from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import (
    ConfirmedVector,
    Event,
    KeptVerdict,
    Match,
    Person,
    RemovalKind,
    Selfie,
    SelfieStatus,
    SelfieVector,
    User,
    UserScore,
)
from webapp.queueing import unit_of_work
from webapp.services.core import audit, blobs, claims, consents, deletion_outbox, locks, rematch_requests

log = structlog.get_logger()

MAX_TEMPLATES = 5
"""How many selfies a person is searched with; a further one takes the place of the oldest."""

REFUSED_KEPT = timedelta(hours=24)
"""How long the pictures of a refused selfie are kept: until then its owner may ask what was wrong with it."""

ROUND = 200
"""Refused selfies whose pictures one round of cleaning up erases."""


def retire_replaced(event: Event, selfie: Selfie) -> None:
    """Stop searching with the selfies that this one replaces, and forget their vectors and pictures. Pictures of those
    before it that were refused go as well.

    Of two that replace each other the later one wins, whichever is judged first.
    """
    current = db.session.scalars(
        select(Selfie)
        .where(
            Selfie.person_id == selfie.person_id, Selfie.status == SelfieStatus.ACCEPTED, Selfie.retired_at.is_(None)
        )
        .order_by(Selfie.id)
    ).all()
    newest = max((row.id for row in current if not row.adds), default=0)
    kept = [row for row in current if row.id >= newest][-MAX_TEMPLATES:]
    gone = [row for row in current if row not in kept]
    _forget_vectors(event, [row.id for row in gone])
    _retire(event, gone + _superseded(selfie.person_id, max(row.id for row in current), newest))


def retire_superseded(selfie: Selfie) -> None:
    """Retire a selfie that was refused after a later one of the same person had been accepted."""
    if selfie.status is SelfieStatus.REJECTED and _has_later(selfie):
        _retire(db.session.get_one(Event, selfie.person.event_id), [selfie])


def _superseded(person_id: int, newest: int, replacing: int) -> list[Selfie]:
    """Selfies before an accepted one that were not: refused ones, and those that failed and may be tried again unless
    a later one has replaced them.
    """
    return list(
        db.session.scalars(
            select(Selfie).where(
                Selfie.person_id == person_id,
                Selfie.retired_at.is_(None),
                or_(
                    (Selfie.status == SelfieStatus.REJECTED) & (Selfie.id < newest),
                    (Selfie.status == SelfieStatus.FAILED) & (Selfie.id < replacing),
                ),
            )
        )
    )


def _has_later(selfie: Selfie) -> bool:
    """Whether a later selfie of the same person was judged first, and accepted."""
    later = select(Selfie.id).where(
        Selfie.person_id == selfie.person_id,
        Selfie.id > selfie.id,
        Selfie.status == SelfieStatus.ACCEPTED,
        Selfie.retired_at.is_(None),
    )
    return db.session.scalar(later.limit(1)) is not None


def _retire(event: Event, selfies: list[Selfie]) -> None:
    """Leave only the rows of selfies that are of no use any more."""
    for row in selfies:
        row.retired_at = utcnow()
    # Whether a try that failed left its face at a service, no row says.
    failed = [row.public_id for row in selfies if row.status is SelfieStatus.FAILED]
    deletion_outbox.remove_leftovers(event.engine, event.public_id, RemovalKind.GUEST_NAMES, failed)
    _erase_pictures(event.public_id, selfies)


def _erase_pictures(event_key: str, selfies: list[Selfie]) -> None:
    left = [row for row in selfies if row.pictures_erased_at is None]
    deletion_outbox.remove_blobs(event_key, blobs.selfie_pictures([row.blob_key for row in left]))
    for row in left:
        row.pictures_erased_at = utcnow()


def erase_refused() -> int:
    """Erase the pictures of selfies that were refused a day ago; the rows keep the reason. Returns how many."""
    with unit_of_work():
        rows = db.session.execute(
            select(Selfie, Event.public_id)
            .join(Person, Person.id == Selfie.person_id)
            .join(Event, Event.id == Person.event_id)
            .where(
                Selfie.status == SelfieStatus.REJECTED,
                Selfie.pictures_erased_at.is_(None),
                func.coalesce(Selfie.decided_at, Selfie.created_at) < utcnow() - REFUSED_KEPT,
            )
            .order_by(Selfie.id)
            .limit(ROUND)
            .with_for_update(of=Selfie)
        ).all()
        for event_key in {key for _, key in rows}:
            _erase_pictures(event_key, [row for row, key in rows if key == event_key])
    if rows:
        log.info("selfies.refused_erased", count=len(rows))
    return len(rows)


def erase_selfies(person: Person) -> None:
    """Erase all selfies of a person, their vectors and every match that nobody can ask for any more.

    A worker may just be computing this person's matches: without its claim it writes none of them.
    """
    event = locks.lock_event(person.event_id)
    person = locks.lock_person(person.id)
    claims.settle(person)
    selfies = db.session.scalars(select(Selfie).where(Selfie.person_id == person.id)).all()
    deletion_outbox.remove_blobs(event.public_id, blobs.selfie_pictures([row.blob_key for row in selfies]))
    _forget_vectors(event, [row.id for row in selfies])
    _forget_user(event, person)
    names = [person.public_id, *(row.public_id for row in selfies)]
    deletion_outbox.remove_leftovers(event.engine, event.public_id, RemovalKind.GUEST_NAMES, names)
    for row in selfies:
        db.session.delete(row)
    for model in (Match, KeptVerdict):
        db.session.execute(delete(model).where(model.person_id == person.id))
    rematch_requests.templates_changed(event, person)
    person.match_revision += 1
    person.match_done = person.match_wanted
    person.match_failed, person.match_failure, person.match_capped = False, None, False
    person.expansion = None
    rematch_requests.leave(person)
    db.session.flush()


def _forget_vectors(event: Event, selfie_ids: list[int]) -> None:
    """Drop what the engine keeps of these selfies, here and at a service."""
    vectors = db.session.scalars(select(SelfieVector).where(SelfieVector.selfie_id.in_(selfie_ids))).all()
    deletion_outbox.remove_faces(event, RemovalKind.GUEST_FACES, [row.external_id for row in vectors])
    for row in vectors:
        db.session.delete(row)


def _forget_user(event: Event, person: Person) -> None:
    """Drop a person's user vector at a service, and the faces that they confirmed from among its guests."""
    confirmed = db.session.scalars(select(ConfirmedVector).where(ConfirmedVector.person_id == person.id)).all()
    # Whatever its row says: a vector may just have been made.
    deletion_outbox.remove_leftovers(event.engine, event.public_id, RemovalKind.USERS, [person.public_id])
    deletion_outbox.remove_faces(event, RemovalKind.GUEST_FACES, [row.external_id for row in confirmed])
    for row in confirmed:
        db.session.delete(row)
    db.session.execute(delete(UserScore).where(UserScore.person_id == person.id))
    person.user_key = None


def erase_with_receipt(person: Person, actor: User) -> str:
    """Erase a person's selfies at somebody's wish; returns the receipt's id."""
    erase_selfies(person)
    return audit.record(actor, "selfies.erased", "person", person.public_id)


def withdraw(person: Person) -> None:
    """Take consent back: everything that rested on it is erased."""
    locks.lock_event(person.event_id)  # first, as everywhere, or two would wait for each other
    consents.withdraw_consent(person)
    erase_selfies(person)
