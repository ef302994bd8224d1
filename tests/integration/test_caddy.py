"""The shipped Caddyfile, run by a real Caddy in front of real gunicorn processes."""

import base64
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from redis import Redis

from tests.attacks.web_processes import Visitor
from tests.support import caddy, product
from tests.support.actors import selfie
from tests.support.built import address
from tests.support.caddy import Caddy
from tests.support.product import ROOT, Product
from tests.support.servers import free_port
from webapp.settings import MEGABYTE

STALLED_OF_EACH_KIND = 60
LARGE_UPLOAD = 59 * MEGABYTE
TUS = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}


@pytest.fixture(scope="module", autouse=True)
def needs_caddy() -> None:
    caddy.executable()


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Product, Caddy]]:
    """An installation with two web threads behind Caddy. It waits ten minutes for clients: no time limit helps."""
    folder, port = tmp_path_factory.mktemp("behind_caddy"), free_port()
    settings = {
        "PUBLIC_URL": f"https://localhost:{port}",
        "TRUSTED_PROXIES": "1",
        "WORKERS": "1",
        "THREADS": "2",
        "MATCHING_PROCESSES": "1",
        "REQUEST_HEAD_SECONDS": "600",
        "REQUEST_SILENCE_SECONDS": "600",
    }
    with product.running(folder / "data", **settings) as site, pytest.MonkeyPatch.context() as patch:
        product.photographer(site).post("/photographer/events", json={"name": "Proxied", "date": "2026-06-20"})
        with caddy.running(folder / "caddy", site.url.removeprefix("http://"), port=port) as proxy:
            patch.setenv("REQUESTS_CA_BUNDLE", str(proxy.root))  # all requests verify the site by Caddy's CA
            yield site, proxy


@pytest.fixture
def site(installation: tuple[Product, Caddy]) -> Product:
    return installation[0]


@pytest.fixture
def proxy(installation: tuple[Product, Caddy]) -> Caddy:
    return installation[1]


def test_a_page_is_served_over_verified_tls(proxy: Caddy) -> None:
    answer = requests.get(f"{proxy.url}/sign-in", timeout=20)
    assert answer.status_code == 200
    assert "csrf_token" in answer.text


def test_hsts_is_sent_once(proxy: Caddy) -> None:
    answer = requests.get(f"{proxy.url}/sign-in", timeout=20)
    assert answer.headers["Strict-Transport-Security"].count("max-age") == 1


def test_cookies_are_secure(proxy: Caddy) -> None:
    jar = requests.get(f"{proxy.url}/sign-in", timeout=20).cookies
    assert jar
    assert all(cookie.secure for cookie in jar)


def test_what_the_app_compressed_arrives_so_and_nothing_else_is(proxy: Caddy) -> None:
    accept = {"Accept-Encoding": "gzip"}
    page = requests.get(f"{proxy.url}/sign-in", headers=accept, timeout=20)
    again = requests.get(f"{proxy.url}/sign-in", headers=accept, cookies=page.cookies, timeout=20)
    script = requests.get(f"{proxy.url}{address('upload.js')}", headers=accept, timeout=20)
    assert page.headers["Content-Encoding"] == "gzip"
    assert "csrf_token" in page.text
    # With a cookie, and without a browser's word that it is our own page that asks.
    assert page.cookies
    assert "Content-Encoding" not in again.headers
    assert script.headers["Content-Encoding"] == "gzip"
    assert script.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_http_is_redirected_to_https(proxy: Caddy) -> None:
    answer = requests.get(f"http://localhost:{proxy.http_port}/e/DEMO?x=1", allow_redirects=False, timeout=20)
    assert answer.status_code == 308
    assert answer.headers["Location"] == "https://localhost/e/DEMO?x=1"


def test_failures_with_forged_addresses_count_as_those_of_one_client(site: Product, proxy: Caddy) -> None:
    for last in range(3):
        forged = {"X-Forwarded-For": f"192.0.2.{last}", "X-Real-IP": f"192.0.2.{last}"}
        body = {"event_code": "WRONGCODE"}
        answer = requests.post(f"{proxy.url}/api/check-event-code", json=body, headers=forged, timeout=20)
        assert answer.json()["valid"] is False
    with Redis(unix_socket_path=str(site.data_dir / "redis.sock")) as redis:
        counters = [key for key in redis.keys("findme:limits*") if b"codes of address" in key]
        assert [redis.get(key) for key in counters] == [b"3"]


