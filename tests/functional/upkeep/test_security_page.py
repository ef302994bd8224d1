"""SECURITY.md and docs/breaches.md name what there is, and say what a new SECRET_KEY does."""

import re
from pathlib import Path

import pytest
from flask import Flask
from pydantic import SecretStr
from sqlalchemy import text

from tests.support.actors import PASSWORD, Api, World
from tests.support.browsing import Browser
from webapp import create_app
from webapp.db.extensions import db
from webapp.queueing import unit_of_work
from webapp.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "SECURITY.md", ROOT / "docs" / "breaches.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_its_links_files_and_commands_exist(page: Path, app: Flask) -> None:
    written = page.read_text()
    links = re.findall(r"\]\(([^)#:]+)[)#]", written)
    assert links
    assert [link for link in links if not (page.parent / link).exists()] == []
    tests = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    assert set(re.findall(r"\btest_\w+\.py", written)) <= tests
    commands = set(re.findall(r"flask --app wsgi findme ([a-z-]+)", " ".join(written.split())))
    assert commands
    assert commands <= set(app.cli.commands["findme"].commands)  # type: ignore[attr-defined]


@pytest.fixture
def rotated(app: Flask, settings: Settings) -> Flask:
    """The installation after its SECRET_KEY was changed."""
    return create_app(settings.model_copy(update={"secret_key": SecretStr("another-key-" * 4)}))


def test_a_new_key_ends_browsers_and_not_api_clients(app: Flask, rotated: Flask, world: World, api: Api) -> None:
    world.event()
    guest = api.register(world.code, "ada")
    old = Browser(app).sign_in("photographer@example.com", PASSWORD)
    cookie = old.client.get_cookie("findme")
    assert cookie is not None
    browser = Browser(rotated)
    browser.client.set_cookie("findme", cookie.value)
    assert old.get("/api/me").status_code == 200
    assert browser.get("/api/me").status_code == 401
    assert Api(rotated, guest.token).get("/me").status_code == 200


def test_unproven_addresses_sign_in_again_once_their_tags_are_gone(rotated: Flask, world: World, api: Api) -> None:
    world.event()
    api.register(world.code, "ada")
    with rotated.app_context(), unit_of_work():
        # One of 256 tags is right by chance; here none is.
        db.session.execute(text('UPDATE "user" SET password_tag = 256 WHERE password_tag IS NOT NULL'))
    by_address = {"username": "ada@example.com", "password": PASSWORD}
    assert Api(rotated).post("/login", json=by_address).status_code == 401
    assert Api(rotated).login("ada")
    (statement,) = re.findall(r"`(UPDATE [^`]+)`", PAGES[0].read_text())
    with rotated.app_context(), unit_of_work():
        db.session.execute(text(statement))
    assert Api(rotated).post("/login", json=by_address).status_code == 200
