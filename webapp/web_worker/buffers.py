"""What lies between a client and the web worker's threads: bytes that came, bytes that wait, and the pace of both."""

import os
import tempfile
import time
from collections import deque
from dataclasses import dataclass
from typing import IO, Protocol, cast

KEPT_IN_MEMORY = 64 * 1024
"""Bytes of a request that are kept in memory; those behind them lie in a file without a name."""

_FILE_PIECE = 256 * 1024
"""Bytes of a file that are sent at once: the loop serves all clients in turn."""


class Sink(Protocol):
    """Where an `Outbox` is emptied into: a client's socket."""

    def fileno(self) -> int:
        """The socket's file descriptor."""
        ...

    def send_now(self, content: memoryview) -> int:
        """Send without waiting; returns how many bytes the client took. BlockingIOError when it takes nothing."""
        ...


class Pace:
    """Whether a client keeps up: never silent for `silence` seconds, and seldom slower than `rate` bytes a second.

    Waiting uses up an allowance of `silence` seconds, and each `rate` bytes bring back one of them, so that what came
    fast at first is no licence to hold on for hours. Only time that is spent waiting for the client counts: `start`
    begins it, `moved` ends it.
    """

    def __init__(self, silence: float, rate: float) -> None:
        self._silence, self._rate = silence, rate
        self._allowance = silence
        self.since = 0.0
        """When the wait for the client began, by `time.monotonic()`."""

    def start(self) -> None:
        """We wait for the client from now on."""
        self.since = time.monotonic()

    def moved(self, count: int) -> None:
        """These bytes have come, or gone; the wait goes on."""
        now = time.monotonic()
        self._allowance = min(self._silence, self._allowance - (now - self.since) + count / self._rate)
        self.since = now

    @property
    def deadline(self) -> float:
        """When this wait will have been too long, by `time.monotonic()`."""
        return self.since + self._allowance


class Inbox:
    """Bytes in the order in which they came. What no disk takes any more stays in memory: a full disk loses nothing."""

    def __init__(self) -> None:
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self._from = self._to = 0
        self._behind = bytearray()
        self.size = 0
        """Bytes that came, also those that have been taken out since."""
        self.is_full = False
        """Whether the disk takes no more."""

    @property
    def on_disk(self) -> int:
        """Bytes in the file."""
        return self._to

    @property
    def head(self) -> bytearray:
        """The bytes in memory: a request's headers are among them."""
        return self._memory

    def append(self, piece: bytes) -> None:
        """Add what came."""
        self.size += len(piece)
        rest = memoryview(piece)
        if self._file is None and not self.is_full:
            room = KEPT_IN_MEMORY - len(self._memory)
            self._memory += rest[:room]
            rest = rest[room:]
        if rest and not self.is_full:
            rest = self._to_disk(rest)
        self._behind += rest

    def _to_disk(self, piece: memoryview) -> memoryview:
        """Write it; returns what the disk does not take."""
        try:
            if self._file is None:
                # Nobody else can open it, and it goes with the process, however that ends: it may be a selfie.
                self._file = cast("IO[bytes]", tempfile.TemporaryFile(buffering=0))  # noqa: SIM115 - `close` closes it
            while piece:
                written = os.pwrite(self._file.fileno(), piece, self._to)
                self._to += written
                piece = piece[written:]
        except OSError:
            self.is_full = True
        return piece

    def take(self, most: int) -> bytes:
        """Take out up to `most` of the first bytes; none when all have been taken."""
        for memory in (self._memory, None, self._behind):
            if memory:
                piece = bytes(memory[:most])
                del memory[:most]
                return piece
            if memory is None and self._file is not None and self._from < self._to:
                piece = os.pread(self._file.fileno(), min(most, self._to - self._from), self._from)
                self._from += len(piece)
                return piece
        return b""

    def close(self) -> None:
        """Forget everything."""
        self._memory.clear()
        self._behind.clear()
        if self._file is not None:
            self._file.close()
            self._file = None
        self._from = self._to = self.size = 0
        self.is_full = False


@dataclass(slots=True)
class _FilePart:
    """A part of an open file that is still to be sent."""

    handle: int
    offset: int
    left: int


class Outbox:
    """What of an answer has not been sent."""

    def __init__(self) -> None:
        self._parts: deque[memoryview | _FilePart] = deque()
        self.in_memory = 0

    def __bool__(self) -> bool:
        return bool(self._parts)

    def add(self, content: memoryview) -> None:
        """Bytes to be sent; they must not change."""
        self._parts.append(content)
        self.in_memory += len(content)

    def add_file(self, handle: int, offset: int, count: int) -> None:
        """A part of a file; the handle is ours from now on."""
        self._parts.append(_FilePart(handle, offset, count))

    def send(self, wire: Sink) -> int:
        """Send something of the first part; the count of bytes, 0 when the client takes none now.

        Raises:
            OSError: the connection is broken, or a file is shorter than it was.
        """
        part = self._parts[0]
        try:
            sent = self._send_file(wire, part) if isinstance(part, _FilePart) else self._send_bytes(wire, part)
        except BlockingIOError:
            return 0
        return sent

    def _send_bytes(self, wire: Sink, part: memoryview) -> int:
        sent = wire.send_now(part)
        self.in_memory -= sent
        if sent == len(part):
            self._parts.popleft()
        else:
            self._parts[0] = part[sent:]
        return sent

    def _send_file(self, wire: Sink, part: _FilePart) -> int:
        sent = os.sendfile(wire.fileno(), part.handle, part.offset, min(part.left, _FILE_PIECE))
        if sent == 0:
            raise OSError("The file that is being sent has become shorter")
        part.offset += sent
        part.left -= sent
        if not part.left:
            self._parts.popleft()
            os.close(part.handle)
        return sent

    def close(self) -> None:
        """Forget everything."""
        for part in self._parts:
            if isinstance(part, _FilePart):
                os.close(part.handle)
        self._parts.clear()
        self.in_memory = 0
