"""What an admin's client does."""

from typing import Any

from webapp.api import schemas
from webapp.api.common import Blueprint, caller
from webapp.models import Event
from webapp.permissions import Who
from webapp.queueing import unit_of_work
from webapp.services import matching

blueprint = Blueprint("api_admin", __name__, url_prefix="/api/admin", description="For admins")

WHO = {"rematch": Who.ADMIN_OF_EVENT}


@blueprint.post("/events/<event_id>/rematch")
@blueprint.response(202, schemas.RematchAnswer)
def rematch(event: Event) -> dict[str, Any]:
    """Compute everybody's matches anew, in any event, in the background."""
    with unit_of_work():
        return {"status": "queued", "selfies": matching.request_rematch(event, caller())}
