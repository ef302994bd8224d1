"""Admitting guests: an event can be set so that nobody is searched for before its photographer has said yes.

Who waits has handed in everything: the selfie is kept, but nothing looks into it. Whoever is admitted is searched for
at once; of whoever is refused the selfie is erased. `webapp.services.rules.search_gate` keeps workers away meanwhile.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from webapp.db.extensions import db
from webapp.errors import Conflict, Invalid, NotFound
from webapp.models import Admission, Event, Membership, Person, PersonKind, User
from webapp.services.core import audit, locks
from webapp.services.core.admitting import let_in
from webapp.services.erasure import selfie_erasure
from webapp.services.events.join_period import MOST_DAYS
from webapp.services.rules.search_gate import attends
from webapp.services.strangers import present_selfies
from webapp.services.strangers.present_selfies import one_is_from_file

LISTED = 12
"""Waiting guests whom the overview shows."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A guest who waits to be admitted."""

    public_id: str
    name: str
    joined_at: datetime
    from_file: bool
    selfies: tuple[str, ...]
    """Public ids of all that they would be searched for with, the latest first."""


def waiting_of(event: Event, limit: int = LISTED) -> tuple[list[Waiting], int]:
    """The guests who wait, those who have waited for longest first, and how many they are; two queries."""
    wanted = (
        select(Person.id, func.count().over(), Person.public_id, Person.name, Membership.created_at, one_is_from_file())
        .select_from(Person)
        .join(Membership, Membership.id == Person.membership_id)
        .where(Membership.event_id == event.id, attends(), Membership.admission == Admission.WAITING)
        .where(Person.kind == PersonKind.SELF)
    )
    rows = db.session.execute(wanted.order_by(Membership.id).limit(limit)).all()
    if not rows:
        return [], 0
    selfies = present_selfies.of_people(row[0] for row in rows)
    return [Waiting(*row[2:], tuple(each.public_id for each in selfies[row[0]])) for row in rows], rows[0][1]


def set_rules(event: Event, *, admits: bool, join_days: str, actor: User) -> int:
    """Set who may join, and until when: so many days after the event, or for ever (`join_days` is empty).

    Whoever waits is admitted when guests are not admitted one by one any more; returns how many these are.

    Raises:
        Invalid: `join_days` is no number of days.
    """
    days = _days(join_days)
    # The whole row: this waits for those who are joining by the old rule, and those that come now wait for this.
    event = db.session.scalars(
        select(Event).where(Event.id == event.id).with_for_update().execution_options(populate_existing=True)
    ).one()
    event.admits_guests, event.join_days = admits, days
    audit.record(actor, "event.joining", "event", event.public_id)
    return 0 if admits else admit_all(event, actor)


def admit(event: Event, person_public_id: str, actor: User) -> Membership:
    """Let a guest in who waits or was refused, and search for them at once. Twice is as once.

    Raises:
        NotFound: nobody of this event has this id.
    """
    membership = _locked(event, person_public_id)
    let_in(membership, actor)
    return membership


def admit_all(event: Event, actor: User) -> int:
    """Let everybody in who waits; returns how many they are."""
    waiting = db.session.scalars(
        select(Membership)
        .where(Membership.event_id == event.id, Membership.admission == Admission.WAITING)
        .order_by(Membership.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    for membership in waiting:
        let_in(membership, actor)
    return len(waiting)


def refuse(event: Event, person_public_id: str, actor: User) -> Membership:
    """Turn a guest away who waits: their selfies and everything that hangs on them are erased.

    Raises:
        NotFound: nobody of this event has this id.
        Conflict: they were admitted before.
    """
    event = locks.lock_event(event.id)
    membership = _locked(event, person_public_id)
    if membership.admission is Admission.ADMITTED:
        raise Conflict(code="admitted_already")
    if membership.admission is Admission.WAITING:
        membership.admission = Admission.REFUSED
        for person in membership.persons:
            selfie_erasure.withdraw(person)
            audit.record(actor, "guest.refused", "person", person.public_id)
    return membership


def _days(join_days: str) -> int | None:
    text = join_days.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and int(text) <= MOST_DAYS):
        raise Invalid(code="join_days_invalid", fields={"join_days": "join_days_invalid"})
    return int(text)


def _locked(event: Event, person_public_id: str) -> Membership:
    found = db.session.scalar(
        select(Membership)
        .join(Person, Person.membership_id == Membership.id)
        .where(Person.public_id == person_public_id, Membership.event_id == event.id, attends())
        .with_for_update(of=Membership)
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise NotFound(code="not_found")
    return found
