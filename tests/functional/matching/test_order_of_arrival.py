"""Whatever comes first, photos or selfies: the same people are found on the same faces, as alike."""

import random

import numpy as np
import pytest
from flask import Flask
from sqlalchemy import select

from tests.support.actors import Api, World, demo_photos, selfie
from tests.support.drawn_faces import DIMENSIONS, add_face, at, found
from webapp.db.extensions import db
from webapp.models import (
    Face,
    Match,
    Person,
    Photo,
    User,
)
from webapp.queueing import unit_of_work
from webapp.services.matching import matching


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
