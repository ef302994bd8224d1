"""What every blob store does, whichever it is: local files, and S3 as two servers understand it."""

import io
import secrets
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cloud.s3_servers import S3Server
from webapp.errors import FindMeError, NotFound
from webapp.settings import Settings
from webapp.storage import open_store
from webapp.storage.blobs import PROBE, BlobStore
from webapp.storage.local import LocalBlobStore
from webapp.storage.partials import PartialFiles
from webapp.storage.s3 import PIECE, S3BlobStore

MEGABYTE = 1024 * 1024
LARGE = secrets.token_bytes(20 * MEGABYTE + 12_345)
STORES = ("local", "moto", "moto-versioned", "seaweedfs", "seaweedfs-versioned")


@dataclass(frozen=True)
class Place:
    """A store, and the part of it that is this test's own."""

    store: BlobStore
    prefix: str

    def key(self, name: str) -> str:
        return self.prefix + name

    def put(self, name: str, content: bytes = b"x") -> str:
        self.store.put(self.key(name), io.BytesIO(content))
        return self.key(name)

    def get(self, name: str) -> bytes:
        with self.store.open(self.key(name)) as stream:
            return stream.read()

    def names(self) -> set[str]:
        return {key.removeprefix(self.prefix) for key in self.store.keys(self.prefix)}


@pytest.fixture(scope="module", params=STORES)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> BlobStore:
    name, _, versioned = request.param.partition("-")
    if name == "local":
        return LocalBlobStore(tmp_path_factory.mktemp("blobs"))
    server: S3Server = request.getfixturevalue(f"{name}_server")
    bucket = server.make_bucket(f"contract-{secrets.token_hex(4)}", versioned=bool(versioned))
    return open_store(Settings(_env_file=None, **server.settings(bucket)))


@pytest.fixture
def place(store: BlobStore) -> Place:
    return Place(store, f"events/{secrets.token_hex(6)}/")


class Slowly(io.RawIOBase):
    """A source that yields less than it is asked for, as a network does, and may break at some byte."""

    def __init__(self, content: bytes, breaks_at: int | None = None) -> None:
        self._inner = io.BytesIO(content)
        self._breaks_at = breaks_at

    def read(self, size: int = -1, /) -> bytes:
        if self._breaks_at is not None and self._inner.tell() >= self._breaks_at:
            raise ConnectionResetError("the sender has gone")
        return self._inner.read(min(size, 1_000_003) if size >= 0 else 1_000_003)


# --- keeping and giving back ---


def test_what_is_put_comes_back(place: Place) -> None:
    info = place.store.put(place.key("a.jpg"), io.BytesIO(b"0123456789"))
    assert (info.key, info.size) == (place.key("a.jpg"), 10) and info.etag
    assert place.store.info(place.key("a.jpg")) == info
    assert place.get("a.jpg") == b"0123456789"


def test_a_stream_can_be_sought_in(place: Place) -> None:
    with place.store.open(place.put("a.jpg", b"0123456789")) as stream:
        assert stream.seekable() and stream.readable()
        assert stream.seek(-3, io.SEEK_END) == 7
        assert stream.read() == b"789"
        stream.seek(2)
        assert (stream.read(3), stream.tell()) == (b"234", 5)


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, len(LARGE)])
def test_blobs_of_every_size(place: Place, size: int) -> None:
    assert place.store.put(place.key("blob"), Slowly(LARGE[:size])).size == size
    assert place.get("blob") == LARGE[:size]


def test_the_source_is_left_open_where_it_ended(place: Place) -> None:
    for content in (b"small", LARGE):
        source = io.BytesIO(content)
        place.store.put(place.key("blob"), source)
        assert source.tell() == len(content)


def test_a_later_put_replaces(place: Place) -> None:
    before = place.store.put(place.key("a"), io.BytesIO(LARGE))
    after = place.store.put(place.key("a"), io.BytesIO(b"new"))
    assert before.etag != after.etag
    assert place.get("a") == b"new"


@pytest.mark.parametrize("breaks_at", [0, MEGABYTE, PIECE, PIECE + MEGABYTE])
def test_all_or_nothing(place: Place, breaks_at: int) -> None:
    place.put("kept", b"as it was")
    for name in ("kept", "new"):
        with pytest.raises((ConnectionResetError, FindMeError)):
            place.store.put(place.key(name), Slowly(LARGE, breaks_at))
    assert place.names() == {"kept"}
    assert place.get("kept") == b"as it was"
    if isinstance(place.store, S3BlobStore):
        assert list(place.store.direct_uploads.under_way(place.prefix)) == []


def test_puts_at_the_same_time_end_in_one_of_them(place: Place) -> None:
    contents = [bytes([number]) * (PIECE + number) if number % 2 else bytes([number]) * 1000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: place.put("same", content), contents))
    assert place.get("same") in contents
    assert place.names() == {"same"}


def test_what_is_not_there_is_missing(place: Place) -> None:
    for ask in (place.store.open, place.store.info):
        with pytest.raises(NotFound) as caught:
            ask(place.key("nothing"))
        assert caught.value.code == "blob_missing"
    assert place.names() == set()


# --- finding and removing ---


def test_keys_by_their_beginning(place: Place) -> None:
    for name in ("photos/1/original.jpg", "photos/1/preview.webp", "photos/10/preview.webp", "selfies/1/original.png"):
        place.put(name)
    assert set(place.store.keys(place.key("photos/1/"))) == {
        place.key("photos/1/original.jpg"),
        place.key("photos/1/preview.webp"),
    }
    assert len(set(place.store.keys(place.key("photos/1")))) == 3
    assert len(place.names()) == 4


