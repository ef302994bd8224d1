"""Lists in pages: a token names the last entry that was answered, so that deleting in between loses nobody."""

import base64
import binascii
from collections.abc import Iterable
from typing import Protocol, TypeVar

from tests.cloud.rekognition.wire import ServiceError


class Numbered(Protocol):
    """What has a place in the order in which things were made."""

    @property
    def serial(self) -> int: ...


Entry = TypeVar("Entry", bound=Numbered)


def page(entries: Iterable[Entry], token: str | None, most: int, scope: str) -> tuple[list[Entry], dict[str, str]]:
    """One page, and {"NextToken": …} where there is more. scope: what the token is good for.

    Raises:
        ServiceError: the token is none of this list's.
    """
    after = _read(token, scope) if token else 0
    rest = sorted((entry for entry in entries if entry.serial > after), key=lambda entry: entry.serial)
    shown = rest[:most]
    return shown, ({"NextToken": _write(shown[-1].serial, scope)} if len(rest) > most else {})


def _write(serial: int, scope: str) -> str:
    return base64.urlsafe_b64encode(f"{serial} {scope}"[:180].encode()).decode()


def _read(token: str, scope: str) -> int:
    try:
        serial, _, rest = base64.urlsafe_b64decode(token).decode().partition(" ")
        if f"{serial} {scope}"[:180] == f"{serial} {rest}":
            return int(serial)
    except (binascii.Error, ValueError):
        pass
    raise ServiceError("InvalidPaginationTokenException", "Invalid Pagination Token")
