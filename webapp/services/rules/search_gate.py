"""Who may be searched for at all: the one condition that holds for every way of searching.

A person is searched for while their guest is admitted to the event and the account is not disabled. Workers ask when
they claim a selfie or a person, and once more, with the row locked, before they write what they found. What waits
behind the gate stays as it is; opening the gate enqueues it again.
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, select

from webapp.db.extensions import db
from webapp.models import Admission, Membership, MembershipRole, Person, Selfie, User


def is_searched_for() -> ColumnElement[bool]:
    """That the people of a membership may be searched for; the statement reads from Membership."""
    return and_(Membership.admission == Admission.ADMITTED, ~is_disabled())


def is_disabled() -> ColumnElement[bool]:
    """That the account of a membership is disabled."""
    return exists().where(User.id == Membership.user_id, User.disabled_at.is_not(None)).correlate(Membership)


def lets_person_pass() -> ColumnElement[bool]:
    """The condition for a statement that reads from Person or changes it."""
    return _memberships(Person.membership_id == Membership.id).correlate(Person).exists()


def lets_selfie_pass() -> ColumnElement[bool]:
    """The condition for a statement that reads from Selfie or changes it."""
    owned = _memberships(Person.membership_id == Membership.id).join(Person, Person.membership_id == Membership.id)
    return owned.where(Person.id == Selfie.person_id).correlate(Selfie).exists()


def may_search(person_id: int) -> bool:
    """Whether the person may be searched for now; asked inside the transaction that writes what was found."""
    wanted = _memberships().join(Person, Person.membership_id == Membership.id).where(Person.id == person_id)
    return db.session.scalar(wanted) is not None


def attends() -> ColumnElement[bool]:
    """That a membership is a guest's."""
    return Membership.role == MembershipRole.ATTENDEE


def _memberships(*conditions: ColumnElement[bool]) -> Select[Any]:
    return select(Membership.id).where(*conditions, is_searched_for())
