"""Noticing accounts and devices with which several people are searched for, when a selfie of theirs is accepted.

Only counts are kept of whom an account or a device has shown, never a face: see docs/decisions/0012. Whoever runs the
event sees all of its photos anyway and is not counted, nor are people in somebody's care.
"""

from dataclasses import dataclass

import numpy as np
from sqlalchemy import select

from webapp.clock import utcnow
from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.faces.core.protocols import DetectedFace, Gallery, Probe
from webapp.faces.core.vectors import from_blobs
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
from webapp.services.core import engines
from webapp.services.core.locks import lock_membership
from webapp.services.strangers import search_alerts

FACES_OF_ACCOUNT = 3
"""The face of this number stops the search for an account."""

FACES_OF_DEVICE = 5
"""The person of this number stops the search for the account that brings them."""

DRIFT_OF_ACCOUNT = 4.2
"""Drift of one account's face that stops the search: 95 % of people stay below it with 10 further selfies."""

DRIFT_OF_DEVICE = 8.4
"""The same for all selfies of a device: several people may share it."""

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
        alikeness = [(row, _similarity(event, row, face, alike)) for row in _in_use(event.id, selfie)]
        own = max((similarity for row, similarity in alikeness if row.own), default=0.0)
        too_many = _count_on_account(membership, own)
        brings_too_many = False
        if selfie.device:
            known = max((similarity for row, similarity in alikeness if row.same_device), default=0.0)
            brings_too_many = _count_on_device(event, selfie.device, known)
        if membership.search_stopped_at is None and too_many:
            _stop(event, membership, AlertKind.ACCOUNT_FACES, str(membership.id), [])
        elif membership.search_stopped_at is None and brings_too_many:
            device = selfie.device or ""
            _stop(event, membership, AlertKind.DEVICE_FACES, device, _accounts_of(event, device))
        search_alerts.notice_late_join(event, selfie)
    return membership.search_stopped_at is not None


def _stop(event: Event, membership: Membership, kind: AlertKind, subject: str, shown: list[int]) -> None:
    """Stop the search for an account; `shown` are accounts that are only shown with it."""
    membership.search_stopped_at = utcnow()
    search_alerts.raise_alert(event, kind, subject, dict.fromkeys(shown, False) | {membership.id: True})


def _count_on_account(membership: Membership, similarity: float) -> bool:
    """Count a selfie as alike as this to the account's own; returns whether it is one too many."""
    if similarity < SAME_FACE:
        membership.faces_seen += 1
        return membership.faces_seen >= FACES_OF_ACCOUNT
    membership.faces_drift += _drift(similarity)
    return membership.faces_drift >= DRIFT_OF_ACCOUNT


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


def _similarity(event: Event, row: InUse, face: DetectedFace, alike: set[str]) -> float:
    """How alike the faces of both selfies are; where that can't be told it counts for the guest, as one face."""
    if engines.of(event.engine).index.keeps_faces:
        # The service names faces that are alike, and no more is known of them here: none of these drifts.
        return 1.0 if row.external_id is None or row.external_id in alike else 0.0
    if row.vector is None or face.vector is None:
        return 1.0
    return float(np.dot(from_blobs([row.vector])[0], face.vector))


def _count_on_device(event: Event, device: str, similarity: float) -> bool:
    """Count a selfie as alike as this to those that a device sent; returns whether it is one too many."""
    row = db.session.get(DeviceFaces, (event.id, device), populate_existing=True)
    if row is None:
        row = DeviceFaces(event_id=event.id, device=device, faces=0, drift=0.0)
        db.session.add(row)
    if similarity < SAME_FACE:
        row.faces += 1
        return row.faces >= FACES_OF_DEVICE
    row.drift += _drift(similarity)
    return row.drift >= DRIFT_OF_DEVICE


def _drift(similarity: float) -> float:
    return max(0.0, 1 - similarity)


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
