"""Polls: answered by one read of Redis while nothing has happened, and never after something has."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from flask import Flask
from sqlalchemy import delete, select, text, update

from tests.support.actors import PASSWORD, World
from tests.support.browsing import HTMX, Browser
from tests.support.crowd import add_guest, add_person, add_photo, asked, event_of, user_of
from tests.support.databases import Template
from tests.support.servers import Valkey, valkey
from tests.support.settings import make_settings
from webapp import create_app
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import (
    Band,
    Event,
    Match,
    Membership,
    MembershipRole,
    Person,
    Photo,
    PhotoStatus,
    Selfie,
    SelfieStatus,
    User,
    UserSession,
    Verdict,
)
from webapp.queueing import connection, unit_of_work
from webapp.services.core import claims, consents, rematch_requests, usage_meter
from webapp.services.erasure import event_erasure, photo_erasure, selfie_erasure
from webapp.services.live import versions
from webapp.services.matching import matching
from webapp.services.selfies import selfie_intake

pytestmark = pytest.mark.both_databases

GUEST, OTHER, OWNER = "guest@example.com", "other@example.com", "photographer@example.com"
FROM_REDIS = (204, 0)
"""Nothing has changed, and the database was not asked."""


@dataclass
class Region:
    """A live region in a browser, which polls as htmx does."""

    app: Flask
    browser: Browser
    page: str
    poll_path: str

    stamp: str = ""

    def show(self) -> "Region":
        """Load the page, and wait for nothing to happen: from then on, polls come from Redis."""
        self._read(self.browser.get(self.page).text)
        assert self.poll()[0] == 204
        assert self.poll() == FROM_REDIS
        return self

    def poll(self) -> tuple[int, int]:
        """The answer's status, and how many statements it took; the browser then shows what it got."""
        with asked(self.app) as noted:
            answer = self.browser.get(
                f"{self.poll_path}{'&' if '?' in self.poll_path else '?'}{self.query}", headers=HTMX
            )
        assert bool(answer.text) == (answer.status_code not in (204, 401))
        if answer.status_code == 200:
            self._read(answer.text)
        return answer.status_code, len(noted.statements)

    @property
    def query(self) -> str:
        return f"v={self.stamp}"

    def _read(self, html: str) -> None:
        found = re.search(r'live\?v=([0-9a-f.]+)[&"]', html)
        assert found, html
        self.stamp = found[1]


@dataclass
class Scene:
    """An event with a guest who was found on two photos, another guest, and who runs it."""

    app: Flask
    event_id: str

    def guest(self, email: str = GUEST) -> Region:
        return self.region(email, "/e/PARTY234/photos")

    def studio(self) -> Region:
        return self.region(OWNER, f"/studio/events/{self.event_id}")

    def region(self, email: str, page: str) -> Region:
        browser = Browser(self.app).sign_in(email, PASSWORD)
        return Region(self.app, browser, page, f"{page}/live").show()

    def change(self, change: Callable[["Scene"], object]) -> None:
        with self.app.app_context(), unit_of_work():
            change(self)

    @property
    def event(self) -> Event:
        return event_of(self.event_id)

    @property
    def photo(self) -> Photo:
        return db.session.scalars(select(Photo).order_by(Photo.id)).first() or pytest.fail("no photo")

    def person(self, email: str = GUEST) -> Person:
        return db.session.scalars(select(Person).join(Membership).join(User).where(User.email == email)).one()

    def selfie(self, email: str = GUEST) -> Selfie:
        return db.session.scalars(select(Selfie).where(Selfie.person_id == self.person(email).id)).one()

    def matches(self, email: str = GUEST) -> list[Match]:
        wanted = select(Match).where(Match.person_id == self.person(email).id)
        return list(db.session.scalars(wanted.order_by(Match.id)))

    def question(self, email: str = GUEST) -> Match:
        return next(row for row in self.matches(email) if row.band is Band.MAYBE and row.verdict is Verdict.NONE)

    def membership(self, email: str) -> Membership:
        return db.session.scalars(select(Membership).join(User).where(User.email == email)).one()

    def hand_in(self, person: Person) -> None:
        selfie_intake.receive_selfie(
            person, selfie_intake.StagedSelfie("new-selfie", "events/x/selfies/new/o.jpg", "image/jpeg")
        )


