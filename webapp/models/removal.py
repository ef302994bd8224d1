"""What has to go outside the database: written down in the transaction that forgets it here, carried out by a job."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from webapp.clock import utcnow
from webapp.db.columns import new_public_id, word
from webapp.db.extensions import Model
from webapp.models.claimable import Claimable


class RemovalKind(StrEnum):
    """Where the things lie that have to go."""

    BLOBS = "blobs"
    """`targets` are keys in the blob store."""
    BLOB_PREFIXES = "blob_prefixes"
    """`targets` are what the keys of all blobs to remove start with."""
    PHOTO_FACES = "photo_faces"
    """`targets` are a service's ids of faces in an event's collection of photos."""
    GUEST_FACES = "guest_faces"
    """The same in its collection of guests."""
    PHOTO_NAMES = "photo_names"
    """`targets` are public ids of photos: whatever lies under these names in that collection and no row knows of."""
    GUEST_NAMES = "guest_names"
    """The same with public ids of selfies and people, in the collection of guests."""
    USERS = "users"
    """`targets` are people's public ids, whose user vectors a service keeps."""
    COLLECTIONS = "collections"
    """Everything that a service keeps of the event."""


class Removal(Claimable, Model):
    """Things to remove. The row goes once they are gone; it never gives up."""

    __tablename__ = "removal"
    __table_args__ = (Index("ix_removal_lease", "lease_expires_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True, default=new_public_id)
    kind: Mapped[RemovalKind] = mapped_column(word(RemovalKind))
    event_public_id: Mapped[str]
    """No foreign key: it outlives its event."""
    targets: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
