"""What readers see of each mail: the event, its cover and photographer, their name, in their language, as text too."""

import html
import io
import re
from email.message import EmailMessage
from html.parser import HTMLParser

import pytest
from flask import Flask
from sqlalchemy import select, update

from tests.support.actors import PASSWORD, Api, World, photos_with, selfie
from tests.support.browsing import Browser, text
from tests.support.postoffice import Postoffice, open_postoffice, with_smtp
from webapp.db.extensions import db
from webapp.models import Event, Mail, User
from webapp.queueing import unit_of_work
from webapp.services.accounts import mail_budgets, sign_in_links
from webapp.services.accounts.mail_budgets import Letter, Purpose
from webapp.services.core.consents import CONSENT_VERSION
from webapp.web.links import back_url

OWNER = "photographer@example.com"
ADA = "ada@example.com"
BACK = "/e/PARTY234/back"


def delivered(app: Flask, world: World) -> list[EmailMessage]:
    with open_postoffice(Postoffice()) as office:
        with_smtp(app, f"smtp://127.0.0.1:{office.port}")
        world.work("mail")
    return office.taken


def parts(mail: EmailMessage) -> tuple[str, str]:
    """Return the text and the HTML."""
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    return plain.get_content(), html.get_content()


def join(app: Flask, name: str = "Ada", **headers: str) -> None:
    form = {"name": name, "email": ADA, "consent": "y", "consent_version": CONSENT_VERSION}
    browser = Browser(app)
    browser.client.environ_base |= {f"HTTP_{key.upper()}": value for key, value in headers.items()}
    answer = browser.submit("/e/PARTY234", form | {"file": (io.BytesIO(selfie("grace")), "me.jpg")})
    assert answer.status_code == 303, text(answer)


def rename(app: Flask, **values: object) -> None:
    with app.app_context(), unit_of_work():
        db.session.execute(update(Event).values(**values))


class _Remote(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.pictures: list[str] = []
        self.other: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        source = dict(attrs).get("src")
        if source is not None:
            (self.pictures if tag == "img" else self.other).append(source)
        if tag in ("link", "script", "iframe"):
            self.other.append(tag)


WORDS = {
    "en-US": ("Your link to your photos of Party", "Hello Ada,", "Photos by photographer", "June 20, 2026", "48 hours"),
    "fr-FR": (
        "Votre lien vers vos photos de Party",
        "Bonjour Ada,",
        "Photos\u00a0: photographer",
        "20 juin 2026",
        "48 heures",
    ),
}


@pytest.mark.parametrize("language", WORDS)
def test_the_welcome_is_a_keepsake_in_the_guests_language(app: Flask, world: World, language: str) -> None:
    world.event()
    rename(app, place="Lyon")
    join(app, accept_language=language)
    (mail,) = delivered(app, world)
    subject, *expected = WORDS[language]
    assert mail["Subject"] == subject
    for part in parts(mail):
        for words in (*expected, "Lyon", f"http://localhost{BACK}?t=", "http://localhost/sign-in/"):
            assert words in part


def test_the_welcome_says_how_many_photos_there_are_so_far(app: Flask, world: World, api: Api) -> None:
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 2))
    join(app)
    world.work("selfies", "photos", "maintenance")
    (mail,) = delivered(app, world)
    assert all("found 2 photos of you so far" in part for part in parts(mail))


def test_the_welcome_without_photos_says_that_they_appear(app: Flask, world: World) -> None:
    world.event()
    join(app)
    (mail,) = delivered(app, world)
    assert all("They appear by themselves" in part for part in parts(mail))


def test_a_guest_who_waits_to_be_admitted_is_told_no_number(app: Flask, world: World) -> None:
    world.event()
    rename(app, admits_guests=True)
    join(app)
    (mail,) = delivered(app, world)
    assert all("The photographer admits guests" in part for part in parts(mail))


def test_the_cover_is_the_only_thing_from_outside(app: Flask, world: World) -> None:
    world.event()
    rename(app, cover_key="events/x/covers/abcdef0123.jpg")
    join(app)
    (mail,) = delivered(app, world)
    found = _Remote()
    found.feed(parts(mail)[1])
    assert found.pictures == ["http://localhost/e/PARTY234/cover.jpg?v=abcdef01"]
    assert found.other == []


