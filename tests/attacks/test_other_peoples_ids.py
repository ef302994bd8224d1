"""Other people's ids on every route.

An attacker is in one event, as its guest, in its team, as its owner or as a program with its upload token, and knows
every id of another event. They put these ids into the addresses of all routes, alone or behind their own event's id,
and into forms, bodies and queries.

What must hold: nothing of the other event is shown, no row of either changes, and the answer is the same as for an id
that no row has. The walk takes its routes from the app: a route with an id that the tables below don't know fails it.
"""

import itertools
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from tests.attacks.addresses import JSON, NEUTRAL, address, ids_of
from tests.attacks.two_events import ADMIN, MISSING, Side, TwoEvents, build, changed
from tests.support.actors import Api, World, selfie
from tests.support.browsing import HTMX, Browser
from webapp.pages.uploading import OFFSET_TYPE
from webapp.web.access.permissions import PERMISSIONS, Who

OPEN_BY_CODE = {"guest.landing", "coming_back.page", "coming_back.send", "guest_selfies.check"}
OPEN_BY_CODE |= {"sharing.cover", "sharing.preview"}
"""Who knows an event's code is shown its name and its cover, and may join."""

SHOWN_TO_ADMINS = {"media.photo", "media.download", "media.selfie", "api_media.photo"}
"""Pictures of all events, which admins may see."""

OTHERS_PAGES = "rq_dashboard."
"""Pages of another package, for admins: their ids are those of queues and jobs. Each is tried by everybody in
tests/functional/web/test_permissions.py."""

LAST = ("team.remove", "team.hand_over", "guest.withdraw")
"""Actions after which others find nothing any more."""

BY_SECRET = {"auth.link", "passwords.reset", "invitations.accept", "guest_mails.stop"}
"""Routes whose addresses hold a secret. They are tried with the hash that the table keeps."""

ROLES = ("guest", "team", "owner", "token", "admin")

FORM = {
    "verdict": "rejected",
    "choice": "erase",
    "decision": "replace",
    "action": "hide",
    "way": "behind",
    "minutes": "5",
    "limit": "7",
    "name": "Taken over",
    "email": "attacker@example.org",
    "password": "correct horse battery",
    "language": "fr",
    "photo": "1",
}
"""Fields of all forms together, so that each request comes as far as its id."""

TUS = {"Tus-Resumable": "1.0.0", "Upload-Offset": "10", "Content-Type": OFFSET_TYPE}


@pytest.fixture
def two(app: Flask, world: World, api: Api) -> TwoEvents:
    return build(app, world, api)


class Attacker:
    """One role of event A, or an admin, who sends requests as pages and programs send them."""

    def __init__(self, two: TwoEvents, role: str) -> None:
        logins = {"guest": two.a.guest, "team": two.a.team, "owner": two.a.owner, "admin": ADMIN}
        self.role = role
        self.browser = Browser(two.app)
        if role == "token":
            self.api = Api(two.app, two.a.upload_token)
        else:
            self.browser.sign_in(logins[role], "correct horse battery")
            self.api = two.api(logins[role])
        self.csrf = self.browser.token("/")

    def send(self, method: str, path: str, **more: Any) -> TestResponse:
        """Send a request with a body that its route takes."""
        if path.startswith("/api/"):
            if not more and method in ("POST", "PUT") and "upload" not in path:
                more = {"json": JSON}
            return self.api.call(method, path.removeprefix("/api"), **more)
        headers = {"X-CSRFToken": self.csrf} | more.pop("headers", {})
        if self.role == "token":
            headers["Authorization"] = f"Bearer {self.api.token}"
        if "/files" in path:
            headers |= TUS
            more = {"data": b"y" * 10} if method == "PATCH" else {}
        elif path.endswith("/s3"):
            more = {"json": JSON}
        elif not more and method in ("POST", "PUT"):
            more = {"data": FORM}
        return self.browser.client.open(path, method=method, headers=headers, **more)


def calls(app: Flask) -> list[tuple[Rule, str]]:
    """Every route with an id, with each of its methods."""
    return [(rule, method) for rule in rules_with_ids(app) for method in sorted(rule.methods - {"OPTIONS"})]


def rules_with_ids(app: Flask) -> list[Rule]:
    """Routes whose addresses name something of somebody."""
    rules = [rule for rule in app.url_map.iter_rules() if not rule.endpoint.startswith(OTHERS_PAGES)]
    return [rule for rule in rules if rule.arguments - set(NEUTRAL)]


