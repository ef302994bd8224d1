"""Addresses that can't be used. No sentence quotes one, nor what Python's parsers say: both may hold a password."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import SplitResult, urlsplit

_ENCODE = "Characters such as @ : / ? # % in a user or password have to be written as %40 and so on (percent-encoded)."
_BARE = ("PUBLIC_URL", "S3_ENDPOINT_URL", "REKOGNITION_ENDPOINT_URL")
"""Names of addresses that have neither user nor path."""


_BUCKET = re.compile(r"[A-Za-z0-9._-]{3,255}|arn:[A-Za-z0-9:/._-]+")
_REGION = re.compile(r"[a-z0-9-]+")


def faults(settings: Any) -> Iterator[str]:
    """Yield a sentence for each address that can't be read or that nothing here can talk to.

    `settings` is a `Settings`, whose module imports this one.
    """
    for name, value, schemes in (
        ("DATABASE_URL", settings.database_url, ("postgresql+psycopg", "sqlite", "sqlite+pysqlite")),
        ("REDIS_URL", settings.redis_url, ("redis", "rediss", "unix")),
        ("SMTP_URL", settings.smtp_url.get_secret_value(), ("smtp", "smtps")),
        ("PUBLIC_URL", settings.public_url, ("http", "https")),
        ("S3_ENDPOINT_URL", settings.s3_endpoint_url, ("http", "https")),
        ("REKOGNITION_ENDPOINT_URL", settings.rekognition_endpoint_url, ("http", "https")),
    ):
        if value and (fault := _fault(name, value, schemes)):
            yield f"{name} {fault}"
    if settings.s3_bucket and not _BUCKET.fullmatch(settings.s3_bucket):
        yield "S3_BUCKET is no name that a bucket can have: letters, digits, dots and hyphens."
    for name, region in (("AWS_REGION", settings.aws_region), ("REKOGNITION_REGION", settings.rekognition_region)):
        if region and not _REGION.fullmatch(region):
            yield f"{name} is no name of a region, such as eu-central-1."


def _fault(name: str, value: str, schemes: tuple[str, ...]) -> str:
    if value.partition("://")[0] not in schemes or "://" not in value:
        wanted = " or ".join(f"{scheme.partition('+')[0]}://" for scheme in schemes if "pysqlite" not in scheme)
        return f"has to begin with {wanted}."
    if value.startswith(("sqlite", "unix")):
        return ""
    try:
        url = urlsplit(value)
        readable = url.port != 0 and url.netloc.count("@") <= 1 and not url.fragment and "#" not in value
    except ValueError:
        readable = False
    if not readable:
        return f"can't be read as an address. {_ENCODE}"
    # PostgreSQL's host may stand in the query, as a socket's folder does.
    if not url.hostname and name != "DATABASE_URL":
        return "names no host."
    if name in _BARE and _has_more_than_host(url):
        return "has to be scheme, host and port alone, without a user and without a path."
    return ""


def _has_more_than_host(url: SplitResult) -> bool:
    return "@" in url.netloc or bool(url.path.strip("/") or url.query)
