"""What has to answer before a process starts: the database at the right revision, the store, and Redis.

A fault that may pass is waited for, START_WAIT seconds in all. One that can't pass is refused at once.
"""

import time
from collections.abc import Callable

import redis
from sqlalchemy import Engine, NullPool, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from webapp import private_folder, queueing, storage
from webapp.db import database
from webapp.db.revisions import revisions_of
from webapp.errors import ConfigurationError, FindMeError, Transient
from webapp.ops import identity
from webapp.settings import Settings

_PAUSE = 1.0
_ATTEMPTS = 2
"""Of a call to the store: who waits asks again anyway."""

_SAID_EVERY = 10.0


def wait_for_parts(settings: Settings, say: Callable[[str], None], *, needs_redis: bool) -> None:
    """Return when all parts answer. `say` gets a sentence for each new fault, and again every ten seconds.

    Raises:
        ConfigurationError: a part will not do, or did not answer within START_WAIT seconds; says which and what to do.
    """
    begun, said, said_at = time.monotonic(), "", 0.0
    while True:
        try:
            check_parts(settings, needs_redis=needs_redis, say=say)
            return
        except Transient as error:
            now = time.monotonic()
            if now - begun >= settings.start_wait:
                raise ConfigurationError(f"{error.detail} Gave up after {settings.start_wait} s.") from error
            if error.detail != said or now - said_at >= _SAID_EVERY:
                say(f"{error.detail} Trying again for {settings.start_wait - (now - begun):.0f} s.")
                said, said_at = error.detail, now
            time.sleep(_PAUSE)


def check_database(settings: Settings) -> None:
    """Look at the database alone.

    Raises:
        ConfigurationError: a newer version of FindMe migrated it.
        Transient: it does not answer, takes no writes, or is not migrated.
    """
    _check_database(settings)


def check_parts(settings: Settings, *, needs_redis: bool, say: Callable[[str], None] | None = None) -> None:
    """Look at each part once. Without `needs_redis` a Redis that is away is only said: pages work without it.

    Raises:
        ConfigurationError: a part will not do, and waiting is no use.
        Transient: a part does not answer, or is not ready; `detail` says which.
    """
    settings.check_for_serving()
    private_folder.claim(settings.data_dir)
    ours = _check_database(settings)
    _check_store(settings)
    try:
        identity.claim_redis(queueing.connect(settings), ours)
    except (redis.RedisError, OSError) as error:
        sentence = f"Redis ({where_redis(settings)}) does not take jobs: {one_line(error)}."
        if needs_redis:
            raise Transient(sentence) from error
        if say is not None:
            say(f"{sentence} Pages work without it, and what is handed in waits in the database.")


def open_engine(settings: Settings) -> Engine:
    """Return an engine of its own that keeps no connection, for processes that have no app."""
    options = database.engine_options(settings)
    engine = create_engine(
        settings.database_url, poolclass=NullPool, hide_parameters=True, connect_args=options["connect_args"]
    )
    database.prepare(engine)
    return engine


def where_database(settings: Settings) -> str:
    """Return the database's address without user and password."""
    url = make_url(settings.database_url)
    if settings.is_sqlite:
        return f"SQLite, {url.database}"
    return f"PostgreSQL, {url.host or 'local socket'}:{url.port or 5432}/{url.database or ''}"


def where_redis(settings: Settings) -> str:
    """Return Redis' address without user and password."""
    scheme, _, rest = settings.redis_url.partition("://")
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"


def one_line(error: BaseException) -> str:
    """Return what an error says, in one line and without a full stop at its end."""
    said = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
    # SQLAlchemy adds the statement and a link.
    return " ".join(said.partition("[SQL:")[0].split())[:300].rstrip(".")


def _check_database(settings: Settings) -> str:
    """Compare the database's revision with ours; returns the installation's id."""
    try:
        engine = open_engine(settings)
        with engine.connect() as connection:
            revisions = revisions_of(connection)
            if revisions.is_newer:
                raise ConfigurationError(revisions.explain())
            if not revisions.is_current:
                raise Transient(revisions.explain())
            if database.is_read_only(connection):
                raise Transient(f"The database ({where_database(settings)}) takes no writes: it is read-only.")
            if ours := identity.known(connection):
                return ours
        with database.beside(engine) as connection:
            return identity.of_database(connection)
    except SQLAlchemyError as error:
        raise Transient(f"The database ({where_database(settings)}) can't be used: {one_line(error)}.") from error


def _check_store(settings: Settings) -> None:
    try:
        storage.open_store(settings, attempts=_ATTEMPTS).check()
    except OSError as error:
        raise Transient(f"The store ({settings.blobs_dir}) can't be written to: {one_line(error)}.") from error
    except ConfigurationError:
        raise
    except FindMeError as error:
        what = f"bucket {settings.s3_bucket}" if settings.blob_store == "s3" else str(settings.blobs_dir)
        raise Transient(f"The store ({what}) can't be written to: {one_line(error)} ({error.code}).") from error
