"""The one way to the service: what an event may still spend, whose turn it is, the call, its errors, the bill."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from botocore.exceptions import ClientError

from webapp import aws
from webapp.errors import FindMeError, MissingRights, NotFound, Transient
from webapp.faces.core.protocols import Meter
from webapp.faces.rekognition.quotas import PATIENCE, Buckets
from webapp.settings import Settings

LAST_ATTEMPT = 20.0
"""Seconds after which a call is not tried once more. The last try (3 s to connect, 10 s to answer) and botocore's pause
after it (at most 16 s) then end within the 50 s of a job, whatever mixture of faults there is."""

ONE_FACE = ("BoundingBox", "Confidence", "Landmarks[].Type", "Landmarks[].X", "Landmarks[].Y", "Pose.Yaw",
            "Quality.Brightness", "Quality.Sharpness")  # fmt: skip
"""What we read of a FaceDetail."""

ONE_MATCH = ("FaceMatches[].Similarity", "FaceMatches[].Face.FaceId")
ONE_USER = ("UserMatches[].Similarity", "UserMatches[].User.UserId")


@dataclass(frozen=True, slots=True)
class Operation:
    """One of the service's operations, as far as we use it."""

    method: str
    """Its name in boto3."""
    billable: bool
    """Whether it is on Amazon's price list (group 1 of Rekognition Image)."""
    reads: tuple[str, ...] = ()
    """The members of its answer that we read; `[]` steps into a list."""
    limited: bool = True
    """Whether an event's limit stops it; what erases is billed, but never stopped."""


OPERATIONS: Mapping[str, Operation] = MappingProxyType({
    "CreateCollection": Operation("create_collection", False, ("FaceModelVersion",)),
    "DescribeCollection": Operation("describe_collection", False, ("FaceModelVersion",)),
    "DeleteCollection": Operation("delete_collection", False),
    "IndexFaces": Operation("index_faces", True, (
        "FaceRecords[].Face.FaceId", *(f"FaceRecords[].FaceDetail.{part}" for part in ONE_FACE),
        "UnindexedFaces[].Reasons", *(f"UnindexedFaces[].FaceDetail.{part}" for part in ONE_FACE),
    )),
    "ListFaces": Operation(
        "list_faces", False, ("Faces[].FaceId", "Faces[].ExternalImageId", "NextToken")
    ),
    "DeleteFaces": Operation("delete_faces", False, (
        "UnsuccessfulFaceDeletions[].FaceId", "UnsuccessfulFaceDeletions[].Reasons",
        "UnsuccessfulFaceDeletions[].UserId",
    )),
    "SearchFaces": Operation("search_faces", True, ONE_MATCH),
    "SearchFacesByImage": Operation("search_faces_by_image", True, ONE_MATCH),
    "CreateUser": Operation("create_user", False),
    "DeleteUser": Operation("delete_user", False),
    "ListUsers": Operation("list_users", False, ("Users[].UserId", "NextToken")),
    "AssociateFaces": Operation("associate_faces", True, (
        "UnsuccessfulFaceAssociations[].FaceId", "UnsuccessfulFaceAssociations[].Reasons",
        "UnsuccessfulFaceAssociations[].UserId",
    )),
    "DisassociateFaces": Operation("disassociate_faces", True, limited=False),
    "SearchUsersByImage": Operation("search_users_by_image", True, ONE_USER),
})  # fmt: skip


class Client:
    """Calls of one process, over one client of boto3's that is made at the first call. Safe for several threads."""

    def __init__(self, settings: Settings, meter: Meter, buckets: Buckets, *, attempts: int = aws.MAX_ATTEMPTS) -> None:
        self._settings, self._meter, self._buckets, self._attempts = settings, meter, buckets, attempts
        self._boto: Any = None
        self._making = threading.Lock()
        self._course = _Course()

    @property
    def maybe_repeated(self) -> bool:
        """Whether this thread's last call may have been carried out more than once: an answer was lost on the way."""
        return self._course.lost

    def call(self, operation: str, event_key: str, **params: Any) -> dict[str, Any]:
        """Call one of OPERATIONS on the account of an event; returns its answer.

        Raises:
            LimitReached: the event has used up its calls; nothing was sent.
            Transient: `engine_busy` or `engine_away`, after all attempts.
            MissingRights: keys or permissions are wrong.
            NotFound: `engine_missing`, no such collection, or no such user in it.
            Invalid, TooLarge: the service does not take this.
            ConfigurationError: the region does not have the service.
        """
        known = OPERATIONS[operation]
        if known.billable and known.limited:
            self._meter.allow(event_key, operation)
        self._course.begin()
        try:
            with aws.translated("engine"):
                answer: dict[str, Any] = getattr(self._service(), known.method)(**params)
        except FindMeError as error:
            if known.billable and self._course.sent and _may_cost(error):
                self._meter.count(event_key, operation)
            raise
        if known.billable:
            self._meter.count(event_key, operation)
        return answer

    def _service(self) -> Any:
        with self._making:
            if self._boto is None:
                self._boto = aws.client(self._settings, "rekognition", attempts=self._attempts)
                # botocore's own retries go out through these as well: each of them is a call to the quota.
                self._boto.meta.events.register("before-send.rekognition", self._before_sending)
                self._boto.meta.events.register("response-received.rekognition", self._after_answer)
            return self._boto

    def _before_sending(self, event_name: str, **_: Any) -> None:
        left = LAST_ATTEMPT - self._course.seconds
        if left <= 0:
            raise Transient(f"no answer within {LAST_ATTEMPT:g} s", code=self._course.fault)
        self._buckets.take(event_name.rsplit(".", 1)[-1], min(PATIENCE, left))
        self._course.sent += 1

    def _after_answer(
        self, event_name: str, parsed_response: dict[str, Any] | None, exception: Exception | None, **_: Any
    ) -> None:
        if exception is not None:
            self._course.note("engine_away", lost=not isinstance(exception, FindMeError))
        elif parsed_response is not None and "Error" in parsed_response:
            try:
                with aws.translated("engine"):
                    raise ClientError(parsed_response, event_name.rsplit(".", 1)[-1])
            except FindMeError as error:
                self._course.note(error.code, lost=error.code == "engine_away")


class _Course(threading.local):
    """How the present call of a thread is going."""

    started = 0.0
    sent = 0
    lost = False
    fault = "engine_away"

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def begin(self) -> None:
        self.started, self.sent, self.lost, self.fault = time.monotonic(), 0, False, "engine_away"

    def note(self, fault: str, *, lost: bool) -> None:
        self.fault, self.lost = fault, self.lost or lost


def _may_cost(error: FindMeError) -> bool:
    """Whether a call that failed may be on the bill: not if it was turned away at the door."""
    return not isinstance(error, MissingRights | NotFound) and error.code != "engine_busy"
