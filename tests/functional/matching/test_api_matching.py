"""The five calls that start matching, over the JSON API: each answers first, and the work happens in the queue."""

import io

import pytest

from tests.support.actors import PASSWORD, Api, World, photos_with, photos_without, selfie
from webapp import queueing

pytestmark = pytest.mark.both_databases


@pytest.fixture
def event_id(world: World) -> str:
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 3), *photos_without("grace", 2))
    return event_id


def queued(app: object, name: str) -> int:
    with app.app_context():  # type: ignore[attr-defined]
        return len(queueing.queue(name).get_job_ids())


def test_a_selfie_finds_its_photos_and_no_others(api: Api, world: World, event_id: str) -> None:
    guest = api.register(world.code)
    assert guest.upload_selfie(selfie("grace")).json == {"status": "received"}
    assert guest.get("/rematch-status").json["status"] == "queued"
    assert guest.photo_ids() == []
    world.work()
    status = guest.get("/rematch-status").json
    assert status["status"] == "done"
    assert (status["photos_total"], status["photos_indexed"]) == (5, 5)
    assert status["matches"] == 3
    found = guest.get("/my-photos").json
    assert len(found) == 3
    assert all(row["band"] == "sure" and row["similarity"] >= 0.5 for row in found)
    assert guest.get("/my-photos?band=maybe").json == []


def test_photos_uploaded_later_are_found_without_asking(api: Api, world: World, event_id: str) -> None:
    guest = api.register(world.code)
    guest.upload_selfie(selfie("grace"))
    world.work()
    before = guest.photo_ids()
    world.add_photos(event_id, *photos_with("grace", 5)[3:])
    world.work()
    assert len(guest.photo_ids()) == len(before) + 2


def test_registering_with_a_code_starts_nothing_without_a_selfie(api: Api, world: World, app: object) -> None:
    world.event()
    answer = api.post(
        "/register-with-event-code",
        json={
            "user_data": {"username": "Ada", "email": "ada@example.com", "password": PASSWORD, "user_type": "attendee"},
            "event_code": "party 234",
        },
    )
    assert answer.status_code == 201
    body = answer.json
    assert body["token_type"] == "bearer" and body["consent_required"] is True
    assert body["user"]["username"] == "Ada" and "password" not in str(body["user"])
    assert queued(app, queueing.SELFIES) == 0


def test_invitation_with_a_selfie(api: Api, world: World, event_id: str, app: object) -> None:
    form = {"username": "grace", "email": "g@example.com", "password": PASSWORD, "event_code": world.code}
    refused = api.post("/register-invite-with-selfie", data=form | {"file": (io.BytesIO(selfie("grace")), "a.jpg")})
    assert refused.status_code == 422 and refused.json["code"] == "consent_required"
    answer = api.post(
        "/register-invite-with-selfie",
        data=form | {"consent": "true", "file": (io.BytesIO(selfie("grace")), "a.jpg")},
    )
    assert answer.status_code == 201, answer.text
    assert answer.json["selfie"] == {"status": "received"}
    assert queued(app, queueing.SELFIES) == 1
    world.work()
    assert len(Api(api.app, answer.json["access_token"]).photo_ids()) == 3


def test_uploading_a_selfie_needs_consent(api: Api, world: World, event_id: str) -> None:
    guest = api.register(world.code, consent=False)
    refused = guest.upload_selfie(selfie("grace"))
    assert refused.status_code == 409 and refused.json["code"] == "consent_required"
    assert guest.upload_selfie(selfie("grace"), consent="true").status_code == 200


@pytest.mark.parametrize("who", ["photographer", "admin"])
def test_rematch_by_photographer_and_admin(api: Api, world: World, event_id: str, who: str, app: object) -> None:
    from webapp.models import UserRole

    guest = api.register(world.code)
    guest.upload_selfie(selfie("grace"))
    world.work()
    before = guest.get("/my-photos").json
    world.person("admin@example.com", UserRole.ADMIN)
    caller = api.login(f"{who}@example.com")
    answer = caller.post(f"/{who}/events/{event_id}/rematch")
    assert (answer.status_code, answer.json) == (202, {"status": "queued", "selfies": 1})
    assert queued(app, queueing.MAINTENANCE) == 1
    world.work()
    assert guest.get("/my-photos").json == before


def test_joining_a_further_event_takes_the_selfie_along(api: Api, world: World, event_id: str) -> None:
    guest = api.register(world.code)
    guest.upload_selfie(selfie("grace"))
    world.work()
    second = world.event("SECOND22")
    world.add_photos(second, *photos_with("grace", 2))
    answer = guest.post("/join-event", json={"event_code": "second22", "consent": True})
    assert answer.status_code == 200 and answer.json["selfie"] == {"status": "received"}
    world.work()
    assert len(guest.get(f"/my-photos?event_id={second}").json) == 2


def test_not_me_is_for_ever(api: Api, world: World, event_id: str) -> None:
    guest = api.register(world.code)
    guest.upload_selfie(selfie("grace"))
    world.work()
    first = guest.get("/my-photos").json[0]
    answer = guest.post(f"/matches/{first['match_id']}", json={"verdict": "rejected"})
    assert answer.status_code == 200 and answer.json["verdict"] == "rejected"
    world.work()
    api.login("photographer@example.com").post(f"/photographer/events/{event_id}/rematch")
    guest.upload_selfie(selfie("grace"))
    world.work()
    assert first["id"] not in guest.photo_ids()
    assert guest.get(f"/photo/{first['id']}").status_code == 404


def test_a_refused_selfie_keeps_the_one_before(api: Api, world: World, event_id: str) -> None:
    guest = api.register(world.code)
    guest.upload_selfie(selfie("grace"))
    world.work()
    before = guest.photo_ids()
    guest.upload_selfie(_grey())
    world.work()
    status = guest.get("/rematch-status").json
    assert status["status"] == "rejected" and status["reason"] == "no_face" and status["detail"]
    assert guest.photo_ids() == before


def test_a_new_selfie_replaces_the_old_ones_matches(api: Api, world: World, event_id: str) -> None:
    guest = api.register(world.code)
    guest.upload_selfie(selfie("grace"))
    world.work()
    graces = set(guest.photo_ids())
    guest.upload_selfie(selfie("eileen"))
    world.work()
    eileens = set(guest.photo_ids())
    assert eileens and eileens != graces


def _grey() -> bytes:
    from PIL import Image

    target = io.BytesIO()
    Image.new("RGB", (900, 900), (120, 125, 130)).save(target, "JPEG")
    return target.getvalue()
