"""Alerts about who may be searching for strangers: raising them, what the photographer sees of them, and deciding."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta

import structlog
from sqlalchemy import case, exists, func, select, update
from sqlalchemy.orm import aliased

from webapp.clock import utcnow
from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.errors import Conflict, Invalid, NotFound
from webapp.models import (
    AlertDecision,
    AlertKind,
    DeviceFaces,
    Event,
    Membership,
    Person,
    SearchAlert,
    SearchAlertMember,
    Selfie,
    SelfieSource,
    SelfieStatus,
    User,
)
from webapp.queueing import unit_of_work
from webapp.services.core import audit, locks, rematch_requests
from webapp.services.core.locks import lock_membership
from webapp.services.erasure import selfie_erasure
from webapp.services.events import timezones
from webapp.services.strangers import present_selfies
from webapp.services.strangers.search_stops import Stop, stop_of
from webapp.services.strangers.selfie_allowance import membership_of

log = structlog.get_logger()

LATE_JOINS = 10
"""Accounts that hand in selfies from files, by one network, within a day and after the event's day: an alert."""

LATE_WINDOW = timedelta(hours=24)

DAY_ENDS = time(6)
"""When an event's day is over, on the morning after, in its timezone: parties go on past midnight."""

NETWORK_KEPT = timedelta(days=7)
"""How long the hash of a selfie's network address is kept."""

HELD_BACK = timedelta(days=7)
"""How long a selfie that was replaced is kept for an alert that nobody decides."""

PAGE = 30


