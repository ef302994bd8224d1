"""Going on after an admin has disabled one's account.

Somebody whose account is disabled holds cookies, tokens, links, a password, perhaps a folder that uploads by itself,
an upload under way, and selfies in the queue. They could also be an admin who disables the others first.

What must hold: no way of identifying works any more, from the commit on; what runs for them ends, and nothing that it
finds is written. What they handed in before stays, and enabling the account gives it back. An installation always has
an admin who can sign in.
"""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from jobs import tasks
from tests.cloud.s3_servers import S3Server, open_bucket
from tests.support.actors import PASSWORD, Api, World, demo_photos, photos_with, selfie
from tests.support.browsing import Browser, text
from tests.support.process_app import ProcessApps
from tests.support.sender import Sender
from tests.support.tus import Tus
from webapp import tokens
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.errors import Conflict, NotFound, Unauthenticated
from webapp.models import (
    AuditEntry,
    Event,
    Invitation,
    Mail,
    Match,
    Person,
    Photo,
    Selfie,
    SelfieStatus,
    Upload,
    User,
    UserRole,
    UserSession,
)
from webapp.queueing import unit_of_work
from webapp.services.accounts import accounts, disabling, sign_in_links
from webapp.services.core import blobs
from webapp.services.matching import matching
from webapp.services.recovery import sweeper
from webapp.services.selfies import judging
from webapp.services.upkeep import cleanup
from webapp.services.uploads import tus as tus_uploads
from webapp.services.uploads import upload_tokens
from webapp.settings import Settings

ADMIN, OWNER, GUEST = "admin@example.com", "photographer@example.com", "ada@example.com"


def user_id(app: Flask, email: str) -> str:
    with app.app_context():
        return db.session.scalars(select(User.public_id).where(User.email == email)).one()


@pytest.fixture
def admin(app: Flask, world: World) -> Browser:
    world.person(ADMIN, UserRole.ADMIN)
    return Browser(app).sign_in(ADMIN, PASSWORD)


def press(admin: Browser, action: str, email: str) -> str:
    """Disable or enable an account as an admin; returns the page that follows."""
    page = f"/admin/people/accounts/{user_id(admin.app, email)}"
    assert admin.submit(f"{page}/{action}", page=page).status_code == 303
    return text(admin.get(page))


def count(app: Flask, model: type[Any]) -> int:
    with app.app_context():
        return len(db.session.scalars(select(model)).all())


# --- ways of identifying ---


def test_no_way_of_identifying_works_any_more(app: Flask, world: World, admin: Browser) -> None:
    event_id = world.event()
    browser, client = Browser(app).sign_in(OWNER, PASSWORD), Api(app).login(OWNER)
    with app.app_context(), unit_of_work():
        event, owner = db.session.scalars(select(Event)).one(), accounts.verified_user(OWNER)
        assert owner is not None
        program = Api(app, upload_tokens.create(event, owner, "Folder")[1])
        link = sign_in_links.new_token(owner)
    ways: dict[str, Callable[[], bool]] = {
        "cookie": lambda: browser.get("/studio/").status_code == 200,
        "bearer token": lambda: client.get("/me").status_code == 200,
        "upload token": lambda: program.get("/upload-token").status_code == 200,
        "upload by token": lambda: program.upload_photos(event_id, *demo_photos(1)).status_code == 200,
        "password on the page": lambda: (
            Browser(app).submit("/sign-in", {"login": OWNER, "password": PASSWORD}).status_code == 303
        ),
        "password of the API": lambda: (
            Api(app).post("/login", json={"username": OWNER, "password": PASSWORD}).status_code == 200
        ),
        "folder beside the server": lambda: _watches(app, world.code),
    }
    assert {way for way, works in ways.items() if not works()} == set(), "before, all of them work"
    assert "is disabled" in press(admin, "disable", OWNER)
    ways["sign-in link"] = lambda: Browser(app).submit(f"/sign-in/{link}").status_code == 303
    assert {way for way, works in ways.items() if works()} == set()
    assert count(app, UserSession) == 1, "the admin's alone is left"


def _watches(app: Flask, code: str) -> bool:
    with app.app_context():
        try:
            token_id, _ = upload_tokens.create_for_folder(code, "host")
        except Conflict:
            return False
        upload_tokens.forget(token_id)
        return True


