"""Files that are something else than they say, by every way in: refused with a sentence, or taken as the picture that
they are and served as nothing but that.
"""

import io
import struct
import zipfile
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
from flask import Flask
from PIL import ExifTags, Image
from sqlalchemy import select
from werkzeug.test import TestResponse

from tests.attacks import bombs
from tests.attacks.suspects import OWNER
from tests.support.actors import PASSWORD, Api, World, photos_with, selfie
from tests.support.browsing import Browser, text
from tests.support.tus import Tus
from webapp.db.extensions import db
from webapp.models import Event, Photo, Selfie
from webapp.services.core import blobs
from webapp.web.media import PICTURE_POLICY

MARKUP = b"<html><script>alert(document.domain)</script><svg onload=alert(1)></html>"
OURS = {"image/jpeg", "image/png", "image/webp", "image/avif", "image/heif"}


def saved(file_format: str, **options: Any) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (64, 64), "green").save(target, file_format, **options)
    return target.getvalue()


def archive() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        file.writestr("index.html", MARKUP)
    return target.getvalue()


def brand(name: bytes) -> bytes:
    """A picture's container under another name."""
    content = saved("AVIF")
    return content[:8] + name + content[12:].replace(b"avif", name, 3)


NO_PICTURES: dict[str, Callable[[], bytes]] = {
    "SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>',
    "SVG with a declaration": lambda: (
        b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>'
    ),
    "HTML": lambda: MARKUP,
    "HTML behind blanks": lambda: b"\n \t" * 100 + MARKUP,
    "PDF": lambda: b"%PDF-1.7\n1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj\n%%EOF",
    "PDF with a JPEG in it": lambda: b"%PDF-1.7\n1 0 obj<</Filter/DCTDecode>>stream\n" + saved("JPEG") + b"\n%%EOF",
    "GIF": lambda: saved("GIF"),
    "GIF that is JavaScript": lambda: b"GIF89a=1;alert(1);//" + saved("GIF")[6:],
    "TIFF": lambda: saved("TIFF"),
    "BMP": lambda: saved("BMP"),
    "EPS": lambda: saved("EPS"),
    "PostScript": lambda: b"%!PS\n(%pipe%id) (r) file\n",
    "PSD": lambda: b"8BPS\0\1" + b"\0" * 6 + struct.pack(">HIIHH", 3, 64, 64, 8, 3) + b"\0" * 1000,
    "ICO": lambda: saved("ICO"),
    "JPEG 2000": lambda: saved("JPEG2000"),
    "TGA": lambda: saved("TGA"),
    "PPM": lambda: saved("PPM"),
    "ZIP": archive,
    "ZIP with a JPEG behind it": lambda: archive() + saved("JPEG"),
    "JPEG behind a line break": lambda: b"\n" + saved("JPEG"),
    "MP4": lambda: b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"\0" * 200,
    "AVIF that calls itself a film": lambda: brand(b"qt  "),
    "AVIF that calls itself Canon's RAW": lambda: brand(b"crx "),
    "WAV": lambda: b"RIFF" + struct.pack("<I", 100) + b"WAVEfmt " + b"\0" * 100,
    "ELF": lambda: b"\x7fELF\2\1\1" + b"\0" * 200,
    "script": lambda: b"#!/bin/sh\nid\n",
    "playlist": lambda: b"#EXTM3U\nfile:///etc/passwd\n",
    "MVG": lambda: b"push graphic-context\nimage over 0,0 0,0 'https://evil.example/x'\npop graphic-context",
}


def tags(picture: bytes, **options: Any) -> bytes:
    """The picture with markup and a place in everything that its format can carry."""
    exif = Image.Exif()
    for tag in (ExifTags.Base.ImageDescription, ExifTags.Base.Artist, ExifTags.Base.Copyright, ExifTags.Base.Make):
        exif[tag] = MARKUP.decode()
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    target = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as image:
        image.convert("RGB").save(target, exif=exif.tobytes(), **options)
    return target.getvalue()


