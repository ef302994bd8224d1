"""What `make run` starts: Redis, web and workers of one installation, guarded, and ended together.

    python -m webapp.run.supervisor [--dev] [--die-with-parent]

One thread, one loop. Whatever ends is started again; whatever way this process ends, nothing that it started stays.
"""

import argparse
import contextlib
import os
import signal
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from webapp.demo import facts
from webapp.errors import ConfigurationError
from webapp.private_folder import make_files_private
from webapp.processes import ONE_THREAD, worker_arguments
from webapp.run import embedded_redis
from webapp.run.child_processes import Child, Guard
from webapp.run.installation import Installation, open_installation
from webapp.settings.notices import notices

_TICK = 0.1
_READY_WITHIN = 180.0
_WATCHED = ("webapp", "jobs")


class Stopped(Exception):
    """Somebody asked to stop."""


class StartFailed(Exception):
    """It can't be started; the message says what is in the way."""


def say(text: str = "") -> None:
    """A line on the terminal, at once; a terminal that has gone is no reason to fail."""
    with contextlib.suppress(OSError):
        print(text, flush=True)  # noqa: T201 - this is a program for people


class Supervisor:
    """The processes of one installation."""

    def __init__(self, installation: Installation, *, dev: bool, parent: int | None) -> None:
        self._here = installation
        self._settings = installation.settings
        self._dev = dev
        self._parent = parent
        self._stops = 0
        self._guard = Guard()
        self._children: list[Child] = []
        self._is_up = False
        self._code_seen = 0.0
        self._code_looked = 0.0

    # --- what there is ---

    def _child(self, name: str, *command: str, **options: Any) -> Child:
        options.setdefault("env", self._here.child_env())
        return Child(name, command, logs=self._here.logs, guard=self._guard, **options)

    def _redis(self) -> Child:
        return self._child("redis", *embedded_redis.command(self._here.redis_socket, self._settings.data_dir))

    def _web(self) -> Child:
        number = self._here.listener.fileno()
        reload = ["--reload"] if self._dev else []
        command = [_program("gunicorn"), "-c", "python:webapp.gunicorn_conf", "--bind", f"fd://{number}", *reload]
        return self._child("web", *command, "wsgi:app", pass_fds=(number,))

    def _worker(self, number: int) -> Child:
        command = [_program("rq"), *worker_arguments(number)]
        env = self._here.child_env() | ONE_THREAD
        # Pages go before matching when both want the processor.
        return self._child(f"worker-{number}", *command, env=env, niceness=self._settings.matching_nice, is_worker=True)

    def _pages(self) -> Child:
        """In development: what makes scripts and style sheets again when their sources change."""
        node = Path(sys.prefix, "node").read_text()
        return self._child("pages", node, "static/build.mjs", "--watch")

    # --- from start to end ---

    def run(self) -> int:
        """Start everything, guard it, end it; the exit status."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        for notice in (self._here.notice, *notices(self._settings)):
            if notice:
                say(notice)
        say("Starting…")
        try:
            self._start()
            while True:
                self._tick()
        except Stopped:
            say("\nStopping…")
            return 0
        except StartFailed as error:
            say(f"\n{error}")
            return 1
        finally:
            self._end()

    def _start(self) -> None:
        if self._here.owns_redis:
            self._launch(self._redis())
            if not embedded_redis.wait_until_up(self._settings.redis_url, self._is_wanted):
                self._look_up()
                raise StartFailed(f"The embedded Redis did not start:\n{self._children[0].last_words()}")
            embedded_redis.forget_installation(self._settings.redis_url)
        migration = self._run_once("migrate", "db", "upgrade")
        if migration.status:
            raise StartFailed(f"The database could not be brought up to date:\n{migration.last_words()}")
        if self._dev:
            self._launch(self._pages())
        web = self._web()
        self._launch(web)
        workers = [self._worker(number + 1) for number in range(self._settings.matching_processes)]
        for worker in workers:
            self._launch(worker)
        self._wait_until_ready(web)
        self._welcome()
        say(f"  Logs             {self._here.logs}\n")
        self._is_up = True

    def _welcome(self) -> None:
        """Say what there is now. The demo's passwords go to the terminal and into no log."""
        port, data_dir = self._settings.port, self._settings.data_dir
        (self._here.logs / "demo.log").unlink(missing_ok=True)  # that of an earlier version has passwords in it
        about = self._make_demo() if self._here.is_demo else None
        if about is None:
            say(f"FindMe is up: {self._settings.public_url} (Ctrl-C stops it)")
        else:
            say(facts.describe(about, self._here.mails_url).rstrip())
        if not self._here.is_local:
            say(f"\n{facts.warn_of_network(self._settings.host, port, demo=about is not None)}\n")
        if not self._here.is_demo and (leftover := facts.read(data_dir)):
            say(facts.warn_of_leftovers(leftover))

    def _make_demo(self) -> dict[str, Any] | None:
        say("Making the demo event…")
        made = self._run_once("demo", "findme", "demo")
        if made.status:
            say(f"The demo event could not be made; {made.log} says why.")
            return None
        return facts.read(self._settings.data_dir)

    def _launch(self, child: Child) -> None:
        child.start()
        self._children.append(child)

    def _run_once(self, name: str, *arguments: str) -> Child:
        """Run a `flask` command to its end; `quick_deaths` tells whether it failed."""
        child = self._child(name, sys.executable, "-m", "flask", "--app", "wsgi", *arguments)
        child.log.unlink(missing_ok=True)
        child.start()
        try:
            while child.is_running:
                self._tick()
        finally:
            child.kill()
        child.status = child.bury()
        return child

    def _wait_until_ready(self, web: Child) -> None:
        deadline = time.monotonic() + _READY_WITHIN
        while not self._is_ready():
            self._pause(0.4)
            broken = next((child for child in self._children if child.quick_deaths >= 3), None)
            if broken or time.monotonic() > deadline:
                guilty = broken or web
                raise StartFailed(f"{guilty.name} does not come up. The end of {guilty.log}:\n{guilty.last_words()}")

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._here.local_url}/api/health/ready", timeout=3) as answer:  # noqa: S310 - http
                return bool(answer.status == 200)
        except (OSError, ValueError):
            return False

    def _on_signal(self, *_: object) -> None:
        self._stops += 1

    def _is_wanted(self) -> bool:
        return not self._stops and (self._parent is None or os.getppid() == self._parent)

    def _tick(self) -> None:
        """One round of the loop.

        Raises:
            Stopped: a signal came, or the starter has gone.
        """
        if not self._is_wanted():
            raise Stopped
        self._look_up()
        if self._dev:
            self._restart_workers_on_change()
        time.sleep(_TICK)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._tick()

    def _look_up(self) -> None:
        """Bury the dead, start them anew, pass on what they said."""
        for child in list(self._children):
            status = child.bury()
            if status is not None:
                self._mourn(child, status)
            if child.process is None and child.once:
                self._children.remove(child)
            elif child.process is None and time.monotonic() >= child.due:
                child.start()
            # Until all parts are up, complaints about the missing ones are no news; they are in the logs.
            for line in child.news(everything=self._dev):
                if self._is_up and child.name != "redis":
                    say(f"{child.name:>9} | {line}")

    def _mourn(self, child: Child, status: int) -> None:
        if child.once or child.asked_to_stop:
            return
        say(f"{child.name:>9} | ended ({_in_words(status)}), starting it again. Its log: {child.log}")
        if child.is_worker and status:
            # What it was working on goes back to its queue at once, not after its heartbeat has run out.
            self._launch(self._child("reaper", sys.executable, "-m", "jobs.reaper", child.alias, once=True))

    def _restart_workers_on_change(self) -> None:
        """In development: when a .py file changes, the workers finish their job and come back with the new code."""
        if time.monotonic() < self._code_looked + 1:
            return
        self._code_looked = time.monotonic()
        newest = max(path.stat().st_mtime for room in _WATCHED for path in Path(room).rglob("*.py"))
        if self._code_seen and newest > self._code_seen:
            say("code has changed, restarting the workers")
            for child in self._children:
                if child.is_worker:
                    child.stop()
        self._code_seen = newest

    def _end(self) -> None:
        """Web first, so that nothing new comes in; then the workers, warm; Redis last; all within the time there is."""
        self._here.listener.close()
        deadline = time.monotonic() + self._settings.graceful_timeout
        stages = ("web", "pages", "worker", "reaper", "redis")
        for stage in stages:
            members = [child for child in self._children if child.name.startswith(stage)]
            for child in members:
                child.stop()
            while any(child.is_running for child in members) and time.monotonic() < deadline and self._stops < 2:
                time.sleep(0.05)
        for child in self._children:
            child.kill()
            if child.process:
                child.process.wait()
        self._guard.close()


def _program(name: str) -> str:
    """A console script of this environment."""
    return str(Path(sys.executable).with_name(name))


def _in_words(status: int) -> str:
    return f"exit status {status}" if status >= 0 else f"signal {signal.Signals(-status).name}"


def main() -> int:
    """Start the installation of DATA_DIR, or say why not."""
    parser = argparse.ArgumentParser(prog="python -m webapp.run.supervisor", description=__doc__)
    parser.add_argument("--dev", action="store_true", help="reload when a file changes")
    parser.add_argument("--die-with-parent", action="store_true", help="end when the process that started this ends")
    options = parser.parse_args()
    parent = os.getppid() if options.die_with_parent else None
    make_files_private()
    try:
        with open_installation() as installation:
            return Supervisor(installation, dev=options.dev, parent=parent).run()
    except ConfigurationError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # all is ended and closed; taking the imported app apart would only take another second
