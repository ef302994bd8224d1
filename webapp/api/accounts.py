"""Joining, signing in, and who I am."""

from typing import Any

from flask import request

from webapp.api import answers, schemas
from webapp.api.common import SELFIE_ERRORS, Blueprint, caller, event_summary, language, member
from webapp.db.extensions import db
from webapp.errors import Conflict, Invalid, NotFound, Unauthenticated
from webapp.models import Event, IdempotencyKey, Membership, SelfieStatus, User
from webapp.queueing import unit_of_work
from webapp.services.accounts import accounts
from webapp.services.core import consents
from webapp.services.core import idempotency as once
from webapp.services.core.idempotency import Key
from webapp.services.erasure import selfie_erasure
from webapp.services.events import events
from webapp.services.joining import enrolment, rejoining
from webapp.services.joining.sign_up import Newcomer, sign_up
from webapp.services.selfies import selfie_intake
from webapp.web.access import devices, event_codes, idempotency, limits, network
from webapp.web.access.permissions import SELFIE_BODY, Who
from webapp.web.access.sessions import bearer_token, sign_out, signed_in

blueprint = Blueprint("api_accounts", __name__, url_prefix="/api", description="Joining and signing in")

WHO = {
    "check_event_code": Who.ANYONE,
    "check_availability": Who.ANYONE,
    "register_with_code": Who.ANYONE,
    "register_with_selfie": Who.ANYONE,
    "login": Who.ANYONE,
    "logout": Who.SIGNED_IN,
    "me": Who.SIGNED_IN,
    "my_events": Who.SIGNED_IN,
    "join_event": Who.SIGNED_IN,
    "consent": Who.SIGNED_IN,
}
BODIES = {"register_with_selfie": SELFIE_BODY}

_JOINING: dict[str, Any] = {
    "event_code_unknown": (404, 422),
    "too_many_guesses": 429,
    "event_closed": 409,
    "joins_over": 409,
    # 409 where two ask for it at the same moment.
    "username_taken": (409, 422),
    "email_invalid": 422,
    "name_invalid": 422,
    "password_length": 422,
    "user_type_invalid": 422,
    "idempotency_key_invalid": 422,
    "idempotency_key_reused": 422,
    "request_done": 409,
}


@blueprint.post("/check-event-code")
@blueprint.arguments(schemas.EventCode)
@blueprint.response(200, answers.CodeAnswer)
@blueprint.errors(too_many_guesses=429)
def check_event_code(body: dict[str, Any]) -> dict[str, Any]:
    """Whether a code belongs to an event; case and spaces don't count."""
    try:
        event = event_codes.find(body["event_code"], keep=False)
    except NotFound:
        return {"valid": False, "event": None}
    return {"valid": True, "event": event_summary(event)}


@blueprint.post("/check-user-availability")
@blueprint.arguments(schemas.Availability)
@blueprint.response(200, answers.AvailabilityAnswer)
@blueprint.errors(event_code_unknown=404, too_many_guesses=429)
@blueprint.doc(security=[{}, {"token": []}, {"session": []}])
def check_availability(body: dict[str, Any]) -> dict[str, bool]:
    """Whether a username is taken. Of an address it tells its signed-in owner only."""
    event_codes.find(body["event_code"], keep=False)
    user = signed_in()
    own = user is not None and body.get("email", "").strip().lower() == user.email
    return {
        "username_taken": bool(body.get("username")) and accounts.username_taken(body["username"]),
        "email_taken": own,
    }


