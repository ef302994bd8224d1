"""Blobs that no row knows: what a process stored and did not live to write down. Each is thrown away after a day.

A blob is stored before the row that names it is committed, so that no row ever names a blob that is not there. A
process that is killed in between leaves a blob that nobody will ever ask for.

What is older than the installation's first account stays: it is another's, whose database was exchanged or whose store
somebody shares by mistake, and may be all that there is of its photos.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

import structlog
from sqlalchemy import select

from webapp.clock import utcnow
from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.models import Event, InstallationFact, Rendition, Selfie, Upload, User
from webapp.queueing import unit_of_work
from webapp.services.core import blobs, periodic

log = structlog.get_logger()

DUTY = "orphans"
EVERY = 24 * 3600.0
"""Seconds between two goes through all blobs."""

GO_ON_EVERY = 300.0
"""Seconds between two rounds of one go."""

AGE = timedelta(days=1)
"""Far longer than anything takes from storing a blob to the commit of its row."""

BATCH = 100
MOST_LOOKED_AT = 5_000
MOST_REMOVED = 100
MOST_SECONDS = 4.0
"""What one round does at most, so that nobody waits for it; the next goes on behind its last blob."""

PREFIX = "events/"
_PLACE = "orphans_after"


@dataclass(frozen=True, slots=True)
class Swept:
    """What one round did."""

    looked_at: int
    removed: int
    drafts: int


def sweep_daily() -> Swept | None:
    """One round if it is time for it and this process' turn, else None: each blob is looked at about once a day.

    To be called every few minutes, in a worker.

    Raises:
        Transient: the store is away; a later round begins where this one did.
    """
    turn = periodic.take(f"{DUTY} go on", GO_ON_EVERY) if _place() else periodic.take(DUTY, EVERY)
    return sweep() if turn else None


def sweep() -> Swept:
    """Look at some of the store's blobs, from where the last round stopped, and remove those that no row knows."""
    limit, store, deadline = utcnow() - AGE, blobs.store(), time.monotonic() + MOST_SECONDS
    drafts = store.forget_drafts(limit)
    looked_at = removed = 0
    after, begun = _place(), _begun()
    found = islice(store.dated_keys(PREFIX, after), MOST_LOOKED_AT)
    while batch := list(islice(found, BATCH)):
        looked_at += len(batch)
        removed += _remove_orphans(
            [key for key, stored_at in batch if begun is not None and begun <= stored_at < limit]
        )
        after = batch[-1][0]
        if removed >= MOST_REMOVED or time.monotonic() > deadline:
            break
    else:
        after = after if looked_at >= MOST_LOOKED_AT else ""
    _remember(after)
    if removed or drafts:
        log.info("orphans.removed", blobs=removed, drafts=drafts, looked_at=looked_at)
    return Swept(looked_at, removed, drafts)


def _remove_orphans(keys: list[str]) -> int:
    orphans = set(keys) - known(keys)
    for key in sorted(orphans):
        blobs.store().delete(key)
    return len(orphans)


def known(keys: Collection[str]) -> set[str]:
    """Those of these keys that a row names: as a rendition, a selfie or its preview, a cover, an upload under way."""
    # A selfie's row names the picture alone; its preview lies beside it.
    folders = {key.rpartition("/")[0] + "/" for key in keys if "/selfies/" in key}
    owners = {folder.rstrip("/").rpartition("/")[2] for folder in folders}
    with reading():
        named = {
            key
            for column in (Rendition.blob_key, Event.cover_key, Event.cover_small_key, Upload.blob_key)
            for key in db.session.scalars(select(column).where(column.in_(keys)))
        }
        pictures = set(db.session.scalars(select(Selfie.blob_key).where(Selfie.public_id.in_(owners))))
    named |= pictures | {blobs.selfie_preview_key(key) for key in pictures}
    return {key for key in keys if key in named}


def _begun() -> datetime | None:
    """When this installation got its first account, to the second, as stores reckon; None before that."""
    with reading():
        first = db.session.scalar(select(User.created_at).order_by(User.id).limit(1))
    return first.replace(microsecond=0) if first is not None else None


def _place() -> str:
    with reading():
        return db.session.scalar(select(InstallationFact.value).where(InstallationFact.name == _PLACE)) or ""


def _remember(after: str) -> None:
    with unit_of_work():
        db.session.merge(InstallationFact(name=_PLACE, value=after))
