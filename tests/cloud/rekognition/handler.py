"""One connection's HTTP: Rekognition at /, and below /_control/ the methods that tests in another process call."""

import json
import socket
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from tests.cloud.rekognition.signature import Received
from tests.cloud.rekognition.wire import Answer

if TYPE_CHECKING:
    from tests.cloud.rekognition.server import RekognitionServer

CONTROL = "/_control/"
FAULTS = ("throttle", "fail", "deny", "slow", "lose", "quota", "limit_answers", "limit_pages", "calm")
OWN = ("delete_collection", "forget")


class Handler(BaseHTTPRequestHandler):
    """Keeps connections open, as the service does."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith(CONTROL):
            self._send(self._control(self.path.removeprefix(CONTROL), body))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        received = Received(f"http://{headers.get('host', '')}{self.path}", headers, body)
        answer = self._owner.answer(received)
        if answer is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self._send(answer)

    def do_GET(self) -> None:
        state = {"contents": self._owner.contents(), **self._owner.journal.report()}
        self._send(_json(200, state) if self.path == f"{CONTROL}state" else _json(404, {"error": self.path}))

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base class calls it so
        """The journal says more than a line on stderr."""

    @property
    def _owner(self) -> "RekognitionServer":
        owner: RekognitionServer = self.server.owner  # type: ignore[attr-defined]
        return owner

    def _control(self, name: str, body: bytes) -> Answer:
        """Call a method with the body's members as its arguments."""
        target = self._owner.faults if name in FAULTS else self._owner if name in OWN else None
        if target is None:
            return _json(404, {"error": f"there is no {name}"})
        try:
            getattr(target, name)(**json.loads(body or b"{}"))
        except (TypeError, ValueError) as error:
            return _json(400, {"error": str(error)})
        return _json(200, {})

    def _send(self, answer: Answer) -> None:
        """Head and body in one piece, so that no client waits for a delayed acknowledgement between them."""
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self._headers_buffer.append(b"\r\n" + answer.body)  # type: ignore[attr-defined]
        self.flush_headers()


def _json(status: int, message: Any) -> Answer:
    return Answer(status, json.dumps(message).encode(), {"Content-Type": "application/json"})
