"""Pictures that are small as files and large when they are decoded, by every way in: refused by their header, or taken
in and brought to an end by a worker. What their metadata hold costs little, whatever it says.
"""

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from flask import Flask
from PIL import ExifTags, Image
from sqlalchemy import select

from tests.attacks import bombs
from tests.support.actors import Api, World, selfie
from tests.support.browsing import Browser, error_at
from tests.support.tus import Tus
from webapp.db.extensions import db
from webapp.models import Photo, PhotoStatus, Upload
from webapp.pictures import imaging
from webapp.reasons import SENTENCES

TOO_LARGE = str(SENTENCES["too_many_pixels"])
COVER = "/studio/events/{}/settings"

every_format = pytest.mark.parametrize("file_format", bombs.FORMATS)
both_bombs = pytest.mark.parametrize(
    "make",
    [bombs.promising, lambda file_format: bombs.decoding_large(file_format, bombs.BEYOND)],
    ids=["promises", "decodes"],
)


def ledger(app: Flask) -> list[tuple[str, str | None]]:
    with app.app_context():
        return [(row.status.value, row.reason) for row in db.session.scalars(select(Upload).order_by(Upload.id))]


def photos(app: Flask) -> list[tuple[PhotoStatus, str | None]]:
    with app.app_context():
        return [(photo.status, photo.failure_reason) for photo in db.session.scalars(select(Photo))]


def as_file(file_format: str, content: bytes) -> tuple[io.BytesIO, str]:
    return io.BytesIO(content), bombs.named(file_format)


# --- too large: refused at once ---


@every_format
@both_bombs
def test_a_photo_beyond_the_limit_is_refused_by_every_way_in(
    app: Flask, world: World, make: Callable[[str], bytes], file_format: str
) -> None:
    tus, content, name = Tus(app, world), make(file_format), bombs.named(file_format)
    by_tus = tus.send(name, content)
    assert (by_tus.headers["FindMe-Status"], by_tus.headers["FindMe-Reason"]) == ("rejected", "too_many_pixels")
    data = {"files": [as_file(file_format, content)]}
    by_form = tus.browser.submit(f"/studio/events/{tus.event_id}/photos", data, page="/account")
    assert by_form.status_code == 200
    assert TOO_LARGE in by_form.text
    by_api = Api(app).login("photographer@example.com").upload_photos(tus.event_id, (name, content))
    assert [row["reason"] for row in by_api.json["files"]] == ["too_many_pixels"]  # type: ignore[index]
    assert ledger(app) == [("rejected", "too_many_pixels")] * 3
    assert photos(app) == []


@every_format
@both_bombs
def test_a_selfie_beyond_the_limit_is_refused_by_every_way_in(
    app: Flask, world: World, guest: Api, make: Callable[[str], bytes], file_format: str
) -> None:
    content = make(file_format)
    by_api = guest.upload_selfie(content)
    assert (by_api.status_code, by_api.json["code"]) == (413, "too_many_pixels")  # type: ignore[index]
    asked = guest.post("/validate-selfie", data={"file": as_file(file_format, content)})
    assert (asked.json["valid"], asked.json["reason"]) == (False, "too_many_pixels")  # type: ignore[index]
    form = {"name": "Bob", "email": "bob@example.com", "consent": "y", "file": as_file(file_format, content)}
    joined = Browser(app).submit(f"/e/{world.code}", form)
    assert joined.status_code == 422
    assert error_at(joined, "file") == TOO_LARGE
    assert list(app.extensions["blobs"].keys("")) == []


@every_format
@both_bombs
def test_a_cover_beyond_the_limit_is_refused(
    owner: Browser, event_id: str, make: Callable[[str], bytes], file_format: str
) -> None:
    page = COVER.format(event_id)
    answer = owner.submit(f"{page}/cover", {"file": as_file(file_format, make(file_format))}, page=page)
    assert answer.status_code == 422
    assert TOO_LARGE in answer.text


# --- within the limit: taken in, and brought to an end ---


@every_format
def test_a_small_file_of_79_megapixels_is_brought_to_an_end(world: World, event_id: str, file_format: str) -> None:
    content = bombs.decoding_large(file_format, bombs.UNDER)
    assert len(content) < 2**21
    world.add_photos(event_id, (bombs.named(file_format), content))
    world.work()
    assert photos(world.app) == [(PhotoStatus.INDEXED, None)]


@pytest.mark.parametrize("file_format", ["JPEG", "HEIF"])
def test_a_selfie_of_79_megapixels_is_judged(world: World, guest: Api, file_format: str) -> None:
    content = bombs.decoding_large(file_format, bombs.UNDER)
    assert guest.upload_selfie(content).json == {"status": "received"}
    world.work()
    status = guest.get("/rematch-status").json
    assert (status["status"], status["reason"]) == ("rejected", "no_face")  # type: ignore[index]


@pytest.mark.parametrize("file_format", [name for name in bombs.FORMATS if name != "JPEG"])
def test_a_cover_is_decoded_up_to_a_lower_limit(owner: Browser, event_id: str, file_format: str) -> None:
    page = COVER.format(event_id)
    for side, status in ((5000, 422), (2000, 303)):
        content = bombs.decoding_large(file_format, side)
        answer = owner.submit(f"{page}/cover", {"file": as_file(file_format, content)}, page=page)
        assert answer.status_code == status


# --- metadata ---


