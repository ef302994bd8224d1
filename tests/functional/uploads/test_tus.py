"""Uploads that go on where they stopped, by the tus protocol, and the ledger in which every file is found again."""

import io
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from flask import Flask
from sqlalchemy import select, update

from tests.support.actors import PASSWORD, Api, World, demo_photos
from tests.support.browsing import Browser
from tests.support.tus import BYTES, TUS, Tus, partial_files
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.errors import Conflict, Transient
from webapp.models import Event, Photo, Upload, UploadStatus, UploadWay
from webapp.queueing import unit_of_work
from webapp.services.core import blobs, deletion_outbox
from webapp.services.erasure import event_erasure
from webapp.services.upkeep import cleanup
from webapp.services.uploads import intake as services
from webapp.services.uploads import tus as tus_uploads
from webapp.services.uploads import upload_ledger


@pytest.fixture
def tus(app: Flask, world: World) -> Tus:
    return Tus(app, world)


@pytest.fixture
def picture() -> bytes:
    return demo_photos(1)[0][1]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[Flask], None]]:
    """Puts DATA_DIR/uploads on a disk of 512 KiB, a real one."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")

    def move(app: Flask) -> None:
        app.extensions["settings"] = app.extensions["settings"].model_copy(
            update={"data_dir": place, "upload_reserve_mb": 0}
        )

    yield move
    subprocess.run(["umount", str(place)], check=True)


def test_the_server_says_what_it_can_do(tus: Tus) -> None:
    answer = tus.browser.client.options(tus.files)
    assert answer.status_code == 204
    assert answer.headers["Tus-Version"] == "1.0.0"
    assert answer.headers["Tus-Extension"] == "creation,creation-with-upload,expiration,termination"
    assert answer.headers["Tus-Max-Size"] == str(60 * 1024 * 1024)
    wrong = tus.browser.client.head(f"{tus.files}/x", headers={"Tus-Resumable": "0.2.2"})
    assert (wrong.status_code, wrong.headers["Tus-Version"]) == (412, "1.0.0")


def test_a_file_in_pieces_becomes_one_photo_with_its_bytes(app: Flask, tus: Tus, picture: bytes) -> None:
    created = tus.create("DSC_1.jpg", len(picture))
    assert (created.status_code, created.headers["Upload-Offset"]) == (201, "0")
    assert "Upload-Expires" in created.headers
    address, third = created.headers["Location"], len(picture) // 3
    first = tus.patch(address, 0, picture[:third])
    assert (first.status_code, first.headers["Upload-Offset"]) == (204, str(third))
    assert "FindMe-Status" not in first.headers
    at = tus.head(address)
    assert (at.headers["Upload-Offset"], at.headers["Upload-Length"]) == (str(third), str(len(picture)))
    last = tus.patch(address, third, picture[third:])
    assert (last.status_code, last.headers["FindMe-Status"]) == (204, "accepted")
    with app.app_context():
        photo = db.session.scalars(select(Photo)).one()
        with app.extensions["blobs"].open(photo.renditions[0].blob_key) as stored:
            assert stored.read() == picture
        row = db.session.scalars(select(Upload)).one()
        assert (row.photo_id, row.way, row.received) == (photo.id, UploadWay.TUS, len(picture))
        assert last.headers["FindMe-Photo"] == photo.public_id
    assert tus.ledger() == [("DSC_1.jpg", "accepted", None)]
    assert partial_files(app) == []
    again = tus.head(address)
    assert again.headers["Upload-Offset"] == str(len(picture))
    assert again.headers["FindMe-Status"] == "accepted"


def test_a_small_file_takes_one_request(tus: Tus, picture: bytes) -> None:
    answer = tus.create("DSC_1.jpg", len(picture), picture)
    assert (answer.status_code, answer.headers["FindMe-Status"]) == (201, "accepted")


def test_the_same_bytes_again_are_a_duplicate_and_not_an_error(tus: Tus, picture: bytes) -> None:
    first, second = tus.send("a.jpg", picture), tus.send("b.jpg", picture)
    assert (second.status_code, second.headers["FindMe-Status"]) == (204, "duplicate")
    assert second.headers["FindMe-Photo"] == first.headers["FindMe-Photo"]
    assert tus.ledger() == [("a.jpg", "accepted", None), ("b.jpg", "duplicate", None)]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.jpg", b"", "empty"),
        ("notes.jpg", b"Dear diary, this is no picture.", "not_a_picture"),
        ("../../etc/🎉 fête.jpg", b"no picture either", "not_a_picture"),
    ],
)
def test_what_is_no_picture_is_refused_with_its_sentence(tus: Tus, name: str, content: bytes, reason: str) -> None:
    answer = tus.create(name, len(content), content)
    assert answer.status_code == 201
    assert (answer.headers["FindMe-Status"], answer.headers["FindMe-Reason"]) == ("rejected", reason)
    assert "choose" in unquote(answer.headers["FindMe-Detail"])
    assert tus.ledger() == [(name.rpartition("/")[2], "rejected", reason)]
    assert partial_files(tus.app) == []


def test_a_file_that_is_announced_too_large_is_refused_before_it_is_sent(tus: Tus) -> None:
    answer = tus.create("big.jpg", 61 * 1024 * 1024)
    assert (answer.status_code, answer.json["code"]) == (413, "photo_too_large")  # type: ignore[index]
    assert tus.ledger() == [("big.jpg", "rejected", "photo_too_large")]


def test_more_than_was_announced_is_not_taken(tus: Tus, picture: bytes) -> None:
    address = tus.create("a.jpg", 100).headers["Location"]
    assert tus.patch(address, 0, picture[:101]).status_code == 413
    assert tus.head(address).headers["Upload-Offset"] == "0"


def test_bytes_for_another_place_are_a_conflict_and_change_nothing(tus: Tus, picture: bytes) -> None:
    address = tus.create("a.jpg", len(picture)).headers["Location"]
    tus.patch(address, 0, picture[:1000])
    for wrong in (0, 999, 1001):
        assert tus.patch(address, wrong, picture[wrong : wrong + 500]).status_code == 409
    assert tus.patch(address, 1000, picture[1000:]).headers["FindMe-Status"] == "accepted"


def test_two_that_send_the_same_file_at_once_make_one_photo(tus: Tus, picture: bytes) -> None:
    address = tus.create("a.jpg", len(picture)).headers["Location"]
    with tus.app.app_context():
        event = db.session.scalars(select(Event)).one()
        key = tus_uploads.key_of(event.public_id, address.rpartition("/")[2])

    def send(_: int) -> str:
        offset = 0
        with tus.app.app_context():
            store = blobs.partials()
            while offset < len(picture):
                try:
                    offset = store.append(key, offset, picture[offset : offset + 4096])
                except Conflict:
                    offset = store.size(key)
            found, user = db.session.scalars(select(Event)).one(), services.User
            owner = db.session.scalars(select(user).where(user.email == "photographer@example.com")).one()
            result = tus_uploads.progress(found, owner, address.rpartition("/")[2]).result
            return str(result.status) if result else "none"

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(send, range(4))) == ["accepted"] * 4
    assert tus.ledger() == [("a.jpg", "accepted", None)]


def test_a_file_whose_process_died_after_the_last_byte_is_taken_in_when_asked_about(
    app: Flask, tus: Tus, picture: bytes
) -> None:
    address = tus.create("a.jpg", len(picture)).headers["Location"]
    with app.app_context():
        blobs.partials().append(tus_uploads.key_of(tus.event_id, address.rpartition("/")[2]), 0, picture)
    answer = tus.head(address)
    assert (answer.headers["Upload-Offset"], answer.headers["FindMe-Status"]) == (str(len(picture)), "accepted")


def test_a_closed_event_takes_nothing_more(tus: Tus, picture: bytes) -> None:
    address = tus.create("a.jpg", len(picture)).headers["Location"]
    tus.close_event()
    for answer in (tus.create("b.jpg", 10), tus.patch(address, 0, picture)):
        assert (answer.status_code, answer.headers["FindMe-Reason"]) == (403, "event_closed")


def test_an_upload_belongs_to_who_began_it(app: Flask, tus: Tus, world: World, picture: bytes) -> None:
    address = tus.create("a.jpg", len(picture)).headers["Location"]
    world.event("SECOND22", owner="other@example.com")
    other = Browser(app).sign_in("other@example.com", PASSWORD)
    assert other.client.head(address, headers=TUS).status_code == 404
    nobody = app.test_client().head(address, headers=TUS)
    assert nobody.status_code == 401
    without = tus.browser.client.patch(address, headers={**BYTES, "Upload-Offset": "0"}, data=picture)
    assert (without.status_code, without.json["code"]) == (400, "csrf")  # type: ignore[index]


def test_giving_up_leaves_nothing_but_its_line(app: Flask, tus: Tus, picture: bytes) -> None:
    address = tus.create("a.jpg", len(picture)).headers["Location"]
    tus.patch(address, 0, picture[:100])
    assert tus.browser.client.delete(address, headers={**TUS, **tus.csrf}).status_code == 204
    assert tus.head(address).status_code == 404
    assert tus.ledger() == [("a.jpg", "interrupted", None)]
    assert partial_files(app) == []


def test_files_that_are_waited_for_keep_no_other_from_being_deleted(
    app: Flask, tus: Tus, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "ROUND", 1)
    address = tus.create("a.jpg", len(picture)).headers["Location"]
    tus.patch(address, 0, picture[:100])
    with app.app_context():
        store, waited_for = blobs.partials(), tus_uploads.key_of(tus.event_id, address.rpartition("/")[2])
        # Deeper, so that it is listed after the one that is waited for.
        left = f"{waited_for.rpartition('/')[0]}/gone/unknown"
        store.append(left, 0, b"left")
        monkeypatch.setattr(upload_ledger, "keeping", lambda: timedelta(seconds=-60))
        assert list(store.keys(utcnow().timestamp() + 60)) == [waited_for, left]
        cleanup._forget_partials()
        assert list(store.keys(utcnow().timestamp() + 60)) == [waited_for]


def test_what_nobody_goes_on_with_ends_as_interrupted(app: Flask, tus: Tus, picture: bytes) -> None:
    half = tus.create("half.jpg", len(picture)).headers["Location"]
    tus.patch(half, 0, picture[:100])
    whole = tus.create("whole.jpg", len(picture)).headers["Location"]
    tus.create("waiting.jpg", 10)
    with app.app_context():
        blobs.partials().append(tus_uploads.key_of(tus.event_id, whole.rpartition("/")[2]), 0, picture)
        with unit_of_work():
            over = Upload.filename != "waiting.jpg"
            db.session.execute(update(Upload).where(over).values(expires_at=utcnow() - timedelta(hours=1)))
        cleanup.give_up_uploads()
    assert tus.ledger() == [
        ("half.jpg", "interrupted", None),
        ("whole.jpg", "accepted", None),
        ("waiting.jpg", "receiving", None),
    ]
    assert partial_files(app) == []


def test_erasing_an_event_takes_what_was_on_its_way(app: Flask, tus: Tus, picture: bytes) -> None:
    address = tus.create("a.jpg", len(picture)).headers["Location"]
    tus.patch(address, 0, picture[:100])
    assert len(partial_files(app)) == 1
    with app.app_context():
        with unit_of_work():
            event_erasure.erase_event(db.session.scalars(select(Event)).one(), None)
        for public_id in db.session.scalars(select(deletion_outbox.Removal.public_id)).all():
            deletion_outbox.carry_out(public_id)
    assert partial_files(app) == []


def test_no_space_left_is_said_and_what_had_arrived_stays(
    app: Flask, tus: Tus, picture: bytes, small_disk: Any
) -> None:
    small_disk(app)
    address = tus.create("a.jpg", len(picture) + 2**20).headers["Location"]
    tus.patch(address, 0, picture[:1000])
    full = tus.patch(address, 1000, b"x" * 2**20)
    assert (full.status_code, full.headers["FindMe-Reason"]) == (503, "no_space")
    assert "Nothing else is lost" in unquote(full.headers["FindMe-Detail"])
    assert int(tus.head(address).headers["Upload-Offset"]) >= 1000


def test_every_way_leaves_its_line(app: Flask, world: World, api: Api, tus: Tus) -> None:
    (name, picture), (other, second) = demo_photos(2)
    answer = tus.browser.client.post(
        f"/studio/events/{tus.event_id}/photos",
        data={"files": [(io.BytesIO(picture), name), (io.BytesIO(b""), "none.jpg")]},
        headers=tus.csrf,
    )
    assert answer.status_code == 200
    api.login("photographer@example.com").upload_photos(tus.event_id, (other, second))
    assert tus.ledger() == [(name, "accepted", None), ("none.jpg", "rejected", "empty"), (other, "accepted", None)]
    with app.app_context():
        event = db.session.scalars(select(Event)).one()
        counts = upload_ledger.counts(event)
        assert (counts[UploadStatus.ACCEPTED], counts[UploadStatus.REJECTED]) == (2, 1)
        assert [row.filename for row in upload_ledger.trouble(event).rows] == ["none.jpg"]
        assert [row.way for row in upload_ledger.page(event)] == [UploadWay.API, UploadWay.FORM, UploadWay.FORM]
        last = upload_ledger.page(event, limit=1)[0]
        assert [row.filename for row in upload_ledger.page(event, before=last.id)] == ["none.jpg", name]


def test_a_store_that_is_full_keeps_the_file_until_there_is_room(
    app: Flask, tus: Tus, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = tus.create("a.jpg", len(picture)).headers["Location"]

    def full(*_: object) -> None:
        raise Transient(code="no_space")

    with monkeypatch.context() as patched:
        patched.setattr(app.extensions["blobs"], "put", full)
        assert tus.patch(address, 0, picture).status_code == 503
    assert tus.head(address).headers["FindMe-Status"] == "accepted"
