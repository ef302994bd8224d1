"""How a worker keeps its horse: starts one, gives it orders, waits for its reports, lets it go or ends it."""

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, Any

from jobs.horse import Horse, HorseGoneError, Message

if TYPE_CHECKING:
    from jobs.rider import Rider

    class _Base(Rider):
        """What `Worker` brings along."""

        def _heartbeat_if_due(self) -> None: ...
        def _nap(self, seconds: float) -> None: ...
else:
    _Base = object


class Stable(_Base):
    """The half of the worker that looks after the horse."""

    _horse: Horse | None = None
    _failed_starts = 0
    # Reported by the last job process that failed to start: `fault`, a sentence; `final`: a retry can't help.
    _start_fault: Message | None = None
    _born_at = 0.0
    # Seconds after which a worker without a ready job process since its start ends; START_WAIT.
    start_wait = 60
    # How long a new horse may take to load the app and the models.
    warm_up_seconds = 180
    # How long sweeping and the like may take, in the horse by alarm and from here by force.
    call_seconds = 10
    # How often a horse at work is looked at. Memory runs out within seconds, so this is well below one.
    sample_seconds = 0.1
    # How long an idle horse gets to leave when the worker stops.
    farewell_seconds = 5.0

    def subscribe(self) -> None:
        """Start the horse before RQ's command thread, so that the usual fork happens with a single thread."""
        self._have_horse()
        super().subscribe()

    def _have_horse(self) -> Horse:
        """The present horse, or a new one."""
        if self._horse and self._horse.has_ended():
            self._dismiss_horse()
        if not self._horse:
            self._horse = Horse.fork(self._ride)
            self._horse_pid = self._horse.pid
        return self._horse

    def _dismiss_horse(self, patience: float = 0.0) -> tuple[int | None, int | None, Any]:
        """Hang up and wait for the horse to end, with force after `patience`; what the system says of it."""
        if not self._horse:
            return None, None, None
        self._horse.line.close()
        deadline = time.monotonic() + patience
        while not self._horse.has_ended() and time.monotonic() < deadline:
            time.sleep(0.02)
        if not self._horse.has_ended():
            self.kill_horse()
        ended = self.wait_for_horse()
        self._horse, self._horse_pid = None, 0
        return ended

    def _order(self, order: Message) -> Horse:
        """Give the horse an order; one that had died meanwhile is replaced once.

        Raises:
            HorseGoneError: the new one was gone at once, too.
        """
        try:
            horse = self._have_horse()
            horse.line.send(order)
        except HorseGoneError:
            self._dismiss_horse()
            horse = self._have_horse()
            horse.line.send(order)
        horse.ordered_at = time.monotonic()
        return horse

    def _has_ready_horse(self) -> bool:
        """Whether a horse is there that can take a job; waits a second for one that is loading.

        Without this, an installation whose app can't be loaded would take job after job and fail them all.
        """
        horse = self._have_horse()
        try:
            if horse.ready_at is None:
                self._await_report(horse, 0, 1.0, until_ready=True)
        except HorseGoneError:
            self._failed_starts += 1
            self._give_up_if_hopeless()
            pause = min(2.0**self._failed_starts, 30.0)
            self.log.error("Worker %s: no horse comes up, taking no jobs, trying again in %d s", self.name, pause)
            self._dismiss_horse()
            self._nap(pause)
            return False
        if horse.ready_at is not None:
            self._failed_starts = 0
        return horse.ready_at is not None

    def _give_up_if_hopeless(self) -> None:
        """End a worker that never had a ready job process, if a retry can't help or START_WAIT seconds are over.

        A worker that had one before retries without an end: its jobs are safe until the missing part is back.

        Raises:
            SystemExit: with status 1.
        """
        fault = self._start_fault
        if self._was_ready or fault is None:
            return
        if fault["final"] or time.monotonic() - self._born_at > self.start_wait:
            self.log.error("Worker %s: gave up: %s", self.name, fault["fault"])
            self._dismiss_horse()
            raise SystemExit(1)

    def _await_report(
        self, horse: Horse, seconds: float, patience: float, *, until_ready: bool = False
    ) -> Message | None:
        """What the horse says of its order within the next `patience` seconds, if anything.

        Raises:
            HorseGoneError: the horse has died, or has not come back `seconds` after it had the order and was ready.
        """
        since = time.monotonic()
        while (passed := time.monotonic() - since) < patience:
            report = horse.line.receive(min(patience - passed, self.sample_seconds))
            horse.sample_memory()
            if report and "fault" in report:
                self._start_fault = report
                raise HorseGoneError
            if report and "ready" in report:
                horse.ready_at, self._was_ready = time.monotonic(), True
                if until_ready:
                    return None
            elif report:
                return report
            elif horse.has_ended():
                raise HorseGoneError
            elif horse.is_overdue(seconds, self.warm_up_seconds):
                self.log.error("Worker %s: horse %d does not come back, ending it", self.name, horse.pid)
                horse.overstayed = True
                raise HorseGoneError
        return None

    def _call(self, function: str, *arguments: object) -> bool:
        """Let the horse call a function of ours between jobs; never raises, never waits for long."""
        try:
            horse = self._order({"call": function, "arguments": arguments, "seconds": self.call_seconds})
            report = None
            while report is None and not self._stop_requested:
                report = self._await_report(horse, self.call_seconds + 5, 1.0)
                self._heartbeat_if_due()
        except HorseGoneError:
            report = None
        if report is None and not self._stop_requested:
            self.log.warning("Worker %s: %s did not come back, its horse is replaced", self.name, function)
        if report is None:
            self._dismiss_horse()
        return bool(report and report["ok"])

    def kill_horse(self, sig: signal.Signals = signal.SIGKILL) -> None:
        """RQ's; it asks for the group of a horse that may have gone this moment, and would get the worker's own."""
        pid = self._horse_pid
        if pid:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, sig)
                self.log.info("Worker %s: killed horse pid %s", self.name, pid)
