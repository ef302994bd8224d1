"""Clients that talk HTTP byte by byte, as browsers don't: half a request, a body that stops, an answer nobody takes."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

PATIENCE = 20.0
"""Seconds after which a test says that no answer came. A server that is held up gives none for minutes."""


class Caller(socket.socket):
    """A connection of one's own."""

    def __init__(self, port: int, *, window: int | None = None) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_STREAM)
        if window is not None:
            self.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self.settimeout(PATIENCE)
        try:
            self.connect(("127.0.0.1", port))
        except OSError:
            self.close()
            raise

    def say(self, text: str | bytes) -> "Caller":
        """Send it."""
        self.sendall(text.encode() if isinstance(text, str) else text)
        return self

    def answer(self) -> bytes:
        """One answer: headers and, by its Content-Length, body; what there is when the connection ends before."""
        found = b""
        while b"\r\n\r\n" not in found:
            if not (piece := self.recv(1)):
                return found
            found += piece
        length = next(
            (int(line.split(b":")[1]) for line in found.split(b"\r\n") if line.lower().startswith(b"content-length:")),
            0,
        )
        body = b""
        while len(body) < length and (piece := self.recv(min(65536, length - len(body)))):
            body += piece
        return found + body

    def rest(self) -> bytes:
        """Everything until the server closes."""
        found = bytearray()
        while piece := self.recv(65536):
            found += piece
        return bytes(found)

    def slowly(self, content: bytes, pieces: int, pause: float) -> "Caller":
        """Send it in so many pieces, with pauses of so many seconds behind each."""
        size = -(-len(content) // pieces)
        for start in range(0, len(content), size):
            self.sendall(content[start : start + size])
            time.sleep(pause)
        return self


def get(path: str = "/", *, method: str = "GET", more: str = "") -> str:
    """A request without a body."""
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n"


def post(path: str, length: int | str, *, method: str = "POST", more: str = "") -> str:
    """The headers of a request whose body is so long."""
    return get(path, method=method, more=f"Content-Length: {length}\r\n{more}")


@contextmanager
def many(port: int, count: int, said: str | bytes, *, window: int | None = None) -> Iterator[list[Caller]]:
    """So many connections on each of which the same is said, and then nothing more."""
    with ExitStack() as stack:
        yield [stack.enter_context(Caller(port, window=window)).say(said) for _ in range(count)]


def is_served(port: int, path: str = "/") -> bool:
    """Whether a page is answered at all, within the patience of a test."""
    with Caller(port) as caller:
        return caller.say(get(path)).answer().startswith(b"HTTP/1.1 200")
