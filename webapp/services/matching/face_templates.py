"""The vectors that people are searched with, and the faces of an event as the index holds them.

Both are copies of rows, kept in the worker's memory and brought up to date before each use.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from flask import current_app
from sqlalchemy import func, select, union_all

from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.faces.core.protocols import FaceIndex, Gallery
from webapp.faces.core.vectors import Matrix, from_blobs
from webapp.models import Consent, Event, FaceVector, Match, Person, Selfie, SelfieStatus, SelfieVector, Verdict
from webapp.services.core import engines
from webapp.services.erasure import traces

EVENTS_IN_MEMORY = 16
"""How many events' faces a worker keeps; the one that was not used for longest goes first."""


@dataclass(slots=True)
class _Loaded:
    index: FaceIndex
    last_id: int
    removals: int


@dataclass(slots=True)
class Templates:
    """Everybody's templates in one event: row i of `matrix` is a template of person `persons[i]`."""

    revision: int
    persons: npt.NDArray[np.int64]
    matrix: Matrix


@dataclass(slots=True)
class _Memory:
    version: int | None = None
    """The version of erasures at which what is held was last compared with the database."""
    faces: OrderedDict[int, _Loaded] = field(default_factory=OrderedDict)
    templates: OrderedDict[int, Templates] = field(default_factory=OrderedDict)


def drop_erased() -> None:
    """Drop faces and templates of events from which some were erased. Call it outside any transaction."""
    with reading():
        _memory()


def synced_index(event: Event) -> FaceIndex:
    """The index, holding all faces of the event that are committed now."""
    memory, index, gallery = _memory(), engines.of(event.engine).index, engines.gallery(event)
    loaded = memory.faces.get(event.id)
    if loaded is None or loaded.removals != event.removals_revision:
        index.drop(gallery)
        loaded = memory.faces[event.id] = _Loaded(index, 0, event.removals_revision)
    rows = db.session.execute(
        select(FaceVector.id, FaceVector.face_id, FaceVector.vector)
        .where(
            FaceVector.event_id == event.id,
            FaceVector.engine == event.engine,
            FaceVector.version == event.engine_version,
            FaceVector.vector.is_not(None),
            FaceVector.id > loaded.last_id,
        )
        .order_by(FaceVector.id)
    ).all()
    if rows:
        vectors = from_blobs(row.vector for row in rows)
        index.add(gallery, [row.face_id for row in rows], vectors)
        vectors.fill(0)
        loaded.last_id = rows[-1].id
    memory.faces.move_to_end(event.id)
    while len(memory.faces) > EVENTS_IN_MEMORY:
        _drop_faces(memory, next(iter(memory.faces)))
    return index


def faces_state(event: Event) -> tuple[int, int]:
    """What says which faces the event has now: it moves when faces come and when faces go."""
    newest = select(func.max(FaceVector.id)).where(
        FaceVector.event_id == event.id,
        FaceVector.engine == event.engine,
        FaceVector.version == event.engine_version,
    )
    return db.session.scalar(newest) or 0, event.removals_revision


def all_templates(event: Event) -> Templates:
    """What new faces are held against: templates and expansions of everybody who agreed to be searched for."""
    memory = _memory()
    known = memory.templates.get(event.id)
    if known is None or known.revision != event.templates_revision:
        _drop_templates(memory, event.id)
        rows = _template_rows(event)
        known = memory.templates[event.id] = Templates(
            event.templates_revision,
            np.array([person_id for person_id, _ in rows], dtype=np.int64),
            from_blobs(vector for _, vector in rows),
        )
    memory.templates.move_to_end(event.id)
    while len(memory.templates) > EVENTS_IN_MEMORY:
        _drop_templates(memory, next(iter(memory.templates)))
    return known


def templates_of(event: Event, person_id: int) -> Matrix:
    """The templates of one person: accepted selfies, and faces that they confirmed as theirs."""
    return from_blobs(vector for _, vector in _template_rows(event, person_id))


def _template_rows(event: Event, person_id: int | None = None) -> list[tuple[int, bytes]]:
    agreed = select(Consent.person_id).where(Consent.withdrawn_at.is_(None))
    selfies = (
        select(Selfie.person_id, SelfieVector.vector, SelfieVector.id)
        .join(Selfie, SelfieVector.selfie_id == Selfie.id)
        .where(
            SelfieVector.event_id == event.id,
            SelfieVector.engine == event.engine,
            SelfieVector.version == event.engine_version,
            SelfieVector.vector.is_not(None),
            Selfie.status == SelfieStatus.ACCEPTED,
            Selfie.retired_at.is_(None),
            Selfie.person_id.in_(agreed),
        )
    )
    searched = select(Selfie.person_id).where(Selfie.status == SelfieStatus.ACCEPTED, Selfie.retired_at.is_(None))
    confirmed = (
        select(Match.person_id, FaceVector.vector, FaceVector.id)
        .join(FaceVector, FaceVector.face_id == Match.face_id)
        .join(Person, Person.id == Match.person_id)
        .where(
            FaceVector.event_id == event.id,
            FaceVector.engine == event.engine,
            FaceVector.version == event.engine_version,
            FaceVector.vector.is_not(None),
            Match.verdict == Verdict.CONFIRMED,
            Match.person_id.in_(agreed),
            Match.person_id.in_(searched),
        )
    )
    if person_id is not None:
        selfies = selfies.where(Selfie.person_id == person_id)
        confirmed = confirmed.where(Match.person_id == person_id)
        rows = db.session.execute(union_all(selfies, confirmed)).all()
    else:
        expansions = select(Person.id, Person.expansion, Person.id).where(
            Person.event_id == event.id,
            Person.expansion.is_not(None),
            Person.expansion_version == event.engine_version,
            Person.id.in_(agreed),
            Person.id.in_(searched),
        )
        rows = db.session.execute(union_all(selfies, confirmed, expansions)).all()
    return sorted((person, vector) for person, vector, _ in rows if vector is not None)


def _memory() -> _Memory:
    extensions = current_app.extensions
    if "vector_memory" not in extensions:
        extensions["vector_memory"] = _Memory()
    memory: _Memory = extensions["vector_memory"]
    erased = traces.version()
    if memory.version != erased:
        _drop_changed(memory)
        memory.version = erased
    return memory


def _drop_changed(memory: _Memory) -> None:
    """Drop what is held of events that are gone, or whose faces or templates are others now."""
    held = {*memory.faces, *memory.templates}
    rows = db.session.execute(
        select(Event.id, Event.removals_revision, Event.templates_revision).where(Event.id.in_(held))
    )
    present = {row.id: row for row in rows}
    for event_id in held:
        now, faces, known = present.get(event_id), memory.faces.get(event_id), memory.templates.get(event_id)
        if faces is not None and (now is None or now.removals_revision != faces.removals):
            _drop_faces(memory, event_id)
        if known is not None and (now is None or now.templates_revision != known.revision):
            _drop_templates(memory, event_id)


def _drop_faces(memory: _Memory, event_id: int) -> None:
    memory.faces.pop(event_id).index.drop(Gallery(event_id, ""))


def _drop_templates(memory: _Memory, event_id: int) -> None:
    """The matrix is overwritten: freed memory keeps its contents until it is used again."""
    known = memory.templates.pop(event_id, None)
    if known is not None:
        known.matrix.fill(0)
