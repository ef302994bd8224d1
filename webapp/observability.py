"""Logs that programs can read, and an id that follows a request into its jobs."""

import logging
import secrets
import sys

import structlog
from flask import Flask, Response, g, request

from webapp.settings import Settings


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
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def init_app(app: Flask) -> None:
    """Give each request an id, and say it in the answer."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    g.request_id = secrets.token_hex(8)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _end(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.get("request_id", "")
    # Not being ready yet is an answer, not a fault.
    if response.status_code >= 500 and request.endpoint != "api_health.ready":
        structlog.get_logger().error("request.failed", endpoint=request.endpoint, status=response.status_code)
    return response
