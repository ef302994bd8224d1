"""One installation of `make run`: its folder, which one supervisor holds at a time, its port, and a note for others."""

import contextlib
import errno
import fcntl
import ipaddress
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from webapp import private_folder
from webapp.errors import ConfigurationError
from webapp.run import embedded_redis
from webapp.settings import Settings
from webapp.settings.secret_files import ensure_secret

# Browsers refuse to open these (NFS, SIP, X11, IRC and the like), whoever listens.
_REFUSED_BY_BROWSERS = {1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6697, 10080} | set(
    range(6665, 6670)
)
_PORTS_TRIED = 100
_ANY = ("", "0.0.0.0", "::")  # noqa: S104 - compared with


@dataclass(frozen=True)
class Installation:
    """What the supervisor runs: settings as they hold now, the open port, and what was chosen for this run."""

    settings: Settings
    listener: socket.socket
    owns_redis: bool
    redis_socket: Path
    notice: str

    @property
    def logs(self) -> Path:
        """Where each process writes."""
        return self.settings.data_dir / "logs"

    @property
    def local_url(self) -> str:
        """Where this machine reaches the web server."""
        host = self.settings.host
        host = "127.0.0.1" if host in _ANY else f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.settings.port}"

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the web server."""
        host = self.settings.host
        try:
            return host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    @property
    def mails_url(self) -> str:
        """Where a demo shows this machine its mails; empty where HOST is one address of a network."""
        return f"http://localhost:{self.settings.port}/dev/mail" if self.is_local or self.settings.host in _ANY else ""

    @property
    def is_demo(self) -> bool:
        """Whether this is a demo, with its helpers for developers; ENVIRONMENT=production never is."""
        return self.settings.demo and self.settings.environment == "development"

    def child_env(self) -> dict[str, str]:
        """The environment of the processes: ours, and over it what was chosen here. It is passed on, not read."""
        chosen = {
            "DATA_DIR": str(self.settings.data_dir),
            "PORT": str(self.settings.port),
            "PUBLIC_URL": self.settings.public_url,
            "REDIS_URL": self.settings.redis_url,
            # Always said, so that one which came in from outside counts for nothing.
            "STARTED_AS_DEMO": str(int(self.is_demo)),
            "PYTHONUNBUFFERED": "1",
        }
        return os.environ | chosen


@contextlib.contextmanager
def open_installation() -> Iterator[Installation]:
    """Take hold of DATA_DIR and of a port, and write down what `rq` and `flask` in another shell need to know.

    Raises:
        ConfigurationError: a setting can't be used, or DATA_DIR is in use.
    """
    data_dir = Settings.from_env().data_dir
    tightened = private_folder.claim(data_dir)
    with _hold(data_dir):
        private_folder.tighten_contents(data_dir)
        note = data_dir / "findme.env"
        note.unlink(missing_ok=True)  # what the last run chose is nobody's wish for this one
        wished = Settings.from_env()
        with contextlib.closing(_listen(wished.host, wished.port)) as listener:
            socket_path = embedded_redis.socket_path(data_dir)
            owns_redis = wished.redis_url == f"unix://{data_dir / 'redis.sock'}"
            port = int(listener.getsockname()[1])
            chosen = {
                "port": port,
                "public_url": wished.public_url or f"http://localhost:{port}",
                "redis_url": embedded_redis.url(socket_path) if owns_redis else wished.redis_url,
            }
            secret = wished.secret_key.get_secret_value() or ensure_secret(data_dir)
            kept = {"environment": "development", "secret_key": secret, "database_url": wished.database_url}
            _write(note, kept | chosen)
            (data_dir / "logs").mkdir(mode=0o700, exist_ok=True)
            moved = "" if port == wished.port else f"Port {wished.port} is taken, so this is port {port}."
            notice = "\n".join(filter(None, (tightened, moved)))
            # Read again, so that a wish for ENVIRONMENT counts more than what we wrote down.
            settings = Settings.from_env().model_copy(update=chosen)
            try:
                yield Installation(settings, listener, owns_redis, socket_path, notice)
            finally:
                embedded_redis.tidy(socket_path, data_dir)


@contextlib.contextmanager
def _hold(data_dir: Path) -> Iterator[None]:
    """Be the only one that runs on this folder; the kernel lets go of it when we end, in whatever way."""
    try:
        lock = os.fdopen(os.open(data_dir / ".lock", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600), "w")
    except OSError as error:
        raise ConfigurationError(
            f"DATA_DIR={data_dir} can't be written to ({error.strerror}). Name another."
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(
                f"FindMe is running already with DATA_DIR={data_dir}. Stop it, or give this one a DATA_DIR of its own."
            ) from error
        yield


def _listen(host: str, port: int) -> socket.socket:
    """An open port: the wished one or the next that is free. Open from here on, so that nobody takes it in between."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in range(port, min(port + _PORTS_TRIED, 65536)):
        if candidate in _REFUSED_BY_BROWSERS:
            continue
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            # A port of which old connections are still lingering counts as free.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, candidate))
            listener.listen(2048)
            return listener
        except PermissionError as error:
            listener.close()
            raise ConfigurationError(f"PORT={port} is for root alone. Take one above 1023.") from error
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE:
                raise ConfigurationError(f"HOST={host} PORT={port} can't be listened on: {error.strerror}.") from error
    raise ConfigurationError(f"No port from {port} to {port + _PORTS_TRIED - 1} is free. Set PORT.")


def _write(path: Path, values: dict[str, object]) -> None:
    """Write settings as a .env file that only its owner can read."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write("# Written by `make run` for `rq` and `flask` in other shells; the next run writes it anew.\n")
        for name, value in values.items():
            quoted = str(value).replace("\\", "\\\\").replace("'", "\\'")
            file.write(f"{name.upper()}='{quoted}'\n")
