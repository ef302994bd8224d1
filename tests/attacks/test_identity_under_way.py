"""Proving an address while something else is under way: the moments in which two requests meet.

An attacker who changed their address while their own link was being used held somebody else's address as proven, and
whose password was just being checked stayed signed in after the address's owner had proven it. Whoever puts two
accounts together lost what they had handed in with one of them, and some pairs of requests waited for each other.
"""

import io
import re
from functools import partial

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from tests.attacks.identities import ADA, OTHER_EVENT, change, join, me, offered, one, register, shown
from tests.attacks.mailbox import letters
from tests.support.actors import PASSWORD, Api, World, photos_with, selfie
from tests.support.browsing import Browser, text
from tests.support.concurrency import at_once, inside, meanwhile
from webapp.db.extensions import db
from webapp.models import Admission, Event, Mail, Membership, User
from webapp.queueing import unit_of_work
from webapp.services.accounts import accounts, address_claims, disabling, sign_in_links
from webapp.services.accounts.mail_budgets import MAILBOX, Purpose
from webapp.services.core.consents import CONSENT_VERSION
from webapp.services.joining import admission

EVE = "eve@example.com"
OWNER = "photographer@example.com"


def link_of(app: Flask, address: str, place: int = -1) -> str:
    return letters(app, address)[place].links[0]


def tap(browser: Browser, link: str, token: str) -> int:
    return browser.client.post(link, data={"csrf_token": token}).status_code


# --- taking over ---


