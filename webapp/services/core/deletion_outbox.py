"""Removing what lies outside the database: blobs, and faces that a service keeps.

The transaction that forgets something also writes down what has to go elsewhere, and a job carries it out. So a crash
or a cloud that is away loses no removal: it is repeated until everything is gone, however long that takes.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import select, true

from webapp.clock import utcnow
from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.errors import ConfigurationError, NotFound, Transient
from webapp.faces import Engine, rekognition
from webapp.faces.core.protocols import Gallery
from webapp.models import (
    ConfirmedVector,
    Event,
    Face,
    FaceVector,
    Person,
    Photo,
    Removal,
    RemovalKind,
    Rendition,
    Selfie,
    SelfieVector,
)
from webapp.queueing import REMOVE, enqueue_after_commit, unit_of_work
from webapp.services.core import alarms, blobs, claims, engines

BATCH = 500
"""Targets of one row: what one job removes well within its time."""


@dataclass(frozen=True, slots=True)
class _Task:
    kind: RemovalKind
    event_key: str
    targets: list[str]


def remove_blobs(event_key: str, keys: Iterable[str]) -> None:
    """Let these blobs go once the present unit of work is committed."""
    _write_down(RemovalKind.BLOBS, event_key, list(keys))


def remove_blobs_below(event_key: str, *prefixes: str) -> None:
    """Let every blob whose key starts with one of these go once the present unit of work is committed."""
    _write_down(RemovalKind.BLOB_PREFIXES, event_key, prefixes)


def remove_faces(event: Event, kind: RemovalKind, keys: Iterable[str | None]) -> None:
    """Let a service forget these faces (or user vectors) of the event; nothing where the event's vectors are ours."""
    remove_kept(event.engine, event.public_id, kind, keys)


def remove_kept(engine: str, event_key: str, kind: RemovalKind, keys: Iterable[str | None]) -> None:
    """The same of an event that may be gone."""
    if engine == rekognition.ENGINE:
        _write_down(kind, event_key, [key for key in keys if key])


def remove_leftovers(engine: str, event_key: str, kind: RemovalKind, names: Iterable[str]) -> None:
    """Let a service forget what tries that never ended may have put there under these names: no row knows its ids.

    kind: PHOTO_NAMES, GUEST_NAMES or USERS. What a row does know when it comes to it stays: it was put there later.
    """
    if engine == rekognition.ENGINE:
        _write_down(kind, event_key, list(names))


def remove_collections(event: Event) -> None:
    """Let a service forget everything that it keeps of the event."""
    if event.engine == rekognition.ENGINE:
        _write_down(RemovalKind.COLLECTIONS, event.public_id, [event.engine])


def carry_out(public_id: str) -> bool:
    """Remove what a row names and then the row itself; returns whether there was anything to do. Runs in a worker."""
    token = claims.claim(Removal, public_id, true())
    if token is None:
        return False
    with reading():
        row = db.session.scalars(select(Removal).where(Removal.public_id == public_id)).one()
        task = _Task(row.kind, row.event_public_id, list(row.targets))
    try:
        with alarms.guard():
            _remove(task)
    except (Transient, ConfigurationError):
        _try_later(public_id, token)
    except Exception:
        _try_later(public_id, token)
        raise
    else:
        with unit_of_work():
            done = claims.held(Removal, public_id, token)
            if done is not None:
                db.session.delete(done)
    return True


def _remove(task: _Task) -> None:
    if task.kind in (RemovalKind.BLOBS, RemovalKind.BLOB_PREFIXES):
        _remove_blobs(task)
        return
    # What somebody deleted by hand is gone, which is what we want.
    with suppress(NotFound):
        _remove_kept(task)


def _remove_blobs(task: _Task) -> None:
    spared = _taken_over(task.event_key)
    if task.kind is RemovalKind.BLOBS:
        for key in set(task.targets) - spared:
            blobs.store().delete(key)
        return
    for prefix in task.targets:
        if any(key.startswith(prefix) for key in spared):
            for key in set(blobs.store().keys(prefix)) - spared:
                blobs.store().delete(key)
        else:
            blobs.store().delete_all(prefix)
        blobs.partials().delete_all(prefix)


