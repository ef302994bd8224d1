"""Gaining rights beyond one event.

An attacker could own an event (or be asked into a team by mail), invite accounts of their own to it and so make
photographers of the installation: each could create events, and invite others. The team of one event could also pass
it on to somebody who may not own events.

What must hold: a team invitation gives rights in its event and in no other place. Only an admin's invitation makes a
photographer. Who leaves the team has nothing in the studio any more. What pages and mails say of it is true.
"""

import re

import pytest
from flask import Flask
from sqlalchemy import select

from tests.support.actors import PASSWORD, Api, World
from tests.support.browsing import Browser, text
from webapp.db.extensions import db
from webapp.models import Event, Mail, Membership, MembershipRole, User, UserRole

OWNER, HELPER, ADMIN = "photographer@example.com", "helper@example.com", "admin@example.com"
ACCEPT = {"name": "Second Camera", "password": PASSWORD}
NEW_EVENT = {"name": "Mine", "date": "2026-07-01", "timezone": "UTC", "language": "", "accent": ""}


@pytest.fixture
def postbox(app: Flask) -> Flask:
    """The app on a developer's machine, where mails are kept to be read."""
    app.extensions["settings"] = app.extensions["settings"].model_copy(update={"environment": "development"})
    return app


def invited(app: Flask, world: World, page: str, inviter: str) -> str:
    """Invite HELPER on a page; returns the link of the mail."""
    assert Browser(app).sign_in(inviter, PASSWORD).submit(page, {"email": HELPER}).status_code == 303
    world.work()
    with app.app_context():
        mail = db.session.scalars(select(Mail).where(Mail.kind == "invitation").order_by(Mail.id.desc())).first()
        found = re.search(r"http://localhost(/inv\S+)", (mail.rendered or "") if mail else "")
    assert found, "no link was mailed"
    return found[1]


def helper(app: Flask, world: World, event_id: str) -> Browser:
    """The browser of somebody new who has accepted a team invitation."""
    browser = Browser(app)
    link = invited(app, world, f"/studio/events/{event_id}/team", OWNER)
    accepted = browser.submit(link, ACCEPT)
    assert (accepted.status_code, accepted.headers["Location"]) == (303, f"/studio/events/{event_id}")
    return browser


def account(app: Flask, email: str = HELPER) -> User:
    with app.app_context():
        return db.session.scalars(select(User).where(User.email == email)).one()


def test_a_team_invitation_makes_nobody_a_photographer(postbox: Flask, world: World, api: Api) -> None:
    browser = helper(postbox, world, world.event())
    assert account(postbox).role is UserRole.GUEST
    assert browser.get("/studio/events/new").status_code == 404
    assert browser.submit("/studio/events/new", NEW_EVENT, page="/studio/").status_code == 404
    client = api.login(HELPER)
    body = {"name": "Mine", "date": "2026-07-01"}
    assert client.post("/photographer/events", json=body).status_code == 404
    with postbox.app_context():
        assert len(db.session.scalars(select(Event)).all()) == 1


def test_pages_say_what_a_team_invitation_gives(postbox: Flask, world: World) -> None:
    event_id = world.event()
    browser = helper(postbox, world, event_id)
    welcome = text(browser.get(f"/studio/events/{event_id}"))
    assert "You are in the team of Party now." in welcome
    assert "You can make events" not in welcome


def test_a_member_has_a_studio_with_the_events_that_they_run(postbox: Flask, world: World, api: Api) -> None:
    event_id = world.event()
    world.event("OTHER234", owner="rival@example.com")
    helper(postbox, world, event_id)
    browser = Browser(postbox)
    signed_in = browser.submit("/sign-in", {"login": HELPER, "password": PASSWORD})
    assert signed_in.headers["Location"] == "/studio/"
    studio = text(browser.get("/studio/"))
    assert event_id in studio and "OTHER234" not in studio
    assert "/studio/events/new" not in studio
    assert 'href="/studio/"' in browser.get("/").text, "the navigation leads there"
    assert [row["id"] for row in api.login(HELPER).get("/photographer/events").json] == [event_id]
    assert browser.get(f"/studio/events/{event_id}/guests").status_code == 200


def test_who_leaves_the_team_is_a_guest_again(postbox: Flask, world: World, api: Api) -> None:
    event_id = world.event()
    browser = helper(postbox, world, event_id)
    client = api.login(HELPER)
    page = f"/studio/events/{event_id}/team"
    left = browser.submit(f"{page}/members/{account(postbox).public_id}/remove", page=page)
    assert (left.status_code, left.headers["Location"]) == (303, "/")
    for path in ("/studio/", page, f"/studio/events/{event_id}"):
        assert browser.get(path).status_code == 404, path
    assert 'href="/studio/"' not in browser.get("/").text
    assert client.get("/photographer/events").status_code == 404


def test_an_event_is_handed_over_to_photographers_only(postbox: Flask, world: World) -> None:
    event_id = world.event()
    helper(postbox, world, event_id)
    owner, page = Browser(postbox).sign_in(OWNER, PASSWORD), f"/studio/events/{event_id}/team"
    hand_over = f"{page}/members/{account(postbox).public_id}/owner"
    assert hand_over not in owner.get(page).text
    refused = owner.submit(hand_over, page=page)
    assert refused.status_code == 409 and "Only photographers own events" in text(refused)
    with postbox.app_context():
        roles = db.session.execute(select(User.email, Membership.role).join(Membership)).tuples().all()
    assert dict(roles) == {OWNER: MembershipRole.OWNER, HELPER: MembershipRole.TEAM}


def test_the_invitation_of_an_admin_still_makes_a_photographer(postbox: Flask, world: World) -> None:
    world.person(ADMIN, UserRole.ADMIN)
    browser = Browser(postbox)
    accepted = browser.submit(invited(postbox, world, "/admin/people", ADMIN), ACCEPT)
    assert accepted.headers["Location"] == "/studio/"
    assert "You can make events now." in text(browser.get("/studio/"))
    assert account(postbox).role is UserRole.PHOTOGRAPHER


def test_a_known_guest_is_asked_by_mail_and_keeps_their_role(postbox: Flask, world: World) -> None:
    event_id = world.event()
    world.person(HELPER)
    link = invited(postbox, world, f"/studio/events/{event_id}/team", OWNER)
    guest = Browser(postbox).sign_in(HELPER, PASSWORD)
    assert guest.get("/studio/").status_code == 404, "asked, and not yet in the team"
    assert guest.submit(link).status_code == 303
    assert guest.get("/studio/").status_code == 200
    assert account(postbox).role is UserRole.GUEST
