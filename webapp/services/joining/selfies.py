"""Selfies: taking them in at once, and judging them in a worker."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import IO, get_args

from flask import current_app
from sqlalchemy import ColumnElement, select

from webapp.clock import utcnow
from webapp.db.columns import new_public_id
from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.errors import Conflict, FindMeError, Invalid, TooLarge, Transient, UnsupportedType
from webapp.faces.core.protocols import Angle, DetectedFace, Gallery, Keep, SelfieCheck
from webapp.faces.core.vectors import to_blob
from webapp.models import (
    Admission,
    Event,
    Membership,
    Person,
    PersonKind,
    RemovalKind,
    Selfie,
    SelfieStatus,
    SelfieVector,
    User,
)
from webapp.pictures import imaging
from webapp.queueing import MATCH_SELFIE, enqueue_after_commit, unit_of_work
from webapp.services.core import blobs, claims, consents, deletion_outbox, engines, locks, rematch_requests, search_gate
from webapp.services.erasure import selfie_erasure
from webapp.services.joining.origin import Origin
from webapp.services.strangers import selfie_allowance, strangers

UNKNOWN = Origin()

WAITING = (SelfieStatus.RECEIVED, SelfieStatus.CHECKING)


def waits() -> ColumnElement[bool]:
    """That a selfie waits for a worker."""
    return Selfie.status.in_(WAITING) & search_gate.lets_selfie_pass()


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


def receive_selfie(
    person: Person, picture: StagedSelfie, angle: str = "front", adds: bool = False, origin: Origin = UNKNOWN
) -> Selfie:
    """Make a staged picture the person's selfie and ask for its check; nothing is looked for in it here.

    Raises:
        Conflict: the person has not agreed to face search with the present text, the search for them is stopped, or
            the photographer has refused them.
        Invalid: no such angle.
        TooMany: the guest has handed in all selfies of the day.
    """
    _require_not_refused(person)
    if not consents.has_agreed(person):
        raise Conflict(code="consent_required", fields={"consent": "consent_required"})
    if angle not in get_args(Angle):
        raise Invalid(code="angle_invalid", fields={"angle": "angle_invalid"})
    selfie_allowance.take(person)
    selfie = Selfie(
        public_id=picture.public_id,
        person_id=person.id,
        angle=angle,
        adds=adds,
        content_type=picture.content_type,
        blob_key=picture.blob_key,
        source=origin.source,
        device=origin.device,
        network=origin.network,
    )
    db.session.add(selfie)
    db.session.flush()
    enqueue_after_commit(MATCH_SELFIE, selfie.public_id)
    return selfie


def _require_not_refused(person: Person) -> None:
    # In the way of a refusal: it erases this selfie as well, or this one is not taken.
    if locks.lock_membership(person.membership_id).admission is Admission.REFUSED:
        raise Conflict(code="not_admitted")


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
    token = claims.claim(Selfie, public_id, waits(), status=SelfieStatus.CHECKING)
    if token is None:
        _leave_preview(public_id)
        return None
    with reading():
        selfie = _live(public_id)
        if selfie is None:
            return None
        given_up, task = claims.cause_of_failure(selfie), _task(selfie)
        agreed = consents.active_consent(selfie.person) is not None
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
        for key in blobs.selfie_pictures([task.blob_key]):
            blobs.store().delete(key)
        with unit_of_work():
            deletion_outbox.remove_leftovers(
                task.engine, task.guests.event_key, RemovalKind.GUEST_NAMES, [task.public_id]
            )


def _leave_preview(public_id: str) -> None:
    """Make the small rendition of a selfie that nobody may search with, or that was given up, where there is none: who
    runs the event looks at it, and is never shown the file itself.
    """
    with reading():
        selfie = _live(public_id)
        task = _task(selfie) if selfie is not None and selfie.pictures_erased_at is None else None
    if task is None or blobs.exists(blobs.selfie_preview_key(task.blob_key)):
        return
    try:
        _decode(task)
    except FindMeError:
        pass  # what can't be read is told to its owner once it is judged
    finally:
        _erase_what_is_left(task)


def _check(token: str, task: Task) -> int | None:
    public_id = task.public_id
    try:
        with engines.watching(task.guests.event_key, task.engine):
            verdict = judge(task)
            alike = (
                strangers.alike_at_service(task.engine, task.guests, public_id, verdict.face) if verdict.face else set()
            )
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
            return _accept(public_id, token, task.guests, verdict.face, alike)
        _decide(public_id, token, SelfieStatus.REJECTED, verdict.reason or "unclear")
    return None


def judge(task: Task) -> SelfieCheck:
    """Look at a stored picture as a selfie; also leaves a small rendition of it to be shown, and for searching."""
    frame = _decode(task)
    engines.ready(task.guests.event_id)
    turned: Angle = "left" if task.angle == "left" else "right" if task.angle == "right" else "front"
    keep = Keep(task.guests, task.public_id, again=task.again)
    return engines.of(task.engine).analyzer.check_selfie(frame, turned, keep)


def _decode(task: Task) -> imaging.Frame:
    """The picture as pixels; its small rendition is in the store afterwards."""
    settings = current_app.extensions["settings"]
    with blobs.store().open(task.blob_key) as stream:
        frame = imaging.decode(stream, max_megapixels=settings.max_megapixels).frame
    blobs.store().put(blobs.selfie_preview_key(task.blob_key), io.BytesIO(imaging.selfie_preview(frame).content))
    return frame


def _accept(public_id: str, token: str, guests: Gallery, face: DetectedFace, alike: set[str]) -> int | None:
    with unit_of_work():
        event = locks.lock_event(guests.event_id)
        selfie = claims.held(Selfie, public_id, token)
        shut = selfie is not None and not search_gate.may_search(selfie.person_id)
        if selfie is None or shut or consents.active_consent(selfie.person) is None:
            # Erased or taken over meanwhile, or consent is gone: what a service keeps of it belongs to nobody.
            deletion_outbox.remove_faces(event, RemovalKind.GUEST_FACES, [face.external_id])
        if selfie is None:
            return None
        if shut:
            selfie.status = SelfieStatus.RECEIVED
            claims.settle(selfie)
            return None
        if consents.active_consent(selfie.person) is None:
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
        is_stopped = strangers.count_face(event, selfie, face, alike)
        if not is_stopped:
            selfie_erasure.retire_replaced(event, selfie)
        rematch_requests.templates_changed(event, locks.lock_person(selfie.person_id))
        if is_stopped:
            # All that the account has handed in stays until the photographer has seen it, and nobody is searched for.
            return None
        rematch_requests.mark([selfie.person_id], enqueue=False)
        person_id: int = selfie.person_id
    return person_id


def _decide(public_id: str, token: str, status: SelfieStatus, reason: str) -> None:
    with unit_of_work():
        selfie: Selfie | None = claims.held(Selfie, public_id, token)
        if selfie is not None:
            selfie.status, selfie.reason, selfie.decided_at = status, reason, utcnow()
            claims.settle(selfie)
            selfie_erasure.retire_superseded(selfie)


def _try_later(public_id: str, token: str, reason: str) -> None:
    with unit_of_work():
        selfie: Selfie | None = claims.held(Selfie, public_id, token)
        if selfie is None:
            return
        selfie.status = SelfieStatus.RECEIVED
        if not claims.postpone(selfie, reason):
            selfie.status, selfie.reason, selfie.decided_at = SelfieStatus.FAILED, reason, utcnow()
            claims.settle(selfie)
