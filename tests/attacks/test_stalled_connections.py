"""Connections that go no further, against the whole product with two web threads: pages and joining go on."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
import requests

from tests.support.actors import selfie
from tests.support.built import address
from tests.support.product import PASSWORD, Product, photographer, register, running
from tests.support.stalled import Caller, get, is_served, many, post

MANY = 40
FORM = "Content-Type: application/x-www-form-urlencoded\r\n"
PARTS = "Content-Type: multipart/form-data; boundary=x\r\n"
OFFSET_TYPE = "application/offset+octet-stream"
HALF = '--x\r\nContent-Disposition: form-data; name="selfie"; filename="me.jpg"\r\n\r\n\xff\xd8\xff'


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """An installation that waits for its clients for ten minutes, so that no time limit helps."""
    patient = {"REQUEST_HEAD_SECONDS": "600", "REQUEST_SILENCE_SECONDS": "600"}
    with running(tmp_path_factory.mktemp("stalled"), WORKERS="1", THREADS="2", MATCHING_PROCESSES="1", **patient) as it:
        photographer(it).post("/photographer/events", json={"name": "Stalled", "date": "2026-06-20"})
        yield it


def port(product: Product) -> int:
    return urlsplit(product.url).port or 0


def test_pages_are_there_beside_hundreds_of_connections_that_go_no_further(product: Product) -> None:
    code = product.rows("SELECT code FROM event")[0][0]
    halves = [
        "POST /e",
        get(f"/e/{code}")[:-2],
        post(f"/e/{code}", 5_000_000, more=PARTS) + HALF,
        post("/sign-in", 100, more=FORM),
        post("/api/upload-selfie", 100, more="Authorization: Bearer none\r\n" + PARTS) + HALF,
        post("/api/register", 20, more="Content-Type: application/json\r\n") + '{"user_data":',
        get(address("upload.js")),
    ]
    with ExitStack() as stack:
        for said in halves:
            stack.enter_context(many(port(product), MANY, said.encode("latin-1"), window=2048))
            assert is_served(port(product), "/sign-in"), said
        assert is_served(port(product), f"/e/{code}")
        # The main job goes on as well: a guest joins and hands in a selfie.
        register(product, code, "ada").upload_selfie(selfie("grace"))


def test_what_came_of_a_photo_before_its_connection_broke_is_kept(product: Product) -> None:
    content = selfie("grace")
    half = len(content) // 2
    with Sender(product) as sender, Caller(port(product)) as caller:
        address = sender.announce(content)
        sender.begin(caller, address, content[:half], len(content))
        caller.shutdown(1)  # as a phone does that loses its network in the middle
        caller.answer()
        assert sender.ask("HEAD", address).headers["Upload-Offset"] == str(half)
        assert sender.go_on(address, half, content[half:]) == "accepted"


def test_uploads_go_on_beside_uploads_that_stop(product: Product) -> None:
    """One has the place for bodies that are read while they come, the others are held until they go on."""
    content = selfie("eileen")
    with Sender(product) as sender, ExitStack() as stack:
        for number in range(10):
            caller, file = stack.enter_context(Caller(port(product))), content + bytes([number])
            sender.begin(caller, sender.announce(file), file[:1000], len(file))
        assert is_served(port(product), "/sign-in")
        assert sender.go_on(sender.announce(content), 0, content) == "accepted"


class Sender:
    """The photographer's browser, which sends files by tus."""

    def __init__(self, product: Product) -> None:
        self._url, self._browser = product.url, requests.Session()
        page = self._browser.get(f"{self._url}/sign-in").text
        form = {"csrf_token": _token(page), "login": "photographer@example.com", "password": PASSWORD}
        assert self._browser.post(f"{self._url}/sign-in", data=form).url.endswith("/studio/")
        self._event = f"/studio/events/{product.rows('SELECT public_id FROM event')[0][0]}"
        page = self._browser.get(f"{self._url}{self._event}/upload").text
        self._headers = {"X-CSRFToken": _token(page), "Tus-Resumable": "1.0.0"}

    def __enter__(self) -> "Sender":
        return self

    def __exit__(self, *_: object) -> None:
        self._browser.close()

    def ask(self, method: str, address: str, content: bytes = b"", **headers: str) -> requests.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._browser.request(method, self._url + address, data=content, headers=self._headers | named)

    def announce(self, content: bytes) -> str:
        """The path of a new upload of a file."""
        made = self.ask("POST", f"{self._event}/files", Upload_Length=str(len(content)))
        assert made.status_code == 201
        return urlsplit(made.headers["Location"]).path

    def begin(self, caller: Caller, address: str, content: bytes, length: int) -> None:
        """Send the first bytes of a file of this length over a connection of one's own."""
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self._browser.cookies)
        sent = self._headers | {"Cookie": cookies, "Upload-Offset": "0", "Content-Type": OFFSET_TYPE}
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        caller.say(post(address, length, method="PATCH", more=lines)).say(content)

    def go_on(self, address: str, offset: int, content: bytes) -> str:
        """Send the rest of a file; what became of it."""
        answer = self.ask("PATCH", address, content, Upload_Offset=str(offset), Content_Type=OFFSET_TYPE)
        return answer.headers["FindMe-Status"]


def _token(page: str) -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page) or re.search(
        r'csrf-token" content="([^"]+)"', page
    )
    assert found, page[:500]
    return found[1]
