"""Two things at once: whichever comes first, nothing is doubled, nothing comes back, and nobody sees an error."""

import io
from contextlib import suppress
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from tests.support.actors import PASSWORD, Api, World, demo_photos, photos_with, selfie
from tests.support.concurrency import at_once, inside, meanwhile
from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.errors import Conflict
from webapp.models import (
    AuditEntry,
    Consent,
    Event,
    Match,
    Membership,
    Person,
    Photo,
    Selfie,
    SelfieStatus,
    Upload,
    User,
)
from webapp.queueing import unit_of_work
from webapp.services.core import claims, consents
from webapp.services.events import closing
from webapp.services.joining import enrolment
from webapp.services.matching import matching, searching
from webapp.services.queries import gallery
from webapp.services.selfies import judging, selfie_intake
from webapp.services.uploads import intake

pytestmark = pytest.mark.both_databases


def count(app: Flask, model: Any) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model)) or 0


def guest_with_selfie(api: Api, world: World, person: str = "grace") -> Api:
    guest = api.register(world.code)
    assert guest.upload_selfie(selfie(person)).status_code == 200
    return guest


# --- two requests ---


def test_the_same_photo_handed_in_by_many_at_once_is_one_photo(app: Flask, world: World) -> None:
    event_id = world.event()
    ((name, content),) = demo_photos(1)

    def hand_in() -> str:
        event = db.session.scalars(select(Event).where(Event.public_id == event_id)).one()
        return intake.receive_photo(event, event.memberships[0].user, name, io.BytesIO(content)).status

    answers = at_once(*[inside(app, hand_in)] * 6)
    assert sorted(answers) == ["accepted"] + ["duplicate"] * 5
    assert count(app, Photo) == 1
    assert len(list(app.extensions["blobs"].keys("events/"))) == 1


def test_a_name_asked_for_twice_at_once_goes_to_one(api: Api, world: World) -> None:
    world.event()
    body = {"user_data": {"username": "Ada", "email": "a@example.com", "password": PASSWORD}, "event_code": world.code}
    answers = at_once(*[lambda: api.post("/register-with-event-code", json=body)] * 4)
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert {answer.json["code"] for answer in answers if answer.status_code == 409} == {"username_taken"}


def test_joining_twice_at_once_makes_one_membership(app: Flask, api: Api, world: World) -> None:
    world.event()
    world.event("SECOND22")
    guest = api.register(world.code)
    answers = at_once(*[lambda: guest.post("/join-event", json={"event_code": "SECOND22", "consent": True})] * 4)
    assert [answer.status_code for answer in answers] == [200] * 4
    with app.app_context():
        user = db.session.scalars(select(User).where(User.username == "ada")).one()
        assert len(db.session.scalars(select(Membership).where(Membership.user_id == user.id)).all()) == 2


def test_many_guests_who_join_at_once_are_all_taken_in(app: Flask, api: Api, world: World) -> None:
    world.event()
    answers = at_once(*[lambda n=n: guest_with_selfie_named(api, world, f"guest{n}") for n in range(8)])
    assert [answer.json for answer in answers] == [{"status": "received"}] * 8
    assert count(app, Selfie) == 8


def guest_with_selfie_named(api: Api, world: World, name: str) -> Any:
    return api.register(world.code, name).upload_selfie(selfie("grace"))


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_nobody_slips_in_behind_the_closing(app: Flask, world: World) -> None:
    """Where many write at once: a join has read an open event, which is closed before it writes."""
    event_id = world.event()
    world.person("late@example.com")
    with app.app_context(), unit_of_work():
        event = db.session.scalars(select(Event).where(Event.public_id == event_id)).one()
        late = db.session.scalars(select(User).where(User.email == "late@example.com")).one()
        meanwhile(inside(app, lambda: close(event_id)))
        with pytest.raises(Conflict) as refused:
            enrolment.join(event, late)
    assert refused.value.code == "event_closed"
    assert count(app, Membership) == 1


def test_joins_and_the_closing_at_once_are_one_after_the_other(app: Flask, world: World) -> None:
    event_id = world.event()
    guests = [world.person(f"guest{number}@example.com") for number in range(8)]

    def join(email: str) -> None:
        with suppress(Conflict), unit_of_work():
            event = db.session.scalars(select(Event).where(Event.public_id == event_id)).one()
            enrolment.join(event, db.session.scalars(select(User).where(User.email == email)).one())

    at_once(
        *[inside(app, lambda email=email: join(email)) for email in guests[:4]],
        inside(app, lambda: close(event_id)),
        *[inside(app, lambda email=email: join(email)) for email in guests[4:]],
    )
    with app.app_context():
        actions = list(db.session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))
    joined = [action for action in actions if action in ("event.joined", "event.closed")]
    assert joined[-1] == "event.closed" and len(joined) - 1 == count(app, Membership) - 1


