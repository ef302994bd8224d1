"""The whole product, started as `make run` starts it, for tests and benchmarks that need real processes."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import requests
from sqlalchemy import Engine, NullPool, create_engine, text

from tests.support import faces
from tests.support.servers import free_port
from webapp.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery"
QUICK = {"SWEEP_INTERVAL": "2", "JOB_TIMEOUT": "14", "LEASE_SECONDS": "15"}
"""Settings with which work that was lost with its worker comes back in seconds instead of a minute."""


@dataclass
class Product:
    """A running installation."""

    url: str
    data_dir: Path
    process: subprocess.Popen[bytes]
    env: dict[str, str]

    def flask(self, *arguments: str) -> str:
        """Run a `flask findme` command beside it."""
        command = [sys.executable, "-m", "flask", "--app", "wsgi", "findme", *arguments]
        return subprocess.run(command, cwd=ROOT, env=self.env, check=True, capture_output=True, text=True).stdout

    def workers(self) -> list[psutil.Process]:
        """The RQ workers, without their horses."""
        return [child for child in self._children() if _is_worker(child) and not _is_worker(child.parent())]

    def kill_worker(self, worker: psutil.Process) -> None:
        """End a worker and its horse at once, as a lost machine would."""
        for process in [worker, *worker.children(recursive=True)]:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                pass

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the database says, read beside the running product."""
        with _engine(self._database_url()).connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    def wait(self, query: str, wanted: int, seconds: float = 120) -> None:
        """Until a count is reached."""
        deadline = time.monotonic() + seconds
        while (count := self.rows(query)[0][0]) != wanted:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{query}: {count} instead of {wanted} after {seconds:.0f} s")
            time.sleep(0.2)

    def _database_url(self) -> str:
        named = self.env.get("DATABASE_URL")
        if named:
            return Settings(_env_file=None, database_url=named).database_url
        return f"sqlite:///file:{self.data_dir / 'findme.sqlite'}?mode=ro&uri=true&timeout=30"

    def _children(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []


@cache
def _engine(url: str) -> Engine:
    """Kept, since tests ask several times a second; its connections are not, so that a database may be stopped."""
    return create_engine(url, poolclass=NullPool)


@dataclass
class Client:
    """Somebody who uses the JSON API over HTTP."""

    url: str
    token: str

    def get(self, path: str, **kwargs: Any) -> Any:
        return self.call("GET", path, **kwargs)

    def post(self, path: str, **kwargs: Any) -> Any:
        return self.call("POST", path, **kwargs)

    def call(self, method: str, path: str, **kwargs: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        answer = requests.request(method, f"{self.url}/api{path}", headers=headers, timeout=120, **kwargs)
        answer.raise_for_status()
        return answer.json()

    def upload(self, event_id: str, name: str, content: bytes) -> None:
        files = {"files": (name, io.BytesIO(content))}
        rows = self.post(f"/photographer/events/{event_id}/upload-photos", files=files)["files"]
        assert rows[0]["status"] in ("accepted", "duplicate"), rows

    def upload_selfie(self, content: bytes, **form: str) -> None:
        assert self.post("/upload-selfie", files={"file": ("me.jpg", content)}, data=form)["status"] == "received"


def login(product: Product, name: str, password: str) -> Client:
    """A client with a token."""
    token = Client(product.url, "").post("/login", json={"username": name, "password": password})["access_token"]
    return Client(product.url, token)


def register(product: Product, code: str, name: str) -> Client:
    """A new guest who agrees to face search."""
    user = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
    body = {"user_data": user, "event_code": code, "consent": True}
    return Client(product.url, Client(product.url, "").post("/register-with-event-code", json=body)["access_token"])


def photographer(product: Product) -> Client:
    """A photographer, made as ops make one."""
    product.flask("create-photographer", "photographer@example.com", "--password", PASSWORD)
    return login(product, "photographer@example.com", PASSWORD)


@contextmanager
def running(data_dir: Path, *, root: Path = ROOT, dev: bool = False, **changes: str) -> Iterator[Product]:
    """Start `python -m webapp.run.supervisor` on a folder, wait until it is ready, and end it with the block.

    `changes` are settings by their names in the environment; without a DATABASE_URL it is SQLite in that folder.
    `root` is the checkout that is started; `dev` is as `make dev` starts it.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG", "TMPDIR")}
    _hand_over(data_dir, demo="DEMO" in changes)
    env = kept | {"DATA_DIR": str(data_dir), "PORT": str(free_port()), "DEMO": "0"} | changes
    with (data_dir / "supervisor.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "webapp.run.supervisor", *(["--dev"] if dev else [])],
            cwd=root,
            env=env,
            stdout=log,
            stderr=log,
            process_group=0,
        )
    product = Product("", data_dir, process, env)
    try:
        product.url = _wait_until_ready(product)
        yield product
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _hand_over(data_dir: Path, *, demo: bool) -> None:
    """In a test run, give it the folded models and the demo's pictures that are there already: 5 and 10 s a start.

    A first start that makes them itself is what test_supervisor looks at.
    """
    if faces.SCRATCH not in os.environ:
        return
    faces.analyzer()
    made = {data_dir / "models": faces.prepared() / "models"}
    if demo:
        faces.demo_set()
        made[data_dir / "demo" / "photos"] = faces.prepared() / "demo"
    for target, source in made.items():
        if not target.exists():
            shutil.copytree(source, target)


def _wait_until_ready(product: Product, seconds: float = 90) -> str:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        settings = product.data_dir / "findme.env"
        if product.process.poll() is not None:
            break
        if settings.exists():
            named = dict(line.split("=", 1) for line in settings.read_text().splitlines() if "=" in line)
            url = f"http://127.0.0.1:{named['PORT'].strip(chr(34)).strip(chr(39))}"
            try:
                if requests.get(f"{url}/api/health/ready", timeout=2).status_code == 200:
                    return url
            except requests.RequestException:
                pass
        time.sleep(0.1)
    raise RuntimeError(f"it did not start:\n{(product.data_dir / 'supervisor.log').read_text()[-4000:]}")


def demo_facts(product: Product) -> dict[str, Any]:
    """What `make run` printed, for programs; waits until the demo is made."""
    path = product.data_dir / "demo.json"
    deadline = time.monotonic() + 90
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError("the demo was not made")
        time.sleep(0.2)
    facts: dict[str, Any] = json.loads(path.read_text())
    return facts


def _is_worker(process: psutil.Process | None) -> bool:
    try:
        return process is not None and "jobs.worker.Worker" in process.cmdline()
    except psutil.NoSuchProcess:
        return False
