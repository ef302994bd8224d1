"""Development helpers on an installation that is none: the page of mails, and accounts whose passwords were printed.

What must hold: /dev/mail is there only where `make run` started the process as a demo, and answers only a browser on
the same machine. The demo's accounts open nothing where no demo was started, whatever was opened while there was one.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from tests.support.actors import PASSWORD, Api, World, password_hash
from tests.support.browsing import Browser, text
from webapp import create_app
from webapp.db.extensions import db
from webapp.demo import demo_event, facts
from webapp.models import Event, Mail, User, UserRole
from webapp.queueing import unit_of_work
from webapp.services.accounts import accounts, demo_accounts
from webapp.services.uploads import upload_tokens
from webapp.settings import ROOT, Settings

DEMO = {"environment": "development", "started_as_demo": True}
ADMIN = "admin@example.com"
OWN = {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost:8000"}


def made(settings: Settings, **changes: object) -> Flask:
    """The app of a new process with these settings."""
    return create_app(settings.model_copy(update=changes))


def mails(app: Flask, **environ: str) -> int:
    """The status of the page of mails, for a request of the machine's own browser that differs in these points."""
    wanted = {name: value for name, value in (OWN | environ).items() if value}
    return app.test_client().get("/dev/mail", environ_overrides=wanted).status_code


@pytest.fixture
def demo_app(app: Flask, settings: Settings) -> Flask:
    """An app that was started as a demo; `app` has made the database."""
    return made(settings, **DEMO)


# --- the page of mails ---


@pytest.mark.parametrize(
    "changes",
    [
        {"environment": "production", "public_url": "https://photos.example.com"},
        {"environment": "production", "public_url": "https://photos.example.com", "started_as_demo": True},
        {"environment": "development"},
        {"environment": "development", "demo": True},
    ],
    ids=["production", "production that was told to be a demo", "development", "development with DEMO=1"],
)
def test_there_is_no_page_of_mails_without_a_demo(app: Flask, settings: Settings, changes: dict[str, object]) -> None:
    assert mails(made(settings, **changes)) == 404


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("127.0.0.1", "localhost:8000"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "LOCALHOST"),
        ("::1", "[::1]:8000"),
        ("::ffff:127.0.0.1", "localhost:8000"),
    ],
)
def test_the_machines_own_browser_reads_the_mails(demo_app: Flask, address: str, host: str) -> None:
    assert mails(demo_app, REMOTE_ADDR=address, HTTP_HOST=host) == 200


@pytest.mark.parametrize("address", ["192.0.2.7", "10.0.0.1", "::ffff:192.0.2.7", "2001:db8::1", "unix", "127.0.0.1.x"])
def test_other_machines_are_not_shown_the_mails(demo_app: Flask, address: str) -> None:
    assert mails(demo_app, REMOTE_ADDR=address) == 404


@pytest.mark.parametrize(
    "host",
    [
        "rebound.example:8000",
        "localhost.rebound.example",
        "127.0.0.1.rebound.example",
        "localhost@rebound.example",
        "localhost,rebound.example",
        "localhost:8000:1",
        "localhost.",
        "127.1",
        "0.0.0.0:8000",
        "[::]:8000",
    ],
)
def test_a_name_that_was_pointed_at_this_machine_shows_no_mails(demo_app: Flask, host: str) -> None:
    assert mails(demo_app, HTTP_HOST=host) == 404


@pytest.mark.parametrize(
    "header",
    [
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "X-Forwarded-Anything",
        "Forwarded",
        "Via",
        "X-Real-IP",
        "True-Client-IP",
        "CF-Connecting-IP",
        "CF-Ray",
        "Fly-Client-IP",
        "X-Original-Host",
    ],
)
def test_what_came_through_a_proxy_shows_no_mails(demo_app: Flask, header: str) -> None:
    assert mails(demo_app, **{f"HTTP_{header.upper().replace('-', '_')}": "127.0.0.1"}) == 404


def test_behind_trusted_proxies_no_header_makes_a_request_the_machines_own(app: Flask, settings: Settings) -> None:
    behind = made(settings, **DEMO, trusted_proxies=1)
    claims = {"HTTP_X_FORWARDED_FOR": "127.0.0.1", "HTTP_X_FORWARDED_HOST": "localhost"}
    assert mails(behind, REMOTE_ADDR="192.0.2.7", HTTP_HOST="photos.example.com", **claims) == 404
    assert mails(behind, **claims) == 404
    assert mails(behind) == 200


def test_a_mail_is_shown_with_its_text(app: Flask, settings: Settings, world: World) -> None:
    world.person("ada@example.com")
    app.extensions["settings"] = settings.model_copy(update=DEMO)
    Browser(app).submit("/sign-in/link", {"email": "ada@example.com"}, page="/sign-in")
    world.work()
    page = made(settings, **DEMO).test_client().get("/dev/mail", environ_overrides=OWN)
    with app.app_context():
        assert (db.session.scalars(select(Mail.rendered)).one() or "-").splitlines()[0] in text(page)


@pytest.fixture
def shown_mail(app: Flask, settings: Settings, world: World) -> str:
    """The address of a mail's HTML, on the page of mails."""
    world.person("ada@example.com")
    app.extensions["settings"] = settings.model_copy(update=DEMO)
    Browser(app).submit("/sign-in/link", {"email": "ada@example.com"}, page="/sign-in")
    world.work()
    with app.app_context():
        return f"/dev/mail/{db.session.scalars(select(Mail.public_id)).one()}/html"