def mixed_paths(two: TwoEvents, rule: Rule) -> Iterator[tuple[str, str]]:
    """Addresses with at least one id of B, each beside the same address with ids that no row has instead."""
    names = sorted(rule.arguments - set(NEUTRAL))
    own, foreign = ids_of(two.a, rule), ids_of(two.b, rule)
    for sides in itertools.product((False, True), repeat=len(names)):
        if any(sides):
            values = {name: foreign[name] if is_b else own[name] for name, is_b in zip(names, sides, strict=True)}
            absent = {name: MISSING if is_b else own[name] for name, is_b in zip(names, sides, strict=True)}
            yield address(rule, values), address(rule, absent)


def is_for(role: str, endpoint: str) -> bool:
    """Whether an endpoint is closed to this role in other people's events."""
    if endpoint in OPEN_BY_CODE:
        return False
    return role != "admin" or not (
        PERMISSIONS[endpoint] in (Who.ADMIN, Who.ADMIN_OF_EVENT) or endpoint in SHOWN_TO_ADMINS
    )


def essence(answer: TestResponse, *ids: str) -> tuple[int, str, str]:
    """An answer without the ids that were asked for, and without what differs from page to page."""
    shown = answer.data.decode(errors="replace")
    for one in ids:
        shown = shown.replace(one, "…")
    shown = re.sub(r'(nonce="|name="csrf_token"[^>]*value=")[^"]*', r"\1…", shown)
    shown = re.sub(r"every \d+ms", "", shown)
    shown = re.sub(r'("X-CSRFToken": ?"|name="csrf-token" content=")[^"]*', r"\1…", shown)
    location = answer.headers.get("Location", "")
    for one in ids:
        location = location.replace(one, "…")
    return answer.status_code, shown, location


def assert_shows_nothing(answer: TestResponse, side: Side, asked: str) -> None:
    """Fail if an answer holds a text of the other event that did not stand in the request."""
    everything = answer.data.decode(errors="replace") + str(answer.headers)
    assert [secret for secret in side.secrets if secret in everything and secret not in asked] == [], asked


def test_every_id_in_an_address_is_known_here(app: Flask, two: TwoEvents) -> None:
    named = {name for rule in rules_with_ids(app) for name in rule.arguments}
    assert named - set(NEUTRAL) - set(two.a.ids) == set(), "which id of the other event is to be tried there?"


@pytest.mark.parametrize("role", ROLES)
def test_ids_of_another_event_open_no_route(two: TwoEvents, role: str) -> None:
    attacker, before = Attacker(two, role), two.dump()
    for rule, method in calls(two.app):
        for path, missing in mixed_paths(two, rule) if is_for(role, rule.endpoint) else ():
            answer, absent = attacker.send(method, path), attacker.send(method, missing)
            place = f"{role}: {method} {path}"
            location = answer.headers.get("Location", "")
            turned_away = location.startswith("/sign-in") or re.fullmatch(r"/e/[^/]*", location)
            assert answer.status_code >= 400 or turned_away, place
            ids = (path, missing, *two.b.ids.values(), MISSING)
            assert essence(answer, *ids) == essence(absent, *ids), place
            assert_shows_nothing(answer, two.b, path)
    assert changed(before, two.dump()) == {}


def test_the_same_requests_with_ones_own_ids_reach_what_they_name(two: TwoEvents) -> None:
    """The control: the walk above would prove nothing with requests that fail before anyone looks at their ids."""
    attackers = [Attacker(two, role) for role in ("guest", "owner", "team", "admin")]
    unseen = set()
    for rule, method in sorted(calls(two.app), key=in_order):
        own = ids_of(two.a, rule)
        paths = address(rule, own), address(rule, own | {last_id(rule): MISSING})
        ids = (*paths, *own.values(), MISSING)
        for attacker in attackers:
            missing = essence(attacker.send(method, paths[1]), *ids)
            reached = essence(attacker.send(method, paths[0]), *ids)
            attacker.browser.get("/")  # which shows what is left to be said, so that no later answer does
            if reached != missing:
                break
        else:
            unseen.add(rule.endpoint)
    on_s3 = {f"uploading.{name}" for name in ("s3_begin", "s3_echo", "s3_part", "s3_parts", "s3_finish", "s3_cancel")}
    assert unseen - on_s3 == BY_SECRET | {"sharing.cover", "sharing.preview"}


