"""Searching events whose faces a service keeps: the vectors are never ours, so questions go by picture or by its ids.

Searches go from the person to the photos, always: matches then follow from the faces and the templates alone, however
things arrived. The other direction, a new photo's faces among the guests, only finds out who is concerned.

Of a person with more than one picture the service makes a user vector. It says more of the faces that the pictures
alone leave in doubt, so those are asked about once, face by face, and the answer is kept: each question is billed.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog
from flask import current_app
from sqlalchemy import select

from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.errors import FindMeError, LimitReached, NotFound, Transient
from webapp.faces import Engine
from webapp.faces.core.protocols import DetectedFace, Frame, Gallery, Probe
from webapp.models import (
    ConfirmedVector,
    Consent,
    Event,
    Face,
    FaceVector,
    Match,
    Person,
    Selfie,
    SelfieStatus,
    SelfieVector,
    Verdict,
)
from webapp.pictures import crops
from webapp.services.core import blobs, engines
from webapp.services.core.claims import ClaimLostError
from webapp.services.matching import hosted_person
from webapp.services.matching.hosted_person import KeptFace, Subject, face_rows
from webapp.services.rules.thresholds import Found, Outcome, thresholds_of

log = structlog.get_logger()

LEEWAY = 0.1
"""So far below the maybe threshold a face is still looked at: a user vector may raise it, and two searches of the same
faces in opposite directions differ a little."""

SECONDS = 15.0
"""For how long one photo's faces are searched among the guests: where the service is slow, everybody is concerned."""

MOST_CONFIRMED = 20
"""Confirmed faces that a person is searched with, the largest: each is a call of every computation."""

MOST_SEARCHED = 40
"""Faces of one photo that are searched among the guests one by one; a crowd concerns everybody."""


@dataclass(frozen=True, slots=True)
class Concerned:
    """Whom the faces of a new photo resemble, as of one moment."""

    person_ids: set[int]
    templates_revision: int
    """The event's at that moment: whoever changed later has to be marked as well."""


def search(person_id: int, token: str) -> Outcome:
    """Every face of the event that resembles the person. Call it outside any transaction, with the claim on the person.

    Raises:
        Transient: the service is away or busy.
        NotFound: it has lost the event's gallery.
        LimitReached: the event may make no more calls.
        ClaimLostError: the person was erased meanwhile.
    """
    subject = _subject(person_id, token)
    if subject is None or not subject.selfies:
        return Outcome({})
    try:
        outcome = _search(subject)
    except (ClaimLostError, FindMeError):
        hosted_person.leave(subject)
        raise
    with reading():
        # What was searched may have been made anew meanwhile, and have been half empty.
        _require_complete(db.session.get(Event, subject.event_id))
    return outcome


def _search(subject: Subject) -> Outcome:
    hosted_person.bring_into_line(subject)
    index, wanted = engines.of(subject.engine).index, subject.thresholds
    floor = max(0.0, wanted.maybe - LEEWAY) if subject.user_key else wanted.maybe
    result = index.search(subject.photos, _probes(subject), floor)
    if result.capped:
        log.warning("matching.capped", person=subject.public_id, hits=len(result.hits))
    similarity = {str(hit.face_id): hit.similarity for hit in result.hits}
    faces = _faces(subject, similarity)
    scores = {face.id: similarity[external_id] for external_id, face in faces.items()}
    if subject.user_key:
        known = {face.id: face for face in faces.values()}
        for face_id, score in hosted_person.user_scores(subject, known, scores).items():
            scores[face_id] = max(score, scores[face_id])
    found = {
        face.id: Found(face.photo_id, scores[face.id], wanted.band(scores[face.id], weak=face.weak))
        for face in faces.values()
        if scores[face.id] >= wanted.maybe
    }
    return Outcome(found, capped=result.capped)


