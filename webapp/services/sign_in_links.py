"""Links that sign their reader in: single use, soon over, kept as hashes. Using one proves the address it went to."""

import hashlib
import secrets
from datetime import timedelta

from sqlalchemy import delete, func, select, update

from webapp.clock import utcnow
from webapp.errors import Invalid, NotFound
from webapp.extensions import db
from webapp.models import Mail, Membership, Person, SignInLink, User, UserSession
from webapp.queueing import SEND_MAIL, enqueue_after_commit
from webapp.services import accounts, selfie_erasing

LIFETIME = timedelta(minutes=15)
MOST_MAILS = 5
"""An hour, to one address: anybody can type it, and nobody's mailbox is to be flooded by that."""
MAIL_KIND = "sign_in"


def send_link(user: User, language: str) -> None:
    """Ask for a mail with a link to this account's address, or to the proven account that has it.

    The answer to whoever asked must not depend on which of the two it was.
    """
    owner = accounts.verified_user(user.email) or user
    if owner.disabled_at is not None or _mails_lately(owner.email) >= MOST_MAILS:
        return
    mail = Mail(user_id=owner.id, recipient=owner.email, language=language, kind=MAIL_KIND, params={})
    db.session.add(mail)
    db.session.flush()
    enqueue_after_commit(SEND_MAIL, mail.public_id)


def _mails_lately(email: str) -> int:
    since = utcnow() - timedelta(hours=1)
    wanted = select(func.count()).select_from(Mail).where(Mail.recipient == email, Mail.created_at > since)
    return db.session.scalar(wanted) or 0


def send_link_to(email: str, language: str) -> None:
    """The same for an address that somebody typed; for an unknown one nothing is sent, and nobody is told."""
    try:
        email = accounts.checked_email(email)
    except Invalid:
        return
    user = accounts.verified_user(email) or db.session.scalar(
        select(User).where(User.email == email).order_by(User.id.desc()).limit(1)
    )
    if user is not None and user.disabled_at is None:
        send_link(user, language)


def new_token(user_id: int) -> str:
    """A token for a mail that is about to go out; only its hash is kept."""
    token = secrets.token_urlsafe(24)
    db.session.add(SignInLink(user_id=user_id, token_hash=_hash(token), expires_at=utcnow() + LIFETIME))
    db.session.flush()
    return token


def use(token: str, signed_in: User | None) -> User:
    """Take a link; returns whose account it opens. The caller opens the session.

    What was set before the address was proven may be somebody else's doing: unless the same browser comes back,
    password, sessions and selfies of the unproven account are dropped.

    Raises:
        NotFound: unknown, used or expired; which of them is not told.
    """
    now = utcnow()
    used = db.session.execute(
        update(SignInLink)
        .where(SignInLink.token_hash == _hash(token), SignInLink.used_at.is_(None), SignInLink.expires_at > now)
        .values(used_at=now)
        .returning(SignInLink.user_id)
        .execution_options(synchronize_session=False)
    ).scalar_one_or_none()
    user = db.session.get(User, used) if used is not None else None
    if user is None or user.disabled_at is not None:
        raise NotFound(code="link_invalid")
    if user.email_verified_at is not None:
        return user
    proven = accounts.verified_user(user.email)
    if proven is not None and proven.disabled_at is not None:
        raise NotFound(code="link_invalid")
    if proven is not None:
        return proven
    if signed_in is None or signed_in.id != user.id:
        _drop_unproven(user)
    user.email_verified_at = now
    return user


def _drop_unproven(user: User) -> None:
    user.password_hash = None
    db.session.execute(delete(UserSession).where(UserSession.user_id == user.id))
    people = db.session.scalars(select(Person).join(Membership).where(Membership.user_id == user.id)).all()
    for person in people:
        selfie_erasing.withdraw(person)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
