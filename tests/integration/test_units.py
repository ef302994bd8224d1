"""The command lines of the systemd units work, and end on SIGTERM in the time that the units give."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.support.actors import World, demo_photos
from tests.support.servers import free_port
from tests.support.systemd import UNITS, environment, only, read_unit
from webapp.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def start(unit: str, settings: Settings, **changes: str) -> subprocess.Popen[str]:
    """Start a unit's ExecStart as systemd would: /opt/findme is this checkout, findme.env the test's settings."""
    section = read_unit(UNITS / unit)["Service"]
    programs = f"{Path(sys.executable).parent}/"
    line = only(section, "ExecStart").replace("/opt/findme/.venv/bin/", programs).replace("/opt/findme", str(ROOT))
    env = {"PATH": os.environ["PATH"]} | environment(section)
    env |= {
        "DATA_DIR": str(settings.data_dir),
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "SECRET_KEY": settings.secret_key.get_secret_value(),
        "PUBLIC_URL": "https://photos.example.com",
    }
    umask = int(only(section, "UMask"), 8)
    with (settings.data_dir / "unit.log").open("wb") as log:
        return subprocess.Popen(
            shlex.split(line), cwd=ROOT, env=env | changes, process_group=0, stderr=log, text=True, umask=umask
        )


@contextmanager
def running(unit: str, settings: Settings, **changes: str) -> Iterator[subprocess.Popen[str]]:
    """Run a unit for the length of a block; whatever is left at its end is killed."""
    settings.data_dir.chmod(0o700)
    process = start(unit, settings, **changes)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def stop(process: subprocess.Popen[str], unit: str) -> int:
    """Send SIGTERM to the main process alone, as KillMode=mixed does; return its exit status."""
    process.send_signal(signal.SIGTERM)
    return process.wait(int(only(read_unit(UNITS / unit)["Service"], "TimeoutStopSec")))


def log(settings: Settings) -> str:
    return (settings.data_dir / "unit.log").read_text()


@pytest.mark.parametrize("unit", ["findme-worker-first.service", "findme-worker@.service"])
def test_a_worker_s_unit_indexes_photos_and_ends(unit: str, world: World, settings: Settings) -> None:
    world.add_photos(world.event(), *demo_photos(1))
    with running(unit, settings) as worker:
        deadline = time.monotonic() + 60
        while set(world.statuses().values()) != {"indexed"} and time.monotonic() < deadline:
            assert worker.poll() is None, log(settings)
            time.sleep(0.2)
        assert set(world.statuses().values()) == {"indexed"}
        assert stop(worker, unit) == 0


def test_the_web_unit_tells_systemd_when_it_listens_answers_and_ends(settings: Settings) -> None:
    address = f"\0findme-{os.getpid()}-{free_port()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(60)
        port = free_port()
        notify = {"PORT": str(port), "NOTIFY_SOCKET": address.replace("\0", "@"), "WORKERS": "1"}
        with running("findme-web.service", settings, **notify) as web:
            assert "READY=1" in manager.recv(4096).decode()
            answer = requests.get(f"http://127.0.0.1:{port}/api/health/live", timeout=60)
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
            assert stop(web, "findme-web.service") == 0


def test_the_migration_s_unit_ends_when_the_database_is_at_the_newest_schema(settings: Settings) -> None:
    with running("findme-migrate.service", settings) as migration:
        assert migration.wait(60) == 0, log(settings)
