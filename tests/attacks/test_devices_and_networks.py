"""Searching for strangers with an account for each of them, from one device, or after the event from elsewhere.

Accounts are free, so a device counts as well. A network address is shared by a whole venue, and stops nobody.
"""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from tests.attacks.phones import VENUE, Phone
from tests.attacks.suspects import alerts, decide, grey, morph, portraits, stopped
from tests.support.actors import PASSWORD, World, photos_with, selfie
from tests.support.browsing import Browser, text
from tests.support.crowd import event_of
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import (
    AlertKind,
    DeviceFaces,
    Membership,
    SearchAlertMember,
    Selfie,
)
from webapp.queueing import unit_of_work
from webapp.services.strangers import search_alerts, strangers

# --- many accounts on one device, and one network ---


def test_the_fifth_person_on_a_device_is_stopped(app: Flask, world: World, event_id: str) -> None:
    """A new account for each face; the attacker erases each selfie before the next one is sent."""
    phone = Phone(app)
    for number in range(6):
        assert stopped(app) == [f"account{earlier}" for earlier in range(4, number)]
        token = phone.join(world.code, f"account{number}", selfie("grace"))
        world.work()
        if number < 4:
            phone.send("DELETE", "/my-selfie", token)
    assert stopped(app) == ["account4", "account5"]
    assert alerts(app) == [(AlertKind.DEVICE_FACES, None)]


def test_the_photographer_decides_about_all_accounts_that_a_device_brought_too_many(
    app: Flask, world: World, event_id: str, owner: Browser
) -> None:
    phone = Phone(app)
    world.add_photos(event_id, *photos_with("grace", 2))
    tokens = []
    for number in range(6):
        tokens.append(phone.join(world.code, f"account{number}", selfie("grace")))
        world.work()
        if number < 4:
            phone.send("DELETE", "/my-selfie", tokens[-1])
    assert phone.send("GET", "/my-photos", tokens[-1]).json == []
    assert decide(app, owner, event_id, "allowed").status_code == 303
    world.work()
    assert stopped(app) == []
    assert len(phone.send("GET", "/my-photos", tokens[-1]).json) == 2  # type: ignore[arg-type]


def test_a_device_drifts_as_an_account_does(app: Flask, world: World, event_id: str, owner: Browser) -> None:
    """An account each for a stranger, a morph, and the next stranger: nobody is a new person to the device."""

    def of_device() -> tuple[int, float]:
        with app.app_context():
            people, drift = db.session.execute(select(DeviceFaces.faces, DeviceFaces.drift)).one()
        return people, drift

    phone = Phone(app)
    for name, picture in (("first", selfie("grace")), ("second", morph())):
        phone.join(world.code, name, picture)
        world.work()
    people, drift = of_device()
    assert people == 1
    assert 0.2 < drift < 0.7
    with app.app_context(), unit_of_work():  # Were it the last of many such accounts.
        db.session.execute(update(DeviceFaces).values(drift=strangers.DRIFT_OF_DEVICE - 0.1))
    phone.join(world.code, "third", selfie("eileen"))
    world.work()
    assert stopped(app) == ["third"]
    assert alerts(app) == [(AlertKind.DEVICE_FACES, None)]
    decide(app, owner, event_id, "allowed")
    assert of_device() == (0, 0.0)


def test_one_person_with_many_accounts_on_a_device_is_one(app: Flask, world: World, event_id: str) -> None:
    phone = Phone(app)
    for number in range(6):
        phone.join(world.code, f"account{number}", selfie("grace"))
        world.work()
    assert stopped(app) == []


@pytest.mark.faces
def test_a_familys_tablet_is_not_stopped_and_a_fifth_face_is(app: Flask, world: World, event_id: str) -> None:
    phone, pictures = Phone(app), portraits(5)
    for number, picture in enumerate(pictures[:4]):
        phone.join(world.code, f"member{number}", picture)
        world.work()
    assert alerts(app) == []
    phone.join(world.code, "fifth", pictures[4])
    world.work()
    assert stopped(app) == ["fifth"], "those who came before are searched as before"
    with app.app_context():
        shown = db.session.execute(
            select(SearchAlertMember.stopped, func.count()).group_by(SearchAlertMember.stopped)
        ).all()
    assert sorted((bool(is_stopped), count) for is_stopped, count in shown) == [(False, 4), (True, 1)]


def test_devices_are_counted_event_by_event(app: Flask, world: World, event_id: str) -> None:
    phone = Phone(app)
    for number in range(6):
        code = f"EVENT{number}23"
        world.event(code)
        token = phone.join(code, f"account{number}", selfie("grace"))
        world.work()
        phone.send("DELETE", "/my-selfie", token)
    assert alerts(app) == []


@pytest.mark.parametrize("has_cookie", [True, False])
def test_a_venues_wifi_stops_nobody(app: Flask, world: World, event_id: str, has_cookie: bool) -> None:
    """Guests behind one address, some of whom erase the selfie at once, so that every face counts as a new one."""
    for number in range(16):
        phone = Phone(app, name=secrets.token_urlsafe(16) if has_cookie else "")
        token = phone.join(world.code, f"guest{number}", selfie(("grace", "eileen")[number % 2]), source="file")
        if number % 8 == 7:
            world.work()
        if number < 8:
            phone.send("DELETE", "/my-selfie", token)
    assert stopped(app) == []
    assert [kind for kind, _ in alerts(app) if kind is not AlertKind.LATE_JOINS] == []


