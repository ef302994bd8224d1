"""All processes of an installation have to see the same blobs: what one stores the others look for.

The first process writes into the database which store that is, and whoever comes with another refuses to start.
"""

import structlog
from sqlalchemy import inspect, select
from sqlalchemy.exc import IntegrityError

from webapp.db.database import reading
from webapp.db.extensions import db
from webapp.errors import ConfigurationError
from webapp.models import InstallationFact
from webapp.queueing import unit_of_work
from webapp.services.core import blobs

log = structlog.get_logger()

_STORE = "blob_store"


def check_blob_store() -> None:
    """Compare this process' store with the installation's; the first one sets it. Call it outside any unit of work.

    A database that is not migrated yet knows no installation, and nothing is compared.

    Raises:
        ConfigurationError: this process would not see what the others store; says what to do.
        Transient: the store's folder can't be read or written.
    """
    if not inspect(db.engine).has_table(InstallationFact.__tablename__):
        return
    ours = blobs.store().identity
    theirs = _known() or _set_first(ours)
    if theirs != ours:
        raise ConfigurationError(_refusal(ours, theirs))


def adopt_store() -> str:
    """Make this process' store the installation's; returns its identity.

    For a move that is meant: the blobs have been copied, and all processes are started anew after it.
    """
    ours = blobs.store().identity
    with unit_of_work():
        db.session.merge(InstallationFact(name=_STORE, value=ours))
    log.info("installation.store_adopted", store=ours)
    return ours


def _known() -> str | None:
    with reading():
        return db.session.scalar(select(InstallationFact.value).where(InstallationFact.name == _STORE))


def _set_first(ours: str) -> str:
    """Write down our store unless another process was quicker; returns what stands there now."""
    with unit_of_work():
        try:
            with db.session.begin_nested():
                db.session.add(InstallationFact(name=_STORE, value=ours))
            return ours
        except IntegrityError:
            pass
    return _known() or ours


def _refusal(ours: str, theirs: str) -> str:
    return (
        f"This process keeps pictures in {_in_words(ours)}, but this installation keeps them in {_in_words(theirs)}: "
        "what one process stores the others would not find, so nothing is started. Web and workers on several machines "
        "need BLOB_STORE=s3 with the same bucket, or one shared folder as DATA_DIR/blobs. If the pictures were moved "
        "here on purpose, copy them first and then run: flask --app wsgi findme adopt-store"
    )


def _in_words(identity: str) -> str:
    kind, _, name = identity.partition(":")
    return f"the bucket {name}" if kind == "s3" else f"the local folder with the id {name[:8]}"
