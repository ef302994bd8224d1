"""`make run`'s supervisor, started for real: what it promises about ports, folders, deaths and endings."""

import contextlib
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from redis import Redis

from webapp.demo import facts as demo_facts

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "webapp.run.supervisor"]


class Run:
    """One started supervisor and everything below it."""

    def __init__(self, data_dir: Path, port: int, *, command: list[str] | None = None, **env: str) -> None:
        self.data_dir = data_dir
        self.output = data_dir.parent / f"{data_dir.name}.out"
        inherited = {name: value for name, value in os.environ.items() if name not in {"REDIS_URL", "DATABASE_URL"}}
        self._log = self.output.open("w")
        self.process = subprocess.Popen(
            command or COMMAND,
            cwd=ROOT,
            env=inherited
            | {
                "DATA_DIR": str(data_dir),
                "PORT": str(port),
                "MATCHING_PROCESSES": "1",
                "WORKERS": "1",
                "DEMO": "0",
                **env,
            },
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.family: set[psutil.Process] = set()

    @property
    def text(self) -> str:
        return self.output.read_text()

    @property
    def url(self) -> str:
        found = re.search(r"PUBLIC_URL='(.*)'", (self.data_dir / "findme.env").read_text())
        assert found, self.text
        return found[1]

    def wait_until_up(self) -> "Run":
        until(lambda: "  Logs  " in self.text or self.process.poll() is not None, 120)
        assert self.process.poll() is None, self.text
        self.meet()
        return self

    def meet(self) -> None:
        """Remember everyone, since orphans can't be found by their parent."""
        self.family |= set(psutil.Process(self.process.pid).children(recursive=True))

    def child(self, *words: str) -> psutil.Process:
        """The one direct child with these words in its command line."""
        children = psutil.Process(self.process.pid).children()
        return next(child for child in children if all(word in " ".join(child.cmdline()) for word in words))

    def has_child(self, *words: str) -> bool:
        """Whether there is such a child now; one that is just starting has no command line yet."""
        try:
            return bool(self.child(*words))
        except (StopIteration, psutil.Error):
            return False

    def left(self) -> list[psutil.Process]:
        return [member for member in self.family if member.is_running() and member.status() != psutil.STATUS_ZOMBIE]

    def clear(self) -> None:
        if self.process.poll() is None:
            self.meet()
            self.process.kill()
            self.process.wait()
        for member in self.left():
            member.kill()
        self._log.close()


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def get(url: str, **headers: str) -> int:
    """The status of a page; 0 where it is refused or nobody answers."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5) as answer:  # noqa: S310 - http
            return int(answer.status)
    except OSError:
        return 0


def rights(folder: Path) -> dict[Path, int]:
    """The permission bits of a folder and everything in it."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        with contextlib.suppress(FileNotFoundError):  # a draft that became a picture meanwhile
            found[path] = stat.S_IMODE(path.lstat().st_mode)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def begin(tmp_path: Path, models: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def start(
        name: str = "data",
        port: int | None = None,
        before: Callable[[Path], None] = lambda _: None,
        **options: object,
    ) -> Run:
        shutil.copytree(models, tmp_path / name / "models")
        before(tmp_path / name)
        runs.append(Run(tmp_path / name, port or free_port(), **options))  # type: ignore[arg-type]
        return runs[-1]

    yield start
    for run in runs:
        run.clear()
        print(f"--- {run.output.name}\n{run.text}")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """One that most tests share, with all of what people get."""
    run = Run(tmp_path_factory.mktemp("shared") / "data", free_port(), DEMO="1")
    try:
        yield run.wait_until_up()
    finally:
        run.clear()
        print(run.text)


@pytest.fixture(scope="module")
def models(running: Run) -> Path:
    """Face models that are folded already, which saves each further start some seconds."""
    return running.data_dir / "models"


def redis_of(run: Run) -> Redis:
    found = re.search(r"REDIS_URL='(.*)'", (run.data_dir / "findme.env").read_text())
    assert found
    return Redis.from_url(found[1])


def test_it_is_ready_and_private(running: Run) -> None:
    assert get(f"{running.url}/api/health/ready") == 200
    assert stat.S_IMODE(running.data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE((running.data_dir / "findme.env").stat().st_mode) == 0o600


def test_no_file_of_it_is_open_to_other_users(running: Run) -> None:
    """Pictures, the database with its log, Redis' files and socket, models, logs, whichever process made them."""
    found = rights(running.data_dir)
    names = {path.name for path in found}
    assert {"findme.sqlite", "findme.sqlite-wal", "redis", "logs", "web.log", "demo.json", "selfie.jpg"} <= names
    assert any(path.is_relative_to(running.data_dir / "blobs" / "events") for path in found)
    assert {str(path): oct(mode) for path, mode in found.items() if mode & 0o077} == {}


def test_passwords_are_printed_and_in_no_log_or_process_list(running: Run) -> None:
    facts = demo_facts.read(running.data_dir)
    assert facts
    passwords = [facts[role]["password"] for role in demo_facts.ROLES]
    assert [password for password in passwords if password not in running.text] == []
    assert (running.data_dir / "logs" / "demo.log").read_text().strip()
    kept = [*(running.data_dir / "logs").iterdir(), running.data_dir / "findme.env"]
    members = [psutil.Process(running.process.pid), *psutil.Process(running.process.pid).children(recursive=True)]
    shown = [repr((member.cmdline(), member.environ())) for member in members]
    for password in passwords:
        assert [path for path in kept if password.encode() in path.read_bytes()] == []
        assert [line for line in shown if password in line] == []


def test_a_demo_has_a_page_of_mails_for_names_of_this_machine(running: Run) -> None:
    port = running.url.rpartition(":")[2]
    page = f"http://127.0.0.1:{port}/dev/mail"
    assert f"http://localhost:{port}/dev/mail" in running.text
    assert "lets other machines in" not in running.text
    assert get(page) == 200
    for headers in ({"Host": f"rebound.example:{port}"}, {"X-Forwarded-For": "127.0.0.1"}, {"Via": "1.1 tunnel"}):
        assert get(page, **headers) == 0, headers


def test_commands_in_another_shell_find_the_installation(running: Run) -> None:
    env = {"PATH": os.environ["PATH"], "DATA_DIR": str(running.data_dir)}
    rq = Path(sys.executable).with_name("rq")
    told = subprocess.run([rq, "info", "-c", "jobs.rq_settings"], cwd=ROOT, env=env, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert "1 workers" in told.stdout


def test_a_folder_in_use_is_refused_in_one_sentence(running: Run, begin: Callable[..., Run]) -> None:
    env = os.environ | {"DATA_DIR": str(running.data_dir)}
    second = subprocess.run(COMMAND, cwd=ROOT, env=env, capture_output=True, text=True, timeout=30)
    assert second.returncode == 1
    assert str(running.data_dir) in second.stdout
    assert len(second.stdout.strip().splitlines()) == 1
    assert "Traceback" not in second.stdout + second.stderr
    assert get(f"{running.url}/api/health/ready") == 200


def test_a_killed_web_server_comes_back(running: Run) -> None:
    web = running.child("gunicorn")
    web.kill()
    web.wait(10)
    until(lambda: running.has_child("gunicorn"), 20)
    until(lambda: get(f"{running.url}/api/health/ready") == 200, 40)


def test_a_killed_worker_is_replaced_and_its_jobs_come_back_at_once(running: Run) -> None:
    redis = redis_of(running)
    until(lambda: redis.smembers("rq:workers"))
    before = redis.smembers("rq:workers")
    worker = running.child("jobs.worker.Worker")
    horses = worker.children()
    worker.kill()
    until(lambda: redis.smembers("rq:workers") and not redis.smembers("rq:workers") & before, 15)
    assert not [horse for horse in horses if horse.is_running() and horse.status() != psutil.STATUS_ZOMBIE]
    assert running.child("jobs.worker.Worker").pid != worker.pid


def test_redis_that_dies_comes_back_with_its_jobs(running: Run) -> None:
    redis = redis_of(running)
    redis.set("kept", "yes")
    running.child("valkey-server").kill()
    time.sleep(0.5)
    until(lambda: _answers(redis), 15)
    assert redis.get("kept") == b"yes"
    until(lambda: redis.smembers("rq:workers"), 20)


def _answers(redis: Redis) -> bool:
    try:
        return bool(redis.ping())
    except OSError:
        return False
    except Exception:
        return False


def test_a_second_one_takes_the_next_port_and_ctrl_c_ends_it(running: Run, begin: Callable[..., Run]) -> None:
    port = int(running.url.rpartition(":")[2])
    run = begin(port=port).wait_until_up()
    assert int(run.url.rpartition(":")[2]) > port
    assert f"Port {port} is taken" in run.text
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(20) == 0
    assert not run.left()
    assert "Traceback" not in run.text
    assert get(f"{run.url}/api/health/ready") == 0
    assert get(f"{running.url}/api/health/ready") == 200


def test_without_a_demo_there_are_no_helpers_and_what_other_machines_see_is_said(begin: Callable[..., Run]) -> None:
    """Also where DATA_DIR had a demo before, was left open to others, and a wrong environment claims a demo."""
    data_dir = begin(name="data", HOST="0.0.0.0", STARTED_AS_DEMO="1", before=leave_a_demo).wait_until_up().data_dir  # noqa: S104 - what is warned of
    text, url = (data_dir.parent / "data.out").read_text(), (data_dir / "findme.env").read_text()
    assert "HOST=0.0.0.0 lets other machines in" in text
    assert "This is a demo" not in text
    assert "admin@example.com" in text and "can't sign in" in text
    assert "was open to other users" in text
    port = re.search(r"PORT='(\d+)'", url)
    assert port and get(f"http://127.0.0.1:{port[1]}/dev/mail") == 0
    assert {str(path): oct(mode) for path, mode in rights(data_dir).items() if mode & 0o077} == {}
    assert not (data_dir / "logs" / "demo.log").exists()


def leave_a_demo(data_dir: Path) -> None:
    """What an earlier version left: facts of a demo, a log with its passwords, everything open to others."""
    people = {role: {"email": f"{role}@example.com", "password": "printed"} for role in demo_facts.ROLES}
    demo_facts.write(data_dir, {"event_code": "DEMO2026", **people})
    (data_dir / "logs").mkdir()
    (data_dir / "logs" / "demo.log").write_text("password printed")
    for path in (data_dir, *data_dir.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_being_told_to_end_while_starting_leaves_nothing(begin: Callable[..., Run], number: signal.Signals) -> None:
    run = begin()
    until(lambda: "Starting" in run.text, 30)
    time.sleep(1)
    run.meet()
    run.process.send_signal(number)
    assert run.process.wait(30) == 0
    assert not run.left()
    assert "Traceback" not in run.text


def test_sigkill_leaves_nothing_even_with_a_long_path_with_blanks(begin: Callable[..., Run]) -> None:
    run = begin(name="é d" * 40).wait_until_up()
    run.process.kill()
    run.process.wait()
    until(lambda: not run.left(), 5)


def test_the_end_of_the_starter_is_its_end(begin: Callable[..., Run]) -> None:
    starter = [sys.executable, "-c", f"import subprocess; subprocess.run({[*COMMAND, '--die-with-parent']!r})"]
    run = begin(command=starter).wait_until_up()
    run.process.kill()
    run.process.wait()
    until(lambda: not run.left(), 20)


def test_where_the_kernel_does_not_help_a_guard_ends_what_is_left(tmp_path: Path) -> None:
    script = (
        "import os, subprocess, sys, time\n"
        "from webapp.run.child_processes import Guard\n"
        "guard = Guard(needed=True)\n"
        "child = subprocess.Popen(['sleep', '600'], process_group=0)\n"
        "guard.tell(child.pid)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout
        child = psutil.Process(int(starter.stdout.readline()))
        starter.kill()
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 10)
