"""Taking over an account, or locking its owner out, by joining with an address that is somebody else's.

Anybody can type anybody's address. An attacker who did so five times had the owner's own link open the attacker's
account, used up the owner's mails, and hid the owner's unproven account from sign-in by password. What must hold: a
link opens the account that it was made for, joining with an address that isn't proven is worth nothing and costs its
owner nothing, and nobody learns whether an address has an account.
"""

import re
from datetime import timedelta
from functools import partial

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from tests.attacks.identities import ADA, OTHER_EVENT, ask_for_link, change, join, me, offered, one, register, shown
from tests.attacks.mailbox import letters
from tests.support.actors import PASSWORD, Api, World, photos_with, selfie
from tests.support.browsing import Browser, text
from tests.support.concurrency import at_once
from webapp.clock import utcnow
from webapp.models import Match, Membership, Selfie, SelfieStatus, SignInLink, User
from webapp.services.accounts import address_claims


def names(browser: Browser) -> list[str]:
    return [event["name"] for event in me(browser).get("events", [])]


# --- taking over ---


@pytest.mark.parametrize("order", ["before", "after"])
def test_the_owners_link_opens_the_owners_account_whatever_strangers_made_with_the_address(
    postbox: Flask, api: Api, world: World, order: str
) -> None:
    world.add_photos(world.event(), *photos_with("grace", 1))
    strangers = []
    if order == "before":
        strangers = [register(api, world.code, f"eve{number}") for number in range(4)]
    owner = join(postbox, world.code, "Ada")
    if order == "after":
        strangers = [register(api, world.code, f"eve{number}") for number in range(4)]
    world.work()
    place = 4 if order == "before" else 0
    link = letters(postbox, ADA)[place].links[0]
    account = me(owner)["id"]
    assert owner.submit(link).status_code == 303
    assert me(owner)["id"] == account
    assert shown(owner, world.code) == 1, "and with what was found before"
    for stranger in strangers:
        assert stranger.get("/me").json["id"] != account


def test_a_stranger_who_typed_the_address_is_out_once_its_owner_taps_the_strangers_link(
    postbox: Flask, api: Api, world: World
) -> None:
    world.add_photos(world.event(), *photos_with("grace", 1))
    stranger = register(api, world.code, "eve")
    stranger.upload_selfie(selfie("grace"))
    world.work()
    assert len(stranger.photo_ids()) == 1
    owner = Browser(postbox)
    assert owner.submit(letters(postbox, ADA)[0].links[0]).status_code == 303
    assert stranger.get("/me").status_code == 401
    assert api.post("/login", json={"username": "eve", "password": PASSWORD}).status_code == 401
    assert shown(owner, world.code) == 0, "the stranger's photos are not the owner's either"
    assert one(postbox, select(func.count()).select_from(Selfie)) == 0


def test_nobody_hides_an_unproven_account_from_sign_in_by_password(postbox: Flask, api: Api, world: World) -> None:
    world.event()
    join(postbox, world.code, "Ada", password="adas own password")
    for number in range(12):
        register(api, world.code, f"eve{number}", password="eves own password")
    browser = Browser(postbox).sign_in(ADA, "adas own password")
    assert me(browser)["name"] == "Ada"


def test_who_joins_after_many_strangers_signs_in_by_password_too(postbox: Flask, api: Api, world: World) -> None:
    world.event()
    for number in range(12):
        register(api, world.code, f"eve{number}", password="eves own password")
    join(postbox, world.code, "Ada", password="adas own password")
    assert me(Browser(postbox).sign_in(ADA, "adas own password"))["name"] == "Ada"


def test_a_proven_account_is_found_first(postbox: Flask, api: Api, world: World) -> None:
    world.event()
    world.person(ADA)
    for number in range(12):
        register(api, world.code, f"eve{number}", password="eves own password")
    assert me(Browser(postbox).sign_in(ADA, PASSWORD))["username"] == "ada"
    browser = Browser(postbox)
    ask_for_link(browser)
    world.work()
    (link,) = letters(postbox, ADA)[-1].links
    assert browser.submit(link).status_code == 303
    assert me(browser)["username"] == "ada"


def test_in_one_event_an_unproven_address_is_held_once(postbox: Flask, api: Api, world: World) -> None:
    world.event()
    for number in range(5):
        register(api, world.code, f"eve{number}")
    assert one(postbox, select(func.count()).where(Membership.claimed_email == ADA)) == 1


@pytest.mark.both_databases
def test_of_many_who_join_with_one_address_at_once_one_holds_it(app: Flask, world: World) -> None:
    world.event()
    answers = at_once(*[partial(register, Api(app), world.code, f"n{number}") for number in range(6)])
    assert len(answers) == 6
    assert one(app, select(func.count()).where(Membership.claimed_email == ADA)) == 1


