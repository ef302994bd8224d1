"""Pictures that lie in S3, as people and programs get them: redirects to signed addresses, only for those who may."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import requests
from flask import Flask
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from tests.cloud.s3_servers import S3Server
from tests.support.actors import PASSWORD, Api, World, photos_with, photos_without, selfie
from tests.support.browsing import Browser
from tests.support.process_app import ProcessApps
from webapp.db.extensions import db
from webapp.faces import Engine
from webapp.models import Match, Photo, Selfie
from webapp.settings import Settings
from webapp.storage.s3 import S3BlobStore

FILENAME = "Été – l'arrivée à Zürich.jpg"


@pytest.fixture
def app(settings: Settings, process_apps: ProcessApps, seaweedfs_server: S3Server) -> Iterator[Flask]:
    """An app that was set up for S3, with the tests' face engine."""
    told = seaweedfs_server.settings(seaweedfs_server.bucket_of_process())
    with process_apps.lent(Settings(_env_file=None, **(settings.model_dump() | told))) as ours:
        assert isinstance(ours.extensions["face_engines"]["local"], Engine)
        assert isinstance(ours.extensions["blobs"], S3BlobStore)
        yield ours


@dataclass(frozen=True)
class Scene:
    """A guest who was found on one photo of two, and a stranger at another event."""

    app: Flask
    mine: str
    other: str
    guest: Browser
    api: Api
    stranger: Browser
    selfie_id: str


@pytest.fixture
def scene(app: Flask, api: Api, world: World) -> Scene:
    event_id = world.event()
    guest = api.register(world.code)
    assert guest.upload_selfie(selfie("grace")).status_code in (200, 201, 202)
    (_, mine), (_, other) = photos_with("grace", 1)[0], photos_without("grace", 1)[0]
    ids = world.add_photos(event_id, (FILENAME, mine), ("other.jpg", other))
    world.work()
    assert guest.photo_ids() == [ids[0]]
    world.event(code="OTHER234", owner="other@example.com")
    api.register("OTHER234", "bob")
    with app.app_context():
        selfie_id = db.session.scalars(select(Selfie.public_id)).one()
    return Scene(
        app,
        str(ids[0]),
        str(ids[1]),
        Browser(app).sign_in("ada@example.com", PASSWORD),
        guest,
        Browser(app).sign_in("bob@example.com", PASSWORD),
        selfie_id,
    )


def address(answer: TestResponse) -> str:
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"]


def fetched(answer: TestResponse, **headers: str) -> requests.Response:
    """What a browser gets that follows."""
    return requests.get(address(answer), headers=headers, timeout=10)


def bytes_in_store(app: Flask, key: str) -> bytes:
    with app.extensions["blobs"].open(key) as stream:
        content: bytes = stream.read()
    return content


def rendition(app: Flask, photo_id: str, kind: str) -> Any:
    with app.app_context():
        photo = db.session.scalars(select(Photo).where(Photo.public_id == photo_id)).one()
        return next(found for found in photo.renditions if found.kind.value == kind)


# --- those who may ---


@pytest.mark.parametrize("size", ["original", "preview", "thumbnail"])
def test_a_guest_is_sent_to_the_picture(scene: Scene, size: str) -> None:
    answer = scene.guest.get(f"/media/photos/{scene.mine}/{size}")
    got = fetched(answer)
    known = rendition(scene.app, scene.mine, size)
    assert got.status_code == 200
    assert got.content == bytes_in_store(scene.app, known.blob_key) != b""
    assert got.headers["Content-Type"] == known.content_type
    assert got.headers["Content-Disposition"] == "inline"


def test_the_redirect_is_remembered_privately_and_for_less_than_the_address_lives(scene: Scene) -> None:
    answer = scene.guest.get(f"/media/photos/{scene.mine}/preview")
    lives = int(parse_qs(urlsplit(address(answer)).query)["X-Amz-Expires"][0])
    assert answer.cache_control.private
    assert not answer.cache_control.public
    assert 0 < (answer.cache_control.max_age or 0) < lives == 300
    assert answer.headers["Referrer-Policy"] == "same-origin"  # none to the store
    assert fetched(answer).headers["Cache-Control"] == "private, max-age=300"


def test_ranges_come_from_the_store(scene: Scene) -> None:
    answer = scene.guest.get(f"/media/photos/{scene.mine}/original", headers={"Range": "bytes=0-9"})
    got = fetched(answer, Range="bytes=0-9")
    whole = bytes_in_store(scene.app, rendition(scene.app, scene.mine, "original").blob_key)
    assert (got.status_code, got.content) == (206, whole[:10])
    assert got.headers["Content-Range"] == f"bytes 0-9/{len(whole)}"


