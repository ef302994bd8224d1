"""Events: making them, finding them by their code, and what a studio's list shows."""

import datetime as dt
import re
import secrets
from dataclasses import dataclass

from flask import current_app
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from webapp.errors import Conflict, Invalid, NotFound
from webapp.extensions import db
from webapp.faces import engine_identity
from webapp.models import Event, EventStatus, Membership, MembershipRole, Person, Photo, PhotoStatus, User
from webapp.services import audit

CODE_ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""Letters and digits without those that are taken for one another."""

CODE_LENGTH = 8
MAX_EVENT_NAME = 120
_CODE = re.compile(r"[A-Z0-9]{4,32}")


@dataclass(frozen=True, slots=True)
class EventCard:
    """An event in a list: the event, what the user is in it, and how far its photos are."""

    event: Event
    role: MembershipRole
    photos: int
    indexed: int
    failed: int
    guests: int


def normalise_code(code: str) -> str:
    """A code for comparison: case, spaces and hyphens don't count."""
    return re.sub(r"[\s\-]+", "", code).upper()


def create_event(owner: User, *, name: str, date: dt.date, place: str = "", code: str | None = None) -> Event:
    """Make an event that `owner` runs; without a code it gets one that can't be guessed.

    Raises:
        Invalid: the name or the code can't be used.
        Conflict: the code is taken.
    """
    name, place = " ".join(name.split()), " ".join(place.split())
    fields = {}
    if not 0 < len(name) <= MAX_EVENT_NAME or not name.isprintable():
        fields["name"] = "event_name_invalid"
    if len(place) > MAX_EVENT_NAME or (place and not place.isprintable()):
        fields["place"] = "event_place_invalid"
    if code and not _CODE.fullmatch(normalise_code(code)):
        fields["code"] = "event_code_invalid"
    if fields:
        raise Invalid(code=next(iter(fields.values())), fields=fields)
    code = normalise_code(code) if code else _new_code()
    engine, version = engine_identity(current_app.extensions["settings"])
    event = Event(code=code, code_key=code, name=name, date=date, place=place, engine=engine, engine_version=version)
    try:
        with db.session.begin_nested():
            db.session.add(event)
    except IntegrityError as error:
        raise Conflict(code="event_code_taken", fields={"code": "event_code_taken"}) from error
    membership = Membership(event_id=event.id, user_id=owner.id, role=MembershipRole.OWNER)
    membership.persons.append(Person(event_id=event.id, name=owner.name))
    db.session.add(membership)
    db.session.flush()
    audit.record(owner, "event.created", "event", event.public_id)
    return event


def find_event(code: str) -> Event:
    """The event of a code as somebody typed it.

    Raises:
        NotFound: no event has this code.
    """
    event = db.session.scalar(select(Event).where(Event.code_key == normalise_code(code)))
    if event is None:
        raise NotFound(code="event_code_unknown")
    return event


def require_open(event: Event) -> None:
    """Raises Conflict when the event takes no more joins and uploads."""
    if event.status is not EventStatus.OPEN:
        raise Conflict(code="event_closed")


def cards_of(user: User, *, running: bool = False) -> list[EventCard]:
    """The user's events, the latest first; with `running` only those that they run. A constant number of queries."""
    wanted = select(Membership, Event).join(Event).where(Membership.user_id == user.id)
    if running:
        wanted = wanted.where(Membership.role.in_((MembershipRole.OWNER, MembershipRole.TEAM)))
    rows = db.session.execute(wanted.order_by(Event.date.desc(), Event.id.desc())).all()
    return _cards([(event, membership.role) for membership, event in rows])


def all_cards() -> list[EventCard]:
    """Every event, the latest first: for admins."""
    events = db.session.scalars(select(Event).order_by(Event.date.desc(), Event.id.desc())).all()
    return _cards([(event, MembershipRole.TEAM) for event in events])


def _cards(rows: list[tuple[Event, MembershipRole]]) -> list[EventCard]:
    ids = [event.id for event, _ in rows]
    photos: dict[int, dict[PhotoStatus, int]] = {}
    for event_id, status, count in db.session.execute(
        select(Photo.event_id, Photo.status, func.count())
        .where(Photo.event_id.in_(ids), Photo.status != PhotoStatus.DUPLICATE)
        .group_by(Photo.event_id, Photo.status)
    ):
        photos.setdefault(event_id, {})[status] = count
    guests = dict(
        db.session.execute(
            select(Membership.event_id, func.count())
            .where(Membership.event_id.in_(ids), Membership.role == MembershipRole.ATTENDEE)
            .group_by(Membership.event_id)
        ).all()
    )
    return [
        EventCard(
            event,
            role,
            photos=sum(photos.get(event.id, {}).values()),
            indexed=photos.get(event.id, {}).get(PhotoStatus.INDEXED, 0),
            failed=photos.get(event.id, {}).get(PhotoStatus.FAILED, 0),
            guests=guests.get(event.id, 0),
        )
        for event, role in rows
    ]


def _new_code() -> str:
    while True:
        code = "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_LENGTH))
        if db.session.scalar(select(Event.id).where(Event.code_key == code)) is None:
            return code
