"""Who sees which photo: the whole table of services/rules/visibility.py, asked of the services that routes call.

That each route asks them is in test_visibility.py.
"""

from dataclasses import dataclass
from itertools import product

import pytest
from flask import Flask
from sqlalchemy import select, update

from tests.support.actors import Api, World, photos_with, selfie
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.errors import NotFound
from webapp.models import Band, Match, Membership, MembershipRole, Person, Photo, PhotoStatus, User, UserRole, Verdict
from webapp.services.queries import gallery
from webapp.services.rules import visibility

MATCHES = list(product(("sure", "maybe", "none"), ("none", "confirmed", "rejected")))
"""Band and verdict."""

SHOWN = {("sure", "none"), ("sure", "confirmed"), ("maybe", "confirmed"), ("none", "confirmed")}
"""A photo with such a match is its person's own."""

ASKED = {("maybe", "none")}
"""The crop alone is shown, with a question."""

STATES = list(product((True, False), repeat=3))
"""Published, hidden, shown to all."""

NOTHING = {"photo": False, "mine": False, "shared": False, "asked": False, "crop": False}


@dataclass(frozen=True)
class Table:
    """One photo of an event, and the guest who was found on it."""

    event_id: str
    photo_id: str
    match_id: str

    def put(self, state: tuple[bool, bool, bool], match: tuple[str, str], status: str = "indexed") -> bool:
        """Bring photo and match into a state; returns what attendees may know of the photo at all."""
        (published, hidden, shared), (band, verdict), now = state, match, utcnow()
        photo = {"published_at": now if published else None, "hidden_at": now if hidden else None}
        db.session.execute(update(Photo).values(**photo, shown_to_all=shared, status=PhotoStatus(status)))
        db.session.execute(update(Match).values(band=Band(band), verdict=Verdict(verdict)))
        db.session.commit()
        return published and not hidden and status == "indexed"

    def seen_by(self, login: str) -> dict[str, bool]:
        """What services show somebody of the photo."""
        user = db.session.scalars(select(User).where((User.username == login) | (User.email == login))).one()
        membership = db.session.scalar(select(Membership).where(Membership.user_id == user.id))
        of_member = select(Person).where(Person.membership_id == membership.id) if membership is not None else None
        person = db.session.scalar(of_member) if of_member is not None else None
        mine = gallery.my_photos(person) if person is not None else []
        shared = gallery.shown_to_all(membership.event) if membership is not None else []
        questions = gallery.questions(person) if person is not None else []
        return {
            "photo": visibility.visible_photo(user, self.photo_id) is not None,
            "mine": self.photo_id in [card.public_id for card in mine],
            "shared": self.photo_id in [card.public_id for card in shared],
            "asked": self.match_id in [question.match_id for question in questions],
            "crop": self._has_crop(user),
        }

    def _has_crop(self, user: User) -> bool:
        try:
            return bool(gallery.crop_of(user, self.match_id))
        except NotFound:
            return False


@pytest.fixture
def table(app: Flask, world: World, api: Api) -> Table:
    event_id = world.event()
    (photo_id,) = world.add_photos(event_id, *photos_with("grace", 1))
    api.register(world.code, "guest").upload_selfie(selfie("grace"))
    world.work()
    with app.app_context():
        match_id = db.session.scalars(select(Match.public_id)).one()
    return Table(event_id, str(photo_id), match_id)


def test_the_guest_who_was_found(app: Flask, table: Table) -> None:
    with app.app_context():
        for state, match in product(STATES, MATCHES):
            out = table.put(state, match)
            mine, asked, shared = out and match in SHOWN, out and match in ASKED, out and state[2]
            assert table.seen_by("guest") == {
                "photo": mine or shared,
                "mine": mine,
                "shared": shared,
                "asked": asked,
                "crop": mine or asked,
            }, (state, match)


def test_everybody_else(app: Flask, table: Table, world: World, api: Api) -> None:
    api.register(world.code, "member")
    api.register(world.code, "helper")
    world.event("OTHER234", owner="rival@example.com")
    api.register("OTHER234", "stranger")
    world.person("admin@example.com", UserRole.ADMIN)
    runs, attends = ("helper", "photographer@example.com", "admin@example.com"), ("member", "helper")
    with app.app_context():
        helper = select(User.id).where(User.username == "helper").scalar_subquery()
        db.session.execute(update(Membership).where(Membership.user_id == helper).values(role=MembershipRole.TEAM))
        for state, match in product(STATES, MATCHES):
            shared = table.put(state, match) and state[2]
            for login in (*runs, "member", "stranger", "rival@example.com"):
                in_event = login in (*attends, "photographer@example.com")
                assert table.seen_by(login) == NOTHING | {
                    "photo": login in runs or (shared and in_event),
                    "shared": shared and in_event,
                }, (login, state, match)


def test_a_photo_that_is_not_finished_is_the_photographers_alone(app: Flask, table: Table) -> None:
    with app.app_context():
        for status in set(PhotoStatus) - {PhotoStatus.INDEXED}:
            table.put((True, False, True), ("sure", "confirmed"), status.value)
            assert table.seen_by("guest") == NOTHING, status
            there = status is not PhotoStatus.ERASING
            assert table.seen_by("photographer@example.com")["photo"] is there, status
