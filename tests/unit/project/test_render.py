"""render.yaml is a Blueprint that Render takes, and starts what the README says with settings that exist."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from jobs.worker import Worker
from tests.unit.project import render_blueprint_keys as keys
from webapp.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text()
BLUEPRINT: dict[str, Any] = yaml.safe_load((ROOT / "render.yaml").read_text())

PLATFORM = {"PYTHON_VERSION", "PYTHONUNBUFFERED", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}
"""Variables that are no settings of ours."""

SECRETS = {"SECRET_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "SMTP_URL", "DATABASE_URL", "REDIS_URL"}

Variables = list[dict[str, Any]]

GROUPS: dict[str, Variables] = {group["name"]: group["envVars"] for group in BLUEPRINT["envVarGroups"]}
SERVERS: list[dict[str, Any]] = [each for each in BLUEPRINT["services"] if each["type"] != "keyvalue"]
WORKERS = [each for each in SERVERS if each["type"] == "worker"]
[WEB] = [each for each in SERVERS if each["type"] == "web"]
[KEY_VALUE] = [each for each in BLUEPRINT["services"] if each["type"] == "keyvalue"]
[DATABASE] = BLUEPRINT["databases"]

servers = pytest.mark.parametrize("server", SERVERS, ids=lambda server: server["name"])


def variables(server: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the variables that a service gets, with those of its groups, by name."""
    own = [each for each in server["envVars"] if "key" in each]
    shared = [each for each in server["envVars"] if "fromGroup" in each]
    return {each["key"]: each for each in [*(row for group in shared for row in GROUPS[group["fromGroup"]]), *own]}


def value(server: dict[str, Any], name: str) -> Any:
    """Return a variable's literal value, or the setting's default."""
    found = variables(server).get(name)
    return found["value"] if found else Settings.model_fields[name.lower()].default


def readme_lines(program: str) -> set[str]:
    return set(re.findall(rf"^(\.venv/bin/{program} .+)$", README, re.MULTILINE))


# --- the format ---


def test_objects_have_keys_that_render_knows() -> None:
    assert set(BLUEPRINT) <= keys.ROOT_KEYS
    assert set(KEY_VALUE) <= keys.KEY_VALUE_KEYS and set(KEY_VALUE) >= keys.KEY_VALUE_REQUIRED
    assert set(DATABASE) <= keys.DATABASE_KEYS
    for server in SERVERS:
        assert set(server) <= keys.SERVER_KEYS and set(server) >= keys.SERVER_REQUIRED
    for group in BLUEPRINT["envVarGroups"]:
        assert set(group) == keys.GROUP_KEYS


@servers
def test_a_server_s_values_are_among_those_that_render_takes(server: dict[str, Any]) -> None:
    assert server["runtime"] in keys.RUNTIMES
    assert server["plan"] in keys.SERVICE_PLANS - {"free"}, "a free service has no preDeployCommand"
    assert server["maxShutdownDelaySeconds"] in keys.SHUTDOWN_DELAY
    assert server["autoDeployTrigger"] in keys.DEPLOY_TRIGGERS


def test_the_stores_values_are_among_those_that_render_takes() -> None:
    assert KEY_VALUE["plan"] in keys.SERVICE_PLANS - {"free"}, "a free one keeps nothing"
    assert DATABASE["plan"] in keys.DATABASE_PLANS - {"free"}, "a free one ends after some weeks"
    assert DATABASE["postgresMajorVersion"] in keys.POSTGRES_VERSIONS


def test_everything_is_in_one_region() -> None:
    regions = {each["region"] for each in [*BLUEPRINT["services"], DATABASE]}
    assert len(regions) == 1 and regions <= keys.REGIONS


@servers
def test_references_lead_to_what_the_blueprint_has(server: dict[str, Any]) -> None:
    others = {(each["type"], each["name"]): each for each in BLUEPRINT["services"]}
    for each in server["envVars"]:
        if "fromGroup" in each:
            assert set(each) == {"fromGroup"} and each["fromGroup"] in GROUPS
        elif "fromDatabase" in each:
            assert set(each) == {"key", "fromDatabase"} and set(each["fromDatabase"]) == keys.FROM_DATABASE_KEYS
            assert each["fromDatabase"]["name"] == DATABASE["name"]
            assert each["fromDatabase"]["property"] in keys.DATABASE_PROPERTIES
        elif "fromService" in each:
            source = each["fromService"]
            assert set(each) == {"key", "fromService"} and set(source) <= keys.FROM_SERVICE_KEYS
            other = others[source["type"], source["name"]]
            if "envVarKey" in source:
                assert source["envVarKey"] in variables(other)
            else:
                assert source["property"] in keys.SERVICE_PROPERTIES
        else:
            assert set(each) <= keys.VALUE_KEYS and len(each) == 2


def test_groups_have_values_of_their_own_only() -> None:
    for group in GROUPS.values():
        for each in group:
            assert set(each) <= keys.VALUE_KEYS - {"sync"} and len(each) == 2


# --- settings ---


@servers
def test_every_variable_is_a_setting_or_the_platform_s(server: dict[str, Any]) -> None:
    settings = {name.upper() for name in Settings.model_fields}
    assert set(variables(server)) <= settings | PLATFORM


