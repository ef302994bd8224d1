"""How objects lie in a bucket (encrypted, with nobody's ACL), and that erased ones leave no version behind."""

import io
import os
import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cloud.s3_servers import S3Server, open_bucket
from webapp.errors import NotFound
from webapp.storage.s3 import PIECE, S3BlobStore


@pytest.fixture(scope="module", params=["moto", "seaweedfs"])
def server(request: pytest.FixtureRequest) -> S3Server:
    found: S3Server = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture(scope="module")
def bucket(server: S3Server) -> str:
    return server.make_bucket(f"store-{secrets.token_hex(4)}")


@pytest.fixture(scope="module")
def versioned(server: S3Server) -> str:
    return server.make_bucket(f"versions-{secrets.token_hex(4)}", versioned=True)


@pytest.fixture(scope="module")
def store(server: S3Server, bucket: str) -> S3BlobStore:
    return open_bucket(server, bucket)


# --- how objects lie there ---


@pytest.mark.parametrize("size", [10, PIECE + 10])
def test_objects_are_encrypted(server: S3Server, store: S3BlobStore, bucket: str, size: int) -> None:
    store.put("encrypted", io.BytesIO(bytes(size)))
    assert server.client().head_object(Bucket=bucket, Key="encrypted")["ServerSideEncryption"] == "AES256"


@pytest.mark.parametrize("size", [10, PIECE + 10])
def test_a_key_of_ours_encrypts_where_it_is_set(moto_server: S3Server, size: int) -> None:
    bucket = moto_server.make_bucket(f"kms-{secrets.token_hex(4)}")
    store = open_bucket(moto_server, bucket, s3_encryption="aws:kms", s3_kms_key_id="our-key")
    store.put("a", io.BytesIO(bytes(size)))
    head = moto_server.client().head_object(Bucket=bucket, Key="a")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", "our-key")


def test_stores_that_cannot_encrypt_are_not_asked_to(seaweedfs_server: S3Server) -> None:
    bucket = seaweedfs_server.make_bucket(f"plain-{secrets.token_hex(4)}")
    open_bucket(seaweedfs_server, bucket, s3_encryption="none").put("a", io.BytesIO(b"x"))
    assert "ServerSideEncryption" not in seaweedfs_server.client().head_object(Bucket=bucket, Key="a")


def test_no_object_gets_an_acl(server: S3Server, bucket: str) -> None:
    store = open_bucket(server, bucket)
    sent: list[tuple[str, str]] = []
    store._bucket.client.meta.events.register(
        "before-send.s3", lambda request, **_: sent.extend((request.url, name.lower()) for name in request.headers)
    )
    for size in (10, PIECE + 10):
        store.put("a", io.BytesIO(bytes(size)))
    store.direct_uploads.abort_upload(store.direct_uploads.begin_upload("b", "image/jpeg"))
    assert "x-amz-server-side-encryption" in {name for _, name in sent}
    assert [name for _, name in sent if name == "x-amz-acl" or name.startswith("x-amz-grant")] == []
    assert not [url for url, _ in sent if "?acl" in url or "&acl" in url]


# --- versions ---


def versions(server: S3Server, bucket: str, prefix: str) -> list[str]:
    """Keys of all versions and delete markers."""
    page = server.client().list_object_versions(Bucket=bucket, Prefix=prefix)
    return sorted(row["Key"] for row in [*page.get("Versions", ()), *page.get("DeleteMarkers", ())])


def keep_history(server: S3Server, store: S3BlobStore, bucket: str, *keys: str) -> None:
    """Two versions, a delete marker, and a version after that."""
    for key in keys:
        store.put(key, io.BytesIO(b"first"))
        store.put(key, io.BytesIO(b"second"))
        server.client().delete_object(Bucket=bucket, Key=key)
        store.put(key, io.BytesIO(b"third"))
    assert versions(server, bucket, keys[0]).count(keys[0]) == 4