def populate(app: Flask, world: World) -> Scene:
    event_id = world.event()
    for email in (GUEST, OTHER):
        world.person(email)
    with app.app_context(), unit_of_work():
        event = event_of(event_id)
        people = [add_person(event, user_of(email)) for email in (GUEST, OTHER)]
        for number in range(2):
            add_photo(event, number, people)
    return Scene(app, event_id)


@pytest.fixture
def scene(app: Flask, world: World) -> Scene:
    return populate(app, world)


def set_(row: object, **values: object) -> None:
    for name, value in values.items():
        setattr(row, name, value)


def hide_and_publish(scene: Scene) -> None:
    """Two photos change places: no count tells."""
    shown, unpublished = db.session.scalars(select(Photo).order_by(Photo.id)).all()
    set_(shown, hidden_at=utcnow())
    set_(unpublished, hidden_at=None)


# --- nothing has changed ---


def test_an_unchanged_poll_is_one_read_of_redis_and_no_question_to_the_database(scene: Scene) -> None:
    for region in (scene.guest(), scene.studio()):
        with scene.app.app_context():
            client = connection()
            client.config_resetstat()
            assert region.poll() == FROM_REDIS
            calls = {name: row["calls"] for name, row in client.info("commandstats").items()}
        assert calls.pop("cmdstat_config|resetstat", 1) == 1
        assert calls == {"cmdstat_mget": 1}


def test_the_limiter_adds_nothing_to_it(settings: object, world: World, app: Flask) -> None:
    populate(app, world)
    limited = create_app(app.extensions["settings"].model_copy(update={"environment": "development"}))
    limited.extensions["face_engines"] = app.extensions["face_engines"]
    assert limited.extensions["limits"].enabled
    region = Region(limited, Browser(limited).sign_in(GUEST, PASSWORD), "/e/PARTY234/photos", "/e/PARTY234/photos/live")
    region.show()
    with limited.app_context():
        client = connection()
        client.config_resetstat()
        assert region.poll() == FROM_REDIS
        assert client.info("commandstats")["cmdstat_mget"]["calls"] == 1
        assert set(client.info("commandstats")) <= {"cmdstat_mget", "cmdstat_config|resetstat", "cmdstat_info"}
        db.session.remove()
        db.engine.dispose()


def test_what_a_page_was_told_holds_for_half_a_minute_at_most(scene: Scene) -> None:
    scene.guest()
    with scene.app.app_context():
        (key,) = connection().keys("findme:live:page:*")
        assert 0 < connection().ttl(key) <= 30


def test_a_mark_that_was_lost_is_made_good_when_the_key_has_lapsed(scene: Scene) -> None:
    region = scene.guest()
    with scene.app.app_context(), db.engine.begin() as past_the_session:
        past_the_session.execute(text("UPDATE photo SET hidden_at = '2026-06-20 12:00:00+00:00'"))
    assert region.poll() == FROM_REDIS
    with scene.app.app_context():
        connection().delete(*connection().keys("findme:live:page:*"))
    assert region.poll()[0] == 200


def test_a_change_that_is_undone_is_none(scene: Scene) -> None:
    region = scene.guest()

    def fail(scene: Scene) -> None:
        scene.photo.hidden_at = utcnow()
        db.session.flush()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        scene.change(fail)
    assert region.poll() == FROM_REDIS


def test_one_person_s_news_are_nobody_else_s(scene: Scene) -> None:
    region = scene.guest()
    scene.change(lambda s: matching.give_verdict(user_of(OTHER), s.question(OTHER).public_id, "rejected"))
    assert region.poll() == FROM_REDIS


