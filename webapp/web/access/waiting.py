"""A bounded number of places in which the threads of a process may sleep."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock


class WaitingPlaces:
    """At most `most` threads wait at the same time, whatever they wait for."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()
        self._waiting: Counter[str] = Counter()
        self._taken = 0
        self.given = 0
        """How many have waited so far, or wait."""

    def waiting(self) -> int:
        """Return how many threads wait now."""
        with self._lock:
            return self._taken

    @contextmanager
    def take(self, keys: Mapping[str, int]) -> Iterator[bool]:
        """Hold one place for the length of a block; False where none is left. `keys`: what is waited for → how many
        threads may wait for it.
        """
        with self._lock:
            free = all(self._waiting[key] < most for key, most in keys.items())
            taken = free and self._taken < self._most
            if taken:
                self._waiting.update(keys.keys())
                self._taken += 1
                self.given += 1
        try:
            yield taken
        finally:
            if taken:
                with self._lock:
                    self._waiting.subtract(keys.keys())
                    self._waiting += Counter()  # forgets those for whom nobody waits
                    self._taken -= 1