def test_names_are_escaped_and_break_no_header(app: Flask, world: World) -> None:
    world.event()
    rename(app, name="A <b>bold</b> & Co\r\nBcc: eve@example.com", place="<script>x</script>")
    with app.app_context(), unit_of_work():
        db.session.execute(update(User).values(name="<i>Phot</i>"))
    join(app)
    (mail,) = delivered(app, world)
    plain, html = parts(mail)
    assert mail["Bcc"] is None
    assert mail["Subject"] == "Your link to your photos of A <b>bold</b> & Co Bcc: eve@example.com"
    assert "<b>bold</b>" in plain
    for tag in ("<b>", "<script", "<i>"):
        assert tag not in html


@pytest.mark.parametrize(
    ("name", "greeting"),
    [
        ("Ada", "Hello Ada,"),
        ("Zoë O’Neil-St. Clair", "Hello Zoë O’Neil-St. Clair,"),
        ("win at evil.example", "Hello,"),
        ("http://evil.example", "Hello,"),
        ("Call 0800 123456", "Hello,"),
        ("A" * 41, "Hello,"),
    ],
)
def test_a_name_that_anyone_may_have_typed_carries_no_message(
    app: Flask, world: World, name: str, greeting: str
) -> None:
    world.event()
    join(app, name)
    (mail,) = delivered(app, world)
    for part in parts(mail):
        assert greeting in part
        assert greeting != "Hello," or name not in part


def test_a_mail_says_when_it_was_written_and_which_it_is(app: Flask, world: World) -> None:
    world.event()
    join(app)
    (mail,) = delivered(app, world)
    with app.app_context():
        (public_id,) = db.session.scalars(select(Mail.public_id))
    assert mail["Message-ID"].startswith(f"<{public_id}@")
    assert mail["Date"].datetime is not None
    assert mail["Auto-Submitted"] == "auto-generated"


def test_a_link_that_was_asked_for_without_an_event_names_none(app: Flask, world: World) -> None:
    world.person(ADA)
    with app.app_context(), unit_of_work():
        mail_budgets.send(Letter(ADA, Purpose.ASKED, "en", sign_in_links.MAIL_KIND))
    (mail,) = delivered(app, world)
    assert mail["Subject"] == "Your link to your photos"
    assert "/back" not in parts(mail)[0]


# --- the lasting page ---


def test_the_lasting_page_mails_a_fresh_link(app: Flask, world: World) -> None:
    world.event()
    browser = Browser(app)
    page = browser.get(BACK)
    assert page.status_code == 200
    assert "Party" in text(page)
    answer = browser.submit(BACK, {"email": ADA})
    assert (answer.status_code, answer.location) == (303, BACK)
    assert "a link is on its way" in text(browser.get(BACK))
    with app.app_context():
        assert db.session.query(Mail.recipient).scalar() == ADA


def test_the_lasting_page_of_a_mail_needs_one_tap(app: Flask, world: World) -> None:
    world.event()
    Api(app).register(world.code, "ada")
    with app.app_context(), app.test_request_context():
        event = db.session.scalars(select(Event)).one()
        address = back_url(event, db.session.scalars(select(User).where(User.email == ADA)).one())
    path = address.partition("://")[2].partition("/")[2]
    browser = Browser(app)
    shown = browser.get(f"/{path}")
    assert 'name="email"' not in shown.text
    assert ADA not in text(shown)
    target = re.search(r'action="(/e/PARTY234/back[^"]*)"', shown.text)
    assert target
    answer = browser.submit(html.unescape(target[1]), page=f"/{path}")
    assert answer.status_code == 303
    with app.app_context():
        assert {mail.recipient for mail in db.session.query(Mail)} == {ADA}
        assert db.session.query(Mail).count() == 2
    assert browser.get("/api/me").status_code == 401


@pytest.mark.parametrize("named", ["x", "Ij8i.zzz", "\u03a9", ""])
def test_a_forged_reader_is_nobody(app: Flask, world: World, named: str) -> None:
    world.event()
    shown = Browser(app).get(BACK, query_string={"to": named})
    assert (shown.status_code, 'name="email"' in shown.text) == (200, True)


def test_a_member_who_is_signed_in_goes_on_to_their_photos(app: Flask, world: World) -> None:
    world.event()
    answer = Browser(app).sign_in(OWNER, PASSWORD).get(BACK)
    assert answer.headers["Location"] == "/e/PARTY234/photos"


def test_an_unknown_code_has_no_lasting_page(app: Flask, world: World) -> None:
    assert Browser(app).get("/e/NOTHING2/back").status_code == 404