# --- something has changed ---

SEEN_BY_GUEST: dict[str, Callable[[Scene], object]] = {
    "a selfie is handed in": lambda s: s.hand_in(s.person()),
    "a selfie is refused": lambda s: set_(s.selfie(), status=SelfieStatus.REJECTED, reason="blurred"),
    "a selfie is replaced": lambda s: set_(s.selfie(), retired_at=utcnow()),
    "a face is no longer in doubt": lambda s: set_(s.question(), band=Band.NONE),
    "a match is found": lambda s: add_photo(s.event, 7, [s.person()]),
    "matches are gone": lambda s: [db.session.delete(row) for row in s.matches()],
    "all matches are deleted at once": lambda s: db.session.execute(delete(Match)),
    "a verdict": lambda s: matching.give_verdict(user_of(GUEST), s.question().public_id, "rejected"),
    "a search is asked for": lambda s: rematch_requests.mark([s.person().id]),
    "a search gives up": lambda s: set_(s.person(), match_failed=True, match_failure="crashed"),
    "a photo comes in": lambda s: add_photo(s.event, 7, []),
    "a photo waits again": lambda s: set_(s.photo, status=PhotoStatus.UPLOADED),
    "a photo is hidden": lambda s: set_(s.photo, hidden_at=utcnow()),
    "a photo is withdrawn": lambda s: set_(s.photo, published_at=None),
    "all photos are hidden by one statement": lambda s: db.session.execute(update(Photo).values(hidden_at=utcnow())),
    "a photo is deleted": lambda s: photo_erasure.erase_photo(s.photo, None),
    "the event's clock is set": lambda s: set_(s.event, timezone="Europe/Paris"),
    "consent is withdrawn": lambda s: selfie_erasure.withdraw(s.person()),
    "selfies are erased": lambda s: selfie_erasure.erase_with_receipt(s.person(), user_of(GUEST)),
}


@pytest.mark.parametrize("change", SEEN_BY_GUEST)
def test_a_guest_sees_at_once_that(scene: Scene, change: str) -> None:
    region = scene.guest()
    scene.change(SEEN_BY_GUEST[change])
    status, statements = region.poll()
    assert status == 200
    assert statements > 0
    assert region.poll() == FROM_REDIS, "and then it is quiet again"


def test_a_guest_sees_that_one_photo_is_hidden_and_another_published_at_once(scene: Scene) -> None:
    scene.change(
        lambda s: set_(db.session.scalars(select(Photo).order_by(Photo.id.desc())).first(), hidden_at=utcnow())
    )
    region = scene.guest()
    scene.change(hide_and_publish)
    assert region.poll()[0] == 200


def test_a_selfie_that_is_taken_to_be_checked_is_seen(scene: Scene) -> None:
    scene.change(lambda s: s.hand_in(s.person()))
    region = scene.guest()
    with scene.app.app_context():
        waits = Selfie.status == SelfieStatus.RECEIVED
        assert claims.claim(Selfie, "new-selfie", waits, status=SelfieStatus.CHECKING)
    assert region.poll()[0] == 200


SEEN_IN_STUDIO: dict[str, Callable[[Scene], object]] = {
    "somebody joins": lambda s: add_guest(s.event, "late@example.com"),
    "a selfie is refused": SEEN_BY_GUEST["a selfie is refused"],
    "matches are gone": SEEN_BY_GUEST["matches are gone"],
    "a search is asked for": SEEN_BY_GUEST["a search is asked for"],
    "a photo comes in": SEEN_BY_GUEST["a photo comes in"],
    "a photo fails": lambda s: set_(s.photo, status=PhotoStatus.FAILED, failure_reason="crashed"),
    "a photo is deleted": SEEN_BY_GUEST["a photo is deleted"],
    "a rematch is asked for": lambda s: matching.request_rematch(s.event, user_of(OWNER)),
    "consent is withdrawn": SEEN_BY_GUEST["consent is withdrawn"],
    "a guest is renamed": lambda s: set_(s.person(), name="Ada"),
    "a guest leaves": lambda s: db.session.delete(s.membership(GUEST)),
}


