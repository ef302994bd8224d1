"""Floods of uploads: files that are announced and never sent, forms with too many files, disks that fill up."""

import base64
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from flask import Flask
from sqlalchemy import func, select, update
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from tests.attacks.suspects import OWNER
from tests.support.actors import PASSWORD, Api, World, demo_photos
from tests.support.browsing import Browser
from tests.support.concurrency import at_once
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import Event, EventStatus, Photo, Upload, UploadStatus, User
from webapp.queueing import unit_of_work
from webapp.services.core import blobs
from webapp.services.upkeep import cleanup
from webapp.services.uploads import tus, upload_limits
from webapp.storage.folders import free_bytes
from webapp.web.requests.bodies import PHOTOS_IN_FORM

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = TUS | {"Content-Type": "application/offset+octet-stream"}
TOO_MANY = "One form takes at most 1,000 files and 1 GB in all"
MEGABYTE = 2**20


@dataclass
class Sender:
    """A photographer's browser that announces files by tus, in an event of their own."""

    app: Flask
    event_id: str
    email: str

    def __post_init__(self) -> None:
        self.browser = Browser(self.app).sign_in(self.email, PASSWORD)
        self.csrf = {"X-CSRFToken": self.browser.token("/")}
        self.files = f"/studio/events/{self.event_id}/files"

    def announce(self, name: str = "a.jpg", length: int = 1000) -> TestResponse:
        words = f"filename {base64.b64encode(name.encode()).decode()}"
        headers = {**TUS, **self.csrf, "Upload-Length": str(length), "Upload-Metadata": words}
        return self.browser.client.post(self.files, headers=headers)

    def patch(self, address: str, offset: int, body: bytes) -> TestResponse:
        headers = {**BYTES, **self.csrf, "Upload-Offset": str(offset)}
        return self.browser.client.patch(address, headers=headers, data=body)

    def begin(self, name: str = "a.jpg", body: bytes = b"") -> str:
        """Announce a file of 1,000 bytes and send some; returns its address."""
        answer = self.announce(name)
        assert answer.status_code == 201, answer.text
        address = answer.headers["Location"]
        if body:
            assert self.patch(address, 0, body).status_code == 204
        return address

    def form(self, files: int, *, htmx: bool = False) -> TestResponse:
        """Send so many files, which are no pictures, in the plain form with its token."""
        headers = {"HX-Request": "true"} if htmx else {}
        data = many(files)
        data["csrf_token"] = self.csrf["X-CSRFToken"]
        return self.browser.client.post(f"/studio/events/{self.event_id}/photos", data=data, headers=headers)

    def form_to_api(self, api: Api, files: int) -> TestResponse:
        headers = {"Authorization": f"Bearer {api.login(self.email).token}"}
        address = f"/api/photographer/events/{self.event_id}/upload-photos"
        return self.app.test_client().post(address, data=many(files), headers=headers)

    def close_event(self) -> None:
        with self.app.app_context(), unit_of_work():
            db.session.execute(update(Event).values(status=EventStatus.CLOSED))

    def open_files(self) -> list[str]:
        """The names of this person's open uploads, the oldest first."""
        with self.app.app_context():
            mine = select(Upload.filename).join(User, User.id == Upload.user_id).where(User.email == self.email)
            receiving = mine.where(Upload.status == UploadStatus.RECEIVING)
            return list(db.session.scalars(receiving.order_by(Upload.id)))


def many(files: int) -> MultiDict[str, Any]:
    return MultiDict([("files", (io.BytesIO(b"x"), f"{number}.jpg")) for number in range(files)])


def change(app: Flask, **settings: int) -> None:
    app.extensions["settings"] = app.extensions["settings"].model_copy(update=settings)


def age(app: Flask, by: timedelta = upload_limits.QUIET * 2) -> None:
    """Let all uploads be older than they are."""
    with app.app_context(), unit_of_work():
        db.session.execute(update(Upload).values(created_at=utcnow() - by))


def ledger(app: Flask) -> dict[str, str]:
    with app.app_context():
        return {row.filename: row.status.value for row in db.session.scalars(select(Upload))}


def partial_files(app: Flask) -> list[str]:
    with app.app_context():
        return list(blobs.partials().keys(utcnow().timestamp() + 60))


@pytest.fixture
def sender(app: Flask, world: World) -> Iterator[Sender]:
    before = app.extensions["settings"]
    yield Sender(app, world.event(), OWNER)
    app.extensions["settings"] = before


