"""Invitations: a link by mail that is good once, for seven days, and leads to an account or into a team."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from tests.support.actors import PASSWORD, Api, World
from tests.support.browsing import Browser, error_at, text
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import Invitation, Mail, MailStatus, Membership, MembershipRole, User, UserRole
from webapp.queueing import unit_of_work

ADMIN, OWNER, NEW = "admin@example.com", "photographer@example.com", "new@example.com"
ACCEPT = {"name": "New Photographer", "password": PASSWORD}


@pytest.fixture
def postbox(app: Flask) -> Flask:
    """The app on a developer's machine, where mails are kept to be read."""
    app.extensions["settings"] = app.extensions["settings"].model_copy(update={"environment": "development"})
    return app


def links(app: Flask) -> list[str]:
    """Paths of the invitations that went out, in order."""
    with app.app_context():
        mails = db.session.scalars(select(Mail).where(Mail.kind == "invitation").order_by(Mail.id)).all()
        return [found[1] for mail in mails if (found := re.search(r"http://localhost(/inv\S+)", mail.rendered or ""))]


def admin(app: Flask, world: World) -> Browser:
    world.person(ADMIN, UserRole.ADMIN)
    return Browser(app).sign_in(ADMIN, PASSWORD)


def invited(app: Flask, world: World, email: str = NEW) -> tuple[Browser, str]:
    """An admin who has invited somebody, and the link."""
    browser = admin(app, world)
    assert browser.submit("/admin/people", {"email": email}).status_code == 303
    world.work()
    return browser, links(app)[-1]


def user(app: Flask, email: str) -> User:
    with app.app_context():
        return db.session.scalars(select(User).where(User.email == email, User.email_verified_at.is_not(None))).one()


def test_an_admin_invites_and_somebody_new_becomes_a_photographer(postbox: Flask, world: World) -> None:
    browser, link = invited(postbox, world)
    assert NEW in browser.get("/admin/people").text
    newcomer = Browser(postbox)
    page = newcomer.submit(link, ACCEPT)
    assert (page.status_code, page.headers["Location"]) == (303, "/studio/")
    assert newcomer.get("/studio/").status_code == 200
    made = user(postbox, NEW)
    assert (made.role, made.name) == (UserRole.PHOTOGRAPHER, "New Photographer")
    assert Browser(postbox).sign_in(NEW, PASSWORD).get("/studio/").status_code == 200
    assert "works until" not in browser.get("/admin/people").text


def test_the_mail_speaks_the_language_of_whoever_asked_and_names_them(postbox: Flask, world: World) -> None:
    browser = admin(postbox, world)
    browser.submit("/language", {"language": "fr"}, page="/")
    browser.submit("/admin/people", {"email": NEW})
    world.work()
    with postbox.app_context():
        mail = db.session.scalars(select(Mail)).one()
        assert mail.language == "fr" and mail.params.keys() == {"invitation"}
        assert "admin" in (mail.rendered or "")


def test_only_a_hash_of_the_token_is_kept(postbox: Flask, world: World) -> None:
    _, link = invited(postbox, world)
    with postbox.app_context():
        row = db.session.scalars(select(Invitation)).one()
        assert link.rpartition("/")[2] not in (row.token_hash, row.public_id)
        assert timedelta(days=6, hours=23) < row.expires_at - utcnow() <= timedelta(days=7)


def test_opening_the_link_changes_nothing_and_accepting_uses_it_up(postbox: Flask, world: World) -> None:
    _, link = invited(postbox, world)
    scanner = Browser(postbox)
    for _ in range(3):
        assert scanner.get(link).status_code == 200
        assert scanner.client.head(link).status_code == 200
    assert Browser(postbox).submit(link, ACCEPT).status_code == 303
    again = Browser(postbox).get(link)
    assert again.status_code == 410
    assert "accepted already" in text(again)
    assert Browser(postbox).client.post(link, data=ACCEPT).status_code == 400, "no token of a form"


def test_a_faulty_form_does_not_use_the_link_up(postbox: Flask, world: World) -> None:
    _, link = invited(postbox, world)
    browser = Browser(postbox)
    answer = browser.submit(link, {"name": " ", "password": "short"})
    assert answer.status_code == 422
    assert error_at(answer, "name") and error_at(answer, "password")
    assert browser.submit(link, ACCEPT).status_code == 303


