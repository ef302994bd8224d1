"""Files that go straight to the store: signed part by part, finished here, and looked into by a worker."""

import io
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import unquote

import pytest
from flask import Flask
from PIL import Image
from sqlalchemy import select, update

from tests.cloud import s3_servers
from tests.cloud.s3_servers import S3Server, open_bucket, refusal
from tests.support.actors import PASSWORD, World, demo_photos
from tests.support.browsing import Browser
from tests.support.process_app import ProcessApps
from tests.support.sender import Sender
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import Event, EventStatus, Photo, Upload
from webapp.queueing import unit_of_work
from webapp.services.upkeep import cleanup
from webapp.services.uploads import multipart, upload_limits
from webapp.settings import Settings
from webapp.storage.blobs import Upload as StoreUpload

ORIGIN = {"Origin": "http://localhost"}


@pytest.fixture(params=["moto", "seaweedfs"])
def server(request: pytest.FixtureRequest) -> S3Server:
    found: S3Server = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture
def app(settings: Settings, process_apps: ProcessApps, server: S3Server) -> Iterator[Flask]:
    """An app that was set up for S3, with the tests' face engine, and a store that gives up at the first fault."""
    bucket = server.bucket_of_process()
    with process_apps.lent(Settings(_env_file=None, **(settings.model_dump() | server.settings(bucket)))) as ours:
        ours.extensions["blobs"] = open_bucket(server, bucket)
        yield ours


@pytest.fixture
def sender(app: Flask, world: World) -> Sender:
    return Sender(app, world)


@pytest.fixture
def picture() -> bytes:
    return demo_photos(1)[0][1]


def large_picture() -> bytes:
    """A picture of more than one part."""
    kept = io.BytesIO()
    Image.frombytes("RGB", (2000, 1600), secrets.token_bytes(2000 * 1600 * 3)).save(kept, "BMP")
    kept.seek(0)
    png = io.BytesIO()
    Image.open(kept).save(png, "PNG", compress_level=0)
    assert multipart.PART < len(png.getvalue()) < 2 * multipart.PART
    return png.getvalue()


def test_parts_go_to_the_store_and_a_worker_makes_a_photo_of_them(app: Flask, sender: Sender, world: World) -> None:
    content = large_picture()
    upload_id = sender.send("DSC_1.png", content)
    with app.app_context():
        photo = db.session.scalars(select(Photo)).one()
        assert (photo.public_id, photo.sha256, photo.byte_size) == (upload_id, None, len(content))
    assert sender.outcomes(upload_id) == ["checking"]
    world.work()
    assert sender.outcomes(upload_id) == ["accepted"]
    with app.app_context():
        photo = db.session.scalars(select(Photo)).one()
        assert photo.sha256 is not None and photo.status.value == "indexed" and photo.width == 2000
        original = next(row for row in photo.renditions if row.kind.value == "original")
        assert original.content_type == "image/png"
        with app.extensions["blobs"].open(original.blob_key) as stored:
            assert stored.read() == content
    assert sender.ledger() == [("DSC_1.png", "accepted", None)]


def test_it_goes_on_with_the_parts_that_are_missing(sender: Sender) -> None:
    content = large_picture()
    upload_id = sender.begin("a.png", content)
    sender.put(upload_id, 1, content[: multipart.PART])
    listed = sender.browser.get(f"{sender.base}/{upload_id}").text
    assert listed.count("<Part>") == 1 and f"<Size>{multipart.PART}</Size>" in listed
    early = sender.finish(upload_id)
    assert (early.status_code, early.json["code"]) == (409, "upload_incomplete")  # type: ignore[index]
    sender.put(upload_id, 2, content[multipart.PART :])
    assert sender.finish(upload_id).json["status"] == "checking"  # type: ignore[index]
    # The answer was lost: all is asked again.
    assert sender.finish(upload_id).json["status"] == "checking"  # type: ignore[index]
    assert sender.browser.get(f"{sender.base}/{upload_id}").text.count("<Part>") == 2
    with sender.app.app_context():
        assert len(db.session.scalars(select(Photo)).all()) == 1


