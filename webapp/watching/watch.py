"""The watch itself: look, hand out what is complete, take in what came of it, say how things stand."""

import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from webapp.watching.folder import Seen, Settling, Stamp, look
from webapp.watching.manifest import REFUSED, SENT, Entry, Manifest
from webapp.watching.patience import Patience
from webapp.watching.saying import Voice, status
from webapp.watching.sending import Order, Report, Senders
from webapp.watching.server import AwayError, ClosedError, RefusedError, Server, StoppedError

LOOK_EVERY = 2.0
"""Seconds between two looks: network drives tell of no changes, whatever a system says of its own disks."""

LOOK_AT_MOST_EVERY = 0.25
CLOSED_PAUSE = 30.0
FIRST_HOLD, LONGEST_HOLD = 1.0, 300.0
"""Seconds until a picture that fails by itself, while others pass, is tried again: at first, and at the latest."""

FAREWELL = 5.0

LONELY_AFTER = 60.0
"""Seconds until a RAW file is said to have no JPEG: cameras and copying programs often write the RAW file first."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to watch: pictures under way at once, seconds that a file stands still before it counts as complete, whether
    to end when all is sent, and for how many seconds to bear with a server that is away in that case.
    """

    at_once: int = 4
    settle: float = 2.0
    once: bool = False
    patience: float = 120.0


@dataclass(slots=True)
class _Hold:
    """A picture that failed by itself."""

    tries: int = 0
    until: float = 0.0
    why: str = ""


