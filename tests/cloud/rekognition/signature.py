"""Checks signatures for real: botocore signs once more what was received, and both results must be the same."""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.cloud.rekognition.wire import ServiceError

SERVICE = "rekognition"
MOST_SKEW = timedelta(minutes=5)

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, ?"
    r"SignedHeaders=(?P<headers>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came in; header names in lower case."""

    url: str
    headers: Mapping[str, str]
    body: bytes


def check(received: Received, keys: Mapping[str, str], region: str = "") -> str:
    """Whose access key signed the request. keys: access key ids and their secrets; region: the only one that is right.

    Raises:
        ServiceError: `MissingAuthenticationTokenException`, `IncompleteSignatureException`,
            `UnrecognizedClientException` or `InvalidSignatureException`.
    """
    authorization = received.headers.get("authorization", "")
    if not authorization:
        raise ServiceError("MissingAuthenticationTokenException", "Missing Authentication Token")
    parts = _AUTHORIZATION.fullmatch(authorization)
    if parts is None or not {"host", "x-amz-date"} <= set(parts["headers"].split(";")):
        raise ServiceError("IncompleteSignatureException", "The Authorization header is incomplete.")
    if parts["key"] not in keys:
        raise ServiceError("UnrecognizedClientException", "The security token included in the request is invalid.")
    if parts["service"] != SERVICE or (region and parts["region"] != region):
        raise _invalid(f"Credential should be scoped to {region or 'a region'} and to the service {SERVICE}.")
    _check_time(received.headers.get("x-amz-date", ""), parts["day"])
    signed = _sign(received, parts, keys[parts["key"]])
    if not hmac.compare_digest(signed, parts["signature"]):
        raise _invalid("The request signature we calculated does not match the signature you provided.")
    return parts["key"]


def _check_time(stamp: str, day: str) -> None:
    try:
        at = datetime.strptime(stamp, SIGV4_TIMESTAMP).replace(tzinfo=UTC)
    except ValueError as error:
        raise _invalid("X-Amz-Date is no time.") from error
    if not stamp.startswith(day) or abs(datetime.now(UTC) - at) > MOST_SKEW:
        raise _invalid(f"Signature expired: {stamp} is too far from now.")


def _sign(received: Received, parts: re.Match[str], secret: str) -> str:
    """The signature that the holder of the secret would have made of this request."""
    claimed = received.headers.get("x-amz-content-sha256")
    if claimed is not None and claimed != sha256(received.body).hexdigest():
        raise _invalid("The body is not the one that was signed.")
    headers = {name: received.headers.get(name, "") for name in parts["headers"].split(";")}
    request = AWSRequest(method="POST", url=received.url, data=received.body, headers=headers)
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(Credentials(parts["key"], secret), SERVICE, parts["region"])
    return str(auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request))


def _invalid(message: str) -> ServiceError:
    return ServiceError("InvalidSignatureException", message)
