"""Who may call what, tried for real: every endpoint by everybody. What is not yours is not there."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from tests.support.actors import PASSWORD, Api, World, photos_with, selfie
from tests.support.browsing import HTMX, Browser
from webapp import queueing
from webapp.db.extensions import db
from webapp.models import Event, Match, Person, Photo, Selfie, UserRole
from webapp.observability import TRIGGERS
from webapp.services.accounts import accounts
from webapp.services.uploads import upload_tokens
from webapp.web.access.permissions import PERMISSIONS, Who

ROLES = ("anonymous", "stranger", "guest", "rival", "owner", "admin")
"""Nobody; a guest of another event; a guest of this one; a photographer of another event; this one's; an admin."""


@dataclass(frozen=True)
class Call:
    """One endpoint, how it is called, and what each role gets. Roles that are not named get 404; nobody is asked to
    sign in, which is a 401 from the API and the sign-in page otherwise.
    """

    endpoint: str
    method: str
    path: str
    answers: dict[str, int]
    body: dict[str, Any] = field(default_factory=dict)

    def expected(self, role: str) -> int:
        nobody = 401 if self.path.startswith("/api/") else 303
        return self.answers.get(role, nobody if role == "anonymous" else 404)


def everybody(status: int) -> dict[str, int]:
    return dict.fromkeys(ROLES, status)


def signed_in(status: int, **others: int) -> dict[str, int]:
    return dict.fromkeys(ROLES[1:], status) | others


def only(status: int, *roles: str, **others: int) -> dict[str, int]:
    return dict.fromkeys(roles, status) | others


RUNNERS = ("owner",)
MEMBERS = ("guest", "owner")
PHOTOGRAPHERS = ("rival", "owner", "admin")
QUEUES = "/admin/queues"
NO_LIMIT = {"limit": -1}
REPLACE = {"decision": "replace"}

