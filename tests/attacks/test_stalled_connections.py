"""Connections that go no further, against the whole product with two web threads: pages and joining go on."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
import requests

from tests.actors import selfie
from tests.product import PASSWORD, Product, photographer, register, running
from tests.stalled import Caller, get, is_served, many, post

MANY = 40
FORM = "Content-Type: application/x-www-form-urlencoded\r\n"
PARTS = "Content-Type: multipart/form-data; boundary=x\r\n"
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
        get("/static/vendor/uppy.min.mjs"),
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
    with requests.Session() as browser:
        _sign_in(browser, product)
        event = product.rows("SELECT public_id FROM event")[0][0]
        page = browser.get(f"{product.url}/studio/events/{event}/upload").text
        headers = {"X-CSRFToken": _token(page), "Tus-Resumable": "1.0.0"}
        made = browser.post(
            f"{product.url}/studio/events/{event}/files", headers=headers | {"Upload-Length": str(len(content))}
        )
        assert made.status_code == 201
        address = urlsplit(made.headers["Location"]).path
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies)
        sent = headers | {"Cookie": cookies, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        with Caller(port(product)) as caller:
            caller.say(post(address, len(content), method="PATCH", more=lines)).say(content[:half])
            caller.shutdown(1)  # as a phone does that loses its network in the middle
            caller.answer()
        assert browser.head(f"{product.url}{address}", headers=headers).headers["Upload-Offset"] == str(half)
        rest = sent | {"Upload-Offset": str(half)}
        del rest["Cookie"]
        assert browser.patch(f"{product.url}{address}", data=content[half:], headers=rest).headers["FindMe-Status"] == (
            "accepted"
        )


@pytest.mark.parametrize(
    "chunks",
    ["0x2\r\n{}\r\n0\r\n\r\n", "2;a\nb\r\n{}\r\n0\r\n\r\n", "2\r\n{}x\r\n", "2\r\n{}\r\n0\r\nHost: x\r\n\r\n"],
    ids=["no size", "no extension", "no end", "no trailer"],
)
@pytest.mark.parametrize(("path", "kind"), [("/api/login", "Content-Type: application/json\r\n"), ("/sign-in", FORM)])
def test_chunks_that_are_none_are_refused(product: Product, chunks: str, path: str, kind: str) -> None:
    with Caller(port(product)) as caller:
        caller.say(get(path, method="POST", more=kind + "Transfer-Encoding: chunked\r\n") + chunks)
        assert caller.answer().startswith(b"HTTP/1.1 400 ")


def _sign_in(browser: requests.Session, product: Product) -> None:
    page = browser.get(f"{product.url}/sign-in").text
    form = {"csrf_token": _token(page), "login": "photographer@example.com", "password": PASSWORD}
    assert browser.post(f"{product.url}/sign-in", data=form).url.endswith("/studio/")


def _token(page: str) -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page) or re.search(
        r'csrf-token" content="([^"]+)"', page
    )
    assert found, page[:500]
    return found[1]
