"""Signed addresses: what they give, for how long, and that nobody gets anything without one."""

import io
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.cloud.s3_servers import S3Server, open_bucket
from webapp.aws import bucket_origin
from webapp.errors import MissingRights
from webapp.settings import Settings
from webapp.storage.blobs import BlobStore, Upload
from webapp.storage.s3 import PIECE, S3BlobStore

PICTURE = bytes(range(256)) * 8


@pytest.fixture(scope="module", params=["moto", "seaweedfs"])
def server(request: pytest.FixtureRequest) -> S3Server:
    found: S3Server = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture(scope="module")
def bucket(server: S3Server) -> str:
    return server.make_bucket(f"store-{secrets.token_hex(4)}")


@pytest.fixture(scope="module")
def store(server: S3Server, bucket: str) -> S3BlobStore:
    return open_bucket(server, bucket)


@pytest.fixture
def key(store: S3BlobStore) -> str:
    """A picture that is there."""
    key = f"events/{secrets.token_hex(6)}/preview.webp"
    store.put(key, io.BytesIO(PICTURE))
    return key


def until(condition: Callable[[], object], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


# --- signed addresses ---


def signed(store: BlobStore, key: str, **wanted: Any) -> str:
    address = store.url(key, content_type=wanted.pop("content_type", "image/webp"), **wanted)
    assert address is not None
    return address


def test_an_address_gives_the_picture_as_we_say_it_is(store: S3BlobStore, key: str) -> None:
    answer = requests.get(signed(store, key), timeout=10)
    assert (answer.status_code, answer.content) == (200, PICTURE)
    assert answer.headers["Content-Type"] == "image/webp"
    assert answer.headers["Content-Disposition"] == "inline"
    assert answer.headers["Cache-Control"] == "private, max-age=300"


def test_an_address_gives_ranges(store: S3BlobStore, key: str) -> None:
    answer = requests.get(signed(store, key), headers={"Range": "bytes=10-19"}, timeout=10)
    assert (answer.status_code, answer.content) == (206, PICTURE[10:20])
    assert answer.headers["Content-Range"] == f"bytes 10-19/{len(PICTURE)}"


@pytest.mark.parametrize(
    ("name", "plain", "encoded"),
    [
        ("Été à Zürich – 1.jpg", "Ete a Zurich  1.jpg", "%C3%89t%C3%A9%20%C3%A0%20Z%C3%BCrich%20%E2%80%93%201.jpg"),
        ("写真.jpg", ".jpg", "%E5%86%99%E7%9C%9F.jpg"),
        ('a"b\\c;d%41.jpg', "a_b_c_d_41.jpg", "a%22b%5Cc%3Bd%2541.jpg"),
        ("a\r\nSet-Cookie: x\x00.jpg", "aSet-Cookie: x.jpg", "aSet-Cookie%3A%20x.jpg"),
        ("…", "...", "%E2%80%A6"),
        ("\u200b", "photo", ""),
    ],
)
def test_a_download_keeps_its_name(store: S3BlobStore, key: str, name: str, plain: str, encoded: str) -> None:
    answer = requests.get(signed(store, key, download_name=name), timeout=10)
    assert answer.status_code == 200
    said = answer.headers["Content-Disposition"]
    assert said == f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"


def test_an_address_is_signed_the_new_way_for_as_long_as_is_set(server: S3Server, bucket: str) -> None:
    query = parse_qs(urlsplit(signed(open_bucket(server, bucket, s3_url_seconds=77), "a")).query)
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Expires"] == ["77"]


def test_addresses_lie_below_the_origin_that_pages_may_load_from(server: S3Server, store: S3BlobStore) -> None:
    assert store.origin is not None
    assert signed(store, "events/1/a.jpg").startswith(f"{store.origin}events/1/a.jpg?")
    assert store.direct_uploads.part_url(Upload("a", "1"), 1).startswith(f"{store.origin}a?")


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-3"])
@pytest.mark.parametrize("bucket", ["photos", "photos.example.com"])
def test_the_origin_at_amazon(region: str, bucket: str) -> None:
    settings = Settings(
        _env_file=None,
        blob_store="s3",
        s3_bucket=bucket,
        aws_region=region,
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )
    origin = bucket_origin(settings)
    # A certificate for *.s3.REGION.amazonaws.com holds for one more label only.
    wanted = f"s3.{region}.amazonaws.com/{bucket}/" if "." in bucket else f"{bucket}.s3.{region}.amazonaws.com/"
    assert origin == f"https://{wanted}"
    assert signed(S3BlobStore(settings), "a/b.jpg").startswith(f"{origin}a/b.jpg?")


# --- who may not ---


def is_refused(answer: requests.Response, secret: bytes = PICTURE) -> bool:
    return answer.status_code == 403 and secret not in answer.content


@pytest.fixture(scope="module")
def strict_store(seaweedfs_server: S3Server) -> S3BlobStore:
    bucket = seaweedfs_server.make_bucket(f"strict-{secrets.token_hex(4)}")
    return open_bucket(seaweedfs_server, bucket)


@pytest.fixture(scope="module")
def strict_key(strict_store: S3BlobStore) -> str:
    strict_store.put("events/1/preview.webp", io.BytesIO(PICTURE))
    return "events/1/preview.webp"


def test_nothing_is_public(seaweedfs_server: S3Server, strict_store: S3BlobStore, strict_key: str) -> None:
    plain = signed(strict_store, strict_key).partition("?")[0]
    for address in (plain, str(strict_store.origin), f"{strict_store.origin}?list-type=2", seaweedfs_server.url):
        assert is_refused(requests.get(address, timeout=10)), address
    for method in ("PUT", "DELETE", "HEAD"):
        assert requests.request(method, plain, timeout=10).status_code == 403


@pytest.mark.parametrize(
    ("this", "becomes"),
    [
        ("preview.webp?", "original.jpg?"),
        ("image%2Fwebp", "text%2Fhtml"),
        ("X-Amz-Expires=300", "X-Amz-Expires=3000"),
        ("response-content-disposition=inline", "response-content-disposition=attachment"),
        ("X-Amz-Signature=", "X-Amz-Signature=0"),
    ],
)
def test_a_changed_address_is_refused(strict_store: S3BlobStore, strict_key: str, this: str, becomes: str) -> None:
    strict_store.put("events/1/original.jpg", io.BytesIO(PICTURE))
    address = signed(strict_store, strict_key)
    assert this in address
    assert requests.get(address, timeout=10).status_code == 200
    assert is_refused(requests.get(address.replace(this, becomes), timeout=10))


def test_an_address_is_for_reading_alone(strict_store: S3BlobStore, strict_key: str) -> None:
    address = signed(strict_store, strict_key)
    for method in ("PUT", "DELETE", "POST"):
        assert requests.request(method, address, data=b"x", timeout=10).status_code in (400, 403, 405)
    assert strict_store.info(strict_key).size == len(PICTURE)


def test_an_address_is_good_for_its_time_only(strict_store: S3BlobStore, strict_key: str) -> None:
    soon_over = open_bucket_like(strict_store, seconds=2)
    address = signed(soon_over, strict_key)
    assert requests.get(address, timeout=10).status_code == 200
    until(lambda: is_refused(requests.get(address, timeout=10)))
    part = soon_over.direct_uploads.part_url(soon_over.direct_uploads.begin_upload("late", "image/jpeg"), 1)
    until(lambda: is_refused(requests.put(part, data=b"x", timeout=10)))


def open_bucket_like(store: S3BlobStore, *, seconds: int) -> S3BlobStore:
    """The same bucket, with addresses that live shorter than the settings allow."""
    again = S3BlobStore(store._bucket._settings, attempts=1)
    again._bucket.seconds = seconds
    return again


EVERYTHING: dict[str, Callable[[S3BlobStore], object]] = {
    "put": lambda store: store.put("a", io.BytesIO(b"x")),
    "put a large one": lambda store: store.put("a", io.BytesIO(bytes(PIECE + 1))),
    "open": lambda store: store.open("a"),
    "info": lambda store: store.info("a"),
    "delete": lambda store: store.delete("a"),
    "delete_all": lambda store: store.delete_all("events/1/"),
    "keys": lambda store: list(store.keys("events/")),
    "check": lambda store: store.check(),
    "begin_upload": lambda store: store.direct_uploads.begin_upload("a", "image/jpeg"),
    "abort_stale_uploads": lambda store: store.direct_uploads.abort_stale_uploads(datetime.now(UTC)),
}


@pytest.mark.parametrize("wrong", ["aws_access_key_id", "aws_secret_access_key"])
@pytest.mark.parametrize("call", EVERYTHING)
def test_wrong_keys_are_missing_rights(
    seaweedfs_server: S3Server, strict_store: S3BlobStore, call: str, wrong: str
) -> None:
    store = open_bucket(seaweedfs_server, strict_store.identity[3:], **{wrong: "AKIDWRONG"})
    with pytest.raises(MissingRights) as caught:
        EVERYTHING[call](store)
    assert caught.value.code == "storage_rights"
    assert caught.value.detail


@pytest.mark.parametrize("call", EVERYTHING)
def test_a_missing_bucket_is_missing_rights_and_named(server: S3Server, call: str) -> None:
    with pytest.raises(MissingRights) as caught:
        EVERYTHING[call](open_bucket(server, "nobody-made-this"))
    assert caught.value.code == "storage_rights"
    assert "NoSuchBucket" in caught.value.detail