@servers
def test_its_values_make_settings_that_may_serve(server: dict[str, Any], tmp_path: Path) -> None:
    given = {name.lower(): each["value"] for name, each in variables(server).items() if "value" in each}
    asked = {
        "secret_key": "Zm9yIHRlc3RzIG9ubHksIGEgdmFsdWUgb2YgUmVuZGVy",
        "render": True,
        "public_url": "https://photos.example.com",
        "s3_bucket": "photos",
        "aws_region": "eu-central-1",
        "database_url": "postgresql://findme@db/findme",
        "redis_url": "redis://red:6379",
        "data_dir": tmp_path,
    }
    settings = Settings(_env_file=None, **(given | asked))
    settings.check_for_serving()
    assert settings.environment == "production"


def test_no_secret_is_written_down() -> None:
    written = [each for group in GROUPS.values() for each in group]
    written += [each for server in SERVERS for each in server["envVars"] if "key" in each]
    assert [each["key"] for each in written if each["key"] in SECRETS and "value" in each] == []


def test_web_and_workers_share_one_group_that_says_s3() -> None:
    for server in SERVERS:
        assert {"fromGroup": "findme"} in server["envVars"]
    shared = {each["key"]: each for each in GROUPS["findme"]}
    assert shared["BLOB_STORE"]["value"] == "s3"
    assert shared["SECRET_KEY"] == {"key": "SECRET_KEY", "generateValue": True}


def test_workers_have_what_web_is_asked_for() -> None:
    asked = {each["key"] for each in WEB["envVars"] if each.get("sync") is False}
    assert {"S3_BUCKET", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "PUBLIC_URL"} <= asked
    for worker in WORKERS:
        taken = {each["key"] for each in worker["envVars"] if "envVarKey" in each.get("fromService", {})}
        assert taken == asked


def test_both_kinds_of_workers_have_the_same_settings() -> None:
    first, further = WORKERS
    assert first["envVars"] == further["envVars"]


def test_web_listens_where_render_looks() -> None:
    assert value(WEB, "HOST") == "0.0.0.0"  # noqa: S104 - inside Render's network
    assert value(WEB, "PORT") == 10000
    assert value(WEB, "TRUSTED_PROXIES") > 0


@pytest.mark.parametrize("forged", ["", "6.6.6.6, "])
def test_the_number_of_proxies_fits_what_arrived_on_render(forged: str) -> None:
    """The header is one that https://github.com/arcjet/arcjet-js/issues/3899 shows, with other addresses."""
    seen: dict[str, Any] = {}

    def inner(environ: dict[str, Any], _start: Any) -> list[bytes]:
        seen.update(environ)
        return []

    environ = {"REMOTE_ADDR": "10.0.0.9", "HTTP_X_FORWARDED_FOR": f"{forged}192.0.2.7, 172.71.0.1, 10.226.0.1"}
    ProxyFix(inner, x_for=value(WEB, "TRUSTED_PROXIES"))(environ, lambda *_: lambda _body: None)
    assert seen["REMOTE_ADDR"] == "192.0.2.7"


# --- processes ---


@servers
def test_it_installs_and_migrates_before_it_starts(server: dict[str, Any]) -> None:
    assert server["buildCommand"] == "make install"
    assert {server["preDeployCommand"]} == readme_lines("flask --app wsgi db")


def test_commands_are_the_readme_s() -> None:
    assert {WEB["startCommand"]} == readme_lines("gunicorn")
    assert {worker["startCommand"] for worker in WORKERS} == readme_lines("rq worker")


def test_the_second_kind_of_worker_has_several_instances() -> None:
    counts = {worker["startCommand"].split()[-1]: worker["numInstances"] for worker in WORKERS}
    assert counts["photos"] == 1
    assert counts["maintenance"] > 1


def test_there_is_time_to_stop() -> None:
    for server in SERVERS:
        assert server["maxShutdownDelaySeconds"] >= value(server, "GRACEFUL_TIMEOUT")
    for worker in WORKERS:
        needed = value(worker, "JOB_TIMEOUT") + Worker.kill_after + Worker.farewell_seconds
        assert worker["maxShutdownDelaySeconds"] >= needed


def test_redis_never_evicts() -> None:
    assert KEY_VALUE["maxmemoryPolicy"] == "noeviction"


def test_stores_are_on_the_private_network_only() -> None:
    assert KEY_VALUE["ipAllowList"] == DATABASE["ipAllowList"] == []


def test_nothing_is_deployed_by_itself() -> None:
    assert {server["autoDeployTrigger"] for server in SERVERS} == {"off"}
    assert BLUEPRINT["previews"] == {"generation": "off"}


def test_the_health_check_is_one_that_answers_without_its_stores(app: Flask) -> None:
    assert WEB["healthCheckPath"] == "/api/health/live"
    assert app.test_client().get(WEB["healthCheckPath"]).status_code == 200


def test_the_runtime_is_a_python_that_the_project_takes() -> None:
    version = {each["key"]: each for each in GROUPS["findme"]}["PYTHON_VERSION"]["value"]
    assert re.fullmatch(r"3\.(1[1-9])\.\d+", version)
