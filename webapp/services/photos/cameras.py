"""Cameras, the times that their clocks showed, and shots of which there is more than one export.

A photo keeps what the camera's clock showed (`camera_time`); the moment (`taken_at`) follows from it by the event's
timezone, where the camera wrote none, and by how far the camera's clock is off.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, select
from sqlalchemy.sql.elements import ColumnElement

from webapp.db.extensions import db
from webapp.errors import Invalid, NotFound
from webapp.models import Camera, Event, Photo, PhotoStatus, User
from webapp.pictures.exif import CameraBody
from webapp.pictures.imaging import PictureInfo
from webapp.services.core import audit, locks
from webapp.services.events.capture_times import moment, move
from webapp.services.photos import likeness
from webapp.services.rules.visibility import is_there

MOST_SECONDS = 10 * 366 * 24 * 3600
"""How far a clock may be off: ten years, for one that was never set."""


@dataclass(frozen=True, slots=True)
class Clock:
    """One camera of an event, with a photo by which its clock can be checked."""

    camera: Camera
    photos: int
    example: Photo
    shown: datetime
    """What the camera's clock showed at that photo."""


def describe(event: Event, photo: Photo, camera: CameraBody | None, taken: datetime | None) -> str | None:
    """Note by which camera the photo was taken, and when. The event is locked, so that each camera gets one row.

    Returns what exports of the same shot have in common with it; None where that can't be told.
    """
    row = _row_of(event, camera) if camera is not None else None
    photo.camera_id = row.id if row is not None else None
    photo.camera_time = taken.isoformat() if taken is not None else None
    photo.taken_at = moment(taken, event.timezone, row.offset_seconds if row is not None else 0)
    photo.sorted_at = photo.taken_at or photo.created_at
    return shot_key(row.key, taken, photo.filename) if row is not None and taken is not None else None


def shot_key(camera_key: str, taken: datetime, filename: str) -> str:
    """What all exports of one shot have in common: the camera and the moment. Photos with the same key are candidates,
    among which `likeness` decides.

    Cameras that write no fractions of a second take several shots in one; of theirs the file's name has to be the same
    as well, but for what programs add to it.
    """
    told_by = taken.isoformat() if taken.microsecond else f"{taken.isoformat()}|{likeness.stem_of(filename)}"
    return hashlib.sha256(f"{camera_key}|{told_by}".encode()).hexdigest()[:32]


def find_same_shot(photo: Photo, key: str | None) -> None:
    """Where there is another export of the photo's shot, point the later one at the earlier one. The event is locked,
    and `complete_candidates` has been called before.

    A photo whose shot was known before stays as it is: nobody is asked again about what they decided.
    """
    if key == photo.shot_key:
        return
    photo.shot_key, photo.same_shot_as_id = key, None
    if key is None:
        return
    candidates = db.session.scalars(select(Photo).where(_has_key(photo.event_id, key), Photo.id != photo.id))
    same = [other for other in candidates if likeness.is_same_shot(photo, other)]
    first = min(same, key=lambda other: other.id, default=None)
    if first is not None:
        earlier, later = (first, photo) if first.id < photo.id else (photo, first)
        later.same_shot_as_id = earlier.id


def complete_candidates(event_id: int, event_key: str, picture: PictureInfo, filename: str) -> None:
    """Compute what the photos lack with which `find_same_shot` would compare this one. Outside a unit of work."""
    if picture.camera is not None and picture.taken_at is not None:
        key = shot_key(_camera_key(event_key, picture.camera), picture.taken_at, filename)
        likeness.complete(_has_key(event_id, key))


def _has_key(event_id: int, key: str) -> ColumnElement[bool]:
    return and_(Photo.event_id == event_id, Photo.shot_key == key, Photo.status == PhotoStatus.INDEXED)


def clocks_of(event: Event) -> list[Clock]:
    """The event's cameras by name, each with its first photo by time; two queries."""
    per_camera = dict(
        db.session.execute(
            select(Photo.camera_id, func.count())
            .where(
                Photo.event_id == event.id,
                is_there(),
                Photo.camera_id.is_not(None),
                Photo.camera_time.is_not(None),
            )
            .group_by(Photo.camera_id)
        ).all()
    )
    first = (
        select(func.min(Photo.id))
        .where(Photo.event_id == event.id, Photo.camera_time.is_not(None), Photo.status == PhotoStatus.INDEXED)
        .group_by(Photo.camera_id)
    )
    rows = db.session.execute(
        select(Camera, Photo)
        .join(Photo, Photo.camera_id == Camera.id)
        .where(Camera.event_id == event.id, Photo.id.in_(first))
        .order_by(Camera.name, Camera.id)
    ).all()
    return [
        Clock(camera, per_camera[camera.id], photo, datetime.fromisoformat(photo.camera_time or ""))
        for camera, photo in rows
    ]


def set_offset(event: Event, camera_public_id: str, seconds: int, actor: User) -> int:
    """Say how many seconds are added to a camera's clock, and move its photos; returns how many they are.

    Raises:
        NotFound: the event has no such camera.
        Invalid: that is more than MOST_SECONDS.
    """
    if abs(seconds) > MOST_SECONDS:
        raise Invalid(code="clock_offset_invalid")
    event = locks.lock_event(event.id)
    camera = db.session.scalar(
        select(Camera)
        .where(Camera.event_id == event.id, Camera.public_id == camera_public_id)
        .execution_options(populate_existing=True)
    )
    if camera is None:
        raise NotFound(code="not_found")
    moved = seconds - camera.offset_seconds
    camera.offset_seconds = seconds
    audit.record(actor, "camera.clock_set", "camera", camera.public_id)
    return move(moved, Photo.camera_id == camera.id)


def _camera_key(event_key: str, camera: CameraBody) -> str:
    # With the event's id in it, nobody can tell from two events' rows that one body was at both.
    told_by = "|".join((event_key, camera.make, camera.model, camera.serial))
    return hashlib.sha256(told_by.encode()).hexdigest()[:32]


def _row_of(event: Event, camera: CameraBody) -> Camera:
    key = _camera_key(event.public_id, camera)
    row = db.session.scalar(select(Camera).where(Camera.event_id == event.id, Camera.key == key))
    if row is None:
        row = Camera(event_id=event.id, key=key, name=camera.name, offset_seconds=0)
        db.session.add(row)
        db.session.flush()
    return row
