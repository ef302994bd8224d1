"""Gunicorn's threaded worker, with clients that are slow, or silent on purpose, kept away from its threads.

Gunicorn's own gives a thread to a connection with its first byte, and has no time limit for reading or sending: as many
connections as there are threads, each with half a request, stop the site for as long as they like. Here one loop
receives and sends for all connections, and a thread has a request from the moment in which all of it is here until its
answer is written:

    IDLE ──> HEAD ──> BODY ──> (thread) ──> SENDING ──> IDLE, or CLOSING
                └──> QUEUED ──┘

A body that is larger than `MOST_KEPT`, or whose length is not stated, is read while it comes, so that it can't fill the
disk before the app has said whether it wants it; QUEUED waits for one of a few places for such. They have threads of
their own: together with all else for which the app lets a few threads wait, such bodies would hold every thread. Where
there is a place, the part of a file that comes by tus is read in this way as well: what the app has of it outlives this
process. A connection that ends within a body, or is too slow with it, goes to the app as it is, which keeps what had
arrived where it can.

The limits are in the settings REQUEST_HEAD_SECONDS, REQUEST_SILENCE_SECONDS and REQUEST_MIN_RATE. All of gunicorn that
this builds on is in `gunicorn.workers.gthread`, so the version is pinned: every step up needs
tests/attacks/test_stalled_connections.py and tests/integration/test_web_worker.py.
"""

import errno
import selectors
import socket
import struct
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

from webapp.settings import Settings
from webapp.web_worker.connection import MEGABYTE, MOST_HEAD, Connection, Phase
from webapp.web_worker.socket import PIECE, Wire

MOST_ON_DISK = 1024 * MEGABYTE
"""Bytes of bodies that a process keeps on the disk. Beyond them, the body that has taken up most of it for longer than
clients may be silent is given up; where there is none, bodies are read while they come."""

MOST_UNSENT = 64 * MEGABYTE
"""Bytes of answers that a process keeps in memory; beyond them, clients that have taken nothing for `UNTAKEN` go."""

UNTAKEN = 3.0

LINGER_SILENCE, LINGER_SECONDS = 2.0, 30.0
"""How long we listen to a client that still sends while we have said all: at a reset it would not read our answer."""

_RESET = struct.pack("ii", 1, 0)
_SAYS = {
    408: b"408 Request Timeout",
    431: b"431 Request Header Fields Too Large",
    503: b"503 Service Unavailable",
}


