"""Events full of people and photos, made as rows: for tests of what is shown, where nobody has to be recognised."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from sqlalchemy import event as listening
from sqlalchemy import select

from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import (
    Band,
    Event,
    Face,
    Match,
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
from webapp.services.core import consents
from webapp.services.joining import enrolment


@dataclass
class Asked:
    """Statements that went to the database, with their parameters."""

    statements: list[tuple[str, Any]] = field(default_factory=list)

    def selects(self) -> list[tuple[str, Any]]:
        return [(text, values) for text, values in self.statements if text.lstrip().startswith("SELECT")]


@contextmanager
def asked(app: Flask) -> Iterator[Asked]:
    """Notes what the app asks its database inside the block."""
    with app.app_context():
        engine = db.engine
    noted = Asked()

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        noted.statements.append((statement, parameters))

    listening.listen(engine, "before_cursor_execute", note)
    try:
        yield noted
    finally:
        listening.remove(engine, "before_cursor_execute", note)


def event_of(public_id: str) -> Event:
    """The event's row."""
    return db.session.scalars(select(Event).where(Event.public_id == public_id)).one()


def user_of(email: str) -> User:
    """The user's row."""
    return db.session.scalars(select(User).where(User.email == email)).one()


def add_guest(event: Event, email: str) -> Person:
    """Somebody new, who is searched for."""
    user = User(email=email, name=email.partition("@")[0])
    db.session.add(user)
    db.session.flush()
    return add_person(event, user)


def add_person(event: Event, user: User) -> Person:
    """The user's place in the event, with consent and an accepted selfie."""
    person = enrolment.own_person(enrolment.join(event, user))
    consents.grant_consent(person, consents.CONSENT_VERSION, language="en")
    picture = {"blob_key": f"events/x/selfies/{person.id}/original.jpg", "content_type": "image/jpeg"}
    db.session.add(Selfie(person_id=person.id, status=SelfieStatus.ACCEPTED, **picture))
    db.session.flush()
    return person


def add_photo(event: Event, number: int, people: list[Person]) -> Photo:
    """One photo with a sure, a confirmed and a doubtful face of each of these people, shown to all."""
    photo = Photo(
        public_id=f"photo-{number}",
        event_id=event.id,
        filename=f"{number}.jpg",
        sha256=f"{number:064x}",
        status=PhotoStatus.INDEXED,
        published_at=utcnow(),
        shown_to_all=True,
        width=30,
        height=20,
        faces_count=len(people) * 3,
        renditions=[
            Rendition(kind=kind, blob_key=f"{number}/{kind.value}", content_type="image/jpeg", byte_size=1)
            for kind in (RenditionKind.ORIGINAL, RenditionKind.PREVIEW, RenditionKind.THUMBNAIL)
        ],
    )
    db.session.add(photo)
    db.session.flush()
    ways = [(Band.SURE, Verdict.NONE), (Band.MAYBE, Verdict.CONFIRMED), (Band.MAYBE, Verdict.NONE)]
    for ordinal, (person, (band, verdict)) in enumerate((person, way) for person in people for way in ways):
        box = dict.fromkeys(("box_x", "box_y", "box_width", "box_height"), 0.1)
        figures = dict.fromkeys(("score", "quality", "turn", "blur", "light"), 1.0)
        face = Face(photo_id=photo.id, event_id=event.id, ordinal=ordinal, landmarks=[], size=80, weak=False)
        for name, value in (box | figures).items():
            setattr(face, name, value)
        db.session.add(face)
        db.session.flush()
        match = Match(face_id=face.id, person_id=person.id, photo_id=photo.id, similarity=0.7, band=band)
        match.verdict = verdict
        db.session.add(match)
    return photo


DETAILS = {"name": "Gala", "date": "2026-07-01", "timezone": "Europe/Paris", "language": "", "accent": ""}
