"""Selfies: taking them in at once, and judging them in a worker."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import IO, get_args

import structlog
from flask import current_app
from sqlalchemy import delete, func, or_, select

from webapp import imaging
from webapp.clock import utcnow
from webapp.columns import new_public_id
from webapp.database import reading
from webapp.errors import Conflict, FindMeError, Invalid, TooLarge, Transient, UnsupportedType
from webapp.extensions import db
from webapp.faces.protocols import Angle, DetectedFace, Gallery, Keep, SelfieCheck
from webapp.models import (
    ConfirmedVector,
    Event,
    KeptVerdict,
    Match,
    Membership,
    Person,
    PersonKind,
    RemovalKind,
    Selfie,
    SelfieStatus,
    SelfieVector,
    User,
    UserScore,
)
from webapp.queueing import MATCH_SELFIE, enqueue_after_commit, unit_of_work
from webapp.services import audit, blobs, claims, engines, enrolment, marking, rematches, removals
from webapp.services.templates import to_blob

log = structlog.get_logger()

MAX_TEMPLATES = 5
"""How many selfies a person is searched with; a further one takes the place of the oldest."""

REFUSED_KEPT = timedelta(hours=24)
"""How long the pictures of a refused selfie are kept: until then its owner may ask what was wrong with it."""

ROUND = 200
"""Refused selfies whose pictures one round of cleaning up erases."""

WAITING = (SelfieStatus.RECEIVED, SelfieStatus.CHECKING)


@dataclass(frozen=True, slots=True)
class StagedSelfie:
    """A picture that is stored but belongs to nobody yet."""

    public_id: str
    blob_key: str
    content_type: str


@contextmanager
def staged(event: Event, stream: IO[bytes]) -> Iterator[StagedSelfie]:
    """Look at a picture's header and store it, before the unit of work that makes it somebody's selfie.

    Storing takes its time, and no transaction may be held meanwhile. When the block fails, the picture is gone again.

    Raises:
        Invalid, TooLarge, UnsupportedType: not a picture that can be used; nothing was changed.
        Transient: it can't be stored now.
    """
    settings = current_app.extensions["settings"]
    if stream.seek(0, io.SEEK_END) > settings.max_selfie_mb * 1024 * 1024:
        raise TooLarge(code="selfie_too_large", fields={"file": "selfie_too_large"})
    stream.seek(0)
    try:
        info = imaging.probe(stream, max_megapixels=settings.max_megapixels)
    except FindMeError as error:
        error.fields = {"file": error.code}
        raise
    stream.seek(0)
    public_id = new_public_id()
    kind = blobs.content_type(info.format)
    key = blobs.selfie_key(event.public_id, public_id, f"original{blobs.extension(kind)}")
    db.session.rollback()
    blobs.store().put(key, stream)
    try:
        yield StagedSelfie(public_id, key, kind)
    except BaseException:
        blobs.store().delete(key)
        raise


def receive_selfie(person: Person, picture: StagedSelfie, angle: str = "front", adds: bool = False) -> Selfie:
    """Make a staged picture the person's selfie and ask for its check; nothing is looked for in it here.

    Raises:
        Conflict: the person has not agreed to face search.
        Invalid: no such angle.
    """
    if enrolment.active_consent(person) is None:
        raise Conflict(code="consent_required", fields={"consent": "consent_required"})
    if angle not in get_args(Angle):
        raise Invalid(code="angle_invalid", fields={"angle": "angle_invalid"})
    selfie = Selfie(
        public_id=picture.public_id,
        person_id=person.id,
        angle=angle,
        adds=adds,
        content_type=picture.content_type,
        blob_key=picture.blob_key,
    )
    db.session.add(selfie)
    db.session.flush()
    enqueue_after_commit(MATCH_SELFIE, selfie.public_id)
    return selfie


def newest_accepted(user: User) -> Selfie | None:
    """The selfie of themselves that somebody is searched with in whichever event, to be used in a further one."""
    return db.session.scalar(
        select(Selfie)
        .join(Person)
        .join(Membership)
        .where(
            Membership.user_id == user.id,
            Person.kind == PersonKind.SELF,
            Selfie.status == SelfieStatus.ACCEPTED,
            Selfie.retired_at.is_(None),
        )
        .order_by(Selfie.id.desc())
        .limit(1)
    )


def is_searched(event: Event, user: User) -> bool:
    """Whether the user is searched for in this event already."""
    found = db.session.scalar(
        select(Selfie.id)
        .join(Person)
        .join(Membership)
        .where(
            Membership.user_id == user.id,
            Membership.event_id == event.id,
            Selfie.status == SelfieStatus.ACCEPTED,
            Selfie.retired_at.is_(None),
        )
        .limit(1)
    )
    return found is not None


def check_selfie(public_id: str) -> int | None:
    """Judge a waiting selfie and keep its vector if it is accepted. Runs in a worker.

    Returns the id of the person whose matches have to be computed now, or None.
    """
    token = claims.claim(Selfie, public_id, Selfie.status.in_(WAITING), status=SelfieStatus.CHECKING)
    if token is None:
        return None
    with reading():
        selfie = _live(public_id)
        if selfie is None:
            return None
        given_up, task = claims.cause_of_failure(selfie), _task(selfie)
        agreed = enrolment.active_consent(selfie.person) is not None
    if given_up:
        _decide(public_id, token, SelfieStatus.FAILED, given_up)
    elif not agreed:
        _decide(public_id, token, SelfieStatus.REJECTED, "consent_required")
    else:
        try:
            return _check(token, task)
        finally:
            _erase_what_is_left(task)
    return None


@dataclass(frozen=True, slots=True)
class Task:
    """What judging needs to know, so that it holds no transaction."""

    public_id: str
    blob_key: str
    angle: str
    engine: str
    guests: Gallery
    again: bool


def _task(selfie: Selfie) -> Task:
    event = db.session.get_one(Event, selfie.person.event_id)
    return Task(
        public_id=selfie.public_id,
        blob_key=selfie.blob_key,
        angle=selfie.angle,
        engine=event.engine,
        guests=replace(engines.gallery(event), kind="guests"),
        again=claims.has_died(selfie) or selfie.retries > 0,
    )


def _live(public_id: str) -> Selfie | None:
    return db.session.scalar(select(Selfie).where(Selfie.public_id == public_id, Selfie.retired_at.is_(None)))


def _erase_what_is_left(task: Task) -> None:
    """A selfie that was erased while it was judged: its rendition may have been stored after that, its face kept."""
    with reading():
        erased = _live(task.public_id) is None
    if erased:
        for key in _pictures([task.blob_key]):
            blobs.store().delete(key)
        with unit_of_work():
            removals.remove_leftovers(task.engine, task.guests.event_key, RemovalKind.GUEST_NAMES, [task.public_id])


def _check(token: str, task: Task) -> int | None:
    public_id = task.public_id
    try:
        with engines.watching(task.guests.event_key, task.engine):
            verdict = judge(task)
    except (UnsupportedType, Invalid, TooLarge) as error:
        _decide(public_id, token, SelfieStatus.REJECTED, error.code)
    except Transient as error:
        _try_later(public_id, token, error.code)
    except FindMeError as error:
        _decide(public_id, token, SelfieStatus.FAILED, error.code)
    except Exception:
        _try_later(public_id, token, "internal")
        raise
    else:
        if verdict.face is not None:
            return _accept(public_id, token, task.guests, verdict.face)
        _decide(public_id, token, SelfieStatus.REJECTED, verdict.reason or "unclear")
    return None


def judge(task: Task) -> SelfieCheck:
    """Look at a stored picture as a selfie; also leaves a small rendition of it for its owner, and for searching."""
    settings = current_app.extensions["settings"]
    with blobs.store().open(task.blob_key) as stream:
        decoded = imaging.decode(stream, max_megapixels=settings.max_megapixels)
    blobs.store().put(preview_key(task.blob_key), io.BytesIO(imaging.selfie_preview(decoded.frame).content))
    engines.ready(task.guests.event_id)
    turned: Angle = "left" if task.angle == "left" else "right" if task.angle == "right" else "front"
    keep = Keep(task.guests, task.public_id, again=task.again)
    return engines.of(task.engine).analyzer.check_selfie(decoded.frame, turned, keep)


def preview_key(blob_key: str) -> str:
    """Where the small rendition of a stored selfie lies."""
    return blob_key.rpartition("/")[0] + "/preview.jpg"


def _accept(public_id: str, token: str, guests: Gallery, face: DetectedFace) -> int | None:
    with unit_of_work():
        event = marking.lock_event(guests.event_id)
        selfie = claims.held(Selfie, public_id, token)
        if selfie is None or enrolment.active_consent(selfie.person) is None:
            # Erased or taken over meanwhile, or consent is gone: what a service keeps of it belongs to nobody.
            removals.remove_faces(event, RemovalKind.GUEST_FACES, [face.external_id])
        if selfie is None:
            return None
        if enrolment.active_consent(selfie.person) is None:
            selfie.status, selfie.reason, selfie.decided_at = SelfieStatus.REJECTED, "consent_required", utcnow()
            claims.settle(selfie)
            return None
        db.session.add(
            SelfieVector(
                selfie_id=selfie.id,
                event_id=event.id,
                engine=event.engine,
                version=event.engine_version,
                vector=to_blob(face.vector) if face.vector is not None else None,
                external_id=face.external_id,
                quality=face.quality,
            )
        )
        selfie.status, selfie.reason, selfie.decided_at = SelfieStatus.ACCEPTED, None, utcnow()
        claims.settle(selfie)
        db.session.flush()
        _retire_replaced(event, selfie)
        marking.templates_changed(event, marking.lock_person(selfie.person_id))
        marking.mark([selfie.person_id], enqueue=False)
        person_id: int = selfie.person_id
    return person_id


def _retire_replaced(event: Event, selfie: Selfie) -> None:
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


def _retire(event: Event, selfies: list[Selfie]) -> None:
    """Leave only the rows of selfies that are of no use any more."""
    for row in selfies:
        row.retired_at = utcnow()
    # Whether a try that failed left its face at a service, no row says.
    failed = [row.public_id for row in selfies if row.status is SelfieStatus.FAILED]
    removals.remove_leftovers(event.engine, event.public_id, RemovalKind.GUEST_NAMES, failed)
    _erase_pictures(event.public_id, selfies)


def _erase_pictures(event_key: str, selfies: list[Selfie]) -> None:
    left = [row for row in selfies if row.pictures_erased_at is None]
    removals.remove_blobs(event_key, _pictures([row.blob_key for row in left]))
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
    event = marking.lock_event(person.event_id)
    person = marking.lock_person(person.id)
    claims.settle(person)
    selfies = db.session.scalars(select(Selfie).where(Selfie.person_id == person.id)).all()
    removals.remove_blobs(event.public_id, _pictures([row.blob_key for row in selfies]))
    _forget_vectors(event, [row.id for row in selfies])
    _forget_user(event, person)
    names = [person.public_id, *(row.public_id for row in selfies)]
    removals.remove_leftovers(event.engine, event.public_id, RemovalKind.GUEST_NAMES, names)
    for row in selfies:
        db.session.delete(row)
    for model in (Match, KeptVerdict):
        db.session.execute(delete(model).where(model.person_id == person.id))
    marking.templates_changed(event, person)
    person.match_revision += 1
    person.match_done = person.match_wanted
    person.match_failed, person.match_failure, person.match_capped = False, None, False
    person.expansion = None
    rematches.leave(person)
    db.session.flush()


def _forget_vectors(event: Event, selfie_ids: list[int]) -> None:
    """Drop what the engine keeps of these selfies, here and at a service."""
    vectors = db.session.scalars(select(SelfieVector).where(SelfieVector.selfie_id.in_(selfie_ids))).all()
    removals.remove_faces(event, RemovalKind.GUEST_FACES, [row.external_id for row in vectors])
    for row in vectors:
        db.session.delete(row)


def _forget_user(event: Event, person: Person) -> None:
    """Drop a person's user vector at a service, and the faces that they confirmed from among its guests."""
    confirmed = db.session.scalars(select(ConfirmedVector).where(ConfirmedVector.person_id == person.id)).all()
    # Whatever its row says: a vector may just have been made.
    removals.remove_leftovers(event.engine, event.public_id, RemovalKind.USERS, [person.public_id])
    removals.remove_faces(event, RemovalKind.GUEST_FACES, [row.external_id for row in confirmed])
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
    enrolment.withdraw_consent(person)
    erase_selfies(person)


