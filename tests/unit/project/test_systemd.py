"""The systemd units start the README's lines, with time to stop, and with no more rights than they need."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from jobs.worker import Worker
from tests.support.systemd import UNITS, Section, environment, only, read_unit
from webapp.processes import ONE_THREAD
from webapp.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text()
GUIDE = (UNITS / "README.md").read_text()

MIGRATE, WEB = "findme-migrate.service", "findme-web.service"
FIRST, FURTHER = "findme-worker-first.service", "findme-worker@.service"
WORKERS = (FIRST, FURTHER)
SERVICES = (MIGRATE, WEB, *WORKERS)

HARDENING = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6",
    "CapabilityBoundingSet": "",
    "UMask": "0077",
}


def service(name: str) -> Section:
    return read_unit(UNITS / name)["Service"]


def seconds(name: str, key: str) -> int:
    return int(only(service(name), key))


def default(setting: str) -> int:
    return int(Settings.model_fields[setting].default)


def readme_line(pattern: str) -> str:
    (line,) = re.findall(rf"^\.venv/bin/({pattern})$", README, re.MULTILINE)
    return str(line)


def test_these_are_all_units() -> None:
    assert {path.name for path in UNITS.glob("findme*.*")} == {*SERVICES, "findme.target"}


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        (WEB, "gunicorn .+"),
        (FIRST, "rq worker .+ mail maintenance photos"),
        (FURTHER, "rq worker .+ photos mail maintenance"),
    ],
)
def test_a_service_runs_the_readme_s_line(name: str, pattern: str) -> None:
    assert only(service(name), "ExecStart") == f"/opt/findme/.venv/bin/{readme_line(pattern)}"


def test_the_migration_is_the_readme_s_line_until_it_succeeds() -> None:
    command = only(service(MIGRATE), "ExecStart")
    assert f"until /opt/findme/.venv/bin/{readme_line('flask --app wsgi db .+')}; do" in command
    assert only(service(MIGRATE), "Type") == "oneshot"
    assert only(service(MIGRATE), "TimeoutStartSec") == "infinity"


@pytest.mark.parametrize("name", [WEB, *WORKERS])
def test_web_and_workers_start_after_the_migration(name: str) -> None:
    unit = read_unit(UNITS / name)["Unit"]
    assert only(unit, "Requires") == MIGRATE
    assert MIGRATE in only(unit, "After").split()


@pytest.mark.parametrize("name", SERVICES)
def test_the_target_starts_and_stops_a_service(name: str) -> None:
    unit = read_unit(UNITS / name)
    assert only(unit["Unit"], "PartOf") == "findme.target"
    assert only(unit["Install"], "WantedBy") == "findme.target"


def test_the_target_wants_everything_but_further_workers() -> None:
    wanted = only(read_unit(UNITS / "findme.target")["Unit"], "Wants").split()
    assert set(wanted) == {MIGRATE, WEB, FIRST}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_runs_as_its_own_user_with_private_data_and_settings(name: str) -> None:
    found = service(name)
    assert only(found, "User") == only(found, "Group") == "findme"
    assert only(found, "EnvironmentFile") == "/etc/findme/findme.env"
    assert only(found, "StateDirectory") == "findme"
    assert only(found, "StateDirectoryMode") == "0700"
    assert environment(found)["DATA_DIR"] == "/var/lib/findme"


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_unit_sets_is_no_secret(name: str) -> None:
    assert not {"SECRET_KEY", "DATABASE_URL", "REDIS_URL", "SMTP_URL"} & set(environment(service(name)))


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_hardened(name: str) -> None:
    found = service(name)
    assert {key: only(found, key) for key in HARDENING} == HARDENING


@pytest.mark.parametrize("name", [WEB, *WORKERS])
def test_a_service_is_started_again_for_ever(name: str) -> None:
    assert only(service(name), "Restart") == "always"
    assert only(read_unit(UNITS / name)["Unit"], "StartLimitIntervalSec") == "0"


@pytest.mark.parametrize("name", [WEB, *WORKERS])
def test_sigterm_goes_to_the_main_process_alone(name: str) -> None:
    assert only(service(name), "KillMode") == "mixed"


def test_there_is_time_to_stop() -> None:
    for name in (WEB, *WORKERS):
        assert seconds(name, "TimeoutStopSec") > default("graceful_timeout")
    for name in WORKERS:
        needed = default("job_timeout") + Worker.kill_after + Worker.farewell_seconds
        assert seconds(name, "TimeoutStopSec") > needed


def test_web_may_open_the_files_that_its_connections_need() -> None:
    assert seconds(WEB, "LimitNOFILE") >= 2200


@pytest.mark.parametrize("name", WORKERS)
def test_native_libraries_of_a_worker_have_one_thread_as_under_make_run(name: str) -> None:
    threads = {key: value for key, value in environment(service(name)).items() if key.endswith("_NUM_THREADS")}
    assert threads == ONE_THREAD


@pytest.mark.parametrize("name", ["systemctl restart findme.target", "useradd --system", "install -m 0600 -o root"])
def test_the_guide_names_the_steps(name: str) -> None:
    assert name in GUIDE


def test_systemd_finds_no_fault(tmp_path: Path) -> None:
    """Checks more than the tests above where systemd is installed, which need not be."""
    analyzer = shutil.which("systemd-analyze")
    for path in UNITS.glob("findme*.*"):
        # The programs have to exist.
        text = re.sub(r"/opt/findme/\.venv/bin/(?:gunicorn|rq)", "/bin/true", path.read_text())
        (tmp_path / path.name).write_text(text)
    if analyzer:
        names = [str(tmp_path / name) for name in (*SERVICES, "findme.target") if name != FURTHER]
        names.append(str(tmp_path / "findme-worker@1.service"))
        env = {"SYSTEMD_UNIT_PATH": f"{tmp_path}:"}
        done = subprocess.run([analyzer, "verify", *names], env=env, capture_output=True, text=True)
        faults = [line for line in done.stderr.splitlines() if "findme" in line]
        assert (done.returncode, faults) == (0, [])
