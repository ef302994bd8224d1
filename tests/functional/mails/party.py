"""An event with guests who asked to be mailed, made as rows."""

from datetime import timedelta

from flask import Flask
from sqlalchemy import delete, select, update

from tests.support import crowd
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import Lease, Mail, Membership, Photo, User
from webapp.queueing import unit_of_work
from webapp.services.events import publishing
from webapp.services.joining import enrolment, ready_mails

ADA, BOB = "ada@example.com", "bob@example.com"


def add_guest(app: Flask, event_id: str, email: str, *, wants: bool = True, proven: bool = True) -> None:
    """Add a guest with consent and a selfie."""
    with app.app_context(), unit_of_work():
        person = crowd.add_guest(crowd.event_of(event_id), email)
        person.membership.wants_mail = wants
        person.membership.user.email_verified_at = utcnow() if proven else None


def add_photos(app: Flask, event_id: str, email: str, *numbers: int) -> None:
    """Add published photos that show a guest."""
    with app.app_context(), unit_of_work():
        event = crowd.event_of(event_id)
        membership = enrolment.membership_of(event, crowd.user_of(email))
        assert membership is not None
        for number in numbers:
            crowd.add_photo(event, number, [enrolment.own_person(membership)])


def announce(app: Flask, event_id: str) -> None:
    """Say that photos are ready."""
    with app.app_context(), unit_of_work():
        publishing.announce(crowd.event_of(event_id))


def tell(app: Flask) -> int:
    """Run a round as a worker does, whenever the last one was."""
    with app.app_context():
        with unit_of_work():
            db.session.execute(delete(Lease))
        return ready_mails.tell() or 0


def pass_time(app: Flask, passed: timedelta) -> None:
    """Put what was told, and all photos that there are, further into the past."""
    with app.app_context(), unit_of_work():
        for membership in db.session.scalars(select(Membership).where(Membership.told_at.is_not(None))):
            assert membership.told_at is not None
            membership.told_at -= passed
        moved = {"published_at": utcnow() - timedelta(days=9)}
        db.session.execute(update(Photo).values(**moved))
        db.session.connection().exec_driver_sql("UPDATE match SET created_at = '2026-01-01 00:00:00'")


def told(app: Flask) -> list[tuple[str, str, str]]:
    """Return each mail about photos: recipient, whether it is the first, how many photos."""
    with app.app_context():
        mails = db.session.scalars(select(Mail).where(Mail.kind == ready_mails.MAIL_KIND).order_by(Mail.id))
        return [(mail.recipient, mail.params["first"], mail.params["count"]) for mail in mails]


def change(app: Flask, email: str, **values: object) -> None:
    """Change columns of a guest's membership."""
    with app.app_context(), unit_of_work():
        mine = select(User.id).where(User.email == email).scalar_subquery()
        db.session.execute(update(Membership).where(Membership.user_id == mine).values(**values))


def stop_path(app: Flask, email: str) -> str:
    """Return the path of the link that stops a guest's mails."""
    with app.app_context():
        mine = select(Membership).join(User, User.id == Membership.user_id).where(User.email == email)
        return f"/mails/stop/{ready_mails.stop_token(db.session.scalars(mine).one())}"


def wants(app: Flask, email: str) -> bool:
    """Return whether a guest gets mails."""
    with app.app_context():
        mine = select(Membership.wants_mail).join(User, User.id == Membership.user_id).where(User.email == email)
        return bool(db.session.scalars(mine).one())
