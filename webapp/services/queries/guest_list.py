"""An event's guests as its photographer sees them: a list that can be searched, and one guest with their photos."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select

from webapp.db.extensions import db
from webapp.errors import NotFound
from webapp.models import (
    Admission,
    Band,
    Event,
    Match,
    Membership,
    Person,
    Photo,
    Selfie,
    SelfieStatus,
    Verdict,
)
from webapp.queueing import MATCH_SELFIE, enqueue_after_commit
from webapp.services.core import claims, locks, rematch_requests
from webapp.services.queries.guests_without import (
    Why,
    gave_up,
    is_checking,
    join_newest_selfie,
    of_guests,
    reason,
    sees_photos,
)
from webapp.services.rules import search_gate
from webapp.services.rules.visibility import is_theirs
from webapp.services.strangers.present_selfies import one_is_from_file

LATEST = 8
"""Guests whom the overview shows."""

PAGE = 40
PHOTOS = 60
MAX_QUERY = 80


class Show(StrEnum):
    """Which guests of the list are wanted."""

    ALL = "all"
    FOUND = "found"
    NONE_YET = "none-yet"
    ADMISSION = "admission"
    NOT_ADMITTED = "not-admitted"
    CHECKING = "checking"
    REFUSED = "refused"
    FAILED = "failed"
    NO_SELFIE = "no-selfie"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class GuestRow:
    """One guest in the studio's list."""

    row_id: int
    public_id: str
    name: str
    joined_at: datetime
    selfie_status: SelfieStatus | None
    selfie_reason: str | None
    from_file: bool
    """The guest's browser says of a selfie that is searched with, or will be, that it came from a file."""
    photos: int
    capped: bool
    """More faces resemble them than the face service can tell."""
    why: Why | None
    """Why they have no photo; None for who has one."""
    matching: bool
    """Their matches wait to be computed."""
    admission: Admission
    disabled: bool
    """Their account is disabled."""
    failure: str | None
    """Why the last computation of their matches gave up."""
    note: str | None
    """What they wrote to the photographer when they joined without a selfie."""

    @property
    def failed(self) -> bool:
        """Something gave up that can be tried again."""
        return self.failure is not None or self.selfie_status is SelfieStatus.FAILED


@dataclass(frozen=True, slots=True)
class GuestPhoto:
    """A photo on which a guest was found, or may have been."""

    photo: Photo
    band: Band
    verdict: Verdict
    similarity: float


