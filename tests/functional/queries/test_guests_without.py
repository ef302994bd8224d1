"""Guests without a photo: each has one reason, and the numbers are those of the lists that they lead to."""

import re
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select, update

from tests.support.actors import PASSWORD, World
from tests.support.browsing import Browser, text
from tests.support.crowd import add_guest, add_person, add_photo, asked, event_of, user_of
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import (
    Admission,
    Band,
    Event,
    Match,
    MembershipRole,
    Person,
    Photo,
    PhotoStatus,
    Selfie,
    SelfieStatus,
    Verdict,
)
from webapp.queueing import unit_of_work
from webapp.services.core import consents
from webapp.services.erasure import selfie_erasure
from webapp.services.queries import event_overview, guest_list, guests_without
from webapp.services.queries.guest_list import Show
from webapp.services.queries.guests_without import Why

pytestmark = pytest.mark.both_databases

OWNER = "photographer@example.com"


@pytest.fixture
def event_id(world: World) -> str:
    return world.event()


@pytest.fixture
def owner(app: Flask, event_id: str) -> Browser:
    return Browser(app).sign_in(OWNER, PASSWORD)


def selfie_is(status: SelfieStatus, reason: str | None = None) -> Callable[[Event, Person], None]:
    """Leave the guest with a selfie in this state."""

    def change(_: Event, person: Person) -> None:
        db.session.execute(update(Selfie).where(Selfie.person_id == person.id).values(status=status, reason=reason))

    return change


def search_gave_up(reason: str) -> Callable[[Event, Person], None]:
    """End the guest's search for this reason."""

    def change(_: Event, person: Person) -> None:
        person.match_failed, person.match_failure = True, reason

    return change


def admission_is(admission: Admission) -> Callable[[Event, Person], None]:
    """Leave the guest admitted, waiting or refused."""

    def change(_: Event, person: Person) -> None:
        person.membership.admission = admission

    return change


def account_disabled(_: Event, person: Person) -> None:
    person.membership.user.disabled_at = utcnow()


def only_asked(event: Event, person: Person) -> None:
    add_photo(event, person.id, [person])
    theirs = select(Match).where(Match.person_id == person.id).order_by(Match.id)
    db.session.flush()
    for match, verdict in zip(
        db.session.scalars(theirs), (Verdict.REJECTED, Verdict.REJECTED, Verdict.NONE), strict=True
    ):
        match.band, match.verdict = Band.MAYBE, verdict


def hidden_photo(event: Event, person: Person) -> None:
    add_photo(event, person.id, [person]).hidden_at = utcnow()


def unpublished_photo(event: Event, person: Person) -> None:
    add_photo(event, person.id, [person]).published_at = None


def left_without_selfie(_: Event, person: Person) -> None:
    selfie_erasure.erase_selfies(person)


def withdrew(_: Event, person: Person) -> None:
    selfie_erasure.withdraw(person)


def is_searched_for(_: Event, person: Person) -> None:
    person.match_wanted = person.match_done + 1


def nothing_more(_: Event, person: Person) -> None:
    assert person.id


def was_stopped(event: Event, person: Person) -> None:
    add_photo(event, person.id, [person])
    person.membership.search_stopped_at = utcnow()


CASES: dict[str, tuple[Why, Callable[[Event, Person], None]]] = {
    "stopped": (Why.STOPPED, was_stopped),
    "hidden": (Why.UNSEEN, hidden_photo),
    "unpublished": (Why.UNSEEN, unpublished_photo),
    "waiting": (Why.ADMISSION, admission_is(Admission.WAITING)),
    "turned-away": (Why.NOT_ADMITTED, admission_is(Admission.REFUSED)),
    "disabled": (Why.DISABLED, account_disabled),
    "selfie-limit": (Why.LIMIT, selfie_is(SelfieStatus.FAILED, "call_limit")),
    "search-limit": (Why.LIMIT, search_gave_up("call_limit")),
    "selfie-failed": (Why.FAILED, selfie_is(SelfieStatus.FAILED, "crashed")),
    "search-failed": (Why.FAILED, search_gave_up("internal")),
    "refused": (Why.REFUSED, selfie_is(SelfieStatus.REJECTED, "blurred")),
    "received": (Why.CHECKING, selfie_is(SelfieStatus.RECEIVED)),
    "checking": (Why.CHECKING, selfie_is(SelfieStatus.CHECKING)),
    "withdrew": (Why.WITHDRAWN, withdrew),
    "no-selfie": (Why.NO_SELFIE, left_without_selfie),
    "asked": (Why.ASKED, only_asked),
    "searched": (Why.SEARCHING, is_searched_for),
    "lonely": (Why.NONE_FOUND, nothing_more),
}
"""A guest's name: the reason, and what leads to it."""


