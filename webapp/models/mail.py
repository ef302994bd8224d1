"""Mails that wait, and those that went out."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.clock import utcnow
from webapp.db.columns import new_public_id, word
from webapp.db.extensions import Model
from webapp.models.claimable import Claimable


class MailStatus(StrEnum):
    """A mail is a row first, so that none is lost with the queue."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"


class Mail(Claimable, Model):
    """One message."""

    __tablename__ = "mail"
    __table_args__ = (
        Index("ix_mail_status_lease", "status", "lease_expires_at"),
        Index("ix_mail_budget", "recipient_key", "purpose", "created_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True, default=new_public_id)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    recipient: Mapped[str] = mapped_column(index=True)
    recipient_key: Mapped[str] = mapped_column(default="", server_default=text("''"))
    """The mailbox that the address leads to, as `services.mail_budgets` counts it."""
    purpose: Mapped[str] = mapped_column(default="", server_default=text("''"))
    """Which budget of the mailbox it was taken from."""
    language: Mapped[str] = mapped_column(default="en")
    kind: Mapped[str]
    """Which template; secrets such as a link's token are made when it is rendered, so that none waits in a table."""
    params: Mapped[dict[str, str]]
    rendered: Mapped[str | None] = mapped_column(Text)
    """The text as it would have gone out; kept in development without SMTP only, for the page that shows it."""
    rendered_html: Mapped[str | None] = mapped_column(Text)
    """The HTML part of the same mail, kept on the same terms."""
    status: Mapped[MailStatus] = mapped_column(word(MailStatus), default=MailStatus.WAITING)
    failure_reason: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    sent_at: Mapped[datetime | None]