def guests_of(
    event: Event,
    *,
    limit: int = PAGE,
    before: int | None = None,
    query: str = "",
    show: Show = Show.ALL,
    why: Why | None = None,
) -> list[GuestRow]:
    """The event's guests, the latest first, with what became of their newest selfie; one query.

    `before` is the row id of the last guest of the page before, `query` a part of the name; `why` leaves only those
    who have no photo for this reason.
    """
    wanted = _rows(event).order_by(Person.id.desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(Person.id < before)
    if query := " ".join(query.split())[:MAX_QUERY]:
        wanted = wanted.where(Person.name.icontains(query, autoescape=True))
    condition = _shown_in(event, show)
    if condition is not None:
        wanted = wanted.where(condition)
    if why is not None:
        wanted = wanted.where(reason(event) == why.value)
    return [_row(*row) for row in db.session.execute(wanted)]


def counts_of(event: Event) -> dict[Show, int]:
    """How many guests each filter shows; one query, of the conditions that the filters use."""
    conditions = {show: _shown_in(event, show) for show in Show}
    columns = [
        func.count() if condition is None else func.count().filter(condition) for condition in conditions.values()
    ]
    counts = db.session.execute(join_newest_selfie(of_guests(event, select(*columns)))).one()
    return dict(zip(conditions, counts, strict=True))


def guest_of(event: Event, public_id: str) -> GuestRow:
    """One guest.

    Raises:
        NotFound: nobody of this event has this id.
    """
    row = db.session.execute(_rows(event).where(Person.public_id == public_id)).one_or_none()
    if row is None:
        raise NotFound(code="not_found")
    return _row(*row)


def photos_of_guest(
    event: Event, guest: GuestRow, *, limit: int = PHOTOS, before: int | None = None
) -> list[GuestPhoto]:
    """The photos that the guest was found on or is asked about, the latest handed in first, each once.

    `before` is the row id of the last photo of the page before.
    """
    # Of several faces on one photo, the one that counts most speaks: theirs before a question, then the most alike.
    rank = func.row_number().over(
        partition_by=Match.photo_id, order_by=(is_theirs(event).desc(), Match.similarity.desc(), Match.id)
    )
    best = (
        select(Match.id, rank.label("rank"))
        .where(Match.person_id == guest.row_id, or_(Match.band != Band.NONE, Match.verdict != Verdict.NONE))
        .subquery()
    )
    wanted = (
        select(Photo, Match.band, Match.verdict, Match.similarity)
        .join(Match, Match.photo_id == Photo.id)
        .join(best, and_(best.c.id == Match.id, best.c.rank == 1))
        .order_by(Photo.id.desc())
        .limit(limit)
    )
    if before is not None:
        wanted = wanted.where(Photo.id < before)
    return [GuestPhoto(*row) for row in db.session.execute(wanted)]


def retry(event: Event, public_id: str | None = None) -> int:
    """Let selfies and searches that failed be tried again, of everybody or of one guest; returns how many."""
    wanted = of_guests(event, select(Person.id))
    if public_id is not None:
        wanted = wanted.where(Person.public_id == public_id)
    event = locks.lock_event(event.id)
    people = list(db.session.scalars(wanted.order_by(Person.id)))
    selfies = db.session.scalars(
        select(Selfie)
        .where(Selfie.person_id.in_(people), Selfie.status == SelfieStatus.FAILED, Selfie.retired_at.is_(None))
        .order_by(Selfie.id)
        .with_for_update(of=Selfie)
    ).all()
    for selfie in selfies:
        selfie.status, selfie.reason, selfie.decided_at = SelfieStatus.RECEIVED, None, None
        claims.settle(selfie)
        selfie.retries = 1  # An earlier try may have left its face at a service: the next one looks for it.
        enqueue_after_commit(MATCH_SELFIE, selfie.public_id)
    db.session.flush()
    stopped = db.session.scalars(select(Person.id).where(Person.id.in_(people), Person.match_failed.is_(True))).all()
    return len(selfies) + rematch_requests.mark(stopped)


def _rows(event: Event) -> Any:
    photos_found = (
        select(func.count(func.distinct(Match.photo_id)))
        .where(Match.person_id == Person.id, is_theirs(event))
        .correlate(Person)
        .scalar_subquery()
    )
    return join_newest_selfie(
        of_guests(
            event,
            select(
                Person, Membership, Selfie, photos_found, reason(event), search_gate.is_disabled(), one_is_from_file()
            ),
        )
    )


def _shown_in(event: Event, show: Show) -> ColumnElement[bool] | None:
    """What a filter asks of a guest; `Selfie` is their newest."""
    conditions: dict[Show, ColumnElement[bool]] = {
        Show.FOUND: sees_photos(event),
        Show.NONE_YET: ~sees_photos(event),
        Show.ADMISSION: Membership.admission == Admission.WAITING,
        Show.NOT_ADMITTED: Membership.admission == Admission.REFUSED,
        Show.CHECKING: is_checking(),
        Show.REFUSED: Selfie.status == SelfieStatus.REJECTED,
        Show.FAILED: gave_up(),
        Show.NO_SELFIE: Selfie.id.is_(None),
        Show.DISABLED: search_gate.is_disabled(),
    }
    return conditions.get(show)


def _row(
    person: Person,
    membership: Membership,
    selfie: Selfie | None,
    photos: int,
    why: str | None,
    disabled: bool,
    from_file: bool,
) -> GuestRow:
    return GuestRow(
        row_id=person.id,
        public_id=person.public_id,
        name=person.name,
        joined_at=membership.created_at,
        selfie_status=selfie.status if selfie else None,
        selfie_reason=selfie.reason if selfie else None,
        from_file=from_file,
        photos=photos,
        capped=person.match_capped,
        why=Why(why) if why is not None else None,
        matching=person.match_wanted != person.match_done and not person.match_failed,
        admission=membership.admission,
        disabled=disabled,
        failure=person.match_failure or "internal" if person.match_failed else None,
        note=membership.note,
    )