@pytest.mark.parametrize("change", SEEN_IN_STUDIO)
def test_the_studio_sees_at_once_that(scene: Scene, change: str) -> None:
    region = scene.studio()
    scene.change(SEEN_IN_STUDIO[change])
    assert region.poll()[0] == 200
    assert region.poll() == FROM_REDIS


def test_the_studio_sees_what_a_photo_in_work_costs(scene: Scene) -> None:
    scene.change(lambda s: set_(s.event, engine="rekognition"))
    region = scene.studio()
    with scene.app.app_context():
        usage_meter.CostMeter().count(scene.event_id, "SearchFaces")
    assert region.poll()[0] == 200


def test_two_tabs_with_different_filters_don_t_disturb_each_other(scene: Scene) -> None:
    photos = f"/studio/events/{scene.event_id}/photos"
    region = scene.region(OWNER, photos)
    other = Region(scene.app, region.browser, f"{photos}?state=failed", f"{photos}/live?state=failed").show()
    assert region.stamp != other.stamp
    assert [region.poll(), other.poll(), region.poll(), other.poll()] == [FROM_REDIS] * 4


def test_consent_alone_is_asked_about(scene: Scene) -> None:
    region = scene.guest()
    scene.change(lambda s: consents.withdraw_consent(s.person()))
    assert region.poll()[1] > 0


# --- whoever may not any more ---

ENDED: dict[str, tuple[int, Callable[[Scene], object]]] = {
    "every session is ended": (401, lambda s: db.session.execute(delete(UserSession))),
    "its session is deleted": (401, lambda s: [db.session.delete(row) for row in user_of(GUEST).sessions]),
    "the account is disabled": (401, lambda s: set_(user_of(GUEST), disabled_at=utcnow())),
    "all accounts are disabled": (401, lambda s: db.session.execute(update(User).values(disabled_at=utcnow()))),
    "the account is deleted": (401, lambda s: [db.session.delete(it) for it in (s.membership(GUEST), user_of(GUEST))]),
    "the place in the event is taken": (401, lambda s: db.session.delete(s.membership(GUEST))),
    "the event is erased": (401, lambda s: event_erasure.erase_event(s.event, None)),
    "the event has another code": (401, lambda s: set_(s.event, code="NEWCODE9", code_key="NEWCODE9")),
}  # fmt: skip


@pytest.mark.parametrize("change", ENDED)
def test_a_guest_s_polls_end_when(scene: Scene, change: str) -> None:
    region = scene.guest()
    status, end = ENDED[change]
    scene.change(end)
    assert region.poll()[0] == status


def test_a_new_password_is_looked_up_and_not_taken_from_redis(scene: Scene) -> None:
    region = scene.guest()
    scene.change(lambda s: set_(user_of(GUEST), password_hash="another"))
    assert region.poll()[1] > 0


def test_signing_out_ends_the_polls_of_that_browser_alone(scene: Scene) -> None:
    here, there = scene.guest(), scene.guest()
    kept = here.browser.client.get_cookie("findme")
    assert kept is not None
    here.browser.submit("/sign-out", page="/e/PARTY234/photos")
    here.browser.client.set_cookie("findme", kept.value)
    assert here.poll()[0] == 401, "a copy of the cookie is of no use"
    assert there.poll() == FROM_REDIS


def test_who_runs_the_event_no_more_polls_the_studio_no_more(scene: Scene) -> None:
    region = scene.studio()
    scene.change(lambda s: set_(s.membership(OWNER), role=MembershipRole.ATTENDEE))
    assert region.poll()[0] == 404


