"""Figures of an event for which all its photos or matches have to be read: counted once for each state of the event.

What was counted is remembered in Redis under the word that the event's mark had before (see
webapp.services.live.versions), so it never outlives a change; without Redis it is counted each time.
"""

import json
from dataclasses import dataclass, fields

from sqlalchemy import func, select

from webapp.db.extensions import db
from webapp.models import Event, Match, Person, Photo, PhotoStatus
from webapp.services.live import versions
from webapp.services.queries import timeline
from webapp.services.rules.visibility import is_theirs

_NAME = "figures"

Minutes = list[list[int]]
"""Pairs of a minute since 1970 and how many rows fall into it; lists, as JSON brings them back."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was counted."""

    byte_size: int
    """Of the originals."""
    found: int
    """How many times a guest was found on a photo."""
    photos_without: int
    """Photos that are ready and on which no guest was found."""
    arrived: Minutes
    came: Minutes
    indexed: Minutes


def of_event(event: Event) -> Figures:
    """The event's figures. Called outside of a unit of work: it may begin the transaction anew."""
    mark = versions.mark_of(versions.DESK, event.id)
    word, text = versions.recall(mark, _NAME)
    if text is not None:
        return Figures(**json.loads(text))
    if word is None:
        return _counted(event)
    # What is remembered may be no older than the word: a transaction that began before it could be.
    db.session.rollback()
    figures = _counted(event)
    versions.remember(mark, _NAME, word, json.dumps(_plain(figures), separators=(",", ":")))
    return figures


def _plain(figures: Figures) -> dict[str, int | Minutes]:
    # `asdict` would copy every pair, which takes as long as counting them.
    return {field.name: getattr(figures, field.name) for field in fields(figures)}


def _counted(event: Event) -> Figures:
    came, byte_size = timeline.photos_by_minute(event)
    return Figures(
        byte_size=byte_size,
        found=_found(event),
        photos_without=_photos_without(event),
        arrived=timeline.arrivals_by_minute(event),
        came=came,
        indexed=timeline.indexed_by_minute(event),
    )


def _found(event: Event) -> int:
    # Person by person, so that the pairs of a person and a photo are never all held at once.
    of_one = (
        select(func.count(func.distinct(Match.photo_id)))
        .where(Match.person_id == Person.id, is_theirs(event))
        .correlate(Person)
        .scalar_subquery()
    )
    return int(db.session.scalar(select(func.sum(of_one)).where(Person.event_id == event.id)) or 0)


def _photos_without(event: Event) -> int:
    shows_somebody = select(Match.id).where(Match.photo_id == Photo.id, is_theirs(event)).exists()
    ready = (Photo.event_id == event.id) & (Photo.status == PhotoStatus.INDEXED)
    return db.session.scalar(select(func.count()).select_from(Photo).where(ready, ~shows_somebody)) or 0
