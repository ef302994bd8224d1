"""A photo that is indexed again: its faces keep their rows, and what people said of them stands."""

from typing import Any

from flask import Flask
from PIL import Image
from sqlalchemy import func, select

from tests.support.actors import PASSWORD, Api, World, photos_with, selfie
from tests.support.browsing import Browser
from tests.support.reindexing import index_again, jpeg, reexported
from webapp.db.extensions import db
from webapp.models import Event, Face, FaceVector, Match, Photo, Rendition, RenditionKind, Verdict
from webapp.services.core import blobs


def facts(app: Flask) -> list[tuple[Any, ...]]:
    """Faces with their verdicts, by row."""
    with app.app_context():
        return [
            tuple(row)
            for row in db.session.execute(
                select(Face.id, Face.ordinal, Match.public_id, Match.verdict)
                .outerjoin(Match, Match.face_id == Face.id)
                .order_by(Face.id)
            )
        ]


def judged(world: World, api: Api, verdict: str) -> tuple[str, Api]:
    """A photo of Grace, and what she says of it; returns the photo's id and her client."""
    event_id = world.event()
    (photo_id,) = world.add_photos(event_id, *photos_with("grace", 1))
    world.work()
    guest = api.register(world.code)
    assert guest.upload_selfie(selfie("grace")).status_code == 200
    world.work()
    with world.app.app_context():
        match_id = db.session.scalars(select(Match.public_id)).one()
    assert guest.post(f"/matches/{match_id}", json={"verdict": verdict}).status_code == 200
    world.work()
    assert photo_id is not None
    return photo_id, guest


def test_a_re_export_keeps_rows_and_verdicts(world: World, api: Api, app: Flask) -> None:
    photo_id, guest = judged(world, api, "confirmed")
    before, content = facts(app), photos_with("grace", 1)[0][1]
    with app.app_context():
        vectors = list(db.session.scalars(select(FaceVector.vector).order_by(FaceVector.face_id)))
    index_again(app, world, photo_id, reexported(content))
    assert facts(app) == before
    assert guest.photo_ids() == [photo_id]
    with app.app_context():
        new = list(db.session.scalars(select(FaceVector.vector).order_by(FaceVector.face_id)))
    assert len(new) == len(vectors) and all(one != other for one, other in zip(new, vectors, strict=True))


def test_what_was_denied_stays_denied(world: World, api: Api, app: Flask) -> None:
    photo_id, guest = judged(world, api, "rejected")
    before = facts(app)
    index_again(app, world, photo_id)
    assert facts(app) == before and guest.photo_ids() == []


def test_a_face_that_vanished_stays_while_somebody_says_it_is_theirs(world: World, api: Api, app: Flask) -> None:
    photo_id, guest = judged(world, api, "confirmed")
    index_again(app, world, photo_id, jpeg(Image.new("RGB", (900, 600), "white")))
    with app.app_context():
        face = db.session.scalars(select(Face)).one()
        photo = db.session.scalars(select(Photo)).one()
        assert db.session.scalars(select(Match)).one().verdict is Verdict.CONFIRMED
        assert photo.faces_count == 0 <= face.ordinal
        assert db.session.scalar(select(func.count()).select_from(FaceVector)) == 0
    assert guest.photo_ids() == [photo_id]
    index_again(app, world, photo_id, photos_with("grace", 1)[0][1])
    with app.app_context():
        assert face.id in db.session.scalars(select(FaceVector.face_id)).all()


def test_a_face_that_vanished_goes_where_nobody_said_anything(world: World, api: Api, app: Flask) -> None:
    photo_id, guest = judged(world, api, "none")
    assert guest.photo_ids() == [photo_id]
    index_again(app, world, photo_id, jpeg(Image.new("RGB", (900, 600), "white")))
    assert facts(app) == [] and guest.photo_ids() == []


def test_whoever_is_on_the_new_picture_finds_it(world: World, api: Api, app: Flask) -> None:
    photo_id, _ = judged(world, api, "none")
    other = api.register(world.code, "bea")
    assert other.upload_selfie(selfie("eileen")).status_code == 200
    world.work()
    index_again(app, world, photo_id, photos_with("eileen", 1)[0][1])
    assert other.photo_ids() == [photo_id]


def test_what_was_made_of_the_former_picture_goes_with_it(world: World, api: Api, app: Flask) -> None:
    photo_id, _ = judged(world, api, "none")
    browser = Browser(app).sign_in("ada", PASSWORD)
    old = browser.get(f"/media/photos/{photo_id}/thumbnail", headers={"Accept": "image/jpeg"})
    assert old.content_type == "image/jpeg" and "Accept" in old.headers["Vary"]
    index_again(app, world, photo_id, reexported(photos_with("grace", 1)[0][1]))
    with app.app_context():
        event = db.session.scalars(select(Event)).one()
        known = set(db.session.scalars(select(Rendition.blob_key)))
        assert set(blobs.store().keys(f"events/{event.public_id}/photos/")) == known
        assert RenditionKind.THUMBNAIL_JPEG not in db.session.scalars(select(Rendition.kind)).all()
