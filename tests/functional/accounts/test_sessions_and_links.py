"""Being signed in: sessions that rotate and end, two kinds of token, passwords, and links that come by mail."""

import io
import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from tests.support import memory
from tests.support.actors import PASSWORD, Api, World, photos_with, selfie
from tests.support.browsing import Browser, text
from tests.support.postoffice import Postoffice, open_postoffice, with_smtp
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import Consent, Mail, MailStatus, Match, Selfie, SignInLink, User, UserRole, UserSession
from webapp.services.accounts import accounts
from webapp.services.accounts.mail_budgets import MAILBOX, Purpose
from webapp.services.core import claims
from webapp.services.core.consents import CONSENT_VERSION
from webapp.settings import Settings

JOIN, PHOTOS = "/e/PARTY234", "/e/PARTY234/photos"
COOKIE = "findme"


def count(app: Flask, model: Any) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model)) or 0


def change(app: Flask, statement: Any) -> None:
    with app.app_context():
        db.session.execute(statement)
        db.session.commit()


def cookie(browser: Browser) -> str:
    found = browser.client.get_cookie(COOKIE)
    assert found is not None
    return found.value


def who(browser: Browser) -> str | None:
    """Whose session it is."""
    answer = browser.get("/api/me")
    return answer.json["email"] if answer.status_code == 200 else None


def joined(app: Flask, email: str, *, name: str = "Ada") -> Browser:
    """Somebody who joined through the page, with a selfie and without a password."""
    browser = Browser(app)
    form = {"name": name, "email": email, "consent": "y", "consent_version": CONSENT_VERSION}
    answer = browser.submit(JOIN, form | {"file": (io.BytesIO(selfie("grace")), "me.jpg")})
    assert answer.status_code == 303, text(answer)
    return browser


# --- sessions ---


def test_signing_in_gives_a_new_session_and_ends_the_one_before(app: Flask, world: World) -> None:
    for person in ("ada@example.com", "bob@example.com"):
        world.person(person)
    browser = Browser(app)
    token = browser.token("/")
    before = cookie(browser)
    browser.submit("/language", {"language": "fr"}, page="/")
    browser.sign_in("ada@example.com", PASSWORD)
    first = cookie(browser)
    assert first != before
    assert browser.client.post("/sign-out", data={"csrf_token": token}).status_code == 400
    assert 'lang="fr"' in browser.get("/").text
    browser.submit("/sign-in", {"login": "bob@example.com", "password": PASSWORD}, page="/")
    assert who(browser) == "bob@example.com"
    thief = Browser(app)
    thief.client.set_cookie(COOKIE, first)
    assert who(thief) is None
    assert count(app, UserSession) == 1


def test_signing_out_kills_the_session_everywhere_it_was_copied_to(app: Flask, world: World) -> None:
    world.person("ada@example.com")
    browser = Browser(app).sign_in("ada@example.com", PASSWORD)
    other = Browser(app).sign_in("ada@example.com", PASSWORD)
    copied = Browser(app)
    copied.client.set_cookie(COOKIE, cookie(browser))
    assert who(copied) == "ada@example.com"
    browser.submit("/sign-out", page="/")
    assert who(browser) is None and who(copied) is None
    assert who(other) == "ada@example.com"


def test_sessions_end_by_themselves(app: Flask, world: World) -> None:
    world.person("ada@example.com")
    browser = Browser(app).sign_in("ada@example.com", PASSWORD)
    change(app, update(UserSession).values(expires_at=utcnow() - timedelta(seconds=1)))
    assert who(browser) is None


def test_a_token_of_the_api_is_no_cookie_and_a_cookies_is_no_token(app: Flask, api: Api, world: World) -> None:
    world.person("ada@example.com")
    bearer = api.login("ada@example.com").token
    browser = Browser(app).sign_in("ada@example.com", PASSWORD)
    with browser.client.session_transaction() as session:
        inside = session["_user_id"]
        session["_user_id"] = bearer
    assert who(browser) is None
    assert Api(app, inside).get("/me").status_code == 401
    assert Api(app, bearer).get("/me").status_code == 200


