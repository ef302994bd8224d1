"""Passwords: setting and changing them, and the link that sets a new one in place of one that is forgotten."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, select, update

from tests.support.actors import PASSWORD, Api, World, photos_with, selfie
from tests.support.browsing import Browser, error_at, text
from tests.support.limiting import limiting
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.errors import Conflict
from webapp.models import AuditEntry, LinkPurpose, Mail, Match, Selfie, SignInLink, User, UserSession
from webapp.queueing import unit_of_work
from webapp.services.accounts import accounts, address_claims, passwords, sign_in_links
from webapp.services.accounts.mail_budgets import MAILBOX, Purpose
from webapp.settings import Settings

ADA, BOB = "ada@example.com", "bob@example.com"
NEW = "another-long-secret"
OWN, FORGOTTEN = "/account/password", "/password/forgotten"


@pytest.fixture
def postbox(app: Flask, settings: Settings) -> Flask:
    """An app that keeps its mails to be read."""
    app.extensions["settings"] = settings.model_copy(update={"environment": "development"})
    return app


@pytest.fixture
def limited(settings: Settings, world: World) -> Iterator[Flask]:
    """An app whose limits are on, with an account."""
    world.person(ADA)
    yield from limiting(settings)


def user_of(email: str) -> User:
    return db.session.scalars(select(User).where(User.email == email)).one()


def change(app: Flask, statement: Any) -> None:
    with app.app_context():
        db.session.execute(statement)
        db.session.commit()


def count(app: Flask, model: Any) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model)) or 0


def reset_path(app: Flask, email: str, purpose: LinkPurpose = LinkPurpose.PASSWORD) -> str:
    """A link as the worker makes it for a mail."""
    with app.app_context(), unit_of_work():
        token = sign_in_links.new_token(user_of(email), purpose=purpose)
    return f"/password/{token}"


def can_sign_in(app: Flask, email: str, password: str) -> bool:
    return Browser(app).submit("/sign-in", {"login": email, "password": password}).status_code == 303


def is_signed_in(browser: Browser) -> bool:
    return browser.get("/api/me").status_code == 200


def without_password(app: Flask, world: World, email: str = ADA) -> Browser:
    """A browser that is signed in to an account with a proven address and no password."""
    world.person(email)
    browser = Browser(app).sign_in(email, PASSWORD)
    change(app, update(User).where(User.email == email).values(password_hash=None))
    return browser


# --- signed in ---


def test_an_account_without_a_password_sets_one(app: Flask, world: World) -> None:
    browser = without_password(app, world)
    assert 'name="current"' not in browser.get(OWN).text
    assert browser.submit(OWN, {"password": NEW}).status_code == 303
    assert can_sign_in(app, ADA, NEW)


def test_changing_a_password_asks_for_the_present_one(app: Flask, world: World) -> None:
    world.person(ADA)
    browser = Browser(app).sign_in(ADA, PASSWORD)
    for current in ("", "wrong-password"):
        answer = browser.submit(OWN, {"current": current, "password": NEW})
        assert answer.status_code == 422
        assert error_at(answer, "current")
    assert can_sign_in(app, ADA, PASSWORD)
    assert browser.submit(OWN, {"current": PASSWORD, "password": NEW}).status_code == 303
    assert can_sign_in(app, ADA, NEW)
    assert not can_sign_in(app, ADA, PASSWORD)


def test_a_changed_password_signs_out_all_but_the_browser_that_changed_it(app: Flask, api: Api, world: World) -> None:
    world.person(ADA)
    browser, other = (Browser(app).sign_in(ADA, PASSWORD) for _ in range(2))
    client = api.login(ADA)
    copied = Browser(app)
    cookie = browser.client.get_cookie("findme")
    assert cookie is not None
    copied.client.set_cookie("findme", cookie.value)
    assert is_signed_in(copied)
    browser.submit(OWN, {"current": PASSWORD, "password": NEW})
    assert is_signed_in(browser)
    assert not is_signed_in(other)
    assert not is_signed_in(copied)
    assert client.get("/me").status_code == 401
    assert count(app, UserSession) == 1


def test_a_changed_password_is_in_the_audit_log(app: Flask, world: World) -> None:
    world.person(ADA)
    Browser(app).sign_in(ADA, PASSWORD).submit(OWN, {"current": PASSWORD, "password": NEW})
    with app.app_context():
        line = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "password.changed")).one()
        assert (line.actor_id, line.object_id) == (user_of(ADA).id, user_of(ADA).public_id)


@pytest.mark.parametrize("password", ["", "short12", "x" * 201])
def test_a_password_of_another_length_is_refused(app: Flask, world: World, password: str) -> None:
    browser = without_password(app, world)
    answer = browser.submit(OWN, {"password": password})
    assert answer.status_code == 422
    assert "at least 8 characters" in error_at(answer, "password")
    with app.app_context():
        assert user_of(ADA).password_hash is None


def test_an_account_without_an_address_gives_one_first(app: Flask, world: World) -> None:
    browser = without_password(app, world)
    change(app, update(User).values(email=None, email_verified_at=None, username=None, username_key=None))
    assert "/account/address" in browser.get(OWN).text
    token = browser.token("/")
    answer = browser.client.post(OWN, data={"csrf_token": token, "password": NEW})
    assert answer.status_code == 422
    assert "give your account one first" in text(answer)


def test_a_password_of_an_unproven_account_finds_it_by_its_address(app: Flask, world: World) -> None:
    browser = without_password(app, world)
    change(app, update(User).where(User.email == ADA).values(email_verified_at=None))
    browser.submit(OWN, {"password": NEW})
    assert can_sign_in(app, ADA, NEW)


def test_a_password_that_was_checked_against_an_older_one_is_not_set(app: Flask, world: World) -> None:
    world.person(ADA)
    with app.app_context():
        new = passwords.prepare(NEW)
        user = user_of(ADA)
        proof = user.password_hash
        with unit_of_work():
            passwords.change(user, passwords.prepare("a-third-secret"), proof)
        with pytest.raises(Conflict) as caught, unit_of_work():
            passwords.change(user, new, proof)
        assert caught.value.code == "password_changed"
    assert can_sign_in(app, ADA, "a-third-secret")


# --- forgotten ---


def test_a_forgotten_password_is_set_by_a_mailed_link(postbox: Flask, world: World) -> None:
    world.person(ADA)
    browser = Browser(postbox)
    assert browser.submit(FORGOTTEN, {"email": " ADA@example.com "}).status_code == 303
    world.work()
    with postbox.app_context():
        mail = db.session.scalars(select(Mail)).one()
        assert (mail.kind, mail.recipient, mail.user_id) == (passwords.RESET_KIND, ADA, None)
        found = re.search(r"http://localhost(/password/[\w-]+)", mail.rendered or "")
    assert found
    assert browser.submit(found[1], {"password": NEW}).status_code == 303
    assert is_signed_in(browser)
    assert can_sign_in(postbox, ADA, NEW)


def test_opening_a_reset_link_changes_nothing(app: Flask, world: World) -> None:
    world.person(ADA)
    path, scanner = reset_path(app, ADA), Browser(app)
    for _ in range(3):
        assert scanner.get(path).status_code == 200
    assert not is_signed_in(scanner)
    assert can_sign_in(app, ADA, PASSWORD)
    assert scanner.client.post(path, data={"password": NEW}).status_code == 400, "without a token"
    assert scanner.submit(path, {"password": "short"}).status_code == 422
    assert scanner.submit(path, {"password": NEW}).status_code == 303


def test_a_reset_link_works_once(app: Flask, world: World) -> None:
    world.person(ADA)
    path = reset_path(app, ADA)
    assert Browser(app).submit(path, {"password": NEW}).status_code == 303
    assert Browser(app).submit(path, {"password": "a-third-secret"}, page="/").status_code == 404
    assert can_sign_in(app, ADA, NEW)


def test_used_expired_and_unknown_reset_links_get_one_answer_with_the_field_for_an_address(
    app: Flask, world: World
) -> None:
    world.person(ADA)
    world.person(BOB)
    used, expired = reset_path(app, ADA), reset_path(app, BOB)
    Browser(app).submit(used, {"password": NEW})
    change(app, update(SignInLink).where(SignInLink.used_at.is_(None)).values(expires_at=utcnow()))
    browser, pages = Browser(app), set()
    for path in (used, expired, "/password/unknown", "/sign-in/unknown"):
        answer = browser.get(path)
        assert answer.status_code == 404
        pages.add(re.sub(r'(csrf_token"[^>]*value="|X-CSRFToken": ")[^"]*', "", text(answer)).replace(path, ""))
        assert 'action="/sign-in/link"' in answer.text
    assert len(pages) == 1
    assert can_sign_in(app, BOB, PASSWORD)


def test_a_reset_link_is_over_after_an_hour(app: Flask, world: World) -> None:
    world.person(ADA)
    path = reset_path(app, ADA)
    with app.app_context():
        ends = db.session.scalars(select(SignInLink.expires_at)).one()
        assert timedelta(minutes=59) < ends - utcnow() <= timedelta(hours=1)
    change(app, update(SignInLink).values(expires_at=utcnow() - timedelta(seconds=1)))
    assert Browser(app).submit(path, {"password": NEW}, page="/").status_code == 404
    assert can_sign_in(app, ADA, PASSWORD)


def test_a_new_password_ends_sessions_api_tokens_and_other_reset_links(app: Flask, api: Api, world: World) -> None:
    world.person(ADA)
    browser, client = Browser(app).sign_in(ADA, PASSWORD), api.login(ADA)
    first, second = reset_path(app, ADA), reset_path(app, ADA)
    owner = Browser(app)
    assert owner.submit(first, {"password": NEW}).status_code == 303
    assert is_signed_in(owner)
    assert not is_signed_in(browser)
    assert client.get("/me").status_code == 401
    assert Browser(app).submit(second, {"password": PASSWORD}, page="/").status_code == 404


def test_a_link_for_one_purpose_never_serves_the_other(app: Flask, world: World) -> None:
    world.person(ADA)
    reset = reset_path(app, ADA).rpartition("/")[2]
    sign_in = reset_path(app, ADA, LinkPurpose.SIGN_IN).rpartition("/")[2]
    browser = Browser(app)
    assert browser.get(f"/sign-in/{reset}").status_code == 404
    assert browser.submit(f"/sign-in/{reset}", page="/").status_code == 404
    assert browser.get(f"/password/{sign_in}").status_code == 404
    assert browser.submit(f"/password/{sign_in}", {"password": NEW}, page="/").status_code == 404
    assert not is_signed_in(browser)
    assert can_sign_in(app, ADA, PASSWORD)
    with app.app_context():
        assert db.session.scalars(select(SignInLink.used_at)).all() == [None, None]


def test_asking_is_answered_alike_and_takes_the_same_statements_for_any_address(app: Flask, world: World) -> None:
    world.person(ADA)
    seen = {}
    for address in (ADA, "unknown@example.com"):
        browser, statements = Browser(app), []
        token = browser.token(FORGOTTEN)
        with app.app_context():
            engine = db.engine

        def note(_c: Any, _k: Any, statement: str, *_rest: Any, into: list[str] = statements) -> None:
            into.append(statement)

        event.listen(engine, "before_cursor_execute", note)
        answer = browser.client.post(FORGOTTEN, data={"csrf_token": token, "email": address})
        event.remove(engine, "before_cursor_execute", note)
        seen[address] = (answer.status_code, answer.headers["Location"], statements, text(browser.get("/sign-in")))
        assert "on its way" in seen[address][3]
    known, unknown = seen.values()
    assert known[:3] == unknown[:3]
    assert count(app, Mail) == 2


def test_no_link_is_sent_to_an_unknown_or_disabled_address(postbox: Flask, world: World) -> None:
    world.person(ADA)
    change(postbox, update(User).values(disabled_at=utcnow()))
    for address in (ADA, "unknown@example.com", "no address"):
        assert Browser(postbox).submit(FORGOTTEN, {"email": address}).status_code == 303
    world.work()
    assert count(postbox, Mail) == 2
    assert count(postbox, SignInLink) == 0


def test_a_reset_link_to_an_account_disabled_meanwhile_opens_nothing(app: Flask, world: World) -> None:
    world.person(ADA)
    path = reset_path(app, ADA)
    change(app, update(User).where(User.email == ADA).values(disabled_at=utcnow()))
    assert Browser(app).submit(path, {"password": NEW}, page="/").status_code == 404


def test_a_mailbox_gets_a_limited_number_of_reset_links_and_they_take_none_of_its_sign_in_links(
    postbox: Flask, world: World
) -> None:
    world.person(ADA)
    for _ in range(MAILBOX[Purpose.PASSWORD] + 2):
        assert Browser(postbox).submit(FORGOTTEN, {"email": ADA}).status_code == 303
    assert count(postbox, Mail) == MAILBOX[Purpose.PASSWORD]
    Browser(postbox).submit("/sign-in/link", {"email": ADA}, page="/sign-in")
    assert count(postbox, Mail) == MAILBOX[Purpose.PASSWORD] + 1


def test_requests_for_addresses_without_account_are_forgotten(app: Flask) -> None:
    Browser(app).submit(FORGOTTEN, {"email": "unknown@example.com"})
    change(app, update(Mail).values(created_at=utcnow() - address_claims.FORGOTTEN - timedelta(seconds=1)))
    with app.app_context():
        address_claims.lapse()
    assert count(app, Mail) == 0


# --- accounts that a stranger made with the owner's address ---


def test_a_reset_link_to_a_strangers_account_drops_all_that_the_stranger_had(
    app: Flask, api: Api, world: World
) -> None:
    world.add_photos(world.event(), *photos_with("grace", 1))
    stranger = api.register(world.code)  # types ada@example.com, which is not theirs
    stranger.upload_selfie(selfie("grace"))
    world.work()
    assert len(stranger.photo_ids()) == 1
    owner = Browser(app)
    assert owner.submit(reset_path(app, ADA), {"password": NEW}).status_code == 303
    assert stranger.get("/me").status_code == 401
    assert not can_sign_in(app, ADA, PASSWORD)
    assert can_sign_in(app, ADA, NEW)
    assert (count(app, Selfie), count(app, Match)) == (0, 0)


def test_a_stranger_who_asks_for_a_reset_gets_nothing_of_the_proven_owners(
    postbox: Flask, api: Api, world: World
) -> None:
    world.event()
    api.register(world.code)
    with postbox.app_context(), unit_of_work():
        owner = accounts.create_user(
            email=ADA, name="Ada", verified=True, password_hash=accounts.hash_password(PASSWORD)
        ).public_id
    Browser(postbox).submit(FORGOTTEN, {"email": ADA})
    world.work()
    with postbox.app_context():
        links = db.session.scalars(select(SignInLink).where(SignInLink.purpose == LinkPurpose.PASSWORD)).all()
        assert [db.session.get_one(User, link.user_id).public_id for link in links] == [owner]
    assert can_sign_in(postbox, ADA, PASSWORD)


def test_a_strangers_wrong_present_passwords_count_for_their_own_account_alone(limited: Flask) -> None:
    browser = Browser(limited).sign_in(ADA, PASSWORD)
    token = browser.token(OWN)
    statuses = [
        browser.client.post(OWN, data={"csrf_token": token, "current": f"wrong-{n}", "password": NEW}).status_code
        for n in range(12)
    ]
    assert statuses[0] == 422
    assert statuses[-1] == 429
    right = browser.client.post(OWN, data={"csrf_token": token, "current": PASSWORD, "password": NEW})
    assert right.status_code == 303, "what is right is served"
    assert can_sign_in(limited, ADA, NEW)
