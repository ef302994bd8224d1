"""Whatever is sent to whatever address by whomever: an answer, and never a crash.

Hypothesis draws calls for each rule of the app and each of its methods, as each role. `make test` makes a few of each
with a fixed seed; `make fuzz` makes many rounds with seeds of their own, each on a database of its own.
"""

import os
import random
from dataclasses import replace
from itertools import count

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, given
from hypothesis import seed as with_seed
from hypothesis import settings as how
from sqlalchemy import select
from werkzeug.routing import Rule

from tests.attacks.odd_calls import Call, Identity, Target, calls
from tests.support.actors import PASSWORD, Api, World, photos_with, selfie
from tests.support.browsing import Browser
from tests.support.crowd import event_of, user_of
from webapp import queueing
from webapp.db.extensions import db
from webapp.models import Invitation, Match, Person, Photo, Selfie, UserRole
from webapp.queueing import unit_of_work
from webapp.services.accounts import sign_in_links
from webapp.services.events import invitations
from webapp.services.uploads import upload_tokens

SEED = int(os.environ.get("FUZZ_SEED", "20260620"))
ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "1"))
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "7"))
"""Calls of each rule by each method, in each round; the roles take turns, so that these are one of each."""

OWNER, TEAM, RIVAL, ADMIN = (f"{name}@example.com" for name in ("photographer", "team", "rival", "admin"))
ROLES = ("nobody", "guest", "stranger", "owner", "team", "admin", "upload token")

ENDINGS = (
    "auth.sign_out",
    "api_accounts.logout",
    "account.decide",
    "accounts.disable",
    "api_guests.delete_selfie",
    "guest.withdraw",
    "event_settings.close",
    "event_settings.delete",
    "team.remove",
    "team.hand_over",
)
"""After these there is less to find, so they come last."""


def seeds() -> list[int]:
    """One for each round; the first is the one that was given."""
    return [SEED, *(random.Random(f"{SEED} {number}").randrange(2**32) for number in range(1, ROUNDS))]


@pytest.fixture
def target(app: Flask, world: World, api: Api) -> Target:
    """An event with photos, two guests, a team and a token; another event; and a browser and a program of each role."""
    event_id, other = world.event(), world.event("OTHER234", owner=RIVAL)
    world.person(TEAM, UserRole.PHOTOGRAPHER)
    world.person(ADMIN, UserRole.ADMIN)
    world.person("bystander@example.com")
    world.add_photos(event_id, *photos_with("grace", 2))
    world.add_photos(other, *photos_with("eileen", 1))
    for name, code in (("guest", world.code), ("stranger", "OTHER234")):
        assert api.register(code, name).upload_selfie(selfie("grace")).status_code == 200
    Browser(app).sign_in(OWNER, PASSWORD).submit(f"/studio/events/{event_id}/team", {"email": TEAM})
    world.work()
    logins = {"guest": "guest", "stranger": "stranger", "owner": OWNER, "team": TEAM, "admin": ADMIN}
    identities = {role: _identity(app, api, login) for role, login in logins.items()}
    with app.app_context():
        ids, token = _ids(event_id, other)
    identities |= {"nobody": _identity(app, api), "upload token": Identity(bearer=token)}
    more = {"cookie": identities["guest"].cookie, "jpeg": selfie("grace").decode("latin-1")}
    return Target(app, identities, ids | more)


def _identity(app: Flask, api: Api, login: str = "") -> Identity:
    browser = Browser(app)
    bearer = ""
    if login:
        browser.sign_in(login, PASSWORD)
        bearer = api.login(login).token or ""
    csrf = browser.token("/")
    cookies = ((name, browser.client.get_cookie(name)) for name in ("findme", "device"))
    return Identity("; ".join(f"{name}={cookie.value}" for name, cookie in cookies if cookie), csrf, bearer)


def _ids(event_id: str, other: str) -> tuple[dict[str, str], str]:
    """What calls name, and an upload token. The longer of two names that begin alike comes first."""
    queueing.enqueue(queueing.SEND_MAIL, "nothing")
    event, owner, invited = event_of(event_id), user_of(OWNER), "invited@example.com"
    with unit_of_work():
        row, token = upload_tokens.create(event, owner, "Laptop")
        token_id = row.public_id
        invitations.invite_photographer(invited, user_of(ADMIN), "en")
        link = sign_in_links.new_token(user_of("bystander@example.com"))
    invitation = db.session.scalars(select(Invitation.public_id)).first() or ""
    with unit_of_work():
        renewed = invitations.renew_token(invitation)
    ids = {
        "event": event_id,
        "other_event": other,
        "token": token_id,
        "link": link,
        "invitation_row": invitation,
        "invitation": renewed[1] if renewed else "",
        "job": queueing.SEND_MAIL.job_id("nothing"),
        "account": user_of("guest@example.com").public_id,
        "bystander": user_of("bystander@example.com").public_id,
        "match": db.session.scalars(select(Match.public_id)).first() or "",
        "upload": "A" * 16,
    }
    for name, its_event in (("", event_id), ("other_", other)):
        of_event = event_of(its_event).id
        ids |= {
            f"{name}photo": db.session.scalars(select(Photo.public_id).where(Photo.event_id == of_event)).first() or "",
            f"{name}person": db.session.scalars(
                select(Person.public_id).join(Selfie).where(Person.event_id == of_event)
            ).first()
            or "",
            f"{name}selfie": db.session.scalars(
                select(Selfie.public_id).join(Person).where(Person.event_id == of_event)
            ).first()
            or "",
        }
    return ids, token


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", seeds())
def test_no_call_of_any_address_crashes(target: Target, seed: int) -> None:
    faults: dict[str, str] = {}
    for rule, method in addresses(target.app):
        _try(target, rule, method, seed, faults)
    assert not faults, (
        f"{len(faults)} faults; `make fuzz FUZZ_SEED={seed}` draws the same calls again.\n\n"
        + "\n\n".join(f"{place}\n{fault}" for place, fault in faults.items())
    )


def addresses(app: Flask) -> list[tuple[Rule, str]]:
    """Every rule with each of its methods."""
    found = [(rule, method) for rule in app.url_map.iter_rules() for method in sorted(rule.methods or ())]
    return sorted(found, key=lambda pair: (pair[0].endpoint in ENDINGS, pair[0].rule, pair[1]))


def is_flasks(rule: Rule, method: str) -> bool:
    """Whether Flask adds this method to our view automatically."""
    head = method == "HEAD" and "GET" in (rule.methods or ())
    return head or (method == "OPTIONS" and bool(rule.provide_automatic_options))


def _try(target: Target, rule: Rule, method: str, seed: int, faults: dict[str, str]) -> None:
    """Make some calls. Faults are collected, so that one run names them all, and none is tried again to be shrunk."""
    turns = count(random.Random(f"{seed} {rule.rule} {method}").randrange(len(ROLES)))
    examples = 2 if is_flasks(rule, method) else EXAMPLES

    @with_seed(f"{seed} {rule.rule} {method}")
    @how(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(drawn=calls(rule, method))
    def make(drawn: Call) -> None:
        call = replace(drawn, role=ROLES[next(turns) % len(ROLES)])
        if fault := target.make(call):
            faults.setdefault(f"{method} {rule.rule}: {fault.strip().splitlines()[-1]}", f"{call!r}\n{fault}")

    make()