def commented(picture: bytes) -> bytes:
    """A JPEG whose first segment is a comment of markup."""
    comment = b"*/" + MARKUP + b"/*"
    return picture[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + picture[2:]


def png_with_text(picture: bytes) -> bytes:
    target = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as image:
        image.save(target, "PNG")
    content = target.getvalue()
    return content[:33] + bombs.chunk(b"tEXt", b"Comment\0" + MARKUP) + content[33:] + b"alert(1)//" + MARKUP


def several(picture: bytes) -> bytes:
    """MPO: a JPEG with a second one behind it."""
    target = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as image:
        image.convert("RGB").save(target, "MPO", save_all=True, append_images=[Image.new("RGB", image.size, "red")])
    return target.getvalue()


POLYGLOTS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "JPEG with HTML behind it": ("image/jpeg", lambda picture: picture + MARKUP),
    "JPEG with a comment of HTML": ("image/jpeg", commented),
    "JPEG with a ZIP behind it": ("image/jpeg", lambda picture: picture + archive()),
    "JPEG with a PDF behind it": ("image/jpeg", lambda picture: picture + NO_PICTURES["PDF"]()),
    "JPEG with EXIF of markup": ("image/jpeg", lambda picture: tags(picture, format="JPEG", comment=MARKUP)),
    "MPO": ("image/jpeg", several),
    "PNG that is a script behind": ("image/png", png_with_text),
    "WebP with XMP of markup": ("image/webp", lambda picture: tags(picture, format="WEBP", xmp=MARKUP)),
    "AVIF with XMP of markup": ("image/avif", lambda picture: tags(picture, format="AVIF", xmp=MARKUP)),
}


@pytest.fixture
def tus(app: Flask, world: World) -> Tus:
    return Tus(app, world)


# --- what is no picture ---


@pytest.mark.parametrize("kind", NO_PICTURES)
def test_what_is_no_picture_is_refused_by_every_way_in(app: Flask, world: World, api: Api, tus: Tus, kind: str) -> None:
    content, owner, name = NO_PICTURES[kind](), tus.browser, f"{kind}.jpg"

    def file() -> tuple[io.BytesIO, str, str]:
        return io.BytesIO(content), name, "image/jpeg"

    api.post("/register-with-event-code", json=someone("ada", world))
    by_tus = tus.create(name, len(content), content)
    assert (by_tus.status_code, by_tus.headers["FindMe-Status"]) == (201, "rejected")
    assert "choose" in unquote(by_tus.headers["FindMe-Detail"])
    studio = f"/studio/events/{tus.event_id}"
    by_form = owner.client.post(f"{studio}/photos", data={"files": [file()]}, headers=tus.csrf)
    assert "not a picture" in text(by_form)
    by_api = api.login(OWNER).post(f"/photographer{studio[7:]}/upload-photos", data={"files": [file()]})
    assert by_api.json["files"][0]["reason"] == "not_a_picture"  # type: ignore[index]
    cover = owner.client.post(f"{studio}/settings/cover", data={"file": file()}, headers=tus.csrf)
    assert cover.status_code in (415, 422)
    guest = api.login("ada")
    for path in ("/upload-selfie", "/validate-selfie"):
        answer = guest.post(path, data={"file": file()})
        assert answer.status_code in (200, 415, 422)
        assert answer.status_code != 200 or answer.json["valid"] is False  # type: ignore[index]
    form = {"name": "Bob", "email": "bob@example.com", "consent": "y", "file": file()}
    joined = Browser(app).submit(f"/e/{world.code}", form)
    assert joined.status_code == 422
    with app.app_context():
        assert db.session.scalars(select(Photo)).all() == []
        assert db.session.scalars(select(Selfie)).all() == []
        assert db.session.scalars(select(Event.cover_key)).one() is None
        assert list(blobs.store().keys("events/")) == []


def someone(name: str, world: World) -> dict[str, Any]:
    user = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
    return {"user_data": user, "event_code": world.code, "consent": True}


# --- what is a picture and something else ---


def is_only_a_picture(answer: TestResponse, kind: str) -> None:
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == PICTURE_POLICY


def is_bare(content: bytes) -> None:
    """The file holds pixels and no metadata, as it does when it was encoded again."""
    assert b"alert(" not in content
    assert b"<html" not in content
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        assert not image.getexif()
        assert not {"comment", "xmp", "icc_profile", "XML:com.adobe.xmp", "mp"} & set(image.info)
        assert getattr(image, "n_frames", 1) == 1