def test_somebody_else_s_stamp_tells_nobody_anything(scene: Scene) -> None:
    mine = scene.guest()
    other = Region(scene.app, Browser(scene.app).sign_in(OTHER, PASSWORD), mine.page, mine.poll_path, mine.stamp)
    status, statements = other.poll()
    assert (status, statements > 0) == (200, True), "it gets its own region"
    nobody = Region(scene.app, Browser(scene.app), mine.page, mine.poll_path, mine.stamp)
    assert nobody.poll()[0] == 401


@pytest.mark.parametrize("stamp", ["", "x", "0" * 16, f"{'0' * 16}.{'0' * 16}", f"{'0' * 16}.*.{'0' * 16}", "é" * 40])
def test_a_stamp_that_is_none_of_ours_gets_the_region(scene: Scene, stamp: str) -> None:
    region = scene.guest()
    region.stamp = stamp
    assert region.poll()[0] == 200


def test_marks_of_another_page_are_not_kept_for_this_one(scene: Scene) -> None:
    """Who names the marks of somebody to whom nothing happens would not be told what happens to themselves."""
    region, other = scene.guest(), scene.guest(OTHER)
    own = region.stamp
    region.stamp = ".".join([own.split(".")[0], *other.stamp.split(".")[1:]])
    forged = region.stamp
    assert region.poll()[0] == 200
    assert region.stamp == own
    scene.change(SEEN_BY_GUEST["a verdict"])
    for stamp in (forged, own):
        region.stamp = stamp
        assert region.poll()[0] == 200


def test_a_bearer_s_poll_is_not_answered_by_the_cookie_beside_it(scene: Scene) -> None:
    region = scene.guest()
    headers = HTMX | {"Authorization": "Bearer nobody"}
    assert region.browser.get(f"{region.poll_path}?{region.query}", headers=headers).status_code == 401


# --- at the same time ---


def test_a_change_while_the_database_is_read_is_not_missed(scene: Scene) -> None:
    """The words are read first: what is kept of the old state was kept with the old words."""
    with scene.app.app_context():
        mark, shown = versions.mark_of(versions.EVENT, 1), ["old state"]
        stamp = versions.stamp(shown, mark)
        early = versions.look("token", "page", stamp)
        assert early is not None and not early.is_current
        versions.moved([mark])
        versions.keep(early, stamp)
        late = versions.look("token", "page", stamp)
        assert late is not None and not late.is_current
        versions.keep(late, stamp)
        now = versions.look("token", "page", stamp)
        assert now is not None and now.is_current


def test_a_mark_that_lapsed_and_came_back_is_another_one(scene: Scene) -> None:
    with scene.app.app_context():
        mark = versions.mark_of(versions.EVENT, 1)
        versions.moved([mark])
        stamp = versions.stamp([], mark)
        seen = versions.look("token", "page", stamp)
        assert seen is not None
        versions.keep(seen, stamp)
        connection().delete(f"findme:live:mark:{mark}")
        versions.moved([mark])
        again = versions.look("token", "page", stamp)
        assert again is not None and not again.is_current


# --- without Redis ---


@pytest.fixture
def own_redis() -> Iterator[Valkey]:
    with valkey() as server:
        yield server


def test_without_redis_polls_are_answered_from_the_database(
    tmp_path_factory: pytest.TempPathFactory, migrated: Template, own_redis: Valkey
) -> None:
    data_dir = tmp_path_factory.mktemp("alone")
    url = migrated.copy(data_dir)
    app = create_app(make_settings(data_dir, own_redis.url, database_url=url))
    scene = populate(app, World(app, lambda *_: 0))
    region = scene.guest()
    own_redis.stop()
    assert region.poll()[0] == 204
    assert region.poll()[1] > 0
    scene.change(SEEN_BY_GUEST["a photo is hidden"])
    started = time.monotonic()
    assert region.poll()[0] == 200
    assert region.poll()[0] == 204
    assert time.monotonic() - started < 30, "nobody waits for it"
    scene.change(lambda s: db.session.execute(delete(UserSession)))
    assert region.poll()[0] == 401
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    migrated.discard(url)
