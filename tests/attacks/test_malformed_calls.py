"""Malformed calls that once crashed, by name. Each must be answered with what is wrong, and change nothing."""

import json

import pytest
from flask import Flask
from rq.job import Job
from rq.serializers import JSONSerializer
from werkzeug.test import TestResponse

from tests.attacks.odd_calls import Call, Identity, Target
from tests.support.actors import PASSWORD, Api, World
from tests.support.browsing import Browser, text
from webapp import queueing
from webapp.models import UserRole
from webapp.reasons import SENTENCES
from webapp.web.requests.error_handlers import TELLS

ADMIN = "admin@example.com"
QUEUES = "/admin/queues"
BODIES = ("[1]", "1", '"text"', "null", "true", '[["a", 1]]', '{"code": 1}', '{"a": {"b": 1}}', "{", "", "[" * 5000)


@pytest.fixture
def admin(app: Flask, world: World) -> Browser:
    world.person(ADMIN, UserRole.ADMIN)
    return Browser(app).sign_in(ADMIN, PASSWORD)


def send(browser: Browser, path: str, body: str | bytes, content_type: str) -> TestResponse:
    headers = {"X-CSRFToken": browser.token("/")}
    return browser.client.post(path, data=body, content_type=content_type, headers=headers)


# --- pages take forms ---


@pytest.mark.parametrize("body", BODIES)
def test_pages_refuse_json(app: Flask, owner: Browser, event_id: str, body: str) -> None:
    studio = f"/studio/events/{event_id}"
    pages = [f"{studio}/settings", f"{studio}/settings/cover", f"{studio}/settings/publishing", f"{studio}/limit"]
    everybody = [(Browser(app), path) for path in ("/", "/sign-in", "/language", "/e/PARTY234")]
    for browser, path in [*everybody, *((owner, page) for page in pages)]:
        for kind in ("application/json", "application/vnd.api+json", "application/json; charset=nonsense"):
            answer = send(browser, path, body, kind)
            assert answer.status_code == 400, (path, kind)
            assert str(SENTENCES["form_expected"]) in text(answer), path


def test_the_form_that_invites_photographers_refuses_json(admin: Browser) -> None:
    answer = send(admin, "/admin/people", "[1]", "application/json")
    assert answer.status_code == 400
    assert str(SENTENCES["form_expected"]) in text(answer)


def test_every_page_with_a_form_refuses_json(app: Flask) -> None:
    """Every page that takes a form and is open to anyone, or says first that one has to sign in."""
    for rule in app.url_map.iter_rules():
        if "POST" not in (rule.methods or ()) or rule.rule.startswith("/api/") or rule.endpoint in TELLS:
            continue
        address = rule.build(dict.fromkeys(rule.arguments, "1"))
        assert address is not None
        answer = app.test_client().post(address[1], data="[1]", content_type="application/json")
        assert answer.status_code in (400, 303), rule.rule


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", "x", "/", "application/xml"])
def test_pages_refuse_every_other_type(app: Flask, kind: str) -> None:
    assert send(Browser(app), "/sign-in", b"login=a&password=b", kind).status_code == 400


def test_a_form_that_says_it_is_one_and_is_not_is_refused_beside_its_fields(app: Flask) -> None:
    broken = [
        ("application/x-www-form-urlencoded", b'{"login": "a"}'),
        ("application/x-www-form-urlencoded; charset=utf-16", b"login=a"),
        ("application/x-www-form-urlencoded", b"%zz=%&\xff\xfe=\xff&\0=&login=%ff"),
        ("multipart/form-data", b"--b\r\n"),
        ("multipart/form-data; boundary=", b"--b\r\n"),
        ("multipart/form-data; boundary=\xff", b"--b\r\n"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b"),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="login"\r\n'),
    ]
    for kind, body in broken:
        answer = send(Browser(app), "/sign-in", body, kind)
        assert answer.status_code in (400, 413, 422), (kind, body)


NAMELESS = b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b\r\nContent-Disposition: x\r\n\r\ny\r\n--b--\r\n"


def test_a_part_without_a_name_is_refused(owner: Browser, guest: Api) -> None:
    """Also where no token comes in a header, so that it is looked for among the parts."""
    kind = "multipart/form-data; boundary=b"
    for path in ("/", "/sign-in", "/e/PARTY234", "/studio/events/new"):
        assert owner.client.post(path, data=NAMELESS, content_type=kind).status_code == 400, path
        assert send(owner, path, NAMELESS, kind).status_code == 400, path
    assert owner.client.post("/api/upload-selfie", data=NAMELESS, content_type=kind).status_code == 400
    assert guest.post("/upload-selfie", data=NAMELESS, content_type=kind).status_code == 422


# --- bytes that are no UTF-8, and addresses that are none ---


def call(app: Flask, identity: Identity | None = None, **parts: object) -> str:
    return Target(app, {"nobody": identity or Identity()}, {}).make(Call("nobody", **parts))  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["/", "/nothing", "/account/others", "/static/nothing.css", "/e/NOPE9999", "/api/me"])
