"""The edge to Amazon's services: clients made from the settings, and their errors as our types.

Both the S3 store and the Rekognition engine go through here, so that a throttled call, a wrong key and a picture that
the service can't read mean the same everywhere.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError, PartialCredentialsError
from botocore.exceptions import ConnectionError as BotoConnectionError

from webapp.errors import ConfigurationError, FindMeError, Invalid, MissingRights, NotFound, TooLarge, Transient
from webapp.settings import Settings

Service = Literal["s3", "rekognition"]

MAX_ATTEMPTS = 6
CONNECT_SECONDS = 3
READ_SECONDS = {"s3": 20, "rekognition": 10}
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
    "NoSuchBucket", "AllAccessDisabled", "AccountProblem", "OptInRequired", "KMSAccessDeniedException", "KMS.DisabledException",
})  # fmt: skip
"""What only ops can mend; a missing bucket belongs here as well."""

_MISSING = frozenset({"NoSuchKey", "404", "NotFound", "ResourceNotFoundException", "NoSuchUpload"})


def client(settings: Settings, service: Service, *, attempts: int = MAX_ATTEMPTS) -> Any:
    """A client of one of the services; thread-safe, one per process is enough.

    Raises:
        ConfigurationError: the region does not have the service.
    """
    session = boto3.session.Session()
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
        s3={"addressing_style": "path" if endpoint else "auto"} if service == "s3" else None,
    )
    return session.client(
        service,
        region_name=region or None,
        endpoint_url=endpoint or None,
        aws_access_key_id=settings.aws_access_key_id.get_secret_value() or None,
        aws_secret_access_key=settings.aws_secret_access_key.get_secret_value() or None,
        aws_session_token=settings.aws_session_token.get_secret_value() or None,
        config=config,
    )


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
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise MissingRights(type(error).__name__, code=f"{part}_rights") from error
    except ClientError as error:
        raise _of_answer(part, error) from error
    except (BotoConnectionError, HTTPClientError) as error:
        raise Transient(type(error).__name__, code=f"{part}_away") from error
    except BotoCoreError as error:
        # What botocore itself refuses to send is a fault of ours, and no later try will mend it.
        raise Invalid(f"{type(error).__name__}: {error}", code=f"{part}_refused") from error


def error_code(error: ClientError) -> str:
    """The service's own word for what went wrong."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _of_answer(part: str, error: ClientError) -> FindMeError:
    code = error_code(error)
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
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


def _place(settings: Settings, service: Service) -> tuple[str, str]:
    if service == "rekognition":
        return settings.rekognition_region or settings.aws_region, settings.rekognition_endpoint_url
    # Stores that are not Amazon's know no regions, but a signature needs one.
    return settings.aws_region or ("us-east-1" if settings.s3_endpoint_url else ""), settings.s3_endpoint_url