CALLS = [
    # What is open to everybody.
    Call("static", "GET", "/static/of-another-day.js", everybody(404)),
    Call("home.index", "GET", "/", everybody(200)),
    Call("home.index", "POST", "/", everybody(422)),
    Call("installing.manifest", "GET", "/manifest.webmanifest", everybody(200)),
    Call("installing.favicon", "GET", "/favicon.ico", everybody(200)),
    Call("installing.worker", "GET", "/worker.js", everybody(200)),
    Call("home.language", "POST", "/language", everybody(303)),
    Call("auth.sign_in", "GET", "/sign-in", everybody(303) | {"anonymous": 200}),
    Call("auth.sign_in", "POST", "/sign-in", everybody(422)),
    Call("auth.send_link", "POST", "/sign-in/link", everybody(303)),
    Call("auth.link", "GET", "/sign-in/nothing", everybody(404)),
    Call("auth.link", "POST", "/sign-in/nothing", everybody(404)),
    Call("passwords.forgotten", "GET", "/password/forgotten", everybody(200)),
    Call("passwords.forgotten", "POST", "/password/forgotten", everybody(422)),
    Call("passwords.reset", "GET", "/password/nothing", everybody(404)),
    Call("passwords.reset", "POST", "/password/nothing", everybody(404)),
    Call("api_health.live", "GET", "/api/health/live", everybody(200)),
    Call("api_health.ready", "GET", "/api/health/ready", everybody(503)),
    Call("api-docs.openapi_json", "GET", "/api/openapi.json", everybody(200)),
    Call("api_accounts.check_event_code", "POST", "/api/check-event-code", everybody(422)),
    Call("api_accounts.check_availability", "POST", "/api/check-user-availability", everybody(422)),
    Call("api_accounts.register_with_code", "POST", "/api/register-with-event-code", everybody(422)),
    Call("api_accounts.register_with_selfie", "POST", "/api/register-invite-with-selfie", everybody(422)),
    Call("api_accounts.login", "POST", "/api/login", everybody(422)),
    Call("api_guests.validate_selfie", "POST", "/api/validate-selfie", everybody(422)),
    # The event's page is open; members are taken to their photos.
    Call("guest.landing", "GET", "/e/{code}", everybody(200) | only(303, *MEMBERS)),
    Call("guest.landing", "POST", "/e/{code}", everybody(422) | only(303, *MEMBERS)),
    Call("coming_back.page", "GET", "/e/{code}/back", everybody(200) | only(303, *MEMBERS)),
    Call("coming_back.send", "POST", "/e/{code}/back", everybody(303)),
    Call("guest_selfies.check", "POST", "/e/{code}/selfie-check", everybody(422)),
    Call("recovery.back", "GET", "/back", everybody(200)),
    Call("recovery.back", "POST", "/back", everybody(422)),
    Call("guest_mails.stop", "GET", "/mails/stop/nothing", everybody(404)),
    Call("guest_mails.stop", "POST", "/mails/stop/nothing", everybody(404)),
    # What is one's own.
    Call("api_accounts.me", "GET", "/api/me", signed_in(200)),
    Call("api_accounts.my_events", "GET", "/api/user/events", signed_in(200)),
    Call("api_accounts.join_event", "POST", "/api/join-event", signed_in(422)),
    Call("api_accounts.consent", "POST", "/api/consent", signed_in(422)),
    Call("api_accounts.consent", "POST", "/api/consent", only(200, *MEMBERS), {"granted": True, "event_id": "{event}"}),
    Call("api_guests.rematch_status", "GET", "/api/rematch-status?event_id={event}", only(200, *MEMBERS)),
    Call("api_guests.my_photos", "GET", "/api/my-photos?event_id={event}", only(200, *MEMBERS)),
    Call("api_guests.event_expiration", "GET", "/api/user/event-expiration?event_id={event}", only(200, *MEMBERS)),
    Call("api_guests.all_photos", "GET", "/api/all-photos?event_id={event}", only(200, *MEMBERS)),
    Call("api_guests.upload_selfie", "POST", "/api/upload-selfie", signed_in(422)),
    Call("api_guests.give_verdict", "POST", "/api/matches/{match}", only(200, "guest"), {"verdict": "none"}),
    Call("api_media.photo", "GET", "/api/photo/{photo}", only(200, "guest", "owner", "admin")),
    Call("media.photo", "GET", "/media/photos/{photo}/preview", only(200, "guest", "owner", "admin")),
    Call("media.download", "GET", "/photos/{photo}/download", only(200, "guest", "owner", "admin")),
    Call("media.crop", "GET", "/media/crops/{match}", only(200, "guest")),
    Call("media.selfie", "GET", "/media/selfies/{selfie}", only(200, "guest", "owner", "admin")),
    # An event's pages, to its members; all others are sent to the event's landing page.
    Call("guest.photos", "GET", "/e/{code}/photos", everybody(303) | only(200, *MEMBERS)),
    Call("guest.live", "GET", "/e/{code}/photos/live", everybody(303) | only(302, *MEMBERS)),
    Call("guest.photo", "GET", "/e/{code}/photos/{photo}", everybody(303) | only(200, "guest", owner=404)),
    Call("guest.selfie", "GET", "/e/{code}/selfie", everybody(303) | only(200, *MEMBERS)),
    Call("guest.selfie", "POST", "/e/{code}/selfie", only(422, *MEMBERS)),
    Call("guest.verdict", "POST", "/e/{code}/matches/{match}", only(303, "guest"), {"verdict": "none"}),
    Call("guest.search_again", "POST", "/e/{code}/search", only(303, *MEMBERS)),
    Call("guest_selfies.angles", "GET", "/e/{code}/angles", everybody(303) | only(200, "guest")),
    Call("guest_selfies.angles", "POST", "/e/{code}/angles", only(422, *MEMBERS)),
    Call("guest_selfies.skip", "POST", "/e/{code}/angles/skip", only(303, *MEMBERS)),
    Call("guest_shared.page", "GET", "/e/{code}/shared", everybody(303) | only(200, *MEMBERS)),
    Call("guest_shared.photo", "GET", "/e/{code}/shared/{photo}", everybody(303) | only(404, *MEMBERS)),
    Call("guest_mails.choose", "POST", "/e/{code}/mails", only(303, *MEMBERS)),
    Call("account.address", "GET", "/account/address", signed_in(200)),
    Call("account.address", "POST", "/account/address", signed_in(422)),
    Call("recovery.make", "GET", "/account/recovery", signed_in(200)),
    # An account with a proven address needs no code.
    Call("recovery.make", "POST", "/account/recovery", signed_in(409, stranger=200, guest=200)),
    Call("passwords.own", "GET", "/account/password", signed_in(200)),
    Call("passwords.own", "POST", "/account/password", signed_in(422)),
    Call("account.others", "GET", "/account/others", signed_in(200)),
    Call("account.decide", "POST", "/account/others/nobody", signed_in(404), {"choice": "erase"}),
    # Photographers, and whoever runs the event.
    Call("studio.index", "GET", "/studio/", only(200, *PHOTOGRAPHERS)),
    Call("studio.new", "GET", "/studio/events/new", only(200, *PHOTOGRAPHERS)),
    Call("studio.new", "POST", "/studio/events/new", only(422, *PHOTOGRAPHERS)),
    Call("studio.event", "GET", "/studio/events/{event}", only(200, *RUNNERS)),
    Call("studio.live", "GET", "/studio/events/{event}/live", only(302, *RUNNERS)),
    Call("uploading.page", "GET", "/studio/events/{event}/upload", only(200, *RUNNERS)),
    Call("uploading.lost", "GET", "/studio/events/{event}/upload/lost", only(200, *RUNNERS)),
    Call("uploading.form", "POST", "/studio/events/{event}/photos", only(422, *RUNNERS)),
    Call("uploading.state", "GET", "/studio/events/{event}/upload/state", only(200, *RUNNERS, anonymous=401)),
    Call("uploading.tus_create", "POST", "/studio/events/{event}/files", only(412, *RUNNERS, anonymous=401)),
    Call("uploading.tus_create", "OPTIONS", "/studio/events/{event}/files", only(204, *RUNNERS, anonymous=401)),
    Call("uploading.tus_head", "HEAD", "/studio/events/{event}/files/x", only(412, *RUNNERS, anonymous=401)),
    Call("uploading.tus_patch", "PATCH", "/studio/events/{event}/files/x", only(412, *RUNNERS, anonymous=401)),
    Call("uploading.s3_begin", "POST", "/studio/events/{event}/s3", only(400, *RUNNERS, anonymous=401)),
    Call("uploading.s3_outcomes", "GET", "/studio/events/{event}/s3?ids=x", only(200, *RUNNERS, anonymous=401)),
    Call("uploading.s3_echo", "POST", "/studio/events/{event}/s3/x", only(400, *RUNNERS, anonymous=401)),
    Call("uploading.s3_part", "GET", "/studio/events/{event}/s3/x/parts/1", only(404, *RUNNERS, anonymous=401)),
    Call("uploading.s3_parts", "GET", "/studio/events/{event}/s3/x", only(404, *RUNNERS, anonymous=401)),
    Call("uploading.s3_finish", "POST", "/studio/events/{event}/s3/x/complete", only(404, *RUNNERS, anonymous=401)),
    Call("uploading.s3_cancel", "DELETE", "/studio/events/{event}/s3/x", only(404, *RUNNERS, anonymous=401)),
    Call("uploading.tus_cancel", "DELETE", "/studio/events/{event}/files/x", only(412, *RUNNERS, anonymous=401)),
    Call("shots.grid", "GET", "/studio/events/{event}/photos", only(200, *RUNNERS)),
    Call("shots.live", "GET", "/studio/events/{event}/photos/live", only(302, *RUNNERS)),
    Call("shots.tiles", "GET", "/studio/events/{event}/photos/tiles?ids={photo}", only(200, *RUNNERS)),
    Call("shots.filters", "GET", "/studio/events/{event}/photos/filters", only(302, *RUNNERS)),
    Call("shots.photo", "GET", "/studio/events/{event}/photos/{photo}", only(200, *RUNNERS)),
    Call("shots.act", "POST", "/studio/events/{event}/photos/actions", only(422, *RUNNERS), {"action": "nothing"}),
    Call("shots.decide", "POST", "/studio/events/{event}/photos/{photo}/same-shot", only(409, *RUNNERS), REPLACE),
    Call("replaced.page", "GET", "/studio/events/{event}/photos/replaced", only(200, *RUNNERS)),
    Call("replaced.bring_back", "POST", "/studio/events/{event}/photos/replaced/{photo}", only(409, *RUNNERS)),
    Call("shots.decide_all", "POST", "/studio/events/{event}/photos/same-shot", only(303, *RUNNERS), REPLACE),
    Call("studio.rematch", "POST", "/studio/events/{event}/rematch", only(303, *RUNNERS)),
    Call("studio.retry", "POST", "/studio/events/{event}/retry", only(303, *RUNNERS)),
    Call("studio.guests", "GET", "/studio/events/{event}/guests", only(200, *RUNNERS)),
    Call("studio.guest", "GET", "/studio/events/{event}/guests/{person}", only(200, *RUNNERS)),
    Call("studio.retry_guests", "POST", "/studio/events/{event}/guests/retry", only(303, *RUNNERS)),
    Call("studio.limit", "GET", "/studio/events/{event}/limit", only(200, *RUNNERS)),
    Call("studio.limit", "POST", "/studio/events/{event}/limit", only(422, *RUNNERS), {"limit": "many"}),
    Call("api_studio.list_events", "GET", "/api/photographer/events", only(200, *PHOTOGRAPHERS)),
    Call("api_studio.create_event", "POST", "/api/photographer/events", only(422, *PHOTOGRAPHERS)),
    Call("api_studio.list_photos", "GET", "/api/photographer/events/{event}/photos", only(200, *RUNNERS)),
    Call("api_studio.upload_photos", "POST", "/api/photographer/events/{event}/upload-photos", only(422, *RUNNERS)),
    Call("cameras.page", "GET", "/studio/events/{event}/cameras", only(200, *RUNNERS)),
    Call("cameras.set_clock", "POST", "/studio/events/{event}/cameras/nothing", only(422, *RUNNERS)),
    Call("upload_tokens.page", "GET", "/studio/events/{event}/upload-tokens", only(200, *RUNNERS)),
    Call("upload_tokens.make", "POST", "/studio/events/{event}/upload-tokens", only(422, *RUNNERS)),
    Call("upload_tokens.revoke", "POST", "/studio/events/{event}/upload-tokens/{token}/revoke", only(303, *RUNNERS)),
    Call("api_upload_token.facts", "GET", "/api/upload-token", signed_in(403)),
    Call("search_alerts.page", "GET", "/studio/events/{event}/alerts", only(200, *RUNNERS)),
    Call("search_alerts.decide", "POST", "/studio/events/{event}/alerts/nothing", {}),
    Call("studio.more_selfies", "POST", "/studio/events/{event}/guests/{person}/selfies", only(303, *RUNNERS)),
    Call("studio.allow_again", "POST", "/studio/events/{event}/guests/{person}/allow", only(409, *RUNNERS)),
    Call("api_studio.rematch", "POST", "/api/photographer/events/{event}/rematch", only(202, *RUNNERS)),
    Call("api_studio.set_many_children", "PUT", "/api/photographer/events/{event}/many-children", only(422, *RUNNERS)),
    Call("api_studio.event_costs", "GET", "/api/photographer/events/{event}/costs", only(200, *RUNNERS)),
    Call("api_studio.set_limit", "PUT", "/api/photographer/events/{event}/call-limit", only(422, *RUNNERS), NO_LIMIT),
    # The event's look, to everybody who knows its code; there is no cover here.
    Call("sharing.cover", "GET", "/e/{code}/cover.jpg", everybody(404)),
    Call("sharing.preview", "GET", "/e/{code}/preview.jpg", everybody(404)),
    Call("sharing.accent", "GET", "/accents/1f5f8a.css", everybody(200)),
    Call("sharing.page", "GET", "/studio/events/{event}/share", only(200, *RUNNERS)),
    Call("guest_mails.announce", "POST", "/studio/events/{event}/ready", only(303, *RUNNERS)),
    Call("sharing.qr", "GET", "/studio/events/{event}/qr.svg", only(200, *RUNNERS)),
    Call("sharing.poster", "GET", "/studio/events/{event}/poster.pdf", only(200, *RUNNERS)),
    Call("event_settings.page", "GET", "/studio/events/{event}/settings", only(200, *RUNNERS)),
    Call("event_settings.save", "POST", "/studio/events/{event}/settings", only(422, *RUNNERS)),
    Call("event_settings.cover", "POST", "/studio/events/{event}/settings/cover", only(422, *RUNNERS)),
    Call("event_settings.publishing", "POST", "/studio/events/{event}/settings/publishing", only(303, *RUNNERS)),
    Call("event_settings.joining", "POST", "/studio/events/{event}/settings/joining", only(303, *RUNNERS)),
    Call("admission.admit", "POST", "/studio/events/{event}/guests/{person}/admit", only(303, *RUNNERS)),
    Call("admission.refuse", "POST", "/studio/events/{event}/guests/{person}/refuse", only(409, *RUNNERS)),
    Call("admission.admit_all", "POST", "/studio/events/{event}/guests/admit-all", only(303, *RUNNERS)),
    Call("event_settings.close", "POST", "/studio/events/{event}/settings/close", only(303, *RUNNERS)),
    Call("event_settings.reopen", "POST", "/studio/events/{event}/settings/reopen", only(303, *RUNNERS)),
    Call("event_settings.delete", "POST", "/studio/events/{event}/settings/delete", only(422, *RUNNERS)),
    Call("team.page", "GET", "/studio/events/{event}/team", only(200, *RUNNERS)),
    Call("team.add", "POST", "/studio/events/{event}/team", only(422, *RUNNERS)),
    Call("team.remove", "POST", "/studio/events/{event}/team/members/nobody/remove", {}),
    Call("team.hand_over", "POST", "/studio/events/{event}/team/members/nobody/owner", {}),
    Call("team.resend", "POST", "/studio/events/{event}/team/invitations/none/resend", {}),
    Call("team.revoke", "POST", "/studio/events/{event}/team/invitations/none/revoke", {}),
    Call("invitations.accept", "GET", "/invitations/nothing", everybody(404)),
    Call("invitations.accept", "POST", "/invitations/nothing", everybody(404)),
    # Admins.
    Call("people.page", "GET", "/admin/people", only(200, "admin")),
    Call("people.invite", "POST", "/admin/people", only(422, "admin")),
    Call("people.resend", "POST", "/admin/people/invitations/none/resend", {}),
    Call("people.revoke", "POST", "/admin/people/invitations/none/revoke", {}),
    Call("accounts.page", "GET", "/admin/people/accounts", only(200, "admin")),
    Call("accounts.account", "GET", "/admin/people/accounts/{account}", only(200, "admin")),
    Call("accounts.disable", "POST", "/admin/people/accounts/{account}/disable", only(303, "admin")),
    Call("accounts.enable", "POST", "/admin/people/accounts/{account}/enable", only(303, "admin")),
    Call("admin.index", "GET", "/admin/", only(200, "admin")),
    Call("admin.rematch", "POST", "/admin/events/{event}/rematch", only(303, "admin")),
    Call("admin.limit", "GET", "/admin/events/{event}/limit", only(200, "admin")),
    Call("admin.limit", "POST", "/admin/events/{event}/limit", only(422, "admin"), {"limit": "many"}),
    Call("api_admin.all_costs", "GET", "/api/admin/costs", only(200, "admin")),
    Call("api_admin.set_limit", "PUT", "/api/admin/events/{event}/call-limit", only(422, "admin"), NO_LIMIT),
    Call("api_admin.rematch", "POST", "/api/admin/events/{event}/rematch", only(202, "admin")),
    Call("rq_dashboard.queues_overview", "GET", f"{QUEUES}/", only(200, "admin")),
    Call("rq_dashboard.workers_overview", "GET", f"{QUEUES}/0/view/workers", only(200, "admin")),
    Call("rq_dashboard.jobs_overview", "GET", f"{QUEUES}/0/view/jobs", only(200, "admin")),
    Call("rq_dashboard.job_view", "GET", f"{QUEUES}/0/view/job/{{job}}", only(200, "admin")),
    Call("rq_dashboard.job_info", "GET", f"{QUEUES}/0/data/job/{{job}}.json", only(200, "admin", anonymous=401)),
    Call("rq_dashboard.list_queues", "GET", f"{QUEUES}/0/data/queues.json", only(200, "admin", anonymous=401)),
    Call("rq_dashboard.list_workers", "GET", f"{QUEUES}/0/data/workers.json", only(200, "admin", anonymous=401)),
    Call(
        "rq_dashboard.list_jobs",
        "GET",
        f"{QUEUES}/0/data/jobs/mail/queued/9/asc/1.json",
        only(200, "admin", anonymous=401),
    ),
    Call("rq_dashboard.favicon", "GET", f"{QUEUES}/favicon.ico", only(200, "admin")),
    Call("rq_dashboard.static", "GET", f"{QUEUES}/static/css/main.css", only(200, "admin")),
    # Nothing is requeued or thrown away by a call that another site made a browser send.
    Call("rq_dashboard.requeue_job_view", "POST", f"{QUEUES}/job/{{job}}/requeue", only(400, "admin", anonymous=401)),
    Call("rq_dashboard.requeue_all", "POST", f"{QUEUES}/requeue/mail", only(400, "admin", anonymous=401)),
    Call("rq_dashboard.empty_queue", "POST", f"{QUEUES}/queue/mail/queued/empty", only(400, "admin", anonymous=401)),
    Call("rq_dashboard.compact_queue", "POST", f"{QUEUES}/queue/mail/compact", only(400, "admin", anonymous=401)),
    Call("rq_dashboard.delete_job_view", "POST", f"{QUEUES}/job/{{job}}/delete", only(400, "admin", anonymous=401)),
    # What erases or signs out comes last.
    Call("api_guests.delete_selfie", "DELETE", "/api/my-selfie?event_id={event}", only(200, *MEMBERS)),
    Call("guest.withdraw", "POST", "/e/{code}/withdraw", only(303, *MEMBERS)),
    Call("auth.sign_out", "POST", "/sign-out", everybody(303)),
    Call("api_accounts.logout", "POST", "/api/logout", signed_in(204)),
]


