"""Tokens that may upload to one event and do nothing else."""

import io
import re
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from tests.support.actors import PASSWORD, Api, World, photos_with
from tests.support.browsing import Browser, error_at, text
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.errors import Conflict, Invalid
from webapp.models import Event, Membership, MembershipRole, Photo, UploadToken, User
from webapp.queueing import unit_of_work
from webapp.services.uploads import upload_tokens
from webapp.web.access.permissions import PERMISSIONS, Who

OWNER = "photographer@example.com"


def event_of(public_id: str) -> Event:
    return db.session.scalars(select(Event).where(Event.public_id == public_id)).one()


def make(app: Flask, event_id: str, name: str = "Laptop") -> Api:
    """A client with a new token of the event's owner."""
    with app.app_context(), unit_of_work():
        event = event_of(event_id)
        return Api(app, upload_tokens.create(event, event.memberships[0].user, name)[1])


def change(app: Flask, statement: object) -> None:
    with app.app_context():
        db.session.execute(statement)  # type: ignore[call-overload]
        db.session.commit()


def test_what_it_sends_counts_as_its_makers(app: Flask, world: World) -> None:
    event_id = world.event()
    program = make(app, event_id)
    facts = program.get("/upload-token").json
    assert (facts["event"]["id"], facts["event"]["name"], facts["code"]) == (event_id, "Party", "PARTY234")
    assert facts["open"] is True and facts["name"] == "Laptop"
    photo = photos_with("grace", 1)[0]
    assert [program.upload_photos(event_id, photo).json["files"][0]["status"] for _ in range(2)] == [
        "accepted",
        "duplicate",
    ]
    with app.app_context():
        uploader = db.session.scalars(select(Photo.uploaded_by_id)).one()
        assert db.session.get_one(User, uploader).email == OWNER
        assert db.session.scalars(select(UploadToken.last_used_at)).one() is not None


def test_it_opens_nothing_else(app: Flask, world: World) -> None:
    """Every address of the product, with every method."""
    event_id = world.event()
    program = make(app, event_id)
    tried = 0
    for rule in app.url_map.iter_rules():
        if PERMISSIONS[rule.endpoint] in (Who.ANYONE, Who.UPLOADER, Who.UPLOAD_TOKEN):
            continue
        path = re.sub(
            r"<(?:[^:>]*:)?(\w+)>", lambda m: {"event_id": event_id, "code": "PARTY234"}.get(m[1], "1"), str(rule)
        )
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            answer = app.test_client().open(path, method=method, headers={"Authorization": f"Bearer {program.token}"})
            assert answer.status_code in ((401,) if path.startswith("/api/") else (303, 401)), f"{method} {path}"
            tried += 1
    assert tried > 40


def test_it_is_no_sign_in_beside_a_browsers_cookie_either(app: Flask, world: World) -> None:
    event_id = world.event()
    program, browser = make(app, event_id), Browser(app).sign_in(OWNER, PASSWORD)
    answer = browser.get("/api/me", headers={"Authorization": f"Bearer {program.token}"})
    assert answer.status_code == 401


def test_another_event_is_not_there(app: Flask, world: World) -> None:
    program = make(app, world.event())
    for other in (world.event("OTHER234"), "AAAAAAAAAAAAAAAA"):
        assert program.upload_photos(other, photos_with("grace", 1)[0]).status_code == 404


@pytest.mark.parametrize("why", ["revoked", "too old", "maker disabled", "maker left the team", "made up"])
def test_one_that_ended_is_refused_with_a_sentence(app: Flask, world: World, why: str) -> None:
    event_id = world.event()
    program = make(app, event_id)
    if why == "made up":
        program = Api(app, upload_tokens.PREFIX + "x" * 43)
    else:
        statements = {
            "revoked": update(UploadToken).values(revoked_at=utcnow()),
            "too old": update(UploadToken).values(expires_at=utcnow() - timedelta(seconds=1)),
            "maker disabled": update(User).values(disabled_at=utcnow()),
            "maker left the team": update(Membership).values(role=MembershipRole.ATTENDEE),
        }
        assert program.get("/upload-token").status_code == 200
        change(app, statements[why])
    for answer in (program.get("/upload-token"), program.upload_photos(event_id, photos_with("grace", 1)[0])):
        assert answer.status_code == 401 and answer.json["code"] == "upload_token_invalid"
        assert "is kept" in answer.json["detail"]


