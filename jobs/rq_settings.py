"""The `-c` of `rq worker`: RQ reads every name in capitals from here."""

from webapp.settings import Settings

REDIS_URL = Settings.from_env().redis_url
QUEUES = ["selfies", "photos", "mail", "maintenance"]