@dataclass
class Caller:
    """One role, with a browser and a token of the API."""

    browser: Browser
    api: Api
    csrf: str

    def call(self, method: str, path: str, body: dict[str, Any]) -> TestResponse:
        if path.startswith("/api/"):
            return self.api.call(method, path.removeprefix("/api"), **({"json": body} if body else {}))
        headers = {} if path.startswith(QUEUES) else {"X-CSRFToken": self.csrf}
        return self.browser.client.open(path, method=method, data=body, headers=headers)


@pytest.fixture
def callers(app: Flask, world: World, api: Api) -> dict[str, Caller]:
    """Everybody, and an event with a photo in which its guest was found."""
    event_id = world.event()
    world.event("OTHER234", owner="rival@example.com")
    world.person("admin@example.com", UserRole.ADMIN)
    world.add_photos(event_id, *photos_with("grace", 1))
    for name, code in (("guest", world.code), ("stranger", "OTHER234")):
        assert api.register(code, name).upload_selfie(selfie("grace")).status_code == 200
    world.work()
    logins = {role: role for role in ROLES[1:]} | {
        "owner": "photographer@example.com",
        "rival": "rival@example.com",
        "admin": "admin@example.com",
    }
    made = {"anonymous": Caller(Browser(app), api, "")}
    for role, login in logins.items():
        made[role] = Caller(Browser(app).sign_in(login, PASSWORD), api.login(login), "")
    for caller in made.values():
        caller.csrf = caller.browser.token("/")
    return made


