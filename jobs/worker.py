"""The worker class of `rq worker -w jobs.worker.Worker`: one resident horse, quick to notice the dead, warm to stop.

See docs/decisions/0001-rq-worker-class.md for why. It builds on RQ 3.0.0's own methods and keeps their meaning; what it
overrides is said at each place.
"""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from secrets import token_hex
from typing import Any

import rq.worker
from rq import Queue, worker_registration
from rq.defaults import DEFAULT_JOB_MONITORING_INTERVAL, DEFAULT_MAINTENANCE_TASK_INTERVAL, DEFAULT_WORKER_TTL
from rq.exceptions import DequeueTimeout, InvalidJobOperation, StopRequested
from rq.executions import Execution
from rq.intermediate_queue import IntermediateQueue
from rq.job import Job, JobStatus
from rq.registry import clean_registries
from rq.serializers import JSONSerializer
from rq.utils import now
from rq.worker import WorkerStatus

from jobs import reaper
from jobs.horse import HorseGoneError, Message
from jobs.rider import AWAY, Rider
from jobs.stable import Stable
from jobs.upkeep import enqueue_due, put_back_lost
from webapp.processes import ALONE
from webapp.redis_keys import ERASURES
from webapp.settings import Settings

_OUR_DEFAULTS = {
    # name: (RQ's default, ours)
    "worker_ttl": (DEFAULT_WORKER_TTL, 30),
    "maintenance_interval": (DEFAULT_MAINTENANCE_TASK_INTERVAL, None),
    "job_monitoring_interval": (DEFAULT_JOB_MONITORING_INTERVAL, 5),
}