def test_who_claims_an_address_while_their_own_link_is_used_holds_none_of_others(
    postbox: Flask, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.event()
    eve = join(postbox, world.code, "Eve", EVE)
    world.work()
    link, locked = link_of(postbox, EVE), accounts.locked

    def slow(user_id: int) -> User:
        monkeypatch.setattr(accounts, "locked", locked)
        assert meanwhile(lambda: Browser(postbox).submit(link).status_code) == 303
        return locked(user_id)

    monkeypatch.setattr(accounts, "locked", slow)
    eve.submit("/account/address", {"email": ADA})
    assert one(postbox, select(User.id).where(User.email == ADA)) is None


@pytest.mark.both_databases
def test_claiming_and_tapping_at_once_proves_nobody_elses_address(postbox: Flask, world: World) -> None:
    world.event()
    for number in range(4):
        mine = f"eve{number}@example.com"
        eve = join(postbox, world.code, "Eve", mine)
        world.work()
        link, page = link_of(postbox, mine), "/account/address"
        tokens = [eve.token(link), eve.token(page)]
        claim = partial(eve.client.post, page, data={"csrf_token": tokens[1], "email": ADA})
        at_once(partial(tap, eve, link, tokens[0]), lambda claim=claim: claim().status_code)  # type: ignore[misc]
    proven = select(func.count()).where(User.email == ADA, User.email_verified_at.is_not(None))
    assert one(postbox, proven) == 0


def test_a_password_that_is_being_checked_signs_nobody_in_after_the_proof(
    postbox: Flask, api: Api, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.event()
    register(api, world.code, "eve")
    world.work()
    link, ada, matches = link_of(postbox, ADA), Browser(postbox), accounts.matches

    def slow(password_hash: str, password: str) -> bool:
        right = matches(password_hash, password)
        if right:
            meanwhile(lambda: ada.submit(link))
        return right

    monkeypatch.setattr(accounts, "matches", slow)
    answer = api.post("/login", json={"username": "eve", "password": PASSWORD})
    assert answer.status_code == 401
    assert me(ada)["email"] == ADA


def test_on_a_shared_device_a_strangers_password_and_sessions_go(postbox: Flask, api: Api, world: World) -> None:
    world.event()
    tablet = join(postbox, world.code, "Guest", password="eves own password")
    tablet.submit("/sign-out", {"confirmed": "y"}, page="/")
    world.work()
    eve = api.login(ADA, "eves own password")
    assert tablet.submit(link_of(postbox, ADA)).status_code == 303
    assert eve.get("/me").status_code == 401
    assert api.post("/login", json={"username": ADA, "password": "eves own password"}).status_code == 401


def test_putting_accounts_together_carries_no_password(postbox: Flask, api: Api, world: World) -> None:
    world.event()
    world.event(OTHER_EVENT)
    tablet = join(postbox, OTHER_EVENT, "Guest", password="eves own password")
    tablet.submit("/sign-out", {"confirmed": "y"}, page="/")
    form = {"name": "Ada", "email": ADA, "consent": "y", "consent_version": CONSENT_VERSION}
    tablet.submit(f"/e/{world.code}", form | {"file": (io.BytesIO(selfie("grace")), "me.jpg")})
    world.work()
    tablet.submit(link_of(postbox, ADA))
    for other in offered(tablet):
        tablet.submit(f"/account/others/{other}", {"choice": "join"}, page="/account/others")
    assert api.post("/login", json={"username": ADA, "password": "eves own password"}).status_code == 401


def test_erasing_accounts_gives_no_mails_back(postbox: Flask, api: Api, world: World) -> None:
    world.event()
    owner = join(postbox, world.code, "Eve", EVE)
    world.work()
    owner.submit(link_of(postbox, EVE))
    for number in range(8):
        register(api, world.code, f"more{number}")
        with postbox.app_context(), unit_of_work():
            made = db.session.scalars(select(User).where(User.username == f"more{number}")).one()
            address_claims.claim(made, EVE)
        for other in offered(owner):
            owner.submit(f"/account/others/{other}", {"choice": "erase"}, page="/account/others")
    assert one(postbox, select(func.count()).where(Mail.recipient == ADA)) == MAILBOX[Purpose.JOINED]


@pytest.mark.parametrize("before", [0, 1, 6])
def test_many_strangers_around_an_account_hide_it_from_no_password(
    postbox: Flask, api: Api, world: World, before: int
) -> None:
    world.event()
    for number in range(12):
        if number == before:
            join(postbox, world.code, "Ada", password="adas own password")
        register(api, world.code, f"eve{number}", password=f"eves password {number}")
    assert me(Browser(postbox).sign_in(ADA, "adas own password"))["name"] == "Ada"


def test_an_account_without_a_tag_is_still_found_by_its_password(postbox: Flask, api: Api, world: World) -> None:
    world.event()
    join(postbox, world.code, "Ada", password="adas own password")
    change(postbox, update(User).where(User.email == ADA).values(password_tag=None))
    for number in range(2):
        register(api, world.code, f"eve{number}", password=f"eves password {number}")
    assert me(Browser(postbox).sign_in(ADA, "adas own password"))["name"] == "Ada"


def test_a_strangers_device_does_not_fill_the_mail_with_its_own_accounts(postbox: Flask, world: World) -> None:
    world.event()
    owner = join(postbox, world.code, "Ada")
    device = Browser(postbox)
    form = {"email": ADA, "consent": "y", "consent_version": CONSENT_VERSION}
    for number in range(14):
        file = (io.BytesIO(selfie("grace")), "me.jpg")
        device.submit(f"/e/{world.code}", form | {"name": f"Eve {number}", "file": file})
        device.submit("/sign-out", {"confirmed": "y"}, page="/")
    device.submit("/sign-in/link", {"email": ADA}, page="/sign-in")
    world.work()
    with postbox.app_context():
        mine = db.session.scalars(select(User).where(User.public_id == me(owner)["id"])).one().id
        found = sign_in_links.accounts_in(db.session.scalars(select(Mail).order_by(Mail.id.desc())).first())  # type: ignore[arg-type]
        assert mine in [account.user.id for account in found]


# --- nothing that was handed in is lost ---


def test_a_guest_who_is_in_the_team_as_well_keeps_selfie_and_photos(postbox: Flask, world: World) -> None:
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 1))
    phone = join(postbox, world.code, "Ada")
    world.work()
    owner = Browser(postbox).sign_in(OWNER, PASSWORD)
    assert owner.submit(f"/studio/events/{event_id}/team", {"email": ADA}).status_code == 303
    world.work()
    invitation = re.search(r"http://localhost(/inv\S+)", letters(postbox, ADA)[-1].text)
    assert invitation is not None
    assert Browser(postbox).submit(invitation[1], {"name": "Ada", "password": PASSWORD}).status_code == 303
    assert phone.submit(link_of(postbox, ADA, 0)).status_code == 303
    assert shown(phone, world.code) == 1
    assert phone.get(f"/studio/events/{event_id}").status_code == 200, "and is in the team"


def test_who_is_in_an_event_twice_is_told_what_goes_before_the_tap(postbox: Flask, world: World) -> None:
    world.add_photos(world.event(), *photos_with("grace", 1))
    phone, laptop = join(postbox, world.code, "Ada"), join(postbox, world.code, "Ada")
    world.work()
    laptop.submit(link_of(postbox, ADA, 1))
    assert "You are in Party with another device already" in text(phone.get(link_of(postbox, ADA, 0)))
    phone.submit(link_of(postbox, ADA, 0))
    assert shown(phone, world.code) == 1


def test_a_place_that_was_admitted_is_not_given_up_for_one_that_waits(postbox: Flask, world: World) -> None:
    world.add_photos(world.event(), *photos_with("grace", 1))
    change(postbox, update(Event).values(admits_guests=True))
    phone = join(postbox, world.code, "Ada")
    with postbox.app_context(), unit_of_work():
        admission.admit_all(db.session.scalars(select(Event)).one(), db.session.scalars(select(User)).first())  # type: ignore[arg-type]
    laptop = join(postbox, world.code, "Ada")
    world.work()
    laptop.submit(link_of(postbox, ADA, 1))
    phone.submit(link_of(postbox, ADA, 0))
    assert shown(phone, world.code) == 1


