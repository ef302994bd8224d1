"""Bodies and headers that cost more than they weigh: forms, JSON, tus metadata and names. Each is refused with a clear
status or taken in harmlessly; none is a 500, and reading it costs little memory.
"""

import base64
import io
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from tests.attacks import bombs
from tests.support.actors import Api, World, selfie
from tests.support.browsing import Browser, text
from tests.support.tus import TUS, Tus
from webapp.db.extensions import db
from webapp.models import Photo, Upload, User
from webapp.web.requests import bodies

MULTIPART = "multipart/form-data; boundary=bb"
URLENCODED = "application/x-www-form-urlencoded"
LARGE = b"x" * 490_000


@contextmanager
def within(megabytes: float) -> Iterator[None]:
    """Check that Python takes no more memory than this in the block."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before < megabytes * 2**20


def form(*parts: tuple[str, bytes]) -> bytes:
    """A multipart body: headers and content of each part."""
    return b"".join(b"--bb\r\n" + head.encode() + b"\r\n\r\n" + body + b"\r\n" for head, body in parts) + b"--bb--\r\n"


def field(name: str, filename: str = "") -> str:
    return f'Content-Disposition: form-data; name="{name}"' + (f'; filename="{filename}"' if filename else "")


NESTED = form((field("file", "a.jpg") + "\r\nContent-Type: multipart/mixed; boundary=cc", b"--cc\r\n\r\n--cc--" * 9999))

REFUSED: dict[str, tuple[str, Callable[[], bytes]]] = {
    "many parts": (MULTIPART, lambda: form(*((field(f"f{number}"), b"") for number in range(5000)))),
    "many large fields": (MULTIPART, lambda: form(*((field(f"f{number}"), LARGE) for number in range(100)))),
    "many large fields of one name": (MULTIPART, lambda: form(*[(field("name"), LARGE)] * 100)),
    "headers of a part": (MULTIPART, lambda: form((field("f") + "\r\nX: " + "x" * 10**7, b""))),
    "many headers of a part": (MULTIPART, lambda: form((field("f") + "\r\nab:cd" * 10**6, b""))),
    "many headers of many parts": (MULTIPART, lambda: form(*[(field("f", "a.jpg") + "\r\nab:cd" * 9000, b"")] * 300)),
    "a field": (MULTIPART, lambda: form((field("name"), b"x" * 10**7))),
    "urlencoded fields": (URLENCODED, lambda: b"&".join(b"%x=a" % number for number in range(2 * 10**6))),
    "one urlencoded field": (URLENCODED, lambda: b"name=" + b"x" * 10**7),
    "few bytes of urlencoded fields": (URLENCODED, lambda: b"&".join(b"%x=" % number for number in range(5000))),
}

TAKEN: dict[str, Callable[[], bytes]] = {
    "many large files": lambda: form(*((field(f"f{number}", "a.jpg"), LARGE) for number in range(100))),
    "many empty files": lambda: form(*[(field("file", "a.jpg"), b"")] * 900),
    "a form within a form": lambda: NESTED,
    "a boundary in the content": lambda: form((field("file", "a.jpg"), b"--bb-- --bb\r" * 50_000 + b"\n--b" * 50_000)),
    "only line breaks": lambda: form((field("file", "a.jpg"), b"\r" * 10**6 + b"\n" * 10**6)),
    "no end": lambda: b"--bb\r\n" + field("file", "a.jpg").encode() + b"\r\n\r\n" + LARGE,
    "no name": lambda: form(("Content-Disposition: form-data", b"x")),
    "no disposition": lambda: form(("Content-Type: text/plain", b"x")),
    "no text in a header": lambda: b"--bb\r\nContent-Disposition: form-data; name=\xff\xfe\r\n\r\nx\r\n--bb--\r\n",
    "no parts": lambda: b"--bb--\r\n" * 10_000,
}


def everywhere(app: Flask, world: World, body: bytes, kind: str) -> dict[str, TestResponse]:
    """What each form answers that strangers, guests and photographers may send."""
    guest, owner = api_of(app, world), Browser(app).sign_in("photographer@example.com", "correct horse battery")
    event_id = Api(app).login("photographer@example.com").get("/photographer/events").json[0]["id"]  # type: ignore[index]
    csrf = {"X-CSRFToken": owner.token("/account")}
    studio = f"/studio/events/{event_id}"
    calls: dict[str, Callable[[], TestResponse]] = {
        "join": lambda: app.test_client().post(f"/e/{world.code}", data=body, content_type=kind),
        "sign-in": lambda: app.test_client().post("/sign-in", data=body[: 2**21], content_type=kind),
        "selfie": lambda: guest.post("/upload-selfie", data=body, content_type=kind),
        "precheck": lambda: Api(app).post("/validate-selfie", data=body, content_type=kind),
        "invite": lambda: Api(app).post("/register-invite-with-selfie", data=body, content_type=kind),
        "photos": lambda: owner.client.post(f"{studio}/photos", data=body, content_type=kind, headers=csrf),
        "cover": lambda: owner.client.post(f"{studio}/settings/cover", data=body, content_type=kind, headers=csrf),
    }
    found = {}
    for name, call in calls.items():
        with within(megabytes=15):
            found[name] = call()
    return found


def api_of(app: Flask, world: World) -> Api:
    world.event()
    return Api(app).register(world.code, "bob")


# --- forms ---


@pytest.mark.parametrize("name", REFUSED)
def test_forms_that_hold_too_much_are_refused(app: Flask, world: World, name: str) -> None:
    kind, make = REFUSED[name]
    answers = everywhere(app, world, make(), kind)
    assert {way: answer.status_code for way, answer in answers.items()} == dict.fromkeys(answers, 413)


@pytest.mark.parametrize("name", TAKEN)
def test_odd_forms_are_answered(app: Flask, world: World, name: str) -> None:
    answers = everywhere(app, world, TAKEN[name](), MULTIPART)
    # What has none of the fields of the form is refused; 413 where the whole is larger than the form may be.
    assert {answer.status_code for answer in answers.values()} <= {200, 400, 413, 415, 422}


def test_the_files_of_a_form_are_what_was_sent(app: Flask) -> None:
    """Also where they go to the disk, are read in turns, and from their ends."""
    sent = [bytes([number]) * (bodies.IN_MEMORY // 4 + number) for number in range(9)]
    body = form(*((field("files", f"{number}.jpg"), content) for number, content in enumerate(sent)))
    with app.test_request_context("/", method="POST", data=body, content_type=MULTIPART) as context:
        files = [file.stream for file in context.request.files.getlist("files")]
        for content, file in reversed([*zip(sent, files, strict=True)]):
            assert file.seek(-5, io.SEEK_END) == len(content) - 5
            assert file.read() == content[-5:]
        for file in files:
            file.seek(0)
        assert [file.read(3) for file in files] == [content[:3] for content in sent]
        assert [file.read() for file in files] == [content[3:] for content in sent]
        assert [file.read(1) for file in files] == [b""] * 9


def test_many_files_of_a_form_take_one_open_file(app: Flask) -> None:
    from pathlib import Path

    def is_open() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    body, before = form(*[(field("files", "a.jpg"), b"x" * 600_000)] * 60), is_open()
    with app.test_request_context("/", method="POST", data=body, content_type=MULTIPART) as context:
        assert len(context.request.files.getlist("files")) == 60
        assert is_open() <= before + 1
    assert is_open() <= before


# --- JSON ---

JSON = {
    "deep lists": b"[" * 10**5 + b"]" * 10**5,
    "deep objects": b'{"event_code":' * 10**5 + b"1" + b"}" * 10**5,
    "less deep lists": b"[" * 30_000 + b"]" * 30_000,
    "small objects": b"[" + b'{"":0},' * 280_000 + b"0]",
    "small objects within the limit": b"[" + b'{"":0},' * 9000 + b"0]",
    "a long number": b'{"size": ' + b"9" * 60_000 + b"}",
    "a large power": b'{"size": 1e999999, "event_code": NaN, "limit": -Infinity}',
    "the same key often": b"{" + b'"event_code": "x", ' * 3000 + b'"event_code": "y"}',
    "a long text": b'{"event_code": "' + b"x" * 1_900_000 + b'"}',
    "a long text within the limit": b'{"filename": "' + b"x" * 60_000 + b'", "size": 1, "event_code": "x"}',
    "keys that collide": b"{" + b",".join(b'"%d":1' % (number * (2**61 - 1)) for number in range(2000)) + b"}",
}

JSON_PATHS = (
    "/api/check-event-code",
    "/api/check-user-availability",
    "/api/register-with-event-code",
    "/api/login",
    "/api/join-event",
    "/api/consent",
    "/api/matches/x",
    "/api/photographer/events",
    "/api/photographer/events/{}/many-children",
)


@pytest.mark.parametrize("name", JSON)
def test_json_that_costs_much_is_refused(app: Flask, world: World, name: str) -> None:
    event_id = world.event()
    owner = Api(app).login("photographer@example.com")
    for path in JSON_PATHS:
        address = path.format(event_id)
        with within(megabytes=8):
            answer = owner.post(address.removeprefix("/api"), data=JSON[name], content_type="application/json")
        assert answer.status_code in (400, 404, 405, 413, 415, 422) or address.endswith(
            ("check-event-code", "check-user-availability")
        ), (path, answer.status_code)
        assert answer.status_code < 500


@pytest.mark.parametrize("name", JSON)
def test_json_of_the_upload_page_is_refused(app: Flask, world: World, name: str) -> None:
    tus = Tus(app, world)
    address = f"/studio/events/{tus.event_id}/s3"
    with within(megabytes=8):
        answer = tus.browser.client.post(address, data=JSON[name], content_type="application/json", headers=tus.csrf)
    # 404: files don't go straight to the store here.
    assert answer.status_code in (400, 404, 413, 422)


# --- tus ---


def words(name: bytes) -> str:
    return f"filename {base64.b64encode(name).decode()}"


@pytest.mark.parametrize(
    ("metadata", "length", "status"),
    [
        (words(b"x" * 75_000), "9", 201),
        (",".join(f"k{number} eA==" for number in range(10_000)), "9", 201),
        (",".join(["filename eA=="] * 10_000), "9", 201),
        ("filename !!!!", "9", 400),
        ("filename eA", "9", 400),
        (words(b"\xff\xfe\xff"), "9", 400),
        ("," * 100_000, "9", 201),
        (" " * 100_000, "9", 201),
        (words(b"a"), "9" * 15, 413),
        (words(b"a"), "9" * 5000, 400),
        (words(b"a"), "-1", 400),
        (words(b"a"), "1e9", 400),
        (words(b"a"), "\u0669", 400),
        (words(b"a"), "", 400),
    ],
)
def test_what_tus_announces_is_bounded(app: Flask, world: World, metadata: str, length: str, status: int) -> None:
    tus = Tus(app, world)
    headers = {**TUS, **tus.csrf, "Upload-Length": length.encode().decode("latin-1"), "Upload-Metadata": metadata}
    with within(megabytes=8):
        answer = tus.browser.client.post(tus.files, headers=headers)
    assert answer.status_code == status
    with app.app_context():
        assert all(len(row.filename) <= 200 for row in db.session.scalars(select(Upload)))


# --- names ---

NAMES = {
    "long": "x" * 100_000,
    "from right to left": "\u202egpj.exe" * 10 + "\u2067\u2066\u202a",
    "NUL": "a\0b\0" * 50,
    "line breaks": "a\r\nSet-Cookie: x=y\r\n\r\n<b>\u2028\u2029",
    "combining": "a" + "\u0301" * 50_000,
    "half a character": "a\ud800",
    "invisible": "\u200b\u200d\ufeff\u00ad" * 20,
}


@pytest.mark.parametrize("name", NAMES)
def test_file_names_are_shown_as_one_short_line(app: Flask, world: World, name: str) -> None:
    event_id = world.event()
    owner = Api(app).login("photographer@example.com")
    content = bombs.encoded("JPEG", 64, 64)
    sent = NAMES[name].encode("utf-8", "surrogatepass").replace(b"\r\n", b"%0D%0A")
    body = b'--bb\r\nContent-Disposition: form-data; name="files"; filename="' + sent + b'"\r\n\r\n' + content
    answer = owner.post(
        f"/photographer/events/{event_id}/upload-photos", data=body + b"\r\n--bb--\r\n", content_type=MULTIPART
    )
    assert answer.status_code in (200, 207, 422), answer.text
    with app.app_context():
        for photo in db.session.scalars(select(Photo)):
            assert 0 < len(photo.filename) <= 200
            assert photo.filename.isprintable()


@pytest.mark.parametrize("name", NAMES)
def test_names_of_people_are_one_short_line(app: Flask, world: World, name: str) -> None:
    world.event()
    data = {"name": NAMES[name].encode("utf-8", "surrogatepass"), "email": "bob@example.com", "consent": "y"}
    browser = Browser(app)
    answer = browser.submit(f"/e/{world.code}", {**data, "file": (io.BytesIO(selfie("grace")), "me.jpg")})
    assert answer.status_code in (303, 413, 422), text(answer)[:300]
    user = {"username": NAMES[name], "email": "ada@example.com", "password": "correct horse battery"}
    by_api = Api(app).post("/register-with-event-code", json={"user_data": user, "event_code": world.code})
    assert by_api.status_code in (201, 413, 422), by_api.text
    with app.app_context():
        for user in db.session.scalars(select(User)):  # type: ignore[assignment]
            assert len(user.name) <= 120  # type: ignore[attr-defined]
            assert not any(ord(char) < 32 for char in user.name)  # type: ignore[attr-defined]
