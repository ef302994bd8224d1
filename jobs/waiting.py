"""Waiting for Redis before `rq worker` begins, which would end at once without one."""

import sys
import time

import redis

from webapp.errors import ConfigurationError
from webapp.settings import Settings


def wait_for_redis(settings: Settings) -> None:
    """Return when Redis answers; say on stderr that it doesn't.

    Raises:
        ConfigurationError: it did not answer for START_WAIT seconds, or REDIS_URL is no address.
    """
    deadline, said = time.monotonic() + settings.start_wait, False
    while True:
        try:
            redis.Redis.from_url(settings.redis_url, socket_connect_timeout=2, socket_timeout=2).ping()
            return
        except redis.AuthenticationError as error:
            raise ConfigurationError(f"Redis refuses the user or password of REDIS_URL ({error}).") from error
        except (redis.ConnectionError, redis.TimeoutError, redis.exceptions.MasterDownError) as error:
            if time.monotonic() >= deadline:
                raise ConfigurationError(
                    f"Redis does not take jobs ({error}). Gave up after {settings.start_wait} s."
                ) from error
            if not said:
                sentence = f"Redis does not answer yet ({error}). Trying again for {settings.start_wait} s."
                print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - RQ has not set up its log yet
                said = True
            time.sleep(1)
        except redis.ResponseError as error:
            raise ConfigurationError(f"Redis refuses what REDIS_URL asks for ({error}).") from error
        except ValueError as error:
            raise ConfigurationError("REDIS_URL can't be read as an address.") from error