def test_deleting_one_leaves_the_others(place: Place) -> None:
    for name in ("a", "a.jpg", "a.jpg.webp", "b"):
        place.put(name)
    place.store.delete(place.key("a.jpg"))
    assert place.names() == {"a", "a.jpg.webp", "b"}
    place.store.delete(place.key("a.jpg"))
    place.store.delete(place.key("a"))
    assert place.names() == {"a.jpg.webp", "b"}


def test_deleting_all_below_a_prefix(place: Place) -> None:
    for name in ("one/a", "one/deep/b", "one/deep/c", "one2/a", "on"):
        place.put(name)
    place.store.delete_all(place.key("one/"))
    assert place.names() == {"one2/a", "on"}
    place.store.delete_all(place.key("one/"))


@pytest.mark.parametrize("prefix", ["", "events/1"])
def test_a_prefix_that_may_mean_more_is_refused(place: Place, prefix: str) -> None:
    place.put("kept")
    with pytest.raises(ValueError, match="more than was meant"):
        place.store.delete_all(prefix)
    assert place.names() == {"kept"}


def test_a_check_leaves_nothing_behind(place: Place) -> None:
    place.store.check()
    assert PROBE not in set(place.store.keys("health/"))


# --- which one it is ---


def test_the_same_store_says_the_same_of_itself(place: Place) -> None:
    assert place.store.identity == place.store.identity
    assert place.store.identity.partition(":")[0] in ("local", "s3")
    assert place.names() == set()


def test_a_folder_has_one_id_whoever_asks_first(tmp_path: Path) -> None:
    stores = [LocalBlobStore(tmp_path / "blobs") for _ in range(16)]
    start = threading.Barrier(16)

    def ask(store: LocalBlobStore) -> str:
        start.wait()
        return store.identity

    with ThreadPoolExecutor(16) as pool:
        ids = set(pool.map(ask, stores))
    assert len(ids) == 1
    assert list(stores[0].keys("")) == []
    (tmp_path / "blobs").rename(tmp_path / "moved")
    assert LocalBlobStore(tmp_path / "moved").identity == ids.pop()
    assert LocalBlobStore(tmp_path / "other").identity != LocalBlobStore(tmp_path / "moved").identity


def test_folders_go_with_their_last_file(tmp_path: Path) -> None:
    root = tmp_path / "blobs"
    store = LocalBlobStore(root)
    for key in ("events/e/selfies/s/original.jpg", "events/e/selfies/t/original.jpg", "events/e/photos/p/a.webp"):
        store.put(key, io.BytesIO(b"x"))
    store.delete("events/e/selfies/s/original.jpg")
    assert folders_below(root) == {"events", "events/e", "events/e/selfies", "events/e/selfies/t"} | {
        "events/e/photos",
        "events/e/photos/p",
    }
    store.delete_all("events/e/photos/p/")
    assert folders_below(root) == {"events", "events/e", "events/e/selfies", "events/e/selfies/t"}
    store.delete_all("events/e/")
    assert folders_below(root) == set()


def test_folders_of_uploads_go_with_their_last_file(tmp_path: Path) -> None:
    partials = PartialFiles(tmp_path)
    partials.append("events/e/uploads/u", 0, b"x")
    partials.append("events/f/uploads/u", 0, b"x")
    partials.delete("events/e/uploads/u")
    assert folders_below(tmp_path) == {"events", "events/f", "events/f/uploads"}
    partials.delete_all("events/f/")
    assert folders_below(tmp_path) == set()


def test_a_folder_that_just_goes_fails_no_file_that_just_comes(tmp_path: Path) -> None:
    store, partials = LocalBlobStore(tmp_path / "blobs"), PartialFiles(tmp_path / "partials")

    def come_and_go(number: int) -> None:
        for _ in range(300):
            store.put(f"events/e/selfies/{number % 2}/{number}", io.BytesIO(b"x"))
            store.delete(f"events/e/selfies/{number % 2}/{number}")
            partials.append(f"events/e/uploads/{number}", 0, b"x")
            partials.delete(f"events/e/uploads/{number}")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(come_and_go, range(6)))
    assert list(store.keys("events/")) == []


def test_two_that_remove_the_same_folder_leave_nothing_of_it(tmp_path: Path) -> None:
    store = LocalBlobStore(tmp_path)
    for _ in range(20):
        for number in range(20):
            store.put(f"events/e/photos/{number}/a", io.BytesIO(b"x"))
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: store.delete_all("events/e/"), range(4)))
        assert list(store.keys("events/")) == []


def folders_below(root: Path) -> set[str]:
    found = (path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_dir())
    return {name for name in found if name != ".incoming"}


def test_a_key_never_leaves_the_folder(tmp_path: Path) -> None:
    store = LocalBlobStore(tmp_path / "blobs")
    (tmp_path / "secret").write_bytes(b"x")
    for key in ("../secret", "a/../../secret", str(tmp_path / "secret"), "", "."):
        with pytest.raises(NotFound):
            store.open(key)


# --- memory ---


class Endless(io.RawIOBase):
    """A source that makes its bytes as they are read."""

    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, size: int = -1, /) -> bytes:
        count = min(size, self._left)
        self._left -= count
        return bytes(count)


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def test_a_large_blob_is_never_held_whole(place: Place, traced: None) -> None:
    place.store.put(place.key("warm"), io.BytesIO(b"x"))  # the SDK loads its data at the first call
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    place.store.put(place.key("large"), Endless(60 * MEGABYTE))
    with place.store.open(place.key("large")) as stream:
        assert sum(len(piece) for piece in iter(lambda: stream.read(MEGABYTE), b"")) == 60 * MEGABYTE
    assert tracemalloc.get_traced_memory()[1] - before < 3.5 * PIECE
