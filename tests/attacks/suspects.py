"""What the tests of searching for strangers share: handing selfies in, and what became of them."""

import io
from functools import cache

import numpy as np
from flask import Flask
from PIL import Image
from sqlalchemy import select
from werkzeug.test import TestResponse

from tests.support import faces
from tests.support.actors import Api, World, selfie
from tests.support.browsing import Browser
from webapp.db.extensions import db
from webapp.models import (
    AlertKind,
    Match,
    Membership,
    Person,
    Photo,
    SearchAlert,
)

OWNER = "photographer@example.com"


def hand_in(world: World, guest: Api, picture: bytes, **form: str) -> None:
    answer = guest.upload_selfie(picture, **form)
    assert answer.status_code == 200, answer.text
    world.work()


def grey() -> bytes:
    """A picture without a face, which is refused at once by the worker."""
    file = io.BytesIO()
    Image.new("RGB", (800, 800), (120, 125, 130)).save(file, "JPEG")
    return file.getvalue()


def status(guest: Api) -> tuple[str, str | None]:
    answer = guest.get("/rematch-status").json
    return answer["status"], answer["reason"]  # type: ignore[index]


def alerts(app: Flask) -> list[tuple[AlertKind, str | None]]:
    with app.app_context():
        rows = db.session.scalars(select(SearchAlert).order_by(SearchAlert.id))
        return [(row.kind, row.decision) for row in rows]


def stopped(app: Flask) -> list[str]:
    """Names of the people whose search is stopped."""
    with app.app_context():
        wanted = select(Person.name).join(Membership).where(Membership.search_stopped_at.is_not(None))
        return sorted(db.session.scalars(wanted))


def decide(app: Flask, owner: Browser, event_id: str, decision: str) -> TestResponse:
    """Press a button of the alert that waits."""
    with app.app_context():
        alert = db.session.scalars(select(SearchAlert.public_id).order_by(SearchAlert.id.desc())).first()
    page = f"/studio/events/{event_id}/alerts"
    return owner.submit(f"{page}/{alert}", {"decision": decision}, page=page)


def photos_of(app: Flask, name: str = "ada") -> set[str]:
    """Photos that a worker has found for somebody, whether they are shown or not."""
    with app.app_context():
        wanted = select(Photo.public_id).join(Match, Match.photo_id == Photo.id).join(Person)
        return set(db.session.scalars(wanted.where(Person.name == name)))


def portraits(count: int) -> list[bytes]:
    """Selfies of as many different people of the labelled set, each of which passes the check."""
    found: list[bytes] = []
    for folder in sorted((faces.faces_dir() / "people").iterdir()):
        picture = min(folder.iterdir())
        if faces.analyzer().check_selfie(faces.read_frame(picture)).face is not None:
            found.append(picture.read_bytes())
        if len(found) == count:
            break
    return found


@cache
def morph() -> bytes:
    """A picture between grace and eileen, which resembles both: anybody can make one of two portraits."""
    place = np.array([(0.39, 0.44), (0.61, 0.44), (0.5, 0.57), (0.41, 0.68), (0.59, 0.68)]) * 900
    warped = []
    for person in ("grace", "eileen"):
        image = Image.open(io.BytesIO(selfie(person))).convert("RGB")
        face = faces.analyzer().check_selfie(np.asarray(image)).face
        assert face is not None and face.landmarks is not None
        landmarks = np.array([(x * image.width, y * image.height) for x, y in face.landmarks])
        matrix, *_ = np.linalg.lstsq(np.hstack([place, np.ones((5, 1))]), landmarks, rcond=None)
        numbers = tuple(matrix.T.flatten())
        warped.append(image.transform((900, 900), Image.Transform.AFFINE, numbers, Image.Resampling.BICUBIC))
    file = io.BytesIO()
    Image.blend(*warped, 0.5).save(file, "JPEG", quality=92)
    return file.getvalue()