def test_expired_and_revoked_links_say_so(postbox: Flask, world: World) -> None:
    browser, link = invited(postbox, world)
    with postbox.app_context(), unit_of_work():
        db.session.execute(update(Invitation).values(expires_at=utcnow() - timedelta(seconds=1)))
        public_id = db.session.scalars(select(Invitation.public_id)).one()
    gone = Browser(postbox).get(link)
    assert gone.status_code == 410 and "run out" in text(gone)
    at = f"/admin/people/invitations/{public_id}"
    assert browser.submit(f"{at}/resend", page="/admin/people").status_code == 303
    # At once, as the page says, and not only when the new mail is on its way.
    assert Browser(postbox).get(link).status_code == 404
    world.work()
    newest = links(postbox)[-1]
    assert Browser(postbox).get(link).status_code == 404, "the mail before leads nowhere"
    assert Browser(postbox).get(newest).status_code == 200
    assert browser.submit(f"{at}/revoke", page="/admin/people").status_code == 303
    revoked = Browser(postbox).get(newest)
    assert revoked.status_code == 410 and "taken back" in text(revoked)
    assert browser.submit(f"{at}/resend", page="/admin/people").status_code == 404


def test_of_two_who_accept_at_once_one_wins(postbox: Flask, world: World) -> None:
    _, link = invited(postbox, world)
    browsers = [Browser(postbox) for _ in range(4)]
    tokens = [browser.token(link) for browser in browsers]

    def accept(browser: Browser, token: str) -> int:
        return browser.client.post(link, data={**ACCEPT, "csrf_token": token}).status_code

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(accept, browsers, tokens))
    assert sorted(answers) == [303, 410, 410, 410]
    with postbox.app_context():
        assert len(db.session.scalars(select(User).where(User.email == NEW)).all()) == 1


def test_a_guest_signs_in_and_their_role_rises(postbox: Flask, world: World) -> None:
    world.person(NEW)
    _, link = invited(postbox, world)
    nobody = Browser(postbox).get(link)
    assert "/sign-in?next=/invitations/" in nobody.text and 'name="password"' not in nobody.text
    guest = Browser(postbox).sign_in(NEW, PASSWORD)
    assert guest.get("/studio/").status_code == 404
    assert guest.submit(link).status_code == 303
    assert guest.get("/studio/").status_code == 200
    assert user(postbox, NEW).role is UserRole.PHOTOGRAPHER


def test_whoever_typed_the_address_before_gets_nothing_by_it(postbox: Flask, world: World, api: Api) -> None:
    world.event()
    squatter = api.register(world.code, "new")
    _, link = invited(postbox, world)
    assert Browser(postbox).submit(link, ACCEPT).status_code == 303
    assert user(postbox, NEW).username is None
    assert squatter.get("/photographer/events").status_code == 404


def test_a_photographer_is_not_invited_twice_and_nobodys_mailbox_is_flooded(postbox: Flask, world: World) -> None:
    browser, _ = invited(postbox, world)
    world.person(OWNER, UserRole.PHOTOGRAPHER)
    taken = browser.submit("/admin/people", {"email": OWNER})
    assert taken.status_code == 422 and "already" in error_at(taken, "email")
    statuses = [browser.submit("/admin/people", {"email": NEW}).status_code for _ in range(5)]
    assert statuses == [303, 303, 303, 303, 422]
    with postbox.app_context():
        assert len(db.session.scalars(select(Invitation)).all()) == 1, "asking again renews the one there is"


# --- the team of an event ---


def team_page(event_id: str) -> str:
    return f"/studio/events/{event_id}/team"


def role_of(app: Flask, email: str) -> MembershipRole | None:
    with app.app_context():
        return db.session.scalar(select(Membership.role).join(User).where(User.email == email))


def test_a_photographer_is_added_at_once_and_runs_the_event_but_not_its_team(postbox: Flask, world: World) -> None:
    event_id = world.event()
    second = world.person("second@example.com", UserRole.PHOTOGRAPHER)
    owner = Browser(postbox).sign_in(OWNER, PASSWORD)
    assert owner.submit(team_page(event_id), {"email": second}).status_code == 303
    assert owner.submit(team_page(event_id), {"email": second}).status_code == 422
    member = Browser(postbox).sign_in(second, PASSWORD)
    page = member.get(team_page(event_id))
    assert page.status_code == 200 and 'name="email"' not in page.text
    at = f"/studio/events/{event_id}"
    assert member.submit(team_page(event_id), {"email": NEW}).status_code == 403
    assert member.submit(f"{at}/settings/delete", {"name": "Party"}, page=f"{at}/settings").status_code == 422
    assert member.get(f"{at}/limit").status_code == 403
    owner_id = user(postbox, OWNER).public_id
    assert member.submit(f"{at}/team/members/{owner_id}/remove", page=team_page(event_id)).status_code == 403
    assert member.submit(f"{at}/settings/close", page=f"{at}/settings").status_code == 303
    assert links(postbox) == []


