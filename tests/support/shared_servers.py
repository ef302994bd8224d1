"""Servers that all processes of a test run share: the process that deals the tests out starts each when first asked.

The address of its socket is in the environment, under ADDRESS.
"""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from multiprocessing.connection import Client, Listener
from pathlib import Path
from threading import Thread
from typing import Any

ADDRESS = "TEST_SERVERS"
_STOP = "stop"


def _postgresql() -> AbstractContextManager[Any]:
    from tests.support.servers import postgres

    return postgres()


def _moto() -> AbstractContextManager[Any]:
    from tests.cloud.s3_servers import moto

    return moto()


def _seaweedfs() -> AbstractContextManager[Any]:
    from tests.cloud.s3_servers import seaweedfs

    return seaweedfs()


_STARTS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "postgresql": _postgresql,
    "moto": _moto,
    "seaweedfs": _seaweedfs,
}


class SharedServers:
    """Starts servers for whoever asks at its socket, and ends them when it is closed."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "servers.sock")
        self._listener = Listener(self.address, "AF_UNIX")
        self._ending = ExitStack()
        self._running: dict[str, Any] = {}
        # The kernel ends each server with the thread that started it, so one thread starts all and lives on.
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End all servers."""
        ask(_STOP, self.address)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            with self._listener.accept() as line:
                name = line.recv()
                try:
                    line.send(self._answer(name))
                except Exception as error:
                    line.send(RuntimeError(f"{name}: {error}"))
                if name == _STOP:
                    return

    def _answer(self, name: str) -> Any:
        if name == _STOP:
            self._ending.close()
        elif name not in self._running:
            server = self._ending.enter_context(_STARTS[name]())
            self._running[name] = server.url if name == "postgresql" else server
        return self._running.get(name)


def ask(name: str, address: str | None = None) -> Any:
    """Start a server unless it runs; returns its S3Server, or the URL of PostgreSQL without a database.

    Raises:
        RuntimeError: it did not start; says why.
    """
    with Client(address or os.environ[ADDRESS], "AF_UNIX") as line:
        line.send(name)
        answer = line.recv()
    if isinstance(answer, RuntimeError):
        raise answer
    return answer
