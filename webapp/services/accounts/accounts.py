"""Accounts: making them, proving who one is, and staying signed in."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import timedelta

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError
from email_validator import EmailNotValidError, validate_email
from flask import current_app
from sqlalchemy import case, delete, exists, inspect, or_, select, update
from sqlalchemy.exc import IntegrityError

from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.errors import Conflict, Invalid, NotFound, Unauthenticated
from webapp.models import Membership, User, UserRole, UserSession
from webapp.services.accounts import demo_accounts
from webapp.tokens import token_hash

MIN_PASSWORD = 8
MAX_PASSWORD = 200
MAX_NAME = 80
MAX_EMAIL = 320
"""Characters of an address that are parsed, with blanks around it: no mail server takes one that is longer."""
LOAD_TEST = "load.test"
"""The domain of load tests' guests. Reserved by RFC 2606, so no mail to it reaches anybody."""
MOST_FOUND = 20
"""Accounts of one address that are looked at."""
_TRIES = 3
"""Accounts of one address against which a password is tried. A wrong one costs as many hashes whatever there is, so
that the time doesn't tell whether an address has an account.

Of unproven ones only those whose password has the same tag count: else strangers who join with somebody's address
would come before its owner. One of 256 has it by chance."""

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)
_NOBODY = _hasher.hash(secrets.token_hex(16))
"""Checked when there is no such account, so that the answer takes as long."""


def username_key(username: str) -> str:
    """A username for comparison."""
    return " ".join(username.split()).casefold()


def checked_email(email: str) -> str:
    """The address in the form in which it is kept.

    Raises:
        Invalid: it is no address.
    """
    if len(email) > MAX_EMAIL:
        raise Invalid(code="email_invalid", fields={"email": "email_invalid"})
    try:
        return validate_email(email.strip(), check_deliverability=False, test_environment=True).normalized.lower()
    except EmailNotValidError as error:
        raise Invalid(code="email_invalid", fields={"email": "email_invalid"}) from error


def hash_password(password: str) -> str:
    """argon2id. Takes 25 ms of processor time, so call it before a unit of work's first statement."""
    return _hasher.hash(password)


def password_tag(password: str) -> int:
    """One byte of a keyed hash: what an unproven account is found by. It says next to nothing of the password, and is
    dropped once the address is proven or lapses.
    """
    secret = str(current_app.config["SECRET_KEY"]).encode()
    return hmac.new(secret, b"password:" + password.encode(), hashlib.sha256).digest()[0]


def check_input(
    email: str | None,
    name: str,
    password: str | None = None,
    name_field: str = "name",
    also: Mapping[str, str] | None = None,
) -> None:
    """Report everything that is wrong with what somebody typed, all at once, with what the caller found (`also`).

    Raises:
        Invalid: address, name or password can't be used; `fields` says which and why. Without an address (None) none
            is asked for.
    """
    fields = dict(also or {})
    name = " ".join(name.split())
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        fields[name_field] = "name_invalid"
    try:
        if email is not None:
            checked_email(email)
    except Invalid as error:
        fields |= error.fields
    if password is not None and not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        fields["password"] = "password_length"  # noqa: S105 - a code, not a secret
    if not fields:
        return
    if name_field == "username" and "username" not in fields and username_taken(name):
        fields["username"] = "username_taken"
    raise Invalid(code=next(iter(fields.values())), fields=fields)


def create_user(
    *,
    email: str | None,
    name: str,
    password_hash: str | None = None,
    username: str | None = None,
    role: UserRole = UserRole.GUEST,
    language: str | None = None,
    verified: bool = False,
    device: str | None = None,
    password_tag: int | None = None,
) -> User:
    """Make an account. Call check_input first: it reports all faults at once.

    Raises:
        Invalid: the address can't be used.
        Conflict: the username is taken, or a proven account with this address is asked for and exists.
    """
    email, name = checked_email(email) if email is not None else None, " ".join(name.split())
    if username is not None and username_taken(username):
        raise Conflict(code="username_taken", fields={"username": "username_taken"})
    if verified and email is not None and verified_user(email) is not None:
        raise Conflict(code="email_taken", fields={"email": "email_taken"})
    user = User(
        email=email,
        name=name,
        username=" ".join(username.split()) if username is not None else None,
        username_key=username_key(username) if username is not None else None,
        password_hash=password_hash,
        role=role,
        language=language,
        email_verified_at=utcnow() if verified else None,
        email_claimed_at=None if verified or email is None else utcnow(),
        device=device,
        password_tag=None if verified else password_tag,
    )
    try:
        with db.session.begin_nested():
            db.session.add(user)
    except IntegrityError as error:
        # Somebody else was faster; the constraint decides.
        field = "email" if username is None else "username"
        raise Conflict(code=f"{field}_taken", fields={field: f"{field}_taken"}) from error
    return user