def test_a_person_is_told_that_this_is_for_programs(app: Flask, world: World, api: Api) -> None:
    world.event()
    answer = api.login(OWNER).get("/upload-token")
    assert (answer.status_code, answer.json["code"]) == (403, "upload_token_needed")


def test_only_its_hash_is_kept(app: Flask, world: World) -> None:
    program = make(app, world.event())
    with app.app_context():
        row = db.session.scalars(select(UploadToken)).one()
        kept = [str(getattr(row, column.key)) for column in UploadToken.__table__.columns]
    assert not any((program.token or "")[len(upload_tokens.PREFIX) :] in value for value in kept)


def test_rules_of_a_new_one(app: Flask, world: World) -> None:
    event_id = world.event()
    with app.app_context():
        event = event_of(event_id)
        user = event.memberships[0].user
        for name, days in (("", 30), ("x" * 81, 30), ("a\x00b", 30), ("Laptop", 31), ("Laptop", 0)):
            with pytest.raises(Invalid), unit_of_work():
                upload_tokens.create(event, user, name, days)
        with unit_of_work():
            for number in range(upload_tokens.MAX_TOKENS):
                upload_tokens.create(event, user, f"Laptop {number}")
        with pytest.raises(Conflict) as full, unit_of_work():
            upload_tokens.create(event, user, "One more")
        assert full.value.code == "upload_tokens_too_many"


def test_the_page_shows_a_token_once_and_ends_it(app: Flask, world: World) -> None:
    event_id = world.event()
    path = f"/studio/events/{event_id}/upload-tokens"
    browser = Browser(app).sign_in(OWNER, PASSWORD)
    assert "No program can upload" in text(browser.get(path))
    refused = browser.submit(path, {"name": " ", "days": "30"})
    assert refused.status_code == 422 and "what the token is for" in error_at(refused, "name")
    assert browser.submit(path, {"name": "Laptop", "days": "many"}).status_code == 422
    made = browser.submit(path, {"name": "Laptop <1>", "days": "7"})
    assert made.status_code == 201 and "no-store" in made.headers["Cache-Control"]
    found = re.search(rf"{upload_tokens.PREFIX}[\w-]{{43}}", text(made))
    assert found and found[0] not in text(browser.get(path)) and "Laptop <1>" in text(browser.get(path))
    program = Api(app, found[0])
    assert program.get("/upload-token").status_code == 200
    ending = re.search(rf'action="({path}/[^/"]+/revoke)"', browser.get(path).text)
    assert ending
    assert browser.submit(ending[1], page=path).status_code == 303
    assert program.get("/upload-token").status_code == 401
    assert "what it sent is kept" in text(browser.get(path)).lower()
    assert browser.submit(ending[1], page=path).status_code == 404


def test_a_closed_event_answers_so(app: Flask, world: World) -> None:
    from webapp.models import EventStatus

    event_id = world.event()
    program = make(app, event_id)
    change(app, update(Event).values(status=EventStatus.CLOSED))
    answer = program.upload_photos(event_id, ("a.jpg", b"x"))
    assert (answer.status_code, answer.json["code"]) == (409, "event_closed")
    assert program.get("/upload-token").json["open"] is False
    page = Browser(app).sign_in(OWNER, PASSWORD).get(f"/studio/events/{event_id}/upload-tokens")
    assert "takes no more photos" in text(page)


def test_it_needs_no_csrf_token(app: Flask, world: World) -> None:
    event_id = world.event()
    answer = app.test_client().post(
        f"/api/photographer/events/{event_id}/upload-photos",
        data={"files": [(io.BytesIO(photos_with("grace", 1)[0][1]), "a.jpg")]},
        headers={"Authorization": f"Bearer {make(app, event_id).token}"},
    )
    assert answer.status_code == 200