# --- without any attacker ---


def test_who_proved_the_address_at_one_event_and_joins_another_elsewhere_has_both_after_a_tap(
    postbox: Flask, world: World
) -> None:
    world.add_photos(world.event(), *photos_with("grace", 1))
    world.add_photos(world.event(OTHER_EVENT), *photos_with("grace", 2))
    first = join(postbox, world.code, "Ada")
    world.work()
    first.submit(letters(postbox, ADA)[0].links[0])
    second = join(postbox, OTHER_EVENT, "Ada again")
    world.work()
    answer = second.submit(letters(postbox, ADA)[1].links[0])
    assert answer.headers["Location"] == f"/e/{OTHER_EVENT}/photos", "where the link came from"
    assert shown(second, OTHER_EVENT) == 2, "the selfie of this device is kept"
    assert shown(second, world.code) == 1, "and so is the other event"
    assert me(second)["id"] == me(first)["id"], "one account, no orphan"
    assert one(postbox, select(func.count()).where(User.email == ADA)) == 1


def test_one_address_at_three_events_gets_a_link_for_each_and_ends_as_one_account(postbox: Flask, world: World) -> None:
    codes = [world.code, OTHER_EVENT, "THIRD2345"]
    for code in codes:
        world.event(code)
    browsers = [join(postbox, code, f"On {code}") for code in codes]
    world.work()
    links = [letter.links[0] for letter in letters(postbox, ADA)]
    assert len(links) == 3
    for browser, link, code in zip(browsers, links, codes, strict=True):
        answer = browser.submit(link)
        assert answer.headers["Location"] in (f"/e/{code}/photos", "/account/others")
    assert len(names(browsers[-1])) == 3
    assert one(postbox, select(func.count()).where(User.email == ADA)) == 1


def test_a_link_on_another_device_says_what_it_costs_before_the_tap(postbox: Flask, world: World) -> None:
    world.event()
    joined = join(postbox, world.code, "Ada")
    world.work()
    link = letters(postbox, ADA)[0].links[0]
    warning = "You joined on another device"
    assert warning in text(Browser(postbox).get(link))
    assert warning not in text(joined.get(link))
    joined.submit("/sign-out", {"confirmed": "y"}, page="/")
    assert warning not in text(joined.get(link)), "the device is known, signed in or not"
    assert joined.submit(link).status_code == 303
    assert one(postbox, select(func.count()).where(Selfie.status != SelfieStatus.REJECTED)) == 1


def test_a_link_that_was_forwarded_tells_its_reader_that_they_change_over(postbox: Flask, world: World) -> None:
    world.event()
    join(postbox, world.code, "Ada")
    friend = join(postbox, world.code, "Bob", "bob@example.com")
    world.work()
    link = letters(postbox, ADA)[0].links[0]
    assert "You are signed in as Bob" in text(friend.get(link))
    assert me(friend)["name"] == "Bob", "looking changes nothing"
    friend.submit(link)
    assert shown(friend, world.code) == 0, "what Ada handed in is not shown to whoever she gave the link"


def test_a_mail_scanner_that_opens_every_link_proves_nothing(postbox: Flask, world: World) -> None:
    world.event()
    joined = join(postbox, world.code, "Ada")
    world.work()
    link = letters(postbox, ADA)[0].links[0]
    scanner = Browser(postbox)
    for method in ("get", "head"):
        assert getattr(scanner.client, method)(link).status_code == 200
    assert one(postbox, select(User.email_verified_at).where(User.email == ADA)) is None
    assert joined.submit(link).status_code == 303


@pytest.mark.both_databases
def test_two_links_of_one_address_used_at_once_end_as_one_account(postbox: Flask, world: World) -> None:
    world.event()
    world.event(OTHER_EVENT)
    browsers = [join(postbox, code, "Ada") for code in (world.code, OTHER_EVENT)]
    world.work()
    links = [letter.links[0] for letter in letters(postbox, ADA)]
    tokens = [browser.token(link) for browser, link in zip(browsers, links, strict=True)]

    def tap(number: int) -> int:
        answer = browsers[number].client.post(links[number], data={"csrf_token": tokens[number]})
        return answer.status_code

    assert at_once(*[partial(tap, number) for number in range(2)]) == [303, 303]
    proven = one(postbox, select(func.count()).where(User.email == ADA, User.email_verified_at.is_not(None)))
    assert proven == 1
    last = Browser(postbox)
    ask_for_link(last)
    world.work()
    last.submit(letters(postbox, ADA)[-1].links[0])
    for other in offered(last):
        last.submit(f"/account/others/{other}", {"choice": "join"}, page="/account/others")
    assert len(names(last)) == 2


