"""Tokens with the one right to upload to one event: for watched folders and other programs.

A token speaks for whoever made it, as long as they run the event. It is shown once; only its hash is kept.
"""

import secrets
from datetime import timedelta

from sqlalchemy import delete, or_, select, update

from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.errors import Conflict, Invalid, NotFound
from webapp.models import Event, Membership, MembershipRole, UploadToken, User
from webapp.queueing import unit_of_work
from webapp.services.accounts import demo_accounts
from webapp.services.core import audit
from webapp.services.events import events
from webapp.services.uploads import upload_ledger
from webapp.tokens import token_hash

PREFIX = "findme_up_"
"""What each token begins with, so that it is told from a person's token at a glance, by us and by secret scanners."""

MAX_NAME = 80
DAYS = (1, 7, 30, 365)
"""For how long a token can be made; the third is offered first."""
DEFAULT_DAYS = 30
MAX_TOKENS = 20
"""Valid tokens of one event at a time."""

_TOLD_EVERY = timedelta(minutes=1)
"""So exactly a token's last use is written down: not every photo costs a write of its own."""


def is_one(token: str | None) -> bool:
    """Whether this claims to be an upload token, valid or not."""
    return token is not None and token.startswith(PREFIX)


def create(event: Event, user: User, name: str, days: int = DEFAULT_DAYS) -> tuple[UploadToken, str]:
    """Make a token; call it inside a unit of work. Returns its row, and the token itself, which is kept nowhere.

    Raises:
        Invalid: name or days can't be used.
        Conflict: the event is closed, or has so many tokens already, or the user's account is disabled.
    """
    name = " ".join(name.split())
    fields = {}
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        fields["name"] = "upload_token_name_invalid"
    if days not in DAYS:
        fields["days"] = "upload_token_days_invalid"
    if fields:
        raise Invalid(code=next(iter(fields.values())), fields=fields)
    events.require_open(event)
    upload_ledger.require_active(user.id)
    if len([row for row in tokens_of(event) if is_valid(row)]) >= MAX_TOKENS:
        raise Conflict(code="upload_tokens_too_many")
    token = PREFIX + secrets.token_urlsafe(32)
    row = UploadToken(
        event_id=event.id,
        user_id=user.id,
        name=name,
        token_hash=token_hash(token),
        expires_at=utcnow() + timedelta(days=days),
    )
    db.session.add(row)
    db.session.flush()
    audit.record(user, "upload_token.created", "event", event.public_id)
    return row, token


def create_for_folder(code: str, host: str) -> tuple[str, str]:
    """A token for a folder that is watched beside the server, in the name of the event's owner; ends with `forget`.

    Returns its public id and the token itself.

    Raises:
        NotFound: there is no such event.
    """
    with unit_of_work():
        event = events.find_event(code)
        owner = next(row.user for row in event.memberships if row.role is MembershipRole.OWNER)
        row, token = create(event, owner, f"Folder on {host}"[:MAX_NAME])
        return row.public_id, token


def tokens_of(event: Event) -> list[UploadToken]:
    """The event's tokens that were not revoked, the latest first; also those whose time has run out."""
    wanted = select(UploadToken).where(UploadToken.event_id == event.id, UploadToken.revoked_at.is_(None))
    return list(db.session.scalars(wanted.order_by(UploadToken.id.desc())))


def makers_of(tokens: list[UploadToken]) -> dict[int, str]:
    """Who made them: user key → name."""
    wanted = select(User.id, User.name).where(User.id.in_({row.user_id for row in tokens}))
    return dict(db.session.execute(wanted).tuples().all())


def is_valid(row: UploadToken) -> bool:
    """Whether its time has not run out and nobody revoked it."""
    return row.revoked_at is None and row.expires_at > utcnow()


def revoke(event: Event, user: User, public_id: str) -> UploadToken:
    """End a token at once; call it inside a unit of work. What it let in stays.

    Raises:
        NotFound: the event has no such token, or it was revoked before.
    """
    row = db.session.scalar(
        select(UploadToken).where(
            UploadToken.event_id == event.id, UploadToken.public_id == public_id, UploadToken.revoked_at.is_(None)
        )
    )
    if row is None:
        raise NotFound(code="not_found")
    row.revoked_at = utcnow()
    audit.record(user, "upload_token.revoked", "event", event.public_id)
    return row


def authenticate(token: str) -> tuple[UploadToken, Membership] | None:
    """The token's row and its maker's place in the event.

    None when it is unknown, revoked or too old, or when whoever made it is disabled or runs the event no more.
    """
    now = utcnow()
    found = db.session.execute(
        select(UploadToken, Membership)
        .join(Membership, (Membership.event_id == UploadToken.event_id) & (Membership.user_id == UploadToken.user_id))
        .join(User, User.id == UploadToken.user_id)
        .where(
            UploadToken.token_hash == token_hash(token),
            UploadToken.revoked_at.is_(None),
            UploadToken.expires_at > now,
            User.disabled_at.is_(None),
            demo_accounts.admitted(),
            Membership.role.in_((MembershipRole.OWNER, MembershipRole.TEAM)),
        )
    ).one_or_none()
    return (found[0], found[1]) if found is not None else None


def note_use(token_id: int) -> None:
    """Write down that the token was used just now, about once a minute; in a transaction of its own."""
    now = utcnow()
    with unit_of_work():
        db.session.execute(
            update(UploadToken)
            .where(
                UploadToken.id == token_id,
                or_(UploadToken.last_used_at.is_(None), UploadToken.last_used_at < now - _TOLD_EVERY),
            )
            .values(last_used_at=now)
            .execution_options(synchronize_session=False)
        )


def is_use_noted(row: UploadToken) -> bool:
    """Whether the last use that is written down is recent enough to leave it at that."""
    return row.last_used_at is not None and row.last_used_at >= utcnow() - _TOLD_EVERY


def forget(public_id: str) -> None:
    """Remove a token with its row: for one that lived no longer than the command that made it."""
    with unit_of_work():
        db.session.execute(delete(UploadToken).where(UploadToken.public_id == public_id))
