"""rq-dashboard inside the app, behind the admin's sign-in.

Its views take any address for one that its own pages link to. So addresses are checked before they run, and what they
raise about jobs becomes an answer.
"""

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Flask, current_app, jsonify, make_response, request
from flask.typing import ResponseReturnValue
from markupsafe import escape
from redis.exceptions import ResponseError
from rq import Queue
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.serializers import JSONSerializer
from rq_dashboard import blueprint, default_settings
from rq_dashboard.web import config

from webapp import queueing
from webapp.errors import Conflict, FindMeError, NotFound
from webapp.reasons import explain
from webapp.web.access.permissions import PERMISSIONS, WITHOUT_TOKEN, Who
from webapp.web.access.security import QUEUE_PAGES
from webapp.web.requests import error_handlers

REGISTRIES = frozenset({"queued", "started", "finished", "failed", "deferred", "scheduled", "canceled"})
ORDERS = frozenset({"asc", "dsc"})
MOST_JOBS = 1000
"""Jobs on one page."""

MOST_PAGES = 1_000_000
_JOB_ID = re.compile(r"[\w-]+", re.ASCII)
"""RQ's rule; what else is asked for, it refuses with a ValueError."""

_DATA = frozenset({"list_queues", "list_workers", "list_jobs", "job_info"})

_JOB_INFO = "job_info"
"""The data of a job's own page, whose script writes them into the page as HTML."""


def init_app(app: Flask) -> None:
    """Mount the pages; each of their endpoints gets its row in the permission table."""
    app.config.from_object(default_settings)
    app.config["RQ_DASHBOARD_REDIS_URL"] = (app.extensions["settings"].redis_url,)
    app.config["RQ_DASHBOARD_DISABLE_DELETE"] = True
    app.redis_conn = app.extensions["redis"]  # type: ignore[attr-defined]
    config.serializer = JSONSerializer
    app.before_request(_check_address)
    app.register_blueprint(blueprint, url_prefix=QUEUE_PAGES)
    for rule in app.url_map.iter_rules():
        if _is_ours(rule.endpoint):
            PERMISSIONS[rule.endpoint] = Who.ADMIN
            WITHOUT_TOKEN.add(rule.endpoint)
            if rule.methods and "POST" in rule.methods:
                # One of its buttons answers to GET as well, so that any link could press it.
                rule.methods -= {"GET", "HEAD"}
                error_handlers.TELLS[rule.endpoint] = _tell
    error_handlers.TELLS.update({f"{blueprint.name}.{name}": _tell for name in _DATA})
    for endpoint, view in app.view_functions.items():
        if _is_ours(endpoint):
            app.view_functions[endpoint] = _answering(view, escapes=endpoint == f"{blueprint.name}.{_JOB_INFO}")


def _is_ours(endpoint: str) -> bool:
    return endpoint.startswith(f"{blueprint.name}.")


def _check_address() -> None:
    """Let through what a page of the dashboard could link to.

    Raises:
        NotFound: there is no such Redis, queue, registry, order or page, and can be no such job.
    """
    if not _is_ours(request.endpoint or ""):
        return
    named = request.view_args or {}
    job_id, queue = named.get("job_id"), named.get("queue_name")
    known = (
        named.get("instance_number", 0) == 0
        and named.get("registry_name", "queued") in REGISTRIES
        and named.get("order", "asc") in ORDERS
        and _is_number(named.get("per_page", 1), MOST_JOBS)
        and _is_number(named.get("page", 1), MOST_PAGES)
        and (job_id is None or _JOB_ID.fullmatch(job_id) is not None)
        and (queue is None or _is_queue(queue))
    )
    if not known:
        raise NotFound(code="not_found")


def _is_number(value: str | int, most: int) -> bool:
    text = str(value)
    return text.isascii() and text.isdigit() and len(text) <= len(str(most)) and 1 <= int(text) <= most


def _is_queue(name: str) -> bool:
    """Whether it is a queue of ours, or one that is in Redis, such as that of an earlier version."""
    connection = current_app.extensions["redis"]
    return name in queueing.QUEUES or name in {queue.name for queue in Queue.all(connection=connection)}


def _answering(view: Callable[..., Any], *, escapes: bool) -> Callable[..., Any]:
    """A view of the dashboard whose jobs may be gone, or not be in a state in which its button can do anything."""

    @wraps(view)
    def answer(*args: Any, **kwargs: Any) -> Any:
        try:
            found = view(*args, **kwargs)
            return jsonify(_escaped(make_response(found).get_json())) if escapes else found
        except NoSuchJobError as error:
            raise NotFound(code="not_found") from error
        except (InvalidJobOperation, ResponseError) as error:  # the latter at a queue without jobs
            raise Conflict(code="conflict") from error

    return answer


def _escaped(value: Any) -> Any:
    """JSON whose texts are texts in HTML as well: an error's message, for one, may quote what somebody has sent."""
    if isinstance(value, str):
        return str(escape(value))
    if isinstance(value, list):
        return [_escaped(each) for each in value]
    if isinstance(value, dict):
        return {name: _escaped(each) for name, each in value.items()}
    return value


def _tell(error: FindMeError) -> ResponseReturnValue:
    """An error for the dashboard's scripts."""
    return jsonify(code=error.code, detail=explain(error)), error.status
