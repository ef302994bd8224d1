"""Pictures of selfies that are of no use any more: they go, and their rows keep the reason."""

import io
import re
from datetime import timedelta

import pytest
from flask import Flask
from PIL import Image
from sqlalchemy import select, update

from tests.support.actors import PASSWORD, Api, World, selfie
from tests.support.browsing import Browser
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import Lease, Selfie, SelfieStatus
from webapp.queueing import unit_of_work
from webapp.services.queries import guest_list
from webapp.services.selfies import judging
from webapp.services.upkeep import cleanup

pytestmark = pytest.mark.both_databases


def grey() -> bytes:
    """A picture without a face."""
    file = io.BytesIO()
    Image.new("RGB", (800, 800), (120, 125, 130)).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def event_id(world: World) -> str:
    return world.event()


@pytest.fixture
def guest(api: Api, world: World, event_id: str) -> Api:
    """A guest whose only selfie was refused."""
    guest = api.register(world.code)
    hand_in(world, guest, grey())
    return guest


def hand_in(world: World, guest: Api, picture: bytes, **form: str) -> None:
    assert guest.upload_selfie(picture, **form).status_code == 200
    world.work()


def pictures(app: Flask) -> list[str]:
    """Names of the stored pictures of selfies."""
    return sorted(key.rpartition("/")[2] for key in app.extensions["blobs"].keys("events/") if "/selfies/" in key)


def later(app: Flask, world: World, hours: float) -> None:
    """Let time pass, and the periodic cleanup run."""
    with app.app_context():
        with unit_of_work():
            for row in db.session.scalars(select(Selfie).where(Selfie.decided_at.is_not(None))):
                row.decided_at = row.decided_at and row.decided_at - timedelta(hours=hours)
            db.session.execute(update(Lease).values(expires_at=utcnow() - timedelta(seconds=1)))
        assert cleanup.tidy()
    world.work()


def states(app: Flask) -> list[tuple[SelfieStatus, str | None]]:
    with app.app_context():
        return [(row.status, row.reason) for row in db.session.scalars(select(Selfie).order_by(Selfie.id))]


def test_a_refused_selfies_pictures_go_after_a_day_and_its_row_stays(app: Flask, world: World, guest: Api) -> None:
    later(app, world, hours=23.9)
    assert pictures(app) == ["original.jpg", "preview.jpg"]
    later(app, world, hours=0.2)
    assert pictures(app) == []
    assert states(app) == [(SelfieStatus.REJECTED, "no_face")]
    assert guest.get("/rematch-status").json["reason"] == "no_face"  # type: ignore[index]


def test_an_accepted_selfie_stays(app: Flask, world: World, guest: Api) -> None:
    hand_in(world, guest, selfie("grace"))
    later(app, world, hours=1000)
    assert pictures(app) == ["original.jpg", "preview.jpg"]


@pytest.mark.parametrize("adds", ["false", "true"])
def test_a_refused_selfies_pictures_go_when_a_later_one_is_accepted(
    app: Flask, world: World, guest: Api, adds: str
) -> None:
    hand_in(world, guest, selfie("grace"), add=adds)
    assert pictures(app) == ["original.jpg", "preview.jpg"]
    assert [status for status, _ in states(app)] == [SelfieStatus.REJECTED, SelfieStatus.ACCEPTED]


def test_those_of_a_refused_one_after_an_accepted_one_stay_a_day(app: Flask, world: World, guest: Api) -> None:
    hand_in(world, guest, selfie("grace"))
    hand_in(world, guest, grey())
    assert len(pictures(app)) == 4
    later(app, world, hours=25)
    assert len(pictures(app)) == 2


def test_those_of_a_replaced_selfie_go_at_once(app: Flask, world: World, guest: Api) -> None:
    hand_in(world, guest, selfie("grace"))
    hand_in(world, guest, selfie("grace"))
    assert len(pictures(app)) == 2


def test_an_earlier_one_that_is_refused_last_goes_at_once(app: Flask, world: World, guest: Api) -> None:
    assert guest.upload_selfie(grey()).status_code == 200
    with app.app_context():
        waiting = db.session.scalars(select(Selfie).order_by(Selfie.id.desc())).first()
        assert waiting is not None
        waiting_id = waiting.public_id
    app.extensions["redis"].flushall()
    hand_in(world, guest, selfie("grace"))
    assert len(pictures(app)) == 3, "the one that waits has no preview yet"
    with app.app_context():
        judging.check_selfie(waiting_id)
    world.work()
    assert len(pictures(app)) == 2


def test_a_failed_one_keeps_its_picture_until_it_is_replaced(
    app: Flask, world: World, guest: Api, event_id: str
) -> None:
    with app.app_context(), unit_of_work():
        db.session.execute(update(Selfie).values(status=SelfieStatus.FAILED, reason="crashed"))
    later(app, world, hours=1000)
    assert len(pictures(app)) == 2
    hand_in(world, guest, selfie("grace"))
    assert len(pictures(app)) == 2
    with app.app_context(), unit_of_work():
        assert guest_list.retry(db.session.scalars(select(Selfie)).first().person.membership.event) == 0  # type: ignore[union-attr]


def test_pages_cope_without_the_picture(app: Flask, world: World, guest: Api, event_id: str) -> None:
    with app.app_context():
        row = db.session.scalars(select(Selfie)).one()
        address, person_id = f"/media/selfies/{row.public_id}", row.person.public_id
    studio = Browser(app).sign_in("photographer@example.com", PASSWORD)
    pages = [f"/studio/events/{event_id}/guests", f"/studio/events/{event_id}/guests/{person_id}"]
    assert [address in studio.get(page).text for page in pages] == [True, True]
    with studio.get(address) as answer:
        assert answer.status_code == 200
    later(app, world, hours=25)
    for page in pages:
        answer = studio.get(page)
        assert answer.status_code == 200 and address not in answer.text
    assert studio.get(address).status_code == 404
    own = Browser(app).sign_in("ada@example.com", PASSWORD).get(f"/e/{world.code}")
    assert own.status_code in (200, 303) and not re.search("/media/selfies/", own.text)
