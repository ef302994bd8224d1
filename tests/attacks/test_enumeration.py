"""Finding out which event codes exist, without being counted.

An attacker could send a registration with a bad address: the answer named the code only if it was unknown, and nobody
counted. Signed in, the pages below `/e/CODE` said in other words, or in the event's language, that a foreign code
exists. What must hold:

- Every answer that tells whether a code exists is counted, where it does not, whatever else is wrong with the request.
- All other addresses with a code answer the same for an unknown and for a foreign code: status, headers and body.
- Codes that photographers choose are not too short, and they are warned of those that can be guessed.

The addresses are taken from the app's own map, so that a new one is covered.
"""

import io
import re
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import update
from werkzeug.test import TestResponse

from tests.support.actors import PASSWORD, Api, World, selfie
from tests.support.browsing import HTMX, Browser, error_at, text, value_of
from tests.support.limiting import CODES, limiting
from webapp.db.extensions import db
from webapp.models import Event
from webapp.queueing import unit_of_work
from webapp.settings import Settings
from webapp.web.access.permissions import PERMISSIONS, Who

FOREIGN, UNKNOWN = "OTHER234", "NOPE9999"
BAD_USER = {"username": "", "email": "no address", "password": "short"}
CHECKED = {"guest.landing", "coming_back.page", "coming_back.send", "guest_selfies.check"}
CHECKED |= {"sharing.cover", "sharing.preview"}
"""Addresses that serve whoever knows a code: these are counted."""


@pytest.fixture
def foreign(app: Flask, world: World) -> None:
    """An event in French, and a guest of another one."""
    world.event()
    world.event(FOREIGN, owner="rival@example.com")
    with app.app_context(), unit_of_work():
        db.session.execute(update(Event).where(Event.code == FOREIGN).values(language="fr"))
    Api(app).register(world.code, "guest")


def rules(app: Flask) -> Iterator[tuple[str, str, str]]:
    """Every endpoint with a code in its address: endpoint, method, address with {code}."""
    for rule in app.url_map.iter_rules():
        if "code" in rule.arguments:
            path = re.sub(r"<(?:\w+:)?code>", "{code}", rule.rule)
            for method in rule.methods - {"OPTIONS"}:
                yield rule.endpoint, method, re.sub(r"<[^>]+>", "AAAAAAAAAAAAAAAA", path)


def seen(answer: TestResponse, code: str) -> tuple[int, dict[str, str], str]:
    """What the caller sees, but for the code that they sent, and for what differs with every answer."""
    body = re.sub(r'(csrf_token"[^>]*value="|X-CSRFToken": ")[^"]+', r"\1", answer.text)
    headers = {
        name: value.replace(code, "CODE")
        for name, value in answer.headers.items()
        if name not in ("Set-Cookie", "Date", "X-Request-Id", "Content-Length")
    }
    return answer.status_code, headers, body.replace(code, "CODE")


@pytest.mark.usefixtures("foreign")
def test_unknown_and_foreign_codes_look_the_same_to_everybody(app: Flask) -> None:
    guest, nobody = Browser(app).sign_in("guest", PASSWORD), Browser(app)
    bearer = Api(app).login("guest")
    tried = 0
    for browser in (guest, nobody):
        token = browser.token("/")
        for endpoint, method, path in rules(app):
            if endpoint in CHECKED:
                continue
            assert PERMISSIONS[endpoint] is Who.MEMBER, f"{endpoint}: who else is told of a code?"
            for headers in ({}, HTMX, {"Accept": "application/json"}, {"Authorization": f"Bearer {bearer.token}"}):
                answers = [
                    seen(
                        browser.client.open(
                            path.format(code=code),
                            method=method,
                            headers={"X-CSRFToken": token, "Accept-Language": "en", **headers},
                        ),
                        code,
                    )
                    for code in (FOREIGN, UNKNOWN)
                ]
                assert answers[0] == answers[1], (endpoint, method, headers)
                tried += 1
    assert tried > 50


@pytest.mark.usefixtures("foreign")
def test_an_error_before_the_code_is_looked_at_tells_nothing(app: Flask) -> None:
    for method in ("POST", "PUT", "DELETE"):
        answers = [seen(Browser(app).client.open(f"/e/{code}", method=method), code) for code in (FOREIGN, UNKNOWN)]
        assert answers[0] == answers[1], method  # no CSRF token, or no such method


@pytest.mark.usefixtures("foreign")
def test_an_event_speaks_its_language_to_those_who_know_its_code(app: Flask) -> None:
    assert '<html lang="fr"' in Browser(app).get(f"/e/{FOREIGN}", headers={"Accept-Language": "en"}).text
    assert '<html lang="en"' in Browser(app).get(f"/e/{UNKNOWN}", headers={"Accept-Language": "en"}).text