def test_no_link_is_mailed_and_a_mail_that_waits_is_not_sent(app: Flask, world: World, admin: Browser) -> None:
    app.extensions["settings"] = app.extensions["settings"].model_copy(update={"environment": "development"})
    world.event()
    for name in ("waiting", "asked later"):
        Browser(app).submit("/sign-in/link", {"email": OWNER}, page="/sign-in")
        press(admin, "disable", OWNER)
        world.work()
        with app.app_context():
            assert [mail.rendered for mail in db.session.scalars(select(Mail)) if mail.rendered] == [], name


def test_an_unproven_account_does_not_open_the_disabled_one(app: Flask, world: World, admin: Browser) -> None:
    """Join with the address of the disabled account, and use the link of the new account."""
    world.event()
    world.person(GUEST)
    press(admin, "disable", GUEST)
    Api(app).register(world.code)
    with app.app_context(), unit_of_work():
        unproven = db.session.scalars(select(User).where(User.email == GUEST, User.email_verified_at.is_(None))).one()
        link = sign_in_links.new_token(unproven)
    assert Browser(app).submit(f"/sign-in/{link}").status_code == 404


def test_a_sign_in_that_was_under_way_opens_nothing_then_or_later(app: Flask, world: World, admin: Browser) -> None:
    world.person(GUEST)
    with app.app_context():
        user = accounts.authenticate(GUEST, PASSWORD)
        disabled = user.public_id
        db.session.rollback()
        press(admin, "disable", GUEST)
        with pytest.raises(Unauthenticated), unit_of_work():
            accounts.open_session(user, "browser")
        db.session.rollback()
        with unit_of_work():  # one that read the account before, and writes its session only now
            row = UserSession(user_id=user.id, token_hash=tokens.token_hash("late"), kind="api")
            row.expires_at = utcnow() + timedelta(days=1)
            db.session.add(row)
    assert Api(app, "late").get("/me").status_code == 401
    with app.app_context(), unit_of_work():
        disabling.enable(disabled, None)
    assert Api(app, "late").get("/me").status_code == 401


def test_invitations_of_the_disabled_lead_nowhere(app: Flask, world: World, admin: Browser) -> None:
    page = f"/studio/events/{world.event()}/team"
    assert Browser(app).sign_in(OWNER, PASSWORD).submit(page, {"email": "helper@example.com"}).status_code == 303
    press(admin, "disable", OWNER)
    world.work()
    with app.app_context():
        assert db.session.scalars(select(Invitation)).one().revoked_at is not None
    press(admin, "enable", OWNER)
    with app.app_context():
        assert db.session.scalars(select(Invitation)).one().revoked_at is not None, "what has ended stays ended"


# --- work under way ---


@pytest.fixture
def tus(app: Flask, world: World) -> Tus:
    return Tus(app, world)


def test_a_resumable_upload_is_refused_and_its_bytes_go(app: Flask, tus: Tus, admin: Browser) -> None:
    name, picture = demo_photos(1)[0]
    address = tus.create(name, len(picture)).headers["Location"]
    assert tus.patch(address, 0, picture[:1000]).status_code == 204
    with app.app_context():
        (key,) = blobs.partials().keys(utcnow().timestamp() + 60)
    press(admin, "disable", OWNER)
    assert tus.patch(address, 1000, picture[1000:]).status_code in (303, 401)
    assert tus.create(name, len(picture)).status_code in (303, 401)
    with app.app_context():
        assert list(blobs.partials().keys(utcnow().timestamp() + 60)) == [], key
    assert tus.ledger() == [(name, "interrupted", None)]


def test_a_file_whose_last_byte_came_with_the_disabling_makes_no_photo(app: Flask, tus: Tus) -> None:
    """The request that brings the last bytes began before, and ends after the account was disabled."""
    name, picture = demo_photos(1)[0]
    address = tus.create(name, len(picture)).headers["Location"]
    upload_id = address.rpartition("/")[2]
    with app.app_context():
        event = db.session.scalars(select(Event)).one()
        owner = accounts.verified_user(OWNER)
        assert owner is not None
        blobs.partials().append(tus_uploads.key_of(event.public_id, upload_id), 0, picture)
        with unit_of_work():
            disabling.disable(owner.public_id, None)
        cleanup.give_up_uploads(of=owner.id)
        assert list(blobs.partials().keys(utcnow().timestamp() + 60)) == []
    assert tus.ledger() == [(name, "rejected", "account_disabled")]
    assert count(app, Photo) == 0


@pytest.fixture
def s3_app(settings: Settings, process_apps: ProcessApps, moto_server: S3Server) -> Iterator[Flask]:
    """An app whose browsers send files straight to the store."""
    bucket = moto_server.bucket_of_process()
    with process_apps.lent(Settings(_env_file=None, **(settings.model_dump() | moto_server.settings(bucket)))) as ours:
        ours.extensions["blobs"] = open_bucket(moto_server, bucket)
        yield ours