def test_pages_and_joining_go_on_beside_hundreds_of_stalled_connections(site: Product, proxy: Caddy) -> None:
    code = site.rows("SELECT code FROM event")[0][0]
    with proxy.stalled(STALLED_OF_EACH_KIND) as count:
        began = time.monotonic()
        assert requests.get(f"{proxy.url}/e/{code}", timeout=5).status_code == 200
        assert time.monotonic() - began < 2
        product.register(_through(site, proxy), code, "ada").upload_selfie(selfie("grace"))
    assert count >= 400


def test_a_file_of_59_megabytes_is_taken(site: Product, proxy: Caddy) -> None:
    content = selfie("grace").ljust(LARGE_UPLOAD, b"\0")
    sender = Sender(site, proxy)
    address = sender.announce("large.jpg", len(content))
    answer = sender.ask("PATCH", address, content, **{"Upload-Offset": "0"})
    assert answer.status_code == 204
    assert answer.headers["Upload-Offset"] == str(LARGE_UPLOAD)


def test_what_came_of_a_file_before_its_connection_broke_is_kept(site: Product, proxy: Caddy) -> None:
    content = selfie("eileen")
    half = len(content) // 2
    sender = Sender(site, proxy)
    address = sender.announce("half.jpg", len(content))
    with proxy.connect() as connection:
        connection.sendall(sender.head("PATCH", address, len(content)) + content[:half])
        time.sleep(0.5)
    assert _eventually(lambda: sender.ask("HEAD", address).headers["Upload-Offset"] == str(half))
    rest = sender.ask("PATCH", address, content[half:], **{"Upload-Offset": str(half)})
    assert rest.headers["FindMe-Status"] == "accepted"


def test_forwarding_headers_of_clients_are_replaced_or_removed(tmp_path: Path) -> None:
    names = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix")
    forged = dict.fromkeys((*names, "X-Real-IP", "Forwarded"), "forged")
    port = free_port()
    with _gunicorn(tmp_path, port), caddy.running(tmp_path / "caddy", f"127.0.0.1:{port}") as proxy:
        seen = _get(proxy, "/headers", headers=forged).json()
    assert "forged" not in seen.values()
    assert seen["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"
    assert seen["HTTP_X_FORWARDED_PROTO"] == "https"
    assert seen["HTTP_X_FORWARDED_HOST"] == f"localhost:{proxy.port}"


def test_a_request_for_another_host_never_reaches_the_app(tmp_path: Path) -> None:
    port = free_port()
    with _gunicorn(tmp_path, port), caddy.running(tmp_path / "caddy", f"127.0.0.1:{port}") as proxy:
        answer = _get(proxy, "/headers", headers={"Host": "evil.example.com"})
    assert answer.text == ""


def test_a_restart_of_the_web_process_is_waited_for(tmp_path: Path) -> None:
    """Caddy 2.6 refuses requests with a body at once; later versions hold these, too, until they can be sent."""
    port, body = free_port(), bytes(300_000)
    with caddy.running(tmp_path / "caddy", f"127.0.0.1:{port}") as proxy, ThreadPoolExecutor() as pool:
        with _gunicorn(tmp_path, port):
            assert _get(proxy, "/").text == "hello"
        reads = [pool.submit(_get, proxy, "/") for _ in range(4)]
        writes = [pool.submit(_post, proxy, "/echo", body) for _ in range(4)]
        time.sleep(1)
        with _gunicorn(tmp_path, port):
            assert [answer.result().text for answer in reads] == ["hello"] * 4
            assert all(_is_complete_or_refused(answer.result()) for answer in writes)
            assert _post(proxy, "/echo", body).text == "300000"


def test_an_outage_is_answered_in_text_and_logged_without_the_request(tmp_path: Path) -> None:
    upstream = f"127.0.0.1:{free_port()}"
    with caddy.running(tmp_path, upstream, CADDY_GLOBAL_OPTIONS="debug") as proxy:
        secret = {"Cookie": "session=SECRET", "X-Other": "SECRET"}
        answer = _get(proxy, "/sign-in/SECRET?t=SECRET", headers=secret)
        log = proxy.log
    assert answer.status_code in (502, 503)
    assert answer.headers["Retry-After"] == "5"
    assert "try again" in answer.text
    assert f'"status":{answer.status_code}' in log
    assert "SECRET" not in log


def test_it_is_valid(tmp_path: Path) -> None:
    done = _caddy(tmp_path, "validate")
    assert "Valid configuration" in done.stdout + done.stderr
    assert '"level":"error"' not in done.stderr


def test_its_limits_hold_for_both_ports(tmp_path: Path) -> None:
    servers = json.loads(_caddy(tmp_path, "adapt").stdout)["apps"]["http"]["servers"]
    assert len(servers) == 2
    for server in servers.values():
        assert server["read_header_timeout"] == 20 * 10**9
        assert server["max_header_bytes"] <= 32768
        assert server["read_timeout"] > 0
        assert server["write_timeout"] > 0


def test_it_gives_up_upstream_connections_before_gunicorn_does(tmp_path: Path) -> None:
    text = _caddy(tmp_path, "adapt").stdout
    proxies = _values(json.loads(text), "keep_alive")
    assert [alive["idle_timeout"] / 10**9 for alive in proxies] == [30]


class Sender:
    """A photographer's browser behind Caddy that sends files by tus."""

    def __init__(self, site: Product, proxy: Caddy) -> None:
        self._visitor = Visitor(proxy.url)
        self._visitor.session.headers["Referer"] = f"{proxy.url}/"
        self._visitor.sign_in("photographer@example.com")
        self._event = f"/studio/events/{site.rows('SELECT public_id FROM event')[0][0]}"

    def ask(self, method: str, path: str, content: bytes = b"", **headers: str) -> requests.Response:
        sent = TUS | {"X-CSRFToken": self._visitor.token} | headers
        url = self._visitor.url + path
        return self._visitor.session.request(method, url, data=content, headers=sent, timeout=120)

    def announce(self, name: str, length: int) -> str:
        """Return the path of a new upload."""
        named = f"filename {base64.b64encode(name.encode()).decode()}"
        made = self.ask("POST", f"{self._event}/files", **{"Upload-Length": str(length), "Upload-Metadata": named})
        assert made.status_code == 201, made.text
        return urlsplit(made.headers["Location"]).path

    def head(self, method: str, path: str, length: int) -> bytes:
        """Return the headers of a request with a body of this length, for a connection of the test's own."""
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self._visitor.session.cookies)
        headers = TUS | {"X-CSRFToken": self._visitor.token, "Referer": f"{self._visitor.url}/", "Cookie": cookies}
        headers |= {"Host": urlsplit(self._visitor.url).netloc, "Upload-Offset": "0", "Content-Length": str(length)}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode()