# --- joins after the event ---


def set_date(app: Flask, event_id: str, days_ago: int) -> None:
    with app.app_context(), unit_of_work():
        event_of(event_id).date = (datetime.now(UTC) - timedelta(days=days_ago)).date()


def join_many(app: Flask, world: World, count: int, address: Callable[[int], str], **form: str) -> None:
    for number in range(count):
        Phone(app, address=address(number)).join(world.code, f"late{number}", selfie("grace"), **form)
    world.work()


def test_many_late_joins_from_one_network_with_files_raise_an_alert(
    app: Flask, world: World, event_id: str, owner: Browser
) -> None:
    set_date(app, event_id, 3)
    join_many(app, world, 9, lambda _: VENUE, source="file")
    assert alerts(app) == []
    Phone(app).join(world.code, "tenth", selfie("grace"), source="file")
    world.work()
    assert alerts(app) == [(AlertKind.LATE_JOINS, None)]
    assert stopped(app) == []
    page = text(owner.get(f"/studio/events/{event_id}/alerts"))
    assert page.count("Selfie from a file") == 10
    assert decide(app, owner, event_id, "refused").status_code == 422
    assert decide(app, owner, event_id, "allowed").status_code == 303
    Phone(app).join(world.code, "eleventh", selfie("grace"), source="file")
    world.work()
    assert alerts(app) == [(AlertKind.LATE_JOINS, "allowed")], "the same ones are not told twice"


def accounts_without_selfie(app: Flask, world: World, count: int) -> list[tuple[Phone, str]]:
    phones = [Phone(app) for _ in range(count)]
    tokens = []
    for number, phone in enumerate(phones):
        data = {"username": f"late{number}", "email": f"late{number}@example.com", "password": PASSWORD}
        sent = {"user_data": data, "event_code": world.code, "consent": True}
        tokens.append(phone.send("POST", "/register-with-event-code", json=sent).json["access_token"])  # type: ignore[index]
    return list(zip(phones, tokens, strict=True))


def test_accounts_made_on_the_day_count_by_their_selfies(
    app: Flask, world: World, event_id: str, owner: Browser
) -> None:
    """The code hangs at the venue; the portraits come days later, and more of them after a decision."""
    set_date(app, event_id, 3)
    guests = accounts_without_selfie(app, world, 20)
    with app.app_context(), unit_of_work():
        db.session.execute(update(Membership).values(created_at=utcnow() - timedelta(days=3)))
    for phone, token in guests[:10]:
        assert phone.selfie(token, selfie("grace"), source="file").status_code == 200
    world.work()
    assert alerts(app) == [(AlertKind.LATE_JOINS, None)]
    decide(app, owner, event_id, "allowed")
    for phone, token in guests[10:]:
        assert phone.selfie(token, selfie("grace"), source="file").status_code == 200
    world.work()
    assert alerts(app) == [(AlertKind.LATE_JOINS, "allowed"), (AlertKind.LATE_JOINS, None)]


@pytest.mark.parametrize(("hour", "rings"), [(0, False), (4, False), (7, True)])
def test_a_party_goes_on_past_midnight(app: Flask, world: World, event_id: str, hour: int, rings: bool) -> None:
    """The event was yesterday, where it is this hour of the morning now."""
    now = utcnow()
    ahead = hour - now.hour if hour - now.hour >= -12 else hour - now.hour + 24
    with app.app_context(), unit_of_work():
        event = event_of(event_id)
        event.timezone = f"Etc/GMT{-ahead:+d}"
        event.date = (now + timedelta(hours=ahead)).date() - timedelta(days=1)
    join_many(app, world, 10, lambda _: VENUE, source="file")
    assert [kind for kind, _ in alerts(app)] == [AlertKind.LATE_JOINS] * rings


@pytest.mark.parametrize(
    ("days_ago", "source", "one_network"), [(-1, "file", True), (3, "camera", True), (3, "file", False)]
)
def test_other_joins_raise_none(
    app: Flask, world: World, event_id: str, days_ago: int, source: str, one_network: bool
) -> None:
    set_date(app, event_id, days_ago)
    join_many(app, world, 10, lambda number: VENUE if one_network else f"203.0.113.{number}", source=source)
    assert alerts(app) == []


def test_hashes_of_networks_are_kept_for_a_week(app: Flask, world: World, event_id: str) -> None:
    Phone(app).join(world.code, "ada", grey())
    with app.app_context():
        kept = db.session.scalars(select(Selfie.network)).one()
        assert kept
        assert VENUE not in kept
        search_alerts.forget()
        assert db.session.scalars(select(Selfie.network)).one() == kept
        with unit_of_work():
            db.session.execute(update(Selfie).values(created_at=utcnow() - timedelta(days=8)))
        search_alerts.forget()
        assert db.session.scalars(select(Selfie.network)).one() is None
