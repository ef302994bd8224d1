"""Redirects and links that lead to another site.

An attacker sends somebody a link to us whose parameters or headers name another site, or asks for mails, QR codes and
posters under another host's name.

What must hold: no redirect leaves our own address, whatever names the page to go on to. Absolute addresses in mails,
pages, QR codes and posters are those of PUBLIC_URL.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from tests.attacks.addresses import NEUTRAL, address, ids_of
from tests.attacks.two_events import TwoEvents, build
from tests.support.actors import PASSWORD, Api, World
from tests.support.browsing import HTMX, Browser
from webapp.db.extensions import db
from webapp.models import Mail
from webapp.pages.common import safe_next

AWAY = (
    "https://evil.example",
    "http://evil.example/studio/",
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "\\\\evil.example",
    "/\\/evil.example",
    "https:evil.example",
    "https:/evil.example",
    "http:/\\evil.example",
    "HtTpS://evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r/evil.example",
    "\t//evil.example",
    " //evil.example",
    "\x00//evil.example",
    "\x0b//evil.example",
    "/\x7f/evil.example",
    "http://localhost@evil.example",
    "http://localhost:80@evil.example/",
    "//localhost@evil.example",
    "//evil.example#localhost",
    "//evil.example?localhost",
    "//evil.example\\@localhost",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "data:text/html,evil",
    "vbscript:evil",
    "\u2044\u2044evil.example",
    "//evil\u3002example",
    "\uff0f\uff0fevil.example",
    "http://[",
    "//[::1",
    "//[evil.example]",
    "//evil\u2100.example",
    "/\u2028/evil.example",
    "/ok\r\nLocation: https://evil.example",
    "/ok\r\nSet-Cookie: evil=1",
    "evil.example",
    "?next=https://evil.example",
)
"""What may stand where a page to go on to is named; browsers read some of it otherwise than Python does."""

HOST = {"Host": "evil.example"}
HOSTS = ("X-Forwarded-Host", "X-Host", "X-Forwarded-Server", "X-Original-Host", "X-HTTP-Host-Override")
FORWARDED = dict.fromkeys(HOSTS, "evil.example") | {"Forwarded": "host=evil.example;proto=https"}
PARAMETERS = ("next", "url", "to", "back", "return", "return_to", "redirect", "redirect_uri", "continue", "page")


@pytest.fixture
def two(postbox: Flask, world: World, api: Api) -> TwoEvents:
    return build(postbox, world, api)


def leads_away(location: str) -> bool:
    """Return whether a browser would go to another site. It takes a backslash for a slash, and drops control bytes."""
    read = re.sub(r"[\t\r\n]", "", location).strip("".join(map(chr, range(33)))).replace("\\", "/")
    if re.match(r"(?i)[a-z][a-z0-9+.-]*:", read) and not read.lower().startswith("http://localhost/"):
        return True
    try:
        target = urlsplit(urljoin("http://localhost/", read))
    except ValueError:
        return True
    return target.netloc != "localhost"


def assert_stays(answer: TestResponse, place: str) -> None:
    """Fail for an answer that sends the browser to another site, by any of the headers that can."""
    for name in ("Location", "HX-Redirect", "HX-Location", "HX-Push-Url", "HX-Replace-Url", "Refresh"):
        value = answer.headers.get(name)
        assert value is None or not leads_away(value), f"{place}: {name}: {value!r}"
    assert "evil=1" not in str(answer.headers), place


@pytest.mark.parametrize("wanted", AWAY)
def test_a_page_to_go_on_to_is_one_of_ours(wanted: str) -> None:
    assert not leads_away(safe_next(wanted, "/otherwise"))


@pytest.mark.parametrize("wanted", ["/", "/studio/", "/e/PARTY234/photos?a=1&b=//x", "/studio/?q=a:b", "/e/x#photo"])
def test_pages_of_ours_are_gone_on_to(wanted: str) -> None:
    assert safe_next(wanted, "/otherwise") == wanted


def test_signing_in_leads_nowhere_else(two: TwoEvents) -> None:
    browser, form = two.browser(two.a.owner), {"login": two.a.owner, "password": PASSWORD}
    for wanted in AWAY:
        guest = Browser(two.app)
        token = guest.token("/sign-in")
        query = {"next": wanted}
        answers = [
            guest.client.post("/sign-in", query_string=query, data=form | {"csrf_token": token}),
            browser.client.get("/sign-in", query_string=query),
            browser.client.post("/language", data={"next": wanted, "csrf_token": browser.token("/"), "language": "en"}),
        ]
        for answer in answers:
            assert answer.status_code == 303, repr(wanted)
            assert_stays(answer, repr(wanted))


def test_who_must_sign_in_is_brought_back_to_our_own_page(two: TwoEvents) -> None:
    page = f"/e/{two.a.code}/photos"
    for wanted in AWAY:
        if not re.search(r"[\r\n]", wanted):
            headers = HTMX | {"HX-Current-URL": wanted.encode("utf-8").decode("latin-1")}
            answer = Browser(two.app).get(f"{page}/live", headers=headers)
            assert answer.status_code == 401, repr(wanted)
            assert_stays(answer, repr(wanted))
    for path in (f"//evil.example{page}", f"/%2fevil.example{page}", f"{page}?next=//evil.example"):
        answer = Browser(two.app).get(path, headers={"Referer": "https://evil.example"})
        assert_stays(answer, path)


def requests_of(two: TwoEvents) -> Iterator[tuple[str, str, str]]:
    """Endpoint, method and address of each route, with ids of event A, apart from pages of another package."""
    for rule in two.app.url_map.iter_rules():
        if not rule.endpoint.startswith(("rq_dashboard.", "static")):
            for method in sorted(rule.methods & {"GET", "POST", "PUT", "DELETE", "PATCH"}):
                yield rule.endpoint, method, address(rule, NEUTRAL | ids_of(two.a, rule))


@pytest.mark.parametrize("role", ["guest", "owner"])
def test_no_route_redirects_away(two: TwoEvents, role: str) -> None:
    """Whatever parameter a route may take for the page to go on to, now or later."""
    browser = two.browser({"guest": two.a.guest, "owner": two.a.owner}[role])
    token, evil = browser.token("/"), "//evil.example"
    fields: dict[str, Any] = dict.fromkeys(PARAMETERS, evil)
    form = {
        "csrf_token": token,
        "verdict": "none",
        "decision": "allowed",
        "action": "hide",
        "photo": evil,
        "limit": "7",
    }
    headers = {"Referer": "https://evil.example", "HX-Current-URL": "https://evil.example/x"}
    for endpoint, method, path in requests_of(two):
        if endpoint in ("auth.sign_out", "api_accounts.logout", "guest.withdraw"):
            continue
        for more in ({}, HTMX):
            data = fields | form if method != "GET" else None
            answer = browser.client.open(path, method=method, query_string=fields, data=data, headers=headers | more)
            assert_stays(answer, f"{method} {path}")
            answer.close()
    out = browser.client.post("/sign-out", query_string=fields, data=fields | {"csrf_token": token}, headers=headers)
    assert out.status_code == 303
    assert_stays(out, "sign-out")


def test_another_hosts_name_stands_in_no_answer(two: TwoEvents) -> None:
    """A cache in front of us may keep an answer and give it to others."""
    for login in (two.a.guest, two.a.owner):
        browser = two.browser(login)
        client, cookie = two.app.test_client(use_cookies=False), cookies(browser)
        assert client.get("/api/me", headers=HOST | cookie).status_code == 200
        for _, method, path in requests_of(two):
            if method == "GET":
                for headers in (HOST, FORWARDED):
                    answer = client.get(path, headers=headers | cookie)
                    assert b"evil.example" not in answer.data, f"{path} {headers}"
                    assert "evil.example" not in str(answer.headers), f"{path} {headers}"


def cookies(browser: Browser) -> dict[str, str]:
    """A signed-in browser's cookie as a header, which goes out to whatever host is asked."""
    found = browser.client.get_cookie("findme")
    assert found is not None
    return {"Cookie": f"findme={found.value}"}