@blueprint.post("/register-with-event-code")
@blueprint.arguments(schemas.Registration)
@blueprint.response(201, answers.Registered)
@blueprint.errors(**_JOINING)
@blueprint.doc(parameters=[idempotency.PARAMETER])
def register_with_code(body: dict[str, Any]) -> dict[str, Any]:
    """A new account and its place in the event. Consent is needed for a selfie, not for an account."""
    data, agreed = body["user_data"], body["consent"]
    key = _key("register", body["event_code"], data, agreed)

    def register() -> dict[str, Any]:
        allowed = data["user_type"] in (None, "user", "attendee")
        event = _event_and_check(body["event_code"], data, {} if allowed else {"user_type": "user_type_invalid"})
        with unit_of_work():
            consent = consents.CONSENT_VERSION if agreed else None
            made = sign_up(event, _newcomer(data), consent=consent, key=key)
            return _registered(made.membership, _open(made.membership.user, key), consent_required=not agreed)

    return once.once(key, register, lambda done: _again(done, key, data["password"], agreed=agreed))


@blueprint.post("/register-invite-with-selfie")
@blueprint.arguments(schemas.InviteForm, location="multipart")
@blueprint.response(201, answers.RegisteredWithSelfie)
@blueprint.errors(**_JOINING, **SELFIE_ERRORS)
@blueprint.doc(parameters=[idempotency.PARAMETER])
def register_with_selfie(form: dict[str, Any]) -> dict[str, Any]:
    """The same, with a selfie, which is taken in at once and checked by a worker."""
    key = _key("register with selfie", form["event_code"], form, form["consent"])

    def register() -> dict[str, Any]:
        faults = {} if form["consent"] else {"consent": "consent_required"}
        event = _event_and_check(form["event_code"], form, faults)
        with selfie_intake.staged(event, form["file"].stream) as picture, unit_of_work():
            made = sign_up(
                event,
                _newcomer(form),
                consent=consents.CONSENT_VERSION,
                picture=picture,
                origin=network.origin(form["source"], devices.known()),
                key=key,
            )
            answer = _registered(made.membership, _open(made.membership.user, key), consent_required=False)
            return answer | {"selfie": {"status": SelfieStatus.RECEIVED}}

    def again(done: IdempotencyKey) -> dict[str, Any]:
        answer = _again(done, key, form["password"], agreed=True)
        return answer | {"selfie": {"status": SelfieStatus.RECEIVED}}

    return once.once(key, register, again)


@blueprint.post("/login")
@blueprint.arguments(schemas.Credentials)
@blueprint.response(200, answers.Token)
@blueprint.errors(wrong_credentials=401, too_many_guesses=429)
def login(body: dict[str, Any]) -> dict[str, str]:
    """A bearer token for a username or address and its password."""
    with limits.guess(limits.passwords(body["username"])):
        user = accounts.authenticate(body["username"], body["password"], devices.known())
    proof = user.password_hash
    with unit_of_work():
        return {"access_token": accounts.open_session(user, "api", proof=proof)}


@blueprint.post("/logout")
@blueprint.response(204, description="signed out")
def logout() -> None:
    """End this token, or this browser's session."""
    with unit_of_work():
        token = bearer_token(request)
        if token:
            accounts.close_session(token)
        else:
            sign_out()


@blueprint.get("/me")
@blueprint.response(200, answers.MeAnswer)
def me() -> dict[str, Any]:
    """Who I am, and my events."""
    user = caller()
    return {"user": user, "events": [event_summary(card.event) for card in events.cards_of(user)]}


@blueprint.get("/user/events")
@blueprint.response(200, answers.EventSummary(many=True))
def my_events() -> list[dict[str, Any]]:
    """The events that I am in, the latest first."""
    return [event_summary(card.event) for card in events.cards_of(caller())]


@blueprint.post("/join-event")
@blueprint.arguments(schemas.JoinBody)
@blueprint.response(200, answers.JoinAnswer)
@blueprint.errors(
    event_code_unknown=404,
    event_closed=409,
    joins_over=409,
    not_admitted=409,
    search_stopped=409,
    search_refused=409,
    too_many_guesses=429,
    selfies_enough=429,
)
def join_event(body: dict[str, Any]) -> dict[str, Any]:
    """Join a further event; with consent my selfie of the last one is searched there too."""
    event = event_codes.find(body["event_code"], keep=False)
    version = consents.CONSENT_VERSION if body["consent"] else None
    origin = network.origin(None, devices.known())
    joined = rejoining.join_further(event, caller(), consent=version, language=language(), origin=origin)
    return {
        "event": event_summary(event),
        "consent_required": not joined.agreed,
        "selfie": {"status": joined.selfie_status} if joined.selfie_status else None,
    }


