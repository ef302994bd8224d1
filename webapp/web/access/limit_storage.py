"""The counters of `webapp.web.access.limits`: in Redis for all processes, in this process while Redis can't count."""

import time
from typing import Any

from limits.storage import MemoryStorage, RedisStorage
from redis.exceptions import RedisError, ResponseError

AWAY_SECONDS = 5.0
"""How long a Redis that could not be reached is left alone, so that not every request waits for it."""


class CountingStorage(RedisStorage):
    """Counts in Redis. A Redis that is away, read-only or full makes each process count by itself.

    Both counts are added up: what was counted in the process stays counted when Redis is back.
    """

    def __init__(self, uri: str, **options: Any) -> None:
        super().__init__(uri, **options)
        self._own = MemoryStorage()
        self._away_until = 0.0

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add to a counter that ends `expiry` seconds after its first addition; returns the sum.

        Redis adds and answers in one step, so of many requests at once each gets another sum.
        """
        if not self._is_away():
            try:
                return super().incr(key, expiry, amount) + self._own.get(key)
            except ResponseError:
                pass  # read-only or full: it still answers reads
            except RedisError:
                self._note_away()
        return self._own.incr(key, expiry, amount) + self._read(key)

    def get(self, key: str) -> int:
        """Return the sum of both counters."""
        return self._read(key) + self._own.get(key)

    def get_expiry(self, key: str) -> float:
        """Return when both have ended, in seconds of the system's clock."""
        own = self._own.get_expiry(key)
        if self._is_away():
            return own
        try:
            return max(super().get_expiry(key), own)
        except RedisError:
            self._note_away()
            return own

    def _read(self, key: str) -> int:
        if self._is_away():
            return 0
        try:
            return super().get(key)
        except RedisError:
            self._note_away()
            return 0

    def _is_away(self) -> bool:
        return time.monotonic() < self._away_until

    def _note_away(self) -> None:
        self._away_until = time.monotonic() + AWAY_SECONDS
