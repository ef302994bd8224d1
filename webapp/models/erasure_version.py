"""Which erasure of face data was the last one, and how far its traces are removed."""

from sqlalchemy.orm import Mapped, mapped_column

from webapp.db.extensions import Model


class ErasureVersion(Model):
    """One row, raised in the transaction of each erasure. Without a row nothing was erased yet."""

    __tablename__ = "erasure_version"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Always 1."""
    version: Mapped[int]
    truncated: Mapped[int]
    """The version at which SQLite's write-ahead log was last truncated; while it is behind, a checkpoint is owed."""
    compacted: Mapped[int]
    """The version at which SQLite's file was last rewritten by VACUUM."""