@pytest.mark.parametrize("query", ["\xff\xfe", "a=\xed\xa0\x80&b=1", "%ff=%zz"])
def test_a_query_of_other_bytes_than_text_is_answered(app: Flask, path: str, query: str) -> None:
    assert call(app, method="GET", path=path, query=query) == ""


def test_a_query_of_other_bytes_keeps_what_can_be_read(app: Flask) -> None:
    answer = app.test_client().get("/sign-in", environ_overrides={"QUERY_STRING": "next=/studio/&x=\xff"})
    assert answer.status_code == 200
    assert "next=/studio/&x=\ufffd" in text(answer)


@pytest.mark.parametrize("address", ["http://[", "//[", "http://[::1", "https://]"])
def test_addresses_that_are_none_lead_nowhere_else(app: Flask, admin: Browser, address: str) -> None:
    switched = admin.submit("/language", {"language": "fr", "next": address}, page="/")
    assert (switched.status_code, switched.headers["Location"]) == (303, "/")
    live = Browser(app).get("/account/others", headers={"HX-Request": "true", "HX-Current-URL": address})
    assert (live.status_code, live.headers["HX-Redirect"]) == (401, "/sign-in")
    pressed = admin.client.post(f"{QUEUES}/requeue/mail", headers={"Origin": address})
    assert (pressed.status_code, pressed.json["code"]) == (400, "csrf")  # type: ignore[index]


# --- the pages of the queues ---


@pytest.mark.parametrize(
    "address",
    [
        "1/view/queues",
        f"{10**30}/view/workers",
        "1/data/queues.json",
        "1/data/workers.json",
        "1/view/job/nothing",
        "0/view/job/nothing",
        "0/view/job/%00",
        "0/view/job/" + "x" * 2000,
        "0/data/job/nothing.json",
        "0/data/jobs/mail/lost/8/asc/1.json",
        "0/data/jobs/nothing/queued/8/asc/1.json",
        "0/data/jobs/%FF/queued/8/asc/1.json",
        "0/data/jobs/mail/queued/0/asc/1.json",
        "0/data/jobs/mail/queued/-1/asc/1.json",
        "0/data/jobs/mail/queued/x/asc/1.json",
        "0/data/jobs/mail/queued/1e3/asc/1.json",
        f"0/data/jobs/mail/queued/{'9' * 5000}/asc/1.json",
        "0/data/jobs/mail/queued/8/asc/0.json",
        "0/data/jobs/mail/queued/8/asc/-1.json",
        "0/data/jobs/mail/queued/8/asc/x.json",
        "0/data/jobs/mail/queued/8/asc/².json",
        f"0/data/jobs/mail/failed/8/dsc/{10**30}.json",
        "0/data/jobs/mail/queued/8/sideways/1.json",
        "0/view/jobs/mail/lost/8/asc/1",
        "0/view/jobs/mail/queued/0/asc/1",
        f"0/view/jobs/mail/queued/8/asc/{10**30}",
    ],
)
def test_odd_addresses_of_the_queues_are_not_found(admin: Browser, address: str) -> None:
    answer = admin.get(f"{QUEUES}/{address}")
    assert answer.status_code == 404
    if "/data/" in address:
        assert answer.json is not None and answer.json["code"] == "not_found"
    else:
        assert 'href="/"' in answer.text


@pytest.mark.parametrize("order", ["asc", "dsc"])
@pytest.mark.parametrize("registry", ["queued", "started", "finished", "failed", "deferred", "scheduled", "canceled"])
def test_every_list_of_a_queue_opens_beyond_its_end(admin: Browser, registry: str, order: str) -> None:
    for page in (1, 2, 1_000_000):
        answer = admin.get(f"{QUEUES}/0/data/jobs/mail/{registry}/1000/{order}/{page}.json")
        assert answer.status_code == 200, page
        assert json.loads(answer.text)["jobs"] == []


def test_buttons_of_the_queues_say_what_they_can_not_do(app: Flask, admin: Browser) -> None:
    with app.app_context():
        queueing.enqueue(queueing.SEND_MAIL, "nothing")
        waiting = queueing.SEND_MAIL.job_id("nothing")
    expected = {
        f"job/{waiting}/requeue": 409,
        "job/nothing/requeue": 404,
        "requeue/nothing": 404,
        "queue/nothing/compact": 404,
        "queue/photos/compact": 409,
        "queue/mail/lost/empty": 404,
        "requeue/mail": 200,
    }
    for address, status in expected.items():
        answer = admin.client.post(f"{QUEUES}/{address}", headers={"Origin": "http://localhost"}, json=[1])
        assert answer.status_code == status, address
        assert answer.json is not None, address
    connection = app.extensions["redis"]
    assert Job.exists(waiting, connection=connection), "nothing was thrown away"
    Job.fetch(waiting, connection=connection, serializer=JSONSerializer).delete()
    assert admin.get(f"{QUEUES}/0/view/job/{waiting}").status_code == 404
