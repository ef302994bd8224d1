"""PostgreSQL as it is in the field: restarted, too slow, locked by others, with fewer connections than threads."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask, Response
from sqlalchemy import text

from tests.integration.conftest import MakeApp, name_of_database, shown
from tests.support.actors import PASSWORD, Api, World
from tests.support.browsing import Browser
from tests.support.servers import Postgres
from webapp.db import database
from webapp.db.extensions import db
from webapp.settings import Settings

LEAKS = ("Traceback", "psycopg", "SELECT", "sqlalchemy", "127.0.0.1")


# --- settings ---


def test_the_settings_reach_the_sessions(make_app: MakeApp) -> None:
    app = make_app(db_statement_timeout=7, db_lock_timeout=3, db_pool_size=3, db_max_overflow=2, threads=16)
    assert shown(app, "statement_timeout") == "7s"
    assert shown(app, "lock_timeout") == "3s"
    assert shown(app, "idle_in_transaction_session_timeout") == "14s"
    assert shown(app, "application_name").startswith("findme-")
    with app.app_context():
        pool = db.engine.pool
        assert (pool.size(), pool._max_overflow, pool._recycle, pool._pre_ping) == (3, 2, 1800, True)  # type: ignore[attr-defined]


def test_zero_means_never(make_app: MakeApp) -> None:
    app = make_app(db_statement_timeout=0, db_lock_timeout=0)
    for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        assert shown(app, name) == "0"


def test_what_the_address_says_itself_counts_more() -> None:
    url = "postgresql://u@h/db?application_name=mine&connect_timeout=2&options=-c%20statement_timeout%3D5s"
    wished = database.engine_options(Settings(_env_file=None, database_url=url))["connect_args"]
    assert {"application_name", "connect_timeout"}.isdisjoint(wished)
    assert wished["options"].startswith("-c statement_timeout=30s ")
    assert wished["options"].endswith(" -c statement_timeout=5s")


def test_more_threads_than_connections_wait_for_each_other(make_app: MakeApp) -> None:
    app = make_app(db_pool_size=2, db_max_overflow=1, threads=12)
    most = "SELECT count(*), pg_sleep(0.05) FROM pg_stat_activity WHERE datname = current_database()"

    def ask(_: int) -> int:
        with app.app_context():
            return db.session.execute(text(most)).one()[0]

    with ThreadPoolExecutor(12) as threads:
        seen = list(threads.map(ask, range(36)))
    assert len(seen) == 36
    assert max(seen) == 3


def test_a_forked_process_opens_connections_of_its_own(make_app: MakeApp) -> None:
    app = make_app()
    who = text("SELECT pg_backend_pid()")
    with app.app_context():
        with db.engine.connect() as connection:
            ours = connection.scalar(who)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                with db.engine.connect() as connection:
                    os.write(write, str(connection.scalar(who)).encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        theirs = int(os.read(read, 100))
        assert theirs != ours
        with db.engine.connect() as connection:
            assert connection.scalar(who) == ours  # the child's end has not closed it


# --- people, while something is wrong ---


@pytest.mark.parametrize(
    "limits", [{"db_lock_timeout": 1}, {"db_lock_timeout": 0, "db_statement_timeout": 1}], ids=["lock", "statement"]
)
def test_a_statement_that_takes_too_long_is_answered_as_a_passing_fault(
    limits: dict[str, int], make_app: MakeApp, postgres_server: Postgres
) -> None:
    app = make_app(**limits)
    world = World(app, lambda: 0)
    world.event()
    with postgres_server.connect(name_of_database(app)) as other, other.transaction():
        other.execute('LOCK TABLE "user", event')
        assert_answers_wait(app)
    assert Api(app).login("photographer@example.com").token
    assert Browser(app).get("/e/PARTY234").status_code == 200


def test_with_the_server_away_people_get_a_sentence_and_then_their_page(
    make_app: MakeApp, postgres_server: Postgres
) -> None:
    app = make_app()
    World(app, lambda: 0).event()
    browser = Browser(app).sign_in("photographer@example.com", PASSWORD)
    assert browser.get("/studio/").status_code == 200
    postgres_server.stop()
    try:
        assert_answers_wait(app)
        for path in ("/studio/", "/nowhere"):
            answer = browser.get(path)
            assert answer.status_code == 503
            assert "Back in a moment" in answer.text
            assert_says_nothing_of_itself(answer.text)
        assert app.test_client().get("/api/health/live").status_code == 200
        assert app.test_client().get("/api/health/ready").status_code == 503
    finally:
        postgres_server.start()
    assert browser.get("/studio/").status_code == 200
    assert Api(app).login("photographer@example.com").token


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_nobody_notices_a_restart_between_two_requests(
    how: signal.Signals, make_app: MakeApp, postgres_server: Postgres
) -> None:
    app = make_app()
    World(app, lambda: 0).event()
    browser = Browser(app).sign_in("photographer@example.com", PASSWORD)
    for _ in range(2):
        postgres_server.restart(how)
        assert browser.get("/studio/").status_code == 200


def test_an_answer_that_is_made_is_given_though_the_server_goes_away(
    make_app: MakeApp, postgres_server: Postgres
) -> None:
    app = make_app()
    World(app, lambda: 0).event()

    @app.after_request
    def goes_away(response: Response) -> Response:
        postgres_server.stop()
        return response

    try:
        assert Browser(app).get("/e/PARTY234").status_code == 200
    finally:
        postgres_server.start()


def test_a_fault_of_ours_stays_one(make_app: MakeApp, postgres_server: Postgres) -> None:
    app = make_app()
    browser = Browser(app).sign_in(World(app, lambda: 0).person("ada@example.com"), PASSWORD)
    with postgres_server.connect(name_of_database(app)) as other:
        other.execute('ALTER TABLE "user" RENAME TO nobody')
    page = browser.get("/")
    assert page.status_code == 500
    assert "Our mistake" in page.text
    assert_says_nothing_of_itself(page.text)
    answer = Api(app).post("/login", json={"username": "ada", "password": PASSWORD})
    assert (answer.status_code, answer.json["code"]) == (500, "internal")  # type: ignore[index]
    assert_says_nothing_of_itself(answer.text)


def assert_answers_wait(app: Flask) -> None:
    """The API and pages say that it will pass, and not what it is."""
    answer = Api(app).post("/login", json={"username": "photographer@example.com", "password": PASSWORD})
    assert (answer.status_code, answer.json["code"]) == (503, "transient")  # type: ignore[index]
    assert answer.json["detail"]  # type: ignore[index]
    assert_says_nothing_of_itself(answer.text)
    page = Browser(app).get("/e/PARTY234")
    assert page.status_code == 503
    assert "Back in a moment" in page.text
    assert_says_nothing_of_itself(page.text)


def assert_says_nothing_of_itself(body: str) -> None:
    assert not [word for word in LEAKS if word in body]
