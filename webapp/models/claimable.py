"""Columns of rows that a worker claims while it works on them."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column


class Claimable:
    """Columns that guard the work on a row; `webapp.services.core.claims` is the only writer.

    `crashes` counts processes that died of the work on this row, `interruptions` those that died of something else
    while they had it (see docs/decisions/0011); any outcome clears both. `retries` counts transient faults; `retry_at`
    is the time from which the next try may start.
    """

    crashes: Mapped[int] = mapped_column(default=0)
    interruptions: Mapped[int] = mapped_column(default=0)
    retries: Mapped[int] = mapped_column(default=0)
    retry_at: Mapped[datetime | None]
    claim: Mapped[str | None]
    lease_expires_at: Mapped[datetime | None]
