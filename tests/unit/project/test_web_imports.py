"""The web process never loads the face engine: no model, no OpenCV, and no cloud's SDK where there is no cloud."""

import json
import os
import subprocess
import sys

import pytest
from flask import Flask
from sqlalchemy import select

from tests.support.actors import PASSWORD, Api, World, demo_photos, photos_with, selfie
from tests.support.settings import SECRET
from webapp.db.extensions import db
from webapp.models import Match, Photo
from webapp.settings import ROOT, Settings

HEAVY = (
    "onnxruntime",
    "onnx",
    "cv2",
    "boto3",
    "botocore",
    "webapp.faces.local.analyzer",
    "webapp.faces.rekognition.engine",
)

DAY = """
import io, json, sys
from pathlib import Path

import wsgi
from tests.support.browsing import HTMX, Browser

facts = json.loads(sys.stdin.read())
seen = {}
browser, api = Browser(wsgi.app), wsgi.app.test_client()


def note(name, answer):
    seen[name] = answer.status_code
    return answer


def picture(kind):
    return io.BytesIO(Path(facts[kind]).read_bytes()), "a.jpg"


def call(method, path, **kwargs):
    token = {"Authorization": f"Bearer {kwargs.pop('token')}"} if "token" in kwargs else {}
    return note(f"{method} {path.partition('?')[0]}", api.open(f"/api{path}", method=method, headers=token, **kwargs))


def login(name):
    return api.post("/api/login", json={"username": name, "password": facts["password"]}).json["access_token"]


# Joining in a browser, with a selfie, and what the page asks for afterwards.
form = {"name": "Ada", "email": "ada@example.com", "consent": "y", "file": picture("selfie")}
note("join", browser.submit("/e/PARTY234", form))
note("photos", browser.get("/e/PARTY234/photos"))
note("poll", browser.get("/e/PARTY234/photos/live", headers=HTMX))

# The same through the API.
person = {"username": "bob", "email": "bob@example.com", "password": facts["password"]}
call("POST", "/check-event-code", json={"event_code": "PARTY234"})
call("POST", "/validate-selfie", data={"file": picture("selfie")})
body = person | {"event_code": "PARTY234", "consent": "true"}
joined = call("POST", "/register-invite-with-selfie", data=body | {"file": picture("selfie")})
call("POST", "/upload-selfie", token=joined.json["access_token"], data={"file": picture("selfie")})
call("GET", "/rematch-status", token=joined.json["access_token"])

# A guest who was found: photos, pictures, the crop of a face, and saying yes.
guest = login("guest")
call("GET", "/my-photos", token=guest)
call("GET", "/my-photos?band=maybe", token=guest)
call("GET", "/all-photos", token=guest)
call("GET", f"/photo/{facts['photo']}", token=guest)
call("POST", f"/matches/{facts['match']}", token=guest, json={"verdict": "confirmed"})
note("crop", Browser(wsgi.app).sign_in("guest", facts["password"]).get(f"/media/crops/{facts['match']}"))

# The photographer.
owner = login("photographer@example.com")
studio = f"/photographer/events/{facts['event']}"
call("POST", f"{studio}/upload-photos", token=owner, data={"files": [picture("photo_file")]})
call("GET", f"{studio}/photos", token=owner)
call("GET", f"{studio}/costs", token=owner)
call("POST", f"{studio}/rematch", token=owner)
runner = Browser(wsgi.app).sign_in("photographer@example.com", facts["password"])
note("studio", runner.get(f"/studio/events/{facts['event']}"))
call("DELETE", "/my-selfie", token=guest)
call("GET", "/health/ready")
call("GET", "/openapi.json")
print(json.dumps({"seen": seen, "loaded": sorted(sys.modules)}))
"""


def test_a_day_of_pages_and_calls_loads_no_engine(app: Flask, api: Api, world: World, settings: Settings) -> None:
    event_id = world.event()
    world.add_photos(event_id, *photos_with("grace", 2))
    assert api.register(world.code, "guest").upload_selfie(selfie("grace")).status_code == 200
    world.work()
    with app.app_context():
        facts = {
            "match": db.session.scalars(select(Match.public_id).limit(1)).one(),
            "photo": db.session.scalars(select(Photo.public_id).limit(1)).one(),
        }
    files = {"selfie": selfie("eileen"), "photo_file": demo_photos(8)[-1][1]}
    for name, content in files.items():
        (settings.data_dir / f"{name}.jpg").write_bytes(content)
        facts[name] = str(settings.data_dir / f"{name}.jpg")
    found = _web_process(settings, facts | {"event": event_id, "password": PASSWORD})
    assert {name: status for name, status in found["seen"].items() if status >= 400} == {"GET /health/ready": 503}
    assert len(found["seen"]) > 20
    assert [name for name in HEAVY if name in found["loaded"]] == []
    assert "PIL.Image" in found["loaded"], "pictures were looked at after all"


def _web_process(settings: Settings, facts: dict[str, str]) -> dict[str, dict[str, int]]:
    """A new process that serves as the web does, on the test's database and Redis."""
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG", "TMPDIR")}
    env = kept | {
        "ENVIRONMENT": "development",
        "SECRET_KEY": SECRET,
        "DATA_DIR": str(settings.data_dir),
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "PUBLIC_URL": settings.public_url,
    }
    done = subprocess.run(
        [sys.executable, "-c", DAY], cwd=ROOT, env=env, input=json.dumps(facts), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, dict[str, int]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("module", ["webapp.run.supervisor", "webapp.gunicorn_conf", "jobs.worker", "jobs.reaper"])
def test_what_only_looks_after_others_loads_no_app(module: str) -> None:
    """It starts at once, and a web worker that `make dev` starts anew finds none of the old code in its master."""
    code = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    env = {"PATH": os.environ["PATH"], "SECRET_KEY": SECRET}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout)
    assert module in loaded
    of_an_app = ("flask", "webapp.wiring", "webapp.models", "webapp.services", "webapp.pages", "webapp.web.templating")
    assert [name for name in loaded if name.startswith(of_an_app)] == []
