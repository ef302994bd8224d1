"""Who is on which photo: computed for one person at a time, as a diff.

A person's matches are a pure function of the event's faces, the person's templates and verdicts, and the thresholds.
Whatever happened is a reason to compute them again, and the order in which things happened is none.
"""

from dataclasses import dataclass

import numpy as np
from flask import current_app
from sqlalchemy import select

from webapp.clock import utcnow
from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.errors import FindMeError, Invalid, NotFound, Transient
from webapp.faces.core.vectors import from_blobs
from webapp.models import Band, Event, Face, Match, Membership, Person, User, Verdict
from webapp.queueing import unit_of_work
from webapp.services.core import claims, locks, rematch_requests
from webapp.services.core.claims import ClaimLostError
from webapp.services.matching import rematches
from webapp.services.matching.face_templates import all_templates, faces_state
from webapp.services.matching.searching import search
from webapp.services.rules import search_gate
from webapp.services.rules.thresholds import Found, Outcome, thresholds_of


@dataclass(slots=True)
class Diff:
    """What a computation changed."""

    added: int = 0
    removed: int = 0
    changed: int = 0
    kept: int = 0
    again: bool = False
    """Something asks for the matches once more already."""


def match_person(public_id: str) -> Diff | None:
    """Compute a person's matches until nothing asks for it any more; None when nothing did. Runs in a worker."""
    total: Diff | None = None
    while token := claims.claim(Person, public_id, rematch_requests.is_waiting() & search_gate.lets_person_pass()):
        try:
            with reading():
                person = db.session.scalars(select(Person).where(Person.public_id == public_id)).one()
                person_id, answered = person.id, person.match_wanted
                given_up, is_stopped = claims.cause_of_failure(person), _is_stopped(person)
            if is_stopped:
                _put_off(public_id, token)
                return total
            if given_up:
                _give_up(public_id, token, given_up)
                return total
            outcome = search(person_id, token)
        except ClaimLostError:
            # Erased, or taken over, or what it rested on has changed: then it is still ours, and starts anew.
            _let_go(public_id, token)
            continue
        except Transient as error:
            _try_later(public_id, token, error.code)
            return total
        except FindMeError as error:
            _give_up(public_id, token, error.code)
            return total
        except Exception:
            _try_later(public_id, token, "internal")
            raise
        diff = _store(public_id, token, answered, outcome)
        if diff is None:
            return total
        total = _sum(total, diff)
        if not diff.again:
            return total
    return total


def match_person_by_id(person_id: int) -> Diff | None:
    """The same, for a worker that has just marked this person."""
    with reading():
        public_id = db.session.scalar(select(Person.public_id).where(Person.id == person_id))
    return match_person(public_id) if public_id is not None else None


def concerned(event: Event, vectors: list[bytes]) -> list[int]:
    """The people whom any of these new faces resembles enough for at least a maybe."""
    templates = all_templates(event)
    if not vectors or not len(templates.persons):
        return []
    floor = thresholds_of(event, current_app.extensions["settings"]).maybe
    best = (from_blobs(vectors) @ templates.matrix.T).max(axis=0)
    return [int(person) for person in np.unique(templates.persons[best >= floor])]


def request_rematch(event: Event, actor: User) -> int:
    """Ask for new matches of everybody in the event; returns how many people that are. See
    `webapp.services.matching.rematches` for what becomes of a request while another rematch waits or runs.
    """
    return rematch_requests.request(event, actor)


def rematch_event(public_id: str) -> int:
    """Mark the people of the rematch that waits; returns how many they are. Runs in a worker."""
    with unit_of_work():
        event_id = db.session.scalar(select(Event.id).where(Event.public_id == public_id))
        if event_id is None:
            return 0
        return rematches.start(locks.lock_event(event_id))


def give_verdict(user: User, match_public_id: str, verdict: str) -> Match:
    """Keep what a person says of a match, for ever, and let it count for what is found next.

    Raises:
        NotFound: no match of theirs has this id.
        Invalid: no such verdict.
    """
    if verdict not in [word.value for word in Verdict]:
        raise Invalid(code="verdict_invalid", fields={"verdict": "verdict_invalid"})
    match = db.session.scalar(
        select(Match)
        .join(Person)
        .join(Membership)
        .where(Match.public_id == match_public_id, Membership.user_id == user.id)
    )
    if match is None or _is_stopped(match.person):
        raise NotFound(code="match_unknown")
    event, person = locks.lock_event(match.person.event_id), locks.lock_person(match.person_id)
    # A computation that ended just now may have taken the match away.
    match = db.session.scalar(select(Match).where(Match.id == match.id).execution_options(populate_existing=True))
    if match is None:
        raise NotFound(code="match_unknown")
    if match.verdict != verdict:
        match.verdict, match.decided_at = Verdict(verdict), utcnow()
        rematch_requests.templates_changed(event, person)
        person.match_revision += 1
        db.session.flush()
        rematch_requests.mark([person.id])
    return match


