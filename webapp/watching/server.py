"""The server as a watched folder sees it: what it says of the token, and of each picture."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import httpx

PIECE = 256 * 1024
"""Bytes of a picture that are held in memory."""

LONGEST_PAUSE = 60.0
"""Seconds between two tries of a server that is away."""

_PASSING = frozenset({408, 425, 429})


class StoppedError(Exception):
    """The program was asked to end."""


class RefusedError(Exception):
    """The server will never take anything like this: the token ended, or the event is gone. Says what to do."""


class ClosedError(Exception):
    """The event takes no photos; it may be reopened."""


class AwayError(Exception):
    """The server can't take it now. Says why; `wait` is for how many seconds it asked."""

    def __init__(self, why: str, wait: float = 0.0) -> None:
        super().__init__(why)
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Token:
    """What the server says of the token."""

    event_id: str
    event_name: str
    code: str
    open: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a picture: `accepted`, `duplicate` or `rejected`, then with a sentence that says why."""

    status: str
    photo_id: str | None
    reason: str | None


class Server:
    """Calls of the API with one upload token. Serves several threads."""

    def __init__(self, url: str, token: str, stopped: threading.Event, connections: int = 4) -> None:
        self.url = url.rstrip("/")
        self.stopped = stopped
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json", "User-Agent": "findme-watch"},
            # A server that takes a large picture over a weak network is slow and not gone: each read or write counts.
            timeout=httpx.Timeout(60, connect=10),
            limits=httpx.Limits(max_connections=connections + 1, max_keepalive_connections=connections + 1),
        )

    def token(self) -> Token:
        """What the token is good for.

        Raises:
            RefusedError, AwayError
        """
        said = self._call("GET", "/api/upload-token")
        try:
            event = said["event"]
            return Token(event["id"], event["name"], said["code"], bool(said["open"]))
        except (KeyError, TypeError) as error:
            raise AwayError("something else than FindMe answers at this address") from error

    def send(self, event_id: str, name: str, picture: IO[bytes]) -> Answer:
        """Send one picture in pieces.

        Raises:
            RefusedError, ClosedError, AwayError
            StoppedError: the program ends; whether the server has it, it says next time.
            OSError: the picture can't be read any more, or changed meanwhile.
        """
        try:
            said = self._call(
                "POST",
                f"/api/photographer/events/{event_id}/upload-photos",
                # Names from old cards and drives are not always text.
                files={"files": (name.encode(errors="replace").decode(), _Pieces(picture, self.stopped))},
            )
        except _TooLargeError as error:
            return Answer("rejected", None, str(error))
        try:
            (row,) = said["files"]
            if row["status"] not in ("accepted", "duplicate", "rejected"):
                raise ValueError(row["status"])
            return Answer(row["status"], row["id"], row["detail"] or row["reason"])
        except (KeyError, TypeError, ValueError) as error:
            raise AwayError("something else than FindMe answers at this address") from error

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def _call(self, method: str, path: str, **options: Any) -> Any:
        try:
            answer = self._http.request(method, path, **options)
        except httpx.TimeoutException as error:
            raise AwayError("the server does not answer") from error
        except httpx.LocalProtocolError as error:
            raise OSError("it changed while it was sent") from error
        except httpx.TransportError as error:
            raise AwayError("the server can't be reached") from error
        _judge(answer)
        try:
            return answer.json()
        except ValueError as error:
            # A venue's network that wants one to sign in first answers everything with a page of its own.
            raise AwayError("something else than FindMe answers at this address") from error


class _TooLargeError(Exception):
    """The whole request was too large for the server or a proxy before it; says so."""


class _Pieces:
    """A picture as httpx reads it, until the program is asked to end."""

    def __init__(self, picture: IO[bytes], stopped: threading.Event) -> None:
        self._picture, self._stopped = picture, stopped

    def read(self, size: int = -1) -> bytes:
        if self._stopped.is_set():
            raise StoppedError
        return self._picture.read(PIECE if size < 0 else min(size, PIECE))

    def fileno(self) -> int:
        """By this httpx learns the length, and need not read the whole picture for it."""
        return self._picture.fileno()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._picture.seek(offset, whence)

    def tell(self) -> int:
        return self._picture.tell()

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.read():
            yield piece


def _judge(answer: httpx.Response) -> None:
    """What an answer means for the pictures that follow."""
    status = answer.status_code
    if status in (200, 207):
        return
    code, detail = _words(answer)
    if status == 401 or (status in (403, 404) and code):
        raise RefusedError(detail or "The server does not know this token, or the event is gone.")
    if status == 409 and code == "event_closed":
        raise ClosedError
    if status == 413:
        raise _TooLargeError(detail or "The file is larger than the server takes.")
    if status in _PASSING or status >= 500:
        raise AwayError(f"the server is busy or away (it answers {status})", _asked_wait(answer))
    raise AwayError(f"the server answers {status}" + (f": {detail}" if detail else ""))


def _words(answer: httpx.Response) -> tuple[str, str]:
    """Code and sentence of one of FindMe's errors; empty where somebody else speaks."""
    try:
        said = answer.json()
        return str(said["code"]), str(said["detail"])
    except (ValueError, KeyError, TypeError):
        return "", ""


def _asked_wait(answer: httpx.Response) -> float:
    try:
        return min(max(float(answer.headers.get("Retry-After", 0)), 0), LONGEST_PAUSE)
    except ValueError:
        return 0.0