def test_paths_that_are_put_right_lead_to_our_own(two: TwoEvents) -> None:
    browser = two.browser(two.a.owner)
    for path in ("/studio", "//studio/", "/admin", "//evil.example/..", "/%5cevil.example", "/studio//events/new"):
        assert_stays(browser.get(path), path)


@pytest.mark.parametrize("page", ["qr.svg", "qr.png", "poster.pdf"])
def test_qr_codes_and_posters_name_our_own_address(two: TwoEvents, page: str) -> None:
    browser, path = two.browser(two.a.owner), f"/studio/events/{two.a.ids['event_id']}/{page}"
    honest = browser.get(path)
    assert honest.status_code == 200
    for headers in (HOST | cookies(browser), FORWARDED | cookies(browser)):
        client = two.app.test_client(use_cookies=False)
        assert without_times(client.get(path, headers=headers).data) == without_times(honest.data)
    two.app.extensions["settings"] = two.app.extensions["settings"].model_copy(
        update={"public_url": "https://photos.example"}
    )
    moved = browser.get(path)
    assert without_times(moved.data) != without_times(honest.data), "the address would stand in it"


def without_times(document: bytes) -> bytes:
    """A document without the moment when it was made."""
    document = re.sub(rb"/(CreationDate|ModDate) \([^)]*\)|/ID\s*\[[^\]]*\]", b"", document)
    return re.sub(rb"<[0-9a-fA-F]{32}>", b"", document)


