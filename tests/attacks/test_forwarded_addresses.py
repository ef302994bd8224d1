"""A proxy that the settings don't know of: all guests would share its network address, and each other's failures.

What must hold: forwarding headers that arrive while TRUSTED_PROXIES is 0 raise one alarm that tells admins what to look
at. Anybody can send such a header, so it changes nothing else, and a flood of them writes one row once.
"""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from tests.support.actors import PASSWORD, World
from tests.support.browsing import Browser, text
from tests.support.concurrency import at_once
from webapp import create_app
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import Alarm, UserRole
from webapp.queueing import unit_of_work
from webapp.reasons import ALARMS
from webapp.services.core import alarms
from webapp.services.upkeep import cleanup
from webapp.settings import Settings

HEADERS = ({"X-Forwarded-For": "192.0.2.7"}, {"Forwarded": "for=192.0.2.7"}, {"X-Real-IP": "192.0.2.7"})


@pytest.fixture
def behind(settings: Settings, app: Flask) -> Flask:
    """A new process's app, which has said nothing yet; `app` has made the database."""
    return create_app(settings)


def found(app: Flask) -> list[tuple[str, str, int]]:
    with app.app_context():
        rows = [(row.name, row.detail, row.count) for row in db.session.scalars(select(Alarm))]
        db.session.remove()
        return rows


@pytest.mark.parametrize("headers", HEADERS)
def test_a_forwarding_header_that_nobody_trusts_raises_an_alarm(behind: Flask, headers: dict[str, str]) -> None:
    assert behind.test_client().get("/").status_code == 200
    assert found(behind) == []
    assert behind.test_client().get("/", headers=headers).status_code == 200
    assert found(behind) == [(alarms.FORWARDED, next(iter(headers)).title(), 1)]


def test_a_flood_of_headers_writes_once_and_keeps_no_address(behind: Flask) -> None:
    client = behind.test_client
    at_once(*[lambda: client().get("/api/health/live", headers=HEADERS[0]).status_code for _ in range(16)])
    for _ in range(20):
        client().get("/api/health/live", headers=HEADERS[1])
    ((_, detail, count),) = found(behind)
    assert count == 1 and "192.0.2.7" not in detail


def test_admins_read_what_to_look_at(app: Flask, behind: Flask, world: World) -> None:
    world.person("admin@example.com", UserRole.ADMIN)
    behind.test_client().get("/", headers=HEADERS[0])
    page = text(Browser(app).sign_in("admin@example.com", PASSWORD).get("/admin/"))
    assert str(ALARMS[alarms.FORWARDED]) in page and "TRUSTED_PROXIES" in page


def test_trusted_proxies_take_it_back_and_raise_none(settings: Settings, behind: Flask) -> None:
    behind.test_client().get("/", headers=HEADERS[0])
    assert found(behind)
    trusting = create_app(settings.model_copy(update={"trusted_proxies": 1}))
    assert trusting.test_client().get("/", headers=HEADERS[0]).status_code == 200
    assert found(trusting) == []
    # Without a header there is nothing to say either: a health check comes straight.
    trusting.test_client().get("/")
    assert found(trusting) == []


def test_it_ends_a_day_after_the_last_header(app: Flask, behind: Flask) -> None:
    behind.test_client().get("/", headers=HEADERS[0])
    with app.app_context():
        assert cleanup.tidy()
        assert len(alarms.open_alarms()) == 1
        with unit_of_work():
            db.session.execute(update(Alarm).values(last_seen_at=utcnow() - timedelta(days=1, minutes=1)))
        app.extensions.pop("alarms", None)  # another worker, half a minute later
        alarms.clear(alarms.FORWARDED, before=utcnow() - cleanup.FORWARDED_DAYS)
        db.session.rollback()
        assert alarms.open_alarms() == []
