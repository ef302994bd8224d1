"""What the pages about deployment name exists: links, files, make targets, commands and settings."""

import re
from pathlib import Path

import click
import pytest
from flask import Flask
from flask_migrate.cli import db as migrations

from webapp import cli
from webapp.settings import Settings
from webapp.settings.secret_files import SECRETS

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = "docs/deploy.md"
PAGES = (
    DEPLOY,
    "docs/compose.md",
    "docs/aws.md",
    "docs/queues.md",
    "docs/log-lines.md",
    "deploy/systemd/README.md",
)
SETTINGS = {name.upper() for name in Settings.model_fields} | {f"{name.upper()}_FILE" for name in SECRETS}
OLD = {"MATCHING_THREAD_POOL_SIZE", "BCRYPT_ROUNDS", "WORKER_CLASS"}
OTHERS = {
    "CADDY_GLOBAL_OPTIONS",
    "EVENT_CODE",
    "LOAD_JOURNAL",
    "RQ_DASHBOARD_PASSWORD",
    "RQ_DASHBOARD_REDIS_URL",
    "RQ_DASHBOARD_USERNAME",
    "SECRETS_DIR",
    "SITE_ADDRESS",
}
"""Variables of Caddy, locust, rq-dashboard and the Compose file."""
PLACEHOLDERS = {
    "ACCOUNT_ID",
    "AISERVICES_OPT_OUT_POLICY",
    "AUTH_TOKEN",
    "DB_HOST",
    "INSTANCE_ID",
    "KEY_ID",
    "MAIL_HOST",
    "POLICY_ID",
    "REDIS_HOST",
    "REDIS_PASSWORD",
    "REQUEST_ID",
    "ROOT_ID",
    "YOUR_REPOSITORY",
}
TOP_FOLDERS = ("deploy", "docs", "jobs", "static", "templates", "tests", "webapp")
PROCESS_LINE = re.compile(r"^\.venv/bin/(?:gunicorn|rq worker|flask --app wsgi db) .+$", re.MULTILINE)

each_page = pytest.mark.parametrize("page", PAGES)


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def command_names(group: click.Group, prefix: str = "") -> set[str]:
    """Return the group's commands, with those of groups in it, as they are typed."""
    found = set()
    for name, command in group.commands.items():
        found.add(f"{prefix}{name}")
        if isinstance(command, click.Group):
            found |= command_names(command, f"{prefix}{name} ")
    return found


def named_commands(page: str) -> set[str]:
    """Return the commands that follow `flask --app wsgi` on a page, without arguments."""
    found = re.findall(r"flask --app wsgi ((?:findme |db )?[a-z][a-z-]*)", text(page))
    return {name.strip() for name in found}


@each_page
def test_links_resolve(page: str) -> None:
    here = (ROOT / page).parent
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = here / path if path else ROOT / page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


@each_page
def test_files_exist(page: str) -> None:
    named = re.findall(rf"(?<![\w./-])(?:/opt/findme/)?((?:{'|'.join(TOP_FOLDERS)})/[\w./@-]*\w)(?![\w*])", text(page))
    missing = [
        name for name in named if not (ROOT / name).exists() and not (ROOT / page).parent.joinpath(name).exists()
    ]
    assert missing == []


@each_page
def test_make_targets_exist(page: str) -> None:
    named = re.findall(r"(?:^ *|`|&& )make (?:-C \S+ )?([a-z-]+)", text(page), re.MULTILINE)
    makefile = text("Makefile")
    assert [name for name in named if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []


@each_page
def test_flask_commands_exist(page: str) -> None:
    cli.init_app(Flask("webapp"))
    known = command_names(cli.findme, "findme ") | command_names(migrations, "db ") | {"watch"}
    assert named_commands(page) - known == set()


def test_the_deployment_page_names_the_commands_of_its_steps() -> None:
    steps = {
        "create-admin",
        "create-photographer",
        "doctor",
        "try-rekognition",
        "purge-load",
        "adopt-redis",
        "reconcile",
    }
    assert {f"findme {step}" for step in steps} | {"db upgrade"} <= named_commands(DEPLOY)


@each_page
def test_settings_exist(page: str) -> None:
    named = set(re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", text(page)))
    assert named - SETTINGS - OLD - OTHERS - PLACEHOLDERS == set()


def test_the_process_lines_are_the_readme_s() -> None:
    lines = PROCESS_LINE.findall(text(DEPLOY))
    assert len(lines) == 4
    assert lines == PROCESS_LINE.findall(text("README.md"))


def test_the_wrapper_has_the_settings_of_the_units() -> None:
    wrapper = text("deploy/systemd/findme-run")
    unit = text("deploy/systemd/findme-web.service")
    for key in ("EnvironmentFile", "WorkingDirectory", "UMask", "NoNewPrivileges"):
        (line,) = re.findall(rf"^{key}=.+$", unit, re.MULTILINE)
        assert f"-p {line}" in wrapper
    assert "--uid=findme --gid=findme" in wrapper
    assert "-E DATA_DIR=/var/lib/findme" in wrapper
