"""compose.yaml and its override keep the rules of docs/compose.md. Docker itself is not needed."""

import re
import shlex
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from webapp.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
MAKE_SECRETS = ROOT / "deploy" / "compose" / "make-secrets.sh"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
S3: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose" / "s3.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("web", "worker-first", "worker", "migrate")
WORKERS = ("worker-first", "worker")
PYTHONS_OWN = {"TMPDIR"}
"""Variables of our containers that Python reads, and no setting."""


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> dict[str, Any]:
    return SERVICES[request.param]


def test_only_caddy_publishes_ports() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["caddy"]
    assert not any("network_mode" in service or "privileged" in service for service in SERVICES.values())


def test_a_service_has_a_read_only_root_and_no_privileges(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert any(mount.startswith("/tmp") for mount in service["tmpfs"])  # noqa: S108 - a container's own


def test_only_caddy_has_a_capability() -> None:
    added = {name: service["cap_add"] for name, service in SERVICES.items() if "cap_add" in service}
    assert added == {"caddy": ["NET_BIND_SERVICE"]}


def test_all_but_the_migration_restart() -> None:
    policies = {name: service["restart"] for name, service in SERVICES.items()}
    assert policies.pop("migrate") == "no"
    assert set(policies.values()) == {"unless-stopped"}


@pytest.mark.parametrize("name", ["postgres", "valkey", "caddy"])
def test_images_are_pinned_to_a_version(name: str) -> None:
    assert re.fullmatch(r"[\w/]+:\d+\.\d+(\.\d+)?(-\w+)?", SERVICES[name]["image"])


@pytest.mark.parametrize("name", OURS)
def test_our_images_are_built_from_the_dockerfiles_targets(name: str) -> None:
    service = SERVICES[name]
    target = "worker" if name in WORKERS else "web"
    assert service["build"] == {"context": ".", "target": target}
    assert service["image"].startswith(f"findme-{target}:")
    assert not service["image"].endswith("latest")


def test_commands_are_those_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    lines = re.findall(r"^\.venv/bin/((?:flask --app wsgi db|gunicorn -c|rq worker) .+)$", readme, re.MULTILINE)
    assert [SERVICES[name]["command"] for name in ("migrate", "web", "worker-first", "worker")] == lines


@pytest.mark.parametrize("file", [COMPOSE, S3], ids=["compose.yaml", "s3.yaml"])
def test_variables_of_our_containers_are_settings(file: dict[str, Any]) -> None:
    settings = {name.upper() for name in Settings.model_fields}
    named = {variable for name in OURS for variable in file["services"][name]["environment"]}
    assert {name.removesuffix("_FILE") for name in named} - settings <= PYTHONS_OWN


def test_no_secret_is_in_the_environment() -> None:
    secrets = {"SECRET_KEY", "DATABASE_URL", "REDIS_URL", "SMTP_URL", "AWS_SECRET_ACCESS_KEY", "POSTGRES_PASSWORD"}
    for service in (*SERVICES.values(), *S3["services"].values()):
        assert not secrets & set(service.get("environment", ()))


@pytest.mark.parametrize("file", [COMPOSE, S3], ids=["compose.yaml", "s3.yaml"])
def test_secrets_that_a_service_reads_are_given_to_it_and_defined(file: dict[str, Any]) -> None:
    for service in file["services"].values():
        given = set(service.get("secrets", ()))
        assert given <= set(file["secrets"])
        assert set(re.findall(r"/run/secrets/(\w+)", str(service))) == given


def test_the_site_trusts_one_proxy_and_has_an_https_address() -> None:
    environment = SERVICES["web"]["environment"]
    assert environment["TRUSTED_PROXIES"] == "1"
    assert environment["PUBLIC_URL"].startswith("https://${SITE_ADDRESS")
    assert SERVICES["caddy"]["environment"]["UPSTREAM"] == f"web:{environment['PORT']}"


def test_web_and_workers_share_the_photos() -> None:
    assert all("photos:/data" in SERVICES[name]["volumes"] for name in OURS)
    assert all(SERVICES[name]["environment"]["DATA_DIR"] == "/data" for name in OURS)


def test_uploads_wait_on_a_disk() -> None:
    web = SERVICES["web"]
    assert any(mount.endswith(f":{web['environment']['TMPDIR']}") for mount in web["volumes"])


def test_containers_get_longer_to_stop_than_what_they_finish() -> None:
    web = SERVICES["web"]
    assert _seconds(web["stop_grace_period"]) > int(web["environment"]["GRACEFUL_TIMEOUT"])
    for name in WORKERS:
        worker = SERVICES[name]
        assert _seconds(worker["stop_grace_period"]) > int(worker["environment"]["JOB_TIMEOUT"])


def test_the_queue_is_kept_and_never_evicted() -> None:
    options = shlex.split(SERVICES["valkey"]["command"])
    assert options[options.index("--appendonly") + 1] == "yes"
    assert options[options.index("--maxmemory-policy") + 1] == "noeviction"


@pytest.mark.parametrize("name", ["web", "worker-first", "worker"])
def test_processes_start_when_the_database_is_migrated(name: str) -> None:
    conditions = {other: how["condition"] for other, how in SERVICES[name]["depends_on"].items()}
    healthy = "service_healthy"
    assert conditions == {"postgres": healthy, "valkey": healthy, "migrate": "service_completed_successfully"}


def test_what_others_wait_for_has_a_health_check() -> None:
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            assert how["condition"] != "service_healthy" or "healthcheck" in SERVICES[other]


def test_database_and_queue_are_reached_by_our_processes_alone() -> None:
    assert COMPOSE["networks"]["storage"] == {"internal": True}
    assert SERVICES["postgres"]["networks"] == SERVICES["valkey"]["networks"] == ["storage"]
    assert {name for name, service in SERVICES.items() if "storage" in service["networks"]} == {
        *OURS,
        "postgres",
        "valkey",
    }


def test_volumes_and_networks_are_defined(service: dict[str, Any]) -> None:
    named = {mount.split(":")[0] for mount in service.get("volumes", ()) if not mount.startswith(".")}
    assert named <= set(COMPOSE["volumes"])
    assert set(service["networks"]) <= set(COMPOSE["networks"])


def test_files_that_are_mounted_exist(service: dict[str, Any]) -> None:
    mounted = [mount.split(":")[0] for mount in service.get("volumes", ()) if mount.startswith(".")]
    assert all((ROOT / path).is_file() for path in mounted)


def test_the_override_changes_all_of_our_services() -> None:
    assert set(S3["services"]) == set(OURS)


def test_the_script_makes_every_secret_of_the_file() -> None:
    made = set(re.findall(r"^put (\w+)", MAKE_SECRETS.read_text(), re.MULTILINE))
    assert made == set(COMPOSE["secrets"])


def test_secrets_belong_to_the_users_that_read_them_and_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    done = _make_secrets(folder, "smtp://user:password@mail.example.com:587")
    if "run this as root" in done.stderr:
        pytest.skip("only root may give files to other users")
    assert done.returncode == 0, done.stderr
    before = dict(_files(folder))
    _make_secrets(folder, "smtp://other.example.com")
    assert dict(_files(folder)) == before
    for name in COMPOSE["secrets"]:
        status = (folder / name).stat()
        assert stat.S_IMODE(status.st_mode) == 0o400
        assert status.st_uid == (999 if name in ("postgres_password", "valkey_conf") else 10001)
    assert len(before["secret_key"].strip()) == 48
    assert before["database_url"] == f"postgresql://findme:{before['postgres_password'].strip()}@postgres/findme\n"
    assert before["redis_url"] == f"redis://:{before['valkey_conf'].split()[1]}@valkey:6379/0\n"


@pytest.mark.parametrize("arguments", [[], ["mail.example.com"], ["smtp://a", "smtp://b"]])
def test_the_script_refuses_what_is_no_mail_server(arguments: list[str], tmp_path: Path) -> None:
    done = _make_secrets(tmp_path / "secrets", *arguments)
    assert done.returncode == 2
    assert not (tmp_path / "secrets").exists()


def _make_secrets(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SECRETS_DIR": str(folder)}
    return subprocess.run(["sh", str(MAKE_SECRETS), *arguments], env=env, capture_output=True, text=True)


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    return ((path.name, path.read_text()) for path in folder.iterdir())


def _seconds(duration: str) -> int:
    found = re.fullmatch(r"(\d+)s", duration)
    assert found, duration
    return int(found[1])
