"""Form fields for roles.

An attacker adds fields to forms and bodies that no page offers: a role, somebody else's id, the time of a proof or of
an admission.

What must hold: a form changes what it is for. Nobody's role, rights, proofs, admission or owner is changed by any.
"""

import io
from typing import Any

import pytest
from flask import Flask

from tests.attacks.two_events import ADMIN, Side, TwoEvents, build
from tests.support.actors import PASSWORD, Api, World, selfie
from tests.support.browsing import Browser
from webapp.db.extensions import db
from webapp.models import Event, Invitation, Membership, User

NOW = "2026-01-01 00:00:00"


@pytest.fixture
def two(app: Flask, world: World, api: Api) -> TwoEvents:
    return build(app, world, api)


def forged(two: TwoEvents) -> dict[str, str]:
    """Fields that stand for columns and for arguments of services, as an attacker guesses them."""
    flags = ("is_admin", "admin", "is_photographer", "verified", "admitted", "is_active", "runs_event", "consent_all")
    moments = ("email_verified_at", "email_claimed_at", "created_at", "expires_at", "granted_at", "published_at")
    ids = {"event_id": two.b.ids["event_id"], "user_id": two.b.ids["user_id"], "owner_id": two.b.ids["user_id"]}
    rows = {"id": "1", "public_id": two.b.ids["user_id"], "membership_id": "1", "person_id": two.b.ids["person_id"]}
    words = {"role": "admin", "user_role": "admin", "status": "closed", "admission": "admitted", "user_type": "user"}
    money = {"call_limit": "0", "engine": "rekognition", "join_token": "known", "password_hash": "known"}
    more = {
        "disabled_at": "",
        "search_stopped_at": "",
        "selfies": "99",
        "User.role": "admin",
        "user[role]": "1",
    }
    return ids | rows | words | money | more | dict.fromkeys(flags, "1") | dict.fromkeys(moments, NOW)


def rights(app: Flask) -> dict[str, Any]:
    """Who may do what: all columns of accounts, places in events and events that give rights."""
    with app.app_context():
        users = {
            user.public_id: (user.role, user.email_verified_at, user.disabled_at, user.password_hash)
            for user in db.session.query(User)
        }
        places = {
            (row.event.public_id, row.user.public_id): (row.role, row.admission, row.search_stopped_at)
            for row in db.session.query(Membership)
        }
        events = {
            row.public_id: (row.code, row.join_token, row.status, row.engine, row.call_limit, row.admits_guests)
            for row in db.session.query(Event)
        }
    return {"users": users, "places": places, "events": events}


def forms_of(side: Side) -> list[tuple[str, str, dict[str, Any]]]:
    """Every form that changes something and takes fields: who sends it, where to, and what it asks for."""
    studio, event = f"/studio/events/{side.ids['event_id']}", f"/e/{side.code}"
    details = {"name": "Renamed", "date": "2026-07-01", "timezone": "UTC", "language": "", "accent": ""}
    return [
        ("guest", "/language", {"language": "fr"}),
        ("guest", f"{event}/matches/{side.ids['match_id']}", {"verdict": "confirmed"}),
        ("guest", f"{event}/selfie", {"file": (io.BytesIO(selfie("grace")), "me.jpg"), "consent": "y"}),
        ("guest", f"{event}/search", {}),
        ("guest", "/account/address", {"email": "ada@example.com"}),
        ("guest", f"{event}/withdraw", {}),
        ("team", f"{studio}/settings", details | {"code": side.code}),
        ("team", f"{studio}/settings/publishing", {"approval": "y", "waiting": "keep", "watermark": ""}),
        ("team", f"{studio}/settings/cover", {"photo": side.ids["photo_id"]}),
        ("team", f"{studio}/photos/actions", {"action": "hide", "ids": side.ids["photo_id"]}),
        ("team", f"{studio}/photos", {"files": (io.BytesIO(selfie("eileen")), "new.jpg")}),
        ("team", f"{studio}/cameras/{side.ids['camera_id']}", {"way": "behind", "minutes": "5"}),
        ("team", f"{studio}/upload-tokens", {"name": "Mine", "days": "30"}),
        ("team", f"{studio}/alerts/{side.ids['alert_id']}", {"decision": "allowed"}),
        ("team", f"{studio}/guests/{side.ids['person_id']}/selfies", {}),
        ("team", f"{studio}/guests/admit-all", {}),
        ("team", f"{studio}/rematch", {}),
        ("owner", f"{studio}/team", {"email": "third@example.org"}),
        ("admin", "/admin/people", {"email": "fourth@example.org"}),
    ]


def test_no_form_takes_fields_for_rights(two: TwoEvents) -> None:
    logins = {"guest": two.a.guest, "team": two.a.team, "owner": two.a.owner, "admin": ADMIN}
    people, before = {who: two.browser(login) for who, login in logins.items()}, rights(two.app)
    refused = {}
    for who, path, data in forms_of(two.a):
        answer = people[who].submit(path, forged(two) | data, page="/")
        if answer.status_code not in (200, 201, 303):
            refused[path] = answer.status_code
        assert rights(two.app) == before, path
    assert refused == {}, "a form that is refused proves nothing"


