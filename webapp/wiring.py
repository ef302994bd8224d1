"""The wiring of the app: each part is bound to it once. `webapp.create_app` is how it is made."""

from datetime import timedelta

import structlog
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from webapp import api, cli, observability, pages, private_folder, queueing, storage
from webapp.db import database
from webapp.db.extensions import babel, csrf, db, htmx, migrate
from webapp.settings import ROOT, Settings
from webapp.web import bundles, compression, polls, queue_dashboard
from webapp.web.access import arrivals, devices, forwarding, limits, permissions, security, sessions
from webapp.web.localisation import choose_language, choose_timezone
from webapp.web.requests import error_handlers, incoming

log = structlog.get_logger()


def wire(settings: Settings) -> Flask:
    """The app with everything bound; `create_app` says more."""
    settings.check_for_serving()
    tightened = private_folder.claim(settings.data_dir)
    observability.configure_logging(settings)
    if tightened:
        log.warning("data_dir.tightened", notice=tightened)
    app = Flask("webapp", template_folder=str(ROOT / "templates"), static_folder=None)
    _configure(app, settings)
    app.extensions["settings"] = settings
    app.extensions["redis"] = queueing.connect(settings)
    app.extensions["blobs"] = storage.open_store(settings)
    bundles.init_app(app, settings)
    compression.init_app(app, settings)
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    db.init_app(app)
    database.init_app(app)
    with app.app_context():
        database.prepare(db.engine)
    migrate.init_app(app, db, directory=str(ROOT / "webapp" / "migrations"), render_as_batch=True)
    csrf.init_app(app)
    limits.init_app(app, settings)
    forwarding.init_app(app, settings)
    babel.init_app(app, locale_selector=choose_language, timezone_selector=choose_timezone)
    htmx.init_app(app)
    incoming.init_app(app)
    for room in (
        arrivals,
        security,
        observability,
        sessions,
        devices,
        polls,
        permissions,
        error_handlers,
        pages,
        api,
        queue_dashboard,
        cli,
    ):
        room.init_app(app)
    return app


def _configure(app: Flask, settings: Settings) -> None:
    https = settings.public_url.startswith("https://")
    app.config.from_mapping(
        SECRET_KEY=settings.secret_key.get_secret_value(),
        TESTING=settings.environment == "testing",
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=database.engine_options(settings),
        PERMANENT_SESSION_LIFETIME=timedelta(days=settings.session_days),
        SESSION_COOKIE_NAME="findme",
        SESSION_COOKIE_SECURE=https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        # The hook in webapp.web.access.permissions checks tokens itself, after it knows who asks.
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_SSL_STRICT=False,
        BABEL_DEFAULT_LOCALE="en",
        BABEL_TRANSLATION_DIRECTORIES=str(ROOT / "webapp" / "translations"),
        TEMPLATES_AUTO_RELOAD=settings.environment == "development",
    )
