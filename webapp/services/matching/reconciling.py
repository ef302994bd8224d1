"""Comparing what a face service keeps of an event with the database, and mending what differs.

What the service has and no row names is removed there; what a row names and the service has lost is handed in again
from the pictures. Faces keep their rows, found again by where they are in the photo, so that matches and verdicts stay.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import cast

import structlog
from flask import current_app
from sqlalchemy import select

from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.errors import ConfigurationError, Invalid, LimitReached, NotFound, TooLarge, Transient, UnsupportedType
from webapp.faces.core import boxes
from webapp.faces.core.protocols import Angle, Box, DetectedFace, Keep, SelfieCheck
from webapp.models import (
    ConfirmedVector,
    Event,
    Face,
    FaceVector,
    Person,
    Photo,
    RemovalKind,
    Rendition,
    RenditionKind,
    Selfie,
    SelfieStatus,
    SelfieVector,
)
from webapp.pictures import imaging
from webapp.queueing import RECONCILE_EVENT, enqueue_after_commit, unit_of_work
from webapp.services.core import alarms, blobs, deletion_outbox, engines, locks, rematch_requests
from webapp.services.matching import comparing, hosted_search
from webapp.services.matching.comparing import Differences, Report, gallery_of

log = structlog.get_logger()

SECONDS = 25.0
"""For how long one job hands pictures in again; what is left goes on in the next one."""


def report_on(event_key: str) -> Report:
    """Say what differs, and change nothing.

    Raises:
        NotFound: there is no such event.
        Transient: the service is away.
    """
    return comparing.compare(_event(event_key)).report


def describe(report: Report) -> str:
    """The report in words for ops."""
    if not report.keeps_faces:
        return "This event's vectors are in the database: no service keeps anything of it."
    if report.in_order:
        return "In order: what the service keeps is what the database says."
    lines = [f"The collection of {kind} is missing." for kind in report.galleries_lost]
    figures = (
        (report.photo_faces_lost, "faces of photos that the service has lost: their photos are handed in again"),
        (report.photo_faces_unknown, "faces of photos that nothing here knows: removed there"),
        (report.guest_faces_lost, "faces of guests that the service has lost: handed in again"),
        (report.guest_faces_unknown, "faces of guests that nothing here knows: removed there"),
        (report.users_lost, "user vectors that the service has lost: made again"),
        (report.users_unknown, "user vectors that nothing here knows: removed there"),
    )
    return "\n".join(lines + [f"{count} {what}." for count, what in figures if count])


def reconcile_requested(event_key: str) -> Report | None:
    """Mend what differs, if that was asked for. Runs in a worker, for SECONDS at a time.

    Returns what differed; None when nothing was asked for, or when it can't be done now and is tried again later.
    """
    with reading():
        event = db.session.scalar(select(Event).where(Event.public_id == event_key))
        if event is None or event.reconcile_requested_at is None:
            return None
        event_id, kept = event.id, engines.of(event.engine).index.keeps_faces
    if not kept:
        _finish(event_id)
        return Report(keeps_faces=False)
    try:
        with alarms.guard():
            report, done = _mend(event_id)
    except (Transient, LimitReached, ConfigurationError, NotFound) as error:
        # The event's row still asks for it, so the next sweep does as well.
        log.warning("reconcile.waits", event_id=event_key, reason=error.code)
        return None
    if done:
        _finish(event_id)
        log.info("reconcile.finished", event_id=event_key)
    else:
        with unit_of_work():
            enqueue_after_commit(RECONCILE_EVENT, event_key)
    return report


def request(event_key: str) -> None:
    """Ask for what differs to be mended. Matching in the event waits until that is done.

    Raises:
        NotFound: there is no such event.
    """
    event = _event(event_key)
    with unit_of_work():
        engines.request_reconciliation(event.public_id)


def _mend(event_id: int) -> tuple[Report, bool]:
    with reading():
        event = db.session.get_one(Event, event_id)
        db.session.expunge(event)
    index, users = engines.of(event.engine).index, engines.of(event.engine).users
    found = comparing.compare(event)
    if found.report.galleries_lost:
        _adopt(event, index.prepare(engines.gallery(event)))
    index.remove(gallery_of(event, "photos"), found.unknown_photo_faces)
    for user_id in found.unknown_users:
        if users is not None:
            users.remove_user(gallery_of(event, "guests"), user_id)
    index.remove(gallery_of(event, "guests"), found.unknown_guest_faces)
    _forget(found)
    # However long comparing took, each job mends something: else it would never end.
    deadline = time.monotonic() + SECONDS
    left = [partial(_photo_again, event, row_id) for row_id in found.lost_photos]
    left += [partial(_selfie_again, event, row_id) for row_id in found.lost_selfies]
    while left:
        left.pop(0)()
        if time.monotonic() >= deadline:
            break
    return found.report, not left


def _forget(found: Differences) -> None:
    """Rows whose other half is gone and which the next computation of their person makes anew."""
    with unit_of_work():
        for row in db.session.scalars(select(ConfirmedVector).where(ConfirmedVector.id.in_(found.lost_confirmed))):
            db.session.delete(row)
        for person in db.session.scalars(select(Person).where(Person.id.in_(found.lost_users)).with_for_update()):
            person.user_key = None


def _photo_again(event: Event, photo_id: int) -> None:
    """Hand a photo in again, and give its faces the ids that they have now."""
    with reading():
        photo = db.session.get(Photo, photo_id)
        key = db.session.scalar(
            select(Rendition.blob_key).where(Rendition.photo_id == photo_id, Rendition.kind == RenditionKind.ORIGINAL)
        )
        name = photo.public_id if photo is not None else ""
    if key is None:
        return
    analyzer, settings, faces = engines.of(event.engine).analyzer, current_app.extensions["settings"], []
    with _or_without(name), blobs.store().open(key) as stream:
        side = analyzer.frame_side
        frame = imaging.decode(stream, max_megapixels=settings.max_megapixels, min_long_side=side).frame
        faces = analyzer.photo_faces(frame, Keep(gallery_of(event, "photos"), name, again=True))
    with unit_of_work():
        current = locks.lock_event(event.id)
        rows = db.session.execute(
            select(Face, FaceVector)
            .join(FaceVector, FaceVector.face_id == Face.id)
            .where(Face.photo_id == photo_id, FaceVector.engine == current.engine)
            .order_by(Face.ordinal)
        ).all()
        for (_, vector), found in _paired([(face, vector) for face, vector in rows], faces):
            vector.external_id = found.external_id if found is not None else None
            vector.version = current.engine_version
        # Faces that have no row: it is another model, or the photo was erased meanwhile.
        known = {vector.external_id for _, vector in rows}
        unknown = [face.external_id for face in faces if face.external_id not in known]
        deletion_outbox.remove_faces(current, RemovalKind.PHOTO_FACES, unknown)


@contextmanager
def _or_without(name: str) -> Iterator[None]:
    """Go on without a picture that can't be handed in again, today or ever: the event waits for all the others."""
    try:
        yield
    except (Invalid, TooLarge, UnsupportedType, NotFound) as error:
        if error.code == "engine_missing":
            raise
        log.warning("reconcile.picture_lost", name=name, reason=error.code)