def _through(site: Product, proxy: Caddy) -> Product:
    return Product(proxy.url, site.data_dir, site.process, site.env)


@contextmanager
def _gunicorn(folder: Path, port: int) -> Iterator[None]:
    """Run gunicorn with our worker and the plain app on a port."""
    command = [sys.executable, "-m", "gunicorn", "-k", "webapp.web_worker.worker.Worker", "-w", "1", "--threads", "4"]
    command += ["--no-control-socket", "--keep-alive", "75", "-b", f"127.0.0.1:{port}"]
    with (folder / "gunicorn.log").open("ab") as log:
        process = subprocess.Popen([*command, "tests.integration.plain_app:app"], cwd=ROOT, stdout=log, stderr=log)
    try:
        assert _eventually(lambda: requests.get(f"http://127.0.0.1:{port}/", timeout=5).ok)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)


def _eventually(holds: Any, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if holds():
                return True
        except requests.ConnectionError:
            pass
        time.sleep(0.1)
    return False


def _is_complete_or_refused(answer: requests.Response) -> bool:
    return answer.text == "300000" or (answer.status_code in (502, 503) and "Retry-After" in answer.headers)


def _get(proxy: Caddy, path: str, **kwargs: Any) -> requests.Response:
    return requests.get(proxy.url + path, verify=str(proxy.root), timeout=40, **kwargs)


def _post(proxy: Caddy, path: str, content: bytes) -> requests.Response:
    return requests.post(proxy.url + path, data=content, verify=str(proxy.root), timeout=40)


def _caddy(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    env = caddy.environment(Caddy(8443, 8080, folder), "127.0.0.1:8000")
    arguments = [caddy.executable(), command, "--adapter", "caddyfile", "--config", str(caddy.CADDYFILE)]
    return subprocess.run(arguments, env=env, check=True, capture_output=True, text=True)


def _values(tree: Any, name: str) -> list[Any]:
    """Return all values of a key in nested JSON."""
    children = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    here = [tree[name]] if isinstance(tree, dict) and name in tree else []
    return here + [found for child in children for found in _values(child, name)]
