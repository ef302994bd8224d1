"""Two complete events of two photographers, A and B, and dumps of all tables: what people of A must not reach of B."""

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from sqlalchemy import select

from tests.support.actors import PASSWORD, Api, World, photos_with, selfie
from tests.support.browsing import Browser
from tests.support.crowd import event_of, user_of
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import (
    AlertKind,
    Camera,
    Event,
    Invitation,
    Match,
    Person,
    Photo,
    PhotoStatus,
    SearchAlert,
    Selfie,
    Upload,
    UploadWay,
    UserRole,
)
from webapp.queueing import unit_of_work
from webapp.services.accounts import accounts
from webapp.services.events import invitations, team
from webapp.services.uploads import tus, upload_tokens

ADMIN = "admin@example.com"
MISSING = "AAAAAAAAAAAAAAAA"
"""An id of the usual form that no row has."""

READ_TRACES = {"last_seen_at", "last_used_at"}
"""Columns that note when somebody was last here; reading changes them, and nothing else may be changed by reading."""

Dump = dict[str, list[tuple[Any, ...]]]


@dataclass
class Side:
    """One event: everyone's login, and the public ids of all that belongs to it."""

    owner: str
    team: str
    guest: str
    code: str
    ids: dict[str, str] = field(default_factory=dict)
    """Id by the name that routes have for it in their addresses."""
    secrets: list[str] = field(default_factory=list)
    """Texts that only this event's own people may be shown."""
    upload_token: str = ""
    row_ids: dict[str, int] = field(default_factory=dict)


@dataclass
class TwoEvents:
    """Both events; their people's browsers and API clients are made on demand."""

    app: Flask
    a: Side
    b: Side

    def browser(self, login: str) -> Browser:
        return Browser(self.app).sign_in(login, PASSWORD)

    def api(self, login: str) -> Api:
        return Api(self.app).login(login)

    def dump(self, keep: Callable[[str], bool] = lambda _: True) -> Dump:
        """All rows of the tables, apart from the columns that note a visit."""
        with self.app.app_context():
            return dump_tables(table for table in db.metadata.sorted_tables if keep(table.name))


def dump_tables(tables: Iterable[Any]) -> Dump:
    """Rows by table, in the order of their keys. Needs an app context."""
    found = {}
    for table in tables:
        columns = [column for column in table.columns if column.name not in READ_TRACES]
        rows = db.session.execute(select(*columns).order_by(*table.primary_key.columns))
        found[table.name] = [tuple(row) for row in rows]
    db.session.rollback()
    return found


def changed(before: Dump, after: Dump) -> dict[str, Any]:
    """Rows that went and rows that came, by table."""
    return {
        name: (
            [row for row in rows if row not in after[name]],
            [row for row in after[name] if row not in rows],
        )
        for name, rows in before.items()
        if rows != after[name]
    }


def build(app: Flask, world: World, api: Api) -> TwoEvents:
    """Make both events with photos, guests, selfies, matches, an upload under way, an alert, invitations and tokens."""
    world.person(ADMIN, UserRole.ADMIN)
    sides = [
        Side("alice@example.com", "anton@example.com", "ada", "ALPHA234"),
        Side("berta@example.com", "bruno@example.com", "bob", "BRAVO234"),
    ]
    for side, person in zip(sides, ("grace", "eileen"), strict=True):
        event_id = world.event(side.code, owner=side.owner)
        for email in (side.team, f"second-{side.team}"):
            world.person(email, UserRole.PHOTOGRAPHER)
        photos = [(f"{side.code}-{number}.jpg", data) for number, (_, data) in enumerate(photos_with(person, 3))]
        world.add_photos(event_id, *photos)
        assert api.register(side.code, side.guest).upload_selfie(selfie(person)).status_code == 200
        with app.app_context():
            with unit_of_work():
                _add_rows(side, event_id)
            progress = tus.begin(event_of(event_id), user_of(side.owner), f"{side.code}-late.jpg", 1000)
            tus.append(event_of(event_id), user_of(side.owner), progress.upload_id, 0, io.BytesIO(b"x" * 10))
    world.work()
    for side in sides:
        with app.app_context():
            _name_rows(side)
    return TwoEvents(app, *sides)


