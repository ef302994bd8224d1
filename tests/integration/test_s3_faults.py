"""When the S3 store is away, busy, broken or set up wrongly: what callers see, and that nothing is half done."""

import io
import secrets
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from flask import Flask

from tests.cloud import s3_servers
from tests.cloud.s3_servers import S3Server, open_bucket, refusal
from tests.support.actors import PASSWORD, World, photos_with
from tests.support.browsing import Browser, text
from tests.support.servers import free_port
from webapp.errors import Invalid, MissingRights, NotFound, Transient
from webapp.reasons import sentence
from webapp.services.core import alarms
from webapp.storage.s3 import PIECE, S3BlobStore

Call = Callable[[S3BlobStore], object]
CALLS: dict[str, Call] = {
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


def store_at(url: str, **changes: object) -> S3BlobStore:
    return open_bucket(S3Server("other", url), "photos", **changes)


@pytest.mark.parametrize("call", CALLS)
def test_a_store_that_is_away_is_transient(call: str) -> None:
    with pytest.raises(Transient) as caught:
        CALLS[call](store_at(f"http://127.0.0.1:{free_port()}"))
    assert (type(caught.value), caught.value.code) == (Transient, "storage_away")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("status", "word", "code"),
    [
        (503, "ServiceUnavailable", "storage_away"),
        (500, "InternalError", "storage_away"),
        (503, "SlowDown", "storage_busy"),
    ],
)
def test_a_store_in_trouble_is_transient(call: str, status: int, word: str, code: str) -> None:
    with s3_servers.answering(refusal(status, word)) as url, pytest.raises(Transient) as caught:
        CALLS[call](store_at(url))
    assert type(caught.value) is Transient
    # The answer to a HEAD has no words.
    assert caught.value.code in ((code, "storage_away") if call == "info" else (code,))


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("word", ["AccessDenied", "InvalidAccessKeyId", "AllAccessDisabled"])
def test_a_right_that_is_missing(call: str, word: str) -> None:
    with s3_servers.answering(refusal(403, word)) as url, pytest.raises(MissingRights) as caught:
        CALLS[call](store_at(url))
    assert caught.value.code == "storage_rights"


def test_no_keys_at_all_are_missing_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    store = store_at("http://127.0.0.1:1", aws_access_key_id="", aws_secret_access_key="")
    assert store.origin == "http://127.0.0.1:1/photos/"  # pages can be made all the same
    for call in (CALLS["put"], lambda store: store.url("a", content_type="image/jpeg")):
        with pytest.raises(MissingRights) as caught:
            call(store)
        assert caught.value.detail == "NoCredentialsError"


def test_a_connection_lost_in_the_middle_is_transient() -> None:
    with s3_servers.breaking_off() as url, pytest.raises(Transient) as caught:
        store_at(url).open("a")
    assert caught.value.code == "storage_away"


# --- batches that fail in part ---

TWO_VERSIONS = """<ListVersionsResult><IsTruncated>{truncated}</IsTruncated>
<Version><Key>events/1/a</Key><VersionId>v1</VersionId></Version>
<DeleteMarker><Key>events/1/a</Key><VersionId>v2</VersionId></DeleteMarker></ListVersionsResult>"""


def batch(code: str | None, truncated: bool = False) -> s3_servers.Answer:
    """A store whose batches succeed as a whole, and say of one version that it is still there."""
    fault = f"<Error><Key>events/1/a</Key><VersionId>v1</VersionId><Code>{code}</Code></Error>" if code else ""

    def answer(method: str, path: str) -> tuple[int, str]:
        if method == "POST":
            return 200, f"<DeleteResult>{fault}</DeleteResult>"
        if "uploads" in path:
            return 200, "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>"
        return 200, TWO_VERSIONS.format(truncated=str(truncated).lower())

    return answer


@pytest.mark.parametrize("call", ["events/1/a", "events/1/"])
@pytest.mark.parametrize(
    ("code", "kind"), [("AccessDenied", MissingRights), ("InternalError", Transient), ("SlowDown", Transient)]
)
def test_a_version_that_stays_is_told(call: str, code: str, kind: type[Transient]) -> None:
    with s3_servers.answering(batch(code)) as url, pytest.raises(kind) as caught:
        erase(store_at(url), call)
    assert type(caught.value) is kind
    assert code in caught.value.detail


