"""Alarms: raised once, counted, seen by admins, and cleared by work that proves the fault gone."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import event as listening
from structlog.testing import capture_logs

from tests.support.actors import PASSWORD, World
from tests.support.browsing import Browser, text
from tests.support.concurrency import at_once, inside
from webapp import create_app, queueing
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.errors import MissingRights, Transient
from webapp.faces.rekognition.client import OPERATIONS
from webapp.models import Alarm, UserRole
from webapp.reasons import ALARM_TITLES, ALARMS, SENTENCES
from webapp.services.core import alarms
from webapp.settings import Settings

pytestmark = pytest.mark.both_databases

DENIED = "IndexFaces: AccessDeniedException"


def opened(app: Flask) -> dict[str, int]:
    """Each open alarm and how often it was met."""
    with app.app_context():
        return {alarm.name: alarm.count for alarm in alarms.open_alarms()}


def fail(app: Flask, code: str = "engine_rights", detail: str = DENIED) -> None:
    """Work that lacks rights."""
    with app.app_context(), pytest.raises(MissingRights), alarms.guard():
        raise MissingRights(detail, code=code)


def succeed(app: Flask, *proved: str) -> None:
    """Work that calls a service and gets its answer."""
    with app.app_context(), alarms.guard(*proved):
        pass


def test_every_alarm_tells_admins_what_to_do_and_guests_something_else() -> None:
    assert set(ALARMS) == set(ALARM_TITLES) == set(alarms.NAMES)
    for name in alarms.NAMES:
        assert "Nothing is lost" in str(ALARMS[name]) or "not lost" in str(ALARMS[name])
        assert str(SENTENCES[name]) != str(ALARMS[name])
        assert "REKOGNITION" not in str(SENTENCES[name]).upper()


def test_the_actions_that_admins_are_told_to_allow_are_those_that_are_called() -> None:
    assert set(alarms.ACTIONS) == set(alarms.RIGHTS)
    assert set(alarms.ACTIONS["engine_rights"]) == {f"rekognition:{operation}" for operation in OPERATIONS}


def test_missing_rights_raise_one_alarm_that_counts_and_success_clears_it(app: Flask) -> None:
    before = utcnow()
    fail(app)
    with app.app_context():
        (first,) = alarms.open_alarms()
        assert (first.name, first.detail, first.count) == ("engine_rights", DENIED, 1)
        assert before <= first.raised_at == first.last_seen_at
    fail(app, detail="SearchFacesByImage: AccessDeniedException")
    with app.app_context():
        (second,) = alarms.open_alarms()
        assert (second.detail, second.count) == ("SearchFacesByImage: AccessDeniedException", 2)
        assert second.raised_at == first.raised_at < second.last_seen_at
    succeed(app)
    assert opened(app) == {}
    fail(app)
    assert opened(app) == {"engine_rights": 1}, "what comes back is met for the first time again"


def test_each_service_has_an_alarm_of_its_own(app: Flask) -> None:
    fail(app)
    fail(app, code="storage_rights", detail="PutObject: NoSuchBucket")
    assert opened(app) == {"engine_rights": 1, "storage_rights": 1}
    succeed(app, "storage_rights")
    assert opened(app) == {"engine_rights": 1}


def test_other_faults_raise_nothing_and_clear_nothing(app: Flask) -> None:
    fail(app)
    with app.app_context(), pytest.raises(Transient), alarms.guard():
        raise Transient(code="engine_busy")
    assert opened(app) == {"engine_rights": 1}


def test_a_missing_collection_is_cleared_only_by_name(app: Flask) -> None:
    with app.app_context():
        alarms.raise_alarm("engine_missing", "an event")
    succeed(app)
    assert opened(app) == {"engine_missing": 1}
    with app.app_context():
        alarms.clear("engine_missing")
    assert opened(app) == {}


def test_work_that_began_before_the_fault_was_met_proves_nothing(app: Flask) -> None:
    with app.app_context(), alarms.guard():
        alarms.raise_alarm("engine_rights", DENIED)
    assert opened(app) == {"engine_rights": 1}
    succeed(app)
    assert opened(app) == {}


def test_eight_at_once_are_one_alarm_of_eight(app: Flask) -> None:
    at_once(*[inside(app, lambda: alarms.raise_alarm("engine_rights", DENIED))] * 8)
    assert opened(app) == {"engine_rights": 8}


def test_an_endless_detail_is_cut_to_what_the_column_takes(app: Flask) -> None:
    with app.app_context():
        alarms.raise_alarm("engine_rights", "x" * 10_000)
        assert alarms.open_alarms()[0].detail == "x" * 255


def test_success_asks_nothing_of_the_database_while_nothing_is_wrong(app: Flask) -> None:
    succeed(app)
    statements: list[str] = []
    with app.app_context():
        listening.listen(db.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    for _ in range(20):
        succeed(app)
    assert statements == []
    fail(app)
    assert [statement.split()[0] for statement in statements if "BEGIN" not in statement] == ["INSERT"]
    succeed(app)
    assert opened(app) == {}


def test_another_process_clears_what_this_one_raised(app: Flask, settings: Settings) -> None:
    other = create_app(settings)
    succeed(other)
    fail(app)
    succeed(other)
    assert opened(app) == {"engine_rights": 1}, "it has looked a moment ago, and does not know yet"
    # The time between two looks is over.
    other.extensions["alarms"].asked_at -= alarms.REFRESH_SECONDS + 1
    succeed(other)
    assert opened(app) == {}
    with other.app_context():
        db.session.remove()
        db.engine.dispose()


def test_an_alarm_that_cannot_be_written_does_not_hide_the_fault(app: Flask) -> None:
    with app.app_context():
        Alarm.__table__.drop(db.engine)
    with capture_logs() as log:
        fail(app)
        succeed(app, "engine_rights")
    assert [line["event"] for line in log] == ["alarm.raised", "alarm.not_kept", "alarm.not_cleared"]
    assert (log[0]["log_level"], log[0]["detail"]) == ("error", DENIED)


def test_nothing_waits_for_a_unit_of_work_of_its_own(app: Flask) -> None:
    """On SQLite the two would wait for each other until the time-out, and the work would be lost."""
    with app.app_context(), capture_logs() as log:
        with queueing.unit_of_work():
            db.session.add(Alarm(name="something_else"))
            db.session.flush()
            alarms.raise_alarm("engine_rights", DENIED)
        assert [alarm.name for alarm in alarms.open_alarms()] == ["something_else"]
    assert "alarm.not_kept" in [line["event"] for line in log]


def test_an_alarm_can_be_raised_while_the_session_reads(app: Flask) -> None:
    with app.app_context():
        assert alarms.open_alarms() == []
        alarms.raise_alarm("engine_rights", DENIED)
        db.session.rollback()
        assert [alarm.count for alarm in alarms.open_alarms()] == [1]


def test_admins_see_alarms_with_what_to_do(app: Flask, world: World) -> None:
    world.person("admin@example.com", UserRole.ADMIN)
    admin = Browser(app).sign_in("admin@example.com", PASSWORD)
    assert 'id="alarms"' not in admin.get("/admin/").text
    fail(app)
    fail(app)
    fail(app, code="storage_rights", detail="PutObject: NoSuchBucket")
    with app.app_context():
        alarms.raise_alarm("engine_missing", "an event")
        alarms.raise_alarm(alarms.FORWARDED, "X-Forwarded-For")
    page = text(admin.get("/admin/"))
    for name in alarms.NAMES:
        assert str(ALARMS[name]) in page and str(ALARM_TITLES[name]) in page
    assert DENIED in page and "met 2 times" in page and "rekognition:SearchUsersByImage" in page
    assert "s3:AbortMultipartUpload" in page
    fr = text(admin.get("/admin/", headers={"Accept-Language": "fr"}))
    assert "Amazon Rekognition refuse nos appels" in fr


def test_an_old_alarm_keeps_the_moment_it_was_raised(app: Flask) -> None:
    long_ago = utcnow() - timedelta(days=3)
    with app.app_context():
        with queueing.unit_of_work():
            db.session.add(Alarm(name="engine_rights", count=41, raised_at=long_ago, last_seen_at=long_ago))
        alarms.raise_alarm("engine_rights", DENIED)
        (alarm,) = alarms.open_alarms()
        assert (alarm.count, alarm.raised_at) == (42, long_ago)
        assert alarm.last_seen_at > long_ago + timedelta(days=2)
