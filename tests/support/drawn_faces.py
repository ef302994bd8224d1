"""Faces and templates as rows, whose vectors are as alike as a test wants them."""

import numpy as np
from sqlalchemy import select

from webapp.db.extensions import db
from webapp.faces.core.vectors import to_blob
from webapp.models import (
    Face,
    FaceVector,
    Match,
    Person,
    Photo,
    PhotoStatus,
)
from webapp.queueing import unit_of_work
from webapp.services.core import locks, rematch_requests
from webapp.services.matching import matching

DIMENSIONS = 128


def add_face(person_id: int, vector: np.ndarray) -> int:
    """A photo with one face, as index_photo would have written it, who it concerns included."""
    with unit_of_work():
        event = locks.lock_event(db.session.get_one(Person, person_id).event_id)
        photo = Photo(event_id=event.id, filename="face.jpg", status=PhotoStatus.INDEXED)
        db.session.add(photo)
        db.session.flush()
        numbers = dict.fromkeys(
            ("box_x", "box_y", "box_width", "box_height", "score", "quality", "turn", "blur", "light"), 0.5
        )
        face = Face(photo_id=photo.id, event_id=event.id, ordinal=0, landmarks=[], size=90, weak=False, **numbers)
        db.session.add(face)
        db.session.flush()
        blob = to_blob(vector.astype(np.float32))
        db.session.add(
            FaceVector(
                face_id=face.id, event_id=event.id, engine=event.engine, version=event.engine_version, vector=blob
            )
        )
        db.session.flush()
        rematch_requests.mark(matching.concerned(event, [blob]))
        return face.id


def at(cosine: float, anchor: np.ndarray, away: np.ndarray) -> np.ndarray:
    """A unit vector with this cosine to `anchor`, on the side of `away`, which stands upright on it."""
    return cosine * anchor + np.sqrt(1 - cosine**2) * away


def found(person_id: int) -> dict[int, str]:
    matching.match_person_by_id(person_id)
    matches = db.session.scalars(select(Match).where(Match.person_id == person_id))
    return {match.face_id: match.band.value for match in matches}