@pytest.fixture
def names(app: Flask, callers: dict[str, Caller]) -> dict[str, str]:
    """What stands in the braces of the calls' addresses."""
    with app.app_context():
        event = db.session.scalars(select(Event).where(Event.code == "PARTY234")).one()
        queueing.enqueue(queueing.SEND_MAIL, "nothing")
        return {
            "event": event.public_id,
            "code": event.code,
            "photo": db.session.scalars(select(Photo.public_id)).one(),
            "match": db.session.scalars(select(Match.public_id)).one(),
            "selfie": db.session.scalars(select(Selfie.public_id).where(Selfie.person.has(event_id=event.id))).one(),
            "person": db.session.scalars(
                select(Person.public_id).join(Selfie, Selfie.person_id == Person.id).where(Person.event_id == event.id)
            ).one(),
            "job": queueing.SEND_MAIL.job_id("nothing"),
            "account": _bystander(),
            "token": _upload_token(event),
        }


def _bystander() -> str:
    """An account of which nothing else is asked here."""
    with queueing.unit_of_work():
        return accounts.create_user(email="bystander@example.com", name="bystander", verified=True).public_id


def _upload_token(event: Event) -> str:
    with queueing.unit_of_work():
        return upload_tokens.create(event, event.memberships[0].user, "Laptop")[0].public_id