def test_a_mails_html_is_shown_in_a_frame_in_which_nothing_runs(demo_app: Flask, shown_mail: str) -> None:
    client = demo_app.test_client()
    page = client.get("/dev/mail", environ_overrides=OWN).text
    assert f'src="{shown_mail}"' in page
    assert '<a href="http://localhost/sign-in/' in page
    answer = client.get(shown_mail, environ_overrides=OWN)
    assert '<base target="_top">' in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox allow-popups allow-top-navigation-by-user-activation" in policy
    assert "allow-scripts" not in policy + page
    assert "script-src" not in policy


@pytest.mark.parametrize(
    "environ", [{"REMOTE_ADDR": "192.0.2.7"}, {"HTTP_HOST": "rebound.example"}, {"HTTP_X_FORWARDED_FOR": "127.0.0.1"}]
)
def test_a_mails_html_is_shown_to_no_other_machine(demo_app: Flask, shown_mail: str, environ: dict[str, str]) -> None:
    assert demo_app.test_client().get(shown_mail, environ_overrides=OWN | environ).status_code == 404


def test_a_mails_html_is_not_there_without_a_demo(app: Flask, settings: Settings, shown_mail: str) -> None:
    plain = made(settings, environment="development")
    assert plain.test_client().get(shown_mail, environ_overrides=OWN).status_code == 404


def test_an_installation_that_sends_mails_keeps_none(app: Flask, world: World) -> None:
    world.person("ada@example.com")
    Browser(app).submit("/sign-in/link", {"email": "ada@example.com"}, page="/sign-in")
    world.work()
    with app.app_context():
        assert db.session.execute(select(Mail.rendered, Mail.rendered_html)).one() == (None, None)


# --- the accounts whose passwords were printed ---


@pytest.fixture
def demo_admin(app: Flask, settings: Settings) -> Flask:
    """The app as part of a demo, with the demo's admin; `ended` takes the demo away."""
    app.extensions["settings"] = settings.model_copy(update=DEMO)
    with app.app_context(), unit_of_work():
        kept = demo_accounts.marked(password_hash())
        accounts.create_user(email=ADMIN, name="A", password_hash=kept, role=UserRole.ADMIN, verified=True)
    return app


@contextmanager
def ended(app: Flask) -> Iterator[None]:
    """The same database under an app that was not started as a demo."""
    before = app.extensions["settings"]
    app.extensions["settings"] = before.model_copy(update={"started_as_demo": False})
    yield
    app.extensions["settings"] = before


def status_of_login(app: Flask, password: str = PASSWORD) -> int:
    return Api(app).post("/login", json={"username": ADMIN, "password": password}).status_code


def test_a_printed_password_signs_in_while_there_is_a_demo_only(demo_admin: Flask) -> None:
    assert status_of_login(demo_admin) == 200
    with ended(demo_admin):
        assert status_of_login(demo_admin) == 401
        assert "/sign-out" not in text(Browser(demo_admin).submit("/sign-in", {"login": ADMIN, "password": PASSWORD}))
    assert status_of_login(demo_admin) == 200


def test_who_was_signed_in_during_the_demo_is_not_afterwards(demo_admin: Flask) -> None:
    api = Api(demo_admin).login(ADMIN)
    browser = Browser(demo_admin).sign_in(ADMIN, PASSWORD)
    assert (api.get("/me").status_code, browser.get("/admin/").status_code) == (200, 200)
    with ended(demo_admin):
        assert api.get("/me").status_code == 401
        assert browser.get("/admin/").status_code != 200


def test_a_token_for_uploads_ends_with_the_demo(demo_admin: Flask, world: World) -> None:
    event_id = world.event()
    with demo_admin.app_context():
        with unit_of_work():
            event = db.session.scalars(select(Event).where(Event.public_id == event_id)).one()
            owner = event.memberships[0].user
            owner.password_hash = demo_accounts.marked(owner.password_hash or "")
            token = upload_tokens.create(event, owner, "Laptop")[1]
        assert upload_tokens.authenticate(token) is not None
        with ended(demo_admin):
            assert upload_tokens.authenticate(token) is None


def test_no_link_is_sent_to_a_demo_account_afterwards(demo_admin: Flask) -> None:
    with ended(demo_admin), demo_admin.app_context():
        assert accounts.accounts_of(ADMIN) == []


def test_an_account_of_ones_own_is_left_alone(app: Flask, world: World) -> None:
    """One with an address of the demo's that ops made themselves, or whose password was changed, is like any other."""
    world.person(ADMIN, UserRole.ADMIN)
    assert status_of_login(app) == 200


def test_the_demo_marks_accounts_that_an_earlier_version_made(app: Flask, world: World) -> None:
    world.person(ADMIN, UserRole.ADMIN)
    with app.app_context():
        demo_event._person("admin", {"admin": {"email": ADMIN, "password": PASSWORD}})
        assert demo_accounts.is_marked(accounts.verified_user(ADMIN).password_hash)  # type: ignore[union-attr]
    assert status_of_login(app) == 401


def test_the_command_makes_no_demo_by_hand(app: Flask, settings: Settings) -> None:
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG", "TMPDIR")}
    env = kept | {
        "ENVIRONMENT": "development",
        "SECRET_KEY": settings.secret_key.get_secret_value(),
        "DATA_DIR": str(settings.data_dir),
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
    }
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "findme", "demo"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode != 0
    assert "make run" in done.stderr
    with app.app_context():
        assert db.session.scalars(select(User)).all() == []


def test_the_file_with_the_passwords_is_the_owners(tmp_path: Path) -> None:
    (tmp_path / "demo.new").symlink_to(tmp_path / "elsewhere")
    facts.write(tmp_path, {"admin": {"password": PASSWORD}})
    assert not (tmp_path / "elsewhere").exists()
    assert (tmp_path / "demo.json").stat().st_mode & 0o777 == 0o600
    assert json.loads((tmp_path / "demo.json").read_text()) == facts.read(tmp_path)