@pytest.mark.parametrize("kind", POLYGLOTS)
def test_a_photo_that_is_more_than_a_picture_is_shown_as_one(app: Flask, world: World, tus: Tus, kind: str) -> None:
    content_type, make = POLYGLOTS[kind]
    content = make(photos_with("grace", 1)[0][1])
    sent = tus.create("evil.html", len(content), content)
    assert sent.headers["FindMe-Status"] == "accepted"
    photo_id = sent.headers["FindMe-Photo"]
    world.work()
    assert world.statuses() == {"evil.html": "indexed"}
    owner = tus.browser
    for size in ("preview", "thumbnail", "web"):
        for accept in ("image/webp,*/*", "image/jpeg"):
            answer = owner.get(f"/media/photos/{photo_id}/{size}", headers={"Accept": accept})
            is_only_a_picture(answer, answer.headers["Content-Type"])
            assert answer.content_type in ("image/webp", "image/jpeg")
            is_bare(answer.data)
    for path in (f"/media/photos/{photo_id}/original", f"/photos/{photo_id}/download"):
        answer = owner.get(path)
        is_only_a_picture(answer, content_type)
        assert answer.data == content
    disposition = owner.get(f"/photos/{photo_id}/download").headers["Content-Disposition"]
    assert disposition.startswith("attachment")
    assert not disposition.endswith("html")


@pytest.mark.parametrize("kind", POLYGLOTS)
def test_selfies_crops_and_covers_are_drawn_anew(app: Flask, world: World, api: Api, tus: Tus, kind: str) -> None:
    make = POLYGLOTS[kind][1]
    guest = api.register(world.code)
    assert guest.upload_selfie(make(selfie("grace"))).status_code == 200
    with app.app_context():
        selfie_id = db.session.scalars(select(Selfie.public_id)).one()
    browser = Browser(app).sign_in("ada", PASSWORD)
    waiting = browser.get(f"/media/selfies/{selfie_id}")
    assert waiting.content_type in OURS
    is_only_a_picture(waiting, waiting.content_type)
    world.work()
    for reader in (browser, tus.browser):
        shown = reader.get(f"/media/selfies/{selfie_id}")
        is_only_a_picture(shown, "image/jpeg")
        is_bare(shown.data)
    cover = tus.browser.client.post(
        f"/studio/events/{tus.event_id}/settings/cover",
        data={"file": (io.BytesIO(make(selfie("grace"))), "evil.svg", "image/svg+xml")},
        headers=tus.csrf,
    )
    assert cover.status_code == 303, text(cover)
    answer = app.test_client().get(f"/e/{world.code}/cover.jpg")
    is_only_a_picture(answer, "image/jpeg")
    is_bare(answer.data)


# --- parts and versions ---


@pytest.mark.parametrize(
    "wanted",
    [
        "bytes=0-",
        "bytes=0-0,2-3,5-9" + ",1-2" * 2000,
        "bytes=-5",
        "bytes=-99999999999999999999",
        "bytes=99999999999-",
        "bytes=5-2",
        "bytes=a-b",
        "bytes=0-99999999999999999999999",
        "bytes=\u0661-2",
        "lines=0-1",
        "bytes=" + "9" * 5000 + "-",
        "bytes=-",
        "bytes=--1",
    ],
)
def test_parts_are_of_the_picture_or_refused(app: Flask, world: World, tus: Tus, wanted: str) -> None:
    content = photos_with("grace", 1)[0][1]
    photo_id = tus.create("a.jpg", len(content), content).headers["FindMe-Photo"]
    path = f"/media/photos/{photo_id}/original"
    sent = wanted.encode().decode("latin-1")
    for more in ({}, {"If-Range": '"x"'}, {"If-Range": "\x01"}, {"If-None-Match": "*" * 9 + '"' * 999}):
        answer = tus.browser.get(path, headers={"Range": sent, **more})
        assert answer.status_code in (200, 206, 416), more
        if answer.status_code < 400:
            is_part = answer.status_code == 206
            assert answer.content_type == "image/jpeg", "never multipart/byteranges, nor what was asked for"
            assert len(answer.data) == answer.content_length <= len(content)
            assert answer.data in content
            assert is_part == ("Content-Range" in answer.headers)


def test_a_version_opens_nothing_to_who_may_not_see_it(app: Flask, world: World, api: Api, tus: Tus) -> None:
    content = photos_with("grace", 1)[0][1]
    photo_id = tus.create("a.jpg", len(content), content).headers["FindMe-Photo"]
    path = f"/media/photos/{photo_id}/original"
    etag = tus.browser.get(path).headers["ETag"]
    api.register(world.code)
    stranger = Browser(app).sign_in("ada", PASSWORD)
    for said in (etag, '"x"', "*", 'W/"x"', "", '"' * 1000, "\x7f", 'W/*, "a"'):
        for header in ("If-None-Match", "If-Match", "If-Range"):
            answer = stranger.get(path, headers={header: said, "Range": "bytes=0-9"})
            assert answer.status_code == 404
            assert content[:10] not in answer.data