def test_every_endpoint_has_a_row_in_the_table_of_permissions(app: Flask) -> None:
    endpoints = {rule.endpoint for rule in app.url_map.iter_rules()}
    assert endpoints - set(PERMISSIONS) == set(), "these endpoints say nowhere who may call them"
    assert {endpoint for endpoint in PERMISSIONS if endpoint not in endpoints} <= {"dev.mail", "dev.html"}, (
        "these are gone"
    )
    assert set(TRIGGERS) - endpoints == set(), "the log names endpoints that are gone"


def test_every_endpoint_and_method_is_tried_here(app: Flask) -> None:
    there = {(rule.endpoint, method) for rule in app.url_map.iter_rules() for method in _own_methods(rule)}
    assert there == {(call.endpoint, call.method) for call in CALLS}


def _own_methods(rule: Rule) -> set[str]:
    """Methods that a view of ours answers; where there is a GET, HEAD is Flask's, and so is OPTIONS by default."""
    usual = {"HEAD"} if "GET" in rule.methods else set()
    return rule.methods - usual - ({"OPTIONS"} if rule.provide_automatic_options else set())


def test_everybody_gets_what_is_theirs_and_nothing_else(callers: dict[str, Caller], names: dict[str, str]) -> None:
    expected, seen = {}, {}
    for call in CALLS:
        path = call.path.format(**names)
        body = {key: value.format(**names) if isinstance(value, str) else value for key, value in call.body.items()}
        for role, caller in callers.items():
            answer = caller.call(call.method, path, body)
            place = f"{role}: {call.method} {call.path}"
            expected[place], seen[place] = call.expected(role), answer.status_code
            if answer.status_code == 404 and path.startswith("/api/"):
                assert set(answer.json) == {"detail", "code", "fields"}, place
            answer.close()
    assert {place: status for place, status in seen.items() if status != expected[place]} == {}, "expected: " + str(
        {place: status for place, status in expected.items() if status != seen[place]}
    )


