"""The append-only log of who did what."""

from webapp.db.extensions import db
from webapp.models import AuditEntry, User


def record(actor: User | None, action: str, object_kind: str, object_id: str) -> str:
    """Add a line, which is committed with the deed itself. Returns its public id, which serves as a receipt."""
    line = AuditEntry(actor_id=actor.id if actor else None, action=action, object_kind=object_kind, object_id=object_id)
    db.session.add(line)
    db.session.flush()
    return line.public_id
