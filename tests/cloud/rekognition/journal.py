"""What the server was asked, in order, and what it answered; never a picture's bytes."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from threading import Lock
from typing import Any

from tests.cloud.rekognition.wire import Message, members_of


@dataclass(slots=True)
class Call:
    """One request."""

    operation: str
    key: str
    """The access key id that signed it; empty where signatures are not checked."""
    facts: Message
    """Its parameters, a picture being {"Bytes": length}."""
    outcome: str = "open"
    """`ok`, `lost` (the work was done, nothing was answered), or the error's code."""
    found: int = 0
    """How many faces or users the answer holds."""


@dataclass
class Journal:
    """Kept by the server's threads."""

    calls: list[Call] = field(default_factory=list)
    faults_of_its_own: list[str] = field(default_factory=list)
    members_sent: dict[str, set[str]] = field(default_factory=dict)
    most_at_once: int = 0

    def __post_init__(self) -> None:
        self._lock = Lock()
        self._now = 0

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Counts a request as one that is being served."""
        with self._lock:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            yield
        finally:
            with self._lock:
                self._now -= 1

    def open(self, operation: str) -> Call:
        """The entry of a request that just came in."""
        call = Call(operation, "", {})
        with self._lock:
            self.calls.append(call)
        return call

    def sent(self, call: Call, message: Message) -> None:
        """Remember which members an answer had, and how much it held."""
        with self._lock:
            self.members_sent.setdefault(call.operation, set()).update(members_of(message))
        call.found = sum(len(value) for name, value in message.items() if name in COUNTED)

    def counts(self) -> Counter[str]:
        """Requests by operation, refused ones as well."""
        with self._lock:
            return Counter(call.operation for call in self.calls)

    def clear(self) -> None:
        """Forget the requests, not the faults of its own."""
        with self._lock:
            self.calls.clear()
            self.most_at_once = self._now

    def report(self) -> dict[str, Any]:
        """All of it, for JSON."""
        with self._lock:
            return {
                "calls": [asdict(call) for call in self.calls],
                "counts": dict(Counter(call.operation for call in self.calls)),
                "faults_of_its_own": list(self.faults_of_its_own),
                "most_at_once": self.most_at_once,
            }


COUNTED = frozenset({"FaceRecords", "FaceDetails", "Faces", "FaceMatches", "UserMatches", "Users", "CollectionIds"})


def facts_of(message: Message) -> Message:
    """A request's parameters, with the length of a picture in place of its bytes."""
    image = message.get("Image")
    if isinstance(image, dict) and "Bytes" in image:
        return message | {"Image": image | {"Bytes": len(image["Bytes"])}}
    return dict(message)
