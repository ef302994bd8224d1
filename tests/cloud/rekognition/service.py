"""What every operation works with: the account, the eyes, and a lock over what is kept."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import RLock
from typing import Any

from tests.cloud.rekognition import quality
from tests.cloud.rekognition.account import Account, Collection
from tests.cloud.rekognition.engine import Eyes, SeenFace
from tests.cloud.rekognition.faults import Faults
from tests.cloud.rekognition.pictures import fetch
from tests.cloud.rekognition.wire import Message, ServiceError


@dataclass
class Service:
    """The stand-in without its HTTP."""

    eyes: Eyes
    faults: Faults
    s3: Any | None = None
    account: Account = field(default_factory=Account)
    lock: RLock = field(default_factory=RLock)

    @contextmanager
    def collection(self, request: Message) -> Iterator[Collection]:
        """The collection that a request names, for this thread alone.

        Raises:
            ServiceError: there is none.
        """
        with self.lock:
            yield self.account.collection(request["CollectionId"])

    def look(self, request: Message) -> list[SeenFace]:
        """The faces of the request's picture, the largest first.

        Raises:
            ServiceError: the picture can't be had or is none that the service takes.
        """
        return self.eyes.look(fetch(request["Image"], self.s3))

    def probe(self, request: Message) -> SeenFace | None:
        """The largest face of the request's picture, or None where there is none or it does not pass the filter."""
        faces = self.look(request)
        level = request.get("QualityFilter", "NONE")
        return faces[0] if faces and not quality.reasons(faces[0], level) else None

    def page_size(self, request: Message, default: int) -> int:
        """How many entries a list's page has."""
        return min(request.get("MaxResults") or default, self.faults.page_limit or default)

    def most_answers(self, request: Message, name: str, default: int, most: int) -> int:
        """How many matches a search answers."""
        return min(int(request.get(name, default)), most, self.faults.answer_limit or most)


Operation = Callable[[Service, Message], Message]


def once(operation: Operation) -> Operation:
    """The same operation, which does nothing when a request comes again with the same token, and answers as before."""

    def guarded(service: Service, request: Message) -> Message:
        token = request.get("ClientRequestToken")
        if token is None:
            return operation(service, request)
        key = (operation.__name__, token)
        with service.lock:
            if key in service.account.done:
                earlier, answer = service.account.done[key]
                if json.dumps(earlier, sort_keys=True) != json.dumps(request, sort_keys=True):
                    message = "The token was used with other parameters before"
                    raise ServiceError("IdempotentParameterMismatchException", message)
                return answer
            answer = operation(service, request)
            service.account.done[key] = (request, answer)
            return answer

    return guarded
