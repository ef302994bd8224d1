"""Calls that are sent once more, and calls that come in the moment in which their ground is taken away."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from tests.attacks.suspects import OWNER
from tests.support.actors import PASSWORD, Api, World, photos_with, selfie
from tests.support.browsing import Browser, text
from tests.support.concurrency import at_once, inside, meanwhile
from tests.support.tus import Tus, partial_files
from webapp import queueing
from webapp.db.extensions import db
from webapp.models import (
    Consent,
    Event,
    Match,
    Membership,
    Person,
    Photo,
    Selfie,
    Upload,
    UploadStatus,
    User,
    UserRole,
)
from webapp.queueing import unit_of_work
from webapp.services.core import blobs, deletion_outbox
from webapp.services.erasure import event_erasure
from webapp.services.events import events, team
from webapp.services.upkeep import cleanup
from webapp.services.uploads import intake
from webapp.services.uploads import tus as tus_uploads

SECOND = "second@example.com"


def event_of(public_id: str) -> Event:
    return db.session.scalars(select(Event).where(Event.public_id == public_id)).one()


def user_of(email: str) -> User:
    return db.session.scalars(select(User).where(User.email == email)).one()


def count(app: Flask, model: Any) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model)) or 0


def found_guest(api: Api, world: World) -> Api:
    """A guest who was found on two photos."""
    guest = api.register(world.code)
    assert guest.upload_selfie(selfie("grace")).status_code == 200
    world.work()
    return guest


# --- sent once more ---


def test_a_join_form_that_is_sent_again_makes_one_guest(app: Flask, world: World) -> None:
    world.event()
    browser, path = Browser(app), f"/e/{world.code}"
    token = browser.token(path)

    def send() -> TestResponse:
        form = {"csrf_token": token, "name": "Ada", "email": "ada@example.com", "consent": "y"}
        return browser.client.post(path, data=form | {"file": (io.BytesIO(selfie("grace")), "me.jpg")})

    answers = [send() for _ in range(3)]
    assert answers[0].status_code == 303, text(answers[0])
    assert all(answer.status_code in (303, 400, 422) for answer in answers)
    assert count(app, User) == 2
    assert count(app, Membership) == 2
    assert count(app, Selfie) == 1


def test_consent_withdrawal_and_verdicts_can_be_said_twice(app: Flask, world: World, api: Api) -> None:
    world.add_photos(world.event(), *photos_with("grace", 2))
    guest = found_guest(api, world)
    match_id = guest.get("/my-photos").json[0]["match_id"]  # type: ignore[index]
    for verdict in ("rejected", "rejected", "confirmed", "confirmed"):
        assert guest.post(f"/matches/{match_id}", json={"verdict": verdict}).status_code == 200
        world.work()
    assert len(guest.photo_ids()) == 2
    for granted in (True, True, False, False):
        assert guest.post("/consent", json={"granted": granted}).json["granted"] is granted  # type: ignore[index]
    world.work()
    assert count(app, Match) == 0
    with app.app_context():
        assert db.session.scalars(select(Consent).where(Consent.withdrawn_at.is_(None))).all() == []
    replayed = guest.post(f"/matches/{match_id}", json={"verdict": "confirmed"})
    assert replayed.status_code == 404
    assert guest.photo_ids() == []


def test_a_finished_upload_takes_no_more(app: Flask, world: World) -> None:
    tus, content = Tus(app, world), photos_with("grace", 1)[0][1]
    address = tus.create("a.jpg", len(content)).headers["Location"]
    assert tus.patch(address, 0, content).headers["FindMe-Status"] == "accepted"
    for offset in (0, len(content)):
        assert tus.patch(address, offset, content).status_code == 409
    assert tus.head(address).headers["FindMe-Status"] == "accepted"
    headers = {"Tus-Resumable": "1.0.0", **tus.csrf}
    assert tus.browser.client.delete(address, headers=headers).status_code == 404
    assert count(app, Photo) == 1
    assert partial_files(app) == []


def test_a_link_to_join_is_dead_once_the_code_has_changed(app: Flask, world: World, api: Api) -> None:
    event_id = world.event()
    with app.app_context(), unit_of_work():
        event = event_of(event_id)
        old = f"/e/{event.code}?t={event.join_token}"
        described = events.Details(event.name, event.date, code="NEWCODE2")
        events.edit(event, described, event.memberships[0].user)
    assert app.test_client().get(old).status_code == 404
    answer = api.post("/check-event-code", json={"event_code": world.code})
    assert answer.json != api.post("/check-event-code", json={"event_code": "NEWCODE2"}).json


@pytest.mark.parametrize("key", ["AAAAAAAAAAAAAAAA", "", "../secret", "-", "'; DROP TABLE photo", "\x00", "x" * 5000])
def test_a_forged_job_of_a_row_that_is_none_does_nothing(app: Flask, world: World, key: str) -> None:
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 1))
    world.work()
    before = [count(app, model) for model in (Photo, Event, User, Upload)]
    with app.app_context():
        for kind in queueing.JOB_KINDS:
            if key.isprintable() and key and "/" not in key and " " not in key:
                queueing.enqueue(kind, key)
            else:
                queue = queueing.queue(kind.queue)
                queue.enqueue_call(kind.function, args=(key,), timeout=60)
    world.work()
    assert [count(app, model) for model in (Photo, Event, User, Upload)] == before
    assert world.statuses() == {photos_with("grace", 1)[0][0]: "indexed"}


# --- at the same time ---


class Slow(io.BytesIO):
    """A file in the middle of which something happens."""

    def __init__(self, content: bytes, happens: Callable[[], object]) -> None:
        super().__init__(content)
        self._happens: Callable[[], object] | None = happens

    def read(self, size: int | None = -1, /) -> bytes:
        happens, self._happens = self._happens, None
        if happens is not None:
            meanwhile(happens)
        return super().read(size)


@pytest.fixture
def member(app: Flask, world: World) -> str:
    """The id of an event that a second photographer is in the team of."""
    event_id = world.event()
    world.person(SECOND, UserRole.PHOTOGRAPHER)
    with app.app_context(), unit_of_work():
        event = event_of(event_id)
        team.add(event, user_of(SECOND), event.memberships[0].user)
    return event_id


def dismiss(event_id: str) -> None:
    with unit_of_work():
        team.remove(event_of(event_id), user_of(SECOND).public_id, user_of(OWNER))


@pytest.mark.both_databases
def test_who_leaves_the_team_while_their_file_comes_adds_no_photo(app: Flask, member: str) -> None:
    name, content = photos_with("grace", 1)[0]
    with app.app_context():
        slow = Slow(content, inside(app, lambda: dismiss(member)))
        result = intake.receive_photo(event_of(member), user_of(SECOND), name, slow)
        assert (result.status, result.reason) == (UploadStatus.REJECTED, "forbidden")
        assert list(app.extensions["blobs"].keys("events/")) == []
    assert count(app, Photo) == 0


@pytest.mark.both_databases
def test_what_somebody_sent_before_they_left_the_team_is_not_taken_in_later(app: Flask, member: str) -> None:
    """All bytes are here, and the process died before it made a photo of them."""
    content = photos_with("grace", 1)[0][1]
    with app.app_context():
        begun = tus_uploads.begin(event_of(member), user_of(SECOND), "a.jpg", len(content))
        blobs.partials().append(tus_uploads.key_of(member, begun.upload_id), 0, content)
        dismiss(member)
        with unit_of_work():
            db.session.execute(update(Upload).values(expires_at=Upload.created_at))
        cleanup.give_up_uploads()
    assert count(app, Photo) == 0
    assert partial_files(app) == []


@pytest.mark.both_databases
def test_a_photo_is_hidden_while_guests_fetch_it(app: Flask, world: World, api: Api) -> None:
    event_id = world.event()
    (photo_id,) = world.add_photos(event_id, *photos_with("grace", 1))
    guest = found_guest(api, world)
    owner = Browser(app).sign_in(OWNER, PASSWORD)
    page = f"/studio/events/{event_id}/photos"
    form = {"csrf_token": owner.token(page), "action": "hide", "ids": photo_id, "confirmed": "1"}

    def fetch() -> int:
        return guest.get(f"/photo/{photo_id}").status_code

    def hide() -> int:
        return owner.client.post(f"{page}/actions", data=form).status_code

    *fetched, hidden = at_once(*[fetch] * 4, hide)
    assert set(fetched) <= {200, 404}
    assert hidden in (200, 303)
    assert fetch() == 404


@pytest.mark.both_databases
def test_consent_is_withdrawn_while_selfies_come(app: Flask, world: World, api: Api) -> None:
    world.add_photos(world.event(), *photos_with("grace", 2))
    guest = found_guest(api, world)
    answers = at_once(
        lambda: guest.upload_selfie(selfie("eileen")).status_code,
        lambda: guest.delete("/my-selfie").status_code,
        lambda: guest.post("/consent", json={"granted": False}).status_code,
        lambda: guest.upload_selfie(selfie("grace")).status_code,
    )
    assert all(status in (200, 409, 429) for status in answers)
    world.work()
    assert guest.post("/consent", json={"granted": False}).status_code == 200
    world.work()
    assert count(app, Match) == 0
    assert guest.photo_ids() == []
    with app.app_context():
        assert [key for key in app.extensions["blobs"].keys("events/") if "/selfies/" in key] == []


@pytest.mark.both_databases
def test_the_code_changes_while_guests_join(app: Flask, world: World, api: Api) -> None:
    event_id = world.event()

    def change() -> int:
        with unit_of_work():
            event = event_of(event_id)
            events.edit(event, events.Details(event.name, event.date, code="NEWCODE2"), user_of(OWNER))
        return 0

    def join(number: int) -> int:
        user = {"username": f"guest{number}", "email": f"guest{number}@example.com", "password": PASSWORD}
        body = {"user_data": user, "event_code": world.code, "consent": True}
        return api.post("/register-with-event-code", json=body).status_code

    answers = at_once(*[lambda n=n: join(n) for n in range(4)], inside(app, change))  # type: ignore[misc]
    assert set(answers) <= {0, 201, 404}
    assert count(app, Membership) == 1 + answers.count(201)
    assert count(app, User) == 1 + answers.count(201)
    assert join(9) == 404


@pytest.mark.both_databases
def test_an_event_is_deleted_while_everything_comes_in(app: Flask, world: World, api: Api) -> None:
    tus, content = Tus(app, world), photos_with("grace", 1)[0][1]
    guest = api.register(world.code)
    owner = api.login(OWNER)
    address = tus.create("a.jpg", len(content)).headers["Location"]
    tus.patch(address, 0, content[:1000])

    def delete() -> int:
        with unit_of_work():
            event_erasure.erase_event(event_of(tus.event_id), None)
        return 0

    answers = at_once(
        lambda: tus.patch(address, 1000, content[1000:]).status_code,
        lambda: owner.upload_photos(tus.event_id, ("b.jpg", content + b"b")).status_code,
        lambda: guest.upload_selfie(selfie("grace")).status_code,
        inside(app, delete),
        lambda: Api(app).post("/check-event-code", json={"event_code": world.code}).status_code,
    )
    assert all(status < 500 or status == 503 for status in answers), answers
    with app.app_context():
        for public_id in db.session.scalars(select(deletion_outbox.Removal.public_id)).all():
            deletion_outbox.carry_out(public_id)
    world.work()
    assert [count(app, model) for model in (Event, Photo, Person, Selfie, Upload)] == [0] * 5
    assert tus.head(address).status_code == 404


def test_one_selfie_joins_twice_at_once_and_stays_two_guests(app: Flask, world: World, api: Api) -> None:
    world.event()

    def join(name: str) -> int:
        form = {"username": name, "email": f"{name}@example.com", "password": PASSWORD, "consent": "true"}
        file = (io.BytesIO(selfie("grace")), "me.jpg")
        body = form | {"event_code": world.code, "file": file}
        return api.post("/register-invite-with-selfie", data=body).status_code

    assert at_once(lambda: join("ada"), lambda: join("bob")) == [201, 201]
    with app.app_context():
        owners = db.session.execute(select(Selfie.person_id, Selfie.blob_key)).all()
    assert len({row.person_id for row in owners}) == len({row.blob_key for row in owners}) == 2


@pytest.mark.both_databases
def test_photos_are_published_hidden_and_taken_back_at_once(app: Flask, world: World) -> None:
    event_id = world.event()
    ids = [photo for photo in world.add_photos(event_id, *photos_with("grace", 3)) if photo]
    world.work()
    page = f"/studio/events/{event_id}/photos"
    people = [Browser(app).sign_in(OWNER, PASSWORD) for _ in range(4)]
    tokens = [browser.token(page) for browser in people]

    def press(place: int, action: str) -> int:
        form = {"csrf_token": tokens[place], "action": action, "ids": ids, "confirmed": "1"}
        return people[place].client.post(f"{page}/actions", data=form).status_code

    actions = ("publish", "unpublish", "hide", "unhide")
    answers = at_once(*[lambda n=n, a=a: press(n, a) for n, a in enumerate(actions)])  # type: ignore[misc]
    assert set(answers) <= {200, 303}
    with app.app_context():
        states = {(row.published_at is None, row.hidden_at is None) for row in db.session.scalars(select(Photo))}
    assert len(states) == 1, "each is done to all of them, or to none"
