"""What the README says is done here to the letter."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.support.actors import World, demo_photos
from webapp.db.extensions import db
from webapp.models import Photo
from webapp.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def _worker_lines() -> list[str]:
    return re.findall(r"^\.venv/bin/(rq worker .+)$", README, re.MULTILINE)


@pytest.mark.parametrize("line", _worker_lines())
def test_the_rq_worker_line_works_off_the_apps_queues(line: str, world: World, settings: Settings) -> None:
    world.add_photos(world.event(), *demo_photos(2))
    env = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ} | {
        "DATA_DIR": str(settings.data_dir),
        "REDIS_URL": settings.redis_url,
        "DATABASE_URL": settings.database_url,
        "SECRET_KEY": settings.secret_key.get_secret_value(),
        "ENVIRONMENT": "development",
    }
    program, *arguments = shlex.split(line)
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    worker = subprocess.Popen(command, cwd=ROOT, env=env, process_group=0, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while set(world.statuses().values()) != {"indexed"} and time.monotonic() < deadline:
            assert worker.poll() is None, worker.stderr.read() if worker.stderr else ""
            time.sleep(0.2)
        assert set(world.statuses().values()) == {"indexed"}
        with world.app.app_context():
            assert all(photo.faces_count is not None for photo in db.session.scalars(select(Photo)))
    finally:
        os.killpg(worker.pid, signal.SIGTERM)
        worker.wait(20)


def test_it_names_two_workers_one_for_each_order_of_queues() -> None:
    first, second = _worker_lines()
    assert first.endswith("selfies mail maintenance photos")
    assert second.endswith("selfies photos mail maintenance")


def test_the_web_process_never_loads_the_engine(settings: Settings) -> None:
    code = """
import sys
from webapp.settings import Settings
from webapp import create_app
app = create_app(Settings.from_env())
client = app.test_client()
assert client.get("/").status_code == 200
assert client.get("/api/health/live").status_code == 200
loaded = {"onnxruntime", "cv2", "onnx"} & set(sys.modules)
assert not loaded, loaded
"""
    env = {"PATH": os.environ["PATH"], "DATA_DIR": str(settings.data_dir), "ENVIRONMENT": "development"}
    env |= {"SECRET_KEY": settings.secret_key.get_secret_value(), "REDIS_URL": settings.redis_url}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, check=True)