def test_a_strangers_refused_place_does_not_come_over_ones_own(postbox: Flask, api: Api, world: World) -> None:
    world.event()
    register(api, world.code, "eve")
    change(postbox, update(Membership).where(Membership.claimed_email == ADA).values(admission=Admission.REFUSED))
    ada = join(postbox, world.code, "Ada")
    world.work()
    ada.submit(link_of(postbox, ADA, 1))
    ada.submit(f"/e/{world.code}/withdraw", page=f"/e/{world.code}/photos")
    for other in offered(ada):
        ada.submit(f"/account/others/{other}", {"choice": "join"}, page="/account/others")
    mine = select(Membership.admission).join(User).where(User.email == ADA)
    assert one(postbox, mine) is Admission.ADMITTED


# --- at the same moment ---


@pytest.mark.both_databases
def test_several_links_into_one_account_at_once(postbox: Flask, world: World) -> None:
    world.event()
    owner = join(postbox, world.code, "Ada")
    world.work()
    owner.submit(link_of(postbox, ADA))
    for round_ in range(3):
        code = f"EVNT{round_ + 2}ABC"
        world.event(code)
        browsers = [join(postbox, code, f"Ada {number}") for number in range(3)]
        with postbox.app_context(), unit_of_work():
            made = select(User).where(User.email == ADA, User.email_verified_at.is_(None)).order_by(User.id)
            links = [f"/sign-in/{sign_in_links.new_token(user)}" for user in db.session.scalars(made).all()]
        tokens = [browser.token(link) for browser, link in zip(browsers, links, strict=True)]
        taps = [partial(tap, *each) for each in zip(browsers, links, tokens, strict=True)]
        assert at_once(*taps) == [303] * 3
    assert one(postbox, select(func.count()).where(User.email == ADA)) == 1


@pytest.mark.both_databases
def test_disabling_and_withdrawing_at_once(postbox: Flask, world: World) -> None:
    world.event()

    def disable(public_id: str) -> int:
        with unit_of_work():
            disabling.disable(public_id, None)
        return 0

    for number in range(5):
        guest = join(postbox, world.code, "Guest", f"guest{number}@example.com")
        public_id, page = me(guest)["id"], f"/e/{world.code}"
        token = guest.token(f"{page}/photos")
        withdrawn, disabled = at_once(
            partial(tap, guest, f"{page}/withdraw", token), inside(postbox, partial(disable, public_id))
        )
        assert withdrawn in (303, 401, 404) and disabled == 0


@pytest.mark.both_databases
def test_an_invitation_and_a_link_of_one_address_at_once(postbox: Flask, world: World) -> None:
    event_id = world.event()
    world.event(OTHER_EVENT)
    for number in range(3):
        address = f"ada{number}@example.com"
        first, second = join(postbox, world.code, "A", address), join(postbox, OTHER_EVENT, "B", address)
        owner = Browser(postbox).sign_in(OWNER, PASSWORD)
        assert owner.submit(f"/studio/events/{event_id}/team", {"email": address}).status_code == 303
        world.work()
        mails = letters(postbox, address)
        invitation = re.search(r"http://localhost(/inv\S+)", mails[-1].text)
        assert invitation is not None
        link = mails[0].links[0]
        tokens = first.token(link), second.token(invitation[1])
        answers = at_once(partial(tap, first, link, tokens[0]), partial(tap, second, invitation[1], tokens[1]))
        assert all(answer < 500 for answer in answers), answers


@pytest.mark.both_databases
def test_withdrawing_and_being_refused_at_once(postbox: Flask, world: World) -> None:
    event_id = world.event()
    change(postbox, update(Event).values(admits_guests=True))
    owner = Browser(postbox).sign_in(OWNER, PASSWORD)
    for number in range(5):
        guest = join(postbox, world.code, f"Guest {number}", f"guest{number}@example.com")
        with postbox.app_context():
            person = db.session.scalars(
                select(Membership).join(User).where(User.email == f"guest{number}@example.com")
            ).one()
            person_id = person.persons[0].public_id
        refusal = f"/studio/events/{event_id}/guests/{person_id}/refuse"
        tokens = guest.token(f"/e/{world.code}/photos"), owner.token(f"/studio/events/{event_id}/team")
        answers = at_once(
            partial(tap, guest, f"/e/{world.code}/withdraw", tokens[0]), partial(tap, owner, refusal, tokens[1])
        )
        assert answers == [303, 303]
