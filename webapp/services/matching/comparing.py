"""Comparing what a face service keeps of an event with what the database says. Changes nothing."""

from dataclasses import dataclass, field, replace
from typing import Literal

from sqlalchemy import select

from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.errors import NotFound
from webapp.faces.core.protocols import Gallery
from webapp.models import (
    ConfirmedVector,
    Event,
    Face,
    FaceVector,
    Person,
    Photo,
    PhotoStatus,
    Selfie,
    SelfieVector,
)
from webapp.services.core import engines


@dataclass(slots=True)
class Report:
    """What differs (or differed, when it was mended)."""

    keeps_faces: bool = True
    galleries_lost: list[str] = field(default_factory=list)
    photo_faces_lost: int = 0
    photo_faces_unknown: int = 0
    guest_faces_lost: int = 0
    guest_faces_unknown: int = 0
    users_lost: int = 0
    users_unknown: int = 0

    @property
    def in_order(self) -> bool:
        """Nothing differs."""
        return not (
            self.galleries_lost
            or self.photo_faces_lost
            or self.photo_faces_unknown
            or self.guest_faces_lost
            or self.guest_faces_unknown
            or self.users_lost
            or self.users_unknown
        )


@dataclass(slots=True)
class Differences:
    """The differences themselves."""

    report: Report
    lost_photos: list[int] = field(default_factory=list)
    lost_selfies: list[int] = field(default_factory=list)
    lost_confirmed: list[int] = field(default_factory=list)
    lost_users: list[int] = field(default_factory=list)
    unknown_photo_faces: list[str] = field(default_factory=list)
    unknown_guest_faces: list[str] = field(default_factory=list)
    unknown_users: list[str] = field(default_factory=list)
    known_before: set[str | None] = field(default_factory=set)
    """Ids at the service that had rows before it was listed."""
    users_before: dict[str, int] = field(default_factory=dict)


def compare(event: Event) -> Differences:
    """What differs. Call it outside any transaction, with an event that was read in one that is over.

    Raises:
        Transient: the service is away.
    """
    engine = engines.of(event.engine)
    if not engine.index.keeps_faces:
        return Differences(Report(keeps_faces=False))
    found = Differences(Report())
    with reading():
        # What comes in while the service is listed is in no list, and not lost.
        found.known_before, found.users_before = _known(event), _people_with_users(event)
    kept_photos, kept_guests = _contents(event, found.report, "photos"), _contents(event, found.report, "guests")
    kept_users = set[str]()
    if engine.users is not None and "guests" not in found.report.galleries_lost:
        kept_users = set(engine.users.users(gallery_of(event, "guests")))
    with reading():
        _compare_photos(event, found, kept_photos)
        _compare_guests(event, found, kept_guests)
        known = _people_with_users(event)
        lost = known.keys() & found.users_before.keys() - kept_users
        found.lost_users = sorted(known[public_id] for public_id in lost)
        busy = set(
            db.session.scalars(select(Person.public_id).where(Person.event_id == event.id, Person.claim.is_not(None)))
        )
        found.unknown_users = sorted(kept_users - known.keys() - busy)
    found.report.users_lost, found.report.users_unknown = len(found.lost_users), len(found.unknown_users)
    return found


def _people_with_users(event: Event) -> dict[str, int]:
    """Public id → key of everybody whose row says that they have a user vector."""
    rows = db.session.execute(
        select(Person.public_id, Person.id).where(Person.event_id == event.id, Person.user_key.is_not(None))
    )
    return {row.public_id: row.id for row in rows}


def _known(event: Event) -> set[str | None]:
    """The ids at the service of everything that has a row."""
    wanted = (
        select(FaceVector.external_id).where(FaceVector.event_id == event.id, FaceVector.engine == event.engine),
        select(SelfieVector.external_id).where(SelfieVector.event_id == event.id),
        select(ConfirmedVector.external_id).where(ConfirmedVector.event_id == event.id),
    )
    return {external_id for ids in wanted for external_id in db.session.scalars(ids)}


def gallery_of(event: Event, kind: Literal["photos", "guests"]) -> Gallery:
    """One of the event's two galleries."""
    return replace(engines.gallery(event), kind=kind)


def _contents(event: Event, report: Report, kind: Literal["photos", "guests"]) -> dict[str, str]:
    """Id → name of everything that the service keeps in a gallery."""
    try:
        return {str(key): name for key, name in engines.of(event.engine).index.contents(gallery_of(event, kind))}
    except NotFound:
        report.galleries_lost.append(kind)
        return {}


def _compare_photos(event: Event, found: Differences, kept: dict[str, str]) -> None:
    rows = db.session.execute(
        select(Face.photo_id, FaceVector.external_id)
        .join(Face, Face.id == FaceVector.face_id)
        .where(FaceVector.event_id == event.id, FaceVector.engine == event.engine, FaceVector.external_id.is_not(None))
    ).all()
    gone = found.known_before - kept.keys()
    lost = [row.photo_id for row in rows if row.external_id in gone]
    # What a worker has in hand now may be at the service and not in a row yet.
    waiting = (PhotoStatus.UPLOADED, PhotoStatus.INDEXING)
    busy = set(db.session.scalars(select(Photo.public_id).where(Photo.event_id == event.id, Photo.status.in_(waiting))))
    known = {row.external_id for row in rows}
    found.lost_photos = sorted(set(lost))
    found.unknown_photo_faces = [key for key, name in kept.items() if key not in known and name not in busy]
    found.report.photo_faces_lost, found.report.photo_faces_unknown = len(lost), len(found.unknown_photo_faces)


def _compare_guests(event: Event, found: Differences, kept: dict[str, str]) -> None:
    selfies = db.session.execute(
        select(SelfieVector.selfie_id, SelfieVector.external_id).where(
            SelfieVector.event_id == event.id, SelfieVector.external_id.is_not(None)
        )
    ).all()
    confirmed = db.session.execute(
        select(ConfirmedVector.id, ConfirmedVector.external_id).where(
            ConfirmedVector.event_id == event.id, ConfirmedVector.external_id != ""
        )
    ).all()
    busy = {
        *db.session.scalars(
            select(Selfie.public_id).join(Person).where(Person.event_id == event.id, Selfie.claim.is_not(None))
        ),
        *db.session.scalars(select(Person.public_id).where(Person.event_id == event.id, Person.claim.is_not(None))),
    }
    known = {row.external_id for row in (*selfies, *confirmed)}
    gone = found.known_before - kept.keys()
    found.lost_selfies = [row.selfie_id for row in selfies if row.external_id in gone]
    found.lost_confirmed = [row.id for row in confirmed if row.external_id in gone]
    found.unknown_guest_faces = [
        key for key, name in kept.items() if key not in known and name.partition(":")[0] not in busy
    ]
    found.report.guest_faces_lost = len(found.lost_selfies) + len(found.lost_confirmed)
    found.report.guest_faces_unknown = len(found.unknown_guest_faces)
