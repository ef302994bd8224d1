"""The faces of a photo as rows: new ones, and those of a photo that is indexed again.

A face that lies where one lay before is the same face: its row stays, so that matches and verdicts live on. What has
vanished goes, unless somebody has said whose it is: a person's word outlives indexing. Such a row is only a place then,
without a vector; its ordinal lies behind those of the faces that the photo has now (`Photo.faces_count`).
"""

from sqlalchemy import delete, select

from webapp.db.extensions import db
from webapp.faces.core import boxes
from webapp.faces.core.protocols import Box, DetectedFace
from webapp.faces.core.vectors import to_blob
from webapp.models import Event, Face, FaceVector, Match, Person, Photo, RemovalKind, UserScore, Verdict
from webapp.services.core import deletion_outbox, rematch_requests


def record(event: Event, photo: Photo, found: list[DetectedFace]) -> set[int]:
    """Bring the photo's faces to what was found in it. The event is locked, and the photo after it.

    Returns the people whose matches rest on faces that were there before.
    """
    former = list(db.session.scalars(select(Face).where(Face.photo_id == photo.id).order_by(Face.ordinal)))
    pairs = boxes.pairs([_box(face) for face in former], [face.box for face in found])
    kept = {new: former[old] for old, new in pairs.items()}
    people = _make_way(event, photo, former, kept, found) if former else set[int]()
    rows = [kept.get(ordinal) or Face(photo_id=photo.id, event_id=event.id) for ordinal in range(len(found))]
    for ordinal, face in enumerate(found):
        _describe(rows[ordinal], ordinal, face)
    db.session.add_all(rows)
    # All at once: the rows' keys come with one statement, however many faces there are.
    db.session.flush()
    db.session.add_all(_vector(event, row, face) for row, face in zip(rows, found, strict=True))
    photo.faces_count = len(found)
    return people


def copy_place(face: Face, photo: Photo, ordinal: int) -> Face:
    """The same place on another photo, without a vector."""
    same = {
        column.key: getattr(face, column.key)
        for column in Face.__mapper__.column_attrs
        if column.key not in ("id", "photo_id", "ordinal")
    }
    row = Face(photo_id=photo.id, ordinal=ordinal, **same)
    db.session.add(row)
    db.session.flush()
    return row


def _make_way(
    event: Event, photo: Photo, former: list[Face], kept: dict[int, Face], found: list[DetectedFace]
) -> set[int]:
    """Take the old vectors away, and the faces that vanished; returns the people whose matches rest on them."""
    of_photo = select(Face.id).where(Face.photo_id == photo.id)
    now = {face.external_id for face in found}
    old = db.session.scalars(select(FaceVector.external_id).where(FaceVector.face_id.in_(of_photo)))
    deletion_outbox.remove_faces(event, RemovalKind.PHOTO_FACES, [key for key in old if key not in now])
    for model in (FaceVector, UserScore):
        db.session.execute(delete(model).where(model.face_id.in_(of_photo)))
    event.removals_revision += 1
    people = list(
        db.session.scalars(
            select(Person)
            .where(Person.id.in_(select(Match.person_id).where(Match.photo_id == photo.id)))
            .order_by(Person.id)
            .with_for_update()
        )
    )
    judged = set(
        db.session.scalars(select(Match.face_id).where(Match.photo_id == photo.id, Match.verdict != Verdict.NONE))
    )
    staying = {face.id for face in kept.values()}
    places = [face for face in former if face.id not in staying and face.id in judged]
    for face in former:
        if face.id not in staying and face.id not in judged:
            db.session.delete(face)
    _set_aside(list(kept.values()), places, len(found))
    for person in people:
        # A face that somebody confirmed is a template of theirs, and has another vector now, or none.
        rematch_requests.templates_changed(event, person)
        person.match_revision += 1
    return {person.id for person in people}


def _set_aside(kept: list[Face], places: list[Face], count: int) -> None:
    """Free the ordinals of the faces that are there now; no two rows may have one in between."""
    for number, face in enumerate((*kept, *places)):
        face.ordinal = -1 - number
    db.session.flush()
    for number, face in enumerate(places):
        face.ordinal = count + number
    db.session.flush()


def _vector(event: Event, row: Face, found: DetectedFace) -> FaceVector:
    return FaceVector(
        face_id=row.id,
        event_id=event.id,
        engine=event.engine,
        version=event.engine_version,
        vector=to_blob(found.vector) if found.vector is not None else None,
        external_id=found.external_id,
    )


def _describe(row: Face, ordinal: int, found: DetectedFace) -> None:
    row.ordinal = ordinal
    row.box_x, row.box_y, row.box_width, row.box_height = found.box.x, found.box.y, found.box.width, found.box.height
    row.landmarks = [list(point) for point in found.landmarks]
    row.score, row.size, row.quality, row.turn = found.score, found.size, found.quality, found.turn
    row.blur, row.light, row.weak = found.blur, found.light, found.weak


def _box(face: Face) -> Box:
    return Box(face.box_x, face.box_y, face.box_width, face.box_height)
