"""Mails that tell guests of their photos: who gets one, how often, and how it is stopped."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import delete, select, update

from tests.functional.mails.party import (
    ADA,
    BOB,
    add_guest,
    add_photos,
    announce,
    change,
    pass_time,
    stop_path,
    tell,
    told,
    wants,
)
from tests.support import crowd
from tests.support.actors import PASSWORD, World
from tests.support.browsing import Browser, text
from tests.support.concurrency import at_once, inside
from tests.support.postoffice import Postoffice, open_postoffice, with_smtp
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import Admission, Lease, Membership, Photo, User
from webapp.queueing import unit_of_work
from webapp.services.accounts import mail_budgets
from webapp.services.accounts.mail_budgets import Letter, Purpose
from webapp.services.core import consents
from webapp.services.joining import enrolment, ready_mails

OWNER = "photographer@example.com"


@pytest.fixture
def event_id(world: World) -> str:
    return world.event()


@pytest.fixture
def ready(app: Flask, event_id: str) -> str:
    """An event whose photos are ready, with one guest who asked for mails and is on two photos."""
    add_guest(app, event_id, ADA)
    add_photos(app, event_id, ADA, 1, 2)
    announce(app, event_id)
    return event_id


def test_a_guest_is_told_once_that_their_photos_are_ready(app: Flask, ready: str) -> None:
    assert tell(app) == 1
    assert tell(app) == 0
    assert told(app) == [(ADA, "y", "2")]


def test_nothing_is_told_before_the_photographer_says_so(app: Flask, event_id: str) -> None:
    add_guest(app, event_id, ADA)
    add_photos(app, event_id, ADA, 1)
    assert tell(app) == 0


def test_a_guest_without_photos_is_told_when_the_first_comes(app: Flask, event_id: str) -> None:
    add_guest(app, event_id, ADA)
    announce(app, event_id)
    assert tell(app) == 0
    add_photos(app, event_id, ADA, 1)
    assert tell(app) == 1
    assert told(app) == [(ADA, "y", "1")]


@pytest.mark.parametrize(("hours", "mails"), [(5.9, 0), (6.1, 1)])
def test_later_photos_are_told_at_most_every_six_hours(app: Flask, ready: str, hours: float, mails: int) -> None:
    tell(app)
    pass_time(app, timedelta(hours=hours))
    add_photos(app, ready, ADA, 3, 4, 5)
    assert tell(app) == mails
    assert told(app)[1:] == [(ADA, "", "3")] * mails
    assert tell(app) == 0


def test_without_new_photos_there_is_no_later_mail(app: Flask, ready: str) -> None:
    tell(app)
    pass_time(app, timedelta(days=3))
    assert tell(app) == 0


def _hide(app: Flask) -> None:
    with app.app_context(), unit_of_work():
        db.session.execute(update(Photo).values(hidden_at=utcnow()))


def _unpublish(app: Flask) -> None:
    with app.app_context(), unit_of_work():
        db.session.execute(update(Photo).values(published_at=None))


def _withdraw(app: Flask) -> None:
    with app.app_context(), unit_of_work():
        mine = select(Membership).join(User, User.id == Membership.user_id).where(User.email == ADA)
        consents.withdraw_consent(enrolment.own_person(db.session.scalars(mine).one()))


def _disable(app: Flask) -> None:
    with app.app_context(), unit_of_work():
        db.session.execute(update(User).where(User.email == ADA).values(disabled_at=utcnow()))


def _unprove(app: Flask) -> None:
    with app.app_context(), unit_of_work():
        db.session.execute(update(User).where(User.email == ADA).values(email_verified_at=None))


REASONS = {
    "did not ask": lambda app: change(app, ADA, wants_mail=False),
    "waits to be admitted": lambda app: change(app, ADA, admission=Admission.WAITING),
    "was refused": lambda app: change(app, ADA, admission=Admission.REFUSED),
    "search is stopped": lambda app: change(app, ADA, search_stopped_at=utcnow()),
    "hidden photos": _hide,
    "unpublished photos": _unpublish,
    "withdrew": _withdraw,
    "disabled": _disable,
    "address not proven": _unprove,
}


@pytest.mark.parametrize("reason", REASONS)
def test_no_mail_is_written_for(app: Flask, ready: str, reason: str) -> None:
    REASONS[reason](app)
    assert tell(app) == 0


@pytest.mark.parametrize("reason", REASONS)
def test_a_mail_that_waits_does_not_go_out_to(app: Flask, world: World, ready: str, reason: str) -> None:
    tell(app)
    REASONS[reason](app)
    with open_postoffice(Postoffice()) as office:
        with_smtp(app, f"smtp://127.0.0.1:{office.port}")
        world.work("mail")
    assert office.taken == []


@pytest.mark.both_databases
def test_two_workers_write_one_mail(app: Flask, ready: str) -> None:
    add_guest(app, ready, BOB)
    add_photos(app, ready, BOB, 3)
    with app.app_context():
        due = ready_mails._due(crowd.event_of(ready).id, 9)
    calls = [inside(app, lambda row=row: ready_mails._tell(row)) for row in due for _ in range(3)]  # type: ignore[misc]
    assert at_once(*calls).count(True) == 2
    assert sorted(told(app)) == [(ADA, "y", "2"), (BOB, "y", "1")]


@pytest.mark.both_databases
def test_of_workers_that_come_at_once_one_has_the_round(app: Flask, ready: str) -> None:
    with app.app_context(), unit_of_work():
        db.session.execute(delete(Lease))
    assert sorted(at_once(*[inside(app, ready_mails.tell)] * 4), key=str) == [1, None, None, None]


def test_a_round_is_bounded_and_the_next_goes_on(app: Flask, ready: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready_mails, "BATCH", 1)
    add_guest(app, ready, BOB)
    add_photos(app, ready, BOB, 3)
    assert [tell(app), tell(app), tell(app)] == [1, 1, 0]


def test_a_mail_that_the_mailboxs_budget_refuses_is_written_later(
    app: Flask, ready: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setitem(mail_budgets.MAILBOX, Purpose.READY, 0)
        assert tell(app) == 0
    assert tell(app) == 1


def test_a_worker_that_dies_leaves_neither_half(app: Flask, ready: str, monkeypatch: pytest.MonkeyPatch) -> None:
    send = mail_budgets.send

    def die(letter: Letter) -> bool:
        send(letter)
        raise SystemExit

    with monkeypatch.context() as dying:
        dying.setattr(mail_budgets, "send", die)
        with pytest.raises(SystemExit):
            tell(app)
    assert told(app) == []
    assert tell(app) == 1


# --- how it reads, and how it is stopped ---


def delivered(app: Flask, world: World) -> Postoffice:
    with open_postoffice(Postoffice()) as office:
        with_smtp(app, f"smtp://127.0.0.1:{office.port}")
        world.work("mail")
    return office


def test_the_mail_carries_one_click_headers_and_no_link_that_signs_in(app: Flask, world: World, ready: str) -> None:
    tell(app)
    (mail,) = delivered(app, world).taken
    assert mail["Subject"] == "Your photos of Party are ready"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["List-Unsubscribe"] == f"<http://localhost{stop_path(app, ADA)}>"
    for kind in ("plain", "html"):
        body = mail.get_body((kind,))
        assert body is not None
        content = body.get_content()
        assert "2 photos of you" in content
        assert "/e/PARTY234/back?t=" in content
        assert stop_path(app, ADA) in content
        assert "/sign-in/" not in content


def test_opening_the_link_stops_nothing(app: Flask, ready: str) -> None:
    path = stop_path(app, ADA)
    page = Browser(app).get(path)
    assert page.status_code == 200
    assert "Stop these mails" in text(page)
    assert Browser(app).client.head(path).status_code == 200
    assert wants(app, ADA)


def test_the_button_stops_them(app: Flask, ready: str) -> None:
    answer = Browser(app).client.post(stop_path(app, ADA))
    assert answer.status_code == 200
    assert "no more mails" in text(answer)
    assert not wants(app, ADA)
    assert tell(app) == 0


def test_a_mail_program_stops_them_by_one_post_without_a_session(app: Flask, ready: str) -> None:
    answer = app.test_client().post(
        stop_path(app, ADA),
        data={"List-Unsubscribe": "One-Click"},
        headers={"Origin": "https://mail.example", "Sec-Fetch-Site": "cross-site"},
    )
    assert answer.status_code == 200
    assert not wants(app, ADA)


def test_a_link_stops_the_mails_of_its_own_guest_alone(app: Flask, ready: str) -> None:
    add_guest(app, ready, BOB)
    path = stop_path(app, BOB)
    content, _, signature = path.rpartition(".")
    for forged in (f"{content}.{signature[::-1]}", content, f"{content[:-2]}.{signature}", "/mails/stop/WyJhIiwiYiJd"):
        assert Browser(app).client.post(forged).status_code == 404
    assert Browser(app).client.post(path).status_code == 200
    assert wants(app, ADA)
    assert not wants(app, BOB)


# --- the pages ---


def test_a_guest_asks_for_mails_and_stops_them_on_their_page(app: Flask, world: World, event_id: str) -> None:
    world.person(ADA)
    with app.app_context(), unit_of_work():
        enrolment.join(crowd.event_of(event_id), crowd.user_of(ADA))
    browser = Browser(app).sign_in(ADA, PASSWORD)
    assert "Tell me by e-mail" in text(browser.get("/e/PARTY234/photos"))
    assert browser.submit("/e/PARTY234/mails", {"wants": "y"}, page="/e/PARTY234/photos").status_code == 303
    assert wants(app, ADA)
    assert "Stop these mails" in text(browser.get("/e/PARTY234/photos"))
    assert browser.submit("/e/PARTY234/mails", page="/e/PARTY234/photos").status_code == 303
    assert not wants(app, ADA)


def test_the_photographers_button_lets_guests_be_told(app: Flask, world: World, event_id: str) -> None:
    add_guest(app, event_id, ADA)
    add_photos(app, event_id, ADA, 1)
    owner, share = Browser(app).sign_in(OWNER, PASSWORD), f"/studio/events/{event_id}/share"
    assert "1 guest has asked" in text(owner.get(share))
    assert owner.submit(f"/studio/events/{event_id}/ready", page=share).status_code == 303
    page = text(owner.get(share))
    assert "1 guest asked for a mail" in page
    assert "Guests have been told by e-mail since" in page
    assert tell(app) == 1


def test_publishing_photos_lets_guests_be_told(app: Flask, world: World, event_id: str) -> None:
    add_guest(app, event_id, ADA)
    add_photos(app, event_id, ADA, 1)
    _unpublish(app)
    owner, grid = Browser(app).sign_in(OWNER, PASSWORD), f"/studio/events/{event_id}/photos"
    assert tell(app) == 0
    owner.submit(f"{grid}/actions", {"action": "publish", "ids": "photo-1"}, page=grid)
    assert tell(app) == 1


def test_publishing_what_is_out_already_tells_no_guest(app: Flask, world: World, event_id: str) -> None:
    add_guest(app, event_id, ADA)
    add_photos(app, event_id, ADA, 1)
    owner, grid = Browser(app).sign_in(OWNER, PASSWORD), f"/studio/events/{event_id}/photos"
    owner.submit(f"{grid}/actions", {"action": "publish", "ids": "photo-1"}, page=grid)
    assert tell(app) == 0