@pytest.fixture
def others(app: Flask, world: World, sender: Sender) -> Callable[[int], Sender]:
    """Makes further photographers, each with an event of their own."""

    def make(number: int) -> Sender:
        email = f"other{number}@example.com"
        return Sender(app, world.event(f"OTHERS{number:02}", owner=email), email)

    return make


@pytest.mark.both_databases
def test_announcements_that_come_at_once_stay_below_the_limit(app: Flask, sender: Sender) -> None:
    change(app, upload_open_files=3)
    senders = [Sender(app, sender.event_id, OWNER) for _ in range(8)]
    answers = at_once(*(one.announce for one in senders))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [429] * 5
    assert len(sender.open_files()) == 3


def test_who_is_refused_is_told_why_and_when_to_try_again(app: Flask, sender: Sender) -> None:
    change(app, upload_open_files=1)
    sender.begin()
    refused = sender.announce()
    assert (refused.status_code, refused.headers["FindMe-Reason"]) == (429, "uploads_open")
    assert int(refused.headers["Retry-After"]) > 0
    assert unquote(refused.headers["FindMe-Detail"]).startswith("Too many of your files are on their way")
    assert sender.open_files() == ["a.jpg"]


def test_announced_bytes_have_a_limit_too(app: Flask, sender: Sender) -> None:
    change(app, upload_open_mb=2)
    assert sender.announce(length=2 * MEGABYTE - 10).status_code == 201
    assert sender.announce(length=11).status_code == 429
    assert sender.announce(length=10).status_code == 201


def test_a_finished_file_makes_room(app: Flask, sender: Sender) -> None:
    change(app, upload_open_files=1)
    address = sender.begin()
    assert sender.announce().status_code == 429
    sender.patch(address, 0, b"x" * 1000)
    assert sender.announce().status_code == 201


@pytest.mark.both_databases
def test_an_old_announcement_without_a_byte_makes_room_and_leaves_no_row(app: Flask, sender: Sender) -> None:
    change(app, upload_open_files=2)
    sender.begin("begun.jpg", b"bytes")
    sender.begin("forgotten.jpg")
    assert sender.announce("early.jpg").status_code == 429
    age(app)
    assert sender.announce("new.jpg").status_code == 201
    assert ledger(app) == {"begun.jpg": "receiving", "new.jpg": "receiving"}


def test_bytes_that_are_not_noted_yet_are_not_given_up(app: Flask, sender: Sender) -> None:
    """The row says how much has come at a request's end; the file itself grows before."""
    change(app, upload_open_files=1)
    address = sender.begin("coming.jpg")
    with app.app_context():
        blobs.partials().append(tus.key_of(sender.event_id, address.rpartition("/")[2]), 0, b"bytes")
    age(app)
    assert sender.announce("new.jpg").status_code == 429
    assert sender.patch(address, 5, b"more").status_code == 204


def test_files_that_are_announced_and_cancelled_again_and_again_fill_no_table(app: Flask, sender: Sender) -> None:
    for _ in range(5):
        address = sender.begin()
        assert sender.browser.client.delete(address, headers={**TUS, **sender.csrf}).status_code == 204
    assert ledger(app) == {}


@pytest.mark.both_databases
def test_a_flood_of_many_accounts_keeps_nobody_out(app: Flask, sender: Sender, others: Callable[[int], Sender]) -> None:
    change(app, upload_open_files=4, upload_open_files_all=8)
    flood = [others(number) for number in range(2)]
    for one in flood:
        for number in range(4):
            one.begin(f"{number}.jpg", b"bytes")
    assert [sender.announce(f"{number}.jpg").status_code for number in range(3)] == [201, 201, 429]
    assert [len(one.open_files()) for one in (sender, *flood)] == [2, 3, 3]
    assert flood[0].open_files() == ["1.jpg", "2.jpg", "3.jpg"]
    assert len(partial_files(app)) == 6
    refused = sender.announce()
    assert refused.headers["FindMe-Reason"] == "uploads_open_all"


@pytest.mark.both_databases
def test_announcements_of_many_people_at_once_stay_below_the_installations_limit(
    app: Flask, others: Callable[[int], Sender]
) -> None:
    before = app.extensions["settings"]
    change(app, upload_open_files_all=3)
    people = [others(number) for number in range(6)]
    answers = at_once(*(one.announce for one in people))
    app.extensions["settings"] = before
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [429] * 3


def test_who_floods_with_bytes_gives_way_too(app: Flask, sender: Sender, others: Callable[[int], Sender]) -> None:
    change(app, upload_open_mb_all=4, upload_open_mb=4)
    flood = others(1)
    for _ in range(2):
        assert flood.announce("large.jpg", 2 * MEGABYTE).status_code == 201
    assert sender.announce(length=MEGABYTE).status_code == 201
    assert flood.open_files() == []