def _add_rows(side: Side, event_id: str) -> None:
    """What takes long to come about by itself, or needs more people."""
    event, owner = event_of(event_id), user_of(side.owner)
    event.name = f"{side.code} secret party"
    for email in (side.team, f"second-{side.team}"):
        team.add(event, user_of(email), owner)
    invitations.invite_to_team(event, f"{side.code.lower()}@example.org", owner, "en")
    invitations.invite_photographer(f"{side.code.lower()}-new@example.org", user_of(ADMIN), "en")
    side.upload_token = upload_tokens.create(event, owner, f"{side.code} laptop")[1]
    db.session.add(Camera(event_id=event.id, key=side.code, name=f"{side.code} camera"))
    db.session.add(SearchAlert(event_id=event.id, kind=AlertKind.LATE_JOINS, subject=""))
    direct = {"way": UploadWay.S3, "blob_key": f"direct/{side.code}", "multipart_id": side.code, "byte_size": 1000}
    db.session.add(Upload(event_id=event.id, user_id=owner.id, filename=f"{side.code}-direct.jpg", **direct))


def _name_rows(side: Side) -> None:
    event = db.session.scalars(select(Event).where(Event.code == side.code)).one()
    own_selfie = db.session.scalars(select(Selfie).join(Person).where(Person.event_id == event.id)).one()
    person = own_selfie.person
    photo = db.session.scalars(select(Photo).where(Photo.event_id == event.id).order_by(Photo.id)).first()
    replaced = db.session.scalars(select(Photo).where(Photo.event_id == event.id).order_by(Photo.id.desc())).first()
    match = db.session.scalars(select(Match).where(Match.person_id == person.id)).first()
    assert photo is not None and replaced is not None
    assert match is not None, "the guest was found on no photo"
    with unit_of_work():
        photo.shown_to_all = True
        replaced.status, replaced.replaced_at = PhotoStatus.REPLACED, utcnow()
        replaced.replaced_sha256, replaced.sha256 = replaced.sha256, "0" * 60 + side.code[:4]
        # Somebody typed the owner's address: the owner, who has proven it, decides what becomes of that account.
        double = accounts.create_user(email=side.owner, name=f"{side.code} double")
    mailed = f"{side.code.lower()}-new@example.org"
    photographer = db.session.scalars(select(Invitation).where(Invitation.email == mailed)).one()
    member, second = user_of(side.team), user_of(f"second-{side.team}")

    def only(model: Any) -> Any:
        return db.session.scalars(select(model).where(model.event_id == event.id)).first()

    uploads = {row.way: row.public_id for row in db.session.scalars(select(Upload).where(Upload.event_id == event.id))}
    invitation, token = only(Invitation), upload_tokens.tokens_of(event)[0]
    side.ids = {
        "event_id": event.public_id,
        "code": event.code,
        "photo_id": photo.public_id,
        "match_id": match.public_id,
        "person_id": person.public_id,
        "selfie_id": own_selfie.public_id,
        "user_id": member.public_id,
        "second_id": second.public_id,
        "account_id": double.public_id,
        "invitation_id": invitation.public_id,
        "token_id": token.public_id,
        "alert_id": only(SearchAlert).public_id,
        "camera_id": only(Camera).public_id,
        "upload_id": uploads[UploadWay.TUS],
        "replaced_id": replaced.public_id,
        "photographer_invitation_id": photographer.public_id,
        "direct_upload_id": uploads[UploadWay.S3],
        "join_token": event.join_token,
        # The hash that the table keeps, as a stolen backup has it: it opens nothing.
        "token": invitation.token_hash,
    }
    side.row_ids = {"photo": photo.id, "person": person.id, "upload": only(Upload).id, "match": match.id}
    side.secrets = [*side.ids.values(), f"{side.code} secret party", f"{side.code}-0.jpg", f"{side.code} camera"]
    side.secrets += [side.owner, side.team, f"{side.guest}@example.com", f"{side.code} laptop"]
