"""What is measured: the product and the stand-ins, each started on a copy of one prepared installation."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
import requests

from tests.bench.cache import cache_folder
from tests.support.product import ROOT, Product, photographer, running
from tests.support.servers import Postgres, free_port, postgres, valkey
from webapp.processes import die_with_parent

STANDINS = {"request": "matching in the request", "pool": "matching in a pool of 10 threads"}
TROUBLE = ("WORKER TIMEOUT", "was sent SIG", "was sent code", "ended (signal", "Traceback")
"""What no log may hold after a run."""

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass
class System:
    """A running one."""

    name: str
    url: str
    data_dir: Path
    master: Callable[[], psutil.Process]
    """Gunicorn's first process."""
    product: Product | None = None

    def web_pids(self) -> set[int]:
        return {child.pid for child in self.master().children()}

    def trouble(self) -> list[str]:
        """Lines of the logs that tell of a time-out, a kill or a fault."""
        logs = [self.data_dir / "supervisor.log", *(self.data_dir / "logs").glob("*.log")]
        lines = [line for log in logs if log.exists() for line in log.read_text(errors="replace").splitlines()]
        return [line for line in lines if any(word in line for word in TROUBLE)]


@dataclass
class Prepared:
    """An installation with an event whose photos are all indexed, at rest."""

    folder: Path
    code: str
    photos: int
    server: Postgres | None

    @contextmanager
    def copy(self) -> Iterator[tuple[Path, dict[str, str]]]:
        """A copy of it, and the settings that name its database; both go with the block."""
        target = self.folder.with_name(f"run-{secrets.token_hex(3)}")
        shutil.copytree(self.folder, target, ignore=shutil.ignore_patterns("logs", "*.log", ".lock", "redis*"))
        (target / "logs").mkdir()
        settings = {}
        if self.server is not None:
            name = target.name.replace("-", "_")
            with self.server.connect() as connection:
                connection.execute(f"CREATE DATABASE {name} TEMPLATE prepared".encode())
            settings = {"DATABASE_URL": f"{self.server.url}/{name}"}
        try:
            yield target, settings
        finally:
            shutil.rmtree(target, ignore_errors=True)


@contextmanager
def prepared(folder: Path, pictures: Path, kind: str) -> Iterator[Prepared]:
    """Make the event once, through the product; every system gets a copy. kind: sqlite or postgresql."""
    server: AbstractContextManager[Postgres | None] = postgres() if kind == "postgresql" else nullcontext()
    with server as database:
        data_dir, settings = folder / "prepared", {}
        if database is not None:
            with database.connect() as connection:
                connection.execute(b"CREATE DATABASE prepared")
            settings = {"DATABASE_URL": f"{database.url}/prepared"}
        shutil.copytree(cache_folder() / "models", data_dir / "models")
        with running(data_dir, **settings) as product:
            owner = photographer(product)
            event = owner.post("/photographer/events", json={"name": "Load", "date": "2026-06-20"})
            photos = sorted((pictures / "photos").iterdir())
            for path in photos:
                owner.upload(event["id"], path.name, path.read_bytes())
            product.wait("SELECT count(*) FROM photo WHERE status <> 'indexed'", 0, seconds=900)
        yield Prepared(data_dir, event["code"], len(photos), database)


@contextmanager
def product(prepared: Prepared) -> Iterator[System]:
    """The product as `make run` starts it."""
    with prepared.copy() as (data_dir, settings), running(data_dir, **settings) as started:
        supervisor = psutil.Process(started.process.pid)

        def master() -> psutil.Process:
            return next(child for child in supervisor.children() if any("gunicorn" in part for part in child.cmdline()))

        yield System("product", started.url, data_dir, master, started)


@contextmanager
def standin(prepared: Prepared, site: str) -> Iterator[System]:
    """The product's app under the same gunicorn, with the matching at another place and no workers beside it."""
    with prepared.copy() as (data_dir, settings), valkey() as redis:
        port = str(free_port())
        url = f"http://127.0.0.1:{port}"
        kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG", "TMPDIR")}
        env = kept | ONE_THREAD | {"DATABASE_URL": f"sqlite:///{data_dir / 'findme.sqlite'}"} | settings
        env |= {"DATA_DIR": str(data_dir), "PORT": port, "PUBLIC_URL": url, "REDIS_URL": redis.url, "CALL_SITE": site}
        gunicorn = [sys.executable, "-m", "gunicorn", "-c", "python:webapp.gunicorn_conf"]
        with (data_dir / "logs" / "web.log").open("ab") as log:
            process = subprocess.Popen(
                [*gunicorn, "tests.load.standins.app:app"],
                cwd=ROOT,
                env=env,
                stdout=log,
                stderr=log,
                process_group=0,
                preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509 - nothing runs beside us here
            )
        system = System(site, url, data_dir, lambda: psutil.Process(process.pid))
        try:
            _wait_until_up(system, process)
            yield system
        finally:
            process.send_signal(signal.SIGQUIT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait_until_up(system: System, process: subprocess.Popen[bytes], seconds: float = 120) -> None:
    """Until every one of its processes has loaded its engines."""
    deadline = time.monotonic() + seconds
    log = system.data_dir / "logs" / "web.log"
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(f"{system.url}/api/health/live", timeout=2).ok and _all_ready(system):
                return
        except requests.RequestException:
            pass
        time.sleep(0.2)
    raise RuntimeError(f"the stand-in did not start:\n{log.read_text()[-4000:]}")


def _all_ready(system: System) -> bool:
    """Each worker leaves a file once its engines are loaded."""
    return all((system.data_dir / "logs" / f"ready-{pid}").exists() for pid in system.web_pids())