def concerned(event_id: int, frame: Frame, faces: Sequence[DetectedFace]) -> Concerned:
    """Whom these faces of a new photo may show. frame: the photo, (height, width, 3), RGB. Outside any transaction.

    They are in the gallery of the photos already. Who hands in a selfie from now on finds them there, and is marked by
    the photo's own transaction, which looks who changed after the moment that is noted here.
    """
    with reading():
        event = db.session.get_one(Event, event_id)
        revision, guests = event.templates_revision, Gallery(event.id, event.public_id, "guests")
        engine, floor = engines.of(event.engine), thresholds_of(event, current_app.extensions["settings"]).maybe
        people, rebuilding = searched_people(event), event.reconcile_requested_at is not None
        unkept = _unkept(event_id) & people
        has_users = db.session.scalar(
            select(Person.id).where(Person.event_id == event_id, Person.user_key.is_not(None))
        )
    if not people or not faces:
        return Concerned(set(), revision)
    if len(faces) > MOST_SEARCHED or rebuilding:
        return Concerned(people, revision)
    try:
        owners = _owners_of(engine, guests, frame, faces, floor, has_users=has_users is not None)
    except LimitReached:
        # The photo's faces are paid for and kept. Whoever may be on it is searched once the limit is raised.
        owners = None
    return Concerned(people if owners is None else owners & people | unkept, revision)


def _owners_of(
    engine: Engine, guests: Gallery, frame: Frame, faces: Sequence[DetectedFace], floor: float, *, has_users: bool
) -> set[int] | None:
    """The people among whose pictures the service finds these faces; None where that takes too long.

    Raises:
        LimitReached: the event may make no more calls.
    """
    external_ids, user_ids = set[str](), set[str]()
    deadline = time.monotonic() + SECONDS
    places = [(face.box.x, face.box.y, face.box.width, face.box.height) for face in faces]
    for ordinal, place in enumerate(places):
        if time.monotonic() > deadline:
            log.warning("matching.guests_not_searched", event_id=guests.event_key, faces=len(faces))
            return None
        others = places[:ordinal] + places[ordinal + 1 :]
        crop = Probe(picture=crops.probe_crop(frame, *place, others))
        external_ids |= {str(hit.face_id) for hit in engine.index.search(guests, [crop], max(0.0, floor - LEEWAY)).hits}
        if has_users and engine.users is not None:
            user_ids |= {hit.user_id for hit in engine.users.search_users(guests, crop, floor)}
    with reading():
        return _owners(guests.event_id, external_ids, user_ids)


def changed_since(event_id: int, revision: int) -> set[int]:
    """The people whose templates changed after the event was at this revision. The event is locked."""
    return set(
        db.session.scalars(select(Person.id).where(Person.event_id == event_id, Person.templates_revision > revision))
    )


def searched_people(event: Event) -> set[int]:
    """Everybody in the event who agreed to be searched for and has an accepted selfie."""
    agreed = select(Consent.person_id).where(Consent.withdrawn_at.is_(None))
    return set(
        db.session.scalars(
            select(Selfie.person_id)
            .join(Person, Person.id == Selfie.person_id)
            .where(
                Person.event_id == event.id,
                Selfie.status == SelfieStatus.ACCEPTED,
                Selfie.retired_at.is_(None),
                Selfie.person_id.in_(agreed),
            )
        )
    )


def _unkept(event_id: int) -> set[int]:
    """People whom a search among the guests can't find: a selfie of theirs was accepted and is not kept there."""
    return set(
        db.session.scalars(
            select(Selfie.person_id)
            .join(SelfieVector, SelfieVector.selfie_id == Selfie.id)
            .where(SelfieVector.event_id == event_id, SelfieVector.external_id.is_(None), Selfie.retired_at.is_(None))
        )
    )


def _owners(event_id: int, external_ids: set[str], user_ids: set[str]) -> set[int]:
    selfies = (
        select(Selfie.person_id)
        .join(SelfieVector, SelfieVector.selfie_id == Selfie.id)
        .where(SelfieVector.event_id == event_id, SelfieVector.external_id.in_(external_ids))
    )
    confirmed = select(ConfirmedVector.person_id).where(
        ConfirmedVector.event_id == event_id, ConfirmedVector.external_id.in_(external_ids)
    )
    users = select(Person.id).where(Person.event_id == event_id, Person.public_id.in_(user_ids))
    return {person_id for wanted in (selfies, confirmed, users) for person_id in db.session.scalars(wanted)}


