"""The event of a code that came with a request, and who need not prove twice that they know it.

A QR code's link carries the event's join token beside the short code. Whoever comes with the token, has given the right
code in this browser before, or is a member is never slowed down and never counted. Everybody else's wrong codes are
failures (`webapp.web.access.limits`), whatever else is wrong with the request.
"""

import hmac
from collections.abc import Iterator
from contextlib import contextmanager

from flask import g, request, session

from webapp.errors import Conflict, NotFound
from webapp.models import Event
from webapp.services.events import events
from webapp.services.joining import enrolment
from webapp.web.access import limits
from webapp.web.access.sessions import INVITED, signed_in

TOKEN = "t"  # noqa: S105 - a parameter's name, not a secret
"""The parameter of a join link."""

MOST_KEPT = 5
"""Events whose tokens a browser's session keeps, so that the cookie stays small."""


def find(code: str, *, keep: bool = True) -> Event:
    """Return the event of a code.

    With `keep` the browser's session keeps that it knows this code: for pages only, since API clients have no session.

    Raises:
        NotFound: no event has this code.
        TooMany: as `limits.guess`.
    """
    event = events.event_of(code)
    if event is None or not _is_known(event):
        with limits.guess(limits.codes()):
            # A right code waits as long as a wrong one, or the time would tell.
            if event is None:
                raise NotFound(code="event_code_unknown")
    if keep:
        _keep(event)
    # Only now: the language of an error must not tell that an event exists.
    g.event_language = event.language
    return event


@contextmanager
def choosing() -> Iterator[None]:
    """Around the choice of an event's code: that another event has it tells of a code that was right.

    Raises:
        TooMany: instead of Conflict, after too many of them.
    """
    try:
        yield
    except Conflict as error:
        if error.code == "event_code_taken":
            limits.count(limits.codes(), error)
        raise


def _is_known(event: Event) -> bool:
    tokens = [request.args.get(TOKEN, ""), *session.get(INVITED, ())]
    if any(hmac.compare_digest(event.join_token.encode(), str(token).encode()) for token in tokens):
        return True
    user = signed_in()
    return user is not None and enrolment.membership_of(event, user) is not None


def _keep(event: Event) -> None:
    kept = [event.join_token, *(token for token in session.get(INVITED, ()) if token != event.join_token)][:MOST_KEPT]
    if kept != session.get(INVITED):
        session[INVITED] = kept