def fill(app: Flask, event_id: str) -> None:
    """One guest of each case, two who have a photo, and an owner whose selfie was refused."""
    with app.app_context(), unit_of_work():
        event = event_of(event_id)
        for name, (_, change) in CASES.items():
            change(event, add_guest(event, f"{name}@example.com"))
        found = [add_guest(event, "found@example.com"), add_guest(event, "renewing@example.com")]
        add_photo(event, 1, found)
        db.session.add(
            Selfie(person_id=found[1].id, status=SelfieStatus.REJECTED, blob_key="x", content_type="image/jpeg")
        )
        mine = add_person(event, user_of(OWNER))
        assert mine.membership.role is MembershipRole.OWNER
        selfie_is(SelfieStatus.REJECTED, "blurred")(event, mine)


def names_of(html: str) -> set[str]:
    return set(re.findall(r"<strong>([\w-]+)</strong>", html))


def test_every_reason_has_a_case() -> None:
    assert {why for why, _ in CASES.values()} == set(Why)


def test_each_guest_without_a_photo_has_the_reason_that_is_true(app: Flask, event_id: str) -> None:
    fill(app, event_id)
    with app.app_context():
        rows = {row.name: row.why for row in guest_list.guests_of(event_of(event_id))}
    assert rows == {name: why for name, (why, _) in CASES.items()} | {"found": None, "renewing": None}


def test_each_number_is_that_of_the_list_it_leads_to(app: Flask, owner: Browser, event_id: str) -> None:
    fill(app, event_id)
    overview = text(owner.get(f"/studio/events/{event_id}"))
    figure = overview.partition("Guests without a photo</a>")[2].partition("</dd>")[0]
    assert figure.endswith(f">{len(CASES)}")
    line = overview.partition('id="without-photo"')[2].partition("</div>")[0]
    links = re.findall(r'href="([^"]+why=([\w-]+))">[^<]+<b>(\d+)</b>', line)
    assert {Why(why) for _, why, _ in links} == set(Why)
    for address, why, count in links:
        seen = owner.get(address.replace("&amp;", "&"))
        expected = {name for name, (reason, _) in CASES.items() if reason is Why(why)}
        assert names_of(seen.text) == expected, why
        assert int(count) == len(expected), why
    assert names_of(owner.get(f"/studio/events/{event_id}/guests?show=none-yet").text) == set(CASES)


def test_the_filters_of_the_list_count_what_they_show(app: Flask, event_id: str) -> None:
    fill(app, event_id)
    with app.app_context():
        event = event_of(event_id)
        counts = guest_list.counts_of(event)
        shown = {show: len(guest_list.guests_of(event, show=show)) for show in Show}
        progress = event_overview.progress_of_event(event)
    assert counts == shown
    assert counts[Show.FOUND] + counts[Show.NONE_YET] == counts[Show.ALL] == progress.guests
    assert counts[Show.NONE_YET] == progress.guests_without
    # Also of the guest who has photos; not of the owner, who is no guest.
    assert counts[Show.REFUSED] == progress.selfies[SelfieStatus.REJECTED] == 2


def test_a_photo_on_its_way_may_still_show_a_guest_of_whom_none_was_found(app: Flask, event_id: str) -> None:
    with app.app_context(), unit_of_work():
        event = event_of(event_id)
        add_guest(event, "lonely@example.com")
        add_photo(event, 1, []).status = PhotoStatus.UPLOADED
    with app.app_context():
        assert guests_without.count_by_reason(event_of(event_id)) == {Why.SEARCHING: 1}
    with app.app_context(), unit_of_work():
        db.session.execute(update(Photo).values(published_at=None))
    with app.app_context():
        assert guests_without.count_by_reason(event_of(event_id)) == {Why.NONE_FOUND: 1}


def test_consent_that_was_given_again_is_no_withdrawal(app: Flask, event_id: str) -> None:
    with app.app_context(), unit_of_work():
        person = add_guest(event_of(event_id), "back@example.com")
        selfie_erasure.withdraw(person)
        consents.grant_consent(person, consents.CONSENT_VERSION, language="en")
    with app.app_context():
        assert guests_without.count_by_reason(event_of(event_id)) == {Why.NO_SELFIE: 1}


def test_words_of_an_address_that_are_no_filter_count_as_none(owner: Browser, event_id: str) -> None:
    for query in ("show=none-yet&why=nonsense", "show=nonsense&why=refused", "why=refused"):
        assert owner.get(f"/studio/events/{event_id}/guests?{query}").status_code == 200


def test_the_numbers_take_as_many_queries_for_many_guests_as_for_few(app: Flask, event_id: str) -> None:
    def statements() -> int:
        with app.app_context():
            event = event_of(event_id)
            with asked(app) as noted:
                guests_without.count_by_reason(event)
                guest_list.counts_of(event)
                guest_list.guests_of(event, show=Show.NONE_YET, why=Why.REFUSED)
            return len(noted.statements)

    before = statements()
    fill(app, event_id)
    assert statements() == before == 3