def test_what_the_library_posts_itself_is_answered_as_by_a_store_and_changes_nothing(sender: Sender) -> None:
    upload_id = sender.begin("a.jpg", b"x" * 10)
    place, client = f"{sender.base}/{upload_id}", sender.browser.client
    opened = client.post(place, headers=ORIGIN, content_type="image/jpeg")
    assert f"<InitiateMultipartUploadResult><Location>{upload_id}" in opened.text
    assert f"<UploadId>{upload_id}</UploadId>" in opened.text
    ended = client.post(place, headers=ORIGIN, data="<CompleteMultipartUpload/>", content_type="application/xml")
    assert f"<CompleteMultipartUploadResult><Location>{upload_id}</Location><Key>{upload_id}</Key>" in ended.text
    assert client.post(place, headers={"Origin": "https://evil.example"}).status_code == 400
    assert sender.ledger() == [("a.jpg", "receiving", None)]
    for write in (f"{place}/complete", sender.base):
        assert client.post(write, headers=ORIGIN, json={"filename": "a.jpg", "size": 3}).status_code == 400


def test_the_same_bytes_are_one_photo_and_what_is_no_picture_leaves_its_sentence(
    sender: Sender, world: World, picture: bytes
) -> None:
    first = sender.send("a.jpg", picture)
    second = sender.send("b.jpg", picture)
    words = sender.send("../notes 🎉.jpg", b"Dear diary, this is no picture.")
    world.work()
    assert sender.outcomes(first, second, words) == ["accepted", "duplicate", "rejected"]
    told = sender.browser.get(f"{sender.base}?ids={words}").json[words]  # type: ignore[index]
    assert "not a picture" in told["detail"]
    assert sender.ledger() == [
        ("a.jpg", "accepted", None),
        ("b.jpg", "duplicate", None),
        ("notes 🎉.jpg", "rejected", "not_a_picture"),
    ]
    assert world.statuses() == {"a.jpg": "indexed"}
    assert {key.split("/")[3] for key in sender.stored()} == {first}
    with sender.app.app_context():
        photo_id = db.session.scalars(select(Photo.id)).one()
        of = db.session.scalars(select(Upload.photo_id).order_by(Upload.id)).all()
        assert of == [photo_id, photo_id, None]


def test_a_duplicate_gives_its_file_to_a_photo_that_lost_it(sender: Sender, world: World, picture: bytes) -> None:
    sender.send("a.jpg", picture)
    world.work()
    store = sender.app.extensions["blobs"]
    (original,) = [key for key in store.keys("events/") if key.endswith("original")]
    store.delete(original)
    sender.send("b.jpg", picture)
    world.work()
    assert original in sender.stored()
    with store.open(original) as kept:
        assert kept.read() == picture


def test_too_large_and_empty_files_are_refused_before_anything_is_sent(sender: Sender) -> None:
    large, empty = sender.post(filename="big.jpg", size=61 * 2**20), sender.post(filename="none.jpg", size=0)
    assert (large.status_code, large.headers["FindMe-Reason"]) == (413, "photo_too_large")
    assert (empty.status_code, empty.json["code"]) == (422, "empty")  # type: ignore[index]
    assert "choose" in unquote(empty.headers["FindMe-Detail"])
    assert sender.ledger() == [("big.jpg", "rejected", "photo_too_large"), ("none.jpg", "rejected", "empty")]
    for nonsense in (-1, "many", 10**16, None, True):
        assert sender.post(filename="a.jpg", size=nonsense).status_code == 400
    deep = sender.browser.client.post(
        sender.base, data="[" * 50_000, content_type="application/json", headers=sender.csrf
    )
    assert deep.status_code == 400
    assert sender.under_way() == 0


def test_an_upload_belongs_to_who_began_it(sender: Sender, world: World, picture: bytes) -> None:
    upload_id = sender.begin("a.jpg", picture)
    other_event = world.event("SECOND22", owner="other@example.com")
    other = Browser(sender.app).sign_in("other@example.com", PASSWORD)
    csrf = {"X-CSRFToken": other.token("/")}
    for base in (sender.base, f"/studio/events/{other_event}/s3"):
        place = f"{base}/{upload_id}"
        answers = [
            other.get(place),
            other.get(f"{place}/parts/1"),
            other.client.post(place, headers=ORIGIN),
            other.client.post(f"{place}/complete", headers=csrf),
            other.client.delete(place, headers=csrf),
        ]
        assert [answer.status_code for answer in answers] == [404] * 5
    assert other.get(f"/studio/events/{other_event}/s3?ids={upload_id}").json == {}
    assert sender.browser.get(f"{sender.base}/{upload_id}/parts/2").status_code == 422
    assert sender.ledger() == [("a.jpg", "receiving", None)]


