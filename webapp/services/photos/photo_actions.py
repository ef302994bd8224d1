"""What a photographer does with many photos at once: publish, show to all, hide, delete, try again; and undo."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select, true, update

from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import Event, Photo, PhotoStatus, User
from webapp.services.core import audit, locks
from webapp.services.erasure import bulk
from webapp.services.events import covers, publishing
from webapp.services.photos.photo_filter import PhotoFilter, micros_of
from webapp.services.uploads import intake

MOST_NAMED = 500
"""Photos that a request may name one by one; more are meant by their filter."""


class Action(StrEnum):
    """What can be done."""

    PUBLISH = "publish"
    UNPUBLISH = "unpublish"
    SHARE = "share"
    """Show to all guests."""
    UNSHARE = "unshare"
    HIDE = "hide"
    UNHIDE = "unhide"
    DELETE = "delete"
    RETRY = "retry"


OPPOSITES = {
    Action.PUBLISH: Action.UNPUBLISH,
    Action.UNPUBLISH: Action.PUBLISH,
    Action.SHARE: Action.UNSHARE,
    Action.UNSHARE: Action.SHARE,
    Action.HIDE: Action.UNHIDE,
    Action.UNHIDE: Action.HIDE,
}
"""What undoes what; deleting and trying again can't be undone."""

_TAKES_BACK = (Action.HIDE, Action.UNPUBLISH)
"""After these no guest sees the photo any more, nor a cover that is a copy of it."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The photos that are meant: those that are named, or all that a filter lets through.

    `up_to` leaves out what came in after somebody said how many they mean; `at` means what was published or hidden at
    exactly that moment, for undoing it.
    """

    ids: tuple[str, ...] = ()
    wanted: PhotoFilter | None = None
    up_to: int | None = None
    at: datetime | None = None

    def condition(self, event: Event) -> ColumnElement[bool]:
        """That a photo is meant."""
        parts = [(self.wanted or PhotoFilter()).condition(event)]
        if self.wanted is None and self.at is None:
            parts.append(Photo.public_id.in_(self.ids))
        if self.up_to is not None:
            parts.append(Photo.id <= self.up_to)
        if self.at is not None:
            parts.append((Photo.published_at == self.at) | (Photo.hidden_at == self.at))
        return and_(*parts)


@dataclass(frozen=True, slots=True)
class Done:
    """What an action has changed. Photos that were in the wanted state already are not among `ids`."""

    action: Action
    ids: list[str]
    at: datetime
    """The moment that stands in photos that were published or hidden."""

    @property
    def count(self) -> int:
        return len(self.ids)

    @property
    def undo(self) -> dict[str, Any] | None:
        """The fields of a form that takes it back; None where that can't be done."""
        opposite = OPPOSITES.get(self.action)
        if opposite is None or not self.ids:
            return None
        if len(self.ids) <= MOST_NAMED:
            return {"action": opposite.value, "ids": self.ids}
        if self.action in (Action.PUBLISH, Action.HIDE):
            return {"action": opposite.value, "at": micros_of(self.at)}
        return None


def meant(event: Event, action: Action, selection: Selection) -> tuple[int, int, int]:
    """How many photos the action would change, how many are chosen, and the largest key of these rows.

    The key keeps a question to the photos that it was asked about.
    """
    last, chosen, changing = db.session.execute(
        select(func.max(Photo.id), func.count(), func.count().filter(_changes(action))).where(
            selection.condition(event)
        )
    ).one()
    return changing, chosen, last or 0


def carry_out(event: Event, action: Action, selection: Selection, actor: User) -> Done:
    """Do it to every photo that is meant and not yet so. Guests who look at one of them see it change at once."""
    now = utcnow()
    if action is Action.DELETE:
        return Done(action, bulk.erase(event, selection.condition(event), actor), now)
    if action is Action.RETRY:
        return Done(action, _try_again(event, selection), now)
    if action in _TAKES_BACK:
        # A cover that is being made of one of the photos waits for this, and then finds it gone.
        event = locks.lock_event(event.id)
    if action is Action.PUBLISH and meant(event, action, selection)[0]:
        # Before the photos: the event is locked first.
        publishing.announce(event)
    not_yet, values = _change(action, now)
    ids = db.session.scalars(
        update(Photo)
        .where(selection.condition(event), not_yet)
        .values(**values)
        .returning(Photo.public_id)
        .execution_options(synchronize_session=False)
    ).all()
    if action in _TAKES_BACK:
        covers.forget_photos(event, set(ids))
        db.session.flush()
    db.session.expire_all()
    if ids:
        audit.record(actor, f"photos.{action.value}", "event", event.public_id)
    return Done(action, list(ids), now)


def _changes(action: Action) -> ColumnElement[bool]:
    """That the action would change a photo."""
    if action is Action.DELETE:
        return true()
    if action is Action.RETRY:
        return Photo.status == PhotoStatus.FAILED
    return _change(action, utcnow())[0]


def _change(action: Action, now: datetime) -> tuple[ColumnElement[bool], dict[str, Any]]:
    """That a photo is not in the wanted state yet, and what puts it there."""
    changes: dict[Action, tuple[ColumnElement[bool], dict[str, Any]]] = {
        Action.PUBLISH: (Photo.published_at.is_(None), {"published_at": now}),
        Action.UNPUBLISH: (Photo.published_at.is_not(None), {"published_at": None}),
        Action.SHARE: (Photo.shown_to_all.is_(False), {"shown_to_all": True}),
        Action.UNSHARE: (Photo.shown_to_all.is_(True), {"shown_to_all": False}),
        Action.HIDE: (Photo.hidden_at.is_(None), {"hidden_at": now}),
        Action.UNHIDE: (Photo.hidden_at.is_not(None), {"hidden_at": None}),
    }
    return changes[action]


def _try_again(event: Event, selection: Selection) -> list[str]:
    failed = select(Photo.public_id).where(selection.condition(event), _changes(Action.RETRY))
    ids = list(db.session.scalars(failed))
    for public_id in ids:
        intake.retry_failed(event, public_id)
    return ids
