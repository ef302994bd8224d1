"""Learning from a guest's selfie where it was taken.

Phones write the place into the file, for a selfie often that of the guest's home. Who runs the event sees selfies, also
those that wait to be admitted or judged. What must hold: nobody but its owner is ever sent the file itself, only a
small rendition, which has no metadata.
"""

import io

import pytest
from flask import Flask
from PIL import ExifTags, Image
from sqlalchemy import select, update

from tests.support.actors import Api, World, selfie
from tests.support.browsing import Browser
from webapp.db.extensions import db
from webapp.models import Admission, Membership, Selfie, User
from webapp.queueing import unit_of_work
from webapp.services.erasure import selfie_erasure
from webapp.services.selfies import judging


def taken_at_home(person: str) -> bytes:
    """A selfie that says where it was taken."""
    picture = Image.open(io.BytesIO(selfie(person)))
    exif = picture.getexif()
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (48.0, 51.0, 30.0), 3: "E", 4: (2.0, 17.0, 40.0)})
    made = io.BytesIO()
    picture.save(made, "JPEG", exif=exif)
    assert place_in(made.getvalue())
    return made.getvalue()


def place_in(content: bytes) -> dict[int, object]:
    return Image.open(io.BytesIO(content)).getexif().get_ifd(ExifTags.IFD.GPSInfo)


def address(app: Flask) -> str:
    with app.app_context():
        return f"/media/selfies/{db.session.scalars(select(Selfie.public_id)).one()}"


@pytest.fixture
def handed_in(guest: Api) -> Api:
    assert guest.upload_selfie(taken_at_home("grace")).status_code == 200
    return guest


def test_before_a_worker_has_seen_it_nobody_else_gets_it(
    app: Flask, world: World, owner: Browser, handed_in: Api
) -> None:
    at = address(app)
    assert owner.get(at).status_code == 404
    mine = app.test_client().get(at, headers={"Authorization": f"Bearer {handed_in.token}"})
    assert mine.status_code == 200 and place_in(mine.data)
    world.work()
    shown = owner.get(at)
    assert shown.status_code == 200 and not place_in(shown.data)


@pytest.mark.parametrize("state", ["waiting", "disabled"])
@pytest.mark.parametrize("is_old", [False, True])
def test_one_that_may_not_be_searched_with_is_shown_without_its_place(
    app: Flask, world: World, owner: Browser, handed_in: Api, state: str, is_old: bool
) -> None:
    with app.app_context(), unit_of_work():
        if state == "waiting":
            db.session.execute(update(Membership).values(admission=Admission.WAITING))
        else:
            guests = select(Membership.user_id).join(User).where(User.email.startswith("ada@"))
            db.session.execute(update(User).where(User.id.in_(guests)).values(disabled_at=User.created_at))
    if is_old:
        # One that came before workers made a rendition of these: looking at it asks for that.
        app.extensions["redis"].flushall()
        assert owner.get(address(app)).status_code == 404
    world.work()
    shown = owner.get(address(app))
    assert shown.status_code == 200 and not place_in(shown.data)
    with app.app_context():
        assert db.session.scalars(select(Selfie.status)).one().value == "received"


def test_one_that_is_erased_while_its_rendition_is_made_leaves_none(
    app: Flask, world: World, handed_in: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context(), unit_of_work():
        db.session.execute(update(Membership).values(admission=Admission.WAITING))
        waiting = db.session.scalars(select(Selfie)).one().public_id
    store = app.extensions["blobs"]
    put = store.put

    def put_late(key: str, source: io.BytesIO) -> object:
        """The guest withdraws between the picture's being read and its rendition's being stored."""
        with app.app_context(), unit_of_work():
            selfie_erasure.withdraw(db.session.scalars(select(Selfie)).one().person)
        return put(key, source)

    monkeypatch.setattr(store, "put", put_late)
    with app.app_context():
        judging.check_selfie(waiting)
    monkeypatch.undo()
    world.work()
    assert list(app.extensions["settings"].data_dir.rglob("selfies/**/*.jpg")) == []