@pytest.mark.both_databases
def test_one_link_used_twice_at_once_works_once(postbox: Flask, world: World) -> None:
    world.event()
    join(postbox, world.code, "Ada")
    world.work()
    link = letters(postbox, ADA)[0].links[0]
    browsers = [Browser(postbox) for _ in range(4)]
    tokens = [browser.token(link) for browser in browsers]

    def tap(number: int) -> int:
        return browsers[number].client.post(link, data={"csrf_token": tokens[number]}).status_code

    assert sorted(at_once(*[partial(tap, number) for number in range(4)])) == [303, 404, 404, 404]


# --- other accounts with the address ---


@pytest.fixture
def proven(postbox: Flask, api: Api, world: World) -> Browser:
    """Ada, who has proven her address; before that it was used for another account as well, with a selfie."""
    world.add_photos(world.event(), *photos_with("grace", 1))
    world.add_photos(world.event(OTHER_EVENT), *photos_with("eileen", 1))
    other = register(api, OTHER_EVENT, "adas_laptop")
    other.upload_selfie(selfie("eileen"))
    browser = join(postbox, world.code, "Ada")
    world.work()
    answer = browser.submit(letters(postbox, ADA)[1].links[0])
    assert answer.headers["Location"] == "/account/others"
    assert "You also joined with this address" in text(browser.get(f"/e/{world.code}/photos"))
    return browser


def decide(browser: Browser, choice: str) -> str:
    (other,) = offered(browser)
    answer = browser.submit(f"/account/others/{other}", {"choice": choice}, page="/account/others")
    assert answer.status_code == 303, text(answer)
    return text(browser.get(answer.headers["Location"]))


def test_another_account_of_the_address_is_put_together_without_its_selfie(
    postbox: Flask, world: World, proven: Browser
) -> None:
    decide(proven, "join")
    assert len(names(proven)) == 2
    assert shown(proven, OTHER_EVENT) == 0, "a selfie that a stranger may have taken shows nothing"
    assert shown(proven, world.code) == 1
    assert one(postbox, select(func.count()).select_from(Selfie)) == 1
    assert offered(proven) == []


def test_another_account_of_the_address_is_erased_with_its_selfie(
    postbox: Flask, api: Api, world: World, proven: Browser
) -> None:
    assert "Your receipt:" in decide(proven, "erase")
    assert api.post("/login", json={"username": "adas_laptop", "password": PASSWORD}).status_code == 401
    assert one(postbox, select(func.count()).select_from(Selfie)) == 1
    assert one(postbox, select(func.count()).select_from(Match)) == 1
    assert shown(proven, world.code) == 1


def test_an_account_that_is_somebody_elses_loses_the_address_and_nothing_more(
    postbox: Flask, api: Api, proven: Browser
) -> None:
    decide(proven, "disown")
    other = api.login("adas_laptop")
    assert other.get("/me").json["email"] is None
    assert len(other.photo_ids()) == 1
    assert offered(proven) == []


@pytest.mark.parametrize("choice", ["join", "erase", "disown"])
def test_nobody_decides_on_an_account_that_has_not_their_address(
    postbox: Flask, world: World, proven: Browser, choice: str
) -> None:
    (other,) = offered(proven)
    world.person("eve@example.com")
    unproven = join(postbox, world.code, "Unproven")
    for stranger in (Browser(postbox).sign_in("eve@example.com", PASSWORD), unproven):
        answer = stranger.submit(f"/account/others/{other}", {"choice": choice}, page="/")
        assert answer.status_code == 404
    assert offered(proven)[-1] == other


def test_an_account_in_the_same_event_changes_nothing_of_ones_own(postbox: Flask, api: Api, world: World) -> None:
    world.add_photos(world.event(), *photos_with("grace", 1), *photos_with("eileen", 1))
    stranger = register(api, world.code, "eve")
    stranger.upload_selfie(selfie("eileen"))
    owner = join(postbox, world.code, "Ada")
    world.work()
    owner.submit(letters(postbox, ADA)[1].links[0])
    before = shown(owner, world.code)
    decide(owner, "join")
    assert shown(owner, world.code) == before == 1
    assert stranger.get("/me").status_code == 401


# --- claims lapse ---


def lapse(app: Flask, after: timedelta = address_claims.LIFETIME + timedelta(minutes=1)) -> None:
    change(app, update(User).where(User.email_verified_at.is_(None)).values(email_claimed_at=utcnow() - after))
    with app.app_context():
        address_claims.lapse()


