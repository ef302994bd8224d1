"""Redis: does it take jobs, does it keep them, and are they ours."""

from collections.abc import Iterator

import redis

from webapp.ops import identity, starting
from webapp.ops.doctor.findings import Context, Finding, fail, ok, warn
from webapp.redis_keys import INSTALLATION

FULL = 0.8
"""Share of its memory from which a Redis is nearly full."""

_PROBE = "findme:health"
_NOTHING_LOST = "Nothing is lost meanwhile: what is handed in waits in the database."


def check_redis(context: Context) -> Iterator[Finding]:
    """Write to it."""
    where = starting.where_redis(context.settings)
    try:
        context.redis.set(_PROBE, 1, ex=60)
        version = context.redis.info("server")["redis_version"]
    except (redis.RedisError, OSError, ValueError) as error:
        context.missing.add("redis")
        sentence = f"{where} does not take jobs: {starting.one_line(error)}."
        yield fail("redis", sentence, f"Start it, or mend REDIS_URL. {_NOTHING_LOST}")
        return
    yield ok("redis", f"{where}: version {version}, takes writes")


def check_redis_memory(context: Context) -> Iterator[Finding]:
    """Look whether it may evict jobs, and how full it is."""
    if "redis" in context.missing:
        return
    memory = context.redis.info("memory")
    policy, most, used = memory.get("maxmemory_policy", ""), int(memory.get("maxmemory", 0)), int(memory["used_memory"])
    sizes = f"{used / 2**20:.0f} MB used" + (f" of {most / 2**20:.0f}" if most else ", no limit")
    if policy != "noeviction":
        evicting = fail if most else warn
        yield evicting(
            "redis memory",
            f"maxmemory-policy is {policy}: when memory runs short, jobs are thrown away ({sizes}).",
            "Set maxmemory-policy noeviction, in its configuration or with the provider.",
        )
    elif most and used > FULL * most:
        yield warn("redis memory", f"It is nearly full: {sizes}.", "Give it more memory, before it refuses jobs.")
    else:
        yield ok("redis memory", f"noeviction, {sizes}")


def check_redis_persistence(context: Context) -> Iterator[Finding]:
    """Look whether queues survive its restart."""
    if "redis" in context.missing:
        return
    state = context.redis.info("persistence")
    broken = [name for name in ("aof_last_write_status", "rdb_last_bgsave_status") if state.get(name, "ok") != "ok"]
    if broken:
        yield fail(
            "redis persistence",
            f"It can't write to its disk ({', '.join(broken)}), and may refuse jobs for that.",
            f"Look at its log and its disk. {_NOTHING_LOST}",
        )
    elif state.get("aof_enabled"):
        yield ok("redis persistence", "AOF is on: queues survive a restart")
    else:
        yield warn(
            "redis persistence",
            "AOF is off: after a restart of Redis the queues are empty, until the workers have filled them again from "
            "the database (15 seconds).",
            "Set appendonly yes where the provider offers it.",
        )


def check_installation(context: Context) -> Iterator[Finding]:
    """Compare the id that Redis carries with the database's."""
    if context.missing & {"database", "tables", "redis"}:
        return
    with context.engine.connect() as connection:
        ours = identity.known(connection)
    carried = context.redis.get(INSTALLATION)
    theirs = carried.decode() if isinstance(carried, bytes) else None
    if ours is None or theirs is None:
        yield ok("installation", "Redis carries no id yet; the next web server or worker that starts writes it")
        return
    if theirs == ours:
        yield ok("installation", f"database and Redis belong to one installation ({ours})")
        return
    yield fail(
        "installation",
        f"Redis belongs to another installation ({theirs}; this one is {ours}): each would take the other's jobs.",
        "Set REDIS_URL to a Redis, or a database number, of its own. If the other is no more: "
        "flask --app wsgi findme adopt-redis",
    )
