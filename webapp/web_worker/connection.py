"""A client's connection to the web worker: where it is, and how long the request is that it brings."""

import re
import sys
from enum import IntEnum
from typing import Any

from gunicorn.workers.gthread import TConn

from webapp.web_worker.socket import Wire

MEGABYTE = 1024 * 1024

MOST_HEAD = 32 * 1024
"""Bytes of a request's line and headers."""

MOST_KEPT = 65 * MEGABYTE
"""Bytes of a body that are kept before a thread has it: a selfie that is too heavy, or one photo."""

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n")
# What the tus protocol calls the bytes of a file that may be sent in parts.
_PART = re.compile(rb"\r\ncontent-type:[ \t]*application/offset\+octet-stream")
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:")
_EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue")


class Phase(IntEnum):
    """Where a connection is. When there is no room for another one, those of the lowest phase go first."""

    IDLE = 0
    CLOSING = 1
    HEAD = 2
    SENDING = 3
    BODY = 4
    QUEUED = 5
    SERVED = 6
    GONE = 7


class Connection(TConn):
    """A client's connection."""

    sock: Wire

    def __init__(self, cfg: Any, wire: Wire, client: Any, server: Any) -> None:
        super().__init__(cfg, wire, client, server)
        # The loop gives it to a thread when there is a request, which therefore never waits for the first byte.
        self.data_ready = True
        self.phase = Phase.IDLE
        self.deadline = 0.0
        self.is_kept = False
        self.wanted: int | None = None
        """How long the request is, headers and body; None while its headers are not here."""
        self.goes_on = False
        """Whether its body is a part of a file, of which the app keeps each byte as soon as it has it."""
        self.has_place = False
        """Whether it has one of the places for bodies that are read while they come."""
        self.closes_at = 0.0
        self.began = 0.0
        """When its request began to come in."""
        self.counted = 0
        """How many of the bytes in its file are among the worker's `_on_disk`."""

    def measure(self) -> int | None:
        """How long the request is, once its headers are here; also notes whether its body has to be read live.

        What gunicorn's parser reads differently, it reads from what is here and no further, so this need not be right
        of requests that are wrong.
        """
        inbox = self.sock.inbox
        end = inbox.head.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = bytes(inbox.head[: end + 2]).lower()
        length = _LENGTH.search(head)
        body = sys.maxsize if _CHUNKED.search(head) else int(length[1]) if length else 0
        self.sock.live = body > MOST_KEPT
        self.goes_on = bool(_PART.search(head))
        if _EXPECTS.search(head) and inbox.size == end + 4 and not self.sock.live:
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.sock.continued = True
        return end + 4 + body
