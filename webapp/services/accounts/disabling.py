"""Disabling an account, so that all its access and pending work end at once, and enabling it again.

Disabling erases nothing: selfies, matches, events and uploaded photos stay. `webapp.services.rules.search_gate` keeps
workers from searching for the account's people, and whatever identifies somebody asks whether their account is
disabled.
"""

from sqlalchemy import Select, delete, or_, select, update

from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.errors import Conflict, NotFound
from webapp.models import (
    Invitation,
    Membership,
    Person,
    Selfie,
    SelfieStatus,
    SignInLink,
    Upload,
    UploadStatus,
    UploadToken,
    User,
    UserRole,
    UserSession,
)
from webapp.queueing import MATCH_PERSON, enqueue_after_commit
from webapp.services.accounts import accounts
from webapp.services.core import admitting, audit, claims, locks, rematch_requests

_UNCHECKED = (SelfieStatus.RECEIVED, SelfieStatus.CHECKING)


def find(email_or_username: str) -> User:
    """The account that an admin means in a shell; a proven address comes before a username.

    Raises:
        NotFound: there is none, or several unproven accounts carry this address.
    """
    proven = accounts.verified_user(email_or_username)
    if proven is not None:
        return proven
    key, email = accounts.username_key(email_or_username), email_or_username.strip().lower()
    found = db.session.scalars(select(User).where(or_(User.username_key == key, User.email == email))).all()
    named = [user for user in found if user.username_key == key] or found
    if len(named) != 1:
        raise NotFound(code="account_unknown")
    return named[0]


def disable(public_id: str, actor: User | None) -> User:
    """Disable an account; twice is as once. Call `cleanup.give_up_uploads` when this is committed.

    Raises:
        NotFound: there is no such account.
        Conflict: it is the actor's own, or the last admin's.
    """
    # All in one order: of two admins who disable each other at once, the second finds no admin left.
    admins = db.session.scalars(
        select(User.id)
        .where(User.role == UserRole.ADMIN, User.disabled_at.is_(None))
        .order_by(User.id)
        .with_for_update(key_share=True)
    ).all()
    user = _locked(public_id)
    if actor is not None and user.id == actor.id:
        raise Conflict(code="disables_self")
    if user.disabled_at is not None:
        return user
    if set(admins) == {user.id}:
        raise Conflict(code="last_admin")
    user.disabled_at = utcnow()
    db.session.flush()
    _end_access(user)
    _take_back_invitations(user)
    _stop_searches(user)
    _stop_uploads(user)
    audit.record(actor, "account.disabled", "user", user.public_id)
    return user


def enable(public_id: str, actor: User | None) -> User:
    """Let somebody sign in again, and go on with what waited for that. Twice is as once.

    Raises:
        NotFound: there is no such account.
    """
    user = _locked(public_id)
    if user.disabled_at is None:
        return user
    user.disabled_at = None
    db.session.flush()
    # What was opened by a request that had begun before the account was disabled must not come to life now.
    _end_access(user)
    for membership in db.session.scalars(select(Membership).where(Membership.user_id == user.id)):
        admitting.check_selfies(membership)
    searched = _people_of(user).where(rematch_requests.is_searched())
    ids = db.session.scalars(searched).all()
    rematch_requests.mark(ids, enqueue=False)
    for person in db.session.scalars(select(Person).where(Person.id.in_(ids))):
        enqueue_after_commit(MATCH_PERSON, rematch_requests.job_key(person))
    audit.record(actor, "account.enabled", "user", user.public_id)
    return user


def _end_access(user: User) -> None:
    """Sign all browsers and clients out, and end links, the recovery code and upload tokens."""
    db.session.execute(delete(UserSession).where(UserSession.user_id == user.id))
    db.session.execute(delete(SignInLink).where(SignInLink.user_id == user.id, SignInLink.used_at.is_(None)))
    user.recovery_hash = None
    db.session.execute(
        update(UploadToken)
        .where(UploadToken.user_id == user.id, UploadToken.revoked_at.is_(None))
        .values(revoked_at=utcnow())
    )


def _take_back_invitations(user: User) -> None:
    """Nobody becomes a photographer, or one of a team, by the word of a disabled account."""
    db.session.execute(
        update(Invitation)
        .where(Invitation.invited_by_id == user.id, Invitation.used_at.is_(None), Invitation.revoked_at.is_(None))
        .values(revoked_at=utcnow())
    )


def _stop_searches(user: User) -> None:
    """Take selfies and people from the workers that have them: without its claim none writes what it found.

    Events, people and selfies are locked in this order, as whoever erases selfies does.
    """
    for event_id in db.session.scalars(
        select(Membership.event_id).where(Membership.user_id == user.id).order_by(Membership.event_id)
    ).all():
        locks.lock_event(event_id)
    people = (
        select(Person)
        .where(Person.id.in_(_people_of(user)))
        .order_by(Person.id)
        .with_for_update(of=Person)
        .execution_options(populate_existing=True)
    )
    for person in db.session.scalars(people):
        claims.settle(person)
        rematch_requests.leave(person)
    selfies = (
        select(Selfie)
        .where(Selfie.person_id.in_(_people_of(user)), Selfie.status.in_(_UNCHECKED))
        .order_by(Selfie.id)
        .with_for_update(of=Selfie)
        .execution_options(populate_existing=True)
    )
    for selfie in db.session.scalars(selfies):
        begun = selfie.status is SelfieStatus.CHECKING
        selfie.status = SelfieStatus.RECEIVED
        claims.settle(selfie)
        selfie.retries = int(begun)  # A try may have left its face at a service: the next one looks for it.


def _stop_uploads(user: User) -> None:
    """Files on their way in are over from now on; what is left of them is deleted outside of the transaction."""
    db.session.execute(
        update(Upload)
        .where(Upload.user_id == user.id, Upload.status == UploadStatus.RECEIVING)
        .values(expires_at=utcnow())
    )


def _people_of(user: User) -> Select[int]:
    return select(Person.id).join(Membership).where(Membership.user_id == user.id)


def _locked(public_id: str) -> User:
    found = db.session.scalar(
        select(User)
        .where(User.public_id == public_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise NotFound(code="account_unknown")
    return found
