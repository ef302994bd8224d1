"""`python -m jobs.health`, the health check of the worker image: has a worker of this host a fresh heartbeat in Redis?

Ends with 0 if so, else with 1 and a sentence. It runs every 30 seconds, so it imports neither the app nor RQ.
"""

import re
import socket
import sys
import time
from datetime import UTC, datetime
from typing import cast

from redis import Redis, RedisError

from webapp.errors import ConfigurationError
from webapp.settings import Settings

FRESH_SECONDS = 20.0
"""Workers send a heartbeat every five seconds. Their key in Redis expires 30 s after the last one."""
_WORKERS = "rq:workers"
_WORKER = "rq:worker:"
_SECONDS = 3.0


def find_fault(connection: Redis, host: str) -> str | None:
    """Return why no worker of this host counts as alive, or None if one does.

    Names of workers are HOST-PID-RANDOM (jobs/worker.py). A container has a host name of its own.

    Raises:
        RedisError: Redis does not answer.
    """
    ours = re.compile(rf"{re.escape(_WORKER)}{re.escape(host)}-\d+-[0-9a-f]+".encode())
    keys = [key for key in connection.sscan_iter(_WORKERS) if ours.fullmatch(key)]
    if not keys:
        return f"No worker of {host} is registered in Redis."
    ages = [age for key in keys if (age := _age(connection, key)) is not None]
    if not ages:
        return f"The workers of {host} that are registered in Redis have ended."
    if min(ages) > FRESH_SECONDS:
        return f"The last heartbeat of a worker of {host} was {min(ages):.0f} s ago."
    return None


def _age(connection: Redis, key: bytes) -> float | None:
    """Return the seconds since a worker's heartbeat, or None if it has ended."""
    heartbeat, death = cast("list[bytes | None]", connection.hmget(key, "last_heartbeat", "death"))
    if heartbeat is None or death is not None:
        return None
    at = datetime.strptime(heartbeat.decode(), "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    return time.time() - at.timestamp()


def main() -> int:
    """Print the fault, if any, and return the exit status."""
    try:
        url = Settings.from_env().redis_url
        connection = Redis.from_url(url, socket_connect_timeout=_SECONDS, socket_timeout=_SECONDS)
        fault = find_fault(connection, socket.gethostname())
    except ConfigurationError as error:
        fault = str(error)
    except (RedisError, OSError) as error:
        fault = f"Redis does not answer: {type(error).__name__}."
    if fault:
        print(fault, file=sys.stderr)  # noqa: T201 - a command's answer
    return int(fault is not None)


if __name__ == "__main__":
    sys.exit(main())
