"""A watched folder against a real server over HTTP: what is complete is sent once, whatever happens on the way."""

import io
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from PIL import Image
from sqlalchemy import select, update
from werkzeug.serving import make_server

from tests.support.actors import World
from tests.support.product import ROOT
from tests.support.servers import free_port
from webapp.db.extensions import db
from webapp.models import Event, EventStatus, Photo, UploadToken, User
from webapp.queueing import unit_of_work
from webapp.services.erasure import event_erasure
from webapp.services.events import events
from webapp.services.uploads import upload_tokens
from webapp.watching import watch as watching
from webapp.watching.folder import kind_of, pair_key
from webapp.watching.manifest import InUseError, Manifest
from webapp.watching.saying import Voice
from webapp.watching.server import Server
from webapp.watching.watch import Options, Watch

UPLOAD = "/upload-photos"
Answer = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Door:
    """The app behind a door: counts what comes, and can answer in its place."""

    def __init__(self, app: Flask) -> None:
        self.uploads = 0
        self.instead: list[tuple[str, str, bytes]] = []
        """Answers to the next uploads: status, type, body."""
        self._app = app

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"].endswith(UPLOAD):
            self.uploads += 1
            if self.instead:
                status, kind, body = self.instead.pop(0)
                environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
                start(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
                return [body]
        return self._app(environ, start)


@contextmanager
def serving(door: Door, port: int) -> Iterator[None]:
    server = make_server("127.0.0.1", port, door, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Place:
    """An event with a token, a folder, and a server that can be asked to stand there or not."""

    def __init__(self, app: Flask, event_id: str, token: str, home: Path) -> None:
        self.app, self.event_id, self.token, self.home = app, event_id, token, home
        self.folder = home / "card"
        self.folder.mkdir()
        self.port = free_port()
        self.door = Door(app)
        self.said = io.StringIO()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def manifest(self) -> Manifest:
        return Manifest(self.home / "state" / "list.sqlite")

    def answered(self) -> int:
        """Pictures that the running program has an answer to."""
        file = self.home / "state" / "list.sqlite"
        if not file.exists():
            return 0
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as rows:
            return int(rows.execute("SELECT count(*) FROM picture").fetchone()[0])

    def watch(self, manifest: Manifest, **options: Any) -> Watch:
        stopped = threading.Event()
        wished = {"settle": 0.2, "once": True, "at_once": 3} | options
        server = Server(self.url, wished.pop("token", self.token), stopped)
        return Watch(
            self.folder,
            "party 234",
            server,
            manifest,
            options=Options(**wished),
            stopped=stopped,
            voice=Voice(self.said),
        )

    def once(self, **options: Any) -> int:
        with self.manifest() as manifest:
            return self.watch(manifest, **options).run()

    @contextmanager
    def for_ever(self, **options: Any) -> Iterator[Watch]:
        with self.manifest() as manifest:
            watcher = self.watch(manifest, once=False, **options)
            thread = threading.Thread(target=watcher.run)
            thread.start()
            try:
                yield watcher
            finally:
                watcher.stop()
                thread.join(20)
                assert not thread.is_alive()

    def photos(self) -> list[str]:
        with self.app.app_context():
            return sorted(db.session.scalars(select(Photo.filename)))

    def bytes_of(self, name: str) -> int:
        with self.app.app_context():
            return db.session.scalars(select(Photo.byte_size).where(Photo.filename == name)).one()

    def change(self, statement: Any) -> None:
        with self.app.app_context():
            db.session.execute(statement)
            db.session.commit()


@pytest.fixture
def place(app: Flask, world: World, tmp_path: Path) -> Place:
    event_id = world.event()
    with app.app_context(), unit_of_work():
        event = db.session.scalars(select(Event)).one()
        _, token = upload_tokens.create(event, event.memberships[0].user, "Laptop")
    return Place(app, event_id, token, tmp_path)


def picture(number: int, kind: str = "JPEG", size: tuple[int, int] = (64, 48)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (number % 256, number // 256, 90)).save(out, kind)
    return out.getvalue()


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_kinds_of_files() -> None:
    assert {kind_of(name) for name in ("a.JPG", "a.jpeg", "a.Png", "a.webp", "a.HEIC", "a.hif", "a.avif")} == {
        "picture"
    }
    assert {kind_of(name) for name in ("a.CR3", "a.nef", "a.dng")} == {"RAW"}
    assert [kind_of(name) for name in ("a.xmp", "a.mov", ".DS_Store", "._a.jpg", "Thumbs.db")] == [
        "sidecar",
        "video",
        "system",
        "system",
        "system",
    ]
    assert [kind_of(name) for name in ("a.jpg.part", "~a.jpg", "a.doc", "jpg")] == [
        "unfinished",
        "unfinished",
        "other",
        "other",
    ]


@pytest.mark.parametrize(
    ("raw", "picture", "pair"),
    [
        ("IMG_0001.CR3", "IMG_0001.jpg", True),
        ("DCIM/IMG_0001.CR3", "dcim/img_0001.JPG", True),
        ("CARD1/RAW/IMG_0001.CR3", "CARD1/JPG/IMG_0001.JPG", True),
        ("CARD1/raw files/IMG_0001.CR3", "CARD1/IMG_0001.JPG", True),
        ("CAM_A_RAW/IMG_0001.NEF", "CAM_A/IMG_0001.heic", True),
        ("CAM_A-NEF/IMG_0001.NEF", "CAM_A (JPEG)/IMG_0001.jpg", True),
        ("CAM_A/IMG_0001.CR3", "CAM_B/IMG_0001.JPG", False),
        ("CAM_A/RAW/IMG_0001.CR3", "CAM_B/JPG/IMG_0001.JPG", False),
        ("CAM_A_RAW/IMG_0001.CR3", "CAM_B_JPG/IMG_0001.JPG", False),
        ("100CANON/IMG_0001.CR3", "101CANON/IMG_0001.JPG", False),
        ("CAM_A/IMG_0001.CR3", "IMG_0001.JPG", False),
        ("RAW/IMG_0001.CR3", "JPG/IMG_0002.JPG", False),
    ],
)
def test_a_raw_file_and_its_jpeg_lie_in_one_folder_or_in_folders_of_one_camera(
    raw: str, picture: str, pair: bool
) -> None:
    assert (pair_key(raw) == pair_key(picture)) is pair


def test_every_raw_file_without_its_jpeg_is_named(place: Place) -> None:
    for folder in ("CAM_A/RAW", "CAM_A/JPG", "CAM_B"):
        (place.folder / folder).mkdir(parents=True)
    for name in ("CAM_A/JPG/IMG_0001.JPG", "CAM_B/IMG_0002.JPG"):
        (place.folder / name).write_bytes(picture(len(name)))
    for name in ("CAM_A/RAW/IMG_0001.CR3", "CAM_A/RAW/IMG_0002.CR3", "CAM_B/IMG_0001.CR3", "CAM_B/IMG_0002.CR3"):
        (place.folder / name).write_bytes(b"x")
    with serving(place.door, place.port):
        assert place.once() == 0
        said = place.said.getvalue().splitlines()
        assert [line for line in said if line.startswith("RAW without")] == [
            "RAW without its JPEG, not sent: CAM_A/RAW/IMG_0002.CR3",
            "RAW without its JPEG, not sent: CAM_B/IMG_0001.CR3",
        ]
        assert said[-1].startswith("Party: 2 sent, 4 set aside (4 RAW), 2 RAW without their JPEGs.")
        (place.folder / "CAM_B/IMG_0002.JPG").unlink()
        assert place.once() == 0
        assert "IMG_0002.CR3" not in place.said.getvalue().splitlines()[-2], "its JPEG was sent before it went"


def test_a_raw_file_is_given_time_for_its_jpeg_to_follow(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LONELY_AFTER", 3.0)
    (place.folder / "a.CR3").write_bytes(b"x")
    (place.folder / "b.CR3").write_bytes(b"x")
    with serving(place.door, place.port), place.for_ever():
        until(lambda: "2 RAW without" in place.said.getvalue())
        (place.folder / "a.jpg").write_bytes(picture(1))
        until(lambda: "not sent: b.CR3" in place.said.getvalue())
    assert "not sent: a.CR3" not in place.said.getvalue()


def test_everything_of_a_folder_is_sent_once_and_the_rest_is_counted(place: Place) -> None:
    deep = place.folder / "DCIM" / "100 été"
    deep.mkdir(parents=True)
    for number, name in enumerate(("a.jpg", "DCIM/b.JPEG", "DCIM/100 été/ç 📷.jpg")):
        (place.folder / name).write_bytes(picture(number))
    (deep / "d.png").write_bytes(picture(9, "PNG"))
    (deep / "e.webp").write_bytes(picture(10, "WEBP"))
    for name in ("a.CR3", "b.CR3", "a.xmp", "clip.mov", ".hidden.jpg", "f.jpg.tmp"):
        (place.folder / name).write_bytes(b"x")
    with serving(place.door, place.port):
        assert place.once() == 0
        assert place.photos() == sorted(["a.jpg", "b.JPEG", "ç 📷.jpg", "d.png", "e.webp"])
        last = place.said.getvalue().splitlines()[-1]
        kinds = "2 RAW, 1 sidecar, 1 system, 1 unfinished, 1 video"
        assert last.startswith(f"Party: 5 sent, 6 set aside ({kinds}), 1 RAW without its JPEG.")
        assert place.door.uploads == 5
        assert place.once() == 0  # a restart
        assert place.door.uploads == 5
        (place.folder / "a.jpg").rename(place.folder / "renamed.jpg")
        assert place.once() == 0
        assert place.door.uploads == 5


def test_what_is_refused_is_told_and_sent_again_only_when_it_changes(place: Place) -> None:
    (place.folder / "good.jpg").write_bytes(picture(1))
    (place.folder / "bad.jpg").write_bytes(b"no picture at all")
    with serving(place.door, place.port):
        assert place.once() == 1
        assert "Not taken: bad.jpg: This file is not a picture" in place.said.getvalue()
        assert place.once() == 1
        assert place.door.uploads == 2
        (place.folder / "bad.jpg").write_bytes(picture(2))
        assert place.once() == 0
        assert place.photos() == ["bad.jpg", "good.jpg"] and place.door.uploads == 3


def test_a_file_that_grows_and_one_that_is_renamed_are_sent_when_they_are_complete(place: Place) -> None:
    content = picture(3, size=(900, 700))
    with serving(place.door, place.port), place.for_ever(settle=0.5):
        with (place.folder / "slow.jpg").open("wb") as file:
            for start in range(0, len(content), len(content) // 8 + 1):
                file.write(content[start : start + len(content) // 8 + 1])
                file.flush()
                time.sleep(0.15)  # the camera's pace
        (place.folder / "moved.jpg.part").write_bytes(picture(4))
        (place.folder / "moved.jpg.part").rename(place.folder / "moved.jpg")
        (place.folder / "empty.jpg").touch()
        until(lambda: place.photos() == ["moved.jpg", "slow.jpg"])
    assert place.bytes_of("slow.jpg") == len(content)
    assert place.door.uploads == 2


def test_a_server_that_is_away_loses_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.watching.patience.FIRST_PAUSE", 0.02)
    monkeypatch.setattr(watching, "FIRST_HOLD", 0.02)
    for number in range(4):
        (place.folder / f"{number}.jpg").write_bytes(picture(number, size=(64 + number, 48)))
    html = b"<html>Please sign in to this network</html>"
    place.door.instead = [
        ("503 Service Unavailable", "application/json", b'{"code": "transient", "detail": "Later."}'),
        ("429 Too Many Requests", "text/plain", b""),
        ("200 OK", "text/html", html),
        ("302 Found", "text/html", html),
        ("502 Bad Gateway", "text/html", html),
        ("200 OK", "application/json", b'{"files": []}'),
    ]
    with place.for_ever():
        until(lambda: "can't be reached" in place.said.getvalue())
        assert "Nothing is lost" in place.said.getvalue() and place.photos() == []
        with serving(place.door, place.port):
            until(lambda: len(place.photos()) == 4)
            until(lambda: "4 sent" in place.said.getvalue().splitlines()[-1])
    said = place.said.getvalue()
    assert "busy or away (it answers 503)" in said and "something else than FindMe answers" in said
    assert place.photos() == [f"{number}.jpg" for number in range(4)]


def test_once_gives_up_on_a_server_that_stays_away(place: Place) -> None:
    (place.folder / "a.jpg").write_bytes(picture(1))
    assert place.once(patience=0.3) == 1
    assert "can't be reached" in place.said.getvalue()


@pytest.mark.parametrize("why", ["made up", "of another event", "revoked"])
def test_a_token_that_is_none_stops_it_with_a_sentence(place: Place, world: World, why: str) -> None:
    (place.folder / "a.jpg").write_bytes(picture(1))
    token = place.token
    if why == "made up":
        token = upload_tokens.PREFIX + "x" * 43
    elif why == "of another event":
        place.change(update(Event).values(code="OTHER234", code_key="OTHER234"))
    else:
        place.change(update(UploadToken).values(revoked_at=UploadToken.created_at))
    with serving(place.door, place.port):
        assert place.once(token=token) == 2
    said = place.said.getvalue()
    assert ("not for party 234" if why == "of another event" else "upload token is not valid") in said
    assert place.photos() == [] and place.door.uploads == 0


def test_a_closed_event_is_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "CLOSED_PAUSE", 0.1)
    monkeypatch.setattr("webapp.watching.patience.FIRST_PAUSE", 0.05)
    (place.folder / "a.jpg").write_bytes(picture(1))
    place.change(update(Event).values(status=EventStatus.CLOSED))
    with serving(place.door, place.port):
        assert place.once() == 1
        with place.for_ever():
            until(lambda: "The event is closed" in place.said.getvalue())
            assert place.photos() == []
            place.change(update(Event).values(status=EventStatus.OPEN))
            until(lambda: place.photos() == ["a.jpg"])


def test_a_folder_that_is_gone_for_a_while_is_waited_for(place: Place) -> None:
    away = place.home / "pulled out"
    (place.folder / "a.jpg").write_bytes(picture(1))
    with serving(place.door, place.port), place.for_ever():
        until(lambda: place.answered() == 1)  # and not only taken in: without the answer it would be sent again
        place.folder.rename(away)
        until(lambda: "The folder can't be read" in place.said.getvalue())
        (away / "b.jpg").write_bytes(picture(2))
        away.rename(place.folder)
        until(lambda: place.photos() == ["a.jpg", "b.jpg"])
    assert place.door.uploads == 2


def test_another_event_with_the_same_code_gets_every_picture(place: Place) -> None:
    """Somebody tries it out, deletes the event, and makes the real one with the code that is printed already."""
    (place.folder / "a.jpg").write_bytes(picture(1))
    with serving(place.door, place.port):
        assert place.once() == 0
        with place.app.app_context():
            with unit_of_work():
                event = db.session.scalars(select(Event)).one()
                owner, code = event.memberships[0].user.id, event.code
                event_erasure.erase_event(event, None)
            with unit_of_work():
                user = db.session.get_one(User, owner)
                event = events.create_event(user, name="The real one", date=date(2026, 7, 1), code=code)
                _, token = upload_tokens.create(event, user, "Laptop")
        assert place.photos() == []
        for _ in range(2):
            assert place.once(token=token) == 0
            assert place.photos() == ["a.jpg"] and place.door.uploads == 2


def test_names_that_are_no_text_or_would_move_the_cursor(place: Place) -> None:
    folder = os.fsencode(place.folder)
    Path(os.fsdecode(folder + b"/f\xe9te")).mkdir()
    for name, content in (
        (b"f\xe9te/\xff.jpg", picture(1)),
        (b"\x1b[2Jy\n.jpg", b"none"),
        (b'"; x="y.jpg', picture(2)),
    ):
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(content)
    with serving(place.door, place.port):
        for _ in range(2):
            assert place.once() == 1  # one is no picture
            assert place.photos() == ['"; x="y.jpg', "?.jpg"] and place.door.uploads == 3
    said = place.said.getvalue()
    assert "\x1b" not in said and "2 sent, 1 not taken" in said.splitlines()[-1]


def test_once_tries_the_last_picture_again_when_the_server_falters(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.watching.patience.FIRST_PAUSE", 0.02)
    monkeypatch.setattr(watching, "FIRST_HOLD", 0.02)
    (place.folder / "a.jpg").write_bytes(picture(1))
    place.door.instead = [("502 Bad Gateway", "text/html", b"")] * 6
    with serving(place.door, place.port):
        assert place.once(patience=20) == 0
    assert place.photos() == ["a.jpg"] and place.door.uploads == 7


def test_one_program_at_a_time_has_a_manifest(place: Place) -> None:
    with place.manifest(), pytest.raises(InUseError):
        place.manifest()
    place.manifest().__exit__(None, None, None)


def test_large_files_are_never_held_whole(place: Place) -> None:
    large = place.folder / "large.jpg"
    with large.open("wb") as file:
        file.write(picture(1))
        file.truncate(50 * 1024 * 1024)
    with serving(place.door, place.port):
        tracemalloc.start()
        try:
            place.once()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert place.door.uploads == 1
    assert peak < 12 * 1024 * 1024, f"{peak / 2**20:.0f} MiB"


def command(place: Place, *arguments: str, token: str | None = None) -> subprocess.Popen[str]:
    """The program as a photographer starts it."""
    env = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG", "TMPDIR")}
    env |= {"DATA_DIR": str(place.home / "laptop"), "FINDME_TOKEN": token or place.token, "FINDME_URL": place.url}
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "webapp.watching",
            str(place.folder),
            "--event",
            "PARTY234",
            "--settle",
            "0.2",
            *arguments,
        ],
        cwd=ROOT,
        env=env,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_ended_in_the_middle_and_started_again_nothing_is_lost_or_doubled(place: Place, how: signal.Signals) -> None:
    count = 60
    for number in range(count):
        (place.folder / f"{number:03}.jpg").write_bytes(picture(number, size=(64 + number, 48)))
    with serving(place.door, place.port):
        first = command(place)
        until(lambda: len(place.photos()) >= 5)
        first.send_signal(how)
        said = first.communicate(timeout=20)[1]
        assert first.returncode == (-how if how == signal.SIGKILL else 0), said
        (rows,) = (place.home / "laptop" / "watch").glob("*.sqlite")
        assert sqlite3.connect(rows).execute("PRAGMA integrity_check").fetchone() == ("ok",)
        before = place.door.uploads
        assert before < count
        second = command(place, "--once")
        said = second.communicate(timeout=60)[1]
        assert second.returncode == 0, said
        assert f"{count} sent" in said
    assert place.photos() == [f"{number:03}.jpg" for number in range(count)]
    assert place.door.uploads <= count + 4  # those that were under way


def test_beside_the_server_it_needs_no_token(place: Place) -> None:
    """`flask watch`, as ops start it on the server itself: its token ends with it."""
    settings = place.app.extensions["settings"]
    (place.folder / "a.jpg").write_bytes(picture(1))
    env = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG", "TMPDIR")}
    env |= {
        "DATA_DIR": str(settings.data_dir),
        "DATABASE_URL": settings.database_url,
        "SECRET_KEY": settings.secret_key.get_secret_value(),
        "ENVIRONMENT": "testing",
        "PORT": str(place.port),
    }
    watch = [
        sys.executable,
        "-m",
        "flask",
        "--app",
        "wsgi",
        "watch",
        str(place.folder),
        "--event",
        "party234",
        "--once",
    ]
    with serving(place.door, place.port):
        done = subprocess.run(watch, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        unknown = subprocess.run(
            [*watch[:-2], "NOTHING2"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
        )
        assert (
            unknown.returncode == 1 and "don't know this code" in unknown.stderr and "Traceback" not in unknown.stderr
        )
    assert place.photos() == ["a.jpg"]
    with place.app.app_context():
        assert [row.name for row in db.session.scalars(select(UploadToken))] == ["Laptop"]


def test_without_a_token_elsewhere_it_says_where_to_give_one(place: Place) -> None:
    env = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME")} | {"DATA_DIR": str(place.home)}
    done = subprocess.run(
        [sys.executable, "-m", "webapp.watching", str(place.folder), "--event", "PARTY234"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2 and "FINDME_TOKEN" in done.stderr