class Worker(ThreadWorker):
    """See the module's text."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        settings = Settings.from_env()
        self._head_seconds = settings.request_head_seconds
        self._pace = {"silence": settings.request_silence_seconds, "rate": settings.request_min_rate}
        self._watched: dict[Connection, None] = {}
        self._queue: dict[Connection, None] = {}
        self._places = max(1, self.cfg.threads // 2)
        self._on_disk = 0

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse what this worker can't do.

        Raises:
            RuntimeError: TLS, which ends at the proxy, or HTTP/2.
        """
        super().check_config(cfg, log)
        if cfg.is_ssl or cfg.http2_cleartext not in ("", "off", None):
            raise RuntimeError(
                "TLS and HTTP/2 are for the proxy in front: webapp.web_worker.worker speaks HTTP/1.1 alone."
            )

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:  # noqa: ARG002 - `addr` is left out on purpose
        """Answer what is no request. Gunicorn would write the client's address into the log."""
        super().handle_error(req, client, ("a client", -1), exc)

    def init_process(self) -> None:
        """Called in the worker's process; returns when it ends."""
        self._live_pool = ThreadPoolExecutor(self._places)
        super().init_process()

    # --- watching connections ---

    def _watch(self, conn: Connection, phase: Phase, deadline: float) -> None:
        """Let the loop have a connection in this phase until `deadline`."""
        writes = phase is Phase.SENDING
        event = selectors.EVENT_WRITE if writes else selectors.EVENT_READ
        step = self._send if writes else self._drain if phase is Phase.CLOSING else self._receive
        if phase is Phase.QUEUED:
            self._unwatch(conn)
        elif conn not in self._watched or conn.phase is Phase.QUEUED:
            self.poller.register(conn.sock, event, partial(self._guarded, conn, step))
        elif phase is not conn.phase:
            self.poller.modify(conn.sock, event, partial(self._guarded, conn, step))
        self._watched[conn] = None
        conn.phase, conn.deadline = phase, deadline

    def _unwatch(self, conn: Connection) -> None:
        if conn in self._watched:
            del self._watched[conn]
            if conn.phase is not Phase.QUEUED:
                self.poller.unregister(conn.sock)

    def _guarded(self, conn: Connection, step: Callable[[Connection], None], _: Any = None) -> None:
        """Take a step with a connection; what goes wrong with one is no reason to drop the others."""
        if conn.phase in (Phase.SERVED, Phase.GONE):
            return
        try:
            step(conn)
        except OSError:
            self._drop(conn)
        except Exception:
            self.log.exception("Error with a connection")
            self._drop(conn)

    def _drop(self, conn: Connection) -> None:
        if conn.phase is Phase.GONE:
            return
        self._unwatch(conn)
        self._queue.pop(conn, None)
        self._leave_place(conn)
        conn.phase = Phase.GONE
        self.nr_conns -= 1
        conn.close()
        self._count(conn)

    def _count(self, conn: Connection) -> None:
        """Note how much its request takes of the disk now."""
        on_disk = conn.sock.inbox.on_disk
        self._on_disk += on_disk - conn.counted
        conn.counted = on_disk

    # --- a request comes in ---

    def accept(self, listener: socket.socket) -> None:
        """Take a connection; another one goes where there would be too many."""
        try:
            accepted, client = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._make_room()
            elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                raise
            return
        self.nr_conns += 1
        if self.nr_conns >= self.worker_connections:
            self._make_room()
        conn = Connection(self.cfg, Wire(accepted, **self._pace), client, listener.getsockname())
        self._watch(conn, Phase.IDLE, time.monotonic() + self.cfg.keepalive)

    def _make_room(self) -> None:
        """Drop the connection that matters least: one without a request, or whose client has little time left."""
        least = min(self._watched, key=lambda conn: (conn.phase, conn.deadline), default=None)
        if least is not None:
            self._drop(least)

    def _receive(self, conn: Connection) -> None:
        piece = conn.sock.receive()
        if piece is None:
            return
        if not piece:
            self._end_early(conn)
            return
        if conn.phase is Phase.IDLE:
            conn.sock.reading.start()
        conn.sock.reading.moved(len(piece))
        conn.sock.inbox.append(piece)
        self._count(conn)
        self._advance(conn)

    def _advance(self, conn: Connection) -> None:
        """Go on with what is here of a request."""
        now, inbox = time.monotonic(), conn.sock.inbox
        if conn.phase is Phase.IDLE:
            conn.began = now
            self._watch(conn, Phase.HEAD, now + self._head_seconds)
        if conn.wanted is None:
            conn.wanted = conn.measure()
        if conn.wanted is None:
            if inbox.size > MOST_HEAD:
                self._refuse(conn, 431)
        elif inbox.size >= conn.wanted:
            conn.sock.live = False
            self._serve(conn)
        elif self._is_read_live(conn):
            conn.sock.live = True
            self._watch(conn, Phase.QUEUED, now + self._head_seconds)
            self._queue[conn] = None
            self._fill_places()
        elif conn.phase is not Phase.SERVED:
            self._watch(conn, Phase.BODY, conn.sock.reading.deadline)

    def _is_read_live(self, conn: Connection) -> bool:
        """Whether a thread shall have this body while it comes. Frees the disk where that helps."""
        wire = conn.sock
        if wire.live or wire.inbox.is_full or (conn.goes_on and self._places):
            return True
        return self._on_disk > MOST_ON_DISK and not self._free_disk()

    def _free_disk(self) -> bool:
        """Give up the body that has taken up most of the disk, in bytes times seconds; False where none has for long.

        A few large ones that are all but complete would else keep everybody from uploading, at no cost.
        """
        now = time.monotonic()
        held = {
            conn: conn.counted * (now - conn.began)
            for conn in self._watched
            if conn.phase is Phase.BODY and now - conn.began > self._pace["silence"]
        }
        worst = max(held, key=held.__getitem__, default=None)
        if worst is None or not held[worst]:
            return False
        # A thread frees the disk in a moment; until then no other one has to go for it.
        self._on_disk -= worst.counted
        worst.counted = 0
        self._end_early(worst)
        return True

    def _fill_places(self) -> None:
        while self._queue and self._places:
            conn = next(iter(self._queue))
            del self._queue[conn]
            self._places -= 1
            conn.has_place = True
            self._serve(conn)

    def _leave_place(self, conn: Connection) -> None:
        if conn.has_place:
            conn.has_place = False
            self._places += 1
            self._fill_places()

    def _serve(self, conn: Connection) -> None:
        self._unwatch(conn)
        conn.phase = Phase.SERVED
        self.enqueue_req(conn)

    def enqueue_req(self, conn: Connection) -> None:
        """Have a thread handle its request."""
        pool = self._live_pool if conn.has_place else self.tpool
        handled = pool.submit(self.handle, conn)
        handled.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        """Skip what the app did not read of a body, so that the connection can be used again.

        Gunicorn skips 64 KB and then closes a connection whose answer said keep-alive. A proxy that sends its next
        request on it answers 502. Here the rest of the body has arrived already, so no client is waited for.
        """
        if keepalive and not conn.sock.live:
            return bool(conn.parser.finish_body())
        return bool(super()._keepalive_after(conn, keepalive))

    def _end_early(self, conn: Connection) -> None:
        """The client sends no more, or is too slow. Of a body, the app may keep what is here."""
        if conn.phase is Phase.BODY:
            self._serve(conn)
        else:
            self._drop(conn)

    # --- its answer goes out ---

    def finish_request(self, conn: Connection, done: "Future[bool]") -> None:
        """A thread has written its answer: send what waits, then go on. Called in the loop."""
        conn.phase = Phase.IDLE
        self._leave_place(conn)
        answered = not done.cancelled() and done.exception() is None and bool(done.result())
        conn.is_kept = answered and not conn.sock.is_cut
        if conn.sock.fileno() < 0:  # gunicorn closed it, as after an error in the middle of an answer
            self._drop(conn)
        else:
            self._guarded(conn, self._forget_request)
            self._guarded(conn, self._send)

    def _forget_request(self, conn: Connection) -> None:
        """Free what the request took up; whoever takes the answer slowly shall not keep it. What is behind it stays."""
        inbox = conn.sock.inbox
        behind = b""
        if conn.is_kept:
            behind = conn.parser.unreader.take_buffered() + b"".join(iter(lambda: inbox.take(PIECE), b""))
        inbox.close()
        inbox.append(behind)
        self._count(conn)

    def _send(self, conn: Connection) -> None:
        conn.sock.flush(MEGABYTE)
        if not conn.sock.outbox:
            self._answered(conn)
            return
        if conn.phase is Phase.SENDING:
            conn.deadline = conn.sock.writing.deadline
            return
        conn.sock.writing.start()
        self._watch(conn, Phase.SENDING, conn.sock.writing.deadline)
        self._limit_unsent()

    def _limit_unsent(self) -> None:
        waiting = [conn for conn in self._watched if conn.phase is Phase.SENDING]
        unsent = sum(conn.sock.outbox.in_memory for conn in waiting)
        silent_since = time.monotonic() - UNTAKEN
        for conn in sorted(waiting, key=lambda conn: conn.sock.writing.since):
            if unsent <= MOST_UNSENT or conn.sock.writing.since > silent_since:
                break
            unsent -= conn.sock.outbox.in_memory
            self._expire(conn)

    def _answered(self, conn: Connection) -> None:
        if not conn.is_kept:
            self._close(conn)
            return
        wire = conn.sock
        wire.renew()
        conn.wanted = None
        keepalive = self.cfg.keepalive if self.alive else STOP_KEEPALIVE_LINGER
        self._watch(conn, Phase.IDLE, time.monotonic() + keepalive)
        if wire.inbox.size:  # a client may have sent its next request behind this one
            wire.reading.start()
            self._advance(conn)

    def _refuse(self, conn: Connection, status: int) -> None:
        """Answer without the app."""
        conn.is_kept = False
        retry = b"Retry-After: 10\r\n" if status == 503 else b""
        head = b"HTTP/1.1 " + _SAYS[status] + b"\r\nConnection: close\r\nContent-Length: 0\r\n" + retry + b"\r\n"
        conn.sock.sendall(head)
        self._send(conn)

    def _close(self, conn: Connection) -> None:
        """Say that this was all, and listen on for a moment; gunicorn's own way to do so would hold up the loop."""
        conn.sock.shutdown(socket.SHUT_WR)
        now = time.monotonic()
        conn.closes_at = now + LINGER_SECONDS
        self._watch(conn, Phase.CLOSING, now + LINGER_SILENCE)

    def _drain(self, conn: Connection) -> None:
        piece = conn.sock.receive()
        if piece == b"":
            self._drop(conn)
        elif piece:
            conn.deadline = min(time.monotonic() + LINGER_SILENCE, conn.closes_at)

    # --- time passes ---

    def murder_keepalived(self, force: bool = False) -> None:
        """Part with who has had their time, or with everybody. Gunicorn calls this about once a second."""
        now = time.monotonic()
        for conn in [conn for conn in self._watched if force or conn.deadline <= now]:
            if force:
                self._drop(conn)
            else:
                self._guarded(conn, self._expire)

    def murder_pending(self) -> None:
        """All are looked at in `murder_keepalived`."""

    def _cap_keepalive(self, deadline: float) -> None:
        """A stopping worker keeps connections without a request open for a moment only."""
        for conn in self._watched:
            if conn.phase is Phase.IDLE:
                conn.deadline = min(conn.deadline, deadline)

    def _expire(self, conn: Connection) -> None:
        if conn.phase is Phase.HEAD:
            self._refuse(conn, 408)
        elif conn.phase is Phase.QUEUED:
            self._watched.pop(conn)
            self._queue.pop(conn, None)
            self._refuse(conn, 503)
        elif conn.phase is Phase.BODY:
            self._end_early(conn)
        else:
            if conn.phase is Phase.SENDING:
                # At a plain close the client would take what it has for the whole, and the system keep the rest for it.
                conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._drop(conn)