def test_a_photo_that_comes_while_the_event_is_closed_is_refused_with_a_row(app: Flask, world: World) -> None:
    event_id = world.event()
    ((name, content),) = demo_photos(1)

    class Slow(io.BytesIO):
        """A file whose first bytes have just come when somebody closes the event."""

        closed_event = False

        def read(self, size: int | None = -1, /) -> bytes:
            if not self.closed_event:
                self.closed_event = True
                meanwhile(inside(app, lambda: close(event_id)))
            return super().read(size)

    with app.app_context():
        event = db.session.scalars(select(Event).where(Event.public_id == event_id)).one()
        result = intake.receive_photo(event, event.memberships[0].user, name, Slow(content))
        assert (result.status, result.reason) == ("rejected", "event_closed")
        assert db.session.scalars(select(Upload)).one().reason == "event_closed"
    assert count(app, Photo) == 0
    assert list(app.extensions["blobs"].keys("events/")) == []


def close(event_id: str) -> None:
    with unit_of_work():
        event = db.session.scalars(select(Event).where(Event.public_id == event_id)).one()
        closing.close(event, event.memberships[0].user)


# --- what is told while a worker is at it ---


def test_nothing_found_is_never_said_before_the_search(app: Flask, api: Api, world: World) -> None:
    world.add_photos(world.event(), *photos_with("grace", 1))
    world.work()
    guest_with_selfie(api, world)
    with app.app_context():
        person = db.session.scalars(select(Person).join(Selfie)).one()
        membership, public_id = person.membership, db.session.scalars(select(Selfie.public_id)).one()
        # The selfie is accepted after the person was read, and before the selfie is.
        meanwhile(inside(app, lambda: judging.check_selfie(public_id)))
        told = gallery.progress_of(membership, person)
    assert told.status != "done"
    assert told.found == 0


# --- somebody changes their mind while a worker is at it ---


def test_what_is_erased_while_matches_are_computed_does_not_come_back(app: Flask, api: Api, world: World) -> None:
    world.add_photos(world.event(), *photos_with("grace", 2))
    guest = guest_with_selfie(api, world)
    world.work()
    assert len(guest.photo_ids()) == 2
    with app.app_context():
        public_id, token, answered, outcome = _search_is_done()
        assert len(outcome.found) >= 2
        assert meanwhile(lambda: guest.delete("/my-selfie")).status_code == 200
        assert matching._store(public_id, token, answered, outcome) is None
    world.work()
    assert count(app, Match) == 0
    assert guest.get("/rematch-status").json["status"] == "idle"


def test_what_is_erased_while_the_selfie_is_checked_leaves_no_picture(app: Flask, api: Api, world: World) -> None:
    world.event()
    guest = guest_with_selfie(api, world)
    with app.app_context():
        public_id = db.session.scalars(select(Selfie.public_id)).one()
        db.session.rollback()
        judged = judging.judge

        def judge_late(task: judging.Task) -> Any:
            """The owner erases between the reading of the picture and the writing of its small rendition."""
            with app.extensions["blobs"].open(task.blob_key) as stream:
                assert meanwhile(lambda: guest.delete("/my-selfie")).status_code == 200
                app.extensions["blobs"].put(task.blob_key, stream)
            return judged(task)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(judging, "judge", judge_late)
            assert judging.check_selfie(public_id) is None
    world.work()
    assert list(app.extensions["blobs"].keys("events/")) == []
    assert count(app, Selfie) == 0


def test_consent_withdrawn_while_the_selfie_is_checked_is_obeyed(app: Flask, api: Api, world: World) -> None:
    world.add_photos(world.event(), *photos_with("grace", 1))
    guest = guest_with_selfie(api, world)
    with app.app_context():
        public_id = db.session.scalars(select(Selfie.public_id)).one()
        token = claims.claim(Selfie, public_id, Selfie.status.in_(selfie_intake.WAITING), status=SelfieStatus.CHECKING)
        task = judging._task(db.session.scalars(select(Selfie)).one())
        db.session.rollback()
        verdict = judging.judge(task)
        with unit_of_work():
            consents.withdraw_consent(db.session.scalars(select(Person).join(Selfie)).one())
        assert verdict.face is not None and token is not None
        assert judging._accept(public_id, token, task.guests, verdict.face, set()) is None
    world.work()
    assert guest.get("/rematch-status").json["reason"] == "consent_required"
    assert count(app, Match) == 0


def test_withdrawing_takes_back_every_consent_ever_given(app: Flask, api: Api, world: World) -> None:
    world.event()
    guest = api.register(world.code)
    with app.app_context(), unit_of_work():
        person = db.session.scalars(select(Person).join(Membership).join(User).where(User.username == "ada")).one()
        # An older text, agreed to before its wording moved on.
        db.session.add(Consent(person_id=person.id, text_version="2025-01", language="en"))
    assert guest.post("/consent", json={"granted": False}).json["granted"] is False
    assert guest.upload_selfie(selfie("grace")).status_code == 409


