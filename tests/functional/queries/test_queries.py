"""What pages ask the database: as many questions for 200 photos and guests as for one, and none without an index."""

import re
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from tests.support.actors import PASSWORD, World
from tests.support.browsing import HTMX, Browser
from tests.support.crowd import add_guest, add_person, add_photo, asked, event_of, user_of
from webapp.db.extensions import db
from webapp.models import Membership, Person, User, UserRole
from webapp.queueing import unit_of_work

pytestmark = pytest.mark.both_databases

CODE = "PARTY234"
MANY = 200
GUEST, OWNER, ADMIN = "guest@example.com", "photographer@example.com", "admin@example.com"
PAGES = {
    "/": GUEST,
    f"/e/{CODE}/photos": GUEST,
    f"/e/{CODE}/photos/live": GUEST,
    f"/e/{CODE}/photos/photo-0": GUEST,
    f"/e/{CODE}/selfie": GUEST,
    "/e/OTHER234": GUEST,
    "/api/me": GUEST,
    "/api/my-photos": GUEST,
    "/api/my-photos?band=maybe": GUEST,
    "/api/all-photos": GUEST,
    "/api/all-photos?limit=1": GUEST,
    "/api/rematch-status": GUEST,
    "/api/user/events": GUEST,
    "/media/photos/photo-0/thumbnail": GUEST,
    "/studio/": OWNER,
    "/studio/events/{event}": OWNER,
    "/studio/events/{event}/live": OWNER,
    "/studio/events/{event}/photos": OWNER,
    "/studio/events/{event}/photos?state=ready&guests=yes&order=arrival": OWNER,
    "/studio/events/{event}/photos/filters": OWNER,
    "/studio/events/{event}/photos/live": OWNER,
    "/studio/events/{event}/photos/photo-0": OWNER,
    "/studio/events/{event}/guests": OWNER,
    "/studio/events/{event}/guests?show=none-yet&why=none-found": OWNER,
    "/studio/events/{event}/upload": OWNER,
    "/studio/events/{event}/upload/lost": OWNER,
    "/studio/events/{event}/share": OWNER,
    "/studio/events/{event}/team": OWNER,
    "/studio/events/{event}/settings": OWNER,
    "/studio/events/{event}/cameras": OWNER,
    "/api/photographer/events": OWNER,
    "/api/photographer/events/{event}/photos": OWNER,
    "/api/photographer/events/{event}/photos?status=indexed": OWNER,
    "/admin/": ADMIN,
    "/admin/people/accounts": ADMIN,
    "/admin/people/accounts?q=guest": ADMIN,
}
"""Hot pages and lists, and who looks at them."""

MOST = {"/studio/events/{event}": 28}
"""Statements that a page may take where it may take more than 20. The overview counts a dozen figures of the event for
its charts; they are remembered until something changes, and here it has.
"""

LARGE = re.compile(r"^SCAN (photo|face|match|selfie|person)(_\d+)?\b")
"""A step of SQLite's plan that reads a large table, or one of its indices, from end to end."""


@dataclass
class Hall:
    """An event that can be filled, the browsers of who looks at it, and another event that its guest is not in."""

    app: Flask
    event_id: str
    browsers: dict[str, Browser]

    def fill(self, first: int, last: int) -> None:
        """Photos from `first` up to `last`, each of the guest in three ways, and as many further guests."""
        with self.app.app_context(), unit_of_work():
            event = event_of(self.event_id)
            me = db.session.scalars(select(Person).join(Membership).join(User).where(User.email == GUEST)).one()
            for number in range(first, last):
                other = add_guest(event, f"guest-{number}@example.com")
                add_photo(event, number, [me, other])

    def get(self, page: str) -> Any:
        """The page, as whoever it is meant for; a poll and a part of a page as htmx asks for them."""
        headers = HTMX if page.endswith(("/live", "/filters")) else {}
        return self.browsers[PAGES[page]].get(page.format(event=self.event_id), headers=headers)


@pytest.fixture
def hall(app: Flask, world: World) -> Hall:
    event_id = world.event()
    world.event("OTHER234")
    world.person(GUEST)
    world.person(ADMIN, UserRole.ADMIN)
    with app.app_context(), unit_of_work():
        event = event_of(event_id)
        add_person(event, user_of(GUEST))
    browsers = {email: Browser(app).sign_in(email, PASSWORD) for email in (GUEST, OWNER, ADMIN)}
    return Hall(app, event_id, browsers)


def test_a_page_asks_as_often_for_two_hundred_as_for_one(hall: Hall) -> None:
    def count() -> dict[str, int]:
        counts = {}
        for page in PAGES:
            with asked(hall.app) as noted:
                hall.get(page)
            counts[page] = len(noted.statements)
        return counts

    hall.fill(0, 1)
    hall.get("/e/OTHER234")  # from the first visit on the session keeps that this browser knows the code
    few = count()
    hall.fill(1, MANY)
    many = count()
    assert many == few
    assert {page: asked for page, asked in many.items() if asked > MOST.get(page, 20)} == {}
    shown = hall.get(f"/e/{CODE}/photos")
    assert shown.text.count('<li id="photo-') == MANY, "what was counted shows them all"


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("page", PAGES)
def test_no_page_reads_a_large_table_from_end_to_end(app: Flask, hall: Hall, page: str) -> None:
    hall.fill(0, 3)
    with asked(hall.app) as noted:
        answer = hall.get(page)
    assert answer.status_code in (200, 404), answer.text
    assert noted.selects()
    found = []
    with app.app_context(), db.engine.connect() as connection:
        for statement, parameters in noted.selects():
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps = [row[3] for row in plan]
            found += [(step, steps, statement) for step in steps if LARGE.match(step)]
    assert found == []


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "page",
    [
        "/api/photographer/events/{event}/photos",
        "/api/photographer/events/{event}/photos?status=indexed",
        "/api/all-photos",
    ],
)
def test_a_page_of_photos_is_read_in_its_order_and_not_sorted(hall: Hall, page: str) -> None:
    hall.fill(0, 3)
    with asked(hall.app) as noted:
        assert len(hall.get(page).json) == 3
    lists = [(text, values) for text, values in noted.selects() if "FROM photo" in text and "ORDER BY" in text]
    assert len(lists) == 1
    with hall.app.app_context(), db.engine.connect() as connection:
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {lists[0][0]}", lists[0][1])]
    assert len(plan) == 1, plan
