"""What the horse of `jobs.worker.Worker` does: wait for orders, run jobs and calls, report, and leave in time."""

import contextlib
import faulthandler
import importlib
import logging
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError as RedisResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.executions import Execution
from rq.job import Job
from rq.registry import StartedJobRegistry

from jobs.horse import Line, Message
from jobs.memory import resident_megabytes
from webapp.errors import ConfigurationError, FindMeError
from webapp.processes import WAS_READY, loading

if TYPE_CHECKING:
    import rq.worker

    _Base = rq.worker.Worker
else:
    _Base = object


# A Redis that is there and takes nothing is away as well: its disk or its memory is full, or another one leads now.
AWAY = (RedisConnectionError, RedisTimeoutError, RedisResponseError)


class CallTimeoutError(Exception):
    """A call between jobs took too long."""


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, FindMeError) else f"{type(error).__name__}: {error}"


class Rider(_Base):
    """The half of the worker that lives in the horse."""

    # True once a job process of this worker was ready; the next one replaces it.
    _was_ready = False
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
        if self._was_ready:
            os.environ[WAS_READY] = "yes"
        with loading():
            fault = self._run_function(self.warm_up, [], 0)
        if fault is not None:
            # The worker takes no jobs without a ready job process, and decides whether to start another one.
            line.send({"fault": _sentence(fault), "final": isinstance(fault, ConfigurationError)})
            return
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

    def prepare_job_execution(self, job: Job, remove_from_intermediate_queue: bool = False) -> None:
        """RQ's, once Redis takes it: the job has left its queue, and without this step it would fail unbegun."""
        self._until_written(super().prepare_job_execution, job, remove_from_intermediate_queue)

    def handle_execution_ended(self, job: Job, queue: Queue, heartbeat_ttl: int) -> None:
        """RQ's, once Redis takes it: what a job has done is done, whatever became of Redis meanwhile."""
        self._until_written(super().handle_execution_ended, job, queue, heartbeat_ttl)

    def handle_job_success(
        self, job: Job, queue: Queue, started_job_registry: StartedJobRegistry, execution: Execution
    ) -> None:
        """RQ's, once Redis takes it; a job whose success can't be written would count as failed."""
        self._until_written(super().handle_job_success, job, queue, started_job_registry, execution)

    def _until_written(self, step: Callable[..., None], *arguments: Any) -> None:
        """Repeat a step until Redis accepts it. The worker kills a horse that exceeds its job's time."""
        while True:
            try:
                step(*arguments)
                return
            except AWAY as error:
                self.log.error("Worker %s: Redis is away (%s), trying again in 1 s", self.name, error)
                time.sleep(1)

    def _execution(self, execution_id: str, job: Job) -> Execution:
        execution = Execution(execution_id, job.id, self.connection, self.name)
        execution._job = job
        return execution

    def _call_function(self, path: str, arguments: list[Any], seconds: int) -> bool:
        """Call a function by its dotted name; returns False if it raised."""
        return self._run_function(path, arguments, seconds) is None

    def _run_function(self, path: str, arguments: list[Any], seconds: int) -> Exception | None:
        """Call a function by its dotted name; what it raises is logged and returned."""
        module, _, name = path.rpartition(".")
        log = logging.getLogger("rq.worker")
        try:
            function = getattr(importlib.import_module(module), name)
            with self.death_penalty_class(seconds, CallTimeoutError):
                function(*arguments)
        except FindMeError as error:
            log.error("Worker %s: %s", self.name, error)
            return error
        except Exception as error:
            log.exception("Worker %s: %s failed", self.name, path)
            return error
        return None

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
