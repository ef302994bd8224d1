"""Bad input through the pages: a sentence beside the field, what was typed kept, and never a crash. CSRF is on."""

import io
from typing import Any

import numpy as np
import pytest
from flask import Flask
from PIL import Image
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from tests.support import faces
from tests.support.actors import PASSWORD, Api, World, selfie
from tests.support.browsing import HTMX, Browser, error_at, text, value_of
from webapp.db.extensions import db
from webapp.models import Event, EventStatus, Photo, Selfie, User
from webapp.pictures import imaging
from webapp.reasons import SENTENCES
from webapp.services.core.consents import CONSENT_VERSION

JOIN = "/e/PARTY234"
PHOTOS = "/e/PARTY234/photos"
HUGE = 10**30

both_ways = pytest.mark.parametrize("htmx", [False, True], ids=["plain", "htmx"])


def sentence(code: str) -> str:
    return str(SENTENCES[code])


def file(content: bytes, name: str = "me.jpg") -> tuple[io.BytesIO, str]:
    return io.BytesIO(content), name


def jpeg(frame: np.ndarray | None = None) -> bytes:
    image = Image.fromarray(frame) if frame is not None else Image.new("RGB", (800, 800), (120, 125, 130))
    target = io.BytesIO()
    image.save(target, "JPEG", quality=90)
    return target.getvalue()


def joining(**changes: Any) -> dict[str, Any]:
    """What somebody fills in who joins."""
    form = {"name": "Ada", "email": "ada@example.com", "consent": "y", "consent_version": CONSENT_VERSION}
    return {key: value for key, value in (form | changes).items() if value is not None}


def count(app: Flask, model: Any) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model)) or 0


def assert_refused(answer: TestResponse, htmx: bool, **sentences: str) -> None:
    """A 422 with exactly these codes' sentences at these fields: the regions for htmx, the whole page otherwise."""
    assert answer.status_code == 422, text(answer)[:500]
    assert ("<html" in answer.text) is not htmx
    for name, code in sentences.items():
        assert error_at(answer, name) == sentence(code), name


@pytest.fixture
def browser(app: Flask, world: World) -> Browser:
    """Somebody who has the link of an event."""
    world.event()
    return Browser(app)


@pytest.fixture
def owner(browser: Browser) -> Browser:
    """The event's photographer."""
    return Browser(browser.app).sign_in("photographer@example.com", PASSWORD)


@pytest.fixture
def studio(owner: Browser) -> str:
    """The address of the event in the studio."""
    with owner.app.app_context():
        return f"/studio/events/{db.session.scalars(select(Event.public_id)).one()}"


# --- the code ---


def test_a_wrong_code_is_said_beside_the_field_and_stays_there(browser: Browser) -> None:
    answer = browser.submit("/", {"code": "nope 999"})
    assert_refused(answer, htmx=False, code="event_code_unknown")
    assert value_of(answer, "code") == "nope 999"
    assert_refused(browser.submit("/", {"code": ""}), htmx=False, code="event_code_missing")
    assert browser.submit("/", {"code": " par-ty 234"}).headers["Location"].endswith(JOIN)


def test_an_address_without_an_event_says_so(browser: Browser) -> None:
    for path in ("/e/NOPE9999", "/e/%00", "/e/" + "x" * 2000):
        answer = browser.get(path)
        assert answer.status_code in (404, 422), path
        assert sentence("event_code_unknown") in text(answer) or sentence("invalid") in text(answer)


# --- joining ---


@both_ways
def test_an_empty_form_names_every_fault_at_once(browser: Browser, htmx: bool) -> None:
    answer = browser.submit(JOIN, {"password": "short"}, htmx=htmx)
    assert_refused(
        answer,
        htmx,
        name="name_invalid",
        email="address_missing",
        password="password_length",
        file="selfie_missing",
        consent="consent_required",
    )
    assert count(browser.app, User) == 1


