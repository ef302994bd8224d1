"""Strings that would lead out of the folder, prefix or row that they are meant for: paths, keys, names and ids."""

import os
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from tests.attacks import bombs
from tests.attacks.suspects import OWNER
from tests.support.actors import PASSWORD, Api, World, photos_with
from tests.support.browsing import Browser
from tests.support.tus import BYTES, TUS, Tus
from webapp.db.extensions import db
from webapp.errors import FindMeError, NotFound
from webapp.models import Photo, Rendition, Upload
from webapp.run import embedded_redis
from webapp.settings import ROOT
from webapp.storage.local import LocalBlobStore
from webapp.storage.partials import PartialFiles
from webapp.watching.folder import look
from webapp.watching.manifest import Manifest

SECRET = b"SECRET_KEY=not for anyone"

PLAIN = (
    "../secret",
    "..",
    "../",
    "a/../../secret",
    "events/../../secret",
    "/etc/passwd",
    "//etc/passwd",
    "..\\secret",
    "....//secret",
    ".%2e/secret",
    "%2e%2e/secret",
    "..%2fsecret",
    "..%252fsecret",
    "..%5csecret",
    "%00",
    "secret%00.jpg",
    "..;/secret",
    "file:///etc/passwd",
    "~root",
    "C:\\secret",
    "\\\\host\\share",
    "\uff0e\uff0e/secret",
    "..%c0%afsecret",
    ".",
    " ",
    "x" * 3000,
)
"""As they stand in an address: encoded not at all, once, or twice."""


def spellings() -> Iterator[str]:
    for word in PLAIN:
        yield urllib.parse.quote(word, safe="%/;:~")
        yield urllib.parse.quote(word, safe="")


@pytest.fixture
def secret(app: Flask, tmp_path: Path) -> Path:
    """A file beside the folders that are served from."""
    path = Path(app.extensions["settings"].data_dir) / "secret"
    path.write_bytes(SECRET)
    return path


# --- addresses ---


def test_no_address_leads_out_of_the_static_files(app: Flask, secret: Path) -> None:
    client = app.test_client()
    assert (ROOT / "wsgi.py").is_file()
    for prefix in ("/static/", "/static/css/", "/static/files/../", "/static/%2e%2e/", "/static//"):
        for word in (
            *spellings(),
            "wsgi.py",
            "../wsgi.py",
            "..%2fwsgi.py",
            "..%252fwsgi.py",
            "..%5cwsgi.py",
            str(secret),
        ):
            answer = client.get(prefix + word)
            assert answer.status_code in (404, 308, 301), prefix + word
            answer.close()


def test_no_id_in_an_address_is_a_path(app: Flask, world: World, api: Api, secret: Path) -> None:
    event_id = world.event()
    api.register(world.code)
    owner, guest = Browser(app).sign_in(OWNER, PASSWORD), Browser(app).sign_in("ada", PASSWORD)
    rules = [rule for rule in app.url_map.iter_rules() if rule.arguments and "GET" in (rule.methods or ())]
    assert len(rules) > 20
    for rule in rules:
        if rule.endpoint == "static" or rule.endpoint.startswith("rq_dashboard"):
            continue
        for word in ("..%2f..%2fsecret", "..%252fsecret", "%2e%2e%5csecret", "secret%00.jpg", "%ff", "..", "x" * 3000):
            for last in rule.arguments:
                values = {name: event_id if name == "event_id" else world.code for name in rule.arguments} | {
                    last: word
                }
                path = rule.rule
                for name in rule.arguments:
                    path = path.replace(f"<{name}>", values[name]).replace(f"<int:{name}>", values[name])
                for browser in (owner, guest):
                    answer = browser.get(path)
                    assert answer.status_code < 500, path
                    assert SECRET not in answer.data
                    answer.close()


def test_an_upload_s_id_is_a_row_s(app: Flask, world: World, secret: Path) -> None:
    tus = Tus(app, world)
    content = bombs.encoded("JPEG", 64, 64)
    mine = tus.create("a.jpg", len(content)).headers["Location"].rpartition("/")[2]
    for word in (*spellings(), f"..%2f{mine}", f"{mine}%2f..%2f{mine}", f"{mine}%00", f"{mine}/", f"%2f{mine}"):
        address = f"{tus.files}/{word}"
        said = {**BYTES, **tus.csrf, "Upload-Offset": "0"}
        answers = [
            tus.browser.client.head(address, headers=TUS),
            tus.browser.client.patch(address, headers=said, data=b"overwritten"),
            tus.browser.client.delete(address, headers={**TUS, **tus.csrf}),
        ]
        assert {answer.status_code for answer in answers} <= {404, 405, 422, 308, 301, 303}, address
    assert secret.read_bytes() == SECRET
    assert tus.patch(f"{tus.files}/{mine}", 0, content).headers["FindMe-Status"] == "accepted"