def test_an_address_that_nobody_proves_lapses_and_nothing_else(postbox: Flask, world: World) -> None:
    world.add_photos(world.event(), *photos_with("grace", 1))
    browser = join(postbox, world.code, "Ada")
    world.work()
    link = letters(postbox, ADA)[0].links[0]
    lapse(postbox, timedelta(hours=47))
    assert me(browser)["email"] == ADA
    lapse(postbox)
    assert me(browser)["email"] is None
    assert shown(browser, world.code) == 1
    assert Browser(postbox).submit(link).status_code == 404, "a link to a dropped address opens nothing"
    assert "kept with this browser only" in text(browser.get(f"/e/{world.code}/photos"))


def test_after_it_lapsed_an_address_is_claimed_again_and_proven(postbox: Flask, world: World) -> None:
    world.add_photos(world.event(), *photos_with("grace", 1))
    browser = join(postbox, world.code, "Ada")
    world.work()
    lapse(postbox)
    assert browser.submit("/account/address", {"email": "ADA@example.com"}).status_code == 303
    world.work()
    assert browser.submit(letters(postbox, ADA)[-1].links[0]).status_code == 303
    assert shown(browser, world.code) == 1
    assert one(postbox, select(User.email_verified_at).where(User.email == ADA)) is not None


def test_a_proven_address_never_lapses(postbox: Flask, world: World) -> None:
    world.event()
    browser = join(postbox, world.code, "Ada")
    world.work()
    browser.submit(letters(postbox, ADA)[0].links[0])
    change(postbox, update(User).values(email_claimed_at=utcnow() - timedelta(days=400)))
    with postbox.app_context():
        assert address_claims.lapse() == 0
    assert me(browser)["email"] == ADA


def test_a_clock_that_jumps_days_ahead_and_back_costs_nobody_what_they_handed_in(postbox: Flask, world: World) -> None:
    world.add_photos(world.event(), *photos_with("grace", 1))
    browser = join(postbox, world.code, "Ada")
    world.work()
    lapse(postbox, timedelta(days=3000))
    change(postbox, update(SignInLink).values(expires_at=utcnow() + timedelta(days=3000)))
    assert shown(browser, world.code) == 1
    assert browser.submit(letters(postbox, ADA)[0].links[0]).status_code == 404
    assert browser.submit("/account/address", {"email": ADA}).status_code == 303
    change(postbox, update(User).where(User.email == ADA).values(email_claimed_at=utcnow() + timedelta(days=3000)))
    world.work()
    assert browser.submit(letters(postbox, ADA)[-1].links[0]).status_code == 303
    assert shown(browser, world.code) == 1


# --- spellings ---


def test_another_case_is_the_same_address_and_dots_and_plus_are_another(postbox: Flask, world: World) -> None:
    world.event()
    owner = join(postbox, world.code, "Ada", "Ada@Example.com")
    world.work()
    owner.submit(letters(postbox, ADA)[0].links[0])
    for spelling in ("a.da@example.com", "ada+party@example.com"):
        other = join(postbox, world.code, "Eve", spelling)
        assert me(other)["email"] == spelling
        browser = Browser(postbox)
        ask_for_link(browser, spelling)
    world.work()
    for spelling in ("a.da@example.com", "ada+party@example.com"):
        for letter in letters(postbox, spelling):
            guest = Browser(postbox)
            guest.submit(letter.links[0])
            assert me(guest)["email"] == spelling, "nobody comes into an account whose address they haven't proven"
    assert me(owner)["email"] == ADA


def test_a_proven_address_stays_as_it_is(postbox: Flask, world: World) -> None:
    world.person(ADA)
    browser = Browser(postbox).sign_in(ADA, PASSWORD)
    answer = browser.submit("/account/address", {"email": "eve@example.com"}, page="/")
    assert answer.status_code == 422
    assert "ada@example.com is confirmed" in text(answer)
    assert me(browser)["email"] == ADA


# --- nobody learns of an account ---


def test_the_answers_are_the_same_whether_or_not_an_address_has_an_account(
    postbox: Flask, api: Api, world: World
) -> None:
    world.event()
    world.person(ADA)
    register(api, world.code, "unproven", "una@example.com")
    seen = []
    for number, address in enumerate((ADA, "una@example.com", "nobody@example.com")):
        browser = Browser(postbox)
        ask_for_link(browser, address)
        page = text(browser.get("/sign-in"))
        joined = register(api, world.code, f"name{number}", address)
        mine = joined.get("/me").json
        wrong = api.post("/login", json={"username": address, "password": "wrong password"})
        seen.append((page.replace(address, ""), sorted(mine), mine["email"] == address, wrong.status_code, wrong.json))
    normal = [(token_free(page), *rest) for page, *rest in seen]
    assert normal[0] == normal[1] == normal[2]


def token_free(page: str) -> str:
    return re.sub(r'"[\w.-]{60,}"', '""', page)