def _subject(person_id: int, token: str) -> Subject | None:
    """The person as they are searched; None when they are gone or did not agree."""
    with reading():
        person = db.session.get(Person, person_id)
        if person is None:
            return None
        event = db.session.get_one(Event, person.event_id)
        _require_complete(event)
        if person.id not in searched_people(event):
            return None
        selfies = db.session.execute(
            select(SelfieVector.external_id, Selfie.blob_key)
            .join(Selfie, Selfie.id == SelfieVector.selfie_id)
            .where(
                Selfie.person_id == person.id,
                Selfie.status == SelfieStatus.ACCEPTED,
                Selfie.retired_at.is_(None),
                SelfieVector.engine == event.engine,
            )
            .order_by(Selfie.id)
        ).all()
        confirmed = db.session.execute(
            select(FaceVector.face_id, FaceVector.external_id)
            .join(Match, Match.face_id == FaceVector.face_id)
            .join(Face, Face.id == FaceVector.face_id)
            .where(
                Match.person_id == person.id,
                Match.verdict == Verdict.CONFIRMED,
                FaceVector.engine == event.engine,
                FaceVector.version == event.engine_version,
                FaceVector.external_id.is_not(None),
            )
            .order_by(Face.size.desc(), Face.id)
            .limit(MOST_CONFIRMED)
        ).all()
        kept = db.session.execute(
            select(ConfirmedVector.face_id, ConfirmedVector.external_id).where(
                ConfirmedVector.person_id == person.id, ConfirmedVector.engine == event.engine
            )
        ).all()
        judged = set(
            db.session.scalars(select(Match.face_id).where(Match.person_id == person.id, Match.verdict != Verdict.NONE))
        )
        return Subject(
            person_id=person.id,
            public_id=person.public_id,
            event_id=event.id,
            event_key=event.public_id,
            engine=event.engine,
            version=event.engine_version,
            thresholds=thresholds_of(event, current_app.extensions["settings"]),
            user_key=person.user_key,
            selfies=[(row.external_id, row.blob_key) for row in selfies],
            confirmed={row.face_id: row.external_id or "" for row in confirmed},
            kept={row.face_id: row.external_id for row in kept},
            judged=judged,
            token=token,
        )


def _require_complete(event: Event | None) -> None:
    """A gallery that is only half there would take matches away from people.

    Raises:
        Transient: the event's galleries are being made anew.
    """
    if event is not None and event.reconcile_requested_at is not None:
        raise Transient(code="engine_missing")


def _probes(subject: Subject) -> list[Probe]:
    """What the photos are searched with: the selfies' pictures, and by their ids the faces that were confirmed."""
    probes = [Probe(key=external_id) for external_id in subject.confirmed.values()]
    for _, blob_key in subject.selfies:
        try:
            with blobs.store().open(blobs.selfie_preview_key(blob_key)) as stream:
                probes.append(Probe(picture=stream.read()))
        except NotFound:
            # Erased between our look at the rows and now; the next computation knows.
            continue
    return probes


def _faces(subject: Subject, external_ids: Iterable[str]) -> dict[str, KeptFace]:
    """The faces with these ids at the service. Those of a photo whose rows are not written yet are not among them."""
    with reading():
        rows = db.session.execute(
            select(FaceVector.face_id, FaceVector.external_id).where(
                FaceVector.event_id == subject.event_id,
                FaceVector.engine == subject.engine,
                FaceVector.version == subject.version,
                FaceVector.external_id.in_(list(external_ids)),
            )
        ).all()
        faces = {face.id: face for face in face_rows(Face.id.in_([row.face_id for row in rows]))}
        return {row.external_id or "": faces[row.face_id] for row in rows if row.face_id in faces}
