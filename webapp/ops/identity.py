"""The id of an installation: made once, kept in its database, and compared with the one that its Redis carries.

Two installations on one Redis would take each other's jobs, whose rows they don't have.
"""

import secrets

import redis
from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from webapp.errors import ConfigurationError
from webapp.models import InstallationFact
from webapp.redis_keys import INSTALLATION

NAME = "installation_id"


def known(connection: Connection) -> str | None:
    """Return the id; None before the first process has made one."""
    return connection.scalar(select(InstallationFact.value).where(InstallationFact.name == NAME))


def of_database(connection: Connection) -> str:
    """Return the id, made by the first process that asks. `connection` must be in a transaction that may write."""
    if found := known(connection):
        return found
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    row = insert(InstallationFact).values(name=NAME, value=secrets.token_hex(8))
    connection.execute(row.on_conflict_do_nothing(index_elements=["name"]))
    return str(known(connection))


def claim_redis(client: redis.Redis, ours: str) -> None:
    """Write our id into a Redis that carries none; the first installation there keeps it.

    Raises:
        ConfigurationError: it carries the id of another installation.
        redis.RedisError: it does not answer, or takes no writes.
    """
    client.set(INSTALLATION, ours, nx=True)
    theirs = client.get(INSTALLATION)
    if isinstance(theirs, bytes) and theirs.decode() != ours:
        raise ConfigurationError(
            f"REDIS_URL leads to a Redis that another installation uses (its id: {theirs.decode()}, ours: {ours}). "
            "Each would take the other's jobs, so nothing is started. Give this one a Redis, or a database number "
            "(redis://…/1), of its own. If the other is no more: flask --app wsgi findme adopt-redis"
        )


def adopt_redis(client: redis.Redis, ours: str) -> None:
    """Make a Redis this installation's, whatever it carried.

    Raises:
        redis.RedisError: it does not answer, or takes no writes.
    """
    client.set(INSTALLATION, ours)
