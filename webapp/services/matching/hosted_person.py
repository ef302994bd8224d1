"""What a face service keeps of a person among an event's guests: the faces of their selfies, those that they confirmed,
and one user vector of several of them.

Each step first looks whether the claim on the person still holds: somebody who was erased meanwhile gets nothing added.
"""

import hashlib
from dataclasses import dataclass

from sqlalchemy import and_, delete, select
from sqlalchemy.sql.elements import ColumnElement

from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.errors import NotFound
from webapp.faces.core import boxes
from webapp.faces.core.protocols import Box, DetectedFace, Frame, Gallery, Keep, Probe
from webapp.models import (
    ConfirmedVector,
    Face,
    Match,
    Person,
    RemovalKind,
    Rendition,
    RenditionKind,
    UserScore,
    Verdict,
)
from webapp.pictures import crops, imaging
from webapp.queueing import unit_of_work
from webapp.services.core import blobs, claims, deletion_outbox, engines
from webapp.services.core.claims import ClaimLostError
from webapp.services.rules.thresholds import Thresholds

SAME_PLACE = 0.3
"""Overlap (intersection over union) from which a face of a crop is the one that it was made for."""

MOST_ASKED = 50
"""Faces in doubt that one search asks about, the likeliest first."""


@dataclass(frozen=True, slots=True)
class KeptFace:
    """A face of a photo, and what crops it."""

    id: int
    photo_id: int
    weak: bool
    box: tuple[float, float, float, float]


@dataclass(slots=True)
class Subject:
    """A person as they are searched: copied out of the database, so that no transaction is open while we ask."""

    person_id: int
    public_id: str
    event_id: int
    event_key: str
    engine: str
    version: str
    thresholds: Thresholds
    user_key: str | None
    selfies: list[tuple[str | None, str]]
    """Id at the service (none where it refused to take the picture again) and blob's key of each accepted selfie."""
    confirmed: dict[int, str]
    """Faces of photos that the person said are theirs, by their ids at the service."""
    kept: dict[int, str]
    """Those of them that are among the guests' faces already; empty where the service saw no face."""
    judged: set[int]
    """Faces of which the person said what they are: the service is not asked about them."""
    token: str
    """The claim under which this is computed: without it nothing is added to what the service keeps."""

    @property
    def photos(self) -> Gallery:
        return Gallery(self.event_id, self.event_key, "photos")

    @property
    def guests(self) -> Gallery:
        return Gallery(self.event_id, self.event_key, "guests")


def bring_into_line(subject: Subject) -> None:
    """Let the service keep exactly the faces and the user vector that the person's rows stand for; safe to repeat.

    Raises:
        ClaimLostError: the person is not ours to compute any more.
    """
    gone = {face_id: external_id for face_id, external_id in subject.kept.items() if face_id not in subject.confirmed}
    for face_id in sorted(subject.confirmed.keys() - subject.kept.keys()):
        _keep_confirmed(subject, face_id)
    for face_id in gone:
        del subject.kept[face_id]
    _make_user(subject)
    if gone:
        engines.of(subject.engine).index.remove(subject.guests, list(gone.values()))
        with unit_of_work():
            _hold(subject)
            db.session.execute(
                delete(ConfirmedVector).where(
                    ConfirmedVector.person_id == subject.person_id, ConfirmedVector.face_id.in_(list(gone))
                )
            )


def leave(subject: Subject) -> None:
    """After a try that failed: where the person is not ours any more, what it added has to go as well.

    Whether it was erased or is computed by somebody else, what their rows know of stays.
    """
    with reading():
        held = db.session.scalar(select(Person.id).where(Person.id == subject.person_id, Person.claim == subject.token))
    if held is None:
        names = [subject.public_id]
        with unit_of_work():
            for kind in (RemovalKind.USERS, RemovalKind.GUEST_NAMES):
                deletion_outbox.remove_leftovers(subject.engine, subject.event_key, kind, names)


def user_scores(subject: Subject, faces: dict[int, KeptFace], scores: dict[int, float]) -> dict[int, float]:
    """How alike the faces in doubt are to the person's user vector: as kept, or asked now. By the face's key."""
    with reading():
        known = {
            row.face_id: row.similarity
            for row in db.session.scalars(
                select(UserScore).where(
                    UserScore.person_id == subject.person_id, UserScore.user_key == subject.user_key
                )
            )
        }
    doubtful = [
        face_id
        for face_id, score in scores.items()
        if score < subject.thresholds.sure and face_id not in subject.judged
    ]
    unasked = sorted((face_id for face_id in doubtful if face_id not in known), key=lambda one: (-scores[one], one))
    for face_id in unasked[:MOST_ASKED]:
        known[face_id] = _ask(subject, faces[face_id])
    return {face_id: known[face_id] for face_id in doubtful if face_id in known}