def _store(public_id: str, token: str, answered: int, outcome: Outcome) -> Diff | None:
    """Bring the person's rows to what was found, in one transaction; None when the claim was lost."""
    with reading():
        person = db.session.scalar(select(Person).where(Person.public_id == public_id))
        event_id = person.event_id if person is not None and person.expansion != outcome.expansion else None
    found = outcome.found
    with unit_of_work():
        # Locks are taken in one order: the event first, if its templates change.
        event = locks.lock_event(event_id) if event_id is not None else None
        person = claims.held(Person, public_id, token)
        if person is None:
            return None
        if not search_gate.may_search(person.id):
            claims.settle(person)
            return None
        if event is not None:
            _keep_expansion(event, person, outcome)
        known = {row.face_id: row for row in db.session.scalars(select(Match).where(Match.person_id == person.id))}
        # A photo may have been deleted since the search: its faces are not written any more.
        there = set(db.session.scalars(select(Face.id).where(Face.id.in_(list(found)))))
        diff = Diff()
        for face_id in there - known.keys():
            hit = found[face_id]
            db.session.add(_new_match(person, face_id, hit))
            diff.added += 1
        for face_id, row in known.items():
            _update(row, found.get(face_id), diff)
        if diff.added or diff.removed or diff.changed:
            person.match_revision += 1
        changes = {"added": diff.added, "removed": diff.removed, "changed": diff.changed, "kept": diff.kept}
        rematches.settle(person, answered, **changes)
        person.match_capped = outcome.capped
        person.match_done, person.matched_at = answered, utcnow()
        diff.again = person.match_wanted != person.match_done
        claims.settle(person)
        return diff


def _keep_expansion(event: Event, person: Person, outcome: Outcome) -> None:
    """Hold new photos against it from now on.

    A photo that came in meanwhile was not held against it: then the person is searched once more. That changes the
    expansion no further, since it follows from faces and templates alone.
    """
    person.expansion, person.expansion_version = outcome.expansion, event.engine_version
    if outcome.faces != faces_state(event):
        person.match_wanted += 1
    rematch_requests.templates_changed(event, person)


def _new_match(person: Person, face_id: int, hit: Found) -> Match:
    return Match(person_id=person.id, face_id=face_id, photo_id=hit.photo_id, similarity=hit.similarity, band=hit.band)


def _update(row: Match, hit: Found | None, diff: Diff) -> None:
    """Rows that stay as they are stay untouched; one that carries a verdict is never removed."""
    if hit is None and row.verdict is Verdict.NONE:
        db.session.delete(row)
        diff.removed += 1
    elif hit is None:
        diff.changed += row.band is not Band.NONE
        row.band = Band.NONE
    elif row.band is not hit.band or abs(row.similarity - hit.similarity) > 1e-6:
        row.band, row.similarity = hit.band, hit.similarity
        diff.changed += 1
    else:
        diff.kept += 1


def _try_later(public_id: str, token: str, reason: str) -> None:
    """After an error: give the person back for a later try, or say that it failed."""
    with unit_of_work():
        person: Person | None = claims.held(Person, public_id, token)
        if person is not None and not claims.postpone(person, reason):
            _fail(person, reason)


def _give_up(public_id: str, token: str, reason: str) -> None:
    with unit_of_work():
        person: Person | None = claims.held(Person, public_id, token)
        if person is not None:
            _fail(person, reason)


def _let_go(public_id: str, token: str) -> None:
    with unit_of_work():
        person: Person | None = claims.held(Person, public_id, token)
        if person is not None:
            claims.settle(person)


def _is_stopped(person: Person) -> bool:
    membership = person.membership
    db.session.refresh(membership, ["search_stopped_at"])
    return membership.search_stopped_at is not None


def _put_off(public_id: str, token: str) -> None:
    """Take the present marks as answered, since the search is stopped: whoever lets it go on asks for it anew."""
    with unit_of_work():
        person: Person | None = claims.held(Person, public_id, token)
        if person is None:
            return
        if _is_stopped(person):
            person.match_done = person.match_wanted
            rematch_requests.leave(person)
        claims.settle(person)


def _fail(person: Person, reason: str) -> None:
    person.match_failed, person.match_failure = True, reason
    rematches.fail(person)
    claims.settle(person)


def _sum(total: Diff | None, diff: Diff) -> Diff:
    if total is None:
        return diff
    return Diff(
        total.added + diff.added, total.removed + diff.removed, total.changed + diff.changed, total.kept + diff.kept
    )