def test_a_file_name_is_part_of_no_key(app: Flask, world: World, api: Api, secret: Path) -> None:
    tus = Tus(app, world)
    before = {path for path in secret.parent.parent.rglob("*") if path.is_file()}
    for number, word in enumerate(PLAIN):
        content = bombs.encoded("JPEG", 64, 64) + bytes([number])
        name = urllib.parse.unquote(word)
        tus.create(name, len(content), content)
        api.login(OWNER).upload_photos(tus.event_id, (name.replace("\0", "") or "x", content + b"api"))
    with app.app_context():
        names = set(db.session.scalars(select(Photo.filename))) | set(db.session.scalars(select(Upload.filename)))
        keys = set(db.session.scalars(select(Rendition.blob_key)))
    assert not [name for name in names if "/" in name or "\\" in name or "\0" in name]
    assert len(keys) == 2 * len(PLAIN)
    for key in keys:
        assert key.startswith(f"events/{tus.event_id}/photos/")
        assert key.rpartition("/")[2] == "original.jpg"
    made = {path for path in secret.parent.parent.rglob("*") if path.is_file()} - before
    blobs = secret.parent / "blobs"
    assert all(path.is_relative_to(blobs) for path in made if path.suffix == ".jpg")
    assert secret.read_bytes() == SECRET


def test_words_that_choose_a_file_are_from_a_list(app: Flask, world: World) -> None:
    event_id = world.event()
    content = photos_with("grace", 1)[0]
    (photo_id,) = world.add_photos(event_id, content)
    world.work()
    owner = Browser(app).sign_in(OWNER, PASSWORD)
    base = f"/studio/events/{event_id}"
    for word in ("..", "..%2foriginal", "preview.webp", "selfie", "original%00", "ORIGINAL", "crop", "preview_jpeg"):
        for path in (
            f"/media/photos/{photo_id}/{word}",
            f"{base}/qr.{word}",
            f"/photos/{photo_id}/download?size={word}",
        ):
            assert owner.get(path).status_code == 404, path
        assert owner.get(f"/accents/{word}.css").status_code == 404
        answer = Api(app).login(OWNER).get(f"/photo/{photo_id}?size={word}")
        assert answer.status_code == 422
        page = owner.submit("/language", {"language": word, "next": "/"}, page="/")
        assert page.status_code == 303
        assert '<html lang="en"' in owner.get("/").text
    assert owner.get(f"/e/{world.code}/cover.jpg?v=..%2f..%2fsecret").status_code == 404


# --- stores ---

KEYS = (
    "../secret",
    "a/../../secret",
    "/etc/passwd",
    "..",
    ".",
    "",
    "a/..",
    "link/secret",
    "events/../../secret",
)


@pytest.mark.parametrize("key", KEYS)
def test_a_store_stays_in_its_folder(tmp_path: Path, key: str) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    store, partials = LocalBlobStore(tmp_path / "blobs"), PartialFiles(tmp_path / "partials")
    for root in (tmp_path / "blobs", tmp_path / "partials"):
        root.mkdir(exist_ok=True)
        (root / "link").symlink_to(tmp_path)
    calls = (
        lambda: store.open(key),
        lambda: store.info(key),
        lambda: store.delete(key),
        lambda: store.delete_all(f"{key}/"),
        lambda: store.put(key, (tmp_path / "secret").open("rb")),
        lambda: partials.size(key),
        lambda: partials.append(key, 0, b"x"),
        lambda: partials.delete(key),
        lambda: partials.delete_all(f"{key}/"),
    )
    for call in calls:
        with pytest.raises(FindMeError) as refused:
            call()
        assert isinstance(refused.value, NotFound)
    assert (tmp_path / "secret").read_bytes() == SECRET


# --- the program that watches a folder ---


def test_links_in_a_watched_folder_name_no_file_elsewhere(tmp_path: Path) -> None:
    """Whoever fills the folder, a card or a shared drive, could name any file of the photographer's."""
    card = tmp_path / "card"
    card.mkdir()
    (tmp_path / "private.jpg").write_bytes(b"private")
    (tmp_path / "secret").write_bytes(SECRET)
    (card / "real.jpg").write_bytes(b"picture")
    (card / "within.jpg").symlink_to(card / "real.jpg")
    (card / "elsewhere.jpg").symlink_to(tmp_path / "private.jpg")
    (card / "key.jpg").symlink_to(tmp_path / "secret")
    (card / "relative.jpg").symlink_to("../private.jpg")
    (card / "twice.jpg").symlink_to(card / "elsewhere.jpg")
    (card / "circle.jpg").symlink_to(card / "circle.jpg")
    (card / "folder").symlink_to(tmp_path)
    os.mkfifo(card / "pipe.jpg")
    seen = look(card)
    assert set(seen.pictures) == {"real.jpg", "within.jpg"}
    assert seen.aside["other"] == 4


@pytest.mark.parametrize("event_id", ["../../secret", "/etc/passwd", "a\nb", "x" * 5000])
def test_a_manifest_lies_in_its_folder_whatever_the_server_says(tmp_path: Path, event_id: str) -> None:
    file = Manifest.file_for(tmp_path / "state", tmp_path / "card", "http://../../x", event_id)
    assert file.parent == tmp_path / "state"
    assert file.stem.isalnum()


# --- Redis's socket ---


@pytest.mark.parametrize("name", ["a b", "a\nb", "a%00b", "x" * 200, "a;b", "é"])
def test_a_socket_s_path_is_plain_wherever_the_data_lie(tmp_path: Path, name: str) -> None:
    path = embedded_redis.socket_path(tmp_path / name)
    assert len(os.fsencode(path)) <= embedded_redis.LONGEST_PATH
    assert all(part not in str(path) for part in (" ", "\n", ";", "%"))