@both_ways
def test_files_that_are_no_selfie_are_refused_and_the_form_is_kept(browser: Browser, htmx: bool) -> None:
    files = {
        "not_a_picture": b"I am a text file.",
        "empty": b"",
        "selfie_too_large": jpeg() + b"\0" * 30_000_000,
        "truncated": jpeg()[:30],
    }
    # Where the library for HEIC is installed, this is one that breaks off.
    heic = ("truncated" if imaging.HEIC else "heic", b"\0\0\0\x18ftypheic" + b"\0" * 100)
    for code, content in (*files.items(), heic):
        answer = browser.submit(JOIN, joining(file=file(content)), htmx=htmx)
        assert_refused(answer, htmx, file=code)
        assert error_at(answer, "name") == error_at(answer, "form") == ""
        if not htmx:
            assert (value_of(answer, "name"), value_of(answer, "email")) == ("Ada", "ada@example.com")
    assert count(browser.app, User) == 1
    assert list(browser.app.extensions["blobs"].keys("events/")) == []
    assert browser.submit(JOIN, joining(file=file(selfie("grace"))), htmx=htmx).status_code in (204, 303)


@both_ways
def test_a_file_beyond_every_limit_is_answered_with_a_sentence(browser: Browser, htmx: bool) -> None:
    answer = browser.submit(JOIN, joining(file=file(b"\0" * 65 * 1024 * 1024)), htmx=htmx)
    assert answer.status_code == 413
    assert sentence("too_large") in text(answer)


@both_ways
def test_consent_to_an_older_text_asks_again_and_can_be_given(browser: Browser, htmx: bool) -> None:
    token = browser.token(JOIN)
    stale = joining(consent_version="2020-01", file=file(selfie("grace")))
    answer = browser.client.post(JOIN, data={"csrf_token": token, **stale}, headers=HTMX if htmx else {})
    assert_refused(answer, htmx, consent="consent_outdated")
    assert count(browser.app, User) == 1
    if not htmx:
        assert value_of(answer, "consent_version") == CONSENT_VERSION
        assert value_of(answer, "name") == "Ada"
    # Nothing of the refused attempt is left in the browser: the same form, with its token, still works.
    assert "/sign-out" not in browser.get("/").text
    again = {"csrf_token": token, **joining(file=file(selfie("grace")))}
    assert browser.client.post(JOIN, data=again, headers=HTMX if htmx else {}).status_code in (204, 303)
    assert browser.get(PHOTOS).status_code == 200


def test_an_address_with_an_account_gets_the_same_answer_as_any(browser: Browser, world: World) -> None:
    world.person("known@example.com")
    pages = []
    for address in ("known@example.com", "new@example.com"):
        guest = Browser(browser.app)
        answer = guest.submit(JOIN, joining(email=address, file=file(selfie("grace"))))
        assert (answer.status_code, answer.headers["Location"]) == (303, PHOTOS)
        pages.append(text(guest.get(PHOTOS)).replace(address, "ADDRESS"))
    assert [len(page.split("ADDRESS")) for page in pages] == [2, 2]
    known = Browser(browser.app).sign_in("known@example.com", PASSWORD)
    assert known.get(PHOTOS).headers["Location"] == JOIN


def test_a_name_of_markup_is_only_a_name(browser: Browser) -> None:
    name = "<script>alert(1)</script>"
    answer = browser.submit(JOIN, joining(name=name, email='"><b>@example.com'))
    assert "<script>alert" not in answer.text and "<b>@" not in answer.text
    assert value_of(answer, "name") == name


@both_ways
def test_a_closed_event_says_so(browser: Browser, htmx: bool) -> None:
    token = browser.token(JOIN)
    with browser.app.app_context():
        db.session.execute(update(Event).values(status=EventStatus.CLOSED))
        db.session.commit()
    form = {"csrf_token": token, **joining(file=file(selfie("grace")))}
    answer = browser.client.post(JOIN, data=form, headers=HTMX if htmx else {})
    assert answer.status_code == 422
    assert sentence("event_closed") in text(answer)
    assert list(browser.app.extensions["blobs"].keys("events/")) == []


