"""What is run, in which order, on copies of the same prepared event."""

import json
import os
import subprocess
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import redis
from rq.suspension import resume, suspend

from tests.load import systems
from tests.load.killing import Loss, kill
from tests.load.runs import SCENARIOS, Run, locust
from tests.load.systems import Prepared, System
from tests.support.product import ROOT

WAITING_PHOTOS = 5000
SECONDS = {"A": 30, "B": 40, "A+": 45}


@dataclass
class Measured:
    """Everything that was seen."""

    runs: dict[tuple[str, str], Run] = field(default_factory=dict)
    """By system (product, waiting, request, pool) and scenario."""
    losses: dict[str, Loss] = field(default_factory=dict)
    waiting: tuple[int, int] = (0, 0)
    """Photos in the queue when the runs beside them began, and when they ended."""
    trouble: list[str] = field(default_factory=list)
    """What must not be: other pids, time-outs, kills, faults in a log."""


@dataclass
class Session:
    """One call of `make load`."""

    prepared: Prepared
    pictures: Path
    results: Path
    rounds: int
    seen: Measured = field(default_factory=Measured)

    def product(self) -> None:
        with systems.product(self.prepared) as system:
            self._guarded(system, "product", self.rounds)
            _say(system.product.flask("purge-load").strip() if system.product else "")

    def waiting(self) -> None:
        """The same with thousands of photos in the queue, all the time."""
        with systems.product(self.prepared) as system:
            self._fill(system)
            before = self._count(system)
            self._guarded(system, "waiting", 1)
            self.seen.waiting = (before, self._count(system))
            if self.seen.waiting[1] == 0:
                self.seen.trouble.append("the queue of photos ran empty during the runs beside it")

    def standin(self, site: str) -> None:
        with systems.standin(self.prepared, site) as system:
            self._run(system, site, self.rounds)

    def killing(self, name: str) -> None:
        started: AbstractContextManager[System] = (
            systems.product(self.prepared) if name == "product" else systems.standin(self.prepared, name)
        )
        with started as system:
            _say(f"{name}: killing a worker")
            self.seen.losses[name] = kill(system, self.prepared.code, self.pictures / "selfies")
            _say(f"    {self.seen.losses[name]}")

    def _guarded(self, system: System, name: str, rounds: int) -> None:
        """Runs during which no web worker may be replaced and no log may tell of trouble."""
        before = system.web_pids()
        self._run(system, name, rounds)
        if system.web_pids() != before:
            self.seen.trouble.append(f"{name}: web workers were {sorted(before)}, are {sorted(system.web_pids())}")
        self.seen.trouble += [f"{name}: {line}" for line in system.trouble()]

    def _run(self, system: System, name: str, rounds: int) -> None:
        for scenario in SCENARIOS:
            total = self.seen.runs.setdefault((name, scenario), Run())
            for number in range(rounds):
                label = f"{name}-{scenario}-{number + 1}"
                _say(f"{label}: {SECONDS[scenario]} s")
                run = locust(
                    system,
                    scenario,
                    self.prepared.code,
                    self.pictures / "selfies",
                    self.results,
                    seconds=SECONDS[scenario],
                    label=label,
                    waiting=name == "waiting",
                )
                total.add(run)
                for fault in sorted(set(run.failures))[:5]:
                    _say(f"    {fault}")

    def _fill(self, system: System) -> None:
        """The workers rest meanwhile."""
        _say(f"putting {WAITING_PHOTOS} photos into the queue")
        if system.product is None:
            raise ValueError("only the product has a queue")
        note = (system.data_dir / "findme.env").read_text().splitlines()
        named = dict(line.split("=", 1) for line in note if "=" in line)
        connection = redis.Redis.from_url(named["REDIS_URL"].strip("'\""))
        suspend(connection)
        command = [sys.executable, "-m", "tests.load.waiting", self.prepared.code, str(self.pictures / "small")]
        subprocess.run([*command, str(WAITING_PHOTOS)], cwd=ROOT, env=system.product.env, check=True)
        resume(connection)

    def _count(self, system: System) -> int:
        query = "SELECT count(*) FROM photo WHERE status = 'uploaded'"
        return int(system.product.rows(query)[0][0]) if system.product else 0

    def conditions(self) -> dict[str, object]:
        """What the figures rest on."""
        return {
            "processors": os.cpu_count(),
            "load_average_before": [round(value, 1) for value in os.getloadavg()],
            "database": "PostgreSQL" if self.prepared.server else "SQLite",
            "photos": self.prepared.photos,
            "selfies": len(list((self.pictures / "selfies").iterdir())),
            "rounds": self.rounds,
            "seconds": json.dumps(SECONDS),
        }


def _say(text: str) -> None:
    print(text, flush=True)
