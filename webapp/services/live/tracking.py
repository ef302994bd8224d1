"""Which live regions a commit concerns: found out by listening to the session, and told after the commit.

Rows that the session writes are looked at as it flushes them, bulk statements before they run. So nothing that changes
what people see can forget to say so.
"""

from collections.abc import Iterator
from typing import Any, cast

from sqlalchemy import Select, Update, event, inspect, select, true
from sqlalchemy.orm import ORMExecuteState, Session
from sqlalchemy.sql.dml import Delete

from webapp.db.extensions import db
from webapp.models import (
    Consent,
    EngineUsage,
    Event,
    Match,
    Membership,
    Person,
    Photo,
    Rematch,
    SearchAlert,
    Selfie,
    Upload,
    User,
    UserSession,
)
from webapp.services.live import versions
from webapp.services.live.versions import BILL, DESK, EVENT, PERSON, SESSION

Change = tuple[str, int | str]

_CHANGES = "changes"

_UNSEEN = frozenset(
    {"crashes", "interruptions", "retries", "retry_at", "claim", "lease_expires_at"}  # of whatever waits for work
    | {"matched_at", "expansion", "expansion_version", "user_key"}
    | {"selfies_counted", "selfies_counted_since", "selfie_allowance", "faces_seen", "faces_drift", "network"}
    | {"pixel_hash", "replaced_sha256"}
    | {"received", "expires_at", "multipart_id"}  # of a file on its way in
    | {"templates_revision", "removals_revision", "engine_version", "reconcile_requested_at"}
    | {"wants_mail", "told_ready_at", "told_at", "ready_at"}  # of mails about photos
)
"""Columns that no page shows: when nothing else of a row changes, nobody has to look."""

_SIGNED_IN_BY = frozenset({"role", "disabled_at", "password_hash"})
"""Columns of a user on which it depends who gets in, and where."""

_OF_A_PERSON = (Selfie, Match, Consent)


def _add(session: Session, changes: Iterator[Change]) -> None:
    session.info.setdefault(_CHANGES, set()).update(changes)


def _of_row(session: Session, row: Any) -> Iterator[Change]:
    """Whom a row concerns that was just written."""
    if isinstance(row, Photo):
        yield from _of_event(row.event_id)
    elif isinstance(row, Event):
        yield from _of_event(row.id)
    elif isinstance(row, Person):
        yield from _of_person(row.id, row.event_id)
    elif isinstance(row, _OF_A_PERSON):
        person = session.get(Person, row.person_id)
        if person is not None:
            yield from _of_person(person.id, person.event_id)
    elif isinstance(row, Membership):
        # Who joins changes the studio's list alone; who leaves, or gets another role, must not go on as before.
        yield from [(DESK, row.event_id)] if row in session.new else _of_event(row.event_id)
    elif isinstance(row, Upload | Rematch | SearchAlert | EngineUsage):
        yield (BILL, row.event_public_id) if isinstance(row, EngineUsage) else (DESK, row.event_id)
    elif isinstance(row, UserSession) and row not in session.new:
        yield SESSION, row.token_hash
    elif isinstance(row, User) and row not in session.new and (row in session.deleted or _changed(row) & _SIGNED_IN_BY):
        hashes = session.scalars(select(UserSession.token_hash).where(UserSession.user_id == row.id))
        yield from ((SESSION, token_hash) for token_hash in hashes)


def _of_event(event_id: int) -> list[Change]:
    return [(EVENT, event_id), (DESK, event_id)]


def _of_person(person_id: int, event_id: int) -> list[Change]:
    return [(PERSON, person_id), (DESK, event_id)]


def _changed(row: Any) -> set[str]:
    """The attributes of a row that the present flush has written."""
    return {attribute.key for attribute in inspect(row).attrs if attribute.history.has_changes()}


def _of_statement(statement: Update | Delete, model: type[Any]) -> Iterator[Change]:
    """Whom the rows concern that a bulk statement is about to change."""
    asking = _asking(model)
    if asking is None:
        return
    condition = statement.whereclause if statement.whereclause is not None else true()
    for row in db.session.execute(asking.where(condition).distinct()):
        if model in (Photo, Event, Membership):
            yield from _of_event(row[0])
        elif model is Upload:
            yield DESK, row[0]
        elif model in (UserSession, User):
            yield SESSION, row[0]
        else:
            yield from _of_person(row[0], row[1])


def _asking(model: type[Any]) -> Select[*tuple[Any, ...]] | None:
    """What tells whom rows of this kind concern; None when they concern nobody."""
    if model in (Photo, Membership, Upload):
        return select(model.event_id)
    if model is Event:
        return select(Event.id)
    if model is UserSession:
        return select(UserSession.token_hash)
    if model is User:
        return select(UserSession.token_hash).join(User)
    if model is Person:
        return select(Person.id, Person.event_id)
    if model in _OF_A_PERSON:
        return select(Person.id, Person.event_id).join(model, model.person_id == Person.id)
    return None


@event.listens_for(db.session, "after_flush")
def _rows_written(session: Session, _context: object) -> None:
    for row in (*session.new, *session.deleted):
        _add(session, _of_row(session, row))
    for row in session.dirty:
        if _changed(row) - _UNSEEN:
            _add(session, _of_row(session, row))


@event.listens_for(db.session, "do_orm_execute")
def _statement_comes(state: ORMExecuteState) -> None:
    if (state.is_update or state.is_delete) and state.bind_mapper is not None:
        statement = cast("Update | Delete", state.statement)
        _add(state.session, _of_statement(statement, state.bind_mapper.class_))


@event.listens_for(db.session, "after_commit")
def _committed(session: Session) -> None:
    if session.in_nested_transaction():
        return  # a savepoint's end; what it wrote can still be undone
    changes: set[Change] = session.info.pop(_CHANGES, set())
    if changes:
        versions.moved(versions.mark_of(kind, key) for kind, key in sorted(changes, key=repr))


@event.listens_for(db.session, "after_rollback")
def _undone(session: Session) -> None:
    if not session.in_nested_transaction():
        session.info.pop(_CHANGES, None)
