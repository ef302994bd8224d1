"""Values that would break a response's header, or lead its reader to another host."""

import base64
import io
import urllib.parse

import pytest
from flask import Flask, send_file
from sqlalchemy import select
from werkzeug.test import TestResponse

from tests.attacks import bombs
from tests.attacks.suspects import OWNER
from tests.support.actors import PASSWORD, World
from tests.support.browsing import HTMX, Browser
from tests.support.tus import TUS, Tus
from webapp.db.extensions import db
from webapp.models import Photo, Upload, UserRole
from webapp.web.media import download_name

BREAK = "x\r\nSet-Cookie: stolen=1\r\n\r\n<script>alert(1)</script>"


def headers_are_clean(answer: TestResponse) -> None:
    assert answer.status_code < 500
    for name, value in answer.headers:
        assert "\r" not in value, name
        assert "\n" not in value, name
    assert "stolen" not in str(answer.headers.getlist("Set-Cookie"))


@pytest.mark.parametrize("broken", [BREAK, "/\r\nX: y", "/\nX: y", "/\u2028X: y", "/\u560a\u560dX: y", "/%0d%0aX: y"])
def test_no_address_to_come_back_to_breaks_a_header(app: Flask, world: World, broken: str) -> None:
    world.person(OWNER, UserRole.PHOTOGRAPHER)
    browser = Browser(app)
    query = urllib.parse.urlencode({"next": broken})
    signed_in = browser.submit(f"/sign-in?{query}", {"login": OWNER, "password": PASSWORD})
    answers = [
        signed_in,
        browser.get(f"/sign-in?{query}"),
        browser.submit("/language", {"language": "fr", "next": broken}, page="/"),
        app.test_client().get(f"/studio/?{query}"),
    ]
    for answer in answers:
        headers_are_clean(answer)
        assert answer.status_code == 303
        assert answer.headers["Location"].startswith("/")


@pytest.mark.parametrize(
    "address", ["http://[", "//[x", "http://]", "http://[::1", "\\\\[", "http://a:b:c/", "x" * 5000]
)
def test_a_malformed_address_is_no_fault_of_ours(app: Flask, world: World, address: str) -> None:
    event_id = world.event()
    owner = Browser(app).sign_in(OWNER, PASSWORD)
    query = urllib.parse.urlencode({"next": address})
    assert owner.get(f"/sign-in?{query}").headers["Location"] == "/studio/"
    assert owner.submit("/language", {"next": address}, page="/").headers["Location"] == "/"
    fragment = app.test_client().get("/studio/", headers={**HTMX, "HX-Current-URL": address})
    assert fragment.status_code == 401
    headers_are_clean(fragment)
    by_library = owner.client.post(f"/studio/events/{event_id}/s3/x", headers={"Origin": address})
    assert by_library.status_code == 400


@pytest.mark.parametrize(
    ("shown", "autoencoded"), [("http://localhost//evil.example/x", False), ("http%3A//a%2F%0d%0aX%3A%20y", True)]
)
def test_the_page_that_asked_for_a_fragment_leads_to_no_other_host(
    app: Flask, world: World, shown: str, autoencoded: bool
) -> None:
    world.person(OWNER, UserRole.PHOTOGRAPHER)
    said = {**HTMX, "HX-Current-URL": shown, **({"HX-Current-URL-URI-AutoEncoded": "true"} if autoencoded else {})}
    answer = app.test_client().get("/studio/", headers=said)
    headers_are_clean(answer)
    way = answer.headers["HX-Redirect"]
    assert way.startswith("/sign-in")
    signed_in = Browser(app).submit(way, {"login": OWNER, "password": PASSWORD})
    assert not signed_in.headers["Location"].startswith(("//", "http"))


@pytest.mark.parametrize(
    "name", [BREAK, "a\nb.jpg", 'a"; filename="b.html', "%0d%0aX: y.jpg", "\x1b[31m.jpg", "\u2028"]
)
def test_a_file_name_that_tus_announces_breaks_no_header(app: Flask, world: World, name: str) -> None:
    tus, content = Tus(app, world), bombs.encoded("JPEG", 64, 64)
    answers = [tus.create(name, len(content), content), tus.create(name, 5, b"notes"), tus.create(name, 10**12)]
    metadata = {"Upload-Metadata": f"filename {base64.b64encode(name.encode()).decode()},x\t\x1b[31m eA=="}
    answers.append(
        tus.browser.client.post(tus.files, headers={**TUS, **tus.csrf, **metadata, "Upload-Length": "5"}, data=b"")
    )
    answers.append(tus.head(f"{tus.files}/{urllib.parse.quote(name, safe='')}"))
    for answer in answers:
        headers_are_clean(answer)
        assert "Upload-Metadata" not in answer.headers, "nothing that was announced is echoed"
    with app.app_context():
        photo_id = db.session.scalars(select(Photo.public_id)).one()
        names = db.session.scalars(select(Upload.filename)).all()
    assert all(name.isprintable() and "/" not in name for name in names)
    world.work()
    download = tus.browser.get(f"/photos/{photo_id}/download")
    headers_are_clean(download)
    assert download.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ('a"; filename="evil.html', 'a"; filename="evil.html.jpg'),
        ("%0d%0aSet-Cookie: a=b.jpg", "%0d%0aSet-Cookie: a=b.jpg"),
        ("..", "photo.jpg"),
        ("....", "photo.jpg"),
        (". .jpg", ". .jpg"),
        ("a.jpg.exe", "a.jpg.exe.jpg"),
        ("a.jpg\u202eexe.", "a.jpgexe.jpg"),
        ("C:\\a\\..\\b.jpg", "C:_a_.._b.jpg"),
    ],
)
def test_a_saved_file_has_one_name_with_our_ending(app: Flask, name: str, saved: str) -> None:
    assert download_name(name, "image/jpeg") == saved
    with app.test_request_context():
        sent = send_file(io.BytesIO(), "image/jpeg", as_attachment=True, download_name=saved)
    disposition = sent.headers["Content-Disposition"]
    assert disposition.isascii()
    assert "\r" not in disposition
    # A quote within the name is escaped, so that it ends nothing.
    assert disposition.replace('\\"', "").count('"') in (0, 2)