@pytest.mark.parametrize("server", ["seaweedfs"], indirect=True)  # moto answers 500 to the one that comes second
def test_two_that_finish_at_once_make_one_photo(sender: Sender, picture: bytes) -> None:
    upload_id = sender.begin("a.jpg", picture)
    sender.put(upload_id, 1, picture)

    def finish(_: int) -> str:
        browser = Browser(sender.app)
        browser.client.set_cookie("findme", sender.browser.client.get_cookie("findme").value)  # type: ignore[union-attr]
        return str(browser.client.post(f"{sender.base}/{upload_id}/complete", headers=sender.csrf).json["status"])  # type: ignore[index]

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(finish, range(3))) == ["checking"] * 3
    with sender.app.app_context():
        assert len(db.session.scalars(select(Photo)).all()) == 1


def finish_in_store(sender: Sender) -> None:
    """What a request does in the store before its process dies, or while another request does the same."""
    with sender.app.app_context():
        row, direct = db.session.scalars(select(Upload)).one(), sender.app.extensions["blobs"].direct_uploads
        upload = StoreUpload(row.blob_key or "", row.multipart_id or "")
        direct.finish_upload(upload, direct.uploaded_parts(upload))


def test_parts_that_a_store_forgets_while_another_request_finishes_them_are_not_asked_for(
    sender: Sender, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_id = sender.begin("a.jpg", picture)
    sender.put(upload_id, 1, picture)
    finish_in_store(sender)
    # SeaweedFS answers so for a moment, which test_two_that_finish_at_once meets now and then.
    direct = sender.app.extensions["blobs"].direct_uploads
    monkeypatch.setattr(type(direct), "uploaded_parts", lambda *_: [])
    assert sender.finish(upload_id).json["status"] == "checking"  # type: ignore[index]


def test_what_a_process_finished_in_the_store_before_it_died_is_not_sent_again(sender: Sender, picture: bytes) -> None:
    upload_id = sender.begin("a.jpg", picture)
    sender.put(upload_id, 1, picture)
    finish_in_store(sender)
    assert sender.browser.get(f"{sender.base}/{upload_id}").text.count("<Part>") == 1
    assert sender.finish(upload_id).json["status"] == "checking"  # type: ignore[index]


def test_giving_up_leaves_nothing_but_its_line(sender: Sender, picture: bytes) -> None:
    upload_id = sender.begin("a.jpg", picture)
    sender.put(upload_id, 1, picture)
    assert sender.browser.client.delete(f"{sender.base}/{upload_id}", headers=sender.csrf).status_code == 204
    assert sender.finish(upload_id).status_code == 404
    assert sender.ledger() == [("a.jpg", "interrupted", None)]
    assert (sender.under_way(), sender.stored()) == (0, set())


def test_what_nobody_goes_on_with_ends(sender: Sender, world: World, picture: bytes) -> None:
    sender.put(sender.begin("half.jpg", picture), 1, picture[:100])
    whole = sender.begin("whole.jpg", picture)
    sender.put(whole, 1, picture)
    sender.begin("waiting.jpg", picture)
    # The first round finds that a part of it has come, and waits on.
    for _ in range(2):
        with sender.app.app_context():
            with unit_of_work():
                over = Upload.filename != "waiting.jpg"
                db.session.execute(update(Upload).where(over).values(expires_at=utcnow() - timedelta(hours=1)))
            cleanup.give_up_uploads()
    assert sender.ledger() == [
        ("half.jpg", "interrupted", None),
        ("whole.jpg", "accepted", None),
        ("waiting.jpg", "receiving", None),
    ]
    assert sender.under_way() == 1
    world.work()
    assert world.statuses() == {"whole.jpg": "indexed"}


def limit(app: Flask, **settings: int) -> None:
    app.extensions["settings"] = app.extensions["settings"].model_copy(update=settings)


def let_time_pass(app: Flask) -> None:
    """Let all uploads be so old that one without a byte may be given up."""
    with app.app_context(), unit_of_work():
        db.session.execute(update(Upload).values(created_at=utcnow() - 2 * upload_limits.QUIET))


def test_what_is_beyond_the_limit_opens_nothing_at_the_store(sender: Sender) -> None:
    limit(sender.app, upload_open_files=2)
    for name in ("a.jpg", "b.jpg"):
        sender.begin(name, b"12345")
    refused = sender.post(filename="c.jpg", size=5)
    assert (refused.status_code, refused.json["code"]) == (429, "uploads_open")  # type: ignore[index]
    assert int(refused.headers["Retry-After"]) > 0
    assert sender.under_way() == 2


def test_an_old_upload_without_a_part_makes_room_and_one_with_parts_does_not(sender: Sender, picture: bytes) -> None:
    limit(sender.app, upload_open_files=2)
    begun = sender.begin("begun.jpg", picture)
    sender.put(begun, 1, picture)
    sender.begin("forgotten.jpg", picture)
    let_time_pass(sender.app)
    sender.begin("new.jpg", picture)
    assert sender.ledger() == [("begun.jpg", "receiving", None), ("new.jpg", "receiving", None)]
    assert sender.under_way() == 2
    assert sender.finish(begun).json == {"status": "checking", "detail": ""}


def test_an_upload_without_a_part_ends_after_an_hour_and_one_with_parts_is_waited_for(
    sender: Sender, picture: bytes
) -> None:
    sender.begin("none.jpg", picture)
    sender.put(sender.begin("half.jpg", picture), 1, picture[:100])
    with sender.app.app_context():
        with unit_of_work():
            for row in db.session.scalars(select(Upload)):
                assert row.expires_at is not None
                assert row.expires_at - utcnow() <= timedelta(hours=1)
                row.expires_at = utcnow()
        cleanup.give_up_uploads()
        half = db.session.scalars(select(Upload).where(Upload.filename == "half.jpg")).one()
        assert half.expires_at is not None
        assert (half.received, half.expires_at - utcnow() > timedelta(hours=47)) == (100, True)
    assert sender.ledger() == [("none.jpg", "interrupted", None), ("half.jpg", "receiving", None)]
    assert sender.under_way() == 1


def test_an_upload_that_the_store_did_not_open_leaves_no_row(sender: Sender) -> None:
    with s3_servers.answering(refusal(503, "SlowDown")) as url:
        sender.app.extensions["blobs"] = open_bucket(S3Server("other", url), "photos")
        assert sender.post(filename="a.jpg", size=10).status_code == 503
    assert sender.ledger() == []


def test_a_closed_event_takes_nothing_more(sender: Sender, picture: bytes) -> None:
    upload_id = sender.begin("a.jpg", picture)
    with sender.app.app_context(), unit_of_work():
        db.session.execute(update(Event).values(status=EventStatus.CLOSED))
    part = sender.browser.get(f"{sender.base}/{upload_id}/parts/1")
    for answer in (sender.post(filename="b.jpg", size=10), part, sender.finish(upload_id)):
        assert (answer.status_code, answer.headers["FindMe-Reason"]) == (403, "event_closed")


@pytest.mark.parametrize("word", ["ServiceUnavailable", "SlowDown"])
def test_a_store_in_trouble_is_said_and_the_file_goes_on_later(
    sender: Sender, world: World, picture: bytes, word: str
) -> None:
    working = sender.app.extensions["blobs"]
    upload_id = sender.begin("a.jpg", picture)
    sender.put(upload_id, 1, picture)
    with s3_servers.answering(refusal(503, word)) as url:
        sender.app.extensions["blobs"] = open_bucket(S3Server("other", url), "photos")
        answers = [
            sender.post(filename="b.jpg", size=10),
            sender.browser.get(f"{sender.base}/{upload_id}"),
            sender.finish(upload_id),
        ]
    for answer in answers:
        assert answer.status_code == 503
        assert "Nothing" in unquote(answer.headers["FindMe-Detail"])
    assert sender.ledger() == [("a.jpg", "receiving", None)]
    sender.app.extensions["blobs"] = working
    assert sender.finish(upload_id).json["status"] == "checking"  # type: ignore[index]
    world.work()
    assert world.statuses() == {"a.jpg": "indexed"}
