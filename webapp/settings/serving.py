"""Settings with which nothing is served, and why."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

SHORTEST_SECRET = 32
FEWEST_CHARACTERS = 8
"""Different characters that a secret has at least. Of 32 random hexadecimal digits, fewer than one in ten million
secrets has less."""

_PLACEHOLDERS = (
    "change-me",
    "changeme",
    "change_me",
    "your-secret",
    "your_secret",
    "example",
    "placeholder",
    "to-be-set",
)
_MAKE_ONE = 'Make one with: python -c "import secrets; print(secrets.token_urlsafe(48))"'


def refusals(settings: Any) -> list[str]:
    """Return a sentence for each reason not to serve; none where all is well.

    `settings` is a `Settings`, whose module imports this one.
    """
    return [*_secret(settings), *_address(settings), *_platform(settings)]


def _secret(settings: Any) -> Iterator[str]:
    secret = settings.secret_key.get_secret_value()
    if len(secret) < SHORTEST_SECRET:
        yield (
            f"SECRET_KEY is missing or shorter than {SHORTEST_SECRET} characters. Sessions could be forged, so nothing "
            f"is served. {_MAKE_ONE}"
        )
    elif settings.environment == "production" and _can_be_guessed(secret):
        yield (
            "SECRET_KEY can be guessed: it repeats few characters, or is the placeholder of an example. Sessions could "
            f"be forged, so nothing is served. {_MAKE_ONE}"
        )


def _can_be_guessed(secret: str) -> bool:
    return len(set(secret)) < FEWEST_CHARACTERS or any(word in secret.lower() for word in _PLACEHOLDERS)


def _address(settings: Any) -> Iterator[str]:
    url = urlsplit(settings.public_url)
    if settings.environment == "production" and not (url.scheme == "https" and url.hostname):
        yield (
            "PUBLIC_URL must be the https:// address under which guests reach this installation: QR codes and mails "
            "carry it, and cookies are only sent over https."
        )


def _platform(settings: Any) -> Iterator[str]:
    if not settings.render:
        return
    if settings.blob_store != "s3":
        yield (
            "BLOB_STORE must be s3 on Render: web and workers share no disk there, and a disk is emptied with every "
            "deploy, so photos would be lost. Set BLOB_STORE=s3, S3_BUCKET and AWS_REGION."
        )
    if settings.is_sqlite:
        yield (
            "DATABASE_URL must name a PostgreSQL on Render: SQLite's file would be emptied with every deploy, and "
            "workers would not see it."
        )
