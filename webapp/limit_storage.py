"""Where flask-limiter counts: in Redis, and in the process for as long as Redis refuses to write."""

from typing import Any

from limits.storage import MemoryStorage, RedisStorage
from redis.exceptions import ResponseError

SCHEME = "findme+"
"""What an address starts with to get this storage."""


class CountingStorage(RedisStorage):
    """Counts for all processes in Redis; what a read-only or full Redis refuses counts for this process alone.

    flask-limiter's own fallback is for a Redis that can't be reached. One that answers reads would tell it again and
    again that nothing has been counted, and no guess would be limited.
    """

    STORAGE_SCHEME = [f"{SCHEME}{scheme}" for scheme in ("redis", "rediss", "unix")]  # noqa: RUF012 - the base's attribute

    def __init__(self, uri: str, **options: Any) -> None:
        super().__init__(uri.removeprefix(SCHEME), **options)
        self._refused = MemoryStorage()

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count, for `expiry` seconds; returns the sum."""
        try:
            return super().incr(key, expiry, amount) + self._refused.get(key)
        except ResponseError:
            return self._refused.incr(key, expiry, amount) + super().get(key)

    def get(self, key: str) -> int:
        """The sum of both."""
        return super().get(key) + self._refused.get(key)

    def get_expiry(self, key: str) -> float:
        """When both have forgotten it, in seconds of the system's clock."""
        return max(super().get_expiry(key), self._refused.get_expiry(key))
