"""Column types and keys that all models share."""

import secrets
import string
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, Enum, LargeBinary, String
from sqlalchemy.types import TypeDecorator, TypeEngine

_ALPHABET = string.ascii_letters + string.digits


def new_public_id() -> str:
    """An opaque id for URLs: 16 letters and digits, 95 bits, never a count."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(16))


def is_row_id(value: object) -> bool:
    """Whether a value from outside can be a row's key; what no integer column holds is never sent to the database."""
    return type(value) is int and 0 <= value < 2**31


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment in UTC on every database; SQLite keeps no zone by itself."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a zone is not stored")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy calls it so
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def word(kind: type[StrEnum]) -> Enum:
    """A StrEnum kept as its plain word, without a database type, so that a new word needs no migration."""
    return Enum(
        kind, native_enum=False, length=20, create_constraint=False, values_callable=lambda e: [m.value for m in e]
    )


TYPES: dict[Any, TypeEngine[Any] | type[TypeEngine[Any]]] = {
    datetime: UtcDateTime,
    str: String(255),
    bytes: LargeBinary,
    dict[str, str]: JSON,
    list[str]: JSON,
    list[list[float]]: JSON,
}