def test_a_head_is_answered_here(scene: Scene) -> None:
    answer = scene.guest.client.head(f"/media/photos/{scene.mine}/original")
    known = rendition(scene.app, scene.mine, "original")
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.content_length == len(bytes_in_store(scene.app, known.blob_key))
    assert answer.mimetype == known.content_type
    assert answer.headers["Accept-Ranges"] == "bytes" and answer.headers["ETag"]


def test_a_download_keeps_its_name(scene: Scene) -> None:
    got = fetched(scene.guest.get(f"/media/photos/{scene.mine}/original?download=1"))
    said = got.headers["Content-Disposition"]
    assert said.startswith("attachment; ")
    found = re.search(r"filename\*=UTF-8''([^;]+)$", said)
    assert found and unquote(found[1]) == FILENAME
    assert got.headers["Content-Type"] == "image/jpeg"


def test_programs_are_sent_there_too(scene: Scene) -> None:
    answer = scene.api.get(f"/photo/{scene.mine}?size=preview")
    known = rendition(scene.app, scene.mine, "preview")
    assert fetched(answer).content == bytes_in_store(scene.app, known.blob_key)


def test_a_selfie_is_shown_small_once_it_is_and_whole_before(scene: Scene) -> None:
    path = f"/media/selfies/{scene.selfie_id}"
    small = fetched(scene.guest.get(path))
    assert small.headers["Content-Type"] == "image/jpeg" and len(small.content) < len(selfie("grace"))
    with scene.app.app_context():
        key = db.session.scalars(select(Selfie.blob_key)).one()
    for other in set(scene.app.extensions["blobs"].keys(key.rpartition("/")[0] + "/")) - {key}:
        scene.app.extensions["blobs"].delete(other)
    assert fetched(scene.guest.get(path)).content == selfie("grace")


def test_a_crop_is_cut_here_from_what_lies_there(scene: Scene) -> None:
    with scene.app.app_context():
        match_id = db.session.scalars(select(Match.public_id)).one()
    answer = scene.guest.get(f"/media/crops/{match_id}")
    assert (answer.status_code, answer.mimetype) == (200, "image/jpeg")
    assert answer.data.startswith(b"\xff\xd8")


# --- those who may not ---


@pytest.mark.parametrize("size", ["original", "preview", "thumbnail"])
def test_others_get_no_address(scene: Scene, size: str) -> None:
    refused = [
        scene.stranger.get(f"/media/photos/{scene.mine}/{size}"),
        scene.stranger.get(f"/media/photos/{scene.mine}/{size}?download=1"),
        scene.guest.get(f"/media/photos/{scene.other}/{size}"),
        scene.stranger.get(f"/media/selfies/{scene.selfie_id}"),
        scene.stranger.client.head(f"/media/photos/{scene.mine}/{size}"),
        Api(scene.app, None).get(f"/photo/{scene.mine}"),
        Browser(scene.app).get(f"/media/photos/{scene.mine}/{size}"),
    ]
    assert [answer.status_code for answer in refused] == [404, 404, 404, 404, 404, 401, 303]
    for answer in refused:
        assert "X-Amz" not in str(answer.headers) + answer.text


def test_a_photo_taken_back_gives_no_further_address(scene: Scene) -> None:
    path = f"/media/photos/{scene.mine}/preview"
    assert fetched(scene.guest.get(path)).status_code == 200
    with scene.app.app_context():
        db.session.execute(update(Photo).values(published_at=None))
        db.session.commit()
    assert scene.guest.get(path).status_code == 404


# --- what pages may load ---


def policy(answer: TestResponse) -> dict[str, list[str]]:
    rules = answer.headers["Content-Security-Policy"].split(";")
    return {name: sources for name, *sources in (rule.split() for rule in rules if rule.strip())}


def test_pages_may_load_from_the_bucket_and_nowhere_else(scene: Scene) -> None:
    store = scene.app.extensions["blobs"]
    rules = policy(scene.guest.get("/"))
    assert rules["img-src"] == ["'self'", "data:", "blob:", store.origin]
    assert rules["connect-src"] == ["'self'", store.origin]
    assert rules["form-action"] == ["'self'"]
    others = {name for name, sources in rules.items() if store.origin in sources}
    assert others == {"img-src", "connect-src"}
    assert address(scene.guest.get(f"/media/photos/{scene.mine}/preview")).startswith(store.origin)


def test_everything_lies_in_the_bucket(scene: Scene) -> None:
    keys = list(scene.app.extensions["blobs"].keys("events/"))
    assert sum("/photos/" in key for key in keys) == 6
    assert sum("/selfies/" in key for key in keys) == 2
    assert not list((scene.app.extensions["settings"].data_dir).glob("blobs/events"))
