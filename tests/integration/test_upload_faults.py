"""Uploads through the whole product while something under it goes away: a web process, Redis, the room on the disk.

What somebody was told that we have is there, what they were told that we don't have can be sent again, and nothing has
to be started anew by hand.
"""

import base64
import hashlib
import io
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import psutil
import pytest
import requests
from PIL import Image
from redis import Redis
from redis.exceptions import ResponseError

from tests.chaos import points
from tests.chaos.points import until
from tests.support.actors import demo_photos
from tests.support.product import QUICK, Client, Product, photographer, running
from tests.support.servers import Valkey

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = TUS | {"Content-Type": "application/offset+octet-stream"}
SECONDS = 60
FEW = {"WORKERS": "1", "MATCHING_PROCESSES": "1"}
NO_ROOM = "There is no room left for pictures just now. Nothing else is lost"
AWAY = (requests.ConnectionError, requests.Timeout)


def large_picture(seed: int) -> bytes:
    """A JPEG of about 3 MB, each seed another one."""
    noise = np.random.default_rng(seed).integers(0, 256, (1200, 1600, 3), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(noise).save(target, "JPEG", quality=90)
    return target.getvalue()


@dataclass
class Place:
    """A running product with an event, and a photographer who sends files to it."""

    product: Product
    owner: Client
    event_id: str

    @classmethod
    def of(cls, product: Product) -> "Place":
        owner = photographer(product)
        event = owner.post("/photographer/events", json={"name": "Party", "date": "2026-06-20"})
        until(lambda: all(worker.children() for worker in product.workers()), SECONDS)
        return cls(product, owner, event["id"])

    @property
    def signed_in(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.owner.token}"}

    def send(self, name: str, content: bytes) -> requests.Response:
        """One file in one request."""
        address = f"{self.product.url}/api/photographer/events/{self.event_id}/upload-photos"
        return requests.post(address, files={"files": (name, content)}, headers=self.signed_in, timeout=60)

    def announce(self, name: str, length: int) -> requests.Response:
        """Begin a resumable upload."""
        words = f"filename {base64.b64encode(name.encode()).decode()}"
        headers = {**TUS, **self.signed_in, "Upload-Length": str(length), "Upload-Metadata": words}
        address = f"{self.product.url}/studio/events/{self.event_id}/files"
        return requests.post(address, headers=headers, timeout=SECONDS)

    def begin(self, name: str, length: int) -> str:
        """The same where nothing is in the way; where its bytes go."""
        answer = self.announce(name, length)
        assert answer.status_code == 201, answer.text
        return answer.headers["Location"]

    def head(self, path: str) -> requests.Response:
        return requests.head(self.product.url + path, headers=TUS | self.signed_in, timeout=SECONDS)

    def offset(self, path: str) -> int:
        """How far an upload is, as its sender is told once somebody answers."""
        found = -1

        def is_told() -> bool:
            nonlocal found
            try:
                answer = self.head(path)
            except AWAY:
                return False
            assert answer.status_code == 200
            found = int(answer.headers["Upload-Offset"])
            return True

        until(is_told, SECONDS)
        return found

    def patch(self, path: str, offset: int, body: bytes) -> requests.Response:
        headers = {**BYTES, **self.signed_in, "Upload-Offset": str(offset)}
        return requests.patch(self.product.url + path, data=body, headers=headers, timeout=SECONDS)

    def photos(self) -> list[tuple[Any, ...]]:
        """Name, status and hash of every photo, by name."""
        return self.product.rows("SELECT filename, status, sha256 FROM photo ORDER BY filename")

    def all_indexed(self, sent: dict[str, bytes], seconds: float = 90) -> None:
        """Wait until the photos are these files, no more and no fewer, and done; then look at what lies on the disk."""
        wanted = sorted((name, "indexed", hashlib.sha256(content).hexdigest()) for name, content in sent.items())
        try:
            until(lambda: self.photos() == wanted, seconds)
        finally:
            assert self.photos() == wanted
        originals = [path.read_bytes() for path in (self.product.data_dir / "blobs").rglob("original*")]
        assert sorted(originals) == sorted(sent.values())
        uploads = self.product.data_dir / "uploads"
        left = [path for place in (uploads, self.product.data_dir / "blobs" / ".incoming") for path in place.rglob("*")]
        assert [path for path in left if path.is_file()] == []

    def gunicorns(self) -> list[psutil.Process]:
        """The master, then the web processes that serve people."""
        found = [
            child
            for child in psutil.Process(self.product.process.pid).children(recursive=True)
            if any(word.endswith("gunicorn") for word in child.cmdline())
        ]
        return sorted(found, key=lambda child: child.ppid() != self.product.process.pid)


class Sending:
    """A request whose body comes in parts, as over a slow network."""

    def __init__(self, place: Place, path: str, offset: int, length: int) -> None:
        self._connection = HTTPConnection(urlsplit(place.product.url).netloc, timeout=SECONDS)
        self._connection.putrequest("PATCH", path)
        for name, value in (BYTES | place.signed_in | {"Upload-Offset": offset, "Content-Length": length}).items():
            self._connection.putheader(name, str(value))
        self._connection.endheaders()
        self.port = self._connection.sock.getsockname()[1]

    def add(self, part: bytes) -> None:
        self._connection.send(part)

    def is_lost(self) -> bool:
        """Whether the connection broke instead of bringing an answer."""
        try:
            self._connection.getresponse()
        except (OSError, HTTPException):
            return True
        finally:
            self._connection.close()
        return False


@pytest.fixture(scope="module")
def own_redis() -> Iterator[Valkey]:
    with points.own_redis() as server:
        yield server


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory, own_redis: Valkey) -> Iterator[Product]:
    data_dir = tmp_path_factory.mktemp("faults") / "data"
    with running(data_dir, REDIS_URL=own_redis.url, **QUICK) as product:
        yield product


