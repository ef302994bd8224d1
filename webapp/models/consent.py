"""What a person agreed to: the ledger, append-only but for the withdrawal."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from webapp.clock import utcnow
from webapp.db.extensions import Model


class Consent(Model):
    """Consent to face search in one event, with the text that was shown."""

    __tablename__ = "consent"

    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), index=True)
    text_version: Mapped[str]
    language: Mapped[str]
    granted_at: Mapped[datetime] = mapped_column(default=utcnow)
    withdrawn_at: Mapped[datetime | None]
