"""What the doctor says of PUBLIC_URL and TRUSTED_PROXIES: real requests, through as many proxies as there are."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest
from redis import Redis
from werkzeug.serving import make_server

from tests.functional.ops.doctoring import found
from tests.support.servers import free_port
from webapp import create_app
from webapp.ops.doctor import address_checks, redis_checks
from webapp.ops.doctor.findings import Finding
from webapp.settings import Settings
from webapp.web.access import arrivals

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
GUEST = "198.51.100.7"


def through(app: Wsgi, addresses: list[str], *, replaces: bool = False, host: str = "") -> Wsgi:
    """Proxies in front of an app: each writes the address of whom it serves; the first may drop what came in."""

    def proxied(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        came = [] if replaces else [part for part in environ.get("HTTP_X_FORWARDED_FOR", "").split(", ") if part]
        if addresses:
            environ["HTTP_X_FORWARDED_FOR"] = ", ".join([*came, GUEST, *addresses[:-1]])
            environ["REMOTE_ADDR"] = addresses[-1]
        if host:
            environ["HTTP_HOST"] = host
        return app(environ, start)

    return proxied


@contextmanager
def served(app: Wsgi) -> Iterator[str]:
    """The address of a server for the length of a block."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def asked(settings: Settings, url: str, **changes: Any) -> dict[str, Finding]:
    """The findings by their names."""
    findings = found(settings, redis_checks.check_redis, address_checks.check_address, public_url=url, **changes)
    return {finding.name: finding for finding in findings if finding.name != "redis"}


@pytest.mark.parametrize(
    ("addresses", "replaces", "trusted", "state", "effect"),
    [
        ([], False, 0, "ok", ""),
        (["10.0.0.1"], False, 1, "ok", ""),
        (["10.0.0.1"], True, 1, "ok", ""),
        (["10.0.0.1", "10.0.0.2", "10.0.0.3"], False, 3, "ok", ""),
        (["10.0.0.1"], False, 0, "fail", "share one address"),
        (["10.0.0.1"], True, 0, "fail", "share one address"),
        (["10.0.0.1", "10.0.0.2"], False, 1, "fail", "share one address"),
        (["10.0.0.1"], False, 2, "fail", "anybody can claim"),
        ([], False, 1, "fail", "anybody can claim"),
        (["10.0.0.1"], True, 2, "fail", "addresses can be forged"),
    ],
)
def test_proxies_and_the_setting_of_them(
    settings: Settings, addresses: list[str], replaces: bool, trusted: int, state: str, effect: str
) -> None:
    trusting = settings.model_copy(update={"trusted_proxies": trusted})
    app = create_app(trusting)
    with served(through(app, addresses, replaces=replaces)) as url:
        findings = asked(trusting, url)
    assert findings["public address"].state == "ok"
    assert findings["proxies"].state == state and effect in findings["proxies"].sentence
    assert state == "ok" or findings["proxies"].mend.startswith(f"Set TRUSTED_PROXIES={len(addresses)}")
    assert Redis.from_url(settings.redis_url).keys("findme:arrival:*") == []


def test_a_proxy_that_writes_ports_into_addresses(settings: Settings) -> None:
    trusting = settings.model_copy(update={"trusted_proxies": 1})

    def with_port(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        environ["HTTP_X_FORWARDED_FOR"] = f"{GUEST}:51234"
        return app(environ, start)

    app = create_app(trusting)
    with served(with_port) as url:
        finding = asked(trusting, url)["proxies"]
    assert finding.state == "fail" and "perhaps with a port" in finding.sentence


def test_another_installation_behind_the_address(settings: Settings) -> None:
    other = create_app(settings.model_copy(update={"redis_url": f"{settings.redis_url}?db=1"}))
    with served(other) as url:
        finding = asked(settings, url)["public address"]
    assert finding.state == "fail" and "did not come to this installation" in finding.sentence


def answering(status: str, *headers: tuple[str, str]) -> Wsgi:
    def app(_environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        start(status, list(headers))
        return [b""]

    return app


@pytest.mark.parametrize(
    ("app", "said"),
    [
        (answering("502 Bad Gateway"), "the proxy reaches no web server"),
        (answering("301 Moved", ("Location", "https://www.example.com/")), "leads on to https://www.example.com/"),
        (answering("200 OK", ("Content-Type", "text/html")), "answered by something else"),
        (answering("404 Not Found"), "answered by something else"),
    ],
)
def test_what_else_may_answer(settings: Settings, app: Wsgi, said: str) -> None:
    with served(app) as url:
        finding = asked(settings, url)["public address"]
    assert finding.state == "fail" and said in finding.sentence


@pytest.mark.parametrize("url", ["http://127.0.0.1:{}", "https://no-such-host.invalid"])
def test_an_address_that_can_not_be_reached(settings: Settings, url: str) -> None:
    assert asked(settings, url.format(free_port()))["public address"].state == "fail"


def test_a_certificate_that_nobody_vouches_for(settings: Settings) -> None:
    server = make_server("127.0.0.1", 0, answering("200 OK"), threaded=True, ssl_context="adhoc")
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        finding = asked(settings, f"https://127.0.0.1:{server.port}")["public address"]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert finding.state == "fail" and "certificate" in finding.sentence.lower()


def test_a_host_that_is_lost_on_the_way(settings: Settings) -> None:
    with served(through(create_app(settings), [], host="web:8000")) as url:
        assert asked(settings, url)["public address"].state == "warn"


@pytest.mark.parametrize("token", ["", "x" * 65, "../../etc", "unknowntoken"])
def test_nobody_else_s_header_writes_anything(settings: Settings, token: str) -> None:
    client = create_app(settings).test_client()
    before = Redis.from_url(settings.redis_url).keys("*")
    assert client.get("/api/health/live", headers={arrivals.HEADER: token}).status_code == 200
    assert Redis.from_url(settings.redis_url).keys("*") == before