def test_a_deleted_blob_has_no_versions_left(server: S3Server, versioned: str) -> None:
    store = open_bucket(server, versioned)
    keep_history(server, store, versioned, "one/a.jpg", "one/a.jpg.webp")
    store.delete("one/a.jpg")
    assert set(versions(server, versioned, "one/")) == {"one/a.jpg.webp"}
    with pytest.raises(NotFound):
        store.open("one/a.jpg")


def test_a_blob_that_was_only_hidden_is_erased_as_well(server: S3Server, versioned: str) -> None:
    store = open_bucket(server, versioned)
    store.put("hidden/a", io.BytesIO(b"x"))
    server.client().delete_object(Bucket=versioned, Key="hidden/a")
    assert list(store.keys("hidden/")) == []
    assert len(versions(server, versioned, "hidden/")) == 2
    store.delete("hidden/a")
    assert versions(server, versioned, "hidden/") == []


def test_nothing_is_left_below_a_prefix(server: S3Server, versioned: str) -> None:
    store = open_bucket(server, versioned)
    keep_history(server, store, versioned, "event/1/a", "event/1/b", "event/12/a")
    upload = store.direct_uploads.begin_upload("event/1/c", "image/jpeg")
    other = store.direct_uploads.begin_upload("event/12/c", "image/jpeg")
    store.delete_all("event/1/")
    assert set(versions(server, versioned, "event/1")) == {"event/12/a"}
    with pytest.raises(NotFound):
        store.direct_uploads.uploaded_parts(upload)
    assert store.direct_uploads.uploaded_parts(other) == []


def test_a_check_leaves_no_versions(server: S3Server, versioned: str) -> None:
    open_bucket(server, versioned).check()
    assert versions(server, versioned, "health/") == []


def test_long_lists_come_page_by_page(server: S3Server, versioned: str) -> None:
    store = open_bucket(server, versioned)
    # The server itself cuts its lists after two rows.
    for operation, name in (
        ("ListObjectsV2", "MaxKeys"),
        ("ListObjectVersions", "MaxKeys"),
        ("ListMultipartUploads", "MaxUploads"),
        ("ListParts", "MaxParts"),
    ):
        store._bucket.client.meta.events.register(
            f"provide-client-params.s3.{operation}", lambda params, name=name, **_: {**params, name: 2}
        )
    for number in range(5):
        store.put(f"many/{number}", io.BytesIO(b"1"))
        store.put(f"many/{number}", io.BytesIO(b"2"))
    assert list(store.keys("many/")) == [f"many/{number}" for number in range(5)]
    store.delete("many/3")
    assert set(versions(server, versioned, "many/")) == {f"many/{number}" for number in (0, 1, 2, 4)}
    uploads = [store.direct_uploads.begin_upload(f"many/up{number}", "image/jpeg") for number in range(5)]
    assert {upload.upload_id for upload, _ in store.direct_uploads.under_way("many/")} == {
        upload.upload_id for upload in uploads
    }
    for number in (1, 2, 3, 4, 5):
        store.direct_uploads.send_part(uploads[0], number, b"x")
    assert [part.number for part in store.direct_uploads.uploaded_parts(uploads[0])] == [1, 2, 3, 4, 5]
    store.delete_all("many/")
    assert versions(server, versioned, "many/") == []
    assert list(store.direct_uploads.under_way("many/")) == []


# --- one client a process ---


def test_threads_share_a_client_and_a_forked_process_makes_its_own(moto_server: S3Server) -> None:
    store = open_bucket(moto_server, moto_server.make_bucket(f"fork-{secrets.token_hex(4)}"))
    store.put("a", io.BytesIO(b"x"))
    with ThreadPoolExecutor(16) as pool:
        clients = set(pool.map(lambda _: id(store._bucket.client), range(64)))
    assert clients == {id(store._bucket.client)}
    ours = store._bucket.client
    child = os.fork()
    if child == 0:
        os._exit(0 if store._bucket.client is not ours and store.info("a").size == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store._bucket.client is ours