@pytest.fixture(scope="module")
def place(product: Product) -> Place:
    return Place.of(product)


@pytest.fixture(scope="module")
def sent() -> dict[str, bytes]:
    """All files that the product was given so far: each test looks whether all of them are there."""
    return {}


@pytest.mark.parametrize("victim", ["the one that takes the file", "all of them with their master"])
def test_a_web_process_killed_in_the_middle_of_a_request(place: Place, sent: dict[str, bytes], victim: str) -> None:
    name, content = f"{victim}.jpg", large_picture(len(sent))
    dice, offset, workers = random.Random(7), 0, {worker.pid for worker in place.product.workers()}
    path = place.begin(name, len(content))
    for share in (0.3, 0.6):
        sending = Sending(place, path, offset, len(content) - offset)
        told = int(share * len(content)) + dice.randrange(100_000)
        sending.add(content[offset:told])
        until(lambda known=offset: place.offset(path) > known, SECONDS)
        master, *serving = place.gunicorns()
        takes = [one for one in serving if any(c.raddr and c.raddr.port == sending.port for c in one.net_connections())]
        assert len(takes) == 1
        (takes[0] if victim.startswith("the one") else master).send_signal(signal.SIGKILL)
        assert sending.is_lost()
        arrived = place.offset(path)
        assert offset < arrived <= told
        offset = arrived
    answer = place.patch(path, offset, content[offset:])
    assert (answer.status_code, answer.headers["FindMe-Status"]) == (204, "accepted")
    sent[name] = content
    place.all_indexed(sent)
    assert place.product.rows(f"SELECT status, received FROM upload WHERE filename = '{name}'") == [
        ("accepted", len(content))
    ]
    assert {worker.pid for worker in place.product.workers()} == workers


def test_redis_gone_while_files_come_is_not_felt_by_who_sends_them(
    place: Place, own_redis: Valkey, sent: dict[str, bytes]
) -> None:
    (name, content), (other, second) = demo_photos(2)
    workers = {worker.pid for worker in place.product.workers()}
    own_redis.process.kill()
    own_redis.process.wait()
    answer = place.send(name, content)
    assert (answer.status_code, answer.json()["files"][0]["status"]) == (200, "accepted")
    path = place.begin(other, len(second))
    answer = place.patch(path, 0, second)
    assert (answer.status_code, answer.headers["FindMe-Status"]) == (204, "accepted")
    assert {row[:2] for row in place.photos()} >= {(name, "uploaded"), (other, "uploaded")}
    points.restart_empty(own_redis, 0)
    sent |= {name: content, other: second}
    place.all_indexed(sent)
    assert {worker.pid for worker in place.product.workers()} == workers


@dataclass
class Disk:
    """A small disk that a test can fill to its last byte."""

    root: Path

    def fill(self, spare: int = 0) -> None:
        """Leave so many bytes of room, or none."""
        with (self.root / "filler").open("ab", buffering=0) as filler:
            for size in (2**20, 2**12):
                with suppress(OSError):
                    while True:
                        filler.write(b"x" * size)
            filler.truncate(filler.tell() - spare)

    def make_room(self) -> None:
        (self.root / "filler").unlink()


@pytest.fixture
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Disk]:
    """A real one: how many MiB, and where below the test's folder, the test says."""
    megabytes, place = request.param
    root = tmp_path / place
    root.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", root], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"only root may mount a small disk: {mounted.stderr.decode().strip()}")
    yield Disk(root)
    subprocess.run(["umount", "--lazy", root], check=True)


