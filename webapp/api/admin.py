"""What an admin's client does."""

from typing import Any

from webapp.api import answers, schemas
from webapp.api.common import Blueprint, caller, event_costs_answer
from webapp.models import Event
from webapp.queueing import unit_of_work
from webapp.services.matching import matching
from webapp.services.upkeep import usage
from webapp.web.access.permissions import Who

blueprint = Blueprint("api_admin", __name__, url_prefix="/api/admin", description="For admins")

WHO = {"rematch": Who.ADMIN_OF_EVENT, "all_costs": Who.ADMIN, "set_limit": Who.ADMIN_OF_EVENT}


@blueprint.post("/events/<event_id>/rematch")
@blueprint.response(202, answers.RematchAnswer)
def rematch(event: Event) -> dict[str, Any]:
    """Compute everybody's matches anew, in any event, in the background."""
    with unit_of_work():
        return {"status": "queued", "selfies": matching.request_rematch(event, caller())}


@blueprint.get("/costs")
@blueprint.response(200, answers.AllCosts)
def all_costs() -> dict[str, Any]:
    """What every event has cost, also those that are gone, by event and by month."""
    bill = usage.of_all()
    return {
        "events": [event_costs_answer(row.event_key, row.event, row.costs) for row in bill.events],
        "months": [
            {"month": f"{month.month:%Y-%m}", "calls": month.calls, "dollars": month.dollars} for month in bill.months
        ],
        "total": bill.total,
        "dollars": bill.dollars,
    }


@blueprint.put("/events/<event_id>/call-limit")
@blueprint.arguments(schemas.LimitBody)
@blueprint.response(200, answers.LimitAnswer)
@blueprint.errors(call_limit_invalid=422)
def set_limit(body: dict[str, Any], event: Event) -> dict[str, Any]:
    """Change any event's limit; what an earlier one stopped goes on."""
    with unit_of_work():
        resumed = usage.set_limit(event, body["limit"], caller())
        return event_costs_answer(event.public_id, event, usage.of_event(event)) | {"resumed": resumed}
