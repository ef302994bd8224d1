"""Judging selfies, in a worker: accepted with a face template to search with, or refused with a reason."""

import io
from dataclasses import dataclass, replace

from flask import current_app
from sqlalchemy import select

from webapp.clock import utcnow
from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.errors import FindMeError, Invalid, TooLarge, Transient, UnsupportedType
from webapp.faces.core.protocols import Angle, DetectedFace, Gallery, Keep, SelfieCheck
from webapp.faces.core.vectors import to_blob
from webapp.models import Event, RemovalKind, Selfie, SelfieStatus, SelfieVector
from webapp.pictures import imaging
from webapp.queueing import unit_of_work
from webapp.services.core import blobs, claims, consents, deletion_outbox, engines, locks, rematch_requests
from webapp.services.erasure import selfie_erasure
from webapp.services.rules import search_gate
from webapp.services.selfies.selfie_intake import waits
from webapp.services.strangers import strangers


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
