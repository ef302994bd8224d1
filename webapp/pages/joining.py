"""Joining and handing in a selfie by a form that is valid; each is done once, however often it is sent."""

from webapp.db.extensions import db
from webapp.errors import Conflict, Unauthenticated
from webapp.models import Event, Membership, User
from webapp.pages.common import me
from webapp.queueing import unit_of_work
from webapp.services.accounts import accounts
from webapp.services.core import consents, idempotency
from webapp.services.core.idempotency import Key
from webapp.services.joining import enrolment, rejoining
from webapp.services.joining.sign_up import Newcomer, sign_up
from webapp.services.selfies import selfie_intake
from webapp.web.access import devices, network
from webapp.web.access import idempotency as request_keys
from webapp.web.access.sessions import sign_in, signed_in
from webapp.web.localisation import choose_language
from webapp.web.requests.forms import JoinAgainForm, JoinForm, SelfieForm

JOIN, SELFIE, ANGLE = "join", "selfie", "angle"
"""The operations of which each has a key of its own in an event."""


def resume(event: Event, key: Key | None) -> bool:
    """Sign the browser in whose request to join was done before, but whose answer did not arrive.

    Returns whether there was one. The key is in this browser's own session, which signing out empties.

    Raises:
        Conflict: the session that it opened has ended since.
    """
    done = idempotency.find(key)
    if done is None or key is None:
        return False
    present = signed_in()
    if present is not None:
        # Of a member who joined with an account that was open already.
        return present.id == done.user_id
    user = accounts.user_of_token(key.session_token, "browser")
    try:
        if user is None:
            raise Unauthenticated(code="wrong_credentials")
        with unit_of_work():
            sign_in(user, token=key.session_token, resumes=True)
    except Unauthenticated:
        request_keys.renew(JOIN, event)
        raise Conflict(code="request_done") from None
    return True


def resume_browser(event: Event) -> bool:
    """Sign the browser in that comes back to the page after a join whose answer did not arrive.

    Raises:
        Conflict: as `resume`.
    """
    shown = request_keys.of_browser(JOIN, event)
    done = idempotency.latest(shown.fingerprint) if shown is not None else None
    if done is None:
        return False
    user = db.session.get_one(User, done.user_id)
    return resume(event, request_keys.of_browser(JOIN, event, user.name))


def join(event: Event, user: User | None, form: JoinForm | JoinAgainForm, key: Key | None) -> bool:
    """Make account, place in the event, consent, selfie and session: all of it or nothing.

    Raises:
        FindMeError: as `sign_up` and `selfie_intake.staged`; nothing was changed.
    """
    if isinstance(form, JoinForm):
        idempotency.once(key, lambda: _sign_up(event, form, key), lambda _: resume(event, key))
    elif form.reuse.data and user is not None:
        origin = network.origin(form.source.data, devices.ensure())
        consent = form.consent_version.data
        rejoining.join_further(event, user, consent=consent, language=choose_language(), origin=origin)
    else:
        idempotency.once(key, lambda: _join_with_selfie(event, form, key), lambda _: True)
    request_keys.renew(JOIN, event)
    return True


def take_selfie(
    event: Event, membership: Membership, form: SelfieForm, key: Key | None, side: str | None = None
) -> None:
    """Take in a further selfie of a member: one from a `side`, which is added, or one in place of the others.

    Raises:
        FindMeError: as `selfie_intake.staged` and `selfie_intake.receive_selfie`; nothing was changed.
    """

    def take() -> bool:
        with selfie_intake.staged(event, form.file.data.stream) as picture, unit_of_work():
            person = enrolment.own_person(membership)
            if form.consent:
                consents.grant_consent(person, form.consent_version.data or "", language=choose_language())
            origin = network.origin(form.source.data, devices.ensure())
            selfie_intake.receive_selfie(person, picture, side or "front", adds=side is not None, origin=origin)
            idempotency.record(key, membership.user, event)
        return True

    idempotency.once(key, take, lambda _: True)
    request_keys.renew(SELFIE if side is None else ANGLE, event)


def is_taken(event: Event) -> bool:
    """Return True, once, where the selfie of this browser's last form was taken in though the answer did not arrive."""
    if idempotency.find(request_keys.of_browser(SELFIE, event)) is None:
        return False
    request_keys.renew(SELFIE, event)
    return True


def _sign_up(event: Event, form: JoinForm, key: Key | None) -> bool:
    language, device = choose_language(), devices.ensure()
    newcomer = Newcomer(
        name=form.name.data or "",
        email=form.address,
        password=form.password.data or None,
        language=language,
        device=device,
    )
    if form.without.data:
        with unit_of_work():
            made = sign_up(event, newcomer, note=form.note.data, wants_mail=bool(form.wants_mail.data), key=key)
            sign_in(made.membership.user, token=key.session_token if key else None)
        return True
    origin, consent = network.origin(form.source.data, device), form.consent_version.data or ""
    with selfie_intake.staged(event, form.file.data.stream) as picture, unit_of_work():
        made = sign_up(
            event,
            newcomer,
            consent=consent,
            picture=picture,
            origin=origin,
            wants_mail=bool(form.wants_mail.data),
            key=key,
        )
        # Last, since a refusal above must leave the browser as it was, with the token of the form that it shows.
        sign_in(made.membership.user, token=key.session_token if key else None)
    return True


def _join_with_selfie(event: Event, form: JoinAgainForm, key: Key | None) -> bool:
    with selfie_intake.staged(event, form.file.data.stream) as picture, unit_of_work():
        membership = enrolment.join(event, me())
        person = enrolment.own_person(membership)
        consents.grant_consent(person, form.consent_version.data or "", language=choose_language())
        origin = network.origin(form.source.data, devices.ensure())
        selfie_intake.receive_selfie(person, picture, origin=origin)
        idempotency.record(key, membership.user, event)
    return True