def in_order(call: tuple[Rule, str]) -> tuple[bool, int]:
    """What only reads comes first, and what leaves nothing comes last."""
    rule, method = call
    return method not in ("GET", "HEAD"), LAST.index(rule.endpoint) if rule.endpoint in LAST else -1


def last_id(rule: Rule) -> str:
    """The id that an address names last: the innermost."""
    return [name for name in re.findall(r"<(?:\w+:)?(\w+)>", rule.rule) if name not in NEUTRAL][-1]


# --- ids in queries, forms and bodies ---

STUDIO, API = "/studio/events/{a}", "/api"
ACTIONS = ("publish", "unpublish", "share", "unshare", "hide", "unhide", "delete", "retry")
"""What can be done to many photos at once."""

IN_REQUESTS: list[tuple[str, str, str, dict[str, Any]]] = [
    *[
        ("owner", "POST", f"{STUDIO}/photos/actions", {"data": {"action": action, "ids": "{photo}", **more}})
        for action in ACTIONS
        for more in ({}, {"confirmed": "9", "up_to": "{photo_row}"}, {"photo": "{photo}"})
    ],
    ("owner", "GET", f"{STUDIO}/photos/tiles?ids={{photo}}", {}),
    ("owner", "GET", f"{STUDIO}/photos?camera={{camera}}", {}),
    ("owner", "GET", f"{STUDIO}/photos?by={{user}}", {}),
    ("owner", "GET", f"{STUDIO}/photos/live?by={{user}}", {"headers": HTMX}),
    ("owner", "GET", f"{STUDIO}/s3?ids={{upload}},{{direct_upload}},{{photo}}", {}),
    ("owner", "POST", f"{STUDIO}/retry?photo={{photo}}", {"data": {}}),
    ("owner", "POST", f"{STUDIO}/guests/retry?person={{person}}", {"data": {}}),
    ("owner", "POST", f"{STUDIO}/settings/cover", {"data": {"photo": "{photo}"}}),
    ("owner", "POST", f"{STUDIO}/photos/same-shot", {"data": {"decision": "replace", "camera": "{camera}"}}),
    *[
        ("guest", method, f"{API}/{path}?event_id={{event}}", {})
        for method, path in (
            ("GET", "my-photos"),
            ("GET", "my-photos?band=maybe&event_id={event}"),
            ("GET", "all-photos"),
            ("GET", "rematch-status"),
            ("GET", "user/event-expiration"),
            ("DELETE", "my-selfie"),
        )
    ],
    ("guest", "POST", f"{API}/consent", {"json": {"granted": False, "event_id": "{event}"}}),
    ("guest", "POST", f"{API}/consent", {"json": {"granted": True, "event_id": "{event}"}}),
]
"""Who sends what. Words in braces become ids of event B or, in the request to compare with, ids that no row has."""


def filled(value: Any, names: dict[str, str]) -> Any:
    """A request's parts with ids in place of the words in braces."""
    if isinstance(value, dict):
        return {key: filled(part, names) for key, part in value.items()}
    return value.format(**names) if isinstance(value, str) else value


def words(two: TwoEvents) -> tuple[dict[str, str], dict[str, str]]:
    """What the words in braces mean: ids of B, and ids that are missing."""
    foreign = {name.removesuffix("_id"): value for name, value in two.b.ids.items()}
    rows = {f"{name}_row": str(number) for name, number in two.b.row_ids.items()}
    own = {"a": two.a.ids["event_id"]}
    return foreign | rows | own, dict.fromkeys(foreign, MISSING) | rows | own


def test_ids_of_another_event_in_a_request_are_as_good_as_none(two: TwoEvents) -> None:
    attackers, before = {role: Attacker(two, role) for role in ("guest", "owner")}, two.dump()
    foreign, absent = words(two)
    for role, method, path, more in IN_REQUESTS:
        answers = []
        for names in (foreign, absent):
            answers.append(attackers[role].send(method, filled(path, names), **filled(more, names)))
            attackers[role].browser.get("/")
        place, ids = f"{role}: {method} {path} {more}", (*two.b.ids.values(), MISSING)
        assert essence(answers[0], *ids) == essence(answers[1], *ids), place
        assert_shows_nothing(answers[0], two.b, str(filled([path, str(more)], foreign)) + "".join(two.b.ids.values()))
    assert changed(before, two.dump()) == {}