def test_who_has_to_sign_in_is_shown_the_way_and_brought_back(app: Flask, world: World) -> None:
    world.event()
    nobody = Browser(app)
    answer = nobody.get("/account/address?from=mail")
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/sign-in?next=/account/address?from%3Dmail"
    fragment = nobody.get("/account/address", headers=HTMX)
    assert fragment.status_code == 401 and fragment.headers["HX-Redirect"] == "/sign-in"
    assert app.test_client().get("/api/me").json["code"] == "sign_in_required"
    write = nobody.client.post("/e/PARTY234/selfie")
    assert (write.status_code, write.headers["Location"]) == (303, "/sign-in")


def test_foreign_and_missing_things_look_the_same(callers: dict[str, Caller], names: dict[str, str]) -> None:
    stranger = callers["stranger"].api
    pairs = [
        (f"/photo/{names['photo']}", "/photo/AAAAAAAAAAAAAAAA"),
        (f"/my-photos?event_id={names['event']}", "/my-photos?event_id=AAAAAAAAAAAAAAAA"),
        (f"/rematch-status?event_id={names['event']}", "/rematch-status?event_id=AAAAAAAAAAAAAAAA"),
    ]
    for foreign, missing in pairs:
        assert stranger.get(foreign).data == stranger.get(missing).data
    rival = callers["rival"].api
    paths = [f"/photographer/events/{event}/photos" for event in (names["event"], "AAAAAAAAAAAAAAAA")]
    assert rival.get(paths[0]).data == rival.get(paths[1]).data


