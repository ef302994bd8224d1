"""Requests that another site makes a signed-in browser send (CSRF).

Another site can send forms and plain text with the browser's cookies, and can open addresses. It can neither read our
pages nor set headers.

What must hold: a write without the token of this very session is refused and changes nothing, on every route that
writes, whatever stands in for the token. Reading changes nothing. No request of another site signs a browser in.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.attacks.addresses import JSON, NEUTRAL, address, ids_of
from tests.attacks.two_events import ADMIN, TwoEvents, build, changed
from tests.support.actors import PASSWORD, Api, World
from tests.support.browsing import Browser
from webapp.reasons import sentence
from webapp.web.access.permissions import PERMISSIONS, PROVEN_BY_ADDRESS, WITHOUT_TOKEN, Who

WRITES = ("POST", "PUT", "PATCH", "DELETE")
EVIL = {"Origin": "https://evil.example", "Referer": "https://evil.example/page", "Sec-Fetch-Site": "cross-site"}
QUEUES = {"queue_name": "mail", "job_id": "x", "registry_name": "queued", "instance_number": "0", "page": "1"}
QUEUES |= {"per_page": "9", "order": "asc", "worker_name": "x"}


@pytest.fixture
def two(app: Flask, world: World, api: Api) -> TwoEvents:
    return build(app, world, api)


def writes(two: TwoEvents) -> Iterator[tuple[str, str, str]]:
    """Endpoint, method and address of each route that writes, with ids of event A."""
    for rule in two.app.url_map.iter_rules():
        if rule.endpoint not in WITHOUT_TOKEN | PROVEN_BY_ADDRESS:
            for method in sorted(rule.methods & set(WRITES)):
                yield rule.endpoint, method, address(rule, NEUTRAL | QUEUES | ids_of(two.a, rule))


def forgeries(browser: Browser, old_token: str, other_token: str) -> dict[str, dict[str, Any]]:
    """What stands in for the token; each is what goes with a request."""
    own = browser.token("/")
    return {
        "nothing": {},
        "another site's form": {"data": {"action": "hide"}, "headers": EVIL},
        "another session's token": {"data": {"csrf_token": other_token}},
        "another session's token in the header": {"headers": {"X-CSRFToken": other_token}},
        "the token from before sign-in": {"data": {"csrf_token": old_token}},
        "the right token in the address": {"query_string": {"csrf_token": own, "X-CSRFToken": own}},
        "the right token in a cookie": {"headers": {"X-XSRF-TOKEN": own, "X-CSRF": own}},
        "JSON as plain text": {"data": json.dumps(JSON | {"csrf_token": own}), "content_type": "text/plain"},
        "JSON": {"json": JSON | {"csrf_token": own}},
        "an empty token": {"data": {"csrf_token": ""}, "headers": {"X-CSRFToken": ""}},
        "half of a token": {"data": {"csrf_token": own.rpartition(".")[0]}},
        "another method's name": {"data": {"_method": "GET"}, "headers": {"X-HTTP-Method-Override": "GET"}},
    }


def is_refused(answer: TestResponse) -> bool:
    """Whether a request failed for want of a token, or because pages take forms and nothing else."""
    said = answer.get_data(as_text=True)
    return answer.status_code == 400 and (
        (answer.is_json and answer.json["code"] == "csrf")
        or sentence("csrf") in said
        or sentence("form_expected") in said
    )


@pytest.mark.parametrize("role", ["guest", "owner", "admin"])
def test_no_route_writes_without_the_token_of_this_session(two: TwoEvents, role: str) -> None:
    login = {"guest": two.a.guest, "owner": two.a.owner, "admin": ADMIN}[role]
    browser, other = Browser(two.app), two.browser(two.b.owner)
    old_token = browser.token("/sign-in")
    browser.sign_in(login, PASSWORD)
    attempts, before = forgeries(browser, old_token, other.token("/")), two.dump()
    closed, open_to_role = {}, set()
    for endpoint, method, path in writes(two):
        for words, request in attempts.items():
            answer = browser.client.open(path, method=method, **request)
            if not is_refused(answer):
                # Who may not call it is told so before, and no sooner than that.
                closed[f"{method} {path} with {words}"] = (endpoint, answer.status_code)
            else:
                open_to_role.add(endpoint)
    assert {place: found for place, found in closed.items() if found[1] != 404 or found[0] in open_to_role} == {}
    assert changed(before, two.dump()) == {}
    assert browser.get("/api/me").status_code == 200, "still signed in"
    assert {endpoint for endpoint, *_ in writes(two) if is_called_by(role, PERMISSIONS[endpoint])} == open_to_role


def is_called_by(role: str, who: Who) -> bool:
    """Whether a role may call endpoints of a row in the table of permissions, in event A."""
    everyone = {Who.ANYONE, Who.SIGNED_IN}
    return (
        who
        in {
            "guest": everyone | {Who.MEMBER},
            "owner": everyone | {Who.MEMBER, Who.RUNNER, Who.UPLOADER, Who.PHOTOGRAPHER, Who.STUDIO},
            "admin": everyone | {Who.PHOTOGRAPHER, Who.STUDIO, Who.ADMIN, Who.ADMIN_OF_EVENT},
        }[role]
    )


def test_forms_for_everyone_need_the_token_too(two: TwoEvents) -> None:
    """People who are not signed in, too: another site must not sign them in, or let them join, as another person."""
    before, other = two.dump(), Browser(two.app).token("/sign-in")
    sign_in = {"login": two.a.owner, "password": PASSWORD}
    for endpoint, method, path in writes(two):
        if PERMISSIONS[endpoint] is Who.ANYONE and not path.startswith("/api/"):
            for form in (sign_in, sign_in | {"csrf_token": other}):
                browser = Browser(two.app)
                browser.get("/")
                assert is_refused(browser.client.open(path, method=method, data=form, headers=EVIL)), path
                assert browser.get("/api/me").status_code == 401
    assert changed(before, two.dump()) == {}


def test_the_api_signs_no_browser_in(two: TwoEvents) -> None:
    """Its calls without a session need no token, so none of them may leave a session in the browser that sent it."""
    browser = Browser(two.app)
    body = {"username": two.a.owner, "password": PASSWORD}
    answer = browser.client.post("/api/login", json=body, headers=EVIL)
    assert answer.status_code == 200
    assert answer.headers.getlist("Set-Cookie") == []
    user = {"username": "eve", "email": "eve@example.com", "password": PASSWORD}
    joined = browser.client.post("/api/register-with-event-code", json={"user_data": user, "event_code": two.a.code})
    assert joined.status_code == 201
    assert joined.headers.getlist("Set-Cookie") == []
    assert browser.get("/api/me").status_code == 401


def test_a_token_ends_with_its_session(two: TwoEvents) -> None:
    browser = two.browser(two.a.owner)
    token, page = browser.token("/"), f"/studio/events/{two.a.ids['event_id']}"
    assert browser.client.post("/sign-out", data={"csrf_token": token}).status_code == 303
    browser.sign_in(two.a.owner, PASSWORD)
    assert is_refused(browser.client.post(f"{page}/rematch", data={"csrf_token": token}))
    assert browser.submit(f"{page}/rematch", page="/").status_code == 303


def test_a_token_of_one_session_is_none_for_another_of_the_same_account(two: TwoEvents) -> None:
    one, other = two.browser(two.a.owner), two.browser(two.a.owner)
    path = f"/studio/events/{two.a.ids['event_id']}/rematch"
    assert is_refused(other.client.post(path, data={"csrf_token": one.token("/")}))


ORIGINS = [
    None,
    "null",
    "",
    "https://evil.example",
    "http://localhost.evil.example",
    "http://evil.example/localhost",
    "http://localhost@evil.example",
    "http://evil.example#localhost",
    "http://localhost:8080",
    "http://notlocalhost",
    "localhost",
    "file://",
    "http://[",
]


def test_pages_without_a_token_take_writes_of_our_own_address_only(two: TwoEvents) -> None:
    admin, owner = two.browser(ADMIN), two.browser(two.a.owner)
    before = two.dump()
    rules = [rule for rule in two.app.url_map.iter_rules() if rule.endpoint in WITHOUT_TOKEN]
    assert {rule.endpoint for rule in rules} == WITHOUT_TOKEN
    for rule in rules:
        path = address(rule, NEUTRAL | QUEUES | ids_of(two.a, rule))
        caller = admin if PERMISSIONS[rule.endpoint] is Who.ADMIN else owner
        for method in sorted(rule.methods & set(WRITES)):
            for origin in ORIGINS:
                headers = {} if origin is None else {"Origin": origin}
                assert is_refused(caller.client.open(path, method=method, headers=headers)), f"{path} from {origin}"
    assert changed(before, two.dump()) == {}


def test_no_header_or_field_makes_a_request_another_method(two: TwoEvents) -> None:
    browser, before = two.browser(two.a.guest), two.dump()
    erase = f"/api/my-selfie?event_id={two.a.ids['event_id']}"
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        answer = browser.client.post(erase, data={"_method": "DELETE"}, headers={name: "DELETE"})
        assert answer.status_code == 405
        assert browser.get(f"/e/{two.a.code}/withdraw?_method=POST", headers={name: "POST"}).status_code == 405
    assert changed(before, two.dump()) == {}


@pytest.mark.parametrize("role", ["guest", "owner", "admin"])
def test_reading_changes_nothing(two: TwoEvents, role: str) -> None:
    """Another site can make a browser open any address, as a picture or a frame."""
    browser = two.browser({"guest": two.a.guest, "owner": two.a.owner, "admin": ADMIN}[role])
    before = two.dump()
    asked = "action=delete&confirmed=9&decision=replace&verdict=rejected&all=1&up_to=999&language=fr&granted=false"
    for rule in two.app.url_map.iter_rules():
        if "GET" not in rule.methods or rule.endpoint == "static":
            continue
        path = address(rule, NEUTRAL | QUEUES | ids_of(two.a, rule))
        for headers in ({}, {"HX-Request": "true"}):
            for query in ("", "?" + asked):
                answer = browser.get(path + query, headers=headers)
                assert answer.status_code < 500 or rule.endpoint.startswith(("rq_dashboard.", "api_health.")), path
                answer.close()
    assert changed(before, two.dump()) == {}
    assert browser.get("/api/me").status_code == 200, "still signed in"
    page = browser.get("/").text
    assert re.search(r'<html lang="en"', page), "the language is what it was"