@pytest.mark.parametrize("disk", [(16, "data/blobs")], indirect=True)
def test_a_store_of_pictures_without_room(disk: Disk, tmp_path: Path) -> None:
    with running(tmp_path / "data", **QUICK, **FEW) as product:
        place, sent = Place.of(product), {name: large_picture(seed) for seed, name in enumerate(("a", "b", "c"))}
        workers = {worker.pid for worker in product.workers()}
        # There is room for the original alone. What a worker makes of it has none, and is put off.
        disk.fill(spare=len(sent["a"]) + 2**16)
        assert place.send("a", sent["a"]).json()["files"][0]["status"] == "accepted"
        product.wait("SELECT count(*) FROM photo WHERE status = 'uploaded' AND retry_at IS NOT NULL", 1)
        disk.fill()
        answer = place.send("b", sent["b"])
        assert (answer.status_code, answer.json()["code"]) == (503, "no_space")
        assert answer.json()["detail"].startswith(NO_ROOM)
        # What comes by tus has arrived, and waits to be taken in.
        path = place.begin("c", len(sent["c"]))
        answer = place.patch(path, 0, sent["c"])
        assert (answer.status_code, answer.headers["FindMe-Reason"]) == (503, "no_space")
        assert [row[0] for row in place.photos()] == ["a"]
        disk.make_room()
        assert place.head(path).headers["FindMe-Status"] == "accepted"
        assert place.send("b", sent["b"]).json()["files"][0]["status"] == "accepted"
        place.all_indexed(sent)
        assert {worker.pid for worker in product.workers()} == workers


@pytest.mark.parametrize("disk", [(96, "disk")], indirect=True)
def test_a_disk_that_is_full_to_its_last_byte(disk: Disk) -> None:
    # The face models take 38 MiB of it.
    with running(disk.root / "data", **QUICK, **FEW, UPLOAD_RESERVE_MB="0") as product:
        place, sent = Place.of(product), {"before.jpg": large_picture(1), "half.jpg": large_picture(2)}
        workers = {worker.pid for worker in product.workers()}
        half, arrived = sent["half.jpg"], len(sent["half.jpg"]) // 2
        path = place.begin("half.jpg", len(half))
        assert place.patch(path, 0, half[:arrived]).status_code == 204
        assert place.send("before.jpg", sent["before.jpg"]).status_code == 200
        # What is worked on at that moment can't be given back, and would wait until its lease has run out.
        product.wait("SELECT count(*) FROM photo WHERE status = 'indexed'", 1)
        # From here on neither pictures, nor rows, nor jobs, nor lines of the log have any room.
        until(lambda: disk.fill() or refuses_writes(product), SECONDS)
        sent["late.jpg"] = large_picture(3)
        # So long that every worker has looked for jobs, for rows that wait, and has wanted to say that it lives.
        until_everybody_noticed = time.monotonic() + 8
        while time.monotonic() < until_everybody_noticed:
            disk.fill()
            answer = place.send("late.jpg", sent["late.jpg"])
            assert (answer.status_code, answer.json()["code"]) == (503, "no_space")
            assert answer.json()["detail"].startswith(NO_ROOM)
            answer = place.patch(path, arrived, half[arrived:])
            assert (answer.status_code, answer.headers["FindMe-Reason"]) == (503, "no_space")
            assert unquote(answer.headers["FindMe-Detail"]).startswith(NO_ROOM)
            arrived = place.offset(path)
            # The database may still have a place for a row in what it has written before.
            answer = place.announce("none.jpg", 1000)
            assert answer.status_code == 201 or "Nothing" in unquote(answer.headers["FindMe-Detail"]), answer.text
        assert refuses_writes(product)
        disk.make_room()
        answer = place.patch(path, arrived, half[arrived:])
        assert (answer.status_code, answer.headers["FindMe-Status"]) == (204, "accepted")
        assert place.send("late.jpg", sent["late.jpg"]).status_code == 200
        place.all_indexed(sent)
        assert {worker.pid for worker in product.workers()} == workers


def refuses_writes(product: Product) -> bool:
    """Whether the product's Redis takes nothing any more, since it can't write it down."""
    lines = (product.data_dir / "findme.env").read_text().splitlines()
    named = dict(line.split("=", 1) for line in lines if "=" in line)
    try:
        Redis.from_url(named["REDIS_URL"].strip("'\"")).set("filler", "x" * 10_000, ex=300)
    except ResponseError:
        return True
    return False
