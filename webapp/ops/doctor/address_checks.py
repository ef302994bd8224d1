"""PUBLIC_URL and TRUSTED_PROXIES: what becomes of a request from outside."""

import ipaddress
import json
import secrets
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import certifi
import httpx
import redis

from webapp.ops import starting
from webapp.ops.doctor.findings import Context, Finding, fail, ok, warn
from webapp.web.access import arrivals

FORGED = "192.0.2.77"
"""An address that nobody has (RFC 5737). The request says that it came from there."""

_SECONDS = 20.0
"""Longer than a proxy waits for a web server that restarts (10 s in deploy/caddy/Caddyfile)."""

_PATH = "/api/health/live"

MOST_PROXIES = 5
"""The largest TRUSTED_PROXIES."""


def check_address(context: Context) -> Iterator[Finding]:
    """Ask PUBLIC_URL for a page, and compare how the request arrived with TRUSTED_PROXIES."""
    url = context.settings.public_url
    if not url:
        return
    if "redis" in context.missing:
        yield warn("public address", "Not looked at, nor are the proxies: that needs Redis.", "Mend Redis first.")
        return
    token = secrets.token_hex(16)
    context.redis.set(arrivals.key(token), "", ex=arrivals.KEEP_SECONDS)
    try:
        found = _ask(url, token)
    finally:
        arrived = _arrival(context.redis, token)
    if found is not None:
        yield found
    elif arrived is None:
        yield fail(
            "public address",
            f"{url} answers, and the request did not come to this installation.",
            "Let DNS and the proxy lead PUBLIC_URL to these web servers; all of them need the same REDIS_URL.",
        )
    else:
        yield _host(url, arrived)
        yield _proxies(context.settings.trusted_proxies, arrived)


def _ask(url: str, token: str) -> Finding | None:
    """Send the request; returns what is wrong, if anything."""
    headers = {arrivals.HEADER: token, "X-Forwarded-For": FORGED}
    try:
        answer = httpx.get(f"{url}{_PATH}", headers=headers, timeout=_SECONDS, verify=_authorities())
    except httpx.TimeoutException:
        mend = "Look at it from another network: this machine may not reach its own public address."
        return warn("public address", f"{url} did not answer within {_SECONDS:.0f} s.", mend)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        mend = "Look at DNS, at the certificate, and whether the proxy runs."
        return fail("public address", f"{url} can't be reached: {starting.one_line(error)}.", mend)
    if answer.is_redirect:
        where = answer.headers.get("location", "")
        return fail("public address", f"{url} leads on to {where}.", "Set PUBLIC_URL to the address that answers.")
    if answer.status_code in (502, 503, 504):
        mend = "Start the web server, and look where the proxy sends its requests."
        return fail("public address", f"{url}: the proxy reaches no web server (status {answer.status_code}).", mend)
    if answer.status_code != 200 or answer.headers.get("content-type", "") != "application/json":
        mend = "Let DNS and the proxy lead PUBLIC_URL to the web server."
        return fail("public address", f"{url} is answered by something else (status {answer.status_code}).", mend)
    return None


def _authorities() -> ssl.SSLContext:
    """Return the authorities of the system, with SSL_CERT_FILE, and Mozilla's where the system has none."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    return context


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _arrival(connection: redis.Redis, token: str) -> dict[str, Any] | None:
    """Return what the web server wrote down of the request, and forget it."""
    kept = connection.get(arrivals.key(token))
    connection.delete(arrivals.key(token))
    return dict(json.loads(kept)) if kept else None


def _host(url: str, arrived: dict[str, Any]) -> Finding:
    wanted = urlsplit(url).netloc.lower()
    host = str(arrived["host"]).lower()
    if host not in (wanted, wanted.removesuffix(":443")):
        mend = "Let the proxy pass the Host header on, or X-Forwarded-Host."
        return warn("public address", f"Requests to {url} arrive as requests to {host}.", mend)
    return ok("public address", f"{url} leads here")


def _proxies(trusted: int, arrived: dict[str, Any]) -> Finding:
    """Compare the number of proxies that wrote into X-Forwarded-For with TRUSTED_PROXIES."""
    chain = list(arrived["forwarded_for"])
    # A proxy replaces what came in, or writes the address of whom it serves behind it.
    added = chain[chain.index(FORGED) + 1 :] if FORGED in chain else chain
    hops = len(added)
    if arrived["address"] == FORGED:
        sentence = f"TRUSTED_PROXIES={trusted}, and {hops} stand in front: anybody can claim to have another address."
        return fail("proxies", f"{sentence} Limits against guessing don't hold.", f"Set TRUSTED_PROXIES={hops}.")
    if not _is_address(arrived["address"]):
        sentence = f"The proxy in front writes {arrived['address']!r} where an address should be, perhaps with a port."
        effect = "Limits against guessing would take each connection for another network."
        return fail("proxies", f"{sentence} {effect}", "Let the proxy write the address alone into X-Forwarded-For.")
    if hops == trusted:
        return ok("proxies", f"{hops} in front, and TRUSTED_PROXIES={trusted}")
    effect = "all guests share one address, and each other's limits" if hops > trusted else "addresses can be forged"
    sentence = f"TRUSTED_PROXIES={trusted}, and {hops} stand in front: {effect}."
    if hops > MOST_PROXIES:
        return fail("proxies", sentence, f"FindMe takes {MOST_PROXIES} at most: let requests pass fewer.")
    return fail("proxies", sentence, f"Set TRUSTED_PROXIES={hops}, if requests from everywhere come that way.")
