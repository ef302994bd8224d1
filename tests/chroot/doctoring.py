"""The doctor beside the running installation: content with the whole, and not with any part taken away."""

import json
import signal
import time
from collections.abc import Callable
from dataclasses import replace

import psutil
from redis import Redis

from tests.chroot.container import Container
from tests.chroot.installation import Installation, Say, check, named, until
from webapp.redis_keys import INSTALLATION

DOCTOR = ["flask", "--app", "wsgi", "findme", "doctor", "--json"]
CA = "/run/secrets/ca"


def check_doctor(here: Installation, say: Say) -> None:
    """Ask the doctor in both images, then take the parts away that can be brought back, one after the other."""
    for name in ("web", "worker"):
        findings = ask(here, name)
        failing, lines = _failing(findings), "; ".join(f"{part} {state}" for part, state in findings.items())
        check(not failing, f"the doctor in {name} is not content: {failing}")
        say(f"doctor in {name}: {lines}")
    for part, take, bring_back, expected in _parts(here):
        take()
        try:
            failing = _failing(ask(here, "web"))
        finally:
            bring_back()
        check(expected in failing, f"without {part} the doctor fails {failing}, and not {expected}")
        say(f"without {part}: {', '.join(sorted(failing))}")
    until(lambda: not _failing(ask(here, "web")), named(here.host, "web"))
    say("with all of them back, the doctor is content again")


def check_without_processes(here: Installation, say: Say) -> None:
    """Stop what can't be brought back: the workers, web, Caddy, and the store."""
    workers = [container for container in here.host.containers if container.name.startswith("worker")]
    for part, take, expected in (
        ("workers", lambda: _stop(say, *workers), "workers"),
        ("the web server", lambda: _stop(say, named(here.host, "web")), "public address"),
        ("Caddy", lambda: _kill_listener(here.site_port), "public address"),
        ("the store", lambda: _kill_listener(here.store_port), "store"),
    ):
        take()
        failing = _failing(ask(here, "web"))
        check(expected in failing, f"without {part} the doctor fails {failing}, and not {expected}")
        say(f"without {part}, too: {', '.join(sorted(failing))}")


def ask(here: Installation, name: str, **changes: str) -> dict[str, str]:
    """Run the doctor in a container; returns the worst state of each part."""
    container = named(here.host, name)
    env = container.env | {"SSL_CERT_FILE": CA} | changes
    done = replace(container, env=env).execute(DOCTOR, 120)
    report = json.loads(done.stdout[done.stdout.index("{\n") :])
    worst: dict[str, str] = {}
    for finding in report["findings"]:
        if worst.get(finding["name"]) != "fail":
            worst[finding["name"]] = finding["state"]
    check(done.returncode == (0 if report["healthy"] else 1), f"status {done.returncode} of:\n{done.stdout}")
    return worst


def _failing(findings: dict[str, str]) -> set[str]:
    return {part for part, state in findings.items() if state == "fail"}


Part = tuple[str, Callable[[], object], Callable[[], object], str]


def _parts(here: Installation) -> list[Part]:
    redis = Redis.from_url(here.valkey.url)
    ours = redis.get(INSTALLATION) or b""

    def set_revision(number: str) -> str:
        with here.database.connect("findme") as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            connection.execute("UPDATE alembic_version SET version_num = %s", [number])
        return str(row[0]) if row else ""

    newest = set_revision("0001")
    set_revision(newest)
    return [
        ("PostgreSQL", here.database.stop, here.database.start, "database"),
        ("the newest migration", lambda: set_revision("0001"), lambda: set_revision(newest), "migrations"),
        ("Valkey", here.valkey.stop, here.valkey.start, "redis"),
        (
            "noeviction",
            lambda: _configure(redis, "allkeys-lru", 2**30),
            lambda: _configure(redis, "noeviction", 0),
            "redis memory",
        ),
        (
            "a Redis of its own",
            lambda: redis.set(INSTALLATION, "another"),
            lambda: redis.set(INSTALLATION, ours),
            "installation",
        ),
        ("the mail server", here.close_postoffice, here.open_postoffice, "mail"),
    ]


def _configure(redis: Redis, policy: str, most: int) -> None:
    redis.config_set("maxmemory-policy", policy)
    redis.config_set("maxmemory", most)


def _stop(say: Say, *containers: Container) -> None:
    begun = time.monotonic()
    for container in containers:
        container.process.send_signal(signal.Signals[container.image.stop_signal])
    for container in containers:
        status = container.process.wait(60)
        check(status == 0, container.log.read_text()[-3000:])
        seconds, signal_name = time.monotonic() - begun, container.image.stop_signal
        say(f"{container.name} ended with {status} within {seconds:.1f} s of {signal_name}")


def _kill_listener(port: int) -> None:
    for connection in psutil.net_connections("tcp"):
        if connection.laddr.port == port and connection.status == psutil.CONN_LISTEN and connection.pid:
            psutil.Process(connection.pid).kill()
            return
    raise RuntimeError(f"nothing listens on {port}")
