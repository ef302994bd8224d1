"""A process that the supervisor keeps alive: started in a group of its own, tied to the supervisor's life, logged."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from webapp.processes import die_with_parent

LARGEST_LOG = 20 * 1024 * 1024
_WORTH_SHOWING = re.compile(r"\b(warning|error|critical|traceback)\b", re.IGNORECASE)
_SHORTEST_LIFE = 5.0

# Where the kernel does not end children with their parent, this does: it reads the groups that live from its standard
# input, and ends them when the other end of that pipe is gone.
_GUARD = """
import os, signal, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
alive = set()
for line in sys.stdin:
    number = int(line)
    alive.add(number) if number > 0 else alive.discard(-number)
for group in alive:
    try: os.killpg(group, signal.SIGKILL)
    except OSError: pass
"""


class Guard:
    """Ends what is left when the supervisor is gone; idle on Linux, whose kernel does it."""

    def __init__(self, *, needed: bool = sys.platform != "linux") -> None:
        self._process: subprocess.Popen[str] | None = None
        if needed:
            command = [sys.executable, "-I", "-c", _GUARD]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, process_group=0)

    def tell(self, number: int) -> None:
        """A group that lives, or with a minus one that has ended."""
        if self._process and self._process.stdin:
            with contextlib.suppress(OSError):
                self._process.stdin.write(f"{number}\n")
                self._process.stdin.flush()

    def close(self) -> None:
        """It is not needed any more."""
        if self._process and self._process.stdin:
            self._process.stdin.close()
            self._process.wait()


@dataclass
class Child:
    """One of the supervisor's processes, over all its lives."""

    name: str
    command: Sequence[str]
    logs: Path
    env: Mapping[str, str]
    guard: Guard
    niceness: int = 0
    pass_fds: tuple[int, ...] = ()
    is_worker: bool = False
    once: bool = False
    quick_deaths: int = 0
    process: subprocess.Popen[bytes] | None = None
    status: int | None = None
    alias: str = ""
    born: float = 0.0
    due: float = 0.0
    asked_to_stop: bool = False
    _shown: int = 0

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.logs / f"{self.name}.log"

    def start(self) -> None:
        """Start it; its group is its own, so that Ctrl-C reaches the supervisor alone, which then ends all in order."""
        self._make_room()
        self._shown = self.log.stat().st_size if self.log.exists() else 0
        parent = os.getpid()

        def prepare() -> None:
            die_with_parent(parent)
            if self.niceness:
                os.nice(self.niceness)

        # A worker has another name in each of its lives, by which its unfinished work is found.
        self.alias = f"{socket.gethostname()}-{self.name}-{token_hex(4)}"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command, *(("--name", self.alias) if self.is_worker else ())],
                env=dict(self.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
                pass_fds=self.pass_fds,
                preexec_fn=prepare,  # noqa: PLW1509 - the supervisor has a single thread
            )
        self.guard.tell(self.process.pid)
        self.born, self.asked_to_stop = time.monotonic(), False

    @property
    def is_running(self) -> bool:
        """Whether it lives now."""
        return self.process is not None and self.process.poll() is None

    def bury(self) -> int | None:
        """If it has ended, clear up after it, say when it may be started again, and return its exit status."""
        if self.process is None or (status := self.process.poll()) is None:
            return None
        self.kill()  # what it left behind in its group
        self.guard.tell(-self.process.pid)
        self.process = None
        quick = time.monotonic() - self.born < _SHORTEST_LIFE and not self.asked_to_stop
        self.quick_deaths = self.quick_deaths + 1 if quick else 0
        self.due = time.monotonic() + (min(2.0**self.quick_deaths, 30.0) if self.quick_deaths else 0.2)
        return status

    def stop(self) -> None:
        """Ask it to end in its own way."""
        if self.process and not self.asked_to_stop:
            self.asked_to_stop = True
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and its group."""
        if self.process:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def news(self, *, everything: bool) -> list[str]:
        """Lines that it has written since the last look and that a person at the terminal should see."""
        if not self.log.exists() or (size := self.log.stat().st_size) <= self._shown:
            return []
        with self.log.open("rb") as log:
            log.seek(self._shown)
            fresh = log.read(min(size - self._shown, 65536))
        complete = fresh.rfind(b"\n") + 1 or len(fresh)
        self._shown += complete
        lines = fresh[:complete].decode(errors="replace").splitlines()
        return [line for line in lines if everything or _WORTH_SHOWING.search(line)]

    def last_words(self, count: int = 15) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:]) if self.log.exists() else ""

    def _make_room(self) -> None:
        """Keep one older log when this one has grown large."""
        if self.log.exists() and self.log.stat().st_size > LARGEST_LOG:
            shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
            os.truncate(self.log, 0)
