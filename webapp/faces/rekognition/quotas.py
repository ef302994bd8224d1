"""Keeps the whole installation below Amazon's quotas: one bucket of tokens in Redis per operation and region.

Forty workers that each try again by themselves would storm a quota of five calls a second. Here every call reserves its
moment first, in one step on the server and by the server's clock, and sleeps until then: nobody polls, and calls go out
in the order in which they were asked for.
"""

import threading
import time

import redis
import structlog

from webapp.errors import Transient
from webapp.settings import Settings

log = structlog.get_logger()

LARGE_REGIONS = frozenset({"us-east-1", "us-west-2", "eu-west-1"})
SEARCHING = frozenset({"IndexFaces", "ListFaces", "SearchFaces", "SearchFacesByImage", "SearchUsersByImage"})
LARGE_QUOTA, SMALL_QUOTA = 50.0, 5.0
"""Calls per second and account by default: SEARCHING in LARGE_REGIONS, and everything else. Source: "Amazon Rekognition
endpoints and quotas" in the AWS General Reference."""

STEADY, BURST = 0.9, 0.1
"""How a quota is spent: a bucket that fills at nine tenths of it and holds the last tenth (but at least one call) lets
no more than the quota through in any one second, and still takes small bursts without a pause."""

PATIENCE = 10.0
"""Seconds that a call waits for its moment at most: forty workers on a quota of five all get theirs."""

ALONE = 0.1
"""The share of a quota that a process allows itself while Redis is away, not knowing how many others there are."""

KEY = "findme:rekognition:{region}:{operation}"

# Stores when the bucket will be full again, in microseconds (the "generic cell rate algorithm"). A reservation that
# would lie beyond the caller's patience is not made.
RESERVE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local gap, slack, patience = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local wait = math.max(full - slack - now, 0)
if wait > patience then
  return -1
end
redis.call('SET', KEYS[1], string.format('%.0f', full + gap), 'PX', math.ceil((full + gap - now) / 1000) + 60000)
return math.ceil(wait)
"""


def quota(settings: Settings, operation: str) -> float:
    """Calls per second of this operation: REKOGNITION_CALLS_PER_SECOND, or what Amazon grants everybody.

    Amazon raises quotas one by one, and those of SEARCHING are the ones that people ask for: the setting lowers the
    others but does not raise them. An endpoint that is not Amazon's has only the quota that is set.
    """
    chosen = settings.rekognition_calls_per_second
    if chosen and settings.rekognition_endpoint_url:
        return chosen
    if operation in SEARCHING:
        return chosen or (LARGE_QUOTA if region(settings) in LARGE_REGIONS else SMALL_QUOTA)
    return min(chosen or SMALL_QUOTA, SMALL_QUOTA)


def region(settings: Settings) -> str:
    """Where Rekognition is called."""
    return settings.rekognition_region or settings.aws_region


class Buckets:
    """The buckets of an installation. Safe for several threads."""

    def __init__(self, settings: Settings, connection: "redis.Redis") -> None:
        self._settings = settings
        self._script = connection.register_script(RESERVE)
        self._own = _OwnBuckets()

    def take(self, operation: str, patience: float = PATIENCE) -> None:
        """Wait until the operation may be called. patience: seconds to wait at most.

        Raises:
            Transient: `engine_busy`, the next free moment is farther away than that; nothing was reserved.
        """
        calls = quota(self._settings, operation)
        wait = self._reserve(operation, calls, patience)
        if wait < 0:
            raise Transient(f"{operation}: the quota of {calls:g} calls a second is used up", code="engine_busy")
        if wait:
            time.sleep(wait)

    def _reserve(self, operation: str, calls: float, patience: float) -> float:
        gap = 1 / (STEADY * calls)
        slack = (max(1.0, BURST * calls) - 1) * gap
        key = KEY.format(region=region(self._settings), operation=operation)
        try:
            microseconds = self._script(keys=[key], args=[round(part * 1e6) for part in (gap, slack, patience)])
            return float(microseconds) / 1e6
        except redis.RedisError as error:
            log.warning("rekognition.bucket_away", operation=operation, error=type(error).__name__)
            return self._own.reserve(operation, gap / ALONE, patience)


class _OwnBuckets:
    """What this process spends on its own, one call at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._full: dict[str, float] = {}

    def reserve(self, operation: str, gap: float, patience: float) -> float:
        """Seconds to wait, or -1 where that is more than `patience`."""
        with self._lock:
            now = time.monotonic()
            full = max(self._full.get(operation, 0.0), now)
            if full - now > patience:
                return -1.0
            self._full[operation] = full + gap
            return full - now
