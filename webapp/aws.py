"""The edge to Amazon's services: clients made from the settings, and their errors as our types.

Both the S3 store and the Rekognition engine go through here, so that a throttled call, a wrong key and a picture that
the service can't read mean the same everywhere.
"""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any, Literal

import boto3
import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.loaders import Loader, create_loader

from webapp.errors import ConfigurationError, FindMeError, Invalid, MissingRights, NotFound, TooLarge, Transient
from webapp.settings import Settings

Service = Literal["s3", "rekognition", "organizations"]

MAX_ATTEMPTS = 6
CONNECT_SECONDS = 3
READ_SECONDS: dict[Service, int] = {"s3": 20, "rekognition": 10, "organizations": 10}
POOL = 32
"""Connections that a process keeps to a service: as many as it has threads."""

_BUSY = frozenset({
    "ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown",
    "ProvisionedThroughputExceededException", "LimitExceededException", "RequestThrottled",
})  # fmt: skip
_AWAY = frozenset({
    "InternalServerError", "InternalFailure", "InternalError", "ServiceUnavailable", "ServiceUnavailableException",
    "RequestTimeout", "RequestTimeoutException", "RequestTimeTooSkewed", "ConflictException",
    "ServiceQuotaExceededException", "IdempotentParameterMismatchException",
})  # fmt: skip
_RIGHTS = frozenset({
    "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnrecognizedClientException",
    "InvalidSignatureException", "SignatureDoesNotMatch", "InvalidAccessKeyId", "InvalidClientTokenId", "ExpiredToken",
    "ExpiredTokenException", "IncompleteSignature", "MissingAuthenticationToken", "InvalidToken", "AuthFailure",
    "NoSuchBucket", "AllAccessDisabled", "AccountProblem", "OptInRequired", "KMSAccessDeniedException",
    "KMS.DisabledException", "KMS.NotFoundException",
})  # fmt: skip
"""What only ops can mend; a missing bucket belongs here as well."""

_MISSING = frozenset({"NoSuchKey", "404", "NotFound", "ResourceNotFoundException", "NoSuchUpload"})


def client(settings: Settings, service: Service, *, attempts: int = MAX_ATTEMPTS) -> Any:
    """A client of one of the services; thread-safe, one per process is enough.

    Raises:
        ConfigurationError: the region does not have the service.
    """
    session = _session()
    region, endpoint = _place(settings, service)
    if not endpoint and service == "rekognition" and region not in session.get_available_regions(service):
        raise ConfigurationError(
            f"There is no Rekognition in the region {region}. Set REKOGNITION_REGION to one that has it, such as "
            f"{', '.join(sorted(session.get_available_regions(service))[:6])}; it may differ from AWS_REGION."
        )
    config = Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=POOL,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS[service],
        **(_s3_options(endpoint) if service == "s3" else {}),
    )
    made = session.client(
        service,
        region_name=region or None,
        endpoint_url=endpoint or None,
        aws_access_key_id=settings.aws_access_key_id.get_secret_value() or None,
        aws_secret_access_key=settings.aws_secret_access_key.get_secret_value() or None,
        aws_session_token=settings.aws_session_token.get_secret_value() or None,
        config=config,
    )
    if service == "s3":
        made.meta.events.register("before-sign.s3.DeleteObjects", _add_content_md5)
    return made


def bucket_origin(settings: Settings) -> str:
    """Where browsers meet S3_BUCKET, as a Content-Security-Policy names it: `https://BUCKET.s3.REGION.amazonaws.com/`.

    Where the bucket is part of the path so it is here. Needs neither keys nor a connection.
    """
    return _origin(settings.s3_bucket, *_place(settings, "s3"))


@lru_cache(maxsize=64)
def _origin(bucket: str, region: str, endpoint: str) -> str:
    nobody = _session().client(
        "s3",
        region_name=region or None,
        endpoint_url=endpoint or None,
        config=Config(**_s3_options(endpoint) | {"signature_version": UNSIGNED}),
    )
    address = nobody.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    return str(address).removesuffix("k")


