"""The built files: how they are served, and found again after a deployment, and what is said where there are none."""

import gzip
import json
import re
import shutil
import socket
import time
from pathlib import Path

import brotli
import pytest
import redis
from flask import Flask
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import update

from tests.support.actors import World
from tests.support.built import address
from tests.support.process_app import ProcessApps
from webapp.db.extensions import db
from webapp.errors import ConfigurationError
from webapp.models import Event
from webapp.queueing import connection, unit_of_work
from webapp.settings import ROOT, Settings
from webapp.web import bundles, kept_bundles
from webapp.web.bundles import BUILT, Bundles

FOR_EVER = "public, max-age=31536000, immutable"
OLD = "guest-OLDHASH1.js"
NAMES = (OLD, "figtree-OLD.woff2")
CONTENT = b"document.title = 'an earlier deployment';\n" * 40


@pytest.fixture
def earlier(app: Flask, tmp_path: Path) -> Path:
    """The files of a deployment that this one has replaced."""
    for name, content in zip(NAMES, (CONTENT, b"\0font" * 9), strict=True):
        (tmp_path / name).write_bytes(content)
    with app.app_context():
        kept_bundles.keep(tmp_path, NAMES)
    return tmp_path


def ttl(name: str) -> int:
    return int(connection().ttl(f"findme:bundle:{name}"))


def test_built_files_are_kept_for_a_year_and_never_asked_for_again(app: Flask) -> None:
    for name in ("guest.js", "guest.css", "figtree.woff2", "mark.svg"):
        answer = app.test_client().get(address(name))
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == FOR_EVER, name
        answer.close()


@pytest.mark.parametrize("sheet", ["guest.css", "offline.css", "shots.css", "studio.css", "upload.css"])
def test_each_variable_that_a_style_sheet_needs_is_in_it(sheet: str) -> None:
    """The build leaves out what pages do not use of the frameworks: a shadow made of variables needs each of them."""
    built = Bundles(BUILT, watched=False)
    css = (built.folder / "files" / built.manifest.files[sheet]).read_text(encoding="utf-8")
    needed = set(re.findall(r"var\((--[\w-]+)\)", css))
    assert needed - set(re.findall(r"(--[\w-]+)\s*:", css)) == set()


def test_the_build_keeps_what_a_framework_says_of_states(app: Flask) -> None:
    """Of links under the pointer, and of a select that has the focus: selectors that name no element of their own."""
    css = app.test_client().get(address("guest.css")).text
    assert ":where(a:not([role=button])):is([aria-current]:not([aria-current=false]),:hover,:active,:focus)" in css
    assert ":where(select,textarea):not([readonly]):is(:active,:focus)" in css


@pytest.mark.parametrize("name", ["manifest.json", "superseded.json", "../manifest.json", "files/guest.js", ""])
def test_nothing_but_the_files_is_served(app: Flask, name: str) -> None:
    answer = app.test_client().get(f"/static/{name}")
    assert answer.status_code in (404, 308)


@pytest.mark.parametrize("accept", ["br, gzip", "gzip;q=0", "identity", ""])
def test_a_file_of_an_earlier_deployment_answers(app: Flask, earlier: Path, accept: str) -> None:
    answer = app.test_client().get(f"/static/{OLD}", headers={"Accept-Encoding": accept})
    assert answer.status_code == 200
    packed = answer.headers.get("Content-Encoding") == "gzip"
    assert packed == (accept == "br, gzip")
    assert (gzip.decompress(answer.data) if packed else answer.data) == CONTENT
    assert answer.mimetype == "text/javascript"
    assert answer.headers["Cache-Control"] == FOR_EVER
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    font = app.test_client().get("/static/figtree-OLD.woff2")
    assert (font.status_code, font.mimetype) == (200, "font/woff2")


def test_it_is_there_for_a_day_after_the_last_process_that_had_it(app: Flask, earlier: Path) -> None:
    with app.app_context():
        assert ttl(OLD) > kept_bundles.DAY
        connection().expire(f"findme:bundle:{OLD}", 10)
        kept_bundles.keep(earlier, NAMES)  # as each process does once an hour
        assert ttl(OLD) > kept_bundles.DAY
        kept_bundles.keep(
            BUILT / "files", Bundles(BUILT, watched=False).manifest.all
        )  # of another deployment, which leaves the first alone
        assert 0 < ttl(OLD) <= kept_bundles.KEPT_SECONDS
        connection().delete(f"findme:bundle:{OLD}")
    answer = app.test_client().get(f"/static/{OLD}")
    assert answer.status_code == 404
    assert answer.headers["Cache-Control"] == "no-store"