def test_each_reads_their_language_whoever_opened_the_page_first(browser: Browser) -> None:
    with browser.app.app_context():
        db.session.execute(update(Event).values(status=EventStatus.CLOSED))
        db.session.commit()
    assert browser.app.jinja_env.cache is not None
    browser.app.jinja_env.cache.clear()  # compiled anew, for a guest who reads French
    french = text(Browser(browser.app).get(JOIN, headers={"Accept-Language": "fr"}))
    assert "Cet événement est clos" in french and sentence("event_closed") not in french
    assert sentence("event_closed") in text(browser.get(JOIN))


def test_no_filter_keeps_the_language_of_its_compilation(app: Flask) -> None:
    constants = "{{ 'event_closed' | sentence }} {{ 1234567.5 | number }} {{ 1234.5 | dollars }}"
    with app.test_request_context(headers={"Accept-Language": "fr"}):
        template = app.jinja_env.from_string(constants)
        french = template.render()
    with app.test_request_context():
        english = template.render()
    assert english == f"{sentence('event_closed')} 1,234,567.5 $1,234.50"
    assert "1,234,567.5" not in french


# --- selfies ---


@both_ways
def test_a_new_selfie_that_is_none_is_refused(browser: Browser, htmx: bool) -> None:
    assert browser.submit(JOIN, joining(file=file(selfie("grace")))).status_code == 303
    page = f"{JOIN}/selfie"
    assert_refused(browser.submit(page, htmx=htmx), htmx, file="selfie_missing")
    assert_refused(browser.submit(page, {"file": file(b"text")}, htmx=htmx), htmx, file="not_a_picture")
    large = browser.submit(page, {"file": file(b"\0" * 30_000_000)}, htmx=htmx)
    assert_refused(large, htmx, file="selfie_too_large")
    assert count(browser.app, Selfie) == 1


def test_the_page_says_why_a_selfie_was_refused_and_offers_a_retake(browser: Browser, world: World) -> None:
    two = np.hstack([faces.portrait("grace")[:500, :500], faces.portrait("eileen")[:500, :500]])
    pictures = {"no_face": jpeg(), "several_faces": jpeg(two), "truncated": selfie("grace")[:20_000]}
    guests = {code: Browser(browser.app) for code in pictures}
    for code, content in pictures.items():
        form = joining(email=f"{code}@example.com", file=file(content))
        assert guests[code].submit(JOIN, form).status_code == 303
        assert sentence(code) not in text(guests[code].get(PHOTOS))
    world.work()
    for code, guest in guests.items():
        page = text(guest.get(PHOTOS))
        assert sentence(code) in page
        assert f'href="{JOIN}/selfie"' in page
        live = guest.get(f"{PHOTOS}/live?v=old", headers=HTMX)
        assert sentence(code) in text(live) and "<html" not in live.text
        assert sentence(code) in text(guest.get(f"{JOIN}/selfie"))


# --- signing in ---


def test_a_wrong_password_keeps_the_name_and_never_the_password(browser: Browser) -> None:
    for login in ("photographer@example.com", "nobody@example.com"):
        answer = browser.submit("/sign-in", {"login": login, "password": "not the password"})
        assert answer.status_code == 422
        assert error_at(answer, "form") == sentence("wrong_credentials")
        assert value_of(answer, "login") == login
        assert not value_of(answer, "password")
    empty = browser.submit("/sign-in", {"login": "", "password": ""})
    assert_refused(empty, htmx=False, login="login_missing", password="password_missing")


