"""Gunicorn's settings, each with its reason: `gunicorn -c python:webapp.gunicorn_conf wsgi:app`."""

import ctypes
import resource
import signal
import sys
import time
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from webapp import load_app
from webapp.errors import ConfigurationError, FindMeError
from webapp.private_folder import make_files_private
from webapp.processes import die_with_parent
from webapp.settings import Settings
from webapp.settings.notices import notices


def _file_handles() -> int:
    """How many files a process may have open, after asking for what many systems grant only to who asks."""
    wanted = 4096
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else soft


try:
    _settings = Settings.from_env()
except ConfigurationError as error:
    sys.exit(str(error))
# The exit status by which gunicorn knows that starting another worker would not help.
_BOOT_FAILED = 3
# glibc's name of the option that says how many pools of memory there are.
_M_ARENA_MAX = -8

# `make run` hands over a socket that is open already (--bind fd://…), which outranks this.
bind = f"{_settings.host}:{_settings.port}"
# Threads, since pages wait for the database, not for the processor. Clients are waited for in a loop: a thread has a
# request when all of it is here, so that slow or silent clients hold up nobody but themselves.
worker_class = "webapp.web_worker.worker.Worker"
workers = _settings.workers
threads = _settings.threads
# Each takes a file handle, and another one while it brings or takes something large.
worker_connections = max(100, min(1000, (_file_handles() - 200) // 2))
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
worker_tmp_dir = "/dev/shm" if sys.platform == "linux" else None  # noqa: S108 - unlinked at once
# The app writes one line for each request itself, without addresses of people.
accesslog = None


def on_starting(server: Any) -> None:
    """Import the app's code once for all web workers; with --reload each has to read it as it is by then.

    Then wait for the parts without which nothing can be served. Nobody is let in before: the port opens after this.
    """
    make_files_private()
    if not server.cfg.reload:
        load_app()
    from webapp.ops.starting import wait_for_parts

    # PID 1 of a container ignores signals without a handler, so SIGTERM would not end the wait.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    for notice in notices(_settings):
        server.log.warning("%s", notice)
    try:
        wait_for_parts(_settings, server.log.warning, needs_redis=False)
    except ConfigurationError as error:
        server.log.error("%s", error)
        sys.exit(_BOOT_FAILED)


def post_fork(_server: Any, worker: Any) -> None:
    """A web worker ends with its master, however that ends."""
    die_with_parent(worker.ppid)
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        # Else glibc gives each thread a pool of its own, and each keeps what one large upload needed for a moment.
        libc.mallopt(_M_ARENA_MAX, 2)


def post_worker_init(worker: Any) -> None:
    """A web worker that would not see the blobs of the others serves nobody, and gunicorn ends.

    It is asked in the worker, whose connections are its own, and not in the master, which makes no app.
    """
    # With --reload the master imports neither models nor services.
    from webapp.services.upkeep.installation_check import check_blob_store
    from webapp.web import bundles

    try:
        with worker.wsgi.app_context():
            check_blob_store()
    except SQLAlchemyError as error:
        # A database that is away is no reason to end: pages say so, and it may be back in a moment.
        worker.log.warning("The blob store was not compared with the installation's: %s", type(error).__name__)
    except FindMeError as error:
        _await_halt(worker)
        worker.log.error("%s", error)
        sys.exit(_BOOT_FAILED)
    bundles.keep(worker.wsgi)


def _await_halt(worker: Any) -> None:
    """Let one worker be the one that ends the server: each of those that start together waits a second longer.

    Of two that say at once that starting is no use, gunicorn takes the second for an error of its own: it ends with a
    traceback, and with a status that says "start me again".
    """
    deadline = time.monotonic() + (worker.age - 1) % worker.cfg.workers
    while worker.alive and time.monotonic() < deadline:
        time.sleep(0.05)
    if not worker.alive:
        sys.exit(0)
