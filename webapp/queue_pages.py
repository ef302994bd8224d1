"""rq-dashboard inside the app, behind the admin's sign-in."""

from flask import Flask
from rq.serializers import JSONSerializer
from rq_dashboard import blueprint, default_settings
from rq_dashboard.web import config

from webapp.permissions import PERMISSIONS, WITHOUT_TOKEN, Who
from webapp.security import QUEUE_PAGES


def init_app(app: Flask) -> None:
    """Mount the pages; each of their endpoints gets its row in the permission table."""
    app.config.from_object(default_settings)
    app.config["RQ_DASHBOARD_REDIS_URL"] = (app.extensions["settings"].redis_url,)
    app.config["RQ_DASHBOARD_DISABLE_DELETE"] = True
    app.redis_conn = app.extensions["redis"]  # type: ignore[attr-defined]
    config.serializer = JSONSerializer
    app.register_blueprint(blueprint, url_prefix=QUEUE_PAGES)
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith(f"{blueprint.name}."):
            PERMISSIONS[rule.endpoint] = Who.ADMIN
            WITHOUT_TOKEN.add(rule.endpoint)
            if rule.methods and "POST" in rule.methods:
                # One of its buttons answers to GET as well, so that any link could press it.
                rule.methods -= {"GET", "HEAD"}
