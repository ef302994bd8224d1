"""The `-c` of `rq worker`: RQ reads every name in capitals from here."""

from webapp.private_folder import make_files_private
from webapp.settings import Settings

make_files_private()  # before the worker opens anything, and for its horses
REDIS_URL = Settings.from_env().redis_url
QUEUES = ["selfies", "photos", "mail", "maintenance"]
