"""The demo event of `make run`: real pictures through the real way in, so that a newcomer sees the product at work."""

import io
import json
import os
import secrets
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import select

from webapp import demo_pictures
from webapp.extensions import db
from webapp.models import Event, Membership, Photo, User, UserRole
from webapp.queueing import unit_of_work
from webapp.services import accounts, enrolment, events, selfies, uploads
from webapp.settings import Settings

CODE = "DEMO2026"
PEOPLE = {
    "admin": ("admin@example.com", "Demo Admin", UserRole.ADMIN),
    "photographer": ("photographer@example.com", "Demo Photographer", UserRole.PHOTOGRAPHER),
    "guest": ("guest@example.com", "Demo Guest", UserRole.GUEST),
}


def ensure(settings: Settings) -> dict[str, Any]:
    """Make what is missing of the demo and write DATA_DIR/demo.json; safe to repeat and to interrupt."""
    path = settings.data_dir / "demo.json"
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    people = {role: _person(role, known) for role in PEOPLE}
    folder = settings.data_dir / "demo"
    folder.mkdir(exist_ok=True)
    pictures = demo_pictures.compose(folder / "photos")
    owner, guest_face = sorted(pictures.selfies)[:2]
    selfie = folder / "selfie.jpg"
    selfie.write_bytes(pictures.selfies[owner])
    event = _event(people["photographer"]["email"])
    _photos(event, people["photographer"]["email"], pictures.photos)
    _guest(event, people["guest"]["email"], pictures.selfies[guest_face])
    about = {"url": settings.public_url, "event_code": event.code, "selfie": str(selfie), **people}
    _write(path, about)
    return about


def describe(about: dict[str, Any]) -> str:
    """What `make run` prints for a newcomer."""
    lines = [
        "",
        "FindMe is ready.",
        "",
        f"  Be a guest       {about['url']}/e/{about['event_code']}",
        f"  Event code       {about['event_code']}",
        f"  Sample selfie    {about['selfie']}",
        "",
        f"  Mails it sends   {about['url']}/dev/mail",
        f"  Sign in at       {about['url']}/sign-in",
    ]
    lines += [
        f"  {role.capitalize():<16} {about[role]['email']}   password {about[role]['password']}" for role in PEOPLE
    ]
    return "\n".join([*lines, "", "  Ctrl-C stops everything.", ""])


def _person(role: str, known: dict[str, Any]) -> dict[str, str]:
    """The demo account of a role, with a password that is made once and kept in demo.json."""
    email, name, kind = PEOPLE[role]
    password = known.get(role, {}).get("password") or secrets.token_urlsafe(9)
    password_hash = accounts.hash_password(password)
    with unit_of_work():
        user = accounts.verified_user(email)
        if user is None:
            accounts.create_user(email=email, name=name, password_hash=password_hash, role=kind, verified=True)
        elif role not in known:
            user.password_hash = password_hash
    return {"email": email, "password": password}


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
        uploads.receive_photo(event, owner, filename, io.BytesIO(content))


def _guest(event: Event, email: str, picture: bytes) -> None:
    """A guest who has handed in their selfie already."""
    membership = db.session.scalar(
        select(Membership).join(User).where(Membership.event_id == event.id, User.email == email)
    )
    if membership is not None:
        return
    with selfies.staged(event, io.BytesIO(picture)) as staged, unit_of_work():
        person = enrolment.own_person(enrolment.join(event, _user(email)))
        enrolment.grant_consent(person, enrolment.CONSENT_VERSION, language="en")
        selfies.receive_selfie(person, staged)


def _write(path: Path, about: dict[str, Any]) -> None:
    """Whole or not at all, and for the owner's eyes only: it holds passwords."""
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(about, file, indent=1)
    draft.replace(path)