def jpeg(*segments: tuple[int, bytes]) -> bytes:
    """A JPEG of noise with further segments: marker and content."""
    target = io.BytesIO()
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (400, 500, 3), dtype=np.uint8)).save(target, "JPEG")
    parts = (struct.pack(">BBH", 0xFF, marker, 2 + len(body)) + body for marker, body in segments)
    return b"\xff\xd8" + b"".join(parts) + target.getvalue()[2:]


def png(*chunks: bytes) -> bytes:
    content = bombs.encoded("PNG", 500, 400)
    return content[:33] + b"".join(chunks) + content[33:]


def table(*tags: tuple[int, int, int, int]) -> bytes:
    """A table of EXIF: tag, type, how many values, and the value or where they are."""
    return struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + b"\0" * 4


EXIF_HEAD = b"II*\0\x08\0\0\0"
DETAILS = int(ExifTags.IFD.Exif)
FRACTIONS = struct.pack("<II", 1, 3) * 125_000


def exif_of_png(exif: bytes) -> bytes:
    return png(bombs.chunk(b"eXIf", exif))


BILLION = b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'aaaa'>" + b"".join(
    b"<!ENTITY %c '%s'>" % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(12)
) + b"]><x tiff:Orientation='6'>&m;</x>"  # fmt: skip

METADATA: dict[str, Callable[[], bytes]] = {
    "EXIF of fractions": lambda: exif_of_png(
        EXIF_HEAD + table((DETAILS, 4, 1, 26)) + table((0x9003, 5, 125_000, 44)) + FRACTIONS
    ),
    "a camera's name of fractions": lambda: exif_of_png(EXIF_HEAD + table((0x10F, 5, 125_000, 26)) + FRACTIONS),
    "60,000 tags with the same bytes": lambda: exif_of_png(
        EXIF_HEAD + table(*((number, 7, 700_000, 8) for number in range(1, 60_000)))
    ),
    "EXIF whose tables are one another": lambda: exif_of_png(
        EXIF_HEAD + table((DETAILS, 4, 1, 8), (0x8825, 4, 1, 8), (0xA005, 4, 1, 8), (0x014A, 4, 1, 8))
    ),
    "EXIF in many segments": lambda: jpeg(*[(0xE1, b"Exif\0\0" + EXIF_HEAD + b"\xff" * 65_000)] * 200),
    "maker's notes of a megabyte": lambda: exif_of_png(
        EXIF_HEAD + table((DETAILS, 4, 1, 26)) + table((0x927C, 7, 900_000, 44)) + b"x" * 900_000
    ),
    "XMP of a billion laughs": lambda: jpeg((0xE1, b"http://ns.adobe.com/xap/1.0/\0" + BILLION)),
    "XMP that is packed": lambda: png(
        *[bombs.chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"<" * 10**8, 9))] * 30
    ),
    "texts that are packed": lambda: png(*[bombs.chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b" " * 10**8, 9))] * 30),
    "a colour profile that is packed": lambda: png(bombs.chunk(b"iCCP", b"icc\0\0" + zlib.compress(b"\0" * 10**8, 9))),
    "a colour profile of 255 segments": lambda: jpeg(
        *((0xE2, b"ICC_PROFILE\0" + bytes([number, 255]) + b"\0" * 65_000) for number in range(1, 256))
    ),
    "a colour profile of lies": lambda: jpeg(
        (0xE2, b"ICC_PROFILE\0\1\1" + struct.pack(">I", 2**31) + b"\0" * 8 + b"mntrRGB XYZ " + b"\xff" * 60_000)
    ),
}


@pytest.mark.parametrize("name", METADATA)
def test_metadata_cost_little_to_read(name: str) -> None:
    stream = io.BytesIO(METADATA[name]())
    tracemalloc.start()
    try:
        assert imaging.probe(stream, max_megapixels=80).width == 500
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * 2**20


def test_metadata_of_every_kind_cost_no_photo(world: World, event_id: str) -> None:
    for number, make in enumerate(METADATA.values()):
        world.add_photos(event_id, (f"{number}.bin", make()))
    world.work()
    assert photos(world.app) == [(PhotoStatus.INDEXED, None)] * len(METADATA)


def test_tags_that_are_read_are_found_among_others() -> None:
    """As many as a camera writes, with a maker's note and a thumbnail's table."""
    tags = Image.Exif()
    tags[ExifTags.Base.Make], tags[ExifTags.Base.Model] = "Canon", "R5"
    for tag in range(0x9C00, 0x9C20):
        tags[tag] = "x" * 300
    tags.get_ifd(DETAILS).update(
        {ExifTags.Base.DateTimeOriginal: "2026:06:20 18:30:00", ExifTags.Base.BodySerialNumber: "123"}
    )
    tags.get_ifd(DETAILS)[ExifTags.Base.MakerNote] = b"\1" * 40_000
    target = io.BytesIO()
    Image.new("RGB", (64, 64)).save(target, "JPEG", exif=tags)
    info = imaging.probe(target, max_megapixels=80)
    assert info.camera == imaging.CameraBody("Canon", "R5", "123")
    assert info.taken_at is not None
    assert info.taken_at.hour == 18


def test_a_good_selfie_works_after_all_of_that(world: World, guest: Api) -> None:
    for file_format in bombs.FORMATS:
        guest.upload_selfie(bombs.promising(file_format))
    assert guest.upload_selfie(selfie("grace")).json == {"status": "received"}
    world.work()
    assert guest.get("/rematch-status").json["status"] == "done"  # type: ignore[index]