def face_rows(condition: ColumnElement[bool]) -> list[KeptFace]:
    """The faces that fulfil a condition."""
    rows = db.session.scalars(select(Face).where(condition))
    return [
        KeptFace(row.id, row.photo_id, row.weak, (row.box_x, row.box_y, row.box_width, row.box_height)) for row in rows
    ]


def _make_user(subject: Subject) -> None:
    """A user vector of everything that is kept of the person, once that is more than one picture."""
    users = engines.of(subject.engine).users
    names = [external_id for external_id, _ in subject.selfies] + list(subject.kept.values())
    pictures = sorted(external_id for external_id in names if external_id)
    wanted = hashlib.sha256(",".join(pictures).encode()).hexdigest()[:32] if len(pictures) > 1 else None
    if users is None or wanted == subject.user_key:
        return
    if wanted is None:
        users.remove_user(subject.guests, subject.public_id)
    else:
        users.make_user(subject.guests, subject.public_id, pictures)
    with unit_of_work():
        _hold(subject).user_key = wanted
        db.session.execute(delete(UserScore).where(UserScore.person_id == subject.person_id))
    subject.user_key = wanted


def _keep_confirmed(subject: Subject, face_id: int) -> None:
    """Put a face that the person confirmed among the guests' faces."""
    with reading():
        face = next(iter(face_rows(Face.id == face_id)), None)
    frame = _preview(face.photo_id) if face is not None else None
    if face is None or frame is None:
        return
    engine = engines.of(subject.engine)
    # Nothing says how an earlier try ended, and a mark that came since has cleared its count.
    keep = Keep(subject.guests, f"{subject.public_id}:{face_id}", again=True)
    found = engine.analyzer.photo_faces(crops.probe_part(frame, *face.box, _neighbours(face)), keep)
    own = _in_its_place(found, boxes.within_part(Box(*face.box)))
    # Whoever else is in the crop, however large, has not been asked.
    engine.index.remove(subject.guests, [one.external_id or "" for one in found if one is not own])
    external_id = (own.external_id or "") if own is not None else ""
    try:
        with unit_of_work():
            _hold(subject)
            _require_confirmed(subject, face_id)
            vector = ConfirmedVector(person_id=subject.person_id, face_id=face_id, event_id=subject.event_id)
            vector.engine, vector.version, vector.external_id = subject.engine, subject.version, external_id
            db.session.add(vector)
    except ClaimLostError:
        with unit_of_work():
            deletion_outbox.remove_kept(subject.engine, subject.event_key, RemovalKind.GUEST_FACES, [external_id])
        raise
    subject.kept[face_id] = external_id


def _in_its_place(found: list[DetectedFace], place: Box) -> DetectedFace | None:
    """The face of a crop that it was made for; None where the service sees none there."""
    best = max(found, key=lambda one: boxes.overlap(one.box, place), default=None)
    return best if best is not None and boxes.overlap(best.box, place) >= SAME_PLACE else None


def _neighbours(face: KeptFace) -> list[tuple[float, float, float, float]]:
    """Where the other faces of its photo are."""
    with reading():
        return [other.box for other in face_rows(and_(Face.photo_id == face.photo_id, Face.id != face.id))]


def _ask(subject: Subject, face: KeptFace) -> float:
    users, frame = engines.of(subject.engine).users, _preview(face.photo_id)
    if users is None or frame is None:
        return 0.0
    probe = Probe(picture=crops.probe_crop(frame, *face.box, _neighbours(face)))
    hits = users.search_users(subject.guests, probe, subject.thresholds.maybe)
    similarity = next((hit.similarity for hit in hits if hit.user_id == subject.public_id), 0.0)
    with unit_of_work():
        _hold(subject)
        if db.session.get(Face, face.id) is not None:
            db.session.merge(
                UserScore(
                    face_id=face.id,
                    person_id=subject.person_id,
                    user_key=subject.user_key or "",
                    similarity=similarity,
                )
            )
    return similarity


def _hold(subject: Subject) -> Person:
    """The person, locked, if the claim is still ours."""
    person: Person | None = claims.held(Person, subject.public_id, subject.token)
    if person is None:
        raise ClaimLostError(subject.public_id)
    return person


def _require_confirmed(subject: Subject, face_id: int) -> None:
    """The person may have taken their word back meanwhile: then they have been marked, and this starts anew."""
    verdict = db.session.scalar(
        select(Match.verdict).where(Match.person_id == subject.person_id, Match.face_id == face_id)
    )
    if verdict is not Verdict.CONFIRMED:
        raise ClaimLostError(subject.public_id)


def _preview(photo_id: int) -> Frame | None:
    """The photo's preview, decoded; None when it is gone."""
    with reading():
        key = db.session.scalar(
            select(Rendition.blob_key).where(Rendition.photo_id == photo_id, Rendition.kind == RenditionKind.PREVIEW)
        )
    if key is None:
        return None
    try:
        with blobs.store().open(key) as stream:
            return imaging.decode(stream, max_megapixels=10).frame
    except NotFound:
        return None