@pytest.mark.parametrize("code", ["NoSuchKey", "NoSuchVersion", None])
def test_a_version_that_somebody_else_erased_is_no_fault(code: str | None) -> None:
    with s3_servers.answering(batch(code)) as url:
        erase(store_at(url), "events/1/a")
        erase(store_at(url), "events/1/")


def test_a_store_that_erases_nothing_is_not_asked_for_ever() -> None:
    with s3_servers.answering(batch(None, truncated=True)) as url, pytest.raises(Transient):
        erase(store_at(url), "events/1/")


def test_a_store_without_versions_erases_all_the_same() -> None:
    seen: list[str] = []

    def answer(method: str, path: str) -> tuple[int, str]:
        seen.append(f"{method} {path.partition('?')[2].partition('&')[0]}")
        if "versions" in path:
            return 501, "<Error><Code>NotImplemented</Code></Error>"
        if method == "POST":
            return 200, "<DeleteResult></DeleteResult>"
        contents = "<Contents><Key>a</Key></Contents><Contents><Key>a.jpg</Key></Contents>"
        return 200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"

    with s3_servers.answering(answer) as url:
        store_at(url).delete("a")
    assert seen == ["GET versions", "GET list-type=2", "POST delete"]


def erase(store: S3BlobStore, what: str) -> None:
    if what.endswith("/"):
        store.delete_all(what)
    else:
        store.delete(what)


# --- what people see ---


@pytest.fixture
def app(app: Flask, moto_server: S3Server) -> Flask:
    """An app whose blobs lie in a bucket; a test may take the bucket away."""
    bucket = moto_server.make_bucket(f"faults-{secrets.token_hex(4)}")
    app.extensions["blobs"] = open_bucket(moto_server, bucket)
    return app


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (refusal(503, "ServiceUnavailable"), "storage_away"),
        (refusal(404, "NoSuchBucket"), "storage_rights"),
        (refusal(403, "InvalidAccessKeyId"), "storage_rights"),
    ],
)
def test_a_photographer_reads_a_sentence_and_the_photo_is_taken_later(
    app: Flask, world: World, answer: s3_servers.Answer, code: str
) -> None:
    event_id = world.event()
    browser = Browser(app).sign_in("photographer@example.com", PASSWORD)
    ((name, content),) = photos_with("grace", 1)
    page = f"/studio/events/{event_id}"
    working = app.extensions["blobs"]

    def send() -> object:
        return browser.submit(f"{page}/photos", {"files": (io.BytesIO(content), name)}, page=page)

    with s3_servers.answering(answer) as url:
        app.extensions["blobs"] = store_at(url)
        refused = send()
    with app.test_request_context():
        assert sentence(code) in text(refused)
    for word in ("PutObject", "NoSuchBucket", "InvalidAccessKeyId", "AKID"):
        assert word not in text(refused)
    assert world.statuses() == {}
    with app.app_context():
        assert [alarm.name for alarm in alarms.open_alarms()] == [code] * (code == "storage_rights")
    app.extensions["blobs"] = working
    send()
    assert world.statuses() == {name: "uploaded"}
    with app.app_context():
        assert alarms.open_alarms() == []


def test_a_photo_waits_while_the_store_is_away(app: Flask, world: World) -> None:
    world.add_photos(world.event(), *photos_with("grace", 1))
    working = app.extensions["blobs"]
    app.extensions["blobs"] = store_at(f"http://127.0.0.1:{free_port()}")
    world.work()
    assert set(world.statuses().values()) == {"uploaded"}
    app.extensions["blobs"] = working
    with pytest.raises(NotFound):
        working.info("nothing")


def test_what_a_store_refuses_for_good_is_not_tried_again() -> None:
    with s3_servers.answering(refusal(400, "InvalidArgument")) as url, pytest.raises(Invalid) as caught:
        store_at(url).put("a", io.BytesIO(b"x"))
    assert caught.value.code == "storage_refused"
