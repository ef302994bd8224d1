"""A client's socket that never holds a thread up: bytes of a request that have arrived, bytes of an answer that wait.

The web worker's loop (webapp/web_worker/worker.py) fills `inbox` and empties `outbox`; gunicorn's parser and response,
in a thread, read from the one and write into the other through the methods of a socket. Loop and thread never have a
connection at the same time, so nothing here is locked.
"""

import contextlib
import os
import select
import socket
import time
from typing import TYPE_CHECKING, Any, cast

from webapp.web_worker.buffers import Inbox, Outbox, Pace

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

HIGH_WATER = 1024 * 1024
"""Bytes of a streamed answer that may wait for their client before who writes it has to wait as well."""

PIECE = 256 * 1024


class Wire(socket.socket):
    """A socket of which threads read what has arrived, and on which they write without waiting for the client.

    `live` allows reads to wait for the client, at the pace `reading`: for bodies that are too large to be kept.
    """

    def __init__(self, accepted: socket.socket, *, silence: float, rate: float) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        super().setblocking(False)
        self.inbox, self.outbox = Inbox(), Outbox()
        self._silence, self._rate = silence, rate
        self._timeout: float | None = None
        self.renew()

    def renew(self) -> None:
        """Be ready for another request."""
        self.live = False
        self.continued = False
        """Whether the client has been told to send its body."""
        self.is_cut = False
        """Whether more was read than came: what comes later is no request, so the connection can't be used again."""
        self.reading = Pace(self._silence, self._rate)
        self.writing = Pace(self._silence, self._rate)

    # --- the loop's side ---

    def receive(self) -> bytes | None:
        """What has arrived; None when nothing has, b"" when the client sends no more. OSError: it is broken."""
        try:
            return super().recv(PIECE)
        except BlockingIOError:
            return None

    def send_now(self, content: memoryview) -> int:
        """Send without waiting; BlockingIOError when the client takes nothing."""
        return super().send(content)

    def flush(self, most: int | None = None) -> None:
        """Send what waits, as much as the client takes now and about `most` bytes. OSError: it is broken."""
        sent = 0
        while self.outbox and (most is None or sent < most):
            count = self.outbox.send(self)
            if not count:
                break
            sent += count
        if sent:
            self.writing.moved(sent)

    # --- the thread's side: what gunicorn calls on a socket ---

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """What has arrived; b"" behind it, or when a client whose body is read live is too slow or has gone."""
        piece = self.inbox.take(size)
        # Who was too slow once is not waited for again, however often the app asks.
        if not piece and self.live and not self.is_cut:
            piece = self._recv_live(size, flags)
        self.is_cut = not piece
        return piece

    def _recv_live(self, size: int, flags: int) -> bytes:
        self.reading.start()
        while True:
            try:
                piece = super().recv(size, flags)
            except BlockingIOError:
                if not self._wait(select.POLLIN, self.reading):
                    return b""
            else:
                self.reading.moved(len(piece))
                return piece

    def send(self, content: "ReadableBuffer", flags: int = 0, /) -> int:
        """Gunicorn's way to say "100 Continue": nothing where the loop has said so before."""
        if not self.continued:
            self.sendall(content, flags)
        return len(memoryview(content))

    def sendall(self, content: "ReadableBuffer", _flags: int = 0, /) -> None:
        """Send, and leave the rest to the loop. Only who streams without end waits here.

        Raises:
            OSError: the connection is broken. TimeoutError: the client takes too little.
        """
        self.writing.start()
        while self.outbox.in_memory > HIGH_WATER:
            if not self._wait(select.POLLOUT, self.writing):
                raise TimeoutError("The client does not take its answer")
            self.flush()
        # A copy, since whose bytes these are may use their place for others.
        self.outbox.add(memoryview(bytes(content)))
        self.flush()

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send a part of a regular file; what the client doesn't take now, the loop sends later."""
        left = os.fstat(file.fileno()).st_size - offset if count is None else count
        self.writing.start()
        self.outbox.add_file(os.dup(file.fileno()), offset, left)
        self.flush()
        return left

    def setblocking(self, _flag: bool, /) -> None:
        """The socket below never blocks, whatever gunicorn wants of it."""

    def settimeout(self, value: float | None, /) -> None:
        """How long a read that may wait does so at most."""
        self._timeout = value

    def gettimeout(self) -> float | None:
        return self._timeout

    def close(self) -> None:
        """Close the connection, with what had not been read or sent."""
        self.inbox.close()
        self.outbox.close()
        super().close()

    def _wait(self, event: int, pace: Pace) -> bool:
        """Whether the client was ready before it had been too slow.

        Raises:
            TimeoutError: it was not within the time of `settimeout`.
        """
        left = pace.deadline - time.monotonic()
        limited = self._timeout is not None and self._timeout < left
        if limited:
            left = cast("float", self._timeout)
        poller = select.poll()
        poller.register(self, event)
        with contextlib.suppress(InterruptedError):
            if left > 0 and poller.poll(_milliseconds(left)):
                return True
        if limited:
            raise TimeoutError
        return False


def _milliseconds(seconds: float) -> int:
    """Whole milliseconds, never less than asked for."""
    return int(seconds * 1000) + 1