def locked(user_id: int) -> User:
    """The account as it is now, locked to the end of the transaction. Locked before events, links and memberships.

    Raises:
        NotFound: it is gone.
    """
    user = db.session.scalar(
        select(User).where(User.id == user_id).with_for_update().execution_options(populate_existing=True)
    )
    if user is None:
        raise NotFound(code="not_found")
    return user


def prove(user: User) -> bool:
    """Write down that the account's address is proven; False where another account has proven it. The account is
    locked.
    """
    try:
        # The index decides between two that prove one address at the same moment.
        with db.session.begin_nested():
            user.email_verified_at = utcnow()
            db.session.flush()
    except IntegrityError:
        db.session.refresh(user)
        return False
    # A proven address is the better way back, and what is written on a piece of paper stays no key.
    user.password_tag = user.recovery_hash = None
    held = update(Membership).where(Membership.user_id == user.id, Membership.claimed_email.is_not(None))
    db.session.execute(held.values(claimed_email=None).execution_options(synchronize_session="fetch"))
    return True


def username_taken(username: str) -> bool:
    """Whether somebody has this username already."""
    return db.session.scalar(select(User.id).where(User.username_key == username_key(username))) is not None


def verified_user(email: str) -> User | None:
    """The account whose owner has proven this address."""
    return db.session.scalar(
        select(User).where(User.email == email.strip().lower(), User.email_verified_at.is_not(None))
    )


def photographers() -> list[User]:
    """Who may make events: admins and photographers, by name."""
    roles = (UserRole.ADMIN, UserRole.PHOTOGRAPHER)
    return list(db.session.scalars(select(User).where(User.role.in_(roles)).order_by(User.name, User.id)))


def authenticate(login: str, password: str, device: str | None = None) -> User:
    """The account that this name or address and password belong to. `device` is the hash of the device that asks.

    Raises:
        Unauthenticated: wrong, unknown or disabled; which of them is not told.
    """
    tries = _candidates(login, device, password_tag(password))
    for user in tries:
        if matches(user.password_hash or _NOBODY, password):
            return user
    for _ in range((1 + _TRIES if "@" in login else 1) - len(tries)):
        matches(_NOBODY, password)
    raise Unauthenticated(code="wrong_credentials")


def owner_of(login: str) -> str | None:
    """The public id of the account that a login belongs to without doubt: of this username, or with this address
    proven. Of unproven accounts with an address nobody knows whose it is, nor may learn that there are any.
    """
    for user in _candidates(login, None, None):
        if "@" not in login or user.email_verified_at is not None:
            return user.public_id
    return None


def _candidates(login: str, device: str | None, tag: int | None) -> list[User]:
    """The accounts against which a password is tried: the one of this username, and some of this address.

    A username that is somebody else's address finds nothing: it would come between its owner and their account.
    """
    by_name = select(User).where(User.username_key == username_key(login), User.disabled_at.is_(None))
    named = db.session.scalars(by_name.where(User.password_hash.is_not(None), demo_accounts.admitted())).all()
    if "@" not in login:
        return list(named)
    known = [user for user in accounts_of(login, device, tag) if user.password_hash][:_TRIES]
    return [*(user for user in named if not _is_address(login) and user not in known), *known]


def _is_address(login: str) -> bool:
    try:
        return bool(checked_email(login))
    except Invalid:
        return False


