"""A client of the face service that records each call, and a meter that keeps its counts in memory."""

import statistics
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from botocore.exceptions import ClientError

from webapp import aws
from webapp.errors import FindMeError, Invalid, LimitReached, MissingRights, NotFound, Transient
from webapp.faces.rekognition.client import OPERATIONS, Client

MOST_CALLS = 40
"""Billable calls of a trial at most; the meter refuses more."""

Status = Literal["ok", "missing right", "failed", "allowed, not tried", "not tried"]

_EXPECTED = {("CreateCollection", "ResourceAlreadyExistsException"), ("CreateUser", "ConflictException")}
"""Answers to repeated calls that the product takes for success."""

_DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")


class TrialMeter:
    """The Meter protocol: counts billable calls in memory, and allows MOST_CALLS."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def allow(self, event_key: str, operation: str) -> None:  # noqa: ARG002 - the protocol's
        if self.calls.total() >= MOST_CALLS:
            raise LimitReached(f"{operation}: a trial makes at most {MOST_CALLS} billable calls")

    def count(self, event_key: str, operation: str, calls: int = 1) -> None:  # noqa: ARG002 - the protocol's
        self.calls[operation] += calls


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operation and its outcome."""

    operation: str
    collection: str
    milliseconds: float | None
    """From sending the last attempt to its answer, without waiting for the quota; None: no answer came."""
    error: FindMeError | None = None
    is_alone: bool = False
    """Whether it was made with parameters that name nothing, only to learn whether it is allowed."""

    @property
    def service_code(self) -> str:
        """The error code of the service; empty if it did not answer with an error."""
        cause = self.error.__cause__ if self.error is not None else None
        return aws.error_code(cause) if isinstance(cause, ClientError) else ""

    @property
    def succeeded(self) -> bool:
        return self.error is None or (self.operation, self.service_code) in _EXPECTED

    @property
    def is_denied(self) -> bool:
        """Whether the policy lacks the action; wrong keys are another error."""
        return self.service_code in _DENIED

    @property
    def is_hopeless(self) -> bool:
        """Whether any other call would fail for the same reason: wrong keys, or no connection."""
        if isinstance(self.error, MissingRights):
            return not self.is_denied
        cause = self.error.__cause__ if isinstance(self.error, Transient) else None
        return cause is not None and not isinstance(cause, ClientError)

    @property
    def reason(self) -> str:
        """The error in a few words, without identifiers of the account."""
        if self.error is None:
            return ""
        return self.error.detail.removeprefix(f"{self.operation}: ") or self.error.code


class RecordingClient(Client):
    """The product's client, recording its calls. For one thread."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.record: list[Call] = []
        self.is_alone = False
        """Set for the calls that follow; see Call.is_alone."""
        self._sent_at = 0.0
        self._milliseconds: float | None = None

    def call(self, operation: str, event_key: str, **params: Any) -> dict[str, Any]:
        collection = str(params.get("CollectionId", ""))
        self._milliseconds = None
        try:
            answer = super().call(operation, event_key, **params)
        except FindMeError as error:
            self.record.append(Call(operation, collection, self._milliseconds, error, self.is_alone))
            raise
        except BaseException:
            # Ctrl-C: the call may have been carried out.
            self.record.append(Call(operation, collection, None, Transient("interrupted", code="engine_away")))
            raise
        self.record.append(Call(operation, collection, self._milliseconds, is_alone=self.is_alone))
        return answer

    def _before_sending(self, event_name: str, **details: Any) -> None:
        super()._before_sending(event_name, **details)
        self._sent_at = time.monotonic()

    def _after_answer(
        self, event_name: str, parsed_response: dict[str, Any] | None, exception: Exception | None, **details: Any
    ) -> None:
        if exception is None:
            self._milliseconds = (time.monotonic() - self._sent_at) * 1000
        super()._after_answer(event_name, parsed_response, exception, **details)


@dataclass(frozen=True, slots=True)
class OperationResult:
    """The outcome of all calls of one operation."""

    operation: str
    status: Status
    calls: int = 0
    milliseconds: float | None = None
    """Median of the calls that succeeded."""
    reason: str = ""
    action: str = field(init=False)
    """The IAM action that allows the operation."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "action", f"rekognition:{self.operation}")


def results(record: Iterable[Call]) -> Iterator[OperationResult]:
    """One result for each of OPERATIONS, in the order of that table."""
    calls = list(record)
    for operation in OPERATIONS:
        yield _result(operation, [call for call in calls if call.operation == operation])


def _result(operation: str, calls: list[Call]) -> OperationResult:
    if not calls:
        return OperationResult(operation, "not tried")
    good = [call for call in calls if call.succeeded]
    if good:
        # An earlier failure (a user that was still being changed) was repeated until it worked.
        times = [call.milliseconds for call in good if call.milliseconds is not None]
        return OperationResult(operation, "ok", len(calls), statistics.median(times) if times else None)
    last = calls[-1]
    status: Status = "failed"
    if last.is_denied:
        status = "missing right"
    elif isinstance(last.error, NotFound) or (last.is_alone and isinstance(last.error, Invalid)):
        # Rights are checked before existence: an earlier call was to make what is missing here.
        status = "allowed, not tried"
    return OperationResult(operation, status, len(calls), None, last.reason)
