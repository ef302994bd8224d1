"""Drives the whole product over HTTP through an event of make_event.py: uploads, selfies, and what guests are shown."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.bench.outcome import Outcome, Shown
from tests.support.product import Client, photographer, register, running

UPLOADS_AT_ONCE = 3


def through_product(folder: Path, data_dir: Path, *, selfies: int = 1) -> Outcome:
    """Half of the guests come before the photos and half after them, since the order must not matter."""
    truth = json.loads((folder / "truth.json").read_text())
    names = sorted(truth["guests"])
    with running(data_dir) as product:
        owner = photographer(product)
        event = owner.post("/photographer/events", json={"name": "Known truth", "date": "2026-06-20"})
        guests = {name: register(product, event["code"], name) for name in names}
        for name in names[::2]:
            _selfies(guests[name], folder, truth["guests"][name]["selfies"][:selfies])
        with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
            list(pool.map(lambda name: _upload(owner, event["id"], folder / "photos" / name), truth["photos"]))
        for name in names[1::2]:
            _selfies(guests[name], folder, truth["guests"][name]["selfies"][:selfies])
        product.wait("SELECT count(*) FROM photo WHERE status NOT IN ('indexed', 'failed')", 0, seconds=3600)
        product.wait("SELECT count(*) FROM selfie WHERE status IN ('received', 'checking')", 0, seconds=600)
        product.wait("SELECT count(*) FROM person WHERE match_wanted <> match_done", 0, seconds=600)
        refused = {
            name: status["reason"]
            for name, guest in guests.items()
            if (status := guest.get("/rematch-status"))["status"] == "rejected"
        }
        return Outcome(_shown(owner, event["id"], guests, product.rows), refused)


def _upload(owner: Client, event_id: str, path: Path) -> None:
    owner.upload(event_id, path.name, path.read_bytes())


def _selfies(guest: Client, folder: Path, paths: list[str]) -> None:
    for number, path in enumerate(paths):
        guest.upload_selfie((folder / path).read_bytes(), add="true" if number else "false")


def _shown(owner: Client, event_id: str, guests: dict[str, Client], rows) -> Shown:  # type: ignore[no-untyped-def]
    """What each guest's own calls answer; only the photos behind maybes, which guests are not shown, are looked up."""
    files = dict(rows("SELECT public_id, filename FROM photo"))
    behind = dict(rows("SELECT m.public_id, p.filename FROM match m JOIN photo p ON p.id = m.photo_id"))
    shown: Shown = {}
    for name, guest in guests.items():
        sure = {files[row["id"]] for row in guest.get("/my-photos?limit=500")}
        maybe = {behind[row["id"]] for row in guest.get("/my-photos?band=maybe&limit=500")}
        shown[name] = {"sure": sorted(sure), "maybe": sorted(maybe - sure)}
    return shown
