"""The demo event of `make run`: real pictures through the real way in, so that a newcomer sees the product at work."""

import io
import secrets
from datetime import date
from typing import Any

from sqlalchemy import select

from webapp.db.extensions import db
from webapp.demo import compositions, facts
from webapp.models import Event, Membership, Photo, User, UserRole
from webapp.queueing import unit_of_work
from webapp.services.accounts import accounts, demo_accounts
from webapp.services.core import consents
from webapp.services.events import events
from webapp.services.joining import enrolment
from webapp.services.selfies import selfie_intake
from webapp.services.uploads import intake
from webapp.settings import Settings

CODE = "DEMO2026"
PEOPLE = {
    "admin": ("admin@example.com", "Demo Admin", UserRole.ADMIN),
    "photographer": ("photographer@example.com", "Demo Photographer", UserRole.PHOTOGRAPHER),
    "guest": ("guest@example.com", "Demo Guest", UserRole.GUEST),
}


def ensure(settings: Settings) -> dict[str, Any]:
    """Make what is missing of the demo and write DATA_DIR/demo.json; safe to repeat and to interrupt."""
    known = facts.read(settings.data_dir) or {}
    people = {role: _person(role, known) for role in facts.ROLES}
    folder = settings.data_dir / "demo"
    folder.mkdir(mode=0o700, exist_ok=True)
    pictures = compositions.compose(folder / "photos")
    owner, guest_face = sorted(pictures.selfies)[:2]
    selfie = folder / "selfie.jpg"
    selfie.write_bytes(pictures.selfies[owner])
    event = _event(people["photographer"]["email"])
    _photos(event, people["photographer"]["email"], pictures.photos)
    _guest(event, people["guest"]["email"], pictures.selfies[guest_face])
    about = {"url": settings.public_url, "event_code": event.code, "selfie": str(selfie), **people}
    facts.write(settings.data_dir, about)
    return about


def _person(role: str, known: dict[str, Any]) -> dict[str, str]:
    """The demo account of a role, with a password that is made once and kept in demo.json."""
    email, name, kind = PEOPLE[role]
    password = known.get(role, {}).get("password") or secrets.token_urlsafe(9)
    password_hash = demo_accounts.marked(accounts.hash_password(password))
    with unit_of_work():
        user = accounts.verified_user(email)
        if user is None:
            accounts.create_user(email=email, name=name, password_hash=password_hash, role=kind, verified=True)
        elif role not in known or _is_unmarked(user, password):
            user.password_hash = password_hash
    return {"email": email, "password": password}


def _is_unmarked(user: User, password: str) -> bool:
    """Whether the printed password opens the account outside a demo: it was made before there were marks."""
    kept = user.password_hash
    return kept is not None and not demo_accounts.is_marked(kept) and accounts.matches(kept, password)


def _user(email: str) -> User:
    return db.session.scalars(select(User).where(User.email == email, User.email_verified_at.is_not(None))).one()


def _event(owner_email: str) -> Event:
    with unit_of_work():
        event = db.session.scalar(select(Event).where(Event.code_key == CODE))
        if event is None:
            event = events.create_event(
                _user(owner_email), name="Garden Party", date=date(2026, 6, 20), place="The old orangery", code=CODE
            )
            event.join_days = None  # it is shown long after its date
    return event


def _photos(event: Event, owner_email: str, photos: list[tuple[str, bytes, set[str]]]) -> None:
    owner = _user(owner_email)
    # Those of an earlier start would be counted as handed in twice.
    known = set(db.session.scalars(select(Photo.filename).where(Photo.event_id == event.id)))
    for filename, content, _people in photos:
        if filename in known:
            continue
        intake.receive_photo(event, owner, filename, io.BytesIO(content))


def _guest(event: Event, email: str, picture: bytes) -> None:
    """A guest who has handed in their selfie already."""
    membership = db.session.scalar(
        select(Membership).join(User).where(Membership.event_id == event.id, User.email == email)
    )
    if membership is not None:
        return
    with selfie_intake.staged(event, io.BytesIO(picture)) as staged, unit_of_work():
        person = enrolment.own_person(enrolment.join(event, _user(email)))
        consents.grant_consent(person, consents.CONSENT_VERSION, language="en")
        selfie_intake.receive_selfie(person, staged)