def test_the_way_back_after_signing_in_never_leads_to_another_host(browser: Browser, api: Api) -> None:
    away = (
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "\t//evil.example",
        "javascript:alert(1)",
        "http:evil.example",
        "/%09/evil.example\r\nSet-Cookie: a=b",
    )
    form = {"login": "photographer@example.com", "password": PASSWORD}
    for wanted in away:
        guest = Browser(browser.app)
        token = guest.token("/sign-in")
        answer = guest.client.post("/sign-in", query_string={"next": wanted}, data={"csrf_token": token, **form})
        assert answer.status_code == 303, wanted
        assert answer.headers["Location"].startswith("/studio"), answer.headers["Location"]
        signed_in = guest.client.get("/sign-in", query_string={"next": wanted})
        assert signed_in.headers["Location"].startswith("/studio"), wanted
        assert "Set-Cookie: a=b" not in str(answer.headers)
        switched = guest.submit("/language", {"language": "fr", "next": wanted}, page="/studio/")
        assert switched.headers["Location"].startswith("/")
        assert not switched.headers["Location"].startswith(("//", "/\\"))
    good = browser.client.post("/sign-in?next=/studio/?a=1", data={"csrf_token": browser.token("/sign-in"), **form})
    assert good.headers["Location"] == "/studio/?a=1"


def test_a_link_that_is_none_says_so(browser: Browser) -> None:
    for token in ("nothing", "%00", "x" * 500):
        answer = browser.submit(f"/sign-in/{token}")
        assert answer.status_code in (404, 422)
        assert "This link no longer works" in text(answer) or sentence("invalid") in text(answer)


def test_asking_for_a_link_answers_the_same_for_every_address(browser: Browser, world: World) -> None:
    world.person("known@example.com")
    answers = [
        browser.submit("/sign-in/link", {"email": address}, page="/sign-in")
        for address in ("known@example.com", "nobody@example.com", "no address", "", "a\0b", "x" * 1000)
    ]
    assert {(answer.status_code, answer.headers["Location"]) for answer in answers} == {(303, "/sign-in")}


# --- the studio ---


@both_ways
def test_a_new_event_without_name_or_day_is_refused_and_kept(owner: Browser, htmx: bool) -> None:
    page = "/studio/events/new"
    faulty = {"name": " ", "date": "31/12/2026", "place": "x" * 121, "code": "a!"}
    answer = owner.submit(page, faulty, htmx=htmx)
    assert_refused(answer, htmx, date="event_date_invalid")
    answer = owner.submit(page, faulty | {"date": "2026-12-31"}, htmx=htmx)
    assert_refused(answer, htmx, name="event_name_invalid", place="event_place_invalid", code="event_code_invalid")
    if not htmx:
        assert value_of(answer, "code") == "a!" and value_of(answer, "date") == "2026-12-31"
    taken = {"name": "Gala", "date": "2026-12-31", "code": "party-234"}
    assert_refused(owner.submit(page, taken, htmx=htmx), htmx, code="event_code_taken")
    for day in ("0000-00-00", "99999-01-01", "2026-13-45", "\0"):
        assert_refused(owner.submit(page, taken | {"date": day}, htmx=htmx), htmx, date="event_date_invalid")
    assert count(owner.app, Event) == 1


@both_ways
def test_a_mixed_batch_shows_one_row_each(owner: Browser, studio: str, htmx: bool) -> None:
    files = [file(jpeg(), "one.jpg"), file(b"text", "notes.txt"), file(jpeg(), "again.jpg"), file(b"", "empty.jpg")]
    answer = owner.submit(f"{studio}/photos", {"files": files}, page=studio, htmx=htmx)
    assert answer.status_code == 200
    page = text(answer)
    for name in ("one.jpg", "notes.txt", "again.jpg", "empty.jpg"):
        assert page.count(f">{name}<") == 1
    assert sentence("not_a_picture") in page and sentence("empty") in page
    assert ("<html" in answer.text) is not htmx
    assert count(owner.app, Photo) == 1


@both_ways
def test_an_upload_without_files_says_so(owner: Browser, studio: str, htmx: bool) -> None:
    for data in ({}, {"files": file(b"", "")}, {"files": "text"}):
        answer = owner.submit(f"{studio}/photos", data, page=studio, htmx=htmx)
        assert answer.status_code == 422
        assert sentence("no_files") in text(answer)


