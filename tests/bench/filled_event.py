"""An event full of photos, guests and matches, made as rows: for measuring pages, where nobody has to be recognised."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, select

from webapp.db.extensions import db
from webapp.models import (
    Band,
    Event,
    Face,
    Match,
    Membership,
    MembershipRole,
    Person,
    Photo,
    PhotoStatus,
    Rendition,
    RenditionKind,
    Selfie,
    SelfieStatus,
    User,
    Verdict,
)

FACES = 3
"""On each photo, each one somebody's."""

FAILED = 50
"""Every so many photos one has failed."""

_START = datetime(2026, 6, 20, 18, tzinfo=UTC)
_PIECE = 1000


def fill(owner: User, code: str, *, photos: int, guests: int) -> str:
    """Make an event of the owner's, in the present transaction; returns its public id.

    The guests come within four hours, and the photos one a second. Every guest has an accepted selfie.
    """
    rng = random.Random(7)
    event = Event(code=code, code_key=code, name=code, date=_START.date(), engine="local", engine_version="1")
    db.session.add(event)
    db.session.flush()
    db.session.add(Membership(event_id=event.id, user_id=owner.id, role=MembershipRole.OWNER))
    people = _guests(event, guests, rng)
    _insert(Photo, [_photo(event, number) for number in range(photos)])
    ids = list(db.session.scalars(select(Photo.id).where(Photo.event_id == event.id).order_by(Photo.id)))
    _insert(Rendition, [_rendition(photo, kind) for photo in ids for kind in _KINDS])
    _insert(Face, [_face(event, photo, ordinal) for photo in ids for ordinal in range(FACES)])
    faces = db.session.execute(select(Face.id, Face.photo_id).where(Face.event_id == event.id)).all()
    _insert(Match, [_match(face, photo, rng.choice(people), rng) for face, photo in faces])
    return event.public_id


_KINDS = (RenditionKind.ORIGINAL, RenditionKind.PREVIEW, RenditionKind.THUMBNAIL)


def _guests(event: Event, count: int, rng: random.Random) -> list[int]:
    users = [User(email=f"{event.code}-{number}@example.com", name=f"guest {number}") for number in range(count)]
    db.session.add_all(users)
    db.session.flush()
    arrivals = sorted(_START + timedelta(seconds=rng.random() * 4 * 3600) for _ in users)
    places = [
        Membership(event_id=event.id, user_id=user.id, created_at=arrival)
        for user, arrival in zip(users, arrivals, strict=True)
    ]
    db.session.add_all(places)
    db.session.flush()
    people = [Person(membership_id=place.id, event_id=event.id, name=place.user.name) for place in places]
    db.session.add_all(people)
    db.session.flush()
    ids = [person.id for person in people]
    accepted = {"status": SelfieStatus.ACCEPTED, "blob_key": "none", "content_type": "image/jpeg"}
    _insert(Selfie, [{"person_id": person, **accepted} for person in ids])
    return ids


def _photo(event: Event, number: int) -> dict[str, Any]:
    came = _START + timedelta(seconds=number)
    fine = number % FAILED != 0
    return {
        "event_id": event.id,
        "filename": f"{number}.jpg",
        "sha256": f"{number:064x}",
        "byte_size": 9_000_000 + number,
        "status": PhotoStatus.INDEXED if fine else PhotoStatus.FAILED,
        "failure_reason": None if fine else "truncated",
        "placeholder": "data:image/webp;base64," + "A" * 130,
        "width": 6000,
        "height": 4000,
        "created_at": came,
        "sorted_at": came,
        "published_at": came,
        "indexed_at": came + timedelta(seconds=number) if fine else None,
        "faces_count": FACES if fine else None,
    }


def _rendition(photo: int, kind: RenditionKind) -> dict[str, Any]:
    return {
        "photo_id": photo,
        "kind": kind,
        "blob_key": f"{photo}/{kind}",
        "content_type": "image/webp",
        "byte_size": 1,
    }


def _face(event: Event, photo: int, ordinal: int) -> dict[str, Any]:
    box = dict.fromkeys(("box_x", "box_y", "box_width", "box_height"), 0.1)
    figures = dict.fromkeys(("score", "quality", "turn", "blur", "light"), 1.0)
    place = {"photo_id": photo, "event_id": event.id, "ordinal": ordinal, "landmarks": [], "size": 80, "weak": False}
    return {**place, **box, **figures}


def _match(face: int, photo: int, person: int, rng: random.Random) -> dict[str, Any]:
    return {
        "face_id": face,
        "photo_id": photo,
        "person_id": person,
        "similarity": 0.6,
        "band": rng.choice((Band.SURE, Band.SURE, Band.MAYBE)),
        "verdict": rng.choice((Verdict.NONE, Verdict.NONE, Verdict.CONFIRMED, Verdict.REJECTED)),
    }


def _insert(model: Any, rows: Sequence[dict[str, Any]]) -> None:
    for start in range(0, len(rows), _PIECE):
        db.session.execute(insert(model), rows[start : start + _PIECE])
