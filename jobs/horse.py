"""The resident horse: the one child of a worker that runs its jobs, and the parent's end of the line to it.

RQ forks a horse for each job; ours stays, so that the face models and the app are loaded once. It is still a process
of its own: a crash in native code takes it and the one job, a job that hangs can be killed, and the worker starts
another. Parent and horse talk in lines of JSON over a socket pair; when the parent has gone, so has the line, and the
horse ends.
"""

import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from jobs import memory
from webapp.processes import follow_parent

Message = dict[str, Any]


# A process that dies by one of these did it to itself.
_SELF_INFLICTED = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE})


class HorseGoneError(Exception):
    """The other end of the line is closed."""


class Line:
    """One end of the conversation."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._buffer = b""

    def send(self, message: Message) -> None:
        """Send one message.

        Raises:
            HorseGoneError: nobody is there to read it.
        """
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise HorseGoneError from error

    def receive(self, timeout: float | None = None) -> Message | None:
        """The next message, or None when there was none for `timeout` seconds.

        Raises:
            HorseGoneError: the other end has closed.
        """
        while b"\n" not in self._buffer:
            if not select.select([self._socket], [], [], timeout)[0]:
                return None
            try:
                received = self._socket.recv(65536)
            except OSError as error:
                raise HorseGoneError from error
            if not received:
                raise HorseGoneError
            self._buffer += received
        line, _, self._buffer = self._buffer.partition(b"\n")
        message: Message = json.loads(line)
        return message

    def close(self) -> None:
        """Hang up; the other end learns of it."""
        self._socket.close()


class Horse:
    """The parent's handle on its horse."""

    def __init__(self, pid: int, line: Line) -> None:
        self.pid = pid
        self.line = line
        self.born_at = self.ordered_at = time.monotonic()
        self.ready_at: float | None = None
        self.overstayed = False
        self.last_sample: memory.Sample | None = None

    @classmethod
    def fork(cls, ride: Callable[[Line], None]) -> "Horse":
        """Start a horse that runs `ride` with its end of the line and never returns from it."""
        ours, theirs = socket.socketpair()
        parent = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            _be_a_horse(parent, ours, theirs, ride)
        theirs.close()
        # A group of its own, so that Ctrl-C and kill_horse reach whom they mean; set on both sides, whichever is first.
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        return cls(pid, Line(ours))

    def is_overdue(self, seconds: float, warm_up_seconds: float) -> bool:
        """Whether its present order is taking too long; a horse that is still loading has a time of its own."""
        now = time.monotonic()
        if self.ready_at is None:
            return now > self.born_at + warm_up_seconds
        return now > max(self.ordered_at, self.ready_at) + seconds

    def has_ended(self) -> bool:
        """Whether the process has ended; leaves its exit status for whoever waits for it."""
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def sample_memory(self) -> None:
        """Remember how near it is to its memory's limit: once it has been killed nothing tells any more."""
        self.last_sample = memory.sample(self.pid) or self.last_sample

    def died_of_its_job(self, status: int | None) -> bool:
        """Return whether its job caused its death. `status` is its exit status as waitpid returns it.

        True of a crash in native code, of an exit by itself, of a job that never came back, and of a SIGKILL while its
        memory was near the limit; every other SIGKILL came from outside.
        """
        if self.overstayed:
            return True
        if status is None:
            return False
        if not os.WIFSIGNALED(status):
            return os.WEXITSTATUS(status) != 0
        if os.WTERMSIG(status) == signal.SIGKILL:
            return self.last_sample is not None and self.last_sample.is_near_limit
        return os.WTERMSIG(status) in _SELF_INFLICTED


def _be_a_horse(parent: int, ours: socket.socket, theirs: socket.socket, ride: Callable[[Line], None]) -> None:
    """The child's side of the fork. Ends with os._exit: the parent's exit handlers are not the child's to run."""
    status = 1
    try:
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
        ours.close()
        follow_parent(parent)
        ride(Line(theirs))
        status = 0
    except HorseGoneError:
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
