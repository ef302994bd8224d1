"""Opening the search gate for a guest: from then on the people of the membership are searched for."""

from sqlalchemy import select

from webapp.db.extensions import db
from webapp.models import Admission, Membership, Person, Selfie, SelfieStatus, User
from webapp.queueing import MATCH_SELFIE, enqueue_after_commit
from webapp.services.core import audit

_UNCHECKED = (SelfieStatus.RECEIVED, SelfieStatus.CHECKING)


def let_in(membership: Membership, actor: User | None) -> None:
    """Search for the people of a membership from now on. The membership is locked."""
    if membership.admission is Admission.ADMITTED:
        return
    membership.admission = Admission.ADMITTED
    for person in membership.persons:
        audit.record(actor, "guest.admitted", "person", person.public_id)
    check_selfies(membership)


def check_selfies(membership: Membership) -> None:
    """Enqueue the selfies that have waited while the people of a membership could not be searched for."""
    unchecked = (
        select(Selfie.public_id)
        .join(Person, Person.id == Selfie.person_id)
        .where(Person.membership_id == membership.id, Selfie.status.in_(_UNCHECKED), Selfie.retired_at.is_(None))
    )
    for public_id in db.session.scalars(unchecked.order_by(Selfie.id)):
        enqueue_after_commit(MATCH_SELFIE, public_id)