def test_no_body_of_the_api_takes_fields_for_rights(two: TwoEvents) -> None:
    guest, owner, before = two.api(two.a.guest), two.api(two.a.owner), rights(two.app)
    extra: dict[str, Any] = {name: value for name, value in forged(two).items() if name != "event_id"}
    studio = f"/photographer/events/{two.a.ids['event_id']}"
    calls = [
        (guest, "POST", "/consent", {"granted": True}),
        (guest, "POST", f"/matches/{two.a.ids['match_id']}", {"verdict": "confirmed"}),
        (guest, "POST", "/check-user-availability", {"event_code": two.a.code}),
        (owner, "PUT", f"{studio}/many-children", {"many_children": True}),
        (owner, "POST", f"{studio}/rematch", {}),
    ]
    for client, method, path, body in calls:
        answer = client.call(method, path, json=extra | body)
        assert answer.status_code < 300, (path, answer.text)
        assert rights(two.app) == before, path


NEWCOMER = {"username": "eve", "email": "eve@example.com", "password": PASSWORD}


@pytest.mark.parametrize("way", ["form", "json", "multipart"])
def test_who_joins_is_a_guest_whatever_they_send(two: TwoEvents, way: str) -> None:
    before, extra = rights(two.app), {k: v for k, v in forged(two).items() if k != "user_type"}
    if way == "json":
        body = extra | {"user_data": extra | NEWCOMER, "event_code": two.a.code, "consent": True}
        answer = Api(two.app).post("/register-with-event-code", json=body)
    elif way == "multipart":
        form = extra | NEWCOMER | {"event_code": two.a.code, "consent": "true"}
        form["file"] = (io.BytesIO(selfie("grace")), "me.jpg")  # type: ignore[assignment]
        answer = Api(two.app).post("/register-invite-with-selfie", data=form)
    else:
        form = extra | {"name": "eve", "email": "eve@example.com", "password": PASSWORD, "consent": "y"}
        form["file"] = (io.BytesIO(selfie("grace")), "me.jpg")  # type: ignore[assignment]
        answer = Browser(two.app).submit(f"/e/{two.a.code}", form)
    assert answer.status_code in (201, 303), answer.text
    after = rights(two.app)
    (new_user,) = set(after["users"]) - set(before["users"])
    assert after["users"][new_user][:3] == ("guest", None, None)
    (place,) = set(after["places"]) - set(before["places"])
    assert place == (two.a.ids["event_id"], new_user)
    assert after["places"][place][0] == "attendee"
    assert after["events"] == before["events"]
    assert {key: after["users"][key] for key in before["users"]} == before["users"]


def test_who_is_waiting_admits_nobody_by_joining(two: TwoEvents) -> None:
    settings = f"/studio/events/{two.a.ids['event_id']}/settings"
    owner = two.browser(two.a.owner)
    assert owner.submit(f"{settings}/joining", {"admits": "y", "join_days": ""}, page=settings).status_code == 303
    body = {"user_data": NEWCOMER | {"admission": "admitted"}, "event_code": two.a.code, "admitted": True}
    answer = Api(two.app).post("/register-with-event-code", json=body | {"admission": "admitted"})
    assert answer.status_code == 201
    with two.app.app_context():
        place = db.session.query(Membership).join(User).filter(User.email == "eve@example.com").one()
        assert place.admission == "waiting"


@pytest.mark.parametrize("user_type", ["admin", "photographer", "ADMIN", "owner", ["admin"], {"role": "admin"}, 1, ""])
def test_a_registration_for_another_kind_of_account_is_refused(two: TwoEvents, user_type: object) -> None:
    before = rights(two.app)
    body = {"user_data": NEWCOMER | {"user_type": user_type}, "event_code": two.a.code}
    assert Api(two.app).post("/register-with-event-code", json=body).status_code == 422
    assert rights(two.app) == before


def test_a_new_event_belongs_to_who_makes_it_whatever_they_send(two: TwoEvents) -> None:
    before, extra = rights(two.app), forged(two)
    details = {"name": "Mine", "date": "2026-07-01", "timezone": "UTC", "language": "", "accent": ""}
    assert two.browser(two.a.owner).submit("/studio/events/new", extra | details).status_code == 303
    body = extra | {"name": "Mine too", "date": "2026-07-01"}
    assert two.api(two.a.owner).post("/photographer/events", json=body).status_code == 201
    after = rights(two.app)
    new = set(after["places"]) - set(before["places"])
    with two.app.app_context():
        owner = db.session.query(User).filter_by(email=two.a.owner, name="alice").one().public_id
    assert len(new) == 2
    assert {(user, after["places"][event, user][0]) for event, user in new} == {(owner, "owner")}
    for event_id, _ in new:
        _, join_token, status, engine, limit, _ = after["events"][event_id]
        assert join_token != "known"
        assert (status, engine, limit) == ("open", "local", None)
    assert after["users"] == before["users"]


def test_an_invitation_gives_what_its_sender_chose(two: TwoEvents) -> None:
    """A photographer's form invites to one team; fields that would make it an admin's invitation change nothing."""
    team = f"/studio/events/{two.a.ids['event_id']}/team"
    asked = forged(two) | {"email": "fifth@example.org", "event": "", "kind": "photographer"}
    assert two.browser(two.a.owner).submit(team, asked, page=team).status_code == 303
    with two.app.app_context():
        row = db.session.query(Invitation).filter_by(email="fifth@example.org").one()
        event = db.session.get(Event, row.event_id)
        assert event is not None and event.public_id == two.a.ids["event_id"]