def _pictures(blob_keys: list[str]) -> list[str]:
    return [key for blob_key in blob_keys for key in (blob_key, preview_key(blob_key))]


def _decide(public_id: str, token: str, status: SelfieStatus, reason: str) -> None:
    with unit_of_work():
        selfie: Selfie | None = claims.held(Selfie, public_id, token)
        if selfie is not None:
            selfie.status, selfie.reason, selfie.decided_at = status, reason, utcnow()
            claims.settle(selfie)
            if status is SelfieStatus.REJECTED and _has_later(selfie):
                _retire(db.session.get_one(Event, selfie.person.event_id), [selfie])


def _has_later(selfie: Selfie) -> bool:
    """Whether a later selfie of the same person was judged first, and accepted."""
    later = select(Selfie.id).where(
        Selfie.person_id == selfie.person_id,
        Selfie.id > selfie.id,
        Selfie.status == SelfieStatus.ACCEPTED,
        Selfie.retired_at.is_(None),
    )
    return db.session.scalar(later.limit(1)) is not None


def _try_later(public_id: str, token: str, reason: str) -> None:
    with unit_of_work():
        selfie: Selfie | None = claims.held(Selfie, public_id, token)
        if selfie is None:
            return
        selfie.status = SelfieStatus.RECEIVED
        if not claims.postpone(selfie, reason):
            selfie.status, selfie.reason, selfie.decided_at = SelfieStatus.FAILED, reason, utcnow()
            claims.settle(selfie)