def _taken_over(event_key: str) -> set[str]:
    """Pictures below the prefix of another photo: of a file that an earlier photo took over, or of one it replaced."""
    with reading():
        return set(
            db.session.scalars(
                select(Rendition.blob_key)
                .join(Photo, Photo.id == Rendition.photo_id)
                .join(Event, Event.id == Photo.event_id)
                .where(
                    Event.public_id == event_key,
                    ~Rendition.blob_key.contains(Photo.public_id),
                )
            )
        )


def _remove_kept(task: _Task) -> None:
    engine = engines.of(rekognition.ENGINE)
    # Only the event's public id counts for a service, and the row of the event may be gone.
    photos, guests = Gallery(0, task.event_key, "photos"), Gallery(0, task.event_key, "guests")
    match task.kind:
        case RemovalKind.PHOTO_FACES:
            engine.index.remove(photos, task.targets)
        case RemovalKind.GUEST_FACES:
            engine.index.remove(guests, task.targets)
        case RemovalKind.PHOTO_NAMES:
            _remove_leftovers(engine, photos, task.targets)
        case RemovalKind.GUEST_NAMES:
            _remove_leftovers(engine, guests, task.targets)
        case RemovalKind.USERS:
            _remove_users(engine, guests, task.targets)
        case RemovalKind.COLLECTIONS:
            engine.index.drop(photos)
            engine.index.drop(guests)


def _remove_leftovers(engine: Engine, place: Gallery, names: list[str]) -> None:
    """The service can't be asked by name, so this reads the whole gallery."""
    _require_idle(names)
    found = {str(key) for key, name in engine.index.contents(place) if name.partition(":")[0] in names}
    _require_idle(names)
    engine.index.remove(place, sorted(found - _known(names)))


def _require_idle(names: list[str]) -> None:
    """A worker that has one of these in hand may be putting something there that has no row yet.

    Raises:
        Transient: one has.
    """
    with reading():
        for model in (Photo, Selfie, Person):
            held = model.claim.is_not(None) & (model.lease_expires_at > utcnow())
            if db.session.scalar(select(model.id).where(model.public_id.in_(names), held).limit(1)):
                raise Transient(code="transient")


def _known(names: list[str]) -> set[str]:
    """The ids at the service that rows of these photos, selfies or people know."""
    with reading():
        photos = select(FaceVector.external_id).join(Face).join(Photo).where(Photo.public_id.in_(names))
        selfies = select(SelfieVector.external_id).join(Selfie).where(Selfie.public_id.in_(names))
        confirmed = select(ConfirmedVector.external_id).join(Person).where(Person.public_id.in_(names))
        return {key for wanted in (photos, selfies, confirmed) for key in db.session.scalars(wanted) if key}


def _remove_users(engine: Engine, guests: Gallery, public_ids: list[str]) -> None:
    """Forget user vectors, but not of people who handed in new pictures since and have another one."""
    _require_idle(public_ids)
    with reading():
        wanted = select(Person.public_id).where(Person.public_id.in_(public_ids), Person.user_key.is_not(None))
        alive = set(db.session.scalars(wanted))
    for user_id in public_ids:
        if engine.users is not None and user_id not in alive:
            engine.users.remove_user(guests, user_id)


def _write_down(kind: RemovalKind, event_key: str, targets: Sequence[str]) -> None:
    for start in range(0, len(targets), BATCH):
        row = Removal(kind=kind, event_public_id=event_key, targets=list(targets[start : start + BATCH]))
        db.session.add(row)
        db.session.flush()
        enqueue_after_commit(REMOVE, row.public_id)


def _try_later(public_id: str, token: str) -> None:
    """A removal is never given up: after the last pause it goes on at that pace."""
    with unit_of_work():
        row = claims.held(Removal, public_id, token)
        if row is not None and not claims.postpone(row):
            row.retries = len(claims.PAUSES) - 1
            claims.postpone(row)
