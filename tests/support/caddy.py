"""A real Caddy with the shipped Caddyfile, its own CA and free ports, for tests."""

import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.built import address
from tests.support.product import ROOT
from tests.support.servers import free_port
from webapp.processes import die_with_parent

CADDYFILE = ROOT / "deploy" / "caddy" / "Caddyfile"
START_SECONDS = 20.0


def executable() -> str:
    """Return the path of Caddy: the variable CADDY, the PATH, or what `make test` brought. Skips without any."""
    brought = ROOT / ".venv" / "caddy"
    found = os.environ.get("CADDY") or shutil.which("caddy") or (str(brought) if brought.exists() else None)
    if not found:
        pytest.skip("there is no Caddy here, and none could be had: `make test` says so, too")
    return found


@dataclass
class Caddy:
    """A running Caddy."""

    port: int
    http_port: int
    folder: Path

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def root(self) -> Path:
        """The certificate of its CA, by which clients verify the site's."""
        return self.folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"

    @property
    def log(self) -> str:
        return (self.folder / "caddy.log").read_text()

    def connect(self, *, window: int | None = None) -> ssl.SSLSocket:
        """Open a TLS connection, verified by the CA; HTTP/1.1 is spoken on it."""
        plain = self.connect_plain(window=window)
        try:
            return ssl.create_default_context(cafile=str(self.root)).wrap_socket(plain, server_hostname="localhost")
        except OSError:
            plain.close()
            raise

    def connect_plain(self, *, window: int | None = None) -> socket.socket:
        """Open a TCP connection to the TLS port, without the handshake. `window` is the size of its receive buffer."""
        plain = socket.socket()
        if window is not None:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        plain.settimeout(START_SECONDS)
        try:
            plain.connect(("127.0.0.1", self.port))
        except OSError:
            plain.close()
            raise
        return plain

    @contextmanager
    def stalled(self, count: int) -> Iterator[int]:
        """Hold so many connections of each kind that stop half-way; yields how many these are together."""
        with ExitStack() as stack:
            for said in (b"", b"\x16\x03\x01\x02\x00\x01"):
                for _ in range(count):
                    stack.enter_context(self.connect_plain()).sendall(said)
            for said in _HALF_REQUESTS:
                for _ in range(count):
                    stack.enter_context(self.connect(window=2048)).sendall(said)
            yield count * (2 + len(_HALF_REQUESTS))


def _request(line: str, *headers: str) -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


_MULTIPART = "Content-Type: multipart/form-data; boundary=x"
_FORM = "Content-Type: application/x-www-form-urlencoded"
_HALF_REQUESTS = (
    b"POST /sig",
    _request("GET /sign-in")[:-2],
    _request("POST /sign-in", _FORM, "Content-Length: 100"),
    _request("POST /api/upload-selfie", _MULTIPART, "Content-Length: 5000000") + b"--x\r\n" + bytes(20_000),
    _request(f"GET {address('upload.js')}"),
)
"""Headers that stop, bodies that stop, and an answer that is not taken."""


@contextmanager
def running(folder: Path, upstream: str, *, port: int | None = None, **changes: str) -> Iterator[Caddy]:
    """Start Caddy in front of `upstream`, wait until it serves the site, and end it with the block.

    `changes` are further variables that the Caddyfile reads.
    """
    folder.mkdir(parents=True, exist_ok=True)
    caddy = Caddy(port or free_port(), free_port(), folder)
    parent = os.getpid()
    with (folder / "caddy.log").open("wb") as log:
        process = subprocess.Popen(
            [executable(), "run", "--adapter", "caddyfile", "--config", str(CADDYFILE)],
            env=environment(caddy, upstream) | changes,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,
            preexec_fn=lambda: die_with_parent(parent),  # noqa: PLW1509 - nothing is imported or locked
        )
    try:
        _wait_until_up(caddy, process)
        yield caddy
    finally:
        process.kill()
        process.wait()


def environment(caddy: Caddy, upstream: str) -> dict[str, str]:
    """Return the variables that the Caddyfile reads, and those that keep Caddy's own files in the folder."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(caddy.folder),
        "XDG_DATA_HOME": str(caddy.folder),
        "XDG_CONFIG_HOME": str(caddy.folder),
        "SITE_ADDRESS": "localhost",
        "UPSTREAM": upstream,
        "HTTP_PORT": str(caddy.http_port),
        "HTTPS_PORT": str(caddy.port),
    }


def _wait_until_up(caddy: Caddy, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            caddy.connect().close()
            return
        except OSError as error:
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError(f"Caddy did not start:\n{caddy.log[-4000:]}") from error
            time.sleep(0.05)
