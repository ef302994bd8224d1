"""Run the checks, one after the other."""

from collections.abc import Iterator

import redis
from sqlalchemy.exc import SQLAlchemyError

from webapp.errors import ConfigurationError
from webapp.ops import starting
from webapp.ops.doctor import (
    address_checks,
    database_checks,
    engine_checks,
    machine_checks,
    mail_checks,
    redis_checks,
    settings_checks,
    store_checks,
    worker_checks,
)
from webapp.ops.doctor.findings import Check, Context, Finding, fail
from webapp.settings import Settings

CHECKS: tuple[Check, ...] = (
    settings_checks.check_settings,
    settings_checks.check_secrets,
    machine_checks.check_disk,
    database_checks.check_database,
    database_checks.check_migrations,
    redis_checks.check_redis,
    redis_checks.check_redis_memory,
    redis_checks.check_redis_persistence,
    redis_checks.check_installation,
    database_checks.check_connections,
    machine_checks.check_clock,
    store_checks.check_store,
    store_checks.check_browser_uploads,
    engine_checks.check_engine,
    worker_checks.check_workers,
    worker_checks.check_queues,
    mail_checks.check_mail,
    address_checks.check_address,
)
"""In this order: later ones leave out what needs a part that an earlier one missed."""


def examine() -> Iterator[Finding]:
    """Yield what each check finds, as it is found."""
    try:
        settings = Settings.from_env()
    except ConfigurationError as error:
        yield fail("settings", str(error), "Nothing else was looked at: set it right and ask again.")
        return
    context = Context(settings)
    if foreign := list(settings_checks.check_user(context)):
        yield from foreign
        return
    yield from examine_with(context)


def examine_with(context: Context, checks: tuple[Check, ...] = CHECKS) -> Iterator[Finding]:
    """Yield what each check finds; one that breaks down is a finding as well."""
    for check in checks:
        try:
            yield from check(context)
        except SQLAlchemyError as error:
            mend = "Give the user of DATABASE_URL its rights, or look who holds a lock; then ask again."
            yield fail(_name(check), f"The database refuses: {starting.one_line(error)}.", mend)
        except redis.RedisError as error:
            mend = "Give the user of REDIS_URL all rights on findme:* and rq:*; then ask again."
            yield fail(_name(check), f"Redis refuses: {starting.one_line(error)}.", mend)
        except Exception as error:
            name = _name(check)
            sentence = f"This could not be looked at: {type(error).__name__}: {error}"
            yield fail(name, sentence, "This is a fault of FindMe's: please report it with this line.")


def _name(check: Check) -> str:
    return check.__name__.removeprefix("check_").replace("_", " ")
