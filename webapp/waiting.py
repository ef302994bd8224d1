"""A bounded number of places in which the threads of a process may sleep."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class WaitingPlaces:
    """At most `most` threads wait at the same time, whatever they wait for."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()
        self._waiting: Counter[str] = Counter()
        self.given = 0
        """How many have waited so far, or wait."""

    def waiting(self) -> int:
        """Return how many threads wait now."""
        with self._lock:
            return self._waiting.total()

    @contextmanager
    def take(self, key: str, most: int) -> Iterator[bool]:
        """Hold a place for the length of a block; False where none is left, or `most` threads wait for `key`."""
        with self._lock:
            taken = self._waiting.total() < self._most and self._waiting[key] < most
            if taken:
                self._waiting[key] += 1
                self.given += 1
        try:
            yield taken
        finally:
            if taken:
                with self._lock:
                    self._waiting[key] -= 1
                    self._waiting += Counter()  # forgets those for whom nobody waits