class Worker(Stable, Rider, rq.worker.Worker):
    """An RQ worker whose horse stays from job to job."""

    max_connection_wait_time = 5.0
    # Without a heartbeat for so long a worker counts as dead, and any other one takes its job over.
    heartbeat_seconds = 30
    # The horse is killed when a job has outlived its timeout by so much (RQ waits a minute): native code that never
    # returns to Python can't be ended from inside.
    kill_after = 10.0
    # What the horse calls at every upkeep: it finds the rows that wait and enqueues them.
    sweep = "jobs.tasks.sweep"
    # What a new horse calls when the one before it died at a job: frees the row and counts the death.
    record_death = "jobs.tasks.record_death"
    # What the horse calls after erasures: it drops what it holds of the faces that are gone.
    drop_erased = "jobs.tasks.drop_erased"
    # So often a worker that waits looks whether it shall stop, and for delayed jobs that are due.
    idle_seconds = 1
    _erasures_word: Any = None

    def __init__(self, queues: Any, name: str | None = None, **options: Any) -> None:
        # The CLI hands over its own defaults as if they had been asked for. Another serializer would only make every
        # job fail, so ours is no question.
        options["serializer"] = JSONSerializer
        for option, (theirs, ours) in _OUR_DEFAULTS.items():
            if options.get(option) in (None, theirs):
                options[option] = ours
        settings = Settings.from_env()
        self.start_wait = settings.start_wait
        if options["maintenance_interval"] is None:
            # The sweep for rows that wait is part of the upkeep, so the one comes as often as the other is wished for.
            options["maintenance_interval"] = settings.sweep_interval
        options.pop("default_worker_ttl", None)
        self._born_at = time.monotonic()
        super().__init__(queues, name=name or f"{socket.gethostname()}-{os.getpid()}-{token_hex(3)}", **options)
        for queue in self.queues:
            queue.serializer = JSONSerializer

    # --- the beginning ---

    def register_birth(self) -> None:
        """Register as RQ does, as soon as Redis accepts writes; RQ's worker would exit.

        Raises:
            SystemExit: Redis did not accept any for START_WAIT seconds.
        """
        while True:
            try:
                super().register_birth()
                return
            except AWAY as error:
                left = self._born_at + self.start_wait - time.monotonic()
                if left <= 0:
                    self.log.error("Worker %s: gave up: Redis does not take jobs (%s)", self.name, error)
                    raise SystemExit(1) from error
                self.log.error("Worker %s: Redis is away (%s), trying again for %.0f s", self.name, error, left)
                time.sleep(1)

    # --- one job ---

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Hand the job to the horse and watch over it; RQ would fork here."""
        self._stopped_job_id = None  # a stop that came after its job had ended must not hit this one
        execution = self.prepare_execution(job)
        if alone := bool(job.get_meta(refresh=False).get(ALONE)):
            # Nothing that an earlier job did to its process shall count against this one.
            self._dismiss_horse(self.farewell_seconds)
        with contextlib.suppress(HorseGoneError):
            self._order({"job": job.id, "queue": queue.name, "execution": execution.id})
        self.monitor_work_horse(job, queue, execution)
        if alone:
            self._dismiss_horse(self.farewell_seconds)
        self.set_state(WorkerStatus.IDLE)

    def prepare_execution(self, job: Job) -> Execution:
        """RQ's, holding on to the job while Redis restarts: it has left its queue already and is nowhere else."""
        while True:
            try:
                return super().prepare_execution(job)
            except AWAY as error:
                if self._stop_requested:
                    raise
                self.log.error("Worker %s: Redis is away (%s), holding %s", self.name, error, job.id)
                self._nap(1)

    def monitor_work_horse(self, job: Job, queue: Queue, execution: Execution) -> None:
        """Heartbeats until the horse reports; a horse that dies or overstays takes its one job with it."""
        job.started_at = now()
        report = self._watch(job, execution)
        self.executions.pop(execution.id, None)
        if report is None:
            self._bury_horse(job, queue, execution)
        elif report["leaving"]:
            self._dismiss_horse(self.farewell_seconds)
        if not self._stop_requested:
            self._have_horse()  # now, so that it warms up while there may be nothing to do

    def _watch(self, job: Job, execution: Execution) -> Message | None:
        """The report on this job; None when the horse died or has to be ended."""
        limit = job.timeout + self.kill_after if job.timeout and job.timeout > 0 else float("inf")
        horse = self._horse
        while horse:
            try:
                report = self._await_report(horse, limit, self.job_monitoring_interval)
            except HorseGoneError:
                return None
            if report is not None:
                return report
            with self._redis_may_be_away():
                self.maintain_heartbeats(job, execution)
        return None

    def _bury_horse(self, job: Job, queue: Queue, execution: Execution) -> None:
        """Record why a horse died or had to be ended, and then hand its job back.

        In this order: another worker that got the job meanwhile might find the row's lease run out and take the death
        for an interruption.
        """
        horse = self._horse
        ended = self._dismiss_horse()
        if not self._stop_requested:
            of_its_job = horse is not None and horse.died_of_its_job(ended[1])
            self._call(self.record_death, self.name, "crash" if of_its_job else "interruption")
        self._settle(job, queue, execution, *ended)

    def _settle(self, job: Job, queue: Queue, execution: Execution, pid: Any, status: int | None, usage: Any) -> None:
        """What RQ does at the end of monitor_work_horse when the horse has not ended well."""
        try:
            job_status = job.get_status()
        except InvalidJobOperation:
            return  # done and already forgotten
        if self._stopped_job_id == job.id:
            self._handle_stopped_job(job, queue, execution)
        elif job_status not in (JobStatus.FINISHED, JobStatus.FAILED):
            job.ended_at = now()
            told = f" (signal {os.WTERMSIG(status)})" if status and os.WIFSIGNALED(status) else ""
            reason = f"Work-horse terminated unexpectedly; waitpid returned {status}{told}; "
            self.log.warning("Worker %s: job %s failed (%s)", self.name, job.id, reason)
            self.handle_work_horse_killed(job, pid, status, usage)
            self.handle_job_failure(job, queue=queue, exc_string=reason, execution=execution)

    # --- waiting for work ---

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """Wait for a job in short slices.

        RQ waits in one long read that a stop signal breaks off by an exception, and a job that had just been popped
        would be gone; here a stop is seen between two reads.
        """
        self.set_state(WorkerStatus.IDLE)
        idle_since, pause = time.monotonic(), 1.0
        while not self._stop_requested:
            try:
                self._look_after_things()
                if self._has_ready_horse():
                    return self._dequeue(timeout)
            except DequeueTimeout:
                if max_idle_time is not None and time.monotonic() - idle_since >= max_idle_time:
                    return None
            except AWAY as error:
                self.log.error("Worker %s: Redis is away (%s), trying again in %d s", self.name, error, pause)
                self._nap(pause)
                pause = min(pause * self.exponential_backoff_factor, self.max_connection_wait_time)
        raise StopRequested

    def _look_after_things(self) -> None:
        """What a worker does between jobs."""
        self._heartbeat_if_due()
        if self.should_run_maintenance_tasks:
            self.run_maintenance_tasks()
        self._pass_erasures_on()
        enqueue_due(self.queues, self.connection)

    def _pass_erasures_on(self) -> None:
        """Let the horse drop erased faces once the word in Redis has changed; it compares its own with the database.

        While Redis is away there is no word, and the horse looks each time.
        """
        try:
            word = self.connection.get(ERASURES)
        except AWAY:
            self._call(self.drop_erased)
            raise
        if word != self._erasures_word:
            self._erasures_word = word
            self._call(self.drop_erased)

    def _dequeue(self, timeout: int | None) -> tuple[Job, Queue] | None:
        """One read of the queues; None when there is nothing and none shall be waited for (burst)."""
        found = self.queue_class.dequeue_any(
            self._ordered_queues,
            timeout and min(timeout, self.idle_seconds),
            connection=self.connection,
            job_class=self.job_class,
            serializer=self.serializer,
            death_penalty_class=self.death_penalty_class,
        )
        if found:
            job, queue = found
            self.reorder_queues(reference_queue=queue)
            self.log.info("Worker %s: %s: %s (%s)", self.name, queue.name, job.description, job.id)
        return found

    def _nap(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._stop_requested and time.monotonic() < deadline:
            self._heartbeat_if_due()
            time.sleep(0.1)

    # --- upkeep ---

    def run_maintenance_tasks(self) -> None:
        """RQ's cleaning, the dead's work handed back, the sweep for rows that wait. Nothing here ends a worker."""
        try:
            self._register_again()
            self._help_the_dead()
            super().run_maintenance_tasks()
        except AWAY as error:
            self.log.error("Worker %s: upkeep put off, Redis is away (%s)", self.name, error)
        except Exception:
            self.log.exception("Worker %s: upkeep failed", self.name)
        self.last_cleaned_at = now()  # type: ignore[assignment]  # RQ leaves its type to be guessed
        self._call(self.sweep)

    def _help_the_dead(self) -> None:
        """Hand back what workers that are no more were working on."""
        dead = reaper.find_dead(self.connection) - {self.name}
        if dead:
            self._call("jobs.reaper.release_claims", sorted(dead))
            count = reaper.reap(self.connection, dead)
            self.log.warning("Worker %s: took back %d job(s) of dead workers %s", self.name, count, sorted(dead))
        lost = put_back_lost(self.connection, at_once=bool(dead))
        if lost:
            self.log.warning("Worker %s: put back %d lost job(s)", self.name, lost)

    def clean_registries(self) -> None:
        """As RQ does, with a lock that a killed worker does not hold for 15 minutes."""
        for queue in self.queues:
            if reaper.take_lock(self.connection, queue, self.name):
                clean_registries(queue, self._exc_handlers)
                worker_registration.clean_worker_registry(queue)
                IntermediateQueue(queue.key, connection=self.connection).cleanup(self, queue)
                queue.release_maintenance_lock()

    def _register_again(self) -> None:
        """After Redis came back empty, be known again: RQ's heartbeat alone leaves a worker that nobody lists."""
        if not self.connection.hexists(self.key, "birth"):
            with self.connection.pipeline() as pipeline:
                pipeline.hset(self.key, mapping=self.serialize())
                worker_registration.register(self, pipeline)
                pipeline.expire(self.key, self.heartbeat_seconds)
                pipeline.execute()

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:  # noqa: ARG002 - RQ's signature
        """RQ's, with a shorter life than its minute and a half, which is how long a dead worker's job would wait."""
        with self._redis_may_be_away():
            super().heartbeat(self.heartbeat_seconds, pipeline)

    def _heartbeat_if_due(self) -> None:
        if self.last_heartbeat is None or (now() - self.last_heartbeat).total_seconds() >= self.job_monitoring_interval:
            self.heartbeat()

    def set_state(self, state: str, pipeline: Any = None) -> None:
        """RQ's; the state is for display, and a Redis that is away is no reason to end."""
        with self._redis_may_be_away():
            super().set_state(state, pipeline)

    def check_for_suspension(self, burst: bool) -> None:
        """RQ's; a Redis that is away is no reason to end."""
        with self._redis_may_be_away():
            super().check_for_suspension(burst)

    @contextlib.contextmanager
    def _redis_may_be_away(self) -> Iterator[None]:
        try:
            yield
        except AWAY as error:
            self.log.error("Worker %s: Redis is away (%s)", self.name, error)

    # --- the end ---

    def _shutdown(self) -> None:
        """The first stop signal only leaves word; RQ raises an exception from the handler when it seems to be idle."""
        self._stop_requested = True

    def teardown(self) -> None:
        """Let the horse go, then say goodbye to Redis if it is there."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # on the way out a second stop has nothing left to stop
        self._dismiss_horse(self.farewell_seconds)
        with self._redis_may_be_away():
            super().teardown()
