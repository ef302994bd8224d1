"""Taking selfies in, at once; `judging` looks at them in a worker."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, get_args

from flask import current_app
from sqlalchemy import ColumnElement, select

from webapp.db.columns import new_public_id
from webapp.db.extensions import db
from webapp.errors import Conflict, FindMeError, Invalid, TooLarge
from webapp.faces.core.protocols import Angle
from webapp.models import (
    Admission,
    Event,
    Membership,
    Person,
    PersonKind,
    Selfie,
    SelfieStatus,
    User,
)
from webapp.pictures import imaging
from webapp.queueing import MATCH_SELFIE, enqueue_after_commit
from webapp.services.core import blobs, consents, locks
from webapp.services.rules import search_gate
from webapp.services.selfies.origin import Origin
from webapp.services.strangers import selfie_allowance

UNKNOWN = Origin()

WAITING = (SelfieStatus.RECEIVED, SelfieStatus.CHECKING)


def waits() -> ColumnElement[bool]:
    """That a selfie waits for a worker."""
    return Selfie.status.in_(WAITING) & search_gate.lets_selfie_pass()


@dataclass(frozen=True, slots=True)
class StagedSelfie:
    """A picture that is stored but belongs to nobody yet."""

    public_id: str
    blob_key: str
    content_type: str


@contextmanager
def staged(event: Event, stream: IO[bytes]) -> Iterator[StagedSelfie]:
    """Look at a picture's header and store it, before the unit of work that makes it somebody's selfie.

    Storing takes its time, and no transaction may be held meanwhile. When the block fails, the picture is gone again.

    Raises:
        Invalid, TooLarge, UnsupportedType: not a picture that can be used; nothing was changed.
        Transient: it can't be stored now.
    """
    settings = current_app.extensions["settings"]
    if stream.seek(0, io.SEEK_END) > settings.max_selfie_mb * 1024 * 1024:
        raise TooLarge(code="selfie_too_large", fields={"file": "selfie_too_large"})
    stream.seek(0)
    try:
        info = imaging.probe(stream, max_megapixels=settings.max_megapixels)
    except FindMeError as error:
        error.fields = {"file": error.code}
        raise
    stream.seek(0)
    public_id = new_public_id()
    kind = blobs.content_type(info.format)
    key = blobs.selfie_key(event.public_id, public_id, f"original{blobs.extension(kind)}")
    db.session.rollback()
    blobs.store().put(key, stream)
    try:
        yield StagedSelfie(public_id, key, kind)
    except BaseException:
        blobs.store().delete(key)
        raise


def receive_selfie(
    person: Person, picture: StagedSelfie, angle: str = "front", adds: bool = False, origin: Origin = UNKNOWN
) -> Selfie:
    """Make a staged picture the person's selfie and ask for its check; nothing is looked for in it here.

    Raises:
        Conflict: the person has not agreed to face search with the present text, the search for them is stopped, or
            the photographer has refused them.
        Invalid: no such angle.
        TooMany: the guest has handed in all selfies of the day.
    """
    _require_not_refused(person)
    if not consents.has_agreed(person):
        raise Conflict(code="consent_required", fields={"consent": "consent_required"})
    if angle not in get_args(Angle):
        raise Invalid(code="angle_invalid", fields={"angle": "angle_invalid"})
    selfie_allowance.take(person)
    selfie = Selfie(
        public_id=picture.public_id,
        person_id=person.id,
        angle=angle,
        adds=adds,
        content_type=picture.content_type,
        blob_key=picture.blob_key,
        source=origin.source,
        device=origin.device,
        network=origin.network,
    )
    db.session.add(selfie)
    db.session.flush()
    enqueue_after_commit(MATCH_SELFIE, selfie.public_id)
    return selfie


def _require_not_refused(person: Person) -> None:
    # In the way of a refusal: it erases this selfie as well, or this one is not taken.
    if locks.lock_membership(person.membership_id).admission is Admission.REFUSED:
        raise Conflict(code="not_admitted")


def newest_accepted(user: User) -> Selfie | None:
    """The selfie of themselves that somebody is searched with in whichever event, to be used in a further one."""
    return db.session.scalar(
        select(Selfie)
        .join(Person)
        .join(Membership)
        .where(
            Membership.user_id == user.id,
            Person.kind == PersonKind.SELF,
            Selfie.status == SelfieStatus.ACCEPTED,
            Selfie.retired_at.is_(None),
        )
        .order_by(Selfie.id.desc())
        .limit(1)
    )


def has_selfie(event: Event, user: User) -> bool:
    """Return True where the user is searched for in this event already, or will be once their selfie is judged."""
    found = db.session.scalar(
        select(Selfie.id)
        .join(Person)
        .join(Membership)
        .where(
            Membership.user_id == user.id,
            Membership.event_id == event.id,
            Selfie.status.in_((*WAITING, SelfieStatus.ACCEPTED)),
            Selfie.retired_at.is_(None),
        )
        .limit(1)
    )
    return found is not None