def test_an_upload_without_a_byte_is_waited_for_an_hour_and_one_with_bytes_for_days(app: Flask, sender: Sender) -> None:
    sender.begin("none.jpg")
    sender.begin("half.jpg", b"half")
    with app.app_context():
        left = {row.filename: row.expires_at - utcnow() for row in db.session.scalars(select(Upload)) if row.expires_at}
    assert left["none.jpg"] <= timedelta(hours=1)
    assert timedelta(hours=47) < left["half.jpg"] <= timedelta(hours=48)


def test_requests_without_a_byte_keep_no_upload_alive(app: Flask, sender: Sender) -> None:
    address = sender.begin("none.jpg")
    with app.app_context(), unit_of_work():
        db.session.execute(update(Upload).values(expires_at=utcnow()))
    assert sender.patch(address, 0, b"").status_code == 204
    with app.app_context():
        row = db.session.scalars(select(Upload)).one()
        assert row.expires_at is not None
        assert row.expires_at <= row.created_at + timedelta(hours=1)
        with unit_of_work():
            db.session.execute(update(Upload).values(expires_at=utcnow()))
        cleanup.give_up_uploads()
    assert ledger(app) == {"none.jpg": "interrupted"}


def test_a_disk_with_too_little_room_takes_no_new_file(app: Flask, sender: Sender, api: Api) -> None:
    begun = sender.begin("begun.jpg", b"bytes")
    free = free_bytes(app.extensions["settings"].data_dir)
    change(app, upload_reserve_mb=2 * free // MEGABYTE)
    refused = sender.announce()
    assert (refused.status_code, refused.headers["FindMe-Reason"]) == (503, "no_space")
    assert sender.form(1).status_code == 503
    answer = api.login(OWNER).upload_photos(sender.event_id, demo_photos(1)[0])
    assert (answer.status_code, answer.json["code"]) == (503, "no_space")  # type: ignore[index]
    assert ledger(app) == {"begun.jpg": "receiving"}
    assert sender.patch(begun, 5, b"x" * 995).status_code == 204


def test_a_thousand_files_in_one_form_are_not_too_many(sender: Sender, api: Api) -> None:
    """They come as far as the event, which is closed here: that costs less than a thousand rows."""
    assert PHOTOS_IN_FORM == 1000
    sender.close_event()
    answer = sender.form(PHOTOS_IN_FORM)
    assert answer.status_code == 409
    assert "closed" in answer.text
    answer = sender.form_to_api(api, PHOTOS_IN_FORM)
    assert (answer.status_code, answer.json["code"]) == (409, "event_closed")  # type: ignore[index]


def test_what_is_no_picture_is_answered_file_by_file(sender: Sender) -> None:
    assert len(re.findall('data-status="rejected"', sender.form(20).text)) == 20


@pytest.mark.parametrize("files", [PHOTOS_IN_FORM + 1, PHOTOS_IN_FORM + 100])
@pytest.mark.parametrize("htmx", [False, True])
def test_more_files_are_refused_whole(app: Flask, sender: Sender, files: int, htmx: bool) -> None:
    answer = sender.form(files, htmx=htmx)
    assert answer.status_code == 413
    assert TOO_MANY in answer.text
    assert "Nothing of it was taken in" in answer.text
    assert_nothing_came(app)


@pytest.mark.parametrize("files", [PHOTOS_IN_FORM + 1, PHOTOS_IN_FORM + 100])
def test_more_files_are_refused_whole_by_the_api(app: Flask, sender: Sender, api: Api, files: int) -> None:
    answer = sender.form_to_api(api, files)
    assert (answer.status_code, answer.json["code"]) == (413, "form_too_large")  # type: ignore[index]
    assert TOO_MANY in answer.json["detail"]  # type: ignore[index]
    assert_nothing_came(app)


def test_a_form_with_too_many_bytes_gets_the_same_sentence(app: Flask, sender: Sender) -> None:
    address = f"/studio/events/{sender.event_id}/photos"
    announced = {"CONTENT_LENGTH": str(2**30 + 1), "wsgi.input": io.BytesIO(b"")}
    answer = sender.browser.client.post(
        address, content_type="multipart/form-data; boundary=x", headers=sender.csrf, environ_overrides=announced
    )
    assert answer.status_code == 413
    assert TOO_MANY in answer.text


def assert_nothing_came(app: Flask) -> None:
    with app.app_context():
        assert [db.session.scalar(select(func.count()).select_from(table)) for table in (Upload, Photo)] == [0, 0]
    assert list(app.extensions["blobs"].keys("events/")) == []
