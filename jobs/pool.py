"""As many workers as MATCHING_PROCESSES says, for hosts that start one command per service: `python -m jobs.pool`.

The first serves the short queues before the photos, as README has it for the two worker lines. A worker that ends is
started again. While none has lived for a minute, one that refuses to start, or gave up waiting for a part, ends the
pool with its status, so that the host sees that the service does not come up.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from webapp.errors import ConfigurationError
from webapp.processes import ONE_THREAD, die_with_parent, worker_arguments
from webapp.settings import Settings

_TICK = 0.2
_LONGEST_PAUSE = 30.0
_LONG_LIFE = 60.0
"""Seconds after which a worker that ends is started again at once."""

_REFUSED = 1
"""The status of a worker that says why it can't start, and of one that fails for a reason that it did not expect."""


@dataclass
class _Place:
    """One worker of the pool, over all its lives."""

    number: int
    process: subprocess.Popen[bytes] | None = None
    born_at: float = 0.0
    due_at: float = 0.0
    short_lives: int = 0


@dataclass
class Pool:
    """The workers of one service."""

    size: int
    seconds_to_stop: float
    places: list[_Place] = field(init=False)
    stopping: bool = False
    was_up: bool = False

    def __post_init__(self) -> None:
        self.places = [_Place(number) for number in range(1, self.size + 1)]

    def run(self) -> int:
        """Keep the workers alive until a signal comes; returns the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        status = 0
        while not self.stopping and not status:
            status = self._look_after()
            time.sleep(_TICK)
        self._end()
        return status

    def _stop(self, *_: object) -> None:
        self.stopping = True

    def _look_after(self) -> int:
        """Start who is due; returns the status of a worker that refused to start, or 0."""
        for place in self.places:
            ended = place.process.poll() if place.process else None
            if ended == _REFUSED and not self._was_up():
                return ended
            if ended is not None:
                self._bury(place, ended)
            if place.process is None and time.monotonic() >= place.due_at:
                place.process, place.born_at = _start(place.number), time.monotonic()
        return 0

    def _was_up(self) -> bool:
        """Return whether a worker ever ran for _LONG_LIFE seconds: its parts answered then, so the pool goes on."""
        self.was_up = self.was_up or any(
            place.process and place.process.poll() is None and time.monotonic() - place.born_at > _LONG_LIFE
            for place in self.places
        )
        return self.was_up

    def _bury(self, place: _Place, status: int) -> None:
        short = time.monotonic() - place.born_at < _LONG_LIFE
        place.short_lives = place.short_lives + 1 if short else 0
        pause = min(2.0**place.short_lives, _LONGEST_PAUSE) if short else 0.0
        _say(f"worker {place.number} ended (status {status}), starting it again in {pause:.0f} s")
        place.process, place.due_at = None, time.monotonic() + pause

    def _end(self) -> None:
        """Let every worker finish its job, within the time that there is."""
        alive = [place.process for place in self.places if place.process and place.process.poll() is None]
        for process in alive:
            process.terminate()
        deadline = time.monotonic() + self.seconds_to_stop
        for process in alive:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
            if process.poll() is None:
                process.kill()
                process.wait()


def _start(number: int) -> subprocess.Popen[bytes]:
    """Start a worker in a group of its own: the pool alone decides when it stops."""
    parent = os.getpid()
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("rq")), *worker_arguments(number)],
        env=os.environ | ONE_THREAD,
        process_group=0,
        preexec_fn=lambda: die_with_parent(parent, signal.SIGTERM),  # noqa: PLW1509 - this process has one thread
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - a program's log


def main() -> int:
    """Run the pool that the settings ask for."""
    try:
        settings = Settings.from_env()
        settings.check_for_serving()
    except ConfigurationError as error:
        _say(str(error))
        return _REFUSED
    _say(f"starting {settings.matching_processes} workers (MATCHING_PROCESSES)")
    # A job may take its whole time after the signal, and RQ some seconds more to record it.
    return Pool(settings.matching_processes, settings.job_timeout + 10).run()


if __name__ == "__main__":
    sys.exit(main())
