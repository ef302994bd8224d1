"""Who sees a photo: the one place that decides.

| who | sees |
|---|---|
| owner, team of the event; admins | every photo, whatever its state, until it is deleted; replaced ones apart |
| attendee who waits to be admitted, or was refused | nothing |
| attendee | photos that are published and not hidden, and either shown to all or theirs |

A photo is an attendee's when one of their persons' matches is confirmed, or sure without a verdict. A `maybe` is never
more than the face's crop until its person says yes; a rejected match shows nothing. While the search for an account is
stopped, none of its matches shows anything.

At an event with many children nothing is sure: every match without a verdict is asked about. That holds from the moment
of the switch on, whatever bands the matches still have from before.
"""

from typing import Any

from sqlalchemy import Select, and_, exists, false, or_, select
from sqlalchemy.orm import aliased
from sqlalchemy.sql.elements import ColumnElement

from webapp.db.extensions import db
from webapp.models import GONE, Band, Event, Match, Membership, Person, Photo, PhotoStatus, User, Verdict


def is_theirs(event: Event) -> ColumnElement[bool]:
    """That a match of the event shows its photo to its person."""
    confirmed = Match.verdict == Verdict.CONFIRMED
    sure = and_(Match.band == Band.SURE, Match.verdict == Verdict.NONE)
    return and_(confirmed if event.many_children else or_(confirmed, sure), _is_searched(event))


def is_question(event: Event) -> ColumnElement[bool]:
    """That a match of the event is to be asked about."""
    band = Match.band != Band.NONE if event.many_children else Match.band == Band.MAYBE
    return and_(band, Match.verdict == Verdict.NONE, _is_searched(event))


def shows_face() -> ColumnElement[bool]:
    """That a match shows its person the face's crop: it is theirs or a question, which of both the event says.

    The query joins the person's Membership.
    """
    asked = and_(Match.band != Band.NONE, Match.verdict == Verdict.NONE)
    return and_(or_(Match.verdict == Verdict.CONFIRMED, asked), Membership.search_stopped_at.is_(None))


def _is_searched(event: Event) -> ColumnElement[bool]:
    """That a match's person is of an account whose search is not stopped."""
    person, membership = aliased(Person), aliased(Membership)
    stopped = (
        select(person.id)
        .join(membership, membership.id == person.membership_id)
        .where(membership.event_id == event.id, membership.search_stopped_at.is_not(None))
    )
    return Match.person_id.not_in(stopped)


def is_there() -> ColumnElement[bool]:
    """That a photo counts and is listed for who runs the event: neither deleted nor replaced."""
    return Photo.status.not_in(GONE)


def is_out() -> ColumnElement[bool]:
    """That a photo is there for attendees at all."""
    return and_(Photo.published_at.is_not(None), Photo.hidden_at.is_(None), Photo.status == PhotoStatus.INDEXED)


def photos_for(membership: Membership, wanted: Select[Any]) -> Select[Any]:
    """Narrow a select of Photo to what this member may see."""
    wanted = wanted.where(Photo.event_id == membership.event_id)
    if membership.runs_event:
        return wanted
    if not membership.is_admitted:
        return wanted.where(false())
    own = (
        exists()
        .where(Match.photo_id == Photo.id, Match.person_id == Person.id, Person.membership_id == membership.id)
        .where(is_theirs(membership.event))
    )
    return wanted.where(is_out(), or_(Photo.shown_to_all.is_(True), own))


def visible_photo(user: User, public_id: str) -> Photo | None:
    """The photo, if this user may see it; None for what is not theirs and for what is not there alike."""
    there = select(Photo).where(Photo.public_id == public_id, Photo.status != PhotoStatus.ERASING)
    photo = db.session.scalar(there)
    if photo is None or user.is_admin:
        return photo
    membership = db.session.scalar(
        select(Membership).where(Membership.event_id == photo.event_id, Membership.user_id == user.id)
    )
    if membership is None:
        return None
    seen: Photo | None = db.session.scalar(photos_for(membership, select(Photo).where(Photo.id == photo.id)))
    return seen
