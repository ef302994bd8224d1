"""Accounts whose search is stopped until the photographer has looked at their selfies."""

from enum import StrEnum

from sqlalchemy import select

from webapp.db.extensions import db
from webapp.models import Membership, SearchAlert, SearchAlertMember


class Stop(StrEnum):
    """Where an account stands whose search is stopped."""

    WAITING = "waiting"
    """The photographer has not decided yet."""
    REFUSED = "refused"


def stop_of(membership: Membership) -> Stop | None:
    """Where the account stands, if its search is stopped."""
    if membership.search_stopped_at is None:
        return None
    waits = db.session.scalar(
        select(SearchAlert.id)
        .join(SearchAlertMember, SearchAlertMember.alert_id == SearchAlert.id)
        .where(
            SearchAlertMember.membership_id == membership.id,
            SearchAlertMember.stopped.is_(True),
            SearchAlert.decided_at.is_(None),
        )
        .limit(1)
    )
    return Stop.REFUSED if waits is None else Stop.WAITING


def code_of(stop: Stop) -> str:
    """The code whose sentence tells the guest about it."""
    return "search_stopped" if stop is Stop.WAITING else "search_refused"
