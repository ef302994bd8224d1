"""Whatever comes first, photos or selfies: the same people are found on the same faces, as alike."""

import random
from datetime import date

import numpy as np
import pytest
from flask import Flask
from sqlalchemy import select

from tests.actors import Api, World, demo_photos, selfie
from webapp.db.extensions import db
from webapp.faces.core.vectors import to_blob
from webapp.models import (
    Consent,
    Event,
    Face,
    FaceVector,
    Match,
    Membership,
    Person,
    Photo,
    PhotoStatus,
    Selfie,
    SelfieStatus,
    SelfieVector,
    User,
)
from webapp.queueing import unit_of_work
from webapp.services.core import locks, rematch_requests
from webapp.services.matching import matching

DIMENSIONS = 128


def rows(app: Flask) -> set[tuple[str, str, int, str, float]]:
    with app.app_context():
        found = db.session.execute(
            select(Person.name, Photo.filename, Face.ordinal, Match.band, Match.similarity)
            .join(Match, Match.person_id == Person.id)
            .join(Face, Face.id == Match.face_id)
            .join(Photo, Photo.id == Face.photo_id)
        )
        return {(name, file, ordinal, band.value, round(value, 4)) for name, file, ordinal, band, value in found}


@pytest.fixture
def expected(app: Flask, api: Api, world: World) -> set[tuple[str, str, int, str, float]]:
    """Photos first, then the selfies."""
    event_id = world.event("FIRST234")
    world.add_photos(event_id, *demo_photos(8))
    world.work()
    for person in ("grace", "eileen"):
        api.register("FIRST234", person).upload_selfie(selfie(person))
    world.work()
    return {("again-" + name, *rest) for name, *rest in rows(app)}


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_arrival_is_no_part_of_what_is_found(
    app: Flask, api: Api, world: World, expected: set[tuple[str, str, int, str, float]], seed: int
) -> None:
    dice = random.Random(seed)
    event_id = world.event("AGAIN234")
    guests = {person: api.register("AGAIN234", f"again-{person}") for person in ("grace", "eileen")}
    steps = [lambda photo=photo: world.add_photos(event_id, photo) for photo in demo_photos(8)]
    steps += [lambda person=person: guests[person].upload_selfie(selfie(person)) for person in guests]
    dice.shuffle(steps)
    for step in steps:
        step()
        if dice.random() < 0.5:
            world.work(limit=dice.choice((1, 2, None)))
    world.work()
    assert {row for row in rows(app) if row[0].startswith("again-")} == expected


def at(cosine: float, anchor: np.ndarray, away: np.ndarray) -> np.ndarray:
    """A unit vector with this cosine to `anchor`, on the side of `away`, which stands upright on it."""
    return cosine * anchor + np.sqrt(1 - cosine**2) * away


@pytest.fixture
def known(app: Flask, world: World) -> int:
    """Somebody with an accepted selfie whose vector is the first axis; returns the person's key."""
    event_id = world.event()
    with app.app_context(), unit_of_work():
        event = db.session.scalars(select(Event).where(Event.public_id == event_id)).one()
        assert event.date == date(2026, 6, 20)
        user = User(email="axis@example.com", name="Axis")
        db.session.add(user)
        db.session.flush()
        membership = Membership(event_id=event.id, user_id=user.id)
        person = Person(event_id=event.id, name="Axis")
        membership.persons.append(person)
        db.session.add(membership)
        db.session.flush()
        taken = Selfie(person_id=person.id, status=SelfieStatus.ACCEPTED, blob_key="none", content_type="image/jpeg")
        db.session.add_all([taken, Consent(person_id=person.id, text_version="test", language="en")])
        db.session.flush()
        vector = SelfieVector(selfie_id=taken.id, event_id=event.id, engine=event.engine, version=event.engine_version)
        vector.vector, vector.quality = to_blob(np.eye(DIMENSIONS, dtype=np.float32)[0]), 12.0
        db.session.add(vector)
        event.templates_revision += 1
        return person.id


def add_face(person_id: int, vector: np.ndarray) -> int:
    """A photo with one face, as index_photo would have written it, who it concerns included."""
    with unit_of_work():
        event = locks.lock_event(db.session.get_one(Person, person_id).event_id)
        photo = Photo(event_id=event.id, filename="face.jpg", status=PhotoStatus.INDEXED)
        db.session.add(photo)
        db.session.flush()
        numbers = dict.fromkeys(
            ("box_x", "box_y", "box_width", "box_height", "score", "quality", "turn", "blur", "light"), 0.5
        )
        face = Face(photo_id=photo.id, event_id=event.id, ordinal=0, landmarks=[], size=90, weak=False, **numbers)
        db.session.add(face)
        db.session.flush()
        blob = to_blob(vector.astype(np.float32))
        db.session.add(
            FaceVector(
                face_id=face.id, event_id=event.id, engine=event.engine, version=event.engine_version, vector=blob
            )
        )
        db.session.flush()
        rematch_requests.mark(matching.concerned(event, [blob]))
        return face.id


def found(person_id: int) -> dict[int, str]:
    matching.match_person_by_id(person_id)
    matches = db.session.scalars(select(Match).where(Match.person_id == person_id))
    return {match.face_id: match.band.value for match in matches}


def test_strong_matches_find_faces_that_the_selfie_alone_would_miss(app: Flask, known: int) -> None:
    axes = np.eye(DIMENSIONS, dtype=np.float32)
    strong, alike = at(0.7, axes[0], axes[1]), at(0.40, axes[0], axes[1])
    with app.app_context():
        late = add_face(known, alike)
        assert found(known) == {}, "a face at 0.40 is below the maybes"
        sure = add_face(known, strong)
        assert found(known) == {sure: "sure", late: "sure"}
        # And a face that comes after that is held against the mean as well.
        after = add_face(known, at(0.39, axes[0], axes[1]))
        assert found(known)[after] == "sure"


def test_matches_of_matches_are_not_followed(app: Flask, known: int) -> None:
    axes = np.eye(DIMENSIONS, dtype=np.float32)
    with app.app_context():
        add_face(known, at(0.6, axes[0], axes[1]))
        found(known)
        # As alike to the mean as can be, but to the selfie only 0.45: it is found, and carries no further.
        middle = add_face(known, at(0.45, axes[0], axes[1]))
        chained = add_face(known, at(0.1, axes[0], axes[1]))
        faces = found(known)
        assert middle in faces
        assert chained not in faces or faces[chained] != "sure"
        person = db.session.get_one(Person, known)
        with_middle = person.expansion
        add_face(known, at(0.46, axes[0], axes[1]))
        found(known)
        db.session.expire_all()
        assert db.session.get_one(Person, known).expansion == with_middle


def test_what_somebody_rejects_does_not_lead_the_search(app: Flask, known: int) -> None:
    axes = np.eye(DIMENSIONS, dtype=np.float32)
    with app.app_context():
        strong = add_face(known, at(0.6, axes[0], axes[1]))
        alike = add_face(known, at(0.38, axes[0], axes[1]))
        assert alike in found(known)
        match = db.session.scalars(select(Match).where(Match.face_id == strong)).one()
        user = db.session.scalars(select(User).where(User.email == "axis@example.com")).one()
        with unit_of_work():
            matching.give_verdict(user, match.public_id, "rejected")
        assert alike not in found(known)