def test_who_is_added_at_once_is_told_by_mail_unless_they_are_out_again(postbox: Flask, world: World) -> None:
    event_id = world.event()
    second = world.person("second@example.com", UserRole.PHOTOGRAPHER)
    third = world.person("third@example.com", UserRole.PHOTOGRAPHER)
    owner = Browser(postbox).sign_in(OWNER, PASSWORD)
    for email in (second, third):
        assert owner.submit(team_page(event_id), {"email": email}).status_code == 303
    out = f"{team_page(event_id)}/members/{user(postbox, third).public_id}/remove"
    assert owner.submit(out, page=team_page(event_id)).status_code == 303
    world.work()
    with postbox.app_context():
        mails = {mail.recipient: mail for mail in db.session.scalars(select(Mail).where(Mail.kind == "team"))}
        rendered = mails[second].rendered or ""
        assert "Party" in rendered and f"/studio/events/{event_id}" in rendered
        assert {mail.status for mail in mails.values()} == {MailStatus.SENT}
        assert mails[third].rendered is None, "there is nothing to say to somebody who is out again"


def test_somebody_new_is_invited_into_the_team_by_mail(postbox: Flask, world: World) -> None:
    event_id = world.event()
    owner = Browser(postbox).sign_in(OWNER, PASSWORD)
    assert owner.submit(team_page(event_id), {"email": NEW}).status_code == 303
    world.work()
    (link,) = links(postbox)
    newcomer = Browser(postbox)
    assert "Party" in newcomer.get(link).text
    assert newcomer.submit(link, ACCEPT).status_code == 303
    assert newcomer.get(f"/studio/events/{event_id}").status_code == 200
    assert role_of(postbox, NEW) is MembershipRole.TEAM


def test_members_leave_are_removed_and_take_over(postbox: Flask, world: World) -> None:
    event_id = world.event()
    second = world.person("second@example.com", UserRole.PHOTOGRAPHER)
    owner, at = Browser(postbox).sign_in(OWNER, PASSWORD), f"/studio/events/{event_id}"
    owner.submit(team_page(event_id), {"email": second})
    member, second_id = Browser(postbox).sign_in(second, PASSWORD), user(postbox, second).public_id
    owner_id = user(postbox, OWNER).public_id
    leave = f"{at}/team/members/{owner_id}/remove"
    assert owner.submit(leave, page=team_page(event_id)).status_code == 409, "an owner can't leave"
    assert owner.submit(f"{at}/team/members/{second_id}/owner", page=team_page(event_id)).status_code == 303
    assert (role_of(postbox, OWNER), role_of(postbox, second)) == (MembershipRole.TEAM, MembershipRole.OWNER)
    assert owner.submit(f"{at}/team/members/{second_id}/owner", page=team_page(event_id)).status_code == 403
    assert owner.submit(leave, page=team_page(event_id)).headers["Location"] == "/studio/"
    assert owner.get(at).status_code == 404
    assert member.get(at).status_code == 200
    assert role_of(postbox, OWNER) is None


def test_who_joined_as_a_guest_stays_one_when_they_leave_the_team(postbox: Flask, world: World, api: Api) -> None:
    event_id = world.event()
    second = world.person("second@example.com", UserRole.PHOTOGRAPHER)
    guest = api.login(second)
    assert guest.post("/join-event", json={"event_code": world.code, "consent": True}).status_code == 200
    owner = Browser(postbox).sign_in(OWNER, PASSWORD)
    assert owner.submit(team_page(event_id), {"email": second}).status_code == 303
    assert role_of(postbox, second) is MembershipRole.TEAM
    second_id = user(postbox, second).public_id
    remove = f"/studio/events/{event_id}/team/members/{second_id}/remove"
    assert owner.submit(remove, page=team_page(event_id)).status_code == 303
    assert role_of(postbox, second) is MembershipRole.ATTENDEE
