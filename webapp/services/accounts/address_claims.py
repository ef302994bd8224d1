"""Addresses that somebody typed and nobody has proven yet.

Such a claim is worth little: it lets a password or a link for the address find the account. In each event the first
unproven account with an address holds the claim; further ones get the same answers, but are found after it. A claim
that isn't proven within LIFETIME lapses: the address is dropped, everything else of the account stays.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import structlog
from sqlalchemy import delete, exists, select, update
from sqlalchemy.exc import IntegrityError

from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.errors import Conflict
from webapp.models import Mail, Membership, SignInLink, User, UserRole
from webapp.queueing import unit_of_work
from webapp.services.accounts import accounts

log = structlog.get_logger()

LIFETIME = timedelta(hours=48)
FORGOTTEN = timedelta(days=1)
"""How long a request for a link to an address that no account has is remembered; it counts in the address's budget."""

_ASKED_FOR = ("sign_in", "password_reset")
"""Kinds of mails that are asked for by typing an address."""

ROUND = 500


def hold(membership: Membership) -> None:
    """Let a new place in an event hold its account's unproven address there, unless another one does already."""
    user = membership.user
    if user.email is None or user.email_verified_at is not None:
        return
    db.session.flush()
    held = exists().where(Membership.event_id == membership.event_id, Membership.claimed_email == user.email)
    still = exists().where(User.id == user.id, User.email == user.email, User.email_verified_at.is_(None))
    holding = update(Membership).where(Membership.id == membership.id, ~held, still).values(claimed_email=user.email)
    # Of two at the same moment the constraint lets one through; the other joins without holding it.
    with suppress(IntegrityError), db.session.begin_nested():
        db.session.execute(holding.execution_options(synchronize_session="fetch"))


def claim(user: User, email: str) -> None:
    """Give an account without a proven address another one that it says is its own.

    Raises:
        Invalid: it is no address.
        Conflict: the account's address is proven already.
    """
    email = accounts.checked_email(email)
    user = accounts.locked(user.id)
    if user.email_verified_at is not None:
        raise Conflict(code="email_proven", fields={"email": "email_proven"})
    if user.email == email:
        user.email_claimed_at = utcnow()  # a link that is asked for now is to live as long as it says
        return
    tag = user.password_tag
    drop([user.id])
    user.email, user.email_claimed_at, user.password_tag = email, utcnow(), tag
    db.session.flush()
    for membership in db.session.scalars(select(Membership).where(Membership.user_id == user.id)).all():
        hold(membership)


def release(user_ids: Sequence[int]) -> None:
    """Accounts whose address is proven, or dropped, hold no claim any more."""
    db.session.execute(
        update(Membership)
        .where(Membership.user_id.in_(user_ids), Membership.claimed_email.is_not(None))
        .values(claimed_email=None)
        .execution_options(synchronize_session="fetch")
    )


def drop(user_ids: Sequence[int]) -> None:
    """Take their unproven addresses from accounts; links that went there open nothing any more."""
    release(user_ids)
    db.session.execute(delete(SignInLink).where(SignInLink.user_id.in_(user_ids), SignInLink.used_at.is_(None)))
    db.session.execute(
        update(User)
        .where(User.id.in_(user_ids), User.email_verified_at.is_(None))
        .values(email=None, email_claimed_at=None, password_tag=None)
        .execution_options(synchronize_session="fetch")
    )


def lapse() -> int:
    """Drop the addresses that nobody has proven in time, and requests for links that found no account.

    Returns how many accounts lost their address. Runs in a worker, every now and then.
    """
    with unit_of_work():
        ids = db.session.scalars(
            select(User.id)
            .where(
                User.email.is_not(None),
                User.email_verified_at.is_(None),
                User.email_claimed_at < utcnow() - LIFETIME,
                User.role == UserRole.GUEST,
                # Nobody can have these, and by them a load test's guests are found to be erased.
                ~User.email.endswith(f"@{accounts.LOAD_TEST}"),
            )
            .order_by(User.id)
            .limit(ROUND)
            .with_for_update()
        ).all()
        drop(ids)
        forgotten = delete(Mail).where(
            Mail.user_id.is_(None), Mail.kind.in_(_ASKED_FOR), Mail.created_at < utcnow() - FORGOTTEN
        )
        db.session.execute(forgotten.execution_options(synchronize_session=False))
    if ids:
        log.info("addresses.lapsed", accounts=len(ids))
    return len(ids)
