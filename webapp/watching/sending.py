"""Threads that send pictures, one try at a time, and report what came of each."""

import hashlib
import queue
import threading
from dataclasses import dataclass
from pathlib import Path

from webapp.watching.folder import Stamp
from webapp.watching.manifest import Entry, Manifest
from webapp.watching.server import ClosedError, RefusedError, Server, Token


@dataclass(frozen=True, slots=True)
class Order:
    """One try: of a picture, or of the server alone (`path` is empty). With `ask` the server is asked first how things
    stand, which costs less than a picture that it does not take.
    """

    path: str
    stamp: Stamp
    ask: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What came of an order: an entry that is in the manifest already, or what went wrong."""

    order: Order
    token: Token | None = None
    entry: Entry | None = None
    error: Exception | None = None


class Senders:
    """As many threads as pictures may be under way at once. They end with the program, whatever they wait for."""

    def __init__(self, folder: Path, code: str, server: Server, manifest: Manifest, wake: threading.Event) -> None:
        self._folder, self._code, self._server, self._manifest = folder, code, server, manifest
        self._wake = wake
        self._orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._reports: queue.SimpleQueue[Report] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._token: Token | None = None

    def start(self, count: int) -> None:
        """Begin to wait for orders."""
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def order(self, order: Order) -> None:
        """Let one of the threads try this."""
        self._orders.put(order)

    def reports(self) -> list[Report]:
        """What has come of orders since the last call."""
        found = []
        while not self._reports.empty():
            found.append(self._reports.get())
        return found

    def finish(self, seconds: float) -> None:
        """Wait so long for what is under way; what is not done by then is asked for again next time."""
        for _ in self._threads:
            self._orders.put(None)
        for thread in self._threads:
            thread.join(seconds / len(self._threads))

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            try:
                report = self._try(order)
            except Exception as error:
                report = Report(order, self._token, error=error)
            self._reports.put(report)
            self._wake.set()

    def _try(self, order: Order) -> Report:
        token = self._token
        if order.ask or token is None:
            token = self._token = self._ask()
        entry = self._send(order, token) if order.path else None
        return Report(order, token, entry)

    def _ask(self) -> Token:
        token = self._server.token()
        if normalised(token.code) != normalised(self._code):
            raise RefusedError(
                f"This token is for the event “{token.event_name}” with the code {token.code}, not for {self._code}. "
                "Nothing was sent."
            )
        self._manifest.meet(token.event_id)
        if not token.open:
            raise ClosedError
        return token

    def _send(self, order: Order, token: Token) -> Entry:
        with (self._folder / order.path).open("rb") as picture:
            # Reading it to its end also shows that the disk or the network drive gives it whole.
            digest = hashlib.file_digest(picture, "sha256").hexdigest()
            self._check_same(order)
            known = self._manifest.sent_before(digest)
            if known is not None:
                entry = Entry(order.stamp, digest, "duplicate", known.photo_id)
            else:
                answer = self._server.send(token.event_id, Path(order.path).name, picture)
                self._check_same(order)
                entry = Entry(order.stamp, digest, answer.status, answer.photo_id, answer.reason)
        self._manifest.write(order.path, entry)
        return entry

    def _check_same(self, order: Order) -> None:
        if Stamp.of((self._folder / order.path).stat()) != order.stamp:
            raise OSError("it has changed")


def normalised(code: str) -> str:
    """A code for comparison, as the server compares it: without case, spaces and hyphens."""
    return "".join(code.replace("-", "").split()).upper()
