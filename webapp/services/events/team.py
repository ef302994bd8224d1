"""The team of an event: people who run it together with its owner.

Being in a team gives rights in that event alone: creating events takes the role of a photographer.
"""

from dataclasses import dataclass

from sqlalchemy import case, exists, select

from webapp.db.extensions import db
from webapp.errors import Conflict, NotFound
from webapp.models import Consent, Event, Match, Membership, MembershipRole, Person, Selfie, User
from webapp.services.core import admitting, audit, locks, rematch_requests
from webapp.services.events import events

RUNNING = (MembershipRole.OWNER, MembershipRole.TEAM)


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who runs the event."""

    membership_id: int
    user_id: str
    name: str
    email: str
    role: MembershipRole
    may_own: bool
    """The event can be handed over to them."""


def members(event: Event) -> list[Member]:
    """Who runs the event: its owner first, then the team as it grew."""
    rows = db.session.execute(
        select(Membership, User)
        .join(User, User.id == Membership.user_id)
        .where(Membership.event_id == event.id, Membership.role.in_(RUNNING))
        .order_by(case((Membership.role == MembershipRole.OWNER, 0), else_=1), Membership.id)
    )
    return [Member(row.id, user.public_id, user.name, user.email or "", row.role, _may_own(user)) for row, user in rows]


def add(event: Event, user: User, actor: User | None) -> bool:
    """Let somebody run the event, too; somebody who joined it as a guest keeps their photos.

    Returns whether they are new to the team.
    """
    event = locks.lock_event(event.id)
    known = _membership(event, user)
    if known is not None and known.runs_event:
        return False
    if known is None:
        known = Membership(event_id=event.id, user_id=user.id, role=MembershipRole.TEAM)
        known.persons.append(Person(event_id=event.id, name=user.name))
        db.session.add(known)
    known.role = MembershipRole.TEAM
    if known.search_stopped_at is not None:
        # Who runs the event sees all of its photos: there is nothing to stop any more.
        known.search_stopped_at = None
        rematch_requests.mark([person.id for person in known.persons])
    db.session.flush()
    admitting.let_in(known, actor)
    db.session.flush()
    audit.record(actor, "team.added", "user", user.public_id)
    return True


def remove(event: Event, user_public_id: str, actor: User) -> None:
    """Take somebody out of the team. The owner does that, or whoever leaves by themselves.

    Raises:
        Forbidden: neither.
        NotFound: nobody of the team.
        Conflict: the owner can't leave; they hand the event over first.
    """
    if user_public_id != actor.public_id:
        events.require_owner(event, actor)
    event = locks.lock_event(event.id)
    membership = _member(event, user_public_id)
    if membership.role is MembershipRole.OWNER:
        raise Conflict(code="owner_stays")
    if _is_guest_too(membership):
        membership.role = MembershipRole.ATTENDEE
    else:
        db.session.delete(membership)
    db.session.flush()
    audit.record(actor, "team.removed", "user", user_public_id)


def hand_over(event: Event, user_public_id: str, actor: User) -> None:
    """Make somebody of the team the owner; who owned the event stays in the team.

    Raises:
        Forbidden: the actor isn't the owner.
        NotFound: nobody of the team.
        Conflict: only photographers whose account is not disabled own events.
    """
    # Locked first: of two that hand it over at once, the second is no longer its owner.
    event = locks.lock_event(event.id)
    events.require_owner(event, actor)
    successor, present = _member(event, user_public_id), _membership(event, actor)
    if present is None or successor.id == present.id:
        return
    if not _may_own(successor.user):
        raise Conflict(code="owner_not_photographer")
    successor.role, present.role = MembershipRole.OWNER, MembershipRole.TEAM
    db.session.flush()
    audit.record(actor, "event.handed_over", "user", user_public_id)


def runs(event: Event, user: User) -> bool:
    """Whether somebody owns the event or is in its team."""
    known = _membership(event, user)
    return known is not None and known.runs_event


def may_enter_studio(user: User) -> bool:
    """Whether somebody has a list of events in the studio: photographers, and whoever runs an event."""
    if user.is_photographer:
        return True
    runs_one = select(Membership.id).where(Membership.user_id == user.id, Membership.role.in_(RUNNING)).limit(1)
    return db.session.scalar(runs_one) is not None


def _may_own(user: User) -> bool:
    return user.is_photographer and user.disabled_at is None


def _member(event: Event, user_public_id: str) -> Membership:
    found = db.session.scalar(
        select(Membership)
        .join(User)
        .where(Membership.event_id == event.id, User.public_id == user_public_id, Membership.role.in_(RUNNING))
    )
    if found is None:
        raise NotFound(code="member_unknown")
    return found


def _membership(event: Event, user: User) -> Membership | None:
    return db.session.scalar(
        select(Membership)
        .where(Membership.event_id == event.id, Membership.user_id == user.id)
        .execution_options(populate_existing=True)
    )


def _is_guest_too(membership: Membership) -> bool:
    """Whether they were searched for in the event: then they stay in it as a guest, with what was found."""
    mine = [
        exists().where(model.person_id == Person.id, Person.membership_id == membership.id)
        for model in (Selfie, Match, Consent)
    ]
    return any(db.session.scalar(select(found)) for found in mine)