def test_with_a_bearer_token_no_cookie_decides(app: Flask, api: Api, world: World) -> None:
    for person in ("ada@example.com", "bob@example.com"):
        world.person(person)
    browser = Browser(app).sign_in("ada@example.com", PASSWORD)
    for token, status in ((api.login("bob@example.com").token, 200), ("garbage", 401), ("", 401)):
        answer = browser.get("/api/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == status
        assert status == 401 or answer.json["email"] == "bob@example.com"
    write = browser.client.post("/api/consent", json={"granted": True}, headers={"Authorization": "Bearer garbage"})
    assert write.status_code == 401


def test_the_cookie_is_kept_from_scripts_and_other_sites(app: Flask, world: World) -> None:
    world.person("ada@example.com")
    browser = Browser(app)
    form = {"login": "ada@example.com", "password": PASSWORD, "csrf_token": browser.token("/sign-in")}
    header = browser.client.post("/sign-in", data=form).headers["Set-Cookie"]
    assert "HttpOnly" in header and "SameSite=Lax" in header and "Expires=" in header


def test_only_hashes_of_tokens_are_kept(app: Flask, api: Api, world: World) -> None:
    world.person("ada@example.com")
    token = api.login("ada@example.com").token
    with app.app_context():
        kept = db.session.scalars(select(UserSession)).one()
        assert token not in (kept.token_hash, kept.user_agent)
        assert kept.expires_at > utcnow() + timedelta(days=29)


# --- passwords ---


def test_passwords_are_kept_as_argon2id(app: Flask, api: Api, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "_hasher", memory.PRODUCTION_HASHER)
    world.event()
    api.register(world.code)
    with app.app_context():
        user = db.session.scalars(select(User).where(User.username == "ada")).one()
        assert (user.password_hash or "").startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert api.login("ada").get("/me").status_code == 200


def test_a_password_counts_to_its_last_character(app: Flask, api: Api, world: World) -> None:
    world.event()
    api.register(world.code)
    for wrong in (PASSWORD[:-1], PASSWORD + " ", PASSWORD.upper(), "", "x" * 1000):
        assert api.post("/login", json={"username": "ada", "password": wrong}).status_code == 401


def test_an_account_without_a_password_has_no_empty_one(app: Flask, world: World) -> None:
    world.event()
    joined(app, "ada@example.com")
    for password in ("", "None", PASSWORD):
        answer = Browser(app).submit("/sign-in", {"login": "ada@example.com", "password": password})
        assert answer.status_code == 422


def test_whoever_takes_anothers_address_for_a_name_learns_nothing_by_it(app: Flask, api: Api, world: World) -> None:
    world.person("ada@example.com")
    world.event()
    body = {"username": "ada@example.com", "email": "eve@example.com", "password": "eves own password"}
    api.post("/register-with-event-code", json={"user_data": body, "event_code": world.code})
    assert api.login("ada@example.com").get("/me").json["email"] == "ada@example.com"


# --- links ---


@pytest.fixture
def development(settings: Settings) -> Settings:
    """A developer's machine without a mail server."""
    return settings.model_copy(update={"environment": "development"})


@pytest.fixture
def postbox(app: Flask, development: Settings) -> Flask:
    """The app on such a machine: mails are kept to be read."""
    app.extensions["settings"] = development
    return app


def links(app: Flask) -> list[tuple[str, str]]:
    """To whom links went, and their paths, in order."""
    with app.app_context():
        mails = db.session.scalars(select(Mail).where(Mail.rendered.is_not(None)).order_by(Mail.id)).all()
        return [(mail.recipient, path_in(mail.rendered or "")) for mail in mails]


def path_in(mail: str) -> str:
    found = re.search(r"http://localhost(/sign-in/[\w-]+)", mail)
    assert found, mail
    return found[1]


def test_a_known_address_joins_like_any_other_and_the_link_brings_both_accounts_together(
    postbox: Flask, world: World
) -> None:
    world.event()
    world.person("ada@example.com")
    newcomer = joined(postbox, "Ada@Example.com")
    world.work()
    assert who(newcomer) == "ada@example.com"
    ((recipient, path),) = links(postbox)
    assert recipient == "ada@example.com"
    owner = Browser(postbox)
    assert owner.submit(path).status_code == 303
    assert who(owner) == "ada@example.com"
    # The known account, with its password; the place in the event is its own now, and whoever made it is signed out.
    assert owner.get("/api/me").json["username"] == "ada"
    assert owner.get(PHOTOS).status_code == 200
    assert who(newcomer) is None
    assert count(postbox, Selfie) == 0
    with postbox.app_context():
        proven = db.session.scalars(select(User).where(User.email_verified_at.is_not(None))).all()
        assert {user.email for user in proven} == {"photographer@example.com", "ada@example.com"}


def test_opening_a_link_changes_nothing_until_somebody_taps(postbox: Flask, world: World) -> None:
    world.event()
    joined(postbox, "ada@example.com")
    world.work()
    ((_, path),) = links(postbox)
    scanner = Browser(postbox)
    for _ in range(3):
        assert scanner.get(path).status_code == 200
        assert scanner.client.head(path).status_code == 200
    assert who(scanner) is None
    with postbox.app_context():
        assert db.session.scalars(select(SignInLink.used_at)).all() == [None]
        assert db.session.scalars(select(User.email_verified_at).where(User.email == "ada@example.com")).one() is None
    assert scanner.client.post(path).status_code == 400
    assert scanner.submit(path).headers["Location"] == PHOTOS


def test_a_link_works_once_and_not_for_long(postbox: Flask, world: World) -> None:
    world.event()
    joined(postbox, "ada@example.com")
    world.work()
    ((_, path),) = links(postbox)
    browser = Browser(postbox)
    assert browser.submit(path).status_code == 303
    assert Browser(postbox).submit(path).status_code == 404
    asked = Browser(postbox)
    asked.submit("/sign-in/link", {"email": " ADA@example.com "}, page="/sign-in")
    world.work()
    late = links(postbox)[-1][1]
    assert late != path
    change(postbox, update(SignInLink).values(expires_at=utcnow() - timedelta(seconds=1)))
    assert Browser(postbox).submit(late).status_code == 404
    assert who(browser) == "ada@example.com"


def test_links_are_kept_as_hashes_and_the_token_lies_in_no_table_before_it_is_sent(
    postbox: Flask, world: World
) -> None:
    world.event()
    joined(postbox, "ada@example.com")
    assert count(postbox, SignInLink) == 0
    world.work()
    token = links(postbox)[0][1].rpartition("/")[2]
    with postbox.app_context():
        assert token not in db.session.scalars(select(SignInLink.token_hash)).one()


def test_nothing_is_sent_to_an_unknown_or_disabled_address(postbox: Flask, world: World) -> None:
    world.person("ada@example.com")
    change(postbox, update(User).values(disabled_at=utcnow()))
    for address in ("ada@example.com", "nobody@example.com"):
        Browser(postbox).submit("/sign-in/link", {"email": address}, page="/sign-in")
    world.work()
    assert count(postbox, Mail) == 2, "the same is done for an address that nobody has"
    assert links(postbox) == [] and count(postbox, SignInLink) == 0


def test_a_link_to_a_disabled_account_opens_nothing(postbox: Flask, world: World) -> None:
    world.event()
    joined(postbox, "ada@example.com")
    world.work()
    change(postbox, update(User).where(User.email == "ada@example.com").values(disabled_at=utcnow()))
    browser = Browser(postbox)
    assert browser.submit(links(postbox)[0][1]).status_code == 404
    assert who(browser) is None


def test_whoever_proves_an_address_drops_what_somebody_else_had_set_up_with_it(
    postbox: Flask, api: Api, world: World
) -> None:
    world.add_photos(world.event(), *photos_with("grace", 1))
    stranger = api.register(world.code)  # types ada@example.com, which is not theirs, with a password
    stranger.upload_selfie(selfie("grace"))
    world.work()
    assert len(stranger.photo_ids()) == 1
    owner = Browser(postbox)
    assert owner.submit(links(postbox)[0][1]).status_code == 303
    assert who(owner) == "ada@example.com"
    assert stranger.get("/me").status_code == 401
    assert api.post("/login", json={"username": "ada", "password": PASSWORD}).status_code == 401
    assert (count(postbox, Selfie), count(postbox, Match)) == (0, 0)
    with postbox.app_context():
        assert db.session.scalars(select(Consent.withdrawn_at)).one() is not None


def test_whoever_proves_their_own_address_in_the_same_browser_keeps_everything(postbox: Flask, world: World) -> None:
    world.add_photos(world.event(), *photos_with("grace", 1))
    browser = joined(postbox, "ada@example.com")
    world.work()
    assert browser.get(PHOTOS).text.count('<li id="photo-') == 1
    assert browser.submit(links(postbox)[0][1]).headers["Location"] == PHOTOS
    assert browser.get(PHOTOS).text.count('<li id="photo-') == 1
    assert count(postbox, UserSession) == 1


def test_of_two_accounts_of_one_address_the_first_proven_one_holds_it(postbox: Flask, world: World) -> None:
    world.event()
    joined(postbox, "ada@example.com", name="First")
    joined(postbox, "ada@example.com", name="Second")
    world.work()
    paths = [path for _, path in links(postbox)]
    opened = []
    for path in paths:
        browser = Browser(postbox)
        assert browser.submit(path).status_code == 303
        opened.append(browser.get("/api/me").json["id"])
    assert opened[0] == opened[1]
    with postbox.app_context():
        assert db.session.scalar(select(func.count()).where(User.email_verified_at.is_not(None))) == 2


def test_mails_come_in_the_readers_language(postbox: Flask, world: World) -> None:
    world.person("ada@example.com")
    browser = Browser(postbox)
    browser.submit("/language", {"language": "fr"}, page="/")
    browser.submit("/sign-in/link", {"email": "ada@example.com"}, page="/sign-in")
    world.work()
    with postbox.app_context():
        mail = db.session.scalars(select(Mail)).one()
        assert mail.language == "fr" and "Bonjour" in (mail.rendered or "")


# --- mail servers ---


def ask_for_link(app: Flask, world: World) -> None:
    world.person("ada@example.com")
    Browser(app).submit("/sign-in/link", {"email": "ada@example.com"}, page="/sign-in")


def mail_row(app: Flask) -> tuple[MailStatus, str | None, int]:
    with app.app_context():
        row = db.session.scalars(select(Mail)).one()
        return row.status, row.failure_reason, row.retries


def test_a_link_goes_out_over_smtp_as_text_and_html(app: Flask, world: World) -> None:
    ask_for_link(app, world)
    with open_postoffice(Postoffice()) as office:
        with_smtp(app, f"smtp://127.0.0.1:{office.port}")
        world.work()
    (mail,) = office.taken
    assert mail["To"] == "ada@example.com" and mail["Subject"]
    parts = {part.get_content_type(): part.get_content() for part in mail.walk() if not part.is_multipart()}
    assert set(parts) == {"text/plain", "text/html"}
    path = path_in(parts["text/plain"])
    assert path in parts["text/html"]
    assert mail_row(app)[0] is MailStatus.SENT
    with app.app_context():
        assert db.session.scalars(select(Mail.rendered)).one() is None, "a mail that went out is kept nowhere"
    browser = Browser(app)
    assert browser.submit(path).status_code == 303
    assert who(browser) == "ada@example.com"


def test_the_password_of_a_mail_server_is_sent_over_tls_only(app: Flask, world: World) -> None:
    ask_for_link(app, world)
    with open_postoffice(Postoffice(("STARTTLS", "AUTH PLAIN LOGIN"))) as office:
        with_smtp(app, f"smtp://user:secret@127.0.0.1:{office.port}")
        world.work()
    commands = [line.split(" ")[0].upper() for line in office.said]
    assert commands[:2] == ["EHLO", "STARTTLS"]
    assert "AUTH" not in commands, "its certificate is nobody's, so it gets neither password nor mail"
    with open_postoffice(Postoffice(("AUTH PLAIN LOGIN",))) as plain:
        with_smtp(app, f"smtp://user:secret@127.0.0.1:{plain.port}")
        change(app, update(Mail).values(retry_at=None))
        _send_again(app, world)
    assert not [line for line in plain.said if line.upper().startswith(("AUTH", "MAIL"))]
    assert mail_row(app) == (MailStatus.WAITING, None, 2)


def test_a_server_that_is_busy_or_away_gets_the_mail_later(app: Flask, world: World) -> None:
    ask_for_link(app, world)
    with open_postoffice(Postoffice(busy=True)) as office:
        with_smtp(app, f"smtp://127.0.0.1:{office.port}")
        world.work()
    assert mail_row(app) == (MailStatus.WAITING, None, 1)
    change(app, update(Mail).values(retry_at=None))
    _send_again(app, world)
    assert mail_row(app) == (MailStatus.WAITING, None, 2)
    with open_postoffice(Postoffice()) as office:
        with_smtp(app, f"smtp://127.0.0.1:{office.port}")
        change(app, update(Mail).values(retry_at=None))
        _send_again(app, world)
    assert len(office.taken) == 1
    assert mail_row(app)[0] is MailStatus.SENT


def test_a_mail_that_can_never_be_sent_ends_with_its_reason(app: Flask, world: World) -> None:
    ask_for_link(app, world)
    with_smtp(app, "smtp://127.0.0.1:1")
    world.work()
    for _ in range(5):
        change(app, update(Mail).values(retry_at=None))
        _send_again(app, world)
    assert mail_row(app)[:2] == (MailStatus.FAILED, "mail_server_away")


def test_a_mail_that_kills_its_worker_is_set_aside(app: Flask, world: World) -> None:
    ask_for_link(app, world)
    change(app, update(Mail).values(crashes=claims.MAX_CRASHES))
    world.work()
    assert mail_row(app)[:2] == (MailStatus.FAILED, "crashed")


def test_the_first_admin_comes_from_the_command_line(app: Flask, api: Api) -> None:
    answer = app.test_cli_runner().invoke(args=["findme", "create-admin", "admin@example.com", "--password", PASSWORD])
    assert answer.exit_code == 0, answer.output
    assert api.login("admin@example.com").get("/me").json["role"] == UserRole.ADMIN
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(User)) == 1


def _send_again(app: Flask, world: World) -> None:
    from webapp.web import mails

    with app.app_context():
        public_id = db.session.scalars(select(Mail.public_id)).one()
        db.session.rollback()
        mails.send(public_id)


def test_nobody_can_flood_a_mailbox_with_links(world: World, api: Api, app: Flask) -> None:
    world.event()
    for number in range(8):
        api.post(
            "/register-with-event-code",
            json={
                "user_data": {"username": f"n{number}", "email": "ada@example.com", "password": PASSWORD},
                "event_code": world.code,
            },
        )
    with app.app_context():
        assert len(db.session.scalars(select(Mail)).all()) == MAILBOX[Purpose.JOINED]
