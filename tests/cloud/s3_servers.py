"""S3 over real HTTP for tests: moto for speed and versions, SeaweedFS for strict signatures and expiry.

moto is up in about a second, but takes any key and any signature. SeaweedFS needs about eight seconds and refuses what
is unsigned, expired or changed. Both end with the process that started them.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import requests
from botocore.exceptions import BotoCoreError, ClientError

from tests.support.servers import free_port
from webapp import aws
from webapp.processes import die_with_parent
from webapp.settings import Settings
from webapp.storage.s3 import S3BlobStore

ACCESS_KEY = "AKIDFORTESTS"
SECRET_KEY = "a-secret-for-tests-only"


@dataclass(frozen=True)
class S3Server:
    """A running server."""

    name: str
    url: str

    @property
    def is_strict(self) -> bool:
        """Whether it checks who asks."""
        return self.name == "seaweedfs"

    def settings(self, bucket: str) -> dict[str, object]:
        """What an installation has to be told to keep its blobs here."""
        return {
            "blob_store": "s3",
            "s3_bucket": bucket,
            "s3_endpoint_url": self.url,
            "aws_region": "us-east-1",
            "aws_access_key_id": ACCESS_KEY,
            "aws_secret_access_key": SECRET_KEY,
        }

    def client(self) -> Any:
        """A client of boto, to look behind the store."""
        return aws.client(Settings(_env_file=None, **self.settings("none")), "s3", attempts=1)  # type: ignore[arg-type]

    def make_bucket(self, name: str, *, versioned: bool = False) -> str:
        """A new bucket; returns its name."""
        client = self.client()
        client.create_bucket(Bucket=name)
        if versioned:
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def bucket_of_process(self) -> str:
        """A bucket of this test process, without what an earlier test left in it; returns its name."""
        name, client = f"findme-tests-{os.getpid()}", self.client()
        try:
            client.create_bucket(Bucket=name)
        except (client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
            pass
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
            for entry in page.get("Contents", ()):
                client.delete_object(Bucket=name, Key=entry["Key"])
        for begun in client.list_multipart_uploads(Bucket=name).get("Uploads", ()):
            client.abort_multipart_upload(Bucket=name, Key=begun["Key"], UploadId=begun["UploadId"])
        return name

    def let_browsers_upload(self, bucket: str, origin: str) -> None:
        """The rule that docs/engines.md asks for."""
        rule = {
            "AllowedOrigins": [origin],
            "AllowedMethods": ["PUT"],
            "AllowedHeaders": ["content-type"],
            "ExposeHeaders": ["ETag"],
            "MaxAgeSeconds": 3600,
        }
        self.client().put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})


def open_bucket(server: S3Server, bucket: str, **changes: object) -> S3BlobStore:
    """A store that gives up at the first fault, so that tests don't wait for its retries."""
    settings = Settings(_env_file=None, **(server.settings(bucket) | changes))  # type: ignore[arg-type]
    return S3BlobStore(settings, attempts=1)


@contextmanager
def moto() -> Iterator[S3Server]:
    """The server of moto, in a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _running(command, {}) as is_alive:
        server = S3Server("moto", f"http://127.0.0.1:{port}")
        _wait(lambda: requests.get(f"{server.url}/moto-api/", timeout=1).ok, is_alive)
        yield server


@contextmanager
def seaweedfs() -> Iterator[S3Server]:
    """SeaweedFS with one identity; nobody else may do anything, and buckets don't make themselves."""
    ports = [free_port() for _ in range(8)]
    folder = Path(tempfile.mkdtemp(prefix="fm-s3-", dir="/tmp"))
    identity = {
        "name": "findme",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    try:
        # Encryption needs a key that the server can keep.
        with _running(_weed(folder, ports), {"WEED_S3_SSE_KEY": "for-tests-only"}) as is_alive:
            server = S3Server("seaweedfs", f"http://127.0.0.1:{ports[6]}")
            _wait(lambda: _takes_objects(server), is_alive)
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


Answer = Callable[[str, str], tuple[int, str]]
"""What a server says: method and path with query → status and body."""


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """The address of a server that says what it is told to say."""

    class Say(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def say(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, text = answer(self.command, self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text.encode())

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = say  # noqa: N815 - the base class calls them so

        def log_message(self, *_: object) -> None:
            pass

    with _listening(Say) as url:
        yield url


def refusal(status: int, code: str) -> Answer:
    """The same error for everybody."""
    return lambda method, path: (status, f"<Error><Code>{code}</Code><Message>No.</Message></Error>")


@contextmanager
def breaking_off() -> Iterator[str]:
    """The address of a server that promises an object and hangs up in the middle of it."""

    class BreakOff(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.send_header("ETag", '"1"')
            self.end_headers()
            self.wfile.write(b"x" * 1000)

        def log_message(self, *_: object) -> None:
            pass

    with _listening(BreakOff) as url:
        yield url


@contextmanager
def _listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def _running(command: list[str], env: dict[str, str]) -> Iterator[Callable[[], bool]]:
    """A process in a group of its own, for the length of a block; yields whether it is alive."""
    parent = os.getpid()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env=os.environ | env,
        process_group=0,
        preexec_fn=lambda: die_with_parent(parent),  # noqa: PLW1509 - no other thread starts anything here
    )
    try:
        yield lambda: process.poll() is None
    finally:
        process.kill()
        process.wait()


def _wait(is_up: Callable[[], bool], is_alive: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if is_up():
                return
        except (requests.RequestException, BotoCoreError, ClientError) as error:
            if not is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the S3 server did not come up") from error
        time.sleep(0.05)


def _takes_objects(server: S3Server) -> bool:
    """Its parts find each other one after the other; only when a volume is there it keeps anything."""
    client = server.client()
    if not any(bucket["Name"] == "warm-up" for bucket in client.list_buckets()["Buckets"]):
        client.create_bucket(Bucket="warm-up")
    client.put_object(Bucket="warm-up", Key="probe", Body=b"ok")
    return True


def _weed(folder: Path, ports: list[int]) -> list[str]:
    names = [f"{part}.port{kind}" for part in ("master", "volume", "filer", "s3") for kind in ("", ".grpc")]
    options: dict[str, object] = {
        "dir": folder,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        **dict(zip(names, ports, strict=True)),
        "master.electionTimeout": "1s",
        "master.heartbeatInterval": "100ms",
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": 64,
        # Each bucket takes a few of these; they hold nothing until they are needed.
        "volume.max": 500,
        "s3": "true",
        "s3.config": folder / "s3.json",
        "s3.iam": "false",
        "s3.autoCreateBucket": "false",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
    }
    program = Path(sys.executable).with_name("weed")
    return [str(program), "server", *(f"-{name}={value}" for name, value in options.items())]