def test_an_endpoint_without_a_row_is_closed(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(PERMISSIONS, "home.index")
    assert app.test_client().get("/").status_code == 404


def test_disabling_somebody_ends_everything_at_once(app: Flask, callers: dict[str, Caller]) -> None:
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE \"user\" SET disabled_at = '2026-01-01 00:00:00'")
    for role in ROLES[1:]:
        assert callers[role].api.get("/me").status_code == 401
        assert callers[role].browser.get("/e/PARTY234/photos").status_code == 303
    refused = Browser(app).submit("/sign-in", {"login": "admin@example.com", "password": PASSWORD})
    assert refused.status_code == 422


def test_an_admin_can_press_the_buttons_of_the_queue_pages(
    app: Flask, callers: dict[str, Caller], names: dict[str, str]
) -> None:
    press = f"{QUEUES}/requeue/mail"
    admin = callers["admin"].browser.client
    assert admin.get(press).status_code == 405
    assert admin.post(press, headers={"Origin": "https://evil.example"}).status_code == 400
    assert admin.post(press, headers={"Origin": "http://localhost"}).status_code == 200
    assert callers["owner"].browser.client.post(press, headers={"Origin": "http://localhost"}).status_code == 404


def test_the_rows_for_admins_are_these(app: Flask) -> None:
    admins = {endpoint for endpoint, who in PERMISSIONS.items() if who in (Who.ADMIN, Who.ADMIN_OF_EVENT)}
    queue_pages = {endpoint for endpoint in app.view_functions if endpoint.startswith("rq_dashboard.")}
    pages = {"admin.index", "admin.rematch", "admin.limit"}
    pages |= {"accounts.page", "accounts.account", "accounts.disable", "accounts.enable"}
    pages |= {"people.page", "people.invite", "people.resend", "people.revoke"}
    assert admins == pages | {"api_admin.rematch", "api_admin.all_costs", "api_admin.set_limit"} | queue_pages
