"""The `-c` of `rq worker`: RQ reads every name in capitals from here."""

import sys

from jobs.waiting import wait_for_redis
from webapp.errors import ConfigurationError
from webapp.private_folder import make_files_private
from webapp.settings import Settings
from webapp.settings.notices import notices

make_files_private()  # before the worker opens anything, and for its horses
try:
    _settings = Settings.from_env()
    _settings.check_for_serving()
    for _notice in notices(_settings):
        print(_notice, file=sys.stderr, flush=True)  # noqa: T201 - RQ has not set up its log yet
    wait_for_redis(_settings)
except ConfigurationError as error:
    sys.exit(str(error))
REDIS_URL = _settings.redis_url
QUEUES = ["selfies", "photos", "mail", "maintenance"]