@contextmanager
def translated(part: Literal["storage", "engine"]) -> Iterator[None]:
    """Turn what boto raises inside the block into our types.

    Raises:
        Transient: `storage_away`, `engine_away` or `engine_busy`; to be tried again.
        MissingRights: keys, permissions or the bucket are wrong; ops have to be told.
        NotFound: there is no such object, collection or user.
        TooLarge, Invalid: the service can't take this input, today or ever.
    """
    try:
        yield
    except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError) as error:
        raise MissingRights(type(error).__name__, code=f"{part}_rights") from error
    except ClientError as error:
        raise _of_answer(part, error) from error
    except (BotoConnectionError, HTTPClientError, IncompleteReadError) as error:
        raise Transient(type(error).__name__, code=f"{part}_away") from error
    except BotoCoreError as error:
        # What botocore itself refuses to send is a fault of ours, and no later try will mend it.
        raise Invalid(f"{type(error).__name__}: {error}", code=f"{part}_refused") from error


def error_code(error: ClientError) -> str:
    """The service's own word for what went wrong."""
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    """The answer's HTTP status; 0 if there was none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _of_answer(part: str, error: ClientError) -> FindMeError:
    code = error_code(error)
    status = status_of(error)
    detail = f"{error.operation_name}: {code}"
    if code in _RIGHTS or status == 401 or (status == 403 and code not in _BUSY):
        return MissingRights(detail, code=f"{part}_rights")
    if code in _BUSY or status == 429:
        return Transient(detail, code=f"{part}_busy")
    if code in _AWAY or status >= 500:
        return Transient(detail, code=f"{part}_away")
    if code in _MISSING or status == 404:
        return NotFound(detail, code=f"{part}_missing")
    if code in ("ImageTooLargeException", "EntityTooLarge"):
        return TooLarge(detail, code="photo_too_large")
    if code == "InvalidImageFormatException":
        return Invalid(detail, code="unreadable")
    return Invalid(detail, code=f"{part}_refused")


def _session() -> boto3.session.Session:
    """A session of its own, since it looks for keys once and is no place for several threads at a time."""
    core = botocore.session.get_session()
    core.register_component("data_loader", _descriptions(core.get_config_variable("data_path")))
    return boto3.session.Session(botocore_session=core)


@cache
def _descriptions(paths: str | None) -> Loader:
    """What botocore knows of the services: megabytes of JSON, of which a process reads and keeps what it needs once."""
    return create_loader(paths)


def _place(settings: Settings, service: Service) -> tuple[str, str]:
    if service == "rekognition":
        return settings.rekognition_region or settings.aws_region, settings.rekognition_endpoint_url
    if service == "organizations":
        return settings.rekognition_region or settings.aws_region, ""
    # Stores that are not Amazon's know no regions, but a signature needs one.
    return settings.aws_region or ("us-east-1" if settings.s3_endpoint_url else ""), settings.s3_endpoint_url


def _s3_options(endpoint: str) -> dict[str, Any]:
    return {
        # With "auto", signed addresses name a host that sends browsers on to the bucket's region, and there their
        # signature is wrong.
        "s3": {"addressing_style": "path" if endpoint else "virtual", "us_east_1_regional_endpoint": "regional"},
        # Without this, addresses for stores that are not Amazon's are signed in the old way, which few still take.
        "signature_version": "s3v4",
        # Checksums in trailers, the default since botocore 1.36, are refused by many stores that speak S3. Nothing is
        # lost without them: the signature covers the whole body.
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    }


def _add_content_md5(request: Any, **_: object) -> None:
    """The checksum that S3 has always demanded of this one call; older stores know no other."""
    digest = hashlib.md5(request.body, usedforsecurity=False).digest()
    request.headers["Content-MD5"] = base64.b64encode(digest).decode()