def test_files_that_a_later_build_removed_under_a_process_answer_still(
    settings: Settings, process_apps: ProcessApps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(BUILT, tmp_path / "built")
    monkeypatch.setattr(bundles, "BUILT", tmp_path / "built")
    # An app of its own: the others have found their files already.
    own = settings.model_dump() | {"public_url": "https://of-a-later-build.example"}
    with process_apps.lent(Settings(_env_file=None, **own)) as app:
        script, style = address("guest.js"), address("guest.css")
        with app.test_client().get(script) as answer:
            whole = answer.data
        with app.app_context():
            kept_bundles.keep(tmp_path / "built" / "files", [Path(script).name])
        for file in (tmp_path / "built" / "files").iterdir():
            file.unlink()
        for accept in ("br", "gzip", "identity"):
            answer = app.test_client().get(script, headers={"Accept-Encoding": accept})
            assert answer.status_code == 200
            undo = {"br": brotli.decompress, "gzip": gzip.decompress, "identity": bytes}[accept]
            assert undo(answer.data) == whole
        assert app.test_client().get(style).status_code == 404


def test_one_removed_file_does_not_keep_the_others_from_being_kept(app: Flask, earlier: Path) -> None:
    with app.app_context():
        connection().delete(*(f"findme:bundle:{name}" for name in NAMES))
        (earlier / OLD).unlink()
        kept_bundles.keep(earlier, NAMES)
        assert kept_bundles.find(OLD) is None
        assert kept_bundles.find(NAMES[1]) is not None


def test_all_that_pages_ask_for_is_kept_and_takes_little(app: Flask) -> None:
    with app.app_context():
        manifest = Bundles(BUILT, watched=False).manifest
        kept_bundles.keep(BUILT / "files", manifest.all)
        assert all(kept_bundles.find(name) for name in manifest.files.values())
        style = (BUILT / "files" / manifest.files["guest.css"]).read_text()
        fonts = re.findall(r"[\w-]+\.woff2", style)
        assert len(fonts) == 4
        assert all(kept_bundles.find(name) for name in fonts)
        keys = connection().keys("findme:bundle:*")
        assert sum(connection().strlen(key) for key in keys) < 600_000


def test_without_redis_an_unknown_file_is_missing_and_no_fault(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.extensions, "redis", redis.Redis(port=1, socket_connect_timeout=0.2))
    assert app.test_client().get(f"/static/{OLD}").status_code == 404
    with app.test_client().get(address("guest.js")) as answer:
        assert answer.status_code == 200


def test_a_redis_that_hangs_holds_one_request_for_unknown_files_and_not_all(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setitem(
            app.extensions,
            "redis",
            redis.Redis(port=silent.getsockname()[1], socket_timeout=0.5, retry=Retry(NoBackoff(), 0)),
        )
        started = time.monotonic()
        for number in range(20):
            assert app.test_client().get(f"/static/guest-{number}.js").status_code == 404
        assert time.monotonic() - started < 3


@pytest.mark.parametrize("name", ["a" * 200 + ".js", "a%00.js", "a/b.js", "%2e%2e", "findme:x", "a b.js", "ä.js"])
def test_odd_names_are_missing(app: Flask, name: str) -> None:
    assert app.test_client().get(f"/static/{name}").status_code == 404


def test_without_a_build_the_start_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="make install"):
        Bundles(tmp_path, watched=False)
    (tmp_path / "manifest.json").write_text('{"files": ')
    with pytest.raises(ConfigurationError, match="make install"):
        Bundles(tmp_path, watched=False)


def test_a_new_build_counts_at_once_where_files_are_watched(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    said = json.loads((ROOT / "static" / "built" / "manifest.json").read_text())
    manifest.write_text(json.dumps(said))
    watched, fixed = Bundles(tmp_path, watched=True), Bundles(tmp_path, watched=False)
    said["files"]["guest.js"] = "guest-NEW.js"
    manifest.write_text(json.dumps(said))
    assert watched.manifest.files["guest.js"] == "guest-NEW.js"
    assert fixed.manifest.files["guest.js"] != "guest-NEW.js"


@pytest.mark.parametrize(
    ("name", "more"), [("Bärbel & Zoë, Œuvre", 0), ("Łucja i Paweł", 1), ("Nguyễn", 1), ("Άννα", 0), ("婚礼", 0)]
)
def test_letters_beyond_our_languages_are_fetched_where_an_event_has_them(
    app: Flask, world: World, name: str, more: int
) -> None:
    world.event()
    with app.app_context(), unit_of_work():
        db.session.execute(update(Event).values(name=name))
    page = app.test_client().get(f"/e/{world.code}").text
    assert page.count('as="font" type=') == 2 + more
    assert (address("instrument-serif-ext.woff2") in page) == bool(more)