class Watch:
    """One folder and one event, until it is stopped."""

    def __init__(
        self,
        folder: Path,
        code: str,
        server: Server,
        manifest: Manifest,
        *,
        options: Options,
        stopped: threading.Event,
        voice: Voice,
    ) -> None:
        self._folder, self._options, self._stopped, self._voice = folder, options, stopped, voice
        self._wake = threading.Event()
        self._senders = Senders(folder, code, server, manifest, self._wake)
        self._settling = Settling(options.settle)
        self._patience = Patience()
        self._manifest, self._known = manifest, manifest.known()
        self._under_way: set[str] = set()
        self._holds: dict[str, _Hold] = {}
        self._seen = Seen()
        self._due: dict[str, Stamp] = {}
        self._lonely: dict[str, float] = {}
        self._named: set[str] = set()
        self._unsettled = 0
        self._event_name = code
        self._greeted = False
        self._refused = ""
        self._closed = False
        self._folder_fault = ""

    def run(self) -> int:
        """Watch. Returns the exit code: 0 all is sent, or it was stopped; 1 something is not; 2 the token is none."""
        self._senders.start(self._options.at_once)
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            while not self._stopped.is_set():
                self._wake.clear()
                # Reports first: what failed just now counts as due again, before it is asked whether all is done.
                self._take_in()
                self._look()
                if self._is_over():
                    break
                self._hand_out()
                self._say()
                self._wake.wait(self._until_next_look())
                self._stopped.wait(LOOK_AT_MOST_EVERY)
        finally:
            self._stopped.set()
            self._senders.finish(FAREWELL)
            self._take_in()
        self._say(final=True)
        return self._exit_code()

    def stop(self) -> None:
        """End soon; safe to call from a signal handler."""
        self._stopped.set()
        self._wake.set()

    def _until_next_look(self) -> float:
        """Seconds, unless something wakes it before: until a pause is over, or a file has rested long enough."""
        waits = [LOOK_EVERY]
        if self._unsettled:
            waits.append(self._options.settle)
        if self._due and not self._under_way:
            now = time.monotonic()
            waits.append(max(self._patience.seconds_left(), min(self._hold(path).until - now for path in self._due)))
        return max(0.0, min(waits))

    def _listen(self) -> None:
        """Look at once when the system tells of a change; where it can't, the looks every two seconds have to do."""
        try:
            from watchfiles import watch

            for _ in watch(self._folder, stop_event=self._stopped, watch_filter=None, raise_interrupt=False):
                self._wake.set()
        except Exception as error:
            self._voice.line(f"This system tells of no changes ({error}); looking every {LOOK_EVERY:.0f} s.")

    def _look(self) -> None:
        try:
            self._seen = look(self._folder)
            self._folder_fault = ""
        except OSError as error:
            # A card that was pulled out, a network drive that is gone: what was sent stays sent.
            self._seen, self._folder_fault = Seen(), error.strerror or str(error)
        fresh = {path: stamp for path, stamp in self._seen.pictures.items() if not self._is_known(path, stamp)}
        complete = self._settling.complete(fresh)
        self._unsettled = len(fresh) - len(complete)
        self._due = {path: stamp for path, stamp in complete.items() if path not in self._under_way}
        for path in set(self._holds) - set(fresh):
            del self._holds[path]
        self._find_lonely()

    def _find_lonely(self) -> None:
        """Note which RAW files have no JPEG, and since when."""
        sent = (path for path, entry in self._known.items() if entry.status in SENT)
        now = time.monotonic()
        self._lonely = {path: self._lonely.get(path, now) for path in self._seen.without_picture(sent)}

    def _is_known(self, path: str, stamp: Stamp) -> bool:
        entry = self._known.get(path)
        return entry is not None and entry.stamp == stamp

    def _hand_out(self) -> None:
        if self._patience.seconds_left() > 0:
            return
        now, tried = time.monotonic(), self._patience.is_tried or not self._greeted
        room = (1 if tried else self._options.at_once) - len(self._under_way)
        ready = [path for path in sorted(self._due) if self._hold(path).until <= now]
        if not ready and tried and room > 0 and not self._greeted:
            ready, self._due = [""], {"": Stamp(0, 0)}  # a wrong token is told now, not with the first picture
        for path in ready[: max(0, room)]:
            self._under_way.add(path)
            self._senders.order(Order(path, self._due.pop(path), ask=tried))

    def _hold(self, path: str) -> _Hold:
        return self._holds.get(path) or _Hold()

    def _take_in(self) -> None:
        for report in self._senders.reports():
            self._under_way.discard(report.order.path)
            if report.token is not None:
                if not self._greeted:
                    # What was known may have been of another event, and is forgotten then.
                    self._known = self._manifest.known()
                self._event_name, self._greeted = report.token.event_name, True
            if report.error is not None:
                self._take_fault(report.order.path, report.error)
            else:
                self._take_answer(report)

    def _take_answer(self, report: Report) -> None:
        path, entry = report.order.path, report.entry
        self._patience.over()
        self._closed = False
        if entry is None:
            return
        self._known[path] = entry
        self._holds.pop(path, None)
        if entry.status == REFUSED:
            self._voice.line(f"Not taken: {path}: {entry.reason}")

    def _take_fault(self, path: str, error: Exception) -> None:
        if isinstance(error, StoppedError):
            return
        if isinstance(error, RefusedError):
            self._refused = str(error)
        elif isinstance(error, ClosedError):
            self._closed = True
            self._patience.fault("the event is closed", CLOSED_PAUSE)
        else:
            if isinstance(error, AwayError):
                self._closed = False
                self._patience.fault(str(error), error.wait)
            if path:
                self._put_on_hold(path, str(error) or type(error).__name__)

    def _put_on_hold(self, path: str, why: str) -> None:
        hold = self._holds.setdefault(path, _Hold())
        hold.until = time.monotonic() + min(FIRST_HOLD * 2**hold.tries, LONGEST_HOLD)
        hold.tries, hold.why = min(hold.tries + 1, 10), why

    def _is_over(self) -> bool:
        """Whether the token is none; with `once` also whether all is sent, or it makes no sense to wait on."""
        if self._refused or not self._options.once:
            return bool(self._refused)
        if self._closed or self._folder_fault:
            return True
        # A picture may fail by itself for ever, as one that can't be read. While the server is away, none does.
        stuck = not self._patience.is_tried and all(self._hold(path).tries > 3 for path in self._due)
        idle = not self._under_way and not self._unsettled and self._greeted
        return (idle and stuck) or self._patience.away_for() > self._options.patience

    def _exit_code(self) -> int:
        if self._refused:
            return 2
        if not self._options.once:
            return 0
        missing = [path for path in self._seen.pictures if self._status_of(path) not in SENT]
        return 1 if missing or self._folder_fault or self._closed or not self._greeted else 0

    def _status_of(self, path: str) -> str:
        entry: Entry | None = self._known.get(path)
        return entry.status if entry is not None and entry.stamp == self._seen.pictures[path] else ""

    def _name_lonely(self, *, final: bool) -> None:
        """Name each RAW file without a JPEG once: after a while, or in the end."""
        limit = time.monotonic() - (0 if final else LONELY_AFTER)
        for path in sorted(path for path, since in self._lonely.items() if since <= limit and path not in self._named):
            self._named.add(path)
            self._voice.line(f"RAW without its JPEG, not sent: {path}")

    def _say(self, *, final: bool = False) -> None:
        self._name_lonely(final=final)
        said = status(
            self._event_name,
            answers=Counter(entry.status for entry in self._known.values()),
            under_way=len(self._under_way - {""}),
            to_come=len(self._due) + self._unsettled,
            aside=self._seen.aside,
            lonely=len(self._lonely),
            trouble=self._trouble(),
        )
        self._voice.status(said, final=final)

    def _trouble(self) -> str:
        if self._refused:
            return self._refused
        if self._folder_fault:
            return f"The folder can't be read ({self._folder_fault}): looking again every {LOOK_EVERY:.0f} s."
        left = self._patience.seconds_left()
        again = f"trying again in {left:.0f} s" if left >= 0.5 else "trying again now"
        if self._closed:
            return f"The event is closed and takes no photos. Nothing is lost: reopen it and the rest goes; {again}."
        if self._patience.is_tried:
            return f"Waiting: {self._patience.why}; {again}. Nothing is lost."
        stuck = [path for path, hold in self._holds.items() if hold.tries > 2]
        if stuck:
            return f"{stuck[0]} can't be sent yet: {self._holds[stuck[0]].why}; it is tried again."
        if self._seen.unreadable:
            return f"The folder {self._seen.unreadable[0]} can't be read."
        return ""
