"""How guests hear of an event: its link, code, QR code, poster and a text to pass on; and what its look is made of."""

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import force_locale, get_locale, gettext

from webapp import accents
from webapp.errors import NotFound
from webapp.models import Event, Membership
from webapp.services.events import covers
from webapp.services.joining import ready_mails
from webapp.web.access import event_codes
from webapp.web.access.permissions import Who
from webapp.web.links import absolute, join_url
from webapp.web.media import MAX_AGE, as_picture, send_blob
from webapp.web.templating import MOST_COLOURS, YEAR, day

blueprint = Blueprint("sharing", __name__)

WHO = dict.fromkeys(("page", "qr", "poster"), Who.RUNNER) | dict.fromkeys(("cover", "preview", "accent"), Who.ANYONE)
QR_TYPES = {"svg": "image/svg+xml", "png": "image/png"}


@blueprint.get("/studio/events/<event_id>/share")
def page(event: Event, **_: Membership) -> ResponseReturnValue:
    """Everything that brings guests to the event."""
    link = join_url(event)
    return render_template(
        "studio/sharing.html",
        event=event,
        join_url=link,
        message=_message(event, link),
        readers=ready_mails.readers_of(event),
    )


@blueprint.get("/studio/events/<event_id>/qr.<kind>")
def qr(event: Event, kind: str, **_: Membership) -> Response:
    """The join link as a QR code: SVG for the screen, PNG to print."""
    if kind not in QR_TYPES:
        raise NotFound(code="not_found")
    from webapp.web import posters  # it brings fpdf, an eighth of what each process takes to start

    drawn = posters.qr_svg(join_url(event)) if kind == "svg" else posters.qr_png(join_url(event))
    return as_picture(Response(drawn, mimetype=QR_TYPES[kind]))


@blueprint.get("/studio/events/<event_id>/poster.pdf")
def poster(event: Event, **_: Membership) -> Response:
    """An A4 page to print and hang up, in the event's language and colour."""
    from webapp.web import posters

    with force_locale(_language_of(event)):
        words = posters.Words(
            title=gettext("Find your photos"),
            how=gettext("Scan the code with your phone's camera, take a selfie, and your photos appear."),
            otherwise=gettext(
                "Or open %(address)s and type the code", address=absolute("/").partition("//")[2].rstrip("/")
            ),
            facts=" · ".join(part for part in (day(event.date), event.place) if part),
        )
    colour = accents.light(accents.given(event.accent, event.public_id)).accent
    made = posters.poster(event.name, event.code, join_url(event), words, colour)
    response = Response(made, mimetype="application/pdf")
    response.headers["Content-Disposition"] = f'inline; filename="{event.code}.pdf"'
    return response


@blueprint.get("/e/<code>/cover.jpg")
def cover(code: str) -> Response:
    """The event's cover picture, to everybody who knows its code, also on a photographer's own web site; with
    `?size=small` its copy for phones, where it has one.
    """
    event = event_codes.find(code, keep=False)
    if event.cover_key is None:
        raise NotFound(code="not_found")
    small = event.cover_small_key if request.args.get("size") == "small" else None
    if small is not None:
        response = send_blob(small, covers.SMALL_CONTENT_TYPE)
    else:
        response = send_blob(event.cover_key, covers.CONTENT_TYPE)
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


@blueprint.get("/e/<code>/preview.jpg")
def preview(code: str) -> Response:
    """The cover as apps show it beside a link to the event's page."""
    event = event_codes.find(code, keep=False)
    response = as_picture(Response(covers.preview(event), mimetype=covers.CONTENT_TYPE))
    response.headers["Cache-Control"] = f"private, max-age={MAX_AGE}"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.add_etag()
    response.make_conditional(request)
    return response


@blueprint.get("/accents/<colours>.css")
def accent(colours: str) -> Response:
    """The style sheet for colours of photographers' own, as templates name them."""
    wanted = [f"#{colour}" for colour in colours.split("-")]
    if len(wanted) > MOST_COLOURS or not all(map(accents.is_colour, wanted)):
        raise NotFound(code="not_found")
    response = Response("".join(map(accents.style_sheet, wanted)), mimetype="text/css")
    response.cache_control.public = True
    response.cache_control.max_age = YEAR
    return response


def _message(event: Event, link: str) -> str:
    """A text for guests, to be sent on as it is."""
    with force_locale(_language_of(event)):
        text: str = gettext(
            "Find your photos of %(event)s: open %(link)s and take a selfie. The code is %(code)s.",
            event=event.name,
            link=link,
            code=event.code,
        )
    return text


def _language_of(event: Event) -> str:
    """The event's language; where it leaves that to its guests, the photographer's."""
    return event.language or getattr(get_locale(), "language", None) or "en"
