"""The `-c` of `rq worker`: RQ reads every name in capitals from here."""

import signal
import sys
from pathlib import Path

from jobs.waiting import wait_for_redis
from webapp.errors import ConfigurationError
from webapp.private_folder import make_files_private
from webapp.settings import Settings
from webapp.settings.notices import notices


def _prepare(settings: Settings) -> None:
    """Before `rq worker` begins, and no other command: refuse, say what has no effect, wait for Redis.

    Raises:
        ConfigurationError: nothing is to be started with these settings.
    """
    # PID 1 of a container ignores signals without a handler, so SIGTERM would not end the wait.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    settings.check_for_serving()
    for notice in notices(settings):
        print(notice, file=sys.stderr, flush=True)  # noqa: T201 - RQ has not set up its log yet
    wait_for_redis(settings)


make_files_private()  # before the worker opens anything, and for its horses
try:
    _settings = Settings.from_env()
    if Path(sys.argv[0]).name == "rq" and sys.argv[1:2] == ["worker"]:
        _prepare(_settings)
except ConfigurationError as error:
    sys.exit(str(error))
REDIS_URL = _settings.redis_url
QUEUES = ["selfies", "photos", "mail", "maintenance"]
