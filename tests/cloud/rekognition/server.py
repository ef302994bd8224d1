"""The stand-in as an HTTP server: connections, signatures, faults and the books around the operations."""

import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from http.server import ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, Self

from tests.cloud.rekognition.engine import Eyes, shared_eyes
from tests.cloud.rekognition.faults import Faults
from tests.cloud.rekognition.handler import Handler
from tests.cloud.rekognition.journal import Call, Journal, facts_of
from tests.cloud.rekognition.operations import OPERATIONS
from tests.cloud.rekognition.service import Service
from tests.cloud.rekognition.signature import Received, check
from tests.cloud.rekognition.wire import (
    Answer,
    Message,
    ServiceError,
    operation_of,
    read_request,
    write_answer,
    write_error,
)
from webapp.faces.local.analyzer import LocalFaceAnalyzer


class RekognitionServer:
    """A Rekognition of the test's own, on a port of this machine.

    keys: access key ids and their secrets; without any, signatures are not looked at. region: the only one that
    signatures may be for (empty: any). s3: a client of boto3's, for pictures by reference. load: makes the local
    engine; by default all servers of a process share one.
    """

    def __init__(
        self,
        *,
        keys: Mapping[str, str] | None = None,
        region: str = "",
        s3: Any | None = None,
        load: Callable[[], LocalFaceAnalyzer] | None = None,
        port: int = 0,
    ) -> None:
        self.keys = dict(keys or {})
        self.region = region
        self.faults = Faults()
        self.journal = Journal()
        self.service = Service(Eyes(load) if load else shared_eyes(), self.faults, s3)
        self._port = port
        self._http: _HttpServer | None = None
        self._thread: Thread | None = None

    @property
    def url(self) -> str:
        """Where it is reached; the same after a stop and a start."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def calls(self) -> list[Call]:
        """The requests in order."""
        return self.journal.calls

    @property
    def faults_of_its_own(self) -> list[str]:
        """What this server did wrong itself; has to be empty at the end of a test."""
        return self.journal.faults_of_its_own

    def count(self, operation: str) -> int:
        """How often an operation was asked for, refused requests as well."""
        return self.journal.counts()[operation]

    def contents(self) -> dict[str, Message]:
        """Every collection: {"faces": {face id: external id}, "users": {user id: [face ids]}}."""
        with self.service.lock:
            return {name: entry.contents() for name, entry in self.service.account.collections.items()}

    def delete_collection(self, name: str) -> None:
        """Somebody deletes a collection by hand; one that is not there is no error."""
        with self.service.lock:
            self.service.account.collections.pop(name, None)

    def forget(self) -> None:
        """A new account, no faults, empty books; the engine stays loaded. For the next test."""
        with self.service.lock:
            self.service.account.collections.clear()
            self.service.account.done.clear()
        self.faults.calm()
        self.journal.clear()

    def start(self) -> Self:
        self._http = _HttpServer(("127.0.0.1", self._port), Handler)
        self._http.owner = self
        self._port = self._http.server_address[1]
        self._thread = Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close the port and every open connection; what is kept stays for another start."""
        if self._http is None or self._thread is None:
            return
        self.faults.wake()
        self._http.shutdown()
        self._http.server_close()
        self._http.hang_up()
        self._thread.join()
        self._http = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def answer(self, received: Received) -> Answer | None:
        """What to say to a request; None: nothing, the connection is to be closed."""
        call = self.journal.open((received.headers.get("x-amz-target") or "").rpartition(".")[2])
        with self.journal.at_work():
            try:
                return self._serve(received, call)
            except ServiceError as error:
                call.outcome = error.code
                return write_error(error)
            except Exception:
                call.outcome = "fault_of_its_own"
                self.faults_of_its_own.append(f"{call.operation}: {traceback.format_exc()}")
                return write_error(ServiceError("InternalServerError", "See faults_of_its_own.", 500))

    def _serve(self, received: Received, call: Call) -> Answer | None:
        operation = operation_of(received.headers.get("x-amz-target"))
        if self.keys:
            call.key = check(received, self.keys, self.region)
        self.faults.wait(operation.name, call.key)
        self.faults.refuse(operation.name, call.key)
        request = read_request(operation, received.body)
        call.facts = facts_of(request)
        if operation.name not in OPERATIONS:
            raise ServiceError("UnknownOperationException", f"{operation.name} is not carried out here.")
        message = OPERATIONS[operation.name](self.service, request)
        answer = write_answer(operation, message)
        if self.faults.take("lose", operation.name, call.key) is not None:
            call.outcome = "lost"
            return None
        self.journal.sent(call, message)
        call.outcome = "ok"
        return answer


class _HttpServer(ThreadingHTTPServer):
    """Knows its open connections, so that a stopped server does not go on answering on them."""

    daemon_threads = True
    request_queue_size = 128
    owner: RekognitionServer

    def __init__(self, *arguments: Any) -> None:
        self._open: set[socket.socket] = set()
        self._lock = Lock()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away (a time-out, a killed worker) is nothing to speak of; anything else is our fault."""
        if not isinstance(sys.exception(), OSError):
            self.owner.faults_of_its_own.append(traceback.format_exc())

    def hang_up(self) -> None:
        """Close every connection under the hands of whoever reads from it."""
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
