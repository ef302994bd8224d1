"""The store: can blobs be written, read and deleted, is it the installation's, and may browsers send to it."""

import io
import secrets
import time
from collections.abc import Iterator

import httpx
from sqlalchemy import select

from webapp import aws, storage
from webapp.errors import ConfigurationError, FindMeError, MissingRights
from webapp.models import InstallationFact
from webapp.ops import starting
from webapp.ops.doctor.findings import Context, Finding, fail, ok
from webapp.settings import Settings
from webapp.storage.blobs import PROBE, BlobStore

_STORE = "blob_store"
_SECONDS = 10.0
_ATTEMPTS = 2


def check_store(context: Context) -> Iterator[Finding]:
    """Write, read and delete a blob, and compare the store with the installation's."""
    settings = context.settings
    where = _where(settings)
    try:
        store = storage.open_store(settings, attempts=_ATTEMPTS)
        times = _round_trip(store)
    except (FindMeError, OSError) as error:
        yield fail("store", f"{where}: {_step(error)}.", _mend(settings, error))
        return
    if theirs := _of_installation(context, store.identity):
        yield fail(
            "store",
            f"{where} is not the store of this installation ({theirs}): photos that others stored would not be found.",
            "All processes need the same bucket, or one shared folder as DATA_DIR/blobs. If the photos were moved on "
            "purpose: flask --app wsgi findme adopt-store",
        )
        return
    yield ok("store", f"{where}: {times}")


def check_browser_uploads(context: Context) -> Iterator[Finding]:
    """Ask the bucket what a browser asks it before it sends photos there (CORS)."""
    settings = context.settings
    if settings.blob_store != "s3" or not settings.public_url:
        return
    asks = {
        "Origin": settings.public_url,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type",
    }
    try:
        answer = httpx.options(f"{aws.bucket_origin(settings)}{PROBE}", headers=asks, timeout=_SECONDS)
    except httpx.HTTPError as error:
        yield fail("browser uploads", f"The bucket can't be asked: {starting.one_line(error)}.", "See the line above.")
        return
    allowed = answer.headers.get("access-control-allow-origin", "")
    if answer.is_success and allowed in ("*", settings.public_url):
        yield ok("browser uploads", f"the bucket takes photos from pages of {allowed}")
        return
    yield fail(
        "browser uploads",
        f"The bucket takes no photos from pages of {settings.public_url} (CORS, status {answer.status_code}): the "
        "upload page can send nothing.",
        "Give the bucket the rule of deploy/aws/bucket-cors.json.",
    )


def _where(settings: Settings) -> str:
    if settings.blob_store == "local":
        return f"the folder {settings.blobs_dir}"
    return f"the bucket {settings.s3_bucket}" + (f" at {settings.s3_endpoint_url}" if settings.s3_endpoint_url else "")


def _round_trip(store: BlobStore) -> str:
    """Store, read and remove 100 kB; returns how long each took."""
    key, content, times = f"{PROBE}-{secrets.token_hex(8)}", secrets.token_bytes(100_000), []

    def timed(name: str, begun: float) -> None:
        times.append(f"{name} {(time.perf_counter() - begun) * 1000:.0f} ms")

    begun = time.perf_counter()
    store.put(key, io.BytesIO(content))
    timed("write", begun)
    try:
        begun = time.perf_counter()
        with store.open(key) as stream:
            whole = stream.read() == content
        timed("read", begun)
    finally:
        begun = time.perf_counter()
        store.delete(key)
        timed("delete", begun)
    if not whole:
        raise OSError("what was read is not what was written")
    return ", ".join(times)


def _of_installation(context: Context, ours: str) -> str:
    """Return the store that the installation uses, where it is not ours."""
    if context.missing & {"database", "tables"}:
        return ""
    with context.engine.connect() as connection:
        theirs = connection.scalar(select(InstallationFact.value).where(InstallationFact.name == _STORE))
    return str(theirs) if theirs and theirs != ours else ""


def _step(error: Exception) -> str:
    detail = starting.one_line(error)
    return f"{detail} ({error.code})" if isinstance(error, FindMeError) else detail


def _mend(settings: Settings, error: Exception) -> str:
    if isinstance(error, ConfigurationError):
        return "Mend the setting that is named."
    if isinstance(error, MissingRights):
        return "Mend keys, bucket or policy: deploy/aws/iam-policy.json has the rights that are needed."
    if settings.blob_store == "s3":
        return "Look whether the bucket's address can be reached from here. Photos wait until it is back."
    return "Make room, or give the user that FindMe runs as the right to write there."
