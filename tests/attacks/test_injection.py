"""Values that would be read as something else: as templates, formats, markup, SQL, keys of Redis or code."""

import io
import urllib.parse
from html.parser import HTMLParser
from typing import Any

import email_validator
import pytest
from flask import Flask
from flask.testing import FlaskClient
from rq.serializers import JSONSerializer
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from tests.attacks import bombs
from tests.attacks.suspects import OWNER
from tests.support import messy_event
from tests.support.actors import PASSWORD, Api, World, photos_with, selfie
from tests.support.browsing import Browser
from tests.support.tours import tours
from webapp import queueing
from webapp.db.extensions import db
from webapp.models import Camera, Event, Person, Photo, Upload, UploadToken, User, UserRole
from webapp.queueing import unit_of_work
from webapp.services.accounts import accounts
from webapp.services.uploads import intake

ADMIN = "admin@example.com"


# --- templates, formats and markup ---

PAYLOAD = "{{7*1910007}}{%if 1%}%(name)s%(event)s%s%d{0}{0.__class__}${7*1910007}'\"><img src=x onerror=alert(1)>"
assert len(PAYLOAD) <= 120


class _Planted(HTMLParser):
    """Finds elements and attributes that no template of ours has."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if values.get("src") == "x" or any(name.startswith("on") for name in values):
            self.found.append(self.get_starttag_text() or tag)
        if any(
            (values.get(name) or "").strip().lower().startswith("javascript:") for name in ("href", "src", "action")
        ):
            self.found.append(self.get_starttag_text() or tag)


def planted(page: str) -> list[str]:
    parser = _Planted()
    parser.feed(page)
    return parser.found


@pytest.fixture
def seen(app: Flask, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, TestResponse]]:
    """Every response that a client of the app gets from here on, with its address."""
    found: list[tuple[str, TestResponse]] = []

    class Client(FlaskClient):
        def open(self, *args: Any, **kwargs: Any) -> TestResponse:
            answer = super().open(*args, **kwargs)
            answer.get_data()
            found.append((answer.request.path, answer))
            return answer

    monkeypatch.setattr(app, "test_client_class", Client)
    return found


@pytest.mark.parametrize("language", ["en", "fr"])
def test_no_name_is_a_template_a_format_or_markup_on_any_page(
    app: Flask, world: World, api: Api, seen: list[tuple[str, TestResponse]], language: str
) -> None:
    messy = messy_event.build(app, world, api)
    with app.app_context(), unit_of_work():
        for value in (Event.name, Event.place, User.name, Person.name, Photo.filename, Upload.filename):
            db.session.execute(update(value.class_).values({value: PAYLOAD}))
        db.session.execute(update(Camera).values(name=PAYLOAD))
        db.session.execute(update(UploadToken).values(name=PAYLOAD))
        db.session.execute(update(Event).values(watermark=PAYLOAD[:60], language=language))
    seen.clear()
    tours(messy, language)
    owner = messy.people["owner"]
    for kind in ("poster.pdf", "qr.svg", "qr.png", "share"):
        assert owner.get(f"{messy.path}/{kind}").status_code == 200
    world.work()
    pages = [(path, answer) for path, answer in seen if answer.mimetype == "text/html"]
    assert len(pages) > 100
    for path, answer in seen:
        assert answer.status_code < 500, path
        assert b"13370049" not in answer.data, path
    assert not [(path, tags) for path, answer in pages if (tags := planted(answer.text))]
    assert any("{{7*1910007}}" in answer.text for _, answer in pages), "it is shown as it was typed"


@pytest.mark.parametrize("where", ["javascript:alert(1)", "data:text/html,<script>alert(1)</script>", "//evil.example"])
def test_an_event_s_place_is_no_link(app: Flask, world: World, where: str) -> None:
    event_id = world.event()
    with app.app_context(), unit_of_work():
        db.session.execute(update(Event).values(place=where, name=where))
    owner = Browser(app).sign_in(OWNER, PASSWORD)
    for path in (f"/studio/events/{event_id}", f"/studio/events/{event_id}/share", f"/e/{world.code}", "/studio/"):
        page = owner.get(path, follow_redirects=True).text
        assert planted(page) == []
        assert f'href="{where}' not in page


@pytest.mark.parametrize(
    "colour",
    ["#12345", "#1234567", "#12345g", "#123456;}", "red", "#123456\n", "url(//evil)", "#１２３４５６", "</style>"],
)
def test_a_colour_is_six_digits_or_none(app: Flask, world: World, colour: str) -> None:
    event_id = world.event()
    owner = Browser(app).sign_in(OWNER, PASSWORD)
    path = f"/studio/events/{event_id}/settings"
    form = {"name": "Party", "date": "2026-06-20", "timezone": "UTC", "accent": "own", "own_accent": colour}
    assert owner.submit(path, form).status_code == 422
    assert owner.get(f"/accents/{urllib.parse.quote(colour.removeprefix('#'), safe='')}.css").status_code == 404


# --- SQL, LIKE, keys and jobs ---

SQL = (
    "' OR 1=1 --",
    "'; DROP TABLE photo; --",
    '" OR ""="',
    "1) OR (1=1",
    "\\",
    "\\'",
    "%",
    "_",
    "a%",
    "[a-z]*",
    "?",
    ":x",
)


@pytest.mark.both_databases
def test_a_search_finds_only_what_contains_the_letters(app: Flask, world: World, api: Api) -> None:
    event_id = world.event()
    world.person(ADMIN, UserRole.ADMIN)
    api.register(world.code, "plainname")
    owner, admin = (Browser(app).sign_in(login, PASSWORD) for login in (OWNER, ADMIN))
    for browser, path in ((owner, f"/studio/events/{event_id}/guests"), (admin, "/admin/people/accounts")):
        assert "plainname" in browser.get(f"{path}?q=LAINn").text
        for query in SQL:
            page = browser.get(f"{path}?{urllib.parse.urlencode({'q': query})}")
            assert page.status_code == 200
            assert "plainname" not in page.text, query


@pytest.mark.both_databases
def test_wildcards_are_letters_of_a_search(app: Flask, world: World, api: Api) -> None:
    event_id, names = world.event(), ("50%off", "a_b", "back\\slash", "axb")
    for number, _ in enumerate(names):
        api.register(world.code, f"guest{number}")
    with app.app_context(), unit_of_work():
        for number, name in enumerate(names):
            db.session.execute(update(Person).where(Person.name == f"guest{number}").values(name=name))
    owner = Browser(app).sign_in(OWNER, PASSWORD)

    def found(query: str) -> set[str]:
        page = owner.get(f"/studio/events/{event_id}/guests?{urllib.parse.urlencode({'q': query})}").text
        return {name for name in names if f">{name}<" in page}

    assert found("0%o") == {"50%off"}
    assert found("a_b") == {"a_b"}
    assert found("k\\s") == {"back\\slash"}


@pytest.mark.both_databases
@pytest.mark.parametrize("value", [*SQL, "0", "-1", "1e9", "9" * 400, "\u0661", "\x00", "a" * 10_000, "*", "a:b"])
def test_parameters_of_lists_are_values(app: Flask, world: World, value: str) -> None:
    event_id = world.event()
    world.person(ADMIN, UserRole.ADMIN)
    owner, admin = (Browser(app).sign_in(login, PASSWORD) for login in (OWNER, ADMIN))
    names = (
        "state",
        "faces",
        "guests",
        "by",
        "camera",
        "order",
        "after",
        "before",
        "from",
        "to",
        "show",
        "why",
        "v",
        "q",
        "page",
    )
    query = urllib.parse.urlencode(dict.fromkeys(names, value))
    base = f"/studio/events/{event_id}"
    for path in (
        "/photos",
        "/photos/tiles",
        "/photos/filters",
        "/photos/live",
        "/guests",
        "/upload/lost",
        "/alerts",
        "/live",
    ):
        answer = owner.get(f"{base}{path}?{query}")
        assert answer.status_code in (200, 204, 302, 303, 404, 422), path
    assert admin.get(f"/admin/people/accounts?{query}").status_code in (200, 422)
    api = Api(app).login(OWNER)
    for path in ("/photographer/events", f"/photographer/events/{event_id}/photos", "/my-photos", "/all-photos"):
        for name in ("after", "cursor", "limit", "status", "event_id", "size"):
            assert api.get(f"{path}?{urllib.parse.urlencode({name: value})}").status_code < 500, (path, name)


KEYS = ("*", "findme:*", "a:b:c", "rq:job:x", "{x}", "x\r\nFLUSHALL\r\n", "\x00", "../x", "?", "[a-z]", " ")


@pytest.mark.parametrize("value", KEYS)
def test_nothing_typed_is_part_of_a_key_of_redis(app: Flask, world: World, api: Api, value: str) -> None:
    """Limits count per login, address, code and token: under hashes."""
    event_id = world.event()
    with app.app_context():
        redis = queueing.connection()
        redis.set("kept", "1")
    api.post("/login", json={"username": f"q7q{value}", "password": "wrong password"})
    api.post("/check-event-code", json={"event_code": f"q7q{value}"})
    quoted = urllib.parse.quote(f"q7q{value}", safe="")
    for path in (f"/e/{quoted}", f"/sign-in/{quoted}", f"/invitations/{quoted}", f"/studio/events/{event_id}{quoted}"):
        assert app.test_client().get(path).status_code < 500
    Browser(app).submit("/sign-in/link", {"email": f"q7q{value}@example.com"}, page="/sign-in")
    assert redis.get("kept") == b"1"
    assert not [key for key in redis.scan_iter() if b"q7q" in key]


def test_a_job_is_a_name_of_ours_and_the_id_of_a_row(
    app: Flask, world: World, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[str, tuple[object, ...]]] = []
    original = queueing.Queue.enqueue_call

    def enqueue_call(self: queueing.Queue, function: Any, **kwargs: Any) -> Any:
        made.append((function, tuple(kwargs["args"])))
        return original(self, function, **kwargs)

    monkeypatch.setattr(queueing.Queue, "enqueue_call", enqueue_call)
    event_id = world.event()
    world.add_photos(event_id, ("os.system", photos_with("grace", 1)[0][1]))
    guest = api.register(world.code, "os.system")
    guest.upload_selfie(selfie("grace"), source="os.system", event_id="os.system")
    guest.upload_selfie(selfie("grace"), source="camera")
    api.post("/validate-selfie", data={"file": (io.BytesIO(selfie("grace")), "os.system")})
    world.work()
    known = {kind.function for kind in queueing.JOB_KINDS}
    assert made
    for function, arguments in made:
        assert function in known
        assert all(isinstance(value, str) and value.replace("-", "").isalnum() for value in arguments)
    with app.app_context():
        assert queueing.queue("photos").serializer is JSONSerializer, "reading a job runs no code of its own"


# --- patterns and what they read ---


@pytest.mark.parametrize("local", ["a" * 300, "a." * 5000, "a@" * 5000, '"' * 5000, "(" * 5000, "é" * 5000])
def test_long_addresses_are_refused_before_they_are_parsed(
    app: Flask, world: World, monkeypatch: pytest.MonkeyPatch, local: str
) -> None:
    """The parser takes a second for a megabyte, as much as a form may bring."""
    parsed: list[str] = []

    def validate_email(address: str, **options: Any) -> Any:
        parsed.append(address)
        return email_validator.validate_email(address, **options)

    monkeypatch.setattr(accounts, "validate_email", validate_email)
    world.event()
    user = {"username": "ada", "email": f"{local}@example.com", "password": PASSWORD}
    answer = Api(app).post("/register-with-event-code", json={"user_data": user, "event_code": world.code})
    assert answer.status_code == 422
    assert max((len(address) for address in parsed), default=0) <= accounts.MAX_EMAIL


def test_names_of_files_are_cut_before_they_are_searched(app: Flask, world: World) -> None:
    """The pattern of what programs append to names takes the square of their length."""
    event_id, content = world.event(), bombs.encoded("JPEG", 64, 64)
    names = ["1" * 5000 + "x.jpg", "-" * 5000 + "x.jpg", "_1" * 2500, " -edit" * 800]
    world.add_photos(event_id, *[(name, content + bytes([number])) for number, name in enumerate(names)])
    with app.app_context():
        kept = db.session.scalars(select(Photo.filename)).all()
    assert len(kept) == len(names)
    assert max(map(len, kept)) <= intake.MAX_FILENAME