def test_a_direct_upload_is_refused_and_its_parts_go(
    s3_app: Flask, work: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "get_app", lambda: s3_app)
    world = World(s3_app, work)
    world.person(ADMIN, UserRole.ADMIN)
    sender, admin = Sender(s3_app, world), Browser(s3_app).sign_in(ADMIN, PASSWORD)
    name, picture = demo_photos(1)[0]
    half, whole = sender.begin(name, picture + b"more"), sender.begin(f"whole-{name}", picture)
    for upload_id in (half, whole):
        sender.put(upload_id, 1, picture)
    press(admin, "disable", OWNER)
    assert sender.finish(whole).status_code in (303, 401)
    world.work()
    with s3_app.app_context():
        rows = {row.public_id: (row.status.value, row.reason) for row in db.session.scalars(select(Upload))}
        store = s3_app.extensions["blobs"]
        assert rows == {half: ("interrupted", None), whole: ("rejected", "account_disabled")}
        assert list(store.keys("events/")) == []
        assert db.session.scalar(select(Photo.id)) is None


def test_photos_that_came_before_stay_and_are_worked_on(app: Flask, world: World, admin: Browser) -> None:
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 2))
    guest = Api(app).register(world.code)
    guest.upload_selfie(selfie("grace"))
    press(admin, "disable", OWNER)
    world.work()
    assert set(world.statuses().values()) == {"indexed"}
    assert len(guest.photo_ids()) == 2, "guests see their photos"
    assert "Owner disabled" in text(admin.get("/admin/"))


def test_a_selfie_in_the_queue_waits_visibly_and_is_searched_for_after_enabling(
    app: Flask, world: World, admin: Browser
) -> None:
    event_id = world.party()
    guest = Api(app).register(world.code)
    guest.upload_selfie(selfie("grace"))
    press(admin, "disable", GUEST)
    world.work()
    with app.app_context():
        sweeper.sweep()
    assert world.work() == 0, "nobody tries it in vain again and again"
    owner = Browser(app).sign_in(OWNER, PASSWORD)
    assert "Account disabled" in text(owner.get(f"/studio/events/{event_id}/guests?show=disabled"))
    with app.app_context():
        assert db.session.scalars(select(Selfie)).one().status is SelfieStatus.RECEIVED
        assert db.session.scalar(select(Match.id)) is None
    press(admin, "enable", GUEST)
    world.work()
    assert len(Api(app).login("ada").photo_ids()) > 0


def shut_the_gate(admin: Browser, email: str) -> None:
    """Leave the account as a worker finds it that has claimed a row just as the account was disabled."""
    with admin.app.app_context(), unit_of_work():
        db.session.execute(update(User).where(User.email == email).values(disabled_at=utcnow()))


def disable(admin: Browser, email: str) -> None:
    press(admin, "disable", email)


ENDS = pytest.mark.parametrize("end", [disable, shut_the_gate])


@ENDS
def test_matches_that_are_being_computed_are_not_written(
    app: Flask,
    world: World,
    admin: Browser,
    monkeypatch: pytest.MonkeyPatch,
    end: Callable[[Browser, str], None],
) -> None:
    """The account is disabled between the search and its outcome."""
    world.party()
    guest = Api(app).register(world.code)
    guest.upload_selfie(selfie("grace"))
    search = matching.search

    def slow(person_id: int, token: str) -> Any:
        outcome = search(person_id, token)
        assert outcome.found
        end(admin, GUEST)
        return outcome

    monkeypatch.setattr(matching, "search", slow)
    world.work()
    assert count(app, Match) == 0


@ENDS
def test_a_selfie_that_is_being_judged_is_not_accepted(
    app: Flask,
    world: World,
    admin: Browser,
    monkeypatch: pytest.MonkeyPatch,
    end: Callable[[Browser, str], None],
) -> None:
    world.party()
    Api(app).register(world.code).upload_selfie(selfie("grace"))
    judge = judging.judge

    def slow(task: Any) -> Any:
        verdict = judge(task)
        assert verdict.face is not None
        end(admin, GUEST)
        return verdict

    monkeypatch.setattr(judging, "judge", slow)
    world.work()
    with app.app_context():
        assert db.session.scalars(select(Selfie)).one().status is SelfieStatus.RECEIVED
    assert count(app, Match) == 0


