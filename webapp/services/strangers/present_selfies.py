"""The selfies of people that the photographer can look at, and whether one that is searched with came from a file."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import aliased

from webapp.db.extensions import db
from webapp.models import Person, Selfie, SelfieSource, SelfieStatus

_USED = (SelfieStatus.ACCEPTED, SelfieStatus.RECEIVED, SelfieStatus.CHECKING)
"""Selfies in use, or that will be once they are checked."""


def of_people(person_ids: Iterable[int]) -> dict[int, list[Selfie]]:
    """What these people have handed in and not replaced and whose pictures are still there, the latest first.

    Whoever is let in is searched for with each of them that shows a face, not with the latest alone.
    """
    found: dict[int, list[Selfie]] = {person_id: [] for person_id in person_ids}
    rows = db.session.scalars(
        select(Selfie)
        .where(Selfie.person_id.in_(found), Selfie.retired_at.is_(None), Selfie.pictures_erased_at.is_(None))
        .order_by(Selfie.id.desc())
    )
    for row in rows:
        found[row.person_id].append(row)
    return found


def one_is_from_file() -> ColumnElement[bool]:
    """That a guest's browser said of one selfie at least that it came from a file; the statement reads from Person."""
    used = aliased(Selfie)
    in_use = used.status.in_(_USED) & used.retired_at.is_(None)
    return exists().where(used.person_id == Person.id, used.source == SelfieSource.FILE, in_use).correlate(Person)