def test_the_apis_join_link_names_our_own_address(two: TwoEvents) -> None:
    owner = two.api(two.a.owner)
    client = two.app.test_client()
    headers = {"Authorization": f"Bearer {owner.token}"}
    for more in (HOST, FORWARDED):
        rows = client.get("/api/photographer/events", headers=headers | more).json
        assert rows
        assert all(row["join_url"].startswith("http://localhost/e/") for row in rows)


def test_mails_name_our_own_address_whoever_asked_for_them(two: TwoEvents, world: World) -> None:
    browser, owner = Browser(two.app), two.browser(two.a.owner)
    link = {"csrf_token": browser.token("/sign-in"), "email": two.a.owner}
    team = f"/studio/events/{two.a.ids['event_id']}/team"
    for number, headers in enumerate((HOST, FORWARDED)):
        client = two.app.test_client(use_cookies=False)
        asked = client.post("/sign-in/link", data=link, headers=headers | cookies(browser))
        assert asked.status_code == 303
        invitation = {"csrf_token": owner.token(team), "email": f"new{number}@example.org"}
        invited = client.post(team, data=invitation, headers=headers | cookies(owner))
        assert invited.status_code == 303
    world.work()
    with two.app.app_context():
        mails = [mail or "" for mail in db.session.scalars(select(Mail.rendered))]
    assert len(mails) >= 4
    for mail in mails:
        assert "evil.example" not in mail
        assert set(re.findall(r"https?://([^/\s\"'<]+)", mail)) <= {"localhost", "www.w3.org"}


def test_addresses_in_headers_that_are_none_are_no_fault_of_ours(two: TwoEvents) -> None:
    """A text that no parser takes for an address is answered like any other wrong one, not with a 500."""
    owner = two.browser(two.a.owner)
    odd = [wanted for wanted in AWAY if wanted.isprintable() and wanted.isascii()]
    for wanted in odd:
        sent = owner.get(f"/sign-in?next={quote(wanted)}", headers={"Origin": wanted, "Referer": wanted})
        assert sent.status_code == 303, wanted
