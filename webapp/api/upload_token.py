"""What a program with an upload token can ask before it sends anything."""

from typing import Any

from webapp.api import answers
from webapp.api.common import Blueprint, event_summary
from webapp.models import Event, EventStatus, UploadToken
from webapp.web.access.permissions import Who

blueprint = Blueprint("api_upload_token", __name__, url_prefix="/api", description="For programs that upload")

WHO = {"facts": Who.UPLOAD_TOKEN}


@blueprint.get("/upload-token")
@blueprint.response(200, answers.TokenFacts)
def facts(token: UploadToken, event: Event) -> dict[str, Any]:
    """The event that this token may upload to, and until when."""
    return {
        "name": token.name,
        "expires_at": token.expires_at,
        "event": event_summary(event),
        "code": event.code,
        "open": event.status is EventStatus.OPEN,
    }
