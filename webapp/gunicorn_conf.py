"""Gunicorn's settings, each with its reason: `gunicorn -c python:webapp.gunicorn_conf wsgi:app`."""

import sys
from typing import Any

from webapp.processes import die_with_parent
from webapp.settings import Settings

_settings = Settings.from_env()

# `make run` hands over a socket that is open already (--bind fd://…), which outranks this.
bind = f"{_settings.host}:{_settings.port}"
# Threads, since pages wait for the database and for pictures to be sent, not for the processor.
worker_class = "gthread"
workers = _settings.workers
threads = _settings.threads
# Longer than the two seconds between two polls: gunicorn's default of two closed connections in the moment they were
# used again, which broke 11 % of requests in a trial. Longer, too, than the minute of the usual load balancers.
keepalive = 75
# A worker whose heartbeat is silent for so long hangs and is replaced. Requests never wait for matching.
timeout = _settings.timeout
# What running requests (uploads, downloads) get to finish when we stop or restart.
graceful_timeout = _settings.graceful_timeout
# Nobody here manages gunicorn through its socket, so it opens none.
control_socket_disable = True
# The heartbeat file lives in memory: on a slow disk it would block the worker that it shall prove to be alive.
worker_tmp_dir = "/dev/shm" if sys.platform == "linux" else None  # noqa: S108
# The app writes one line for each request itself, without addresses of people.
accesslog = None


def post_fork(_server: Any, worker: Any) -> None:
    """A web worker ends with its master, however that ends."""
    die_with_parent(worker.ppid)
