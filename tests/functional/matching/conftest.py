"""Fixtures of the tests of matching."""

from datetime import date

import numpy as np
import pytest
from flask import Flask
from sqlalchemy import select

from tests.support.actors import World
from tests.support.drawn_faces import DIMENSIONS
from webapp.db.extensions import db
from webapp.faces.core.vectors import to_blob
from webapp.models import (
    Consent,
    Event,
    Membership,
    Person,
    Selfie,
    SelfieStatus,
    SelfieVector,
    User,
)
from webapp.queueing import unit_of_work


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
