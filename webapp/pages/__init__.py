"""The pages that people see: each module is a blueprint with its rows of the permission table beside it.

A route loads, validates, calls a service and answers; what can be done, and by whom, is never decided here.
"""

from flask import Flask

from webapp.pages import (
    account,
    accounts,
    admin,
    admission,
    auth,
    cameras,
    coming_back,
    dev,
    event_settings,
    guest,
    guest_mails,
    guest_selfies,
    guest_shared,
    home,
    installing,
    invitations,
    media,
    passwords,
    people,
    recovery,
    replaced,
    search_alerts,
    sharing,
    shots,
    studio,
    team,
    upload_tokens,
    uploading,
)
from webapp.pages.studio_rooms import may_enter_studio, studio_rooms
from webapp.settings import Settings
from webapp.web import templating
from webapp.web.access.permissions import ADMISSIONS, BODY_LIMITS, PERMISSIONS, PROVEN_BY_ADDRESS

ROOMS = (
    home,
    installing,
    guest,
    guest_selfies,
    guest_shared,
    guest_mails,
    coming_back,
    auth,
    account,
    recovery,
    passwords,
    studio,
    admin,
    media,
    upload_tokens,
    uploading,
    shots,
    replaced,
    search_alerts,
    sharing,
    event_settings,
    team,
    admission,
    people,
    accounts,
    invitations,
    cameras,
)


def init_app(app: Flask) -> None:
    """Register every blueprint with who may call it and how much it may be sent."""
    templating.init_app(app)
    app.jinja_env.globals |= {"studio_rooms": studio_rooms, "may_enter_studio": may_enter_studio}
    # Rooms link to others where there are such.
    app.jinja_env.globals["endpoints"] = app.view_functions
    settings: Settings = app.extensions["settings"]
    rooms = (*ROOMS, dev) if settings.is_demo else ROOMS
    for room in rooms:
        app.register_blueprint(room.blueprint)
        PERMISSIONS.update({f"{room.blueprint.name}.{name}": who for name, who in room.WHO.items()})
        limits = getattr(room, "BODIES", {})
        BODY_LIMITS.update({f"{room.blueprint.name}.{name}": size for name, size in limits.items()})
        admissions = getattr(room, "ADMISSIONS", {})
        ADMISSIONS.update({f"{room.blueprint.name}.{name}": admit for name, admit in admissions.items()})
        proven = getattr(room, "PROVEN_BY_ADDRESS", ())
        PROVEN_BY_ADDRESS.update(f"{room.blueprint.name}.{name}" for name in proven)
