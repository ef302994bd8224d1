"""Logs that programs can read, and an id that follows a request into its jobs."""

import logging
import re
import secrets
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog
from flask import Flask, Response, g, request

from webapp.settings import Settings

TRIGGERS = {
    "api_accounts.register_with_code": "register_with_code",
    "guest.landing": "register_with_code",
    "api_accounts.register_with_selfie": "register_by_invitation",
    "api_accounts.join_event": "join",
    "api_guests.upload_selfie": "upload_selfie",
    "guest.selfie": "upload_selfie",
    "api_studio.rematch": "rematch_by_photographer",
    "studio.rematch": "rematch_by_photographer",
    "api_studio.set_many_children": "children",
    "event_settings.save": "children",
    "api_admin.rematch": "rematch_by_admin",
    "admin.rematch": "rematch_by_admin",
    "api_guests.give_verdict": "verdict",
    "guest.verdict": "verdict",
    "guest.search_again": "search_again",
    "api_studio.upload_photos": "photo",
    "uploading.form": "photo",
    "uploading.tus_create": "photo",
    "uploading.tus_patch": "photo",
    "uploading.s3_finish": "photo",
    "studio.retry": "photo",
    "admission.admit": "admission",
    "admission.admit_all": "admission",
    "event_settings.joining": "admission",
}
"""What an endpoint is called in the log where it makes somebody be matched; all others are `other`."""


_DETAIL = re.compile(r"^(\s*DETAIL:).*$", re.MULTILINE)


class _Unfailing:
    """A stream for the log. That it can't be written, on a disk that is full, is no reason to fail a request or a job;
    what waits in the stream's own buffer is written when there is room again.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def configure_logging(settings: Settings) -> None:
    """One line an event: plain in development, JSON in production. Call it once per process."""
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if settings.environment == "production"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _without_values,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Unfailing(sys.stderr))),
        cache_logger_on_first_use=False,
    )


def _without_values(_logger: object, _method: str, line: structlog.types.EventDict) -> structlog.types.EventDict:
    """Leave out what PostgreSQL says of a row in its errors: values, such as an address that is there already."""
    if isinstance(text := line.get("exception"), str):
        line["exception"] = _DETAIL.sub(r"\1 (left out)", text)
    return line


def init_app(app: Flask) -> None:
    """Give each request an id, and say it in the answer."""
    app.before_request(_begin)
    app.after_request(_end)


def origin(trigger: str | None = None) -> dict[str, str]:
    """Where what happens now comes from: `request_id` and `trigger`, as bound to the present request or job.

    What has a `trigger` of its own, such as the sweeper, was asked for by no request, and gets an id of its own.
    """
    if trigger is not None:
        return {"request_id": _new_id(), "trigger": trigger}
    bound = structlog.contextvars.get_contextvars()
    return {"request_id": bound.get("request_id") or _new_id(), "trigger": bound.get("trigger") or "other"}


def _new_id() -> str:
    return secrets.token_hex(8)


def _begin() -> None:
    g.request_id = _new_id()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(
        request_id=g.request_id, trigger=TRIGGERS.get(request.endpoint or "", "other")
    )


def _end(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.get("request_id", "")
    # Not being ready yet is an answer, not a fault.
    if response.status_code >= 500 and request.endpoint != "api_health.ready":
        structlog.get_logger().error("request.failed", endpoint=request.endpoint, status=response.status_code)
    return response
