"""Events: making and changing them, finding them by their code, and what a studio's list shows."""

import datetime as dt
import re
import secrets
from dataclasses import dataclass, replace
from functools import cache
from zoneinfo import available_timezones

from flask import current_app
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from webapp import accents
from webapp.db.extensions import db
from webapp.errors import Conflict, Forbidden, Invalid, NotFound
from webapp.faces import engine_identity
from webapp.models import (
    Event,
    EventStatus,
    Membership,
    MembershipRole,
    Person,
    Photo,
    PhotoStatus,
    RematchTrigger,
    User,
)
from webapp.models.event import new_join_token
from webapp.services.core import audit, locks, rematch_requests
from webapp.services.events import capture_times
from webapp.services.rules.visibility import is_there

CODE_ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""Letters and digits without those that are taken for one another."""

CODE_LENGTH = 8
MAX_EVENT_NAME = 120
LANGUAGES = ("en", "fr")
"""In which an event can meet its guests."""

RUNNING = (MembershipRole.OWNER, MembershipRole.TEAM)
_CODE = re.compile(r"[A-Z0-9]{6,32}")

SAFE_CODE_LENGTH = 8
"""Photographers are warned of a shorter code: it can be guessed."""


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


@dataclass(frozen=True, slots=True)
class Details:
    """What a photographer says of an event. Without a code it gets one that can't be guessed, or keeps its own."""

    name: str
    date: dt.date
    place: str = ""
    timezone: str = "UTC"
    language: str = ""
    """One of LANGUAGES; empty: the reader's own."""
    accent: str = ""
    """#rrggbb; empty: one of ours."""
    code: str | None = None
    many_children: bool | None = None
    """None: as it is; at first, not many."""


@cache
def timezones() -> frozenset[str]:
    """Names of the timezones that there are."""
    return frozenset(available_timezones())


def create_event(
    owner: User,
    *,
    name: str,
    date: dt.date,
    place: str = "",
    code: str | None = None,
    many_children: bool = False,
) -> Event:
    """Make an event that `owner` runs, with nothing but the necessary; see `create`."""
    return create(owner, Details(name, date, place, code=code, many_children=many_children))


def create(owner: User, details: Details) -> Event:
    """Make an event that `owner` runs.

    Raises:
        Invalid: something that was said can't be used; `fields` says what and why.
        Conflict: the code is taken.
    """
    details = _checked(details)
    engine, version = engine_identity(current_app.extensions["settings"])
    event = Event(engine=engine, engine_version=version, many_children=bool(details.many_children))
    _describe(event, replace(details, code=details.code or _new_code()))
    _write(event)
    membership = Membership(event_id=event.id, user_id=owner.id, role=MembershipRole.OWNER)
    membership.persons.append(Person(event_id=event.id, name=owner.name))
    db.session.add(membership)
    db.session.flush()
    audit.record(owner, "event.created", "event", event.public_id)
    return event


def usual_timezone(user: User) -> str:
    """The timezone of the last event that somebody made; UTC before the first."""
    last = select(Event.timezone).join(Membership).where(Membership.user_id == user.id, Membership.role.in_(RUNNING))
    return db.session.scalar(last.order_by(Event.id.desc()).limit(1)) or "UTC"


def edit(event: Event, details: Details, actor: User) -> int:
    """Change what an event is called, when and where it is, its look, its code, and whether there are many children.

    Returns how many people are searched again because of that.

    Raises:
        Invalid, Conflict: as `create`.
    """
    details = _checked(details, event.code_key)
    event = locks.lock_event(event.id)
    # Shown as the photographer wrote it before, if it is only written otherwise now.
    code = event.code if details.code in (None, event.code_key) else details.code
    if code != event.code:
        event.join_token = new_join_token()  # printed QR codes of the old code are dead
    moves = event.timezone != details.timezone
    _describe(event, replace(details, code=code))
    _write(event)
    if moves:
        # Cameras' clocks show the event's time, so its photos were taken at other moments than was thought.
        capture_times.timezone_changed(event)
    audit.record(actor, "event.edited", "event", event.public_id)
    return set_many_children(event, many, actor) if (many := details.many_children) is not None else 0


