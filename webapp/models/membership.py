"""Who belongs to an event, and the persons whose faces are searched for."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import ForeignKey, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from webapp.clock import utcnow
from webapp.db.columns import new_public_id, word
from webapp.db.extensions import Model
from webapp.models.claimable import Claimable
from webapp.models.user import User

if TYPE_CHECKING:
    from webapp.models.event import Event


class MembershipRole(StrEnum):
    """What a user is in one event."""

    OWNER = "owner"
    TEAM = "team"
    ATTENDEE = "attendee"


class Admission(StrEnum):
    """Whether a guest is let in, at an event whose photographer admits guests. All others are admitted by joining."""

    ADMITTED = "admitted"
    WAITING = "waiting"
    REFUSED = "refused"


class PersonKind(StrEnum):
    """Oneself, or somebody in one's care."""

    SELF = "self"
    DEPENDANT = "dependant"


class Membership(Model):
    """A user's place in an event."""

    __tablename__ = "membership"
    __table_args__ = (UniqueConstraint("event_id", "user_id"), UniqueConstraint("event_id", "claimed_email"))

    id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("event.id", ondelete="CASCADE"))
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    role: Mapped[MembershipRole] = mapped_column(word(MembershipRole), default=MembershipRole.ATTENDEE)
    admission: Mapped[Admission] = mapped_column(
        word(Admission), default=Admission.ADMITTED, server_default=text("'admitted'")
    )
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    claimed_email: Mapped[str | None]
    """The account's address while it is unproven, for the first account that joined the event with it; null for every
    further one, and once the address is proven or dropped."""
    selfies_counted: Mapped[int] = mapped_column(default=0, server_default="0")
    """Selfies handed in since `selfies_counted_since`; erasing them does not lower it."""
    selfies_counted_since: Mapped[datetime | None]
    """When the day began whose selfies are counted."""
    selfie_allowance: Mapped[int | None]
    """How many selfies the photographer lets this guest hand in on that day; null: the usual number."""
    faces_seen: Mapped[int] = mapped_column(default=0, server_default="0")
    """How often an accepted selfie showed another face than those in use. A plain count: no face is kept for it."""
    faces_drift: Mapped[float] = mapped_column(default=0.0, server_default="0")
    """How far the face has moved from selfie to selfie that each counted as the same one. A plain sum as well."""
    note: Mapped[str | None]
    """What a guest who joined without a selfie wrote to the photographer."""
    search_stopped_at: Mapped[datetime | None]
    """Set: nothing is searched for this account, and nothing that was found is shown to it."""
    wants_mail: Mapped[bool] = mapped_column(default=False, server_default=false())
    """The guest asked for a mail when there are photos of them; only a proven address gets any."""
    told_ready_at: Mapped[datetime | None]
    """When the mail that their photos are ready was written: once per event."""
    told_at: Mapped[datetime | None]
    """When the last mail about photos was written; photos that came out later are new to the guest."""

    event: Mapped["Event"] = relationship(back_populates="memberships")
    user: Mapped[User] = relationship()
    persons: Mapped[list["Person"]] = relationship(
        back_populates="membership", cascade="all, delete-orphan", passive_deletes=True, order_by="Person.id"
    )

    @property
    def runs_event(self) -> bool:
        return self.role in (MembershipRole.OWNER, MembershipRole.TEAM)

    @property
    def is_admitted(self) -> bool:
        return self.admission is Admission.ADMITTED


class Person(Claimable, Model):
    """Somebody who is searched for: selfies, consent and matches hang here.

    `match_wanted` counts the reasons to compute this person's matches, `match_done` is the count that the last
    computation answered. Work waits exactly while they differ, whatever happens to the queue.
    """

    __tablename__ = "person"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True, default=new_public_id)
    membership_id: Mapped[int] = mapped_column(ForeignKey("membership.id", ondelete="CASCADE"), index=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("event.id", ondelete="CASCADE"), index=True)
    kind: Mapped[PersonKind] = mapped_column(word(PersonKind), default=PersonKind.SELF)
    name: Mapped[str]
    match_wanted: Mapped[int] = mapped_column(default=0)
    match_done: Mapped[int] = mapped_column(default=0)
    match_failed: Mapped[bool] = mapped_column(default=False)
    """The last computation gave up; what was found before still stands, and a rematch tries again."""
    match_failure: Mapped[str | None]
    """Why it gave up."""
    match_capped: Mapped[bool] = mapped_column(default=False, server_default=false())
    """The service's answer was cut at its limit: the person has more matches than it can tell."""
    match_revision: Mapped[int] = mapped_column(default=0)
    """Moves whenever a match or a verdict of this person changes."""
    matched_at: Mapped[datetime | None]
    expansion: Mapped[bytes | None]
    """The mean of the templates and their own strong matches, as the last search computed it; biometric like these."""
    expansion_version: Mapped[str | None]
    """The engine's version that it belongs to."""
    templates_revision: Mapped[int] = mapped_column(default=0, server_default="0")
    """The event's, when this person's templates changed last."""
    user_key: Mapped[str | None]
    """Which faces make up the person's user vector at a service; null: it has none."""
    created_at: Mapped[datetime] = mapped_column(default=utcnow)

    membership: Mapped[Membership] = relationship(back_populates="persons")
