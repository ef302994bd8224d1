"""Two accounts of one person become one: what an unproven account has moves to the one that has proven its address."""

from collections.abc import Sequence

from sqlalchemy import delete, exists, select

from webapp.errors import NotFound
from webapp.extensions import db
from webapp.models import Admission, Mail, Match, Membership, MembershipRole, Person, Selfie, User
from webapp.services import accounts, address_claims, audit, selfie_erasing


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
        other.password_hash = None
        for person in _people_of(other):
            selfie_erasing.withdraw(person)
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
    """Let the target have the source's places in events, with everything in them, and close the source.

    In an event that both are in, the target's own place stays; only where nothing was handed in with it yet, the
    source's takes its place. Returns the target.
    """
    address_claims.release([source.id])
    for membership in _memberships_of(source):
        present = db.session.scalar(
            select(Membership).where(Membership.event_id == membership.event_id, Membership.user_id == target.id)
        )
        if present is not None and (not _is_unused(present) or _is_unused(membership)):
            _leave(membership)
            continue
        if present is not None:
            _leave(present)
        membership.user_id = target.id
        db.session.flush()
        db.session.expire(membership)
    audit.record(target, "account.joined", "user", source.public_id)
    password, username = source.password_hash, source.username
    _close(source)
    if target.password_hash is None and password is not None:
        target.password_hash = password
        if target.username is None and username is not None:
            target.username, target.username_key = username, accounts.username_key(username)
    db.session.flush()
    return target


def _close(user: User) -> None:
    """Delete an account that has no place in an event any more; sessions, links and mails to it go with it."""
    db.session.execute(delete(Mail).where(Mail.user_id == user.id))
    db.session.flush()
    db.session.expire(user)
    db.session.delete(user)
    db.session.flush()


def _leave(membership: Membership) -> None:
    """Give up a place in an event, with everything in it."""
    for person in list(membership.persons):
        selfie_erasing.withdraw(person)
    db.session.delete(membership)
    db.session.flush()


def _is_unused(membership: Membership) -> bool:
    """Whether nothing was handed in or found with a guest's place in an event, and nothing was decided about it."""
    if membership.role is not MembershipRole.ATTENDEE or membership.admission is not Admission.ADMITTED:
        return False
    if membership.search_stopped_at is not None:
        return False
    mine = [
        exists().where(model.person_id == Person.id, Person.membership_id == membership.id) for model in (Selfie, Match)
    ]
    return not any(db.session.scalar(select(found)) for found in mine)


def _memberships_of(user: User) -> Sequence[Membership]:
    """In the order of the events, so that two that lock them never wait for each other."""
    return db.session.scalars(
        select(Membership).where(Membership.user_id == user.id).order_by(Membership.event_id)
    ).all()


def _people_of(user: User) -> Sequence[Person]:
    return db.session.scalars(
        select(Person).join(Membership).where(Membership.user_id == user.id).order_by(Person.event_id)
    ).all()
