"""Uploads that go from a browser to the store in parts: resumed, finished, aborted, and swept when they are stale."""

import io
import secrets
from datetime import UTC, datetime, timedelta

import pytest
import requests

from tests.cloud.s3_servers import S3Server, open_bucket
from webapp.errors import Invalid, NotFound
from webapp.storage.blobs import Part, Upload
from webapp.storage.s3 import PIECE, S3BlobStore
from webapp.storage.s3_uploads import S3Uploads

PARTS = (b"a" * 5 * 1024 * 1024, b"b" * 1000)


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
def direct(store: S3BlobStore) -> S3Uploads:
    return store.direct_uploads


def send(direct: S3Uploads, upload: Upload, number: int) -> None:
    """As a browser does it: with the address and nothing else."""
    answer = requests.put(direct.part_url(upload, number), data=PARTS[number - 1], timeout=10)
    assert answer.status_code == 200, answer.text
    assert answer.headers["ETag"]


def test_an_interrupted_upload_goes_on_where_it_was(server: S3Server, bucket: str, store: S3BlobStore) -> None:
    direct = store.direct_uploads
    upload = direct.begin_upload("direct/a", "image/jpeg")
    send(direct, upload, 1)
    # Another process, after a restart.
    later = open_bucket(server, bucket).direct_uploads
    assert [(part.number, part.size) for part in later.uploaded_parts(upload)] == [(1, len(PARTS[0]))]
    assert "direct/a" not in set(store.keys("direct/"))
    send(later, upload, 2)
    info = later.finish_upload(upload, later.uploaded_parts(upload))
    assert info.size == sum(map(len, PARTS))
    with store.open("direct/a") as stream:
        assert stream.read() == b"".join(PARTS)
    assert server.client().head_object(Bucket=bucket, Key="direct/a")["ServerSideEncryption"] == "AES256"


def test_finishing_twice_is_no_error(direct: S3Uploads) -> None:
    upload = direct.begin_upload("direct/twice", "image/jpeg")
    send(direct, upload, 1)
    parts = direct.uploaded_parts(upload)
    assert direct.finish_upload(upload, parts) == direct.finish_upload(upload, parts)


def test_a_part_that_never_came_can_not_be_finished_with(direct: S3Uploads, store: S3BlobStore) -> None:
    upload = direct.begin_upload("direct/lies", "image/jpeg")
    send(direct, upload, 1)
    (part,) = direct.uploaded_parts(upload)
    for lie in ([part, Part(2, '"00000000000000000000000000000000"', 9)], [Part(1, '"wrong"', part.size)]):
        with pytest.raises(Invalid) as caught:
            direct.finish_upload(upload, lie)
        assert caught.value.code == "storage_refused"
    assert "direct/lies" not in set(store.keys("direct/"))
    direct.abort_upload(upload)


def test_an_aborted_upload_is_gone(server: S3Server, direct: S3Uploads, store: S3BlobStore) -> None:
    upload = direct.begin_upload("direct/gone", "image/jpeg")
    send(direct, upload, 1)
    parts = direct.uploaded_parts(upload)
    direct.abort_upload(upload)
    direct.abort_upload(upload)
    with pytest.raises(NotFound) as asked:
        direct.uploaded_parts(upload)
    assert asked.value.code == "upload_missing"
    if server.is_strict:  # moto answers 500 here
        with pytest.raises(NotFound) as finished:
            direct.finish_upload(upload, parts)
        assert finished.value.code == "upload_missing"
    assert "direct/gone" not in set(store.keys("direct/"))


def test_only_stale_uploads_are_thrown_away(server: S3Server) -> None:
    store = open_bucket(server, server.make_bucket(f"stale-{secrets.token_hex(4)}"))
    direct = store.direct_uploads
    store.put("done", io.BytesIO(bytes(PIECE + 1)))
    uploads = [direct.begin_upload(f"events/{number}", "image/jpeg") for number in range(3)]
    now = datetime.now(UTC)
    if server.is_strict:  # for moto every upload was begun in 2010
        assert direct.abort_stale_uploads(now - timedelta(hours=1)) == 0
    assert all(direct.uploaded_parts(upload) == [] for upload in uploads)
    assert direct.abort_stale_uploads(now + timedelta(hours=1)) == 3
    assert list(direct.under_way()) == []
    assert list(store.keys("")) == ["done"]
