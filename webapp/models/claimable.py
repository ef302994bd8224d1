"""Rows that wait for work carry who works on them, until when, and how often it was tried."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column


class Claimable:
    """Columns that guard the work on a row; `webapp.services.claims` is the only writer.

    `attempts` is counted before the work starts and cleared by any outcome, so that a picture that kills its worker
    three times ends as failed(crashed) instead of looping. `retries` counts transient faults; `retry_at` is the moment
    from which the next try may start.
    """

    attempts: Mapped[int] = mapped_column(default=0)
    retries: Mapped[int] = mapped_column(default=0)
    retry_at: Mapped[datetime | None]
    claim: Mapped[str | None]
    lease_expires_at: Mapped[datetime | None]