def test_a_retake_while_the_first_is_checked_wins_whichever_is_judged_first(app: Flask, api: Api, world: World) -> None:
    world.add_photos(world.event(), *demo_photos(12))
    guest = guest_with_selfie(api, world, "grace")
    guest.upload_selfie(selfie("eileen"))
    with app.app_context():
        first, second = db.session.scalars(select(Selfie.public_id).order_by(Selfie.id))
        db.session.rollback()
        for public_id in (second, first):
            person_id = judging.check_selfie(public_id)
            assert person_id is not None
            matching.match_person_by_id(person_id)
        in_use = db.session.scalars(select(Selfie.public_id).where(Selfie.retired_at.is_(None))).all()
        assert in_use == [second]
    world.work()
    shown = set(guest.photo_ids())
    with app.app_context():
        names = set(db.session.scalars(select(Photo.filename).where(Photo.public_id.in_(shown))))
    expected = {name for name, _ in photos_with("eileen")} & {name for name, _ in demo_photos(12)}
    assert names and names <= expected


def test_a_verdict_given_while_matches_are_computed_is_kept(app: Flask, api: Api, world: World) -> None:
    world.add_photos(world.event(), *photos_with("grace", 2))
    guest = guest_with_selfie(api, world)
    world.work()
    unwanted = guest.get("/my-photos").json[0]
    with app.app_context():
        public_id, token, answered, outcome = _search_is_done()
        path = f"/matches/{unwanted['match_id']}"
        assert meanwhile(lambda: guest.post(path, json={"verdict": "rejected"})).status_code == 200
        assert matching._store(public_id, token, answered, outcome) is not None
    world.work()
    assert unwanted["id"] not in guest.photo_ids()
    assert len(guest.photo_ids()) == 1


def test_a_verdict_on_a_match_that_was_just_recomputed_away_is_a_404(app: Flask, api: Api, world: World) -> None:
    world.add_photos(world.event(), *photos_with("grace", 1))
    guest = guest_with_selfie(api, world)
    world.work()
    match_id = guest.get("/my-photos").json[0]["match_id"]
    assert guest.delete("/my-selfie").status_code == 200
    assert guest.post(f"/matches/{match_id}", json={"verdict": "confirmed"}).status_code == 404


def test_a_new_mark_while_matches_are_computed_is_answered_by_the_same_job(app: Flask, api: Api, world: World) -> None:
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 1))
    guest = guest_with_selfie(api, world)
    world.work()
    with app.app_context():
        public_id, token, answered, outcome = _search_is_done()
    world.add_photos(event_id, *photos_with("grace", 2)[1:])
    world.work("photos")
    with app.app_context():
        matching._store(public_id, token, answered, outcome)
        assert matching.match_person(public_id) is not None
    assert len(guest.photo_ids()) == 2


# --- many workers and guests together, which databases with row locks could answer with a deadlock ---


def test_erasing_checking_matching_and_verdicts_together_never_fail(app: Flask, api: Api, world: World) -> None:
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 3))
    guest = guest_with_selfie(api, world)
    world.work()
    for _ in range(4):
        with app.app_context(), unit_of_work():  # So many erased selfies would stop the search.
            db.session.execute(update(Membership).values(selfies_counted=0, faces_seen=0))
        guest.upload_selfie(selfie("grace"))
        with app.app_context():
            waiting = db.session.scalars(select(Selfie.public_id).where(Selfie.status == "received")).one()
            person = db.session.scalars(select(Person.public_id).join(Selfie).distinct()).one()
        matches = [row["match_id"] for row in guest.get("/my-photos").json]
        at_once(
            inside(app, lambda waiting=waiting: judging.check_selfie(waiting)),
            inside(app, lambda person=person: matching.match_person(person)),
            inside(app, lambda: matching.rematch_event(event_id)),
            lambda: guest.delete("/my-selfie").status_code,
            *[
                lambda match=match: (
                    guest.post(f"/matches/{match}", json={"verdict": "confirmed"}).status_code < 500
                    or pytest.fail("a verdict ended in a 500")
                )
                for match in matches
            ],
        )
        world.work()
        guest.delete("/my-selfie")
        assert count(app, Match) == 0
        guest.upload_selfie(selfie("grace"))
        world.work()
        assert len(guest.photo_ids()) == 3


def _search_is_done() -> tuple[str, str, int, searching.Outcome]:
    """A worker has claimed the one person and searched, and is about to write what it found."""
    public_id = db.session.scalars(select(Person.public_id).join(Selfie).distinct()).one()
    with unit_of_work():
        person = db.session.scalars(select(Person).where(Person.public_id == public_id)).one()
        person.match_wanted += 1
    token = claims.claim(Person, public_id, Person.match_wanted != Person.match_done)
    assert token is not None
    with reading():
        person = db.session.scalars(select(Person).where(Person.public_id == public_id)).one()
        person_id, wanted = person.id, person.match_wanted
    return public_id, token, wanted, searching.search(person_id, token)