def accounts_of(email: str, device: str | None = None, tag: int | None = None) -> list[User]:
    """The enabled accounts with an address, in the order in which they are to be found.

    First the one whose owner has proven it. Then those made on this device; then those that hold the address in an
    event, the first who claimed it first, so that nobody who joins later hides them; then the others, the newest first.
    With `tag` only those unproven ones whose password may be the one.
    """
    holds = exists().where(Membership.user_id == User.id, Membership.claimed_email == User.email)
    order = [
        User.email_verified_at.is_(None),
        case((holds, 0), else_=1),
        case((holds, User.email_claimed_at)),
        User.id.desc(),
    ]
    if device is not None:
        order.insert(1, case((User.device == device, 0), else_=1))
    wanted = select(User).where(
        User.email == email.strip().lower(), User.disabled_at.is_(None), demo_accounts.admitted()
    )
    if tag is not None:
        # Accounts made before there were tags, and those whose address had lapsed, have a password and none.
        untagged = User.password_tag.is_(None) & User.password_hash.is_not(None)
        wanted = wanted.where(or_(User.email_verified_at.is_not(None), User.password_tag == tag, untagged))
        order.insert(1, case((User.password_tag == tag, 0), else_=1))
    return list(db.session.scalars(wanted.order_by(*order).limit(MOST_FOUND)))


def open_session(
    user: User,
    kind: str,
    user_agent: str = "",
    *,
    proof: str | None = None,
    token: str | None = None,
    resumes: bool = False,
) -> str:
    """Sign a browser or an API client in. Returns the token, which is kept nowhere but with its bearer.

    `token` is the one of a request with an idempotency key, whose session may be open already; else it is random, as it
    is where the key was used before for another account. With `resumes` that session has to be open still: one that has
    ended meanwhile is not opened a second time.

    `proof` is the hash that a password was checked against: meanwhile the password may have been dropped, and whoever
    drops it waits for this, or this for them.

    Raises:
        Unauthenticated: the account is disabled, gone or a demo's outside a demo, or the password is another one now;
            told like a wrong one. Or the session to resume has ended.
    """
    # By its key, not by the object, whose row may be gone.
    key = inspect(user).identity
    now = select(User.password_hash, User.disabled_at).where(User.id == (key[0] if key else user.id))
    row = db.session.execute(now.with_for_update(read=True)).one_or_none()
    if row is None or row.disabled_at is not None or (proof is not None and row.password_hash != proof):
        raise Unauthenticated(code="wrong_credentials")
    if not demo_accounts.admits(row.password_hash):
        raise Unauthenticated(code="wrong_credentials")
    if token is not None and _is_open(user, token, kind):
        return token
    if resumes:
        raise Unauthenticated(code="wrong_credentials")
    if token is None or db.session.scalar(select(UserSession.id).where(UserSession.token_hash == token_hash(token))):
        token = secrets.token_urlsafe(32)
    days = current_app.extensions["settings"].session_days
    db.session.add(
        UserSession(
            user_id=user.id,
            token_hash=token_hash(token),
            kind=kind,
            user_agent=user_agent[:255],
            expires_at=utcnow() + timedelta(days=days),
        )
    )
    db.session.flush()
    return token


def _is_open(user: User, token: str, kind: str) -> bool:
    found = user_of_token(token, kind)
    return found is not None and found.id == user.id


def user_of_token(token: str, kind: str) -> User | None:
    """Who is signed in with this token; None when it is unknown, expired, or the account is disabled or a demo's."""
    return db.session.scalar(
        select(User)
        .join(UserSession)
        .where(
            UserSession.token_hash == token_hash(token),
            UserSession.kind == kind,
            UserSession.expires_at > utcnow(),
            User.disabled_at.is_(None),
            demo_accounts.admitted(),
        )
    )


def close_session(token: str) -> None:
    """Sign this browser or client out."""
    db.session.execute(delete(UserSession).where(UserSession.token_hash == token_hash(token)))


def matches(password_hash: str, password: str) -> bool:
    """Check a password against a hash of `hash_password`; takes as long as making one."""
    try:
        return _hasher.verify(password_hash.removeprefix(demo_accounts.MARK), password[:MAX_PASSWORD])
    except (VerificationError, InvalidHashError):
        return False
