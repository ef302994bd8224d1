"""Noticing accounts and devices with which several people are searched for, when a selfie of theirs is accepted.

Only counts are kept of whom an account or a device has shown, never a face: see docs/decisions/0012. Whoever runs the
event sees all of its photos anyway and is not counted, nor are people in somebody's care.
"""

from dataclasses import dataclass

import numpy as np
from sqlalchemy import select

from webapp.clock import utcnow
from webapp.database import reading
from webapp.extensions import db
from webapp.faces.protocols import DetectedFace, Gallery, Probe
from webapp.models import (
    AlertKind,
    DeviceFaces,
    Event,
    Membership,
    Person,
    PersonKind,
    Selfie,
    SelfieStatus,
    SelfieVector,
)
from webapp.services import engines, search_alerts
from webapp.services.selfie_allowance import lock_membership
from webapp.services.templates import from_blobs

FACES_OF_ACCOUNT = 3
"""The face of this number stops the search for an account."""

FACES_OF_DEVICE = 5
"""The person of this number stops the search for the account that brings them."""

SAME_FACE = 0.30
"""Cosine similarity from which two selfies count as one person's. Of 4,392 pairs of pictures of one person that pass as
selfies all but three are above it, of 4.2 million pairs of two people one in a hundred.
"""

SAME_FACE_REKOGNITION = 0.70
"""The same on Rekognition's scale, on which two people mostly have less than half. Not measured."""


@dataclass(frozen=True, slots=True)
class InUse:
    """A selfie in use that a new one is held against."""

    selfie_id: int
    own: bool
    """Of the same person; else of another account, sent by the same device."""
    same_device: bool
    """Sent by the same device, for an account that is searched for: a face that was stopped is no known one, or it
    would only need one more account.
    """
    vector: bytes | None
    external_id: str | None


def alike_at_service(engine: str, guests: Gallery, public_id: str, face: DetectedFace) -> set[str]:
    """The faces of selfies that a service holds for the new selfie's person; empty where vectors are ours.

    One billable call, and only where there is a selfie to hold it against. Call it outside any transaction.
    """
    if face.external_id is None:
        return set()
    with reading():
        selfie = db.session.scalar(select(Selfie).where(Selfie.public_id == public_id))
        if selfie is None or not _is_counted(selfie) or not _in_use(guests.event_id, selfie):
            return set()
    index = engines.of(engine).index
    hits = index.search(guests, [Probe(key=face.external_id)], SAME_FACE_REKOGNITION).hits
    return {str(hit.face_id) for hit in hits}


def count_face(event: Event, selfie: Selfie, face: DetectedFace, alike: set[str]) -> bool:
    """Count the face of a selfie that is being accepted, and stop the search where it is one too many.

    Returns whether the search for the account is stopped. The event is locked.
    """
    membership = lock_membership(selfie.person.membership_id)
    if _is_counted(selfie):
        others = _in_use(event.id, selfie)
        similar = {row.selfie_id for row in others if _is_same(event, row, face, alike)}
        is_new = not any(row.own and row.selfie_id in similar for row in others)
        on_device = None
        if selfie.device and not any(row.same_device and row.selfie_id in similar for row in others):
            on_device = _count_on_device(event, selfie.device)
        membership.faces_seen += is_new
        if membership.search_stopped_at is None:
            _judge(event, membership, selfie.device or "", is_new=is_new, on_device=on_device)
        search_alerts.notice_late_join(event, membership, selfie)
    return membership.search_stopped_at is not None


def _judge(event: Event, membership: Membership, device: str, *, is_new: bool, on_device: int | None) -> None:
    if is_new and membership.faces_seen >= FACES_OF_ACCOUNT:
        membership.search_stopped_at = utcnow()
        search_alerts.raise_alert(event, AlertKind.ACCOUNT_FACES, str(membership.id), {membership.id: True})
    elif on_device is not None and on_device >= FACES_OF_DEVICE:
        membership.search_stopped_at = utcnow()
        shown = dict.fromkeys(_accounts_of(event, device), False)
        search_alerts.raise_alert(event, AlertKind.DEVICE_FACES, device, shown | {membership.id: True})


def _is_counted(selfie: Selfie) -> bool:
    return selfie.person.kind is PersonKind.SELF and not selfie.person.membership.runs_event


def _in_use(event_id: int, selfie: Selfie) -> list[InUse]:
    """The selfies in use of the same person, and those that the same device sent for whomever."""
    wanted = (
        select(
            Selfie.id,
            Selfie.person_id,
            Selfie.device,
            Membership.search_stopped_at,
            SelfieVector.vector,
            SelfieVector.external_id,
        )
        .join(Person, Person.id == Selfie.person_id)
        .join(Membership, Membership.id == Person.membership_id)
        .join(Event, Event.id == Person.event_id)
        .join(
            SelfieVector,
            (SelfieVector.selfie_id == Selfie.id)
            & (SelfieVector.engine == Event.engine)
            & (SelfieVector.version == Event.engine_version),
            isouter=True,
        )
        .where(
            Person.event_id == event_id,
            Person.kind == PersonKind.SELF,
            Selfie.id != selfie.id,
            Selfie.status == SelfieStatus.ACCEPTED,
            Selfie.retired_at.is_(None),
        )
        .order_by(Selfie.id)
    )
    mine = Selfie.person_id == selfie.person_id
    wanted = wanted.where(mine | (Selfie.device == selfie.device) if selfie.device else mine)
    return [
        InUse(
            row.id,
            own=row.person_id == selfie.person_id,
            same_device=bool(selfie.device) and row.device == selfie.device and row.search_stopped_at is None,
            vector=row.vector,
            external_id=row.external_id,
        )
        for row in db.session.execute(wanted)
    ]


def _is_same(event: Event, row: InUse, face: DetectedFace, alike: set[str]) -> bool:
    """Whether both selfies show one person; where that can't be told it counts for the guest."""
    if engines.of(event.engine).index.keeps_faces:
        return row.external_id is None or row.external_id in alike
    if row.vector is None or face.vector is None:
        return True
    return float(np.dot(from_blobs([row.vector])[0], face.vector)) >= SAME_FACE


def _count_on_device(event: Event, device: str) -> int:
    row = db.session.get(DeviceFaces, (event.id, device), populate_existing=True)
    if row is None:
        row = DeviceFaces(event_id=event.id, device=device, faces=0)
        db.session.add(row)
    row.faces += 1
    return row.faces


def _accounts_of(event: Event, device: str) -> list[int]:
    """Accounts with a selfie in use that this device sent."""
    return list(
        db.session.scalars(
            select(Person.membership_id)
            .join(Selfie)
            .where(
                Person.event_id == event.id,
                Selfie.device == device,
                Selfie.status == SelfieStatus.ACCEPTED,
                Selfie.retired_at.is_(None),
            )
            .distinct()
        )
    )
