"""After a leak: who is affected, by the command and by the queries of docs/breaches.md; and ending all access."""

import csv
import io
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import func, select, text, update

from tests.support import messy_event
from tests.support.actors import PASSWORD, Api, World, photos_with, selfie
from tests.support.browsing import Browser
from tests.support.crowd import user_of
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import FaceVector, Invitation, Mail, Membership, Person, SelfieVector, User
from webapp.queueing import unit_of_work
from webapp.services.accounts import sign_in_links
from webapp.services.uploads import upload_tokens

PAGE = Path(__file__).resolve().parents[3] / "docs" / "breaches.md"
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["findme", *arguments])


def listed(app: Flask, *arguments: str) -> list[dict[str, str]]:
    answer = run(app, "affected", *arguments)
    assert answer.exit_code == 0, answer.output
    return list(csv.DictReader(io.StringIO(answer.stdout)))


@pytest.mark.both_databases
def test_everybody_of_a_messy_event_is_named_with_what_is_kept(app: Flask, world: World, api: Api) -> None:
    messy_event.build(app, world, api)
    rows = listed(app, world.code)
    by_name = {row["name"]: row for row in rows if row["name"]}
    with app.app_context():
        members = set(db.session.scalars(select(User.public_id).join(Membership).join_from(Membership, Person)))
        assert {row["account"] for row in rows} >= members
        assert sum(int(row["templates"]) for row in rows) >= db.session.scalar(
            select(func.count()).select_from(SelfieVector)
        ), "none of a guest is missing"
    found = by_name["found"]
    assert (found["email"], found["email_proven"], found["role"]) == ("found@example.com", "yes", "attendee")
    assert int(found["selfie_pictures"]) == 1 and int(found["templates"]) >= 1 and int(found["photos"]) >= 1
    assert found["consent_version"] and found["consent_given"] and not found["consent_withdrawn"]
    withdrawn = by_name["withdrawn"]
    assert (withdrawn["selfie_pictures"], withdrawn["templates"], withdrawn["photos"]) == ("0", "0", "0")
    assert by_name["bare"]["templates"] == "0" and by_name["bare"]["email"] == "bare@example.com"
    owner = next(row for row in rows if row["email"] == messy_event.OWNER)
    assert owner["role"] == "owner" and int(owner["photos_handed_in"]) > 0
    assert "newcomer@example.com" in {row["email"] for row in rows if row["role"] == "invited"}


@pytest.mark.both_databases
def test_the_queries_of_the_page_name_the_same_people(app: Flask, world: World, api: Api) -> None:
    messy_event.build(app, world, api)
    people, faces, erased = QUERIES
    rows = listed(app, world.code)
    with app.app_context():
        found = [dict(row) for row in db.session.execute(text(people.replace("YOURCODE", world.code))).mappings()]
        named = [row for row in rows if row["role"] != "invited"]
        assert len(found) == len(named)
        for name in ("account", "email", "selfie_pictures", "templates", "photos"):
            assert [str(row[name] or "") for row in found] == [
                row[name].removeprefix("'") if row[name] != "0" else "" for row in named
            ], name
        counted = db.session.execute(text(faces.replace("YOURCODE", world.code))).one()
        assert counted[1] == db.session.scalar(select(func.count()).select_from(FaceVector))
        assert "selfies.erased" in {row.action for row in db.session.execute(text(erased))}


@pytest.mark.both_databases
def test_all_names_those_outside_of_events_too(app: Flask, world: World, api: Api) -> None:
    world.event()
    world.person("alone@example.com")
    with app.app_context(), unit_of_work():
        db.session.add(Mail(recipient="gone@example.com", kind="sign_in", params={}))
    rows = {row["email"]: row for row in listed(app, "--all")}
    assert rows["photographer@example.com"]["role"] == "owner"
    assert (rows["alone@example.com"]["role"], rows["alone@example.com"]["password"]) == ("guest", "yes")
    assert rows["gone@example.com"]["role"] == "mailed"
    assert {"alone@example.com", "gone@example.com"}.isdisjoint(row["email"] for row in listed(app, world.code))


@pytest.mark.both_databases
def test_other_events_and_those_who_came_later_are_left_out(app: Flask, world: World, api: Api) -> None:
    world.event()
    api.register(world.code, "ada")
    api.register(world.code, "late")
    world.event("OTHER234", owner="second@example.com")
    api.register("OTHER234", "elsewhere")
    with app.app_context(), unit_of_work():
        late = user_of("late@example.com")
        later = update(Membership).where(Membership.user_id == late.id)
        db.session.execute(later.values(created_at=utcnow() + timedelta(days=3)))
    moment = (utcnow() + timedelta(days=1)).strftime("%Y-%m-%d %H:%M:%S")
    named = {row["name"] for row in listed(app, world.code, "--until", moment)}
    assert "ada" in named and named.isdisjoint({"late", "elsewhere"})
    assert {row["event_code"] for row in listed(app, "--all")} >= {world.code, "OTHER234"}


def test_a_name_is_no_formula_of_a_spreadsheet(app: Flask, world: World, api: Api) -> None:
    world.event()
    api.register(world.code, "ada")
    with app.app_context(), unit_of_work():
        db.session.execute(update(Person).values(name='=HYPERLINK("https://example.com")'))
    assert '\'=HYPERLINK("https://example.com")' in {row["name"] for row in listed(app, world.code)}


def test_an_event_or_all_must_be_named(app: Flask, world: World) -> None:
    world.event()
    assert run(app, "affected").exit_code == 2
    assert run(app, "affected", world.code, "--all").exit_code == 2
    unknown = run(app, "affected", "NOWHERE99")
    assert unknown.exit_code == 1 and unknown.stdout == ""


@pytest.mark.both_databases
def test_ending_access_ends_every_way_in_and_erases_nothing(app: Flask, world: World, api: Api) -> None:
    event_id = world.event()
    guest = api.register(world.code, "ada")
    assert guest.upload_selfie(selfie("grace")).status_code == 200
    browser = Browser(app).sign_in("photographer@example.com", PASSWORD)
    assert browser.submit(f"/studio/events/{event_id}/team", {"email": "new@example.com"}, page="/").status_code == 303
    with app.app_context(), unit_of_work():
        link = sign_in_links.new_token(user_of("ada@example.com"))
        owner = user_of("photographer@example.com")
        owned = db.session.scalars(select(Membership).where(Membership.user_id == owner.id)).one().event
        _, token = upload_tokens.create(owned, owner, "laptop")
    upload = Api(app, token)
    before = _kept(app)
    answer = run(app, "end-access", "--yes")
    assert answer.exit_code == 0 and "2 sessions, " in answer.output, answer.output
    assert guest.get("/me").status_code == 401
    assert browser.get("/api/me").status_code == 401
    stranger = Browser(app)
    stranger.submit(f"/sign-in/{link}", {}, page="/")
    assert stranger.get("/api/me").status_code == 401
    assert upload.upload_photos(event_id, *photos_with("grace", 1)).status_code == 401
    with app.app_context():
        assert db.session.scalars(select(Invitation)).one().revoked_at is not None
    assert _kept(app) == before
    assert api.login("ada", PASSWORD).get("/me").status_code == 200, "who has a password comes back"


def _kept(app: Flask) -> dict[str, Any]:
    with app.app_context():
        return {row["email"]: row for row in listed(app, "--all")}
