"""Idempotency keys: a request that is sent several times is done once, and each time answered alike.

A client sends the same key with each try. The key's row is written in the unit of work that does what was asked for, so
there is a row exactly when it was done. Of two tries at the same moment the unique constraint lets one through; the
other is rolled back and answered from the first one's row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.errors import FindMeError, Invalid
from webapp.models import Event, IdempotencyKey, User

LIFETIME = timedelta(days=1)
"""Time for which a repeated request is recognised."""

T = TypeVar("T")


class RepeatedError(Exception):
    """Another request with the same key was faster."""


@dataclass(frozen=True, slots=True)
class Key:
    """A client's key for one operation, as it is kept."""

    key_hash: str
    fingerprint: str
    """Hash of the request's fields: with the same key another request can't be sent."""
    session_token: str
    """The token of the session that the request opens, so that each answer carries the same one."""


def find(key: Key | None) -> IdempotencyKey | None:
    """Return the outcome of an earlier request with this key; None where there was none.

    Raises:
        Invalid: that request was another one.
    """
    if key is None:
        return None
    done = db.session.scalar(
        select(IdempotencyKey).where(
            IdempotencyKey.key_hash == key.key_hash, IdempotencyKey.created_at > utcnow() - LIFETIME
        )
    )
    if done is not None and done.fingerprint != key.fingerprint:
        raise Invalid(code="idempotency_key_reused")
    return done


def latest(fingerprint: str) -> IdempotencyKey | None:
    """Return the outcome of the last request with this fingerprint, whatever its key; None where there was none."""
    return db.session.scalar(
        select(IdempotencyKey)
        .where(IdempotencyKey.fingerprint == fingerprint, IdempotencyKey.created_at > utcnow() - LIFETIME)
        .order_by(IdempotencyKey.id.desc())
        .limit(1)
    )


def record(key: Key | None, user: User, event: Event) -> None:
    """Write down that the present unit of work does what the key stands for.

    Raises:
        RepeatedError: another request has done it; the unit of work has to be rolled back.
    """
    if key is None:
        return
    # One whose time is over stands here until the next clean-up.
    over = delete(IdempotencyKey).where(
        IdempotencyKey.key_hash == key.key_hash, IdempotencyKey.created_at <= utcnow() - LIFETIME
    )
    db.session.execute(over.execution_options(synchronize_session=False))
    row = IdempotencyKey(
        key_hash=key.key_hash,
        fingerprint=key.fingerprint,
        user_id=user.id,
        event_id=event.id,
    )
    db.session.add(row)
    try:
        db.session.flush()
    except IntegrityError as error:
        raise RepeatedError from error


def once(key: Key | None, work: Callable[[], T], again: Callable[[IdempotencyKey], T]) -> T:
    """Run `work`, which records the key; for a repeated request run `again` with the outcome of the first instead.

    A try that fails because another one was faster, such as at a username that it has just taken, is repeated as well.

    Raises:
        Invalid: as `find`.
        FindMeError: as `work` and `again`.
    """
    if (done := find(key)) is not None:
        return again(done)
    try:
        return work()
    except (RepeatedError, FindMeError):
        db.session.rollback()
        if (done := find(key)) is None:
            raise
        return again(done)


def forget() -> int:
    """Delete the keys whose time is over; returns how many. Call it in a unit of work."""
    over = delete(IdempotencyKey).where(IdempotencyKey.created_at <= utcnow() - LIFETIME)
    return len(db.session.scalars(over.returning(IdempotencyKey.id).execution_options(synchronize_session=False)).all())