def test_a_photo_that_can_not_be_read_shows_why_with_a_button_to_try_again(
    owner: Browser, studio: str, world: World
) -> None:
    noise = jpeg(np.random.default_rng(1).integers(0, 255, (400, 400, 3), dtype=np.uint8))
    owner.submit(f"{studio}/photos", {"files": file(noise[: len(noise) // 2], "half.jpg")}, page=studio)
    world.work()
    assert sentence("truncated") in text(owner.get(studio))
    answer = owner.submit(f"{studio}/retry", page=studio)
    assert answer.status_code == 303
    assert set(world.statuses().values()) == {"uploaded"}


def test_odd_queries_of_the_dashboard_show_the_dashboard(owner: Browser, studio: str) -> None:
    for query in (f"before={HUGE}", "before=-1", "before=x", "status=lost", "status=%00", "v=%00", "before=%00"):
        assert owner.get(f"{studio}?{query}").status_code == 200, query
        assert owner.get(f"{studio}/live?{query}", headers=HTMX).status_code == 200, query
    assert owner.get(f"{studio}/qr.gif").status_code == 404
    assert owner.submit(f"{studio}/retry?photo=%00", page=studio).status_code in (303, 422)


# --- verdicts ---


@both_ways
def test_verdicts_that_are_none_are_refused(browser: Browser, htmx: bool) -> None:
    browser.submit(JOIN, joining(file=file(selfie("grace"))))
    for said in ("", "perhaps", "CONFIRMED", "\0"):
        answer = browser.submit(f"{JOIN}/matches/x", {"verdict": said}, page=PHOTOS, htmx=htmx)
        assert answer.status_code == 422
        assert sentence("verdict_invalid") in text(answer)
    gone = browser.submit(f"{JOIN}/matches/x", {"verdict": "confirmed"}, page=PHOTOS, htmx=htmx)
    assert gone.status_code == 404
    assert sentence("match_unknown") in text(gone)


# --- forms that nobody sent on purpose ---


def test_no_form_works_without_its_token(browser: Browser, owner: Browser, studio: str) -> None:
    browser.submit(JOIN, joining(file=file(selfie("grace"))))
    writes = [
        (browser, ("/", "/language", "/sign-in", "/sign-in/link", "/sign-out", f"{JOIN}/selfie", f"{JOIN}/matches/x")),
        (owner, ("/studio/events/new", f"{studio}/photos", f"{studio}/rematch", f"{studio}/retry")),
    ]
    for caller, paths in writes:
        for path in paths:
            for form in ({}, {"csrf_token": "wrong"}, {"csrf_token": Browser(browser.app).token("/sign-in")}):
                for headers in ({}, HTMX):
                    answer = caller.client.post(path, data=form, headers=headers)
                    assert answer.status_code == 400, path
                    assert sentence("csrf") in text(answer)
    assert browser.get(PHOTOS).status_code == 200
    assert browser.client.post(JOIN, data=joining()).status_code == 400


def test_the_api_takes_a_cookie_only_with_the_token(browser: Browser) -> None:
    browser.submit(JOIN, joining(file=file(selfie("grace"))))
    body = {"granted": False}
    refused = browser.client.post("/api/consent", json=body)
    assert (refused.status_code, refused.json["code"]) == (400, "csrf")
    assert browser.client.delete("/api/my-selfie").json["code"] == "csrf"
    assert browser.get("/api/me").json["name"] == "Ada"
    token = browser.token(PHOTOS)
    assert browser.client.post("/api/consent", json=body, headers={"X-CSRFToken": token}).json["granted"] is False


def test_wrong_methods_and_missing_pages_are_pages_that_help(browser: Browser, owner: Browser, studio: str) -> None:
    for method, path in (("PUT", "/sign-in"), ("GET", "/sign-out"), ("DELETE", JOIN), ("POST", "/static/nothing.css")):
        answer = browser.client.open(path, method=method)
        assert answer.status_code == 405
        assert sentence("method_not_allowed") in text(answer)
    for path in ("/nothing", "/e", "/studio/events/nothing", "/media/photos/x/huge", "/media/crops/%00"):
        answer = owner.get(path)
        assert answer.status_code in (404, 422), path
        assert 'href="/"' in answer.text