def _paired(
    rows: list[tuple[Face, FaceVector]], faces: list[DetectedFace]
) -> Iterator[tuple[tuple[Face, FaceVector], DetectedFace | None]]:
    """Each row with the face that lies where it does; None where nothing does any more."""
    former = [Box(face.box_x, face.box_y, face.box_width, face.box_height) for face, _ in rows]
    pairs = boxes.pairs(former, [face.box for face in faces])
    for place, row in enumerate(rows):
        yield row, faces[pairs[place]] if place in pairs else None


def _selfie_again(event: Event, selfie_id: int) -> None:
    """Hand an accepted selfie in again."""
    with reading():
        selfie = db.session.get(Selfie, selfie_id)
        if selfie is None or selfie.status is not SelfieStatus.ACCEPTED or selfie.retired_at is not None:
            return
        name, key, angle = selfie.public_id, selfie.blob_key, selfie.angle
    analyzer, settings = engines.of(event.engine).analyzer, current_app.extensions["settings"]
    guests, verdict = gallery_of(event, "guests"), SelfieCheck(None, None)
    with _or_without(name), blobs.store().open(key) as stream:
        frame = imaging.decode(stream, max_megapixels=settings.max_megapixels).frame
        verdict = analyzer.check_selfie(frame, cast("Angle", angle), Keep(guests, name, again=True))
    with unit_of_work():
        current = locks.lock_event(event.id)
        vector = db.session.scalar(select(SelfieVector).where(SelfieVector.selfie_id == selfie_id))
        if vector is not None:
            # Where the service refuses now what it took before, the photos are still searched with the picture.
            vector.external_id = verdict.face.external_id if verdict.face is not None else None
            vector.version = current.engine_version
        elif verdict.face is not None:
            deletion_outbox.remove_faces(current, RemovalKind.GUEST_FACES, [verdict.face.external_id])


def _adopt(event: Event, version: str) -> None:
    """Galleries that were made anew may be of a newer model.

    Raises:
        NotFound: the event was erased meanwhile; they are gone again.
    """
    with unit_of_work():
        current = db.session.scalar(select(Event).where(Event.id == event.id).with_for_update(key_share=True))
        if current is not None:
            current.engine_version = version
            return
    engines.drop_galleries(event.engine, engines.gallery(event))
    raise NotFound(code="event_code_unknown")


def _finish(event_id: int) -> None:
    """All is there again: what could not be searched meanwhile is searched now.

    Photos that are worked on at this moment held their faces against guests who were not all there: they mark everybody
    once more.
    """
    with unit_of_work():
        event = locks.lock_event(event_id)
        event.reconcile_requested_at = None
        people = hosted_search.searched_people(event)
        for person in db.session.scalars(
            select(Person).where(Person.id.in_(people)).order_by(Person.id).with_for_update()
        ):
            rematch_requests.templates_changed(event, person)
        db.session.flush()
        rematch_requests.mark(people)
        others = db.session.scalar(select(Event.id).where(Event.reconcile_requested_at.is_not(None)).limit(1))
    if others is None:
        alarms.clear("engine_missing")


def _event(event_key: str) -> Event:
    with reading():
        event = db.session.scalar(select(Event).where(Event.public_id == event_key))
        if event is None:
            raise NotFound(code="event_code_unknown")
        db.session.expunge(event)
        return event
