"""What the horse of `jobs.worker.Worker` does: wait for orders, run jobs and calls, report, and leave in time."""

import contextlib
import faulthandler
import importlib
import logging
import os
import random
import signal
import sys
from typing import TYPE_CHECKING, Any

from rq.exceptions import NoSuchJobError
from rq.executions import Execution
from rq.job import Job

from jobs.horse import Line, Message
from jobs.memory import resident_megabytes
from webapp.processes import loading

if TYPE_CHECKING:
    import rq.worker

    _Base = rq.worker.Worker
else:
    _Base = object


class CallTimeoutError(Exception):
    """A call between jobs took too long."""


class Rider(_Base):
    """The half of the worker that lives in the horse."""

    # Called once by a new horse, before its first order: it loads what jobs will need. A horse that can't is none.
    warm_up = "jobs.tasks.warm_up"
    # A horse leaves after so many jobs or above so much memory, so that what native libraries leak ends with it.
    horse_jobs = 1000
    horse_megabytes = 1536

    def ride(self, line: Line) -> None:
        """Run what the worker orders until it hangs up."""
        self._is_horse = True
        os.environ["RQ_WORKER_ID"] = self.name  # as RQ's own workers do; claims on rows carry it
        faulthandler.enable()  # a crash in native code then says where
        with loading():
            is_warm = self._call_function(self.warm_up, [], 0)
        if not is_warm:
            return  # the worker sees that no horse comes up, and takes no jobs meanwhile
        line.send({"ready": True})
        done = 0
        while (order := line.receive()) is not None:
            if "job" in order:
                self._run_job(order)
                done += 1
                leaving = done >= self.horse_jobs or resident_megabytes() > self.horse_megabytes
                report: Message = {"job": order["job"], "leaving": leaving}
            else:
                ok = self._call_function(order["call"], order["arguments"], order["seconds"])
                report = {"call": order["call"], "ok": ok}
            with contextlib.suppress(OSError):  # a disk that has no room for the log ends no horse
                sys.stdout.flush()
                sys.stderr.flush()
            line.send(report)

    def _run_job(self, order: Message) -> None:
        """RQ's perform_job, on a job and an execution read anew: nothing is shared with the worker but their ids."""
        try:
            job = self.job_class.fetch(order["job"], connection=self.connection, serializer=self.serializer)
        except NoSuchJobError:
            return
        queue = next(queue for queue in self.queues if queue.name == order["queue"])
        execution = self._execution(order["execution"], job)
        self.executions = {execution.id: execution}
        job.redis_server_version = self.get_redis_server_version()
        try:
            self.perform_job(job, queue, execution)
        finally:
            self.executions.clear()
            self._executions = []
            signal.alarm(0)

    def _execution(self, execution_id: str, job: Job) -> Execution:
        execution = Execution(execution_id, job.id, self.connection, self.name)
        execution._job = job
        return execution

    def _call_function(self, path: str, arguments: list[Any], seconds: int) -> bool:
        """Call a function by its dotted name; whatever it raises is written down and goes no further."""
        module, _, name = path.rpartition(".")
        log = logging.getLogger("rq.worker")
        try:
            function = getattr(importlib.import_module(module), name)
            with self.death_penalty_class(seconds, CallTimeoutError):
                function(*arguments)
        except Exception:
            log.exception("Worker %s: %s failed", self.name, path)
            return False
        return True

    def _ride(self, line: Line) -> None:
        """What the horse does all its life."""
        random.seed()
        self.setup_work_horse_signals()
        self.ride(line)

    def setup_work_horse_signals(self) -> None:
        """The worker decides about stopping: a SIGTERM to all processes (systemd, Docker) must not end the job."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