def test_a_selfie_for_another_event_is_refused_and_kept_nowhere(two: TwoEvents) -> None:
    guest, before = two.api(two.a.guest), two.dump()
    for event_id in (two.b.ids["event_id"], MISSING):
        answer = guest.upload_selfie(selfie("eileen"), event_id=event_id, consent="true")
        assert (answer.status_code, answer.json["code"]) == (404, "not_found")
    after = two.dump()
    assert changed(before, after) == {}


def test_places_in_lists_of_another_event_show_rows_of_ones_own(two: TwoEvents) -> None:
    """Cursors and row ids are no secrets and belong to no event: whatever they say, the list stays one's own."""
    owner, guest = Attacker(two, "owner"), two.api(two.a.guest)
    theirs = two.api(two.b.owner)
    listed = theirs.get(f"/photographer/events/{two.b.ids['event_id']}/photos?limit=1")
    cursor = re.search(r"cursor=([^&>]+)", listed.headers["Link"])
    assert cursor
    studio = f"/studio/events/{two.a.ids['event_id']}"
    far = 2**31 - 1
    pages = [
        owner.send("GET", f"/api/photographer/events/{two.a.ids['event_id']}/photos?cursor={cursor[1]}"),
        owner.send("GET", f"{studio}/photos?after={2**52}.{far}", headers=HTMX),
        owner.send("GET", f"{studio}/guests?before={far}", headers=HTMX),
        owner.send("GET", f"{studio}/guests/{two.a.ids['person_id']}?before={far}", headers=HTMX),
        owner.send("GET", f"{studio}/upload/lost?before={far}", headers=HTMX),
        owner.send("GET", f"{studio}?before={far}"),
    ]
    for page in pages:
        assert page.status_code == 200
        assert_shows_nothing(page, two.b, "")
    photos = guest.get(f"/my-photos?cursor={cursor[1]}")
    assert photos.status_code in (200, 422)
    assert_shows_nothing(photos, two.b, "")


def test_all_photos_of_a_view_are_those_of_ones_own_event(two: TwoEvents) -> None:
    owner, before = Attacker(two, "owner"), two.dump()
    actions = f"/studio/events/{two.a.ids['event_id']}/photos/actions"
    form = {"action": "delete", "all": "1", "confirmed": "99", "up_to": str(2**31 - 1)}
    assert owner.send("POST", actions, data=form).status_code == 303
    gone = changed(before, two.dump())["photo"][0]
    assert len(gone) == 2, "the one that was replaced is in no view"
    assert not [row for row in gone if two.b.ids["photo_id"] in row or two.b.ids["replaced_id"] in row]


def test_a_token_of_one_event_uploads_nothing_to_another(two: TwoEvents) -> None:
    program, before = Api(two.app, two.a.upload_token), two.dump()
    for event_id in (two.b.ids["event_id"], MISSING):
        answer = program.upload_photos(event_id, ("mine.jpg", selfie("grace")))
        assert (answer.status_code, answer.json["code"]) == (404, "not_found")
    assert changed(before, two.dump()) == {}


def test_hashes_of_a_stolen_backup_open_nothing(two: TwoEvents) -> None:
    """Tokens of sessions, links, invitations and uploads are kept as hashes: none of them is taken for its token."""
    two.browser(two.b.owner).submit("/sign-in/link", {"email": two.b.owner}, page="/")
    hashes = [
        value
        for name, rows in two.dump(lambda name: name in HASHED).items()
        for row in rows
        for value in row
        if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{40,}|[\w-]{40,}", value)
    ]
    assert len(hashes) >= 6
    for value in hashes:
        client = Api(two.app, value)
        assert client.get("/me").status_code == 401
        assert Api(two.app, f"findme_up_{value}").get("/upload-token").status_code == 401
        assert Browser(two.app).get(f"/invitations/{value}").status_code == 404
        assert Browser(two.app).submit(f"/sign-in/{value}", page="/").status_code == 404
        assert Browser(two.app).submit(f"/password/{value}", page="/").status_code == 404


HASHED = {"user_session", "sign_in_link", "invitation", "upload_token"}
