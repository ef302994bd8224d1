"""Using up somebody's mails, or flooding their mailbox, by typing their address.

Strangers could use up the five mails an hour that an address got, whatever they were for, and ten requests a minute
from one network closed the form for everybody behind it. What must hold: each purpose has its own budget for each
mailbox, whoever is known asks from a budget of their own, and everybody behind one Wi-Fi gets their link.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial

import pytest
from flask import Flask
from sqlalchemy import func, select

from tests.attacks.identities import ADA, ask_for_link, join, me, one, register
from tests.attacks.mailbox import letters
from tests.support.actors import PASSWORD, Api, World
from tests.support.browsing import Browser
from tests.support.concurrency import at_once
from tests.support.limiting import limiting
from webapp.db.extensions import db
from webapp.models import Mail, UserRole
from webapp.queueing import unit_of_work
from webapp.services.accounts import mail_budgets, sign_in_links
from webapp.services.accounts.mail_budgets import ACCOUNT, MAILBOX, Letter, Purpose, mailbox_of
from webapp.settings import Settings


@pytest.fixture
def limited(settings: Settings) -> Iterator[Flask]:
    """An app that counts, as everywhere but in tests."""
    yield from limiting(settings)


def sent(app: Flask, purpose: Purpose | None = None) -> int:
    wanted = select(func.count()).select_from(Mail)
    return int(one(app, wanted if purpose is None else wanted.where(Mail.purpose == purpose)))


def test_strangers_who_join_with_an_address_leave_its_owner_the_links_that_they_ask_for(
    postbox: Flask, api: Api, world: World
) -> None:
    world.event()
    for number in range(12):
        register(api, world.code, f"eve{number}")
    assert sent(postbox) == MAILBOX[Purpose.JOINED], "and the mailbox is not flooded"
    owner = join(postbox, world.code, "Ada")
    account = me(owner)["id"]
    assert owner.submit("/account/address", {"email": ADA}).status_code == 303
    world.work()
    (link,) = letters(postbox, ADA)[-1].links
    assert owner.submit(link).status_code == 303
    assert me(owner)["id"] == account


def test_strangers_who_ask_for_links_leave_the_owner_those_of_their_own_device(postbox: Flask, world: World) -> None:
    world.event()
    owner = join(postbox, world.code, "Ada")
    world.work()
    for _ in range(12):
        ask_for_link(Browser(postbox))
    assert sent(postbox, Purpose.ASKED) == MAILBOX[Purpose.ASKED]
    owner.submit("/sign-out", {"confirmed": "y"}, page="/")
    ask_for_link(owner)
    assert sent(postbox, Purpose.OWN) == 1
    world.work()
    assert owner.submit(letters(postbox, ADA)[-1].links[0]).status_code == 303
    assert me(owner)["name"] == "Ada"


def test_while_a_budget_is_used_up_the_mailbox_holds_links_that_work(postbox: Flask, world: World) -> None:
    assert sign_in_links.LIFETIME >= mail_budgets.WINDOW
    world.person(ADA)
    for _ in range(8):
        ask_for_link(Browser(postbox))
    world.work()
    inbox = letters(postbox, ADA)
    assert len(inbox) == MAILBOX[Purpose.ASKED]
    for letter in inbox:
        browser = Browser(postbox)
        assert browser.submit(letter.links[0]).status_code == 303
        assert me(browser)["username"] == "ada"


def test_joins_links_and_invitations_have_budgets_of_their_own(postbox: Flask, api: Api, world: World) -> None:
    world.event()
    world.person("admin@example.com", UserRole.ADMIN)
    for number in range(MAILBOX[Purpose.JOINED]):
        register(api, world.code, f"eve{number}")
        ask_for_link(Browser(postbox))
    admin = Browser(postbox).sign_in("admin@example.com", PASSWORD)
    assert admin.submit("/admin/people", {"email": ADA}).status_code == 303
    for _ in range(MAILBOX[Purpose.INVITATION] - 1):
        assert admin.submit("/admin/people", {"email": ADA}).status_code == 303
    answer = admin.submit("/admin/people", {"email": ADA})
    assert answer.status_code in (422, 429), "whoever invites is told"


@pytest.mark.parametrize("spelling", ["ADA@example.com", "ada+1@example.com", " ada+x+y@example.com"])
def test_other_spellings_of_a_mailbox_are_the_same_mailbox(postbox: Flask, spelling: str) -> None:
    assert mailbox_of(spelling) == mailbox_of(ADA)
    for _ in range(MAILBOX[Purpose.ASKED]):
        ask_for_link(Browser(postbox), spelling)
    ask_for_link(Browser(postbox))
    assert sent(postbox) == MAILBOX[Purpose.ASKED]


def test_dots_count_where_the_provider_counts_them() -> None:
    assert mailbox_of("a.d.a@gmail.com") == mailbox_of("ada@gmail.com")
    assert mailbox_of("a.da@example.com") != mailbox_of("ada@example.com")
    assert mailbox_of("+tag@example.com") == "+tag@example.com"


def test_an_account_has_few_of_its_own_so_that_a_crowd_of_accounts_floods_nobody(
    postbox: Flask, api: Api, world: World
) -> None:
    world.event()
    for number in range(6):
        browser = join(postbox, world.code, f"Eve {number}")
        for _ in range(ACCOUNT + 2):
            assert browser.submit("/account/address", {"email": ADA}).status_code == 303
    assert sent(postbox, Purpose.OWN) == MAILBOX[Purpose.OWN]


def test_an_account_that_claims_one_address_after_the_other_writes_to_few(postbox: Flask, world: World) -> None:
    world.event()
    browser = join(postbox, world.code, "Eve", "eve@example.com")
    for number in range(ACCOUNT + 3):
        assert browser.submit("/account/address", {"email": f"victim{number}@example.com"}).status_code == 303
    assert sent(postbox, Purpose.OWN) == ACCOUNT


@pytest.mark.both_databases
def test_of_many_requests_at_once_no_more_than_the_budget_pass(app: Flask) -> None:
    def ask() -> bool:
        with app.app_context(), unit_of_work():
            return mail_budgets.send(Letter(ADA, Purpose.ASKED, "en", sign_in_links.MAIL_KIND))

    asked: list[Callable[[], bool]] = [partial(ask) for _ in range(16)]
    assert at_once(*asked).count(True) == MAILBOX[Purpose.ASKED]


def test_a_budget_comes_back_after_an_hour(app: Flask) -> None:
    def ask() -> bool:
        with app.app_context(), unit_of_work():
            return mail_budgets.send(Letter(ADA, Purpose.ASKED, "en", sign_in_links.MAIL_KIND))

    assert [ask() for _ in range(6)] == [True] * 5 + [False]
    with app.app_context():
        for mail in db.session.scalars(select(Mail)):
            mail.created_at -= timedelta(minutes=61)
        db.session.commit()
    assert ask()


def test_everybody_behind_one_wifi_gets_their_link(postbox: Flask, world: World, limited: Flask) -> None:
    addresses = [f"guest{number}@example.com" for number in range(12)]
    for address in addresses:
        world.person(address)
    for address in addresses:
        ask_for_link(Browser(limited), address)
    world.work()
    assert {letter.to for letter in letters(postbox)} == set(addresses)


def test_a_mail_carries_no_word_of_whoever_typed_the_address(postbox: Flask, api: Api, world: World) -> None:
    world.event()
    world.event("SECOND234")
    for number, code in enumerate((world.code, "SECOND234")):
        register(api, code, f"WIN A PRIZE at evil.example {number}")
    ask_for_link(Browser(postbox))
    world.work()
    asked = letters(postbox, ADA)[-1]
    assert len(asked.links) == 2, "one for each account"
    assert not [letter for letter in letters(postbox) if "evil" in letter.text]