@blueprint.post("/consent")
@blueprint.arguments(schemas.ConsentBody)
@blueprint.response(200, answers.ConsentAnswer)
@blueprint.errors(not_found=404, consent_outdated=422)
def consent(body: dict[str, Any]) -> dict[str, Any]:
    """Agree to face search, or withdraw: then selfies, their vectors and matches are erased."""
    membership = member(caller(), body["event_id"])
    with unit_of_work():
        person = enrolment.own_person(membership)
        if body["granted"]:
            version = body.get("version") or consents.CONSENT_VERSION
            consents.grant_consent(person, version, language=language())
        else:
            selfie_erasure.withdraw(person)
        current = consents.active_consent(person)
        return {
            "granted": current is not None,
            "version": current.text_version if current else None,
            "granted_at": current.granted_at if current else None,
            "current_version": consents.CONSENT_VERSION,
        }


def _event_and_check(code: str, data: dict[str, Any], faults: dict[str, str]) -> Event:
    """The event of the code; everything that is wrong with a registration is told at once, before anything is stored.

    An unknown code is counted, whatever else is wrong, or a bad field would make guessing free.

    Raises:
        TooMany: as `limits.guess`.
        Invalid: some fields can't be used, the code perhaps among them.
        NotFound: the code is all that is wrong.
    """
    event, unknown = None, None
    try:
        event = event_codes.find(code, keep=False)
    except NotFound as error:
        unknown = error
        unknown.fields = {"event_code": error.code}
    try:
        accounts.check_input(data["email"], data["username"], data["password"], name_field="username", also=faults)
    except Invalid as error:
        error.fields |= unknown.fields if unknown else {}
        raise
    if event is None:
        raise unknown or NotFound(code="event_code_unknown")
    return event


def _key(operation: str, code: str, data: dict[str, Any], agreed: object) -> Key | None:
    """The idempotency key of a registration; the password is checked against the account's instead."""
    return idempotency.of_header(operation, None, code, data["username"], data["email"], bool(agreed))


def _newcomer(data: dict[str, Any]) -> Newcomer:
    return Newcomer(
        name=data["username"],
        username=data["username"],
        email=data["email"],
        password=data["password"],
        language=language(),
        device=devices.known(),
    )


def _open(user: User, key: Key | None) -> str:
    return accounts.open_session(user, "api", token=key.session_token if key is not None else None)


def _again(done: IdempotencyKey, key: Key | None, password: str, *, agreed: bool) -> dict[str, Any]:
    """The answer of a registration that was done before.

    Raises:
        Conflict: its token has ended since, or the password is another one.
    """
    user = db.session.get_one(User, done.user_id)
    token = key.session_token if key is not None else ""
    holder = accounts.user_of_token(token, "api")
    same = holder is not None and holder.id == user.id and _is_password(user, password)
    membership = enrolment.membership_of(db.session.get_one(Event, done.event_id), user)
    if not same or membership is None:
        raise Conflict(code="request_done")
    return _registered(membership, token, consent_required=not agreed)


def _is_password(user: User, password: str) -> bool:
    """Compare the password of a repeated request with the account's; wrong ones are limited as those of a login are.

    Raises:
        TooMany: as `limits.guess`.
    """
    proof = user.password_hash or ""
    try:
        with limits.guess(limits.passwords(user.username or user.public_id)):
            if not accounts.matches(proof, password):
                raise Unauthenticated(code="wrong_credentials")
    except Unauthenticated:
        return False
    return True


def _registered(membership: Membership, token: str, *, consent_required: bool) -> dict[str, Any]:
    return {
        "user": membership.user,
        "event_id": membership.event.public_id,
        "access_token": token,
        "consent_required": consent_required,
    }
