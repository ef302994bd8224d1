"""Guests who see no photo of themselves, and the reason of each.

The counts of the overview and the studio's list of guests use the same expression, so they can't disagree.
"""

from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, null, or_, select
from sqlalchemy.orm import aliased

from webapp.db.extensions import db
from webapp.models import (
    Admission,
    Consent,
    Event,
    Match,
    Membership,
    Person,
    Photo,
    PhotoStatus,
    Selfie,
    SelfieStatus,
)
from webapp.services.core import usage_meter
from webapp.services.rules import search_gate
from webapp.services.rules.search_gate import attends
from webapp.services.rules.visibility import is_out, is_question, is_theirs


class Why(StrEnum):
    """Reasons for having no photo, in the order in which a guest's own is looked for."""

    STOPPED = "stopped"
    """Their search is stopped, since they may be searching for somebody else."""
    UNSEEN = "unseen"
    """They were found, but only on photos that are hidden or not published."""
    DISABLED = "disabled"
    """Their account is disabled."""
    NOT_ADMITTED = "not-admitted"
    """The photographer refused to admit them."""
    ADMISSION = "admission"
    """They wait for the photographer to admit them."""
    LIMIT = "limit"
    """The event may make no more calls to a face service."""
    FAILED = "failed"
    """The check of a selfie or the search gave up."""
    REFUSED = "refused"
    CHECKING = "checking"
    WITHDRAWN = "withdrawn"
    """They took their consent back."""
    NO_SELFIE = "no-selfie"
    ASKED = "asked"
    """No sure match, and faces that the guest is asked about."""
    SEARCHING = "searching"
    """Their matches wait to be computed, or photos wait to be indexed."""
    NONE_FOUND = "none-found"


def count_by_reason(event: Event) -> dict[Why, int]:
    """Return how many guests have no photo, by reason; one query."""
    reasons = join_newest_selfie(of_guests(event, select(reason(event).label("why")))).subquery()
    rows = db.session.execute(select(reasons.c.why, func.count()).group_by(reasons.c.why)).all()
    found = {word: count for word, count in rows if word is not None}
    return {why: found[why.value] for why in Why if why.value in found}


def reason(event: Event) -> ColumnElement[str | None]:
    """A guest's reason for having no photo; null for guests who have one. `Selfie` must be their newest."""
    conditions = {
        Why.STOPPED: Membership.search_stopped_at.is_not(None),
        Why.UNSEEN: is_found(event),
        Why.DISABLED: search_gate.is_disabled(),
        Why.NOT_ADMITTED: Membership.admission == Admission.REFUSED,
        Why.ADMISSION: Membership.admission == Admission.WAITING,
        Why.LIMIT: or_(
            Selfie.reason == usage_meter.LIMIT_REACHED,
            and_(Person.match_failed.is_(True), Person.match_failure == usage_meter.LIMIT_REACHED),
        ),
        Why.FAILED: gave_up(),
        Why.REFUSED: and_(Selfie.status == SelfieStatus.REJECTED, ~_has_accepted()),
        Why.CHECKING: is_checking(),
        Why.WITHDRAWN: and_(Selfie.id.is_(None), _has_withdrawn()),
        Why.NO_SELFIE: Selfie.id.is_(None),
        Why.ASKED: _is_asked(event),
        Why.SEARCHING: or_(Person.match_wanted != Person.match_done, _photos_wait(event)),
    }
    branches = [(condition, why.value) for why, condition in conditions.items()]
    return case((sees_photos(event), null()), *branches, else_=Why.NONE_FOUND.value)


def of_guests(event: Event, wanted: Any) -> Any:
    """Narrow a select to the people of the event who are guests, those in their care among them."""
    joined = wanted.select_from(Person).join(Membership, Membership.id == Person.membership_id)
    return joined.where(Person.event_id == event.id, attends())


def join_newest_selfie(wanted: Any) -> Any:
    """Join each person's newest selfie that is not replaced; its columns are null where there is none."""
    newest = (
        select(func.max(Selfie.id))
        .where(Selfie.person_id == Person.id, Selfie.retired_at.is_(None))
        .correlate(Person)
        .scalar_subquery()
    )
    return wanted.outerjoin(Selfie, Selfie.id == newest)


def is_checking() -> ColumnElement[bool]:
    """That a selfie is still to be judged, and nothing but the work on it is waited for."""
    unchecked = Selfie.status.in_((SelfieStatus.RECEIVED, SelfieStatus.CHECKING))
    return and_(unchecked, search_gate.is_searched_for())


def gave_up() -> ColumnElement[bool]:
    """That a person's selfie or search failed for good."""
    failed = (Selfie.status == SelfieStatus.FAILED) & Selfie.retired_at.is_(None)
    return or_(Person.match_failed.is_(True), exists().where(Selfie.person_id == Person.id, failed).correlate(Person))


def is_found(event: Event) -> ColumnElement[bool]:
    """That a person was found on a photo, whether guests see that photo or not."""
    return _any(select(Match.id).where(Match.person_id == Person.id, is_theirs(event)))


def sees_photos(event: Event) -> ColumnElement[bool]:
    """That a person was found on a photo that guests see."""
    return _on_shown_photo(is_theirs(event))


def _is_asked(event: Event) -> ColumnElement[bool]:
    return _on_shown_photo(is_question(event))


def _on_shown_photo(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    matches = select(Match.id).join(Photo, Photo.id == Match.photo_id)
    return _any(matches.where(Match.person_id == Person.id, condition, is_out()))


def _any(matches: Select[int]) -> ColumnElement[bool]:
    """EXISTS, which PostgreSQL may answer by reading the matches of all events; this looks into one person's only."""
    return matches.limit(1).correlate(Person).scalar_subquery().is_not(None)


def _has_accepted() -> ColumnElement[bool]:
    """That a selfie is in use, whatever became of a later one."""
    used = aliased(Selfie)
    in_use = (used.status == SelfieStatus.ACCEPTED) & used.retired_at.is_(None)
    return exists().where(used.person_id == Person.id, in_use).correlate(Person)


def _has_withdrawn() -> ColumnElement[bool]:
    theirs = exists().where(Consent.person_id == Person.id).correlate(Person)
    holds = exists().where(Consent.person_id == Person.id, Consent.withdrawn_at.is_(None)).correlate(Person)
    return and_(theirs, ~holds)


def _photos_wait(event: Event) -> ColumnElement[bool]:
    """That photos which guests may see are still to be indexed; the same for all guests of the event."""
    waiting = (PhotoStatus.UPLOADED, PhotoStatus.INDEXING)
    return (
        select(Photo.id)
        .where(Photo.event_id == event.id, Photo.status.in_(waiting))
        .where(Photo.published_at.is_not(None), Photo.hidden_at.is_(None))
        .exists()
    )