def test_new_photos_are_not_held_against_the_disabled_until_they_are_enabled(
    app: Flask, world: World, admin: Browser
) -> None:
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 1))
    Api(app).register(world.code).upload_selfie(selfie("grace"))
    world.work()
    press(admin, "disable", GUEST)
    world.add_photos(event_id, *photos_with("grace", 4)[1:])
    owner = Browser(app).sign_in(OWNER, PASSWORD)
    assert owner.submit(f"/studio/events/{event_id}/rematch", page=f"/studio/events/{event_id}").status_code == 303
    world.work()
    assert count(app, Match) == 1, "what was found before is kept, and nothing added"
    with app.app_context():
        person = db.session.scalars(select(Person).join(Selfie)).one()
        assert person.match_wanted != person.match_done
    press(admin, "enable", GUEST)
    world.work()
    assert len(Api(app).login("ada").photo_ids()) == 4, "at once, without waiting for the sweeper"


# --- who may disable whom ---


def test_an_admin_disables_neither_themself_nor_the_last_one(app: Flask, world: World, admin: Browser) -> None:
    own = f"/admin/people/accounts/{user_id(app, ADMIN)}"
    refused = admin.submit(f"{own}/disable", page="/admin/people")
    assert refused.status_code == 409 and "own account" in text(refused)
    with app.app_context(), pytest.raises(Conflict) as last, unit_of_work():
        disabling.disable(own.rpartition("/")[2], None)
    assert last.value.code == "last_admin"
    assert "Only another admin can disable it" in text(admin.get(own))


def test_of_two_admins_who_disable_each_other_at_once_one_is_left(app: Flask, world: World) -> None:
    emails = [world.person(f"admin-{number}@example.com", UserRole.ADMIN) for number in range(3)]
    ids = [user_id(app, email) for email in emails]

    def disable(number: int) -> None:
        with app.app_context(), unit_of_work():
            actor = accounts.verified_user(emails[number - 1])
            disabling.disable(ids[number], actor)

    with ThreadPoolExecutor(3) as pool:
        results = [pool.submit(disable, number) for number in range(3)]
    with app.app_context():
        left = [user.email for user in db.session.scalars(select(User)) if user.disabled_at is None]
    assert len(left) == 1
    assert len([result for result in results if result.exception() is None]) == 2


def test_what_was_done_is_written_down_and_twice_is_as_once(app: Flask, world: World, admin: Browser) -> None:
    world.person(GUEST)
    for action in ("disable", "disable", "enable", "enable"):
        press(admin, action, GUEST)
    with app.app_context():
        lines = [
            (line.action, line.object_id) for line in db.session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        ]
        guest = user_id(app, GUEST)
    assert [line for line in lines if line[0].startswith("account.")] == [
        ("account.disabled", guest),
        ("account.enabled", guest),
    ]


def test_admins_find_accounts_by_name_and_address(app: Flask, world: World, admin: Browser) -> None:
    for number in range(60):
        world.person(f"guest-{number}@example.com")
    world.person("odd_name%@example.com")
    first = text(admin.get("/admin/people/accounts"))
    more = re.search(r'href="(/admin/people/accounts\?before=\d+)"', first)
    assert more, "not all at once"
    second = text(admin.get(more[1]))
    assert "guest-0@example.com" in second and "guest-59@example.com" not in second
    found = text(admin.get("/admin/people/accounts?q=GUEST-59"))
    assert "guest-59@example.com" in found and "guest-58@example.com" not in found
    literal = text(admin.get("/admin/people/accounts?q=_name%25"))
    assert "odd_name%@example.com" in literal and "@example.com" not in literal.replace("odd_name%@example.com", "")
    assert "No account has this name" in text(admin.get("/admin/people/accounts?q=nobody+here"))
    for odd in ("?before=x", "?before=-1", "?before=99999999999999999999", f"?q={'x' * 500}"):
        assert admin.get(f"/admin/people/accounts{odd}").status_code == 200


def test_ops_disable_and_enable_from_a_shell(app: Flask, world: World) -> None:
    world.person(GUEST)
    shell = app.test_cli_runner()
    disabled = shell.invoke(args=["findme", "disable-account", " ADA@example.com "])
    assert disabled.exit_code == 0 and "is disabled" in disabled.output
    with app.app_context(), pytest.raises(Unauthenticated):
        accounts.authenticate(GUEST, PASSWORD)
    assert shell.invoke(args=["findme", "enable-account", GUEST]).exit_code == 0
    Browser(app).sign_in(GUEST, PASSWORD)
    unknown = shell.invoke(args=["findme", "disable-account", "nobody@example.com"])
    assert unknown.exit_code == 1 and "no such account" in unknown.output
    with app.app_context(), pytest.raises(NotFound):
        disabling.find("nobody")
