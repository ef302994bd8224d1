"""What load tests leave behind: accounts under a domain that nobody can have, and everything that hangs on them."""

from sqlalchemy import select

from webapp.db.extensions import db
from webapp.models import Mail, Membership, Person, User, UserRole
from webapp.queueing import unit_of_work
from webapp.services.accounts.accounts import LOAD_TEST
from webapp.services.erasure import selfie_erasure


def purge() -> int:
    """Erase every guest whose address is in LOAD_TEST, with selfies, matches, places in events and mails.

    One account a transaction, since an installation may be serving people meanwhile. Returns how many there were.
    """
    ids = list(
        db.session.scalars(select(User.id).where(User.email.endswith(f"@{LOAD_TEST}"), User.role == UserRole.GUEST))
    )
    db.session.rollback()
    return sum(_erase(user_id) for user_id in ids)


def _erase(user_id: int) -> bool:
    with unit_of_work():
        user = db.session.get(User, user_id)
        if user is None:
            return False
        memberships = select(Membership).where(Membership.user_id == user_id).order_by(Membership.event_id)
        for membership in db.session.scalars(memberships).all():
            for person in db.session.scalars(select(Person).where(Person.membership_id == membership.id)).all():
                selfie_erasure.erase_selfies(person)
            db.session.delete(membership)
        for mail in db.session.scalars(select(Mail).where(Mail.recipient == user.email)).all():
            db.session.delete(mail)
        db.session.flush()
        db.session.delete(user)
        return True
