"""Two accounts of one person become one: what an unproven account has moves to the one that has proven its address."""

from collections.abc import Sequence

from sqlalchemy import exists, select, update
from sqlalchemy.exc import IntegrityError

from webapp.db.extensions import db
from webapp.errors import NotFound
from webapp.models import Admission, Event, Mail, MailStatus, Match, Membership, Person, Selfie, User
from webapp.services.accounts import accounts, address_claims
from webapp.services.core import audit, locks
from webapp.services.erasure import selfie_erasure


def others_of(user: User) -> list[User]:
    """Unproven accounts with the address that this one has proven, the newest first."""
    if user.email is None or user.email_verified_at is None:
        return []
    found = [other for other in accounts.accounts_of(user.email) if other.id != user.id]
    return sorted(found, key=lambda other: -other.id)


def has_others(user: User) -> bool:
    """Whether there are any; one query."""
    if user.email is None or user.email_verified_at is None:
        return False
    others = exists().where(User.email == user.email, User.email_verified_at.is_(None), User.disabled_at.is_(None))
    return bool(db.session.scalar(select(others)))


def other_of(user: User, public_id: str) -> User:
    """One of them.

    Raises:
        NotFound: there is no such account, or its address is another one.
    """
    found = db.session.scalar(
        select(User)
        .where(
            User.public_id == public_id,
            User.email == user.email,
            User.email_verified_at.is_(None),
            User.disabled_at.is_(None),
        )
        .with_for_update()
    )
    if found is None or user.email is None or user.email_verified_at is None:
        raise NotFound(code="other_account_gone")
    return found


def join(user: User, public_id: str, device: str | None) -> User:
    """Take the places in events of another account with this address. Its selfies come along only if it was made on
    this very device: whoever typed the address elsewhere may have been a stranger, and so are their photos.

    Raises:
        NotFound: as `other_of`.
    """
    other = other_of(user, public_id)
    if device is None or other.device != device:
        for person in _people_of(other):
            selfie_erasure.withdraw(person)
    return move(other, user)


def erase(user: User, public_id: str) -> str:
    """Erase another account with this address, its selfies and what was found with them; returns a receipt's id.

    Raises:
        NotFound: as `other_of`.
    """
    other = other_of(user, public_id)
    for membership in _memberships_of(other):
        _leave(membership)
    receipt = audit.record(user, "account.erased", "user", other.public_id)
    _close(other)
    return receipt


def disown(user: User, public_id: str) -> None:
    """Say that another account with this address is somebody else's: it keeps everything but the address.

    Raises:
        NotFound: as `other_of`.
    """
    other = other_of(user, public_id)
    address_claims.drop([other.id])
    audit.record(user, "account.disowned", "user", other.public_id)


def move(source: User, target: User) -> User:
    """Let the target have the source's places in events, with everything in them, and close the source. Returns the
    target. Of two places in one event the better one stays, see `_is_better`.
    """
    # Of two that move to one account at once, the second sees what the first brought.
    target = accounts.locked(target.id)
    address_claims.release([source.id])
    for membership in _memberships_of(source):
        _bring(membership, target)
    audit.record(target, "account.joined", "user", source.public_id)
    _close(source)
    return target


def in_both(source: User, target: User) -> list[Event]:
    """Events in which something was handed in with both accounts: of one of them it goes when they are put together."""
    places = {membership.event_id: membership for membership in _memberships_of(target)}
    both = [place for place in _memberships_of(source) if place.event_id in places]
    return [place.event for place in both if _holds_something(place) and _holds_something(places[place.event_id])]


def _bring(membership: Membership, target: User) -> None:
    locks.lock_event(membership.event_id)
    mine = select(Membership).where(Membership.event_id == membership.event_id, Membership.user_id == target.id)
    present = db.session.scalar(mine)
    if present is None:
        try:
            with db.session.begin_nested():
                membership.user_id = target.id
                db.session.flush()
        except IntegrityError:
            # They joined it themselves at this moment.
            present = db.session.scalars(mine).one()
        db.session.expire(membership)
    if present is not None:
        if _is_better(membership, present):
            _take_over(present, membership)
        _leave(membership)


def _is_better(membership: Membership, present: Membership) -> bool:
    """Whether what was handed in with a place is to take the place of what is there.

    It is where nothing was, or where that waits to be admitted and this does not. A photographer's refusal, and a
    search that they stopped, are not got rid of by another account, nor brought along.
    """
    if not _holds_something(membership) or _is_judged(membership) or _is_judged(present):
        return False
    waits = present.admission is Admission.WAITING and membership.admission is Admission.ADMITTED
    return waits or not _holds_something(present)


def _is_judged(membership: Membership) -> bool:
    return membership.admission is Admission.REFUSED or membership.search_stopped_at is not None


def _take_over(present: Membership, membership: Membership) -> None:
    """Put the people of one place into the other, which keeps what it is in the event."""
    for person in list(present.persons):
        selfie_erasure.withdraw(person)
        db.session.delete(person)
    db.session.flush()
    moved = update(Person).where(Person.membership_id == membership.id).values(membership_id=present.id)
    db.session.execute(moved.execution_options(synchronize_session="fetch"))
    if not present.runs_event:
        present.admission = membership.admission
    present.selfies_counted = max(present.selfies_counted, membership.selfies_counted)
    present.selfies_counted_since = present.selfies_counted_since or membership.selfies_counted_since
    present.wants_mail = present.wants_mail or membership.wants_mail
    present.told_ready_at = present.told_ready_at or membership.told_ready_at
    present.told_at = present.told_at or membership.told_at
    present.faces_seen = max(present.faces_seen, membership.faces_seen)
    present.faces_drift = max(present.faces_drift, membership.faces_drift)
    db.session.flush()
    db.session.expire(present)
    db.session.expire(membership)


def _close(user: User) -> None:
    """Delete an account that has no place in an event any more; sessions and links go with it.

    Its mails stay, for nobody: the budget of the mailbox counts them.
    """
    waiting = update(Mail).where(Mail.user_id == user.id, Mail.status == MailStatus.WAITING)
    db.session.execute(waiting.values(status=MailStatus.FAILED, failure_reason="other_account_gone"))
    db.session.execute(update(Mail).where(Mail.user_id == user.id).values(user_id=None))
    db.session.flush()
    db.session.expire(user)
    db.session.delete(user)
    db.session.flush()


def _leave(membership: Membership) -> None:
    """Give up a place in an event, with everything in it."""
    for person in list(membership.persons):
        selfie_erasure.withdraw(person)
    db.session.delete(membership)
    db.session.flush()


def _holds_something(membership: Membership) -> bool:
    """Whether anything was handed in or found with a place in an event."""
    mine = [
        exists().where(model.person_id == Person.id, Person.membership_id == membership.id) for model in (Selfie, Match)
    ]
    return any(db.session.scalar(select(found)) for found in mine)


def _memberships_of(user: User) -> Sequence[Membership]:
    """In the order of the events, so that two that lock them never wait for each other."""
    return db.session.scalars(
        select(Membership).where(Membership.user_id == user.id).order_by(Membership.event_id)
    ).all()


def _people_of(user: User) -> Sequence[Person]:
    return db.session.scalars(
        select(Person).join(Membership).where(Membership.user_id == user.id).order_by(Person.event_id)
    ).all()
