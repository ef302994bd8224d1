"""All accounts, as admins see them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, exists, func, or_, select

from webapp.db.extensions import db
from webapp.errors import NotFound
from webapp.models import Event, Membership, MembershipRole, User, UserRole

PAGE = 50
MAX_QUERY = 80


@dataclass(frozen=True, slots=True)
class Account:
    """One account of the list."""

    row_id: int
    public_id: str
    name: str
    email: str | None
    is_proven: bool
    """They have shown that the address is theirs."""
    username: str | None
    role: UserRole
    created_at: datetime
    disabled_at: datetime | None
    events: int
    """In how many events they are."""
    owned: int
    """How many events they own."""


def accounts_like(query: str = "", *, limit: int = PAGE, before: int | None = None) -> list[Account]:
    """Accounts whose name, username or address contains the query, the newest first; one query.

    `before` is the row id of the last account of the page before.
    """
    wanted = _rows().order_by(User.id.desc()).limit(limit)
    if query := " ".join(query.split())[:MAX_QUERY]:
        columns = (User.name, User.username, User.email)
        wanted = wanted.where(or_(*[column.icontains(query, autoescape=True) for column in columns]))
    if before is not None:
        wanted = wanted.where(User.id < before)
    return [_account(*row) for row in db.session.execute(wanted)]


def account_of(public_id: str) -> Account:
    """One account.

    Raises:
        NotFound: there is none with this id.
    """
    row = db.session.execute(_rows().where(User.public_id == public_id)).one_or_none()
    if row is None:
        raise NotFound(code="account_unknown")
    return _account(*row)


def without_active_owner(events: Iterable[Event]) -> set[int]:
    """Row ids of those of the events whose owner's account is disabled."""
    active = exists().where(
        Membership.event_id == Event.id,
        Membership.role == MembershipRole.OWNER,
        User.id == Membership.user_id,
        User.disabled_at.is_(None),
    )
    ids = [event.id for event in events]
    return set(db.session.scalars(select(Event.id).where(Event.id.in_(ids), ~active)))


def _rows() -> Select[Any]:
    mine = select(func.count()).where(Membership.user_id == User.id).correlate(User)
    owned = mine.where(Membership.role == MembershipRole.OWNER)
    return select(User, mine.scalar_subquery(), owned.scalar_subquery())


def _account(user: User, events: int, owned: int) -> Account:
    return Account(
        row_id=user.id,
        public_id=user.public_id,
        name=user.name,
        email=user.email,
        is_proven=user.email_verified_at is not None,
        username=user.username,
        role=user.role,
        created_at=user.created_at,
        disabled_at=user.disabled_at,
        events=events,
        owned=owned,
    )
