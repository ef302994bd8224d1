"""Searching an event for one person: with their templates, and with the mean of these and their own strong matches.

One selfie is one moment's light and look. Faces that it finds beyond doubt show the person as they are at this event,
so the mean of the selfie and those faces finds more, and more surely. Only direct matches of the templates count, never
matches of matches: a chain would lead from one person to another.
"""

import numpy as np
from flask import current_app
from sqlalchemy import select

from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.faces.core.protocols import Probe
from webapp.faces.core.vectors import Matrix, from_blobs, to_blob
from webapp.models import Event, Face, FaceVector, Match, Person, Verdict
from webapp.services.core import engines
from webapp.services.matching import hosted_search
from webapp.services.matching.face_templates import faces_state, synced_index, templates_of
from webapp.services.rules.thresholds import Found, Outcome, thresholds_of

STRONG = 0.55
"""Cosine similarity to a template from which a face is beyond doubt: one stranger in a million is as alike."""

MOST_STRONG = 10


def search(person_id: int, token: str) -> Outcome:
    """Every face of the event that resembles the person. Call it outside any transaction, with the claim on the person.

    Raises:
        Transient: a service that keeps the event's faces is away, busy, or has lost them.
        LimitReached: the event may make no more calls.
        ClaimLostError: the person was erased meanwhile.
    """
    with reading():
        person = db.session.get_one(Person, person_id)
        event = db.session.get_one(Event, person.event_id)
        if not engines.of(event.engine).index.keeps_faces:
            return _search_vectors(event, person)
        event_key, engine = event.public_id, event.engine
    with engines.watching(event_key, engine):
        return hosted_search.search(person_id, token)


def _search_vectors(event: Event, person: Person) -> Outcome:
    templates = templates_of(event, person.id)
    if not len(templates):
        return Outcome({})
    thresholds = thresholds_of(event, current_app.extensions["settings"])
    searched = faces_state(event)
    hits = _hits(event, templates, thresholds.maybe)
    # Where nothing is sure before its person has said so, only that leads further, and it is a template already.
    expansion = None if thresholds.asks else _expansion(event, person, templates, hits)
    if expansion is not None:
        for face_id, similarity in _hits(event, from_blobs([expansion]), thresholds.maybe).items():
            hits[face_id] = max(similarity, hits.get(face_id, -1.0))
    faces = db.session.execute(select(Face.id, Face.photo_id, Face.weak).where(Face.id.in_(list(hits)))).all()
    return Outcome(
        {row.id: Found(row.photo_id, hits[row.id], thresholds.band(hits[row.id], weak=row.weak)) for row in faces},
        expansion,
        faces=searched,
    )


def _hits(event: Event, probes: Matrix, floor: float) -> dict[int, float]:
    index = synced_index(event)
    found = index.search(engines.gallery(event), [Probe(vector=row) for row in probes], floor).hits
    return {int(hit.face_id): hit.similarity for hit in found}


def _expansion(event: Event, person: Person, templates: Matrix, hits: dict[int, float]) -> bytes | None:
    """The mean of the templates and the strongest faces that they found; None where none is strong enough.

    Rounded as it is stored, so that a new photo and a new search meet the same numbers. Faces with a verdict are left
    out: rejected ones are somebody else, confirmed ones are templates already.
    """
    judged = select(Match.face_id).where(Match.person_id == person.id, Match.verdict != Verdict.NONE)
    strong = [face_id for face_id, similarity in hits.items() if similarity >= STRONG]
    rows = db.session.execute(
        select(FaceVector.face_id, FaceVector.vector)
        .join(Face, Face.id == FaceVector.face_id)
        .where(
            Face.id.in_(strong),
            Face.id.not_in(judged),
            Face.weak.is_(False),
            FaceVector.engine == event.engine,
            FaceVector.version == event.engine_version,
            FaceVector.vector.is_not(None),
        )
    ).all()
    best = sorted(rows, key=lambda row: (-hits[row.face_id], row.face_id))[:MOST_STRONG]
    if not best:
        return None
    # In the order of their keys: a sum of floats must not depend on the order in which rows come.
    ordered = sorted(best, key=lambda row: row.face_id)
    total = templates.sum(axis=0) + from_blobs(row.vector for row in ordered if row.vector is not None).sum(axis=0)
    return to_blob(total / np.linalg.norm(total))
