"""The rooms of an event in the studio: what stands in the line below its name."""

from dataclasses import dataclass

from flask import current_app
from flask_babel import gettext
from htmx_flask import request

from webapp.services.events import team
from webapp.web.access.sessions import signed_in

WITHIN = {"studio.guest": "studio.guests", "search_alerts.page": "studio.guests"}
WITHIN_ROOM = {"upload_tokens": "uploading", "cameras": "event_settings", "replaced": "shots"}
"""Endpoints and blueprints without a tab of their own → the one whose tab they stand under."""


@dataclass(frozen=True, slots=True)
class Room:
    """One page of the event: its endpoint, its name and its icon, and whether it is the one that is shown."""

    endpoint: str
    label: str
    icon: str
    current: bool


def may_enter_studio() -> bool:
    """Whether whoever asks is shown the way to the studio."""
    user = signed_in()
    return user is not None and team.may_enter_studio(user)


def studio_rooms() -> list[Room]:
    """The rooms that there are, in the order of a photographer's evening."""
    rooms = (
        ("studio.event", gettext("Overview"), "layout-dashboard"),
        ("uploading.page", gettext("Upload"), "upload"),
        ("shots.grid", gettext("Photos"), "images"),
        ("studio.guests", gettext("Guests"), "users"),
        ("sharing.page", gettext("Invite guests"), "qr-code"),
        ("team.page", gettext("Team"), "handshake"),
        ("event_settings.page", gettext("Settings"), "settings"),
    )
    # The room of a page is its blueprint; the overview and the guests share theirs.
    here = WITHIN.get(request.endpoint or "", request.endpoint or "")
    blueprint = here.partition(".")[0]
    blueprint = WITHIN_ROOM.get(blueprint, blueprint)
    return [
        Room(
            endpoint,
            label,
            icon,
            current=endpoint == here or (blueprint != "studio" and endpoint.startswith(blueprint + ".")),
        )
        for endpoint, label, icon in rooms
        if endpoint in current_app.view_functions
    ]
