"""Using a link that signs its reader in: the address is proven, and what others may have set before is dropped."""

from dataclasses import dataclass

from sqlalchemy import delete, select, update

from webapp import tokens
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.errors import NotFound
from webapp.models import Event, LinkPurpose, Membership, Person, SignInLink, User, UserSession
from webapp.services.accounts import accounts, passwords
from webapp.services.accounts.passwords import NewPassword
from webapp.services.accounts.sign_in_links import Account, events_of, is_familiar
from webapp.services.erasure import selfie_erasure
from webapp.services.joining import merging


@dataclass(frozen=True, slots=True)
class Opened:
    """What using a link came to."""

    user: User
    """Who is to be signed in."""
    event: Event | None
    """Which the account had joined last, where the link has just proven its address; else None."""


def in_both(account: Account) -> list[Event]:
    """Events in which the proven account with this address has handed something in as well; see `merging`."""
    user = account.user
    owner = accounts.verified_user(user.email or "") if user.email_verified_at is None else None
    return merging.in_both(user, owner) if owner is not None else []


def reset_password(token: str, new: NewPassword, signed_in: User | None, device: str | None = None) -> Opened:
    """Take a link that sets a new password, and set it. It proves and drops what a sign-in link would.

    Raises:
        NotFound: as `use`.
    """
    opened = use(token, signed_in, device, LinkPurpose.PASSWORD)
    # Another account may hold the address meanwhile, whose owner reads its mails: it is that one's password then.
    passwords.replace(accounts.locked(opened.user.id), new)
    return opened


def use(
    token: str, signed_in: User | None, device: str | None = None, purpose: LinkPurpose = LinkPurpose.SIGN_IN
) -> Opened:
    """Take a link; returns whose account it opens. The caller opens the session.

    What was set before the address was proven may be somebody else's doing. So unless the browser is signed in to the
    account, its password, username and sessions are dropped; its selfies too, unless it is on the device that made the
    account. Where another account holds the address already, both are the same person's: the places in events move.

    Raises:
        NotFound: unknown, used or expired; which of them is not told.
    """
    found = select(SignInLink.id, SignInLink.user_id).where(
        SignInLink.token_hash == tokens.token_hash(token), SignInLink.purpose == purpose
    )
    row = db.session.execute(found).one_or_none()
    if row is None:
        raise NotFound(code="link_invalid")
    # The account before its link, as whoever drops or closes it does.
    user = _locked(row.user_id)
    used = update(SignInLink).where(
        SignInLink.id == row.id, SignInLink.used_at.is_(None), SignInLink.expires_at > utcnow()
    )
    taken = db.session.execute(
        used.values(used_at=utcnow()).returning(SignInLink.email).execution_options(synchronize_session=False)
    ).scalar_one_or_none()
    if taken is None or taken != user.email or user.disabled_at is not None:
        raise NotFound(code="link_invalid")
    if user.email_verified_at is not None:
        return Opened(user, None)
    event = next(iter(events_of(user)), None)
    if signed_in is None or signed_in.id != user.id:
        _drop_access(user)
        if not is_familiar(user, signed_in, device):
            _drop_selfies(user)
    return Opened(_prove(user), event)


def _locked(user_id: int) -> User:
    try:
        return accounts.locked(user_id)
    except NotFound:
        raise NotFound(code="link_invalid") from None


def _prove(user: User) -> User:
    """Write down that the account's address is proven; returns the account that holds it from now on."""
    if accounts.prove(user):
        return user
    owner = accounts.verified_user(user.email or "")
    if owner is None or owner.disabled_at is not None:
        # Whoever was disabled comes in by no new account of the same address either.
        raise NotFound(code="link_invalid")
    return merging.move(user, owner)


def _drop_access(user: User) -> None:
    user.password_hash = user.username = user.username_key = user.password_tag = user.recovery_hash = None
    db.session.execute(delete(UserSession).where(UserSession.user_id == user.id))


def _drop_selfies(user: User) -> None:
    """Erase the selfies of an account that another person may have made, and its wish for mails."""
    wishes = update(Membership).where(Membership.user_id == user.id).values(wants_mail=False)
    db.session.execute(wishes.execution_options(synchronize_session="fetch"))
    people = select(Person).join(Membership).where(Membership.user_id == user.id).order_by(Person.event_id)
    for person in db.session.scalars(people).all():
        selfie_erasure.withdraw(person)