@pytest.fixture
def limited(settings: Settings, world: World) -> Iterator[Flask]:
    """An app whose limits are on."""
    world.event()
    yield from limiting(settings)


def ways(app: Flask, code: str) -> dict[str, TestResponse]:
    """One try of each way to ask whether a code exists."""
    api, browser = Api(app), Browser(app)
    form = BAD_USER | {"event_code": code, "consent": "false"}
    return {
        "registration": api.post("/register-with-event-code", json={"user_data": BAD_USER, "event_code": code}),
        "registration with a selfie": api.post(
            "/register-invite-with-selfie", data=form | {"file": (io.BytesIO(selfie("grace")), "me.jpg")}
        ),
        "availability": api.post("/check-user-availability", json={"event_code": code, "email": "no"}),
        "check": api.post("/check-event-code", json={"event_code": code}),
        "first page": browser.submit("/", {"code": code}),
        "event page": browser.get(f"/e/{code}"),
        "form of the event page": browser.submit(f"/e/{code}", BAD_USER, page="/"),
        "cover": browser.get(f"/e/{code}/cover.jpg"),
        "preview": browser.get(f"/e/{code}/preview.jpg"),
        "head": browser.client.head(f"/e/{code}"),
    }


def test_every_way_to_ask_for_a_code_is_counted(limited: Flask) -> None:
    storage = limited.extensions["limits"].storage.storage
    asked = 0
    for _ in range(2):
        statuses = {way: answer.status_code for way, answer in ways(limited, UNKNOWN).items()}
        assert set(statuses.values()) <= {200, 404, 422}
        asked += len(statuses)
        (key,) = storage.keys("*codes of address*")
        assert int(storage.get(key)) == asked


def test_beyond_the_limit_no_way_tells_anything_of_unknown_codes(limited: Flask) -> None:
    storage = limited.extensions["limits"].storage.storage
    Api(limited).post("/check-event-code", json={"event_code": UNKNOWN})
    (key,) = storage.keys("*codes of address*")
    storage.incr(key, CODES - 1)
    assert {answer.status_code for answer in ways(limited, UNKNOWN).values()} == {429}


def test_joining_a_further_event_is_counted_by_account(limited: Flask, world: World) -> None:
    guest = Api(limited).register(world.code, "guest")
    assert guest.post("/join-event", json={"event_code": UNKNOWN}).status_code == 404
    assert len(limited.extensions["limits"].storage.storage.keys("*codes of account/*")) == 1


# --- codes of photographers' own ---


def new_event(browser: Browser, code: str) -> TestResponse:
    form = {"name": "Party", "date": "2026-06-20", "timezone": "UTC", "language": "", "code": code}
    return browser.submit("/studio/events/new", form)


@pytest.fixture
def photographer(app: Flask, world: World) -> Browser:
    """Somebody with an event that has a code from before."""
    world.event()
    with app.app_context(), unit_of_work():
        db.session.execute(update(Event).values(code="OLD1", code_key="OLD1"))
    return Browser(app).sign_in("photographer@example.com", PASSWORD)


def test_a_new_code_has_at_least_six_characters(photographer: Browser) -> None:
    refused = new_event(photographer, "AB-C 12")
    assert refused.status_code == 422 and "6 to 32" in error_at(refused, "code")
    assert new_event(photographer, "ABC123").status_code == 303


def test_a_code_below_eight_characters_is_warned_of(photographer: Browser) -> None:
    made = photographer.get(new_event(photographer, "ABC123").headers["Location"])
    assert "The code ABC123 can be guessed" in text(made) and "is-warn" in made.text
    settings = photographer.get(f"{made.request.path}/settings")
    assert "The code ABC123 can be guessed" in text(settings)
    long = photographer.get(new_event(photographer, "ABCD1234").headers["Location"])
    assert "can be guessed" not in text(long) + text(photographer.get(f"{long.request.path}/settings"))


def test_a_shorter_code_from_before_works_and_can_be_kept(app: Flask, world: World, photographer: Browser) -> None:
    with app.app_context():
        page = f"/studio/events/{db.session.query(Event).one().public_id}/settings"
    assert Browser(app).get("/e/old1").status_code == 200
    form = {"name": "Renamed", "date": "2026-06-20", "timezone": "UTC", "language": "", "accent": "", "code": "old 1"}
    assert photographer.submit(page, form).status_code == 303
    shown = photographer.get(page)
    assert value_of(shown, "code") == "OLD1" and "The code OLD1 can be guessed" in text(shown)
    assert photographer.submit(page, form | {"code": "OLD2"}).status_code == 422