@dataclass(frozen=True, slots=True)
class Account:
    """An account that an alert concerns, with the selfies of it that are still there."""

    person_id: str
    name: str
    stopped: bool
    """The alert stopped its search; else it is only shown with it."""
    selfies: list[Selfie]


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as the photographer sees it."""

    row: SearchAlert
    accounts: list[Account]

    @property
    def stops(self) -> bool:
        return self.row.kind is not AlertKind.LATE_JOINS


def raise_alert(event: Event, kind: AlertKind, subject: str, accounts: Mapping[int, bool]) -> None:
    """Raise an alert, or add to the one that is open. `accounts`: membership → whether the alert stops its search.

    The event is locked.
    """
    alert = db.session.scalar(
        select(SearchAlert).where(
            SearchAlert.event_id == event.id,
            SearchAlert.kind == kind,
            SearchAlert.subject == subject,
            SearchAlert.decided_at.is_(None),
        )
    )
    if alert is None:
        alert = SearchAlert(event_id=event.id, kind=kind, subject=subject)
        db.session.add(alert)
        db.session.flush()
        audit.record(None, f"search_alert.{kind.value}", "search_alert", alert.public_id)
        log.warning("search_alert.raised", kind=kind.value, alert=alert.public_id, event_id=event.public_id)
    for membership_id, stopped in accounts.items():
        known = db.session.get(SearchAlertMember, (alert.id, membership_id))
        if known is None:
            db.session.add(SearchAlertMember(alert_id=alert.id, membership_id=membership_id, stopped=stopped))
        else:
            known.stopped = known.stopped or stopped
    db.session.flush()


def notice_late_join(event: Event, selfie: Selfie) -> None:
    """Raise an alert where many come from one network after the event's day with selfies from files. Stops nobody.

    What counts is when a selfie was handed in: an account may have been made on the day, without one.
    """
    begins = datetime.combine(event.date + timedelta(days=1), DAY_ENDS, timezones.zone_of(event))
    if selfie.network is None or selfie.source is not SelfieSource.FILE or selfie.created_at < begins:
        return
    decided = db.session.scalar(
        select(func.max(SearchAlert.decided_at)).where(
            SearchAlert.event_id == event.id, SearchAlert.kind == AlertKind.LATE_JOINS
        )
    )
    since = max(begins, decided) if decided is not None else begins
    late = db.session.scalars(
        select(Membership.id)
        .join(Person)
        .join(Selfie)
        .where(
            Membership.event_id == event.id,
            Selfie.created_at >= since,
            Selfie.network == selfie.network,
            Selfie.source == SelfieSource.FILE,
            Selfie.created_at > utcnow() - LATE_WINDOW,
        )
        .distinct()
    ).all()
    if len(late) >= LATE_JOINS:
        raise_alert(event, AlertKind.LATE_JOINS, "", dict.fromkeys(late, False))


def count_open(event: Event) -> int:
    """How many alerts of the event wait for a decision."""
    return (
        db.session.scalar(
            select(func.count())
            .select_from(SearchAlert)
            .where(SearchAlert.event_id == event.id, SearchAlert.decided_at.is_(None))
        )
        or 0
    )


def alerts_of(event: Event, skip: int = 0) -> tuple[list[Alert], bool]:
    """The event's alerts from the one after `skip` on, and whether there are more.

    Those that wait come first, and of these the one that has waited for longest; then what was decided last.
    """
    rows = db.session.scalars(
        select(SearchAlert)
        .where(SearchAlert.event_id == event.id)
        .order_by(
            SearchAlert.decided_at.is_not(None),
            case((SearchAlert.decided_at.is_(None), SearchAlert.id)),
            SearchAlert.decided_at.desc(),
            SearchAlert.id.desc(),
        )
        .offset(skip)
        .limit(PAGE + 1)
    ).all()
    rows, has_more = rows[:PAGE], len(rows) > PAGE
    members = db.session.execute(
        select(SearchAlertMember, Person)
        .join(Person, Person.membership_id == SearchAlertMember.membership_id)
        .where(SearchAlertMember.alert_id.in_([row.id for row in rows]))
        .order_by(SearchAlertMember.stopped.desc(), Person.id)
    ).all()
    selfies = present_selfies.of_people(person.id for _, person in members)
    return [
        Alert(
            row,
            [
                Account(person.public_id, person.name, member.stopped, selfies[person.id])
                for member, person in members
                if member.alert_id == row.id
            ],
        )
        for row in rows
    ], has_more


def decide(event: Event, public_id: str, decision: str, actor: User) -> SearchAlert:
    """Let the accounts that an alert stopped be searched for, or erase their selfies.

    Raises:
        NotFound: the event has no such alert.
        Conflict: it is decided already.
        Invalid: no such decision about this kind of alert.
    """
    event = locks.lock_event(event.id)
    alert = db.session.scalar(
        select(SearchAlert)
        .where(SearchAlert.public_id == public_id, SearchAlert.event_id == event.id)
        .execution_options(populate_existing=True)
    )
    if alert is None:
        raise NotFound(code="not_found")
    if alert.decided_at is not None:
        raise Conflict(code="alert_decided")
    offered = [AlertDecision.ALLOWED] if alert.kind is AlertKind.LATE_JOINS else list(AlertDecision)
    if decision not in offered:
        raise Invalid(code="alert_decision_invalid")
    alert.decision, alert.decided_at, alert.decided_by_id = AlertDecision(decision), utcnow(), actor.id
    db.session.flush()
    stopped = db.session.scalars(
        select(SearchAlertMember.membership_id)
        .where(SearchAlertMember.alert_id == alert.id, SearchAlertMember.stopped.is_(True))
        .order_by(SearchAlertMember.membership_id)
    ).all()
    for membership_id in stopped:
        membership = lock_membership(membership_id)
        if alert.decision is AlertDecision.ALLOWED:
            _go_on(event, membership)
        else:
            for person in membership.persons:
                selfie_erasure.erase_with_receipt(person, actor)
    if alert.kind is AlertKind.DEVICE_FACES and alert.decision is AlertDecision.ALLOWED:
        _forget_faces(event, alert.subject)
    audit.record(actor, f"search_alert.{alert.decision.value}", "search_alert", alert.public_id)
    return alert


def allow_again(event: Event, person_id: str, actor: User) -> None:
    """Let an account that was refused hand in selfies again.

    Raises:
        NotFound: nobody of this event has this id.
        Conflict: its search is not stopped, or an alert about it waits for a decision.
    """
    event = locks.lock_event(event.id)
    membership = lock_membership(membership_of(event, person_id).id)
    if stop_of(membership) is not Stop.REFUSED:
        raise Conflict(code="conflict")
    _go_on(event, membership)
    devices = db.session.scalars(
        select(SearchAlert.subject)
        .join(SearchAlertMember, SearchAlertMember.alert_id == SearchAlert.id)
        .where(SearchAlertMember.membership_id == membership.id, SearchAlert.kind == AlertKind.DEVICE_FACES)
    ).all()
    for device in devices:
        _forget_faces(event, device)
    audit.record(actor, "search.allowed_again", "person", person_id)


def _go_on(event: Event, membership: Membership) -> None:
    """Search for the account again, with as much leave as a new one has."""
    membership.search_stopped_at = None
    people = [person.id for person in membership.persons]
    newest = [selfie for selfie in map(_newest_in_use, people) if selfie is not None]
    membership.faces_seen, membership.faces_drift = (1 if newest else 0), 0.0
    for selfie in newest:
        selfie_erasure.retire_replaced(event, selfie)
    for person_id in people:
        rematch_requests.templates_changed(event, locks.lock_person(person_id))
    rematch_requests.mark(people)


def _newest_in_use(person_id: int) -> Selfie | None:
    return db.session.scalar(
        select(Selfie)
        .where(Selfie.person_id == person_id, Selfie.status == SelfieStatus.ACCEPTED, Selfie.retired_at.is_(None))
        .order_by(Selfie.id.desc())
        .limit(1)
    )


def _forget_faces(event: Event, device: str) -> None:
    row = db.session.get(DeviceFaces, (event.id, device), populate_existing=True)
    if row is not None:
        row.faces, row.drift = 0, 0.0


def forget() -> None:
    """Erase hashes of networks, and selfies that were replaced and held back for an alert, when their time is over.

    The search stays stopped, and the latest selfie stays to be decided about.
    """
    with unit_of_work():
        old = Selfie.network.is_not(None) & (Selfie.created_at < utcnow() - NETWORK_KEPT)
        db.session.execute(update(Selfie).where(old).values(network=None))
    earlier = aliased(Selfie)
    in_use = (Selfie.status == SelfieStatus.ACCEPTED) & Selfie.retired_at.is_(None)
    replaced = exists().where(
        earlier.person_id == Selfie.person_id,
        earlier.id < Selfie.id,
        earlier.status == SelfieStatus.ACCEPTED,
        earlier.retired_at.is_(None),
    )
    with reading():
        held = db.session.execute(
            select(Person.event_id, Selfie.id)
            .join(Person, Person.id == Selfie.person_id)
            .join(Membership, Membership.id == Person.membership_id)
            .where(Membership.search_stopped_at < utcnow() - HELD_BACK, in_use, Selfie.adds.is_(False), replaced)
        ).all()
    for event_id, selfie_id in held:
        with unit_of_work():
            event = locks.lock_event(event_id)
            selfie = db.session.get(Selfie, selfie_id, populate_existing=True)
            if selfie is not None and selfie.retired_at is None:
                selfie_erasure.retire_replaced(event, selfie)
                rematch_requests.templates_changed(event, locks.lock_person(selfie.person_id))
