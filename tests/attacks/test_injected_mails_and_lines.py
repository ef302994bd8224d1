"""Mails and log lines that somebody tries to write through what they type: recipients, subjects, further lines."""

import io
import json
import sys
import urllib.parse
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text, update

from tests.attacks.suspects import OWNER
from tests.support.actors import PASSWORD, Api, World, photos_with, selfie
from tests.support.browsing import Browser
from tests.support.postoffice import Postoffice, open_postoffice, with_smtp
from webapp import observability
from webapp.db.extensions import db
from webapp.models import Event, Mail, User, UserRole
from webapp.queueing import unit_of_work

ADMIN = "admin@example.com"


# --- mails ---

ADDRESSES = (
    "ada@example.com\r\nBcc: eve@example.com",
    "ada@example.com\nBcc: eve@example.com",
    "ada@example.com, eve@example.com",
    "ada@example.com; eve@example.com",
    "ada@example.com eve@example.com",
    "Ada <ada@example.com>",
    '"ada\r\nBcc: eve@example.com"@example.com',
    '"a b"@example.com',
    "<ada@example.com>",
    "ada@example.com>\r\nRCPT TO:<eve@example.com",
    "ada@[127.0.0.1]",
    "ada@example.com\0",
    "ada(comment)@example.com",
    "ada\u2028@example.com",
    "=?utf-8?q?ada=0d=0aBcc:eve?=@example.com\r\n",
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_address_names_a_second_recipient(app: Flask, world: World, api: Api, address: str) -> None:
    world.event()
    world.person(ADMIN, UserRole.ADMIN)
    user = {"username": "ada", "email": address, "password": PASSWORD}
    api.post("/register-with-event-code", json={"user_data": user, "event_code": world.code})
    owner, admin = (Browser(app).sign_in(login, PASSWORD) for login in (OWNER, ADMIN))
    with app.app_context():
        event_id = db.session.scalars(select(Event.public_id)).one()
    form = {"name": "Ada", "email": address, "consent": "y", "file": (io.BytesIO(selfie("grace")), "me.jpg")}
    Browser(app).submit(f"/e/{world.code}", form)
    Browser(app).submit("/sign-in/link", {"email": address}, page="/sign-in")
    owner.submit(f"/studio/events/{event_id}/team", {"email": address})
    admin.submit("/admin/people", {"email": address})
    with open_postoffice(Postoffice()) as office:
        with_smtp(app, f"smtp://127.0.0.1:{office.port}")
        world.work("mail")
    recipients = [line for line in office.said if line.upper().startswith("RCPT")]
    assert not [line for line in recipients if "eve" in line.partition("@")[0] or line.count("@") != 1]
    for mail in office.taken:
        assert mail["Bcc"] is None
        assert len(mail["To"].addresses) == 1
    with app.app_context():
        assert not [row for row in db.session.scalars(select(Mail.recipient)) if not row.isprintable() or " " in row]


def test_names_of_events_and_people_break_no_subject(app: Flask, world: World) -> None:
    """As a photographer types them; breaks become spaces."""
    browser = Browser(app)
    world.person(OWNER, UserRole.PHOTOGRAPHER)
    browser.sign_in(OWNER, PASSWORD)
    name = "Party\r\nBcc: eve@example.com\r\n\r\nClick\u2028here %(event)s %s {0} {{7*1910007}} \u0130\u0131"
    made = browser.submit("/studio/events/new", {"name": name, "date": "2026-06-20", "timezone": "UTC"})
    assert made.status_code == 303, made.text
    with app.app_context():
        event = db.session.scalars(select(Event)).one()
        assert event.name.isprintable()
        with unit_of_work():
            db.session.execute(update(User).values(name="Zoë %s %(name)s {{7*1910007}}"))
        path = f"/studio/events/{event.public_id}/team"
        shown = event.name
    world.person("second@example.com", UserRole.PHOTOGRAPHER)
    assert browser.submit(path, {"email": "second@example.com"}).status_code == 303
    assert browser.submit(path, {"email": "new@example.com"}).status_code == 303
    with open_postoffice(Postoffice()) as office:
        with_smtp(app, f"smtp://127.0.0.1:{office.port}")
        world.work("mail")
    assert len(office.taken) == 2
    for mail in office.taken:
        assert mail["Bcc"] is None
        assert shown in mail["Subject"]
        parts = [part.get_content() for part in mail.walk() if not part.is_multipart()]
        assert all("13370049" not in part and "%(name)s" in part for part in parts)
    assert len([line for line in office.said if line.upper().startswith("RCPT")]) == 2


# --- log lines ---


@pytest.fixture
def written(app: Flask, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What this process writes into its log from here on, as in production."""
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    observability.configure_logging(app.extensions["settings"].model_copy(update={"environment": "production"}))
    return log


FORGED = 'a\n{"event": "forged", "level": "info"}\r\n\x1b[2J\x1b]0;x\x07\u2028\x00'


def lines_of(log: io.StringIO) -> list[dict[str, Any]]:
    """The lines, each of which is one JSON object of plain characters."""
    content = log.getvalue()
    assert content.isascii()
    assert not [char for char in content if ord(char) < 32 and char != "\n"]
    return [json.loads(line) for line in content.splitlines()]


def test_nothing_that_people_send_makes_a_line_or_stands_in_one(
    app: Flask, world: World, api: Api, written: io.StringIO
) -> None:
    event_id = world.event()
    guest = api.register(world.code, "secretname")
    owner = api.login(OWNER)
    agent = FORGED.encode("latin-1", "ignore").decode("latin-1").replace("\n", "").replace("\r", "")
    for path in (
        "/",
        "/nothing/\x1b[31m",
        f"/e/{urllib.parse.quote(FORGED)}",
        f"/sign-in/{urllib.parse.quote(FORGED)}",
    ):
        app.test_client().get(path, headers={"User-Agent": agent, "Referer": "http://secretname/"})
    api.post("/login", json={"username": FORGED, "password": "secretword"})
    owner.upload_photos(event_id, (FORGED.replace("\0", ""), photos_with("grace", 1)[0][1]), ("secretname", b"x"))
    guest.upload_selfie(selfie("grace"))
    world.work()
    found = lines_of(written)
    assert found
    assert "forged" not in {line["event"] for line in found}
    said = written.getvalue().lower()
    for secret in ("secretname", "secretword", "@", str(guest.token).lower(), str(owner.token).lower()):
        assert secret not in said


def test_a_crash_is_one_line_too(
    app: Flask, written: io.StringIO, monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    world.event()

    def crash(**_: object) -> None:
        raise RuntimeError(FORGED)

    monkeypatch.setitem(app.view_functions, "auth.sign_in", crash)
    assert app.test_client().get("/sign-in").status_code == 500
    found = lines_of(written)
    assert [line["event"] for line in found] == ["request.crashed", "request.failed"]


def test_what_the_database_refuses_is_logged_without_values(
    app: Flask, written: io.StringIO, monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    world.event()

    address = "ada@example.com"

    def crash(**_: object) -> None:
        db.session.execute(text("SELECT email FROM nowhere WHERE email = :address"), {"address": address})

    monkeypatch.setitem(app.view_functions, "auth.sign_in", crash)
    assert app.test_client().get("/sign-in").status_code == 500
    assert address not in written.getvalue()
    assert "request.crashed" in {line["event"] for line in lines_of(written)}