def set_many_children(event: Event, many: bool, actor: User) -> int:
    """Say whether there are many children at an event; returns how many people are searched again because of that.

    From the commit on guests see by the new rule what is theirs; a job then computes the matches by its thresholds.
    The event's lock orders this before or after whoever adds photos and selfies: none is compared by the old ones only.
    """
    event = locks.lock_event(event.id)
    if event.many_children is many:
        return 0
    event.many_children = many
    audit.record(actor, "event.children", "event", event.public_id)
    return rematch_requests.request(event, actor, RematchTrigger.CHILDREN)


def require_owner(event: Event, user: User) -> None:
    """Raises Forbidden for whoever runs the event without owning it: team, call limit and deletion are its owner's."""
    role = db.session.scalar(
        select(Membership.role).where(Membership.event_id == event.id, Membership.user_id == user.id)
    )
    if role is not MembershipRole.OWNER:
        raise Forbidden(code="owner_only")


def can_be_guessed(event: Event) -> bool:
    """Return whether the event's code is so short that its photographer is warned."""
    return len(event.code_key) < SAFE_CODE_LENGTH


def _checked(details: Details, present: str | None = None) -> Details:
    """The details in the form in which they are kept; the event's present code may be shorter than a new one."""
    name, place = " ".join(details.name.split()), " ".join(details.place.split())
    code = normalise_code(details.code) if details.code else None
    faults = {
        "name": ("event_name_invalid", not 0 < len(name) <= MAX_EVENT_NAME or not name.isprintable()),
        "place": ("event_place_invalid", len(place) > MAX_EVENT_NAME or bool(place and not place.isprintable())),
        "timezone": ("event_timezone_invalid", details.timezone not in timezones()),
        "language": ("event_language_invalid", details.language not in ("", *LANGUAGES)),
        "accent": ("event_accent_invalid", bool(details.accent) and not accents.is_colour(details.accent)),
        "code": ("event_code_invalid", code not in (None, present) and not _CODE.fullmatch(code or "")),
    }
    fields = {field: code for field, (code, wrong) in faults.items() if wrong}
    if fields:
        raise Invalid(code=next(iter(fields.values())), fields=fields)
    return replace(details, name=name, place=place, code=code)


def _describe(event: Event, details: Details) -> None:
    event.name, event.date, event.place = details.name, details.date, details.place
    event.timezone, event.language, event.accent = details.timezone, details.language, details.accent
    event.code = details.code or event.code
    event.code_key = normalise_code(event.code)


def _write(event: Event) -> None:
    """The constraint decides who has a code, also of two that ask for it at once."""
    try:
        with db.session.begin_nested():
            db.session.add(event)
            db.session.flush()
    except IntegrityError as error:
        raise Conflict(code="event_code_taken", fields={"code": "event_code_taken"}) from error


def find_event(code: str) -> Event:
    """The event of a code as somebody typed it.

    Raises:
        NotFound: no event has this code.
    """
    event = event_of(code)
    if event is None:
        raise NotFound(code="event_code_unknown")
    return event


def event_of(code: str) -> Event | None:
    """Return the event of a code as it was typed."""
    return db.session.scalar(select(Event).where(Event.code_key == normalise_code(code)))


def require_open(event: Event) -> None:
    """Raises Conflict when the event takes no more joins and uploads."""
    if event.status is not EventStatus.OPEN:
        raise Conflict(code="event_closed")


def hold_open(event_id: int) -> Event:
    """The event as it is now; until the end of the transaction nobody closes it.

    Raises:
        NotFound: it is gone.
        Conflict: as require_open.
    """
    event = db.session.scalar(
        select(Event)
        .where(Event.id == event_id)
        .with_for_update(read=True, key_share=True)
        .execution_options(populate_existing=True)
    )
    if event is None:
        raise NotFound(code="not_found")
    require_open(event)
    return event


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
        .where(Photo.event_id.in_(ids), is_there(), Photo.status != PhotoStatus.DUPLICATE)
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
