"""What both forms share: an event that is handed in, faults at seeded moments, and all that is left in the end."""

import hashlib
import io
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
from PIL import Image, ImageEnhance

from tests.support import faces
from tests.support.actors import selfie
from tests.support.product import Client, Product, photographer, register
from tests.support.servers import Valkey, start_valkey

GUESTS = ("grace", "eileen")
_OF = "FROM photo p JOIN event v ON v.id = p.event_id"
FACTS = {
    "photos": f"""SELECT p.filename, p.status, p.failure_reason, p.sha256, p.width, p.height, p.placeholder,
                  p.faces_count, p.crashes, p.interruptions, p.claim {_OF} WHERE v.name = '{{event}}' ORDER BY 1, 4""",
    "faces": f"""SELECT p.filename, f.ordinal, f.box_x, f.box_y, f.box_width, f.box_height, f.size, f.weak, w.engine,
                 w.version {_OF} JOIN face f ON f.photo_id = p.id JOIN face_vector w ON w.face_id = f.id
                 WHERE v.name = '{{event}}' ORDER BY 1, 2""",
    "matches": f"""SELECT e.name, p.filename, f.ordinal, m.band, m.verdict, m.similarity {_OF}
                   JOIN match m ON m.photo_id = p.id JOIN face f ON f.id = m.face_id
                   JOIN person e ON e.id = m.person_id WHERE v.name = '{{event}}' ORDER BY 1, 2, 3""",
    "selfies": """SELECT e.name, s.status, s.reason FROM selfie s JOIN person e ON e.id = s.person_id
                  JOIN event v ON v.id = e.event_id WHERE v.name = '{event}' ORDER BY 1""",
    "uploads": """SELECT u.filename, u.status, u.reason FROM upload u JOIN event v ON v.id = u.event_id
                  WHERE v.name = '{event}' ORDER BY 1""",
}
KNOWN = """SELECT r.blob_key FROM rendition r JOIN photo p ON p.id = r.photo_id WHERE p.event_id = {id}
           UNION ALL SELECT s.blob_key FROM selfie s JOIN person e ON e.id = s.person_id WHERE e.event_id = {id}"""
Outcome = dict[str, object]
Photos = list[tuple[str, bytes]]


@contextmanager
def own_redis() -> Iterator[Valkey]:
    """A server that a test may stop; the product is told of it by REDIS_URL."""
    server = start_valkey()
    try:
        yield server
    finally:
        server.stop()


def restart_empty(server: Valkey, seconds: float) -> None:
    """Stop it for so long; it comes back at the same place without anything that it knew."""
    server.process.kill()
    server.process.wait()
    server.socket.unlink(missing_ok=True)
    time.sleep(seconds)
    server.process = subprocess.Popen(
        server.process.args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0
    )
    until(server.socket.exists, 10)


def photos(count: int) -> Photos:
    """The demo's photos, then variations of them: smaller, each a little darker, so that no two are the same bytes."""
    demo = faces.demo_set().photos
    found = [(name, content) for name, content, _ in demo[:count]]
    while len(found) < count:
        number = len(found)
        out = io.BytesIO()
        with Image.open(io.BytesIO(demo[number % len(demo)][1])) as picture:
            picture.thumbnail((1280, 1280))
            darker = ImageEnhance.Brightness(picture.convert("RGB")).enhance(1 - number / 2500)
            darker.save(out, "JPEG", quality=88)
        found.append((f"variation-{number:04}.jpg", out.getvalue()))
    return found


@dataclass
class Party:
    """One event of the product that is handed in."""

    product: Product
    name: str
    owner: Client
    id: str
    code: str
    guests: dict[str, Client]

    @classmethod
    def make(cls, product: Product, name: str, owner: Client | None = None) -> "Party":
        """A new event with two guests who have accounts."""
        owner = owner or photographer(product)
        event = owner.post("/photographer/events", json={"name": name, "date": "2026-06-20"})
        guests = {person: register(product, event["code"], f"{person}-{name}") for person in GUESTS}
        return cls(product, name, owner, event["id"], event["code"], guests)

    def hand_in(self, pictures: Photos) -> None:
        """A selfie of each guest, then all photos."""
        for person, guest in self.guests.items():
            guest.upload_selfie(selfie(person))
        for name, content in pictures:
            self.owner.upload(self.id, name, content)

    def indexed(self) -> int:
        return self._count("status = 'indexed'")

    def under_way(self) -> int:
        """How many photos workers have in hand, or had when they died."""
        return self._count("status = 'indexing'")

    def in_hand(self) -> int:
        """How many photos a worker has claimed."""
        return self._count("claim IS NOT NULL")

    def most_deaths(self) -> int:
        """How many processes died with the photo that was hit most often and is not done."""
        query = f"SELECT max(p.crashes + p.interruptions) {_OF} WHERE v.public_id = '{self.id}'"
        return int(self.product.rows(query)[0][0] or 0)

    def waiting(self) -> set[str]:
        """Public ids of the photos that are not done."""
        query = f"SELECT p.public_id {_OF} WHERE v.public_id = '{self.id}' AND p.status IN ('uploaded', 'indexing')"
        return {key for (key,) in self.product.rows(query)}

    def settle(self, seconds: float) -> None:
        """Until nothing waits any more."""
        until(lambda: not self._count("status IN ('uploaded', 'indexing')") and not self._people_waiting(), seconds)

    def decide(self) -> None:
        """One guest says no to a match, the other yes; always to the first ones by name."""
        for guest, verdict in zip(GUESTS, ("rejected", "confirmed"), strict=True):
            (match,) = self.product.rows(
                f"""SELECT m.public_id {_OF} JOIN match m ON m.photo_id = p.id JOIN person e ON e.id = m.person_id
                    WHERE v.public_id = '{self.id}' AND e.name LIKE '{guest}%' AND m.band = 'sure'
                    ORDER BY p.filename LIMIT 1"""
            )
            self.guests[guest].post(f"/matches/{match[0]}", json={"verdict": verdict})

    def outcome(self) -> Outcome:
        """All that counts of the event: rows, what lies in the store, and nothing that lies there unknown."""
        found: Outcome = {
            name: [self._plain(row) for row in self.product.rows(query.format(event=self.name))]
            for name, query in FACTS.items()
        }
        return found | {"renditions": self._renditions(), "orphans": self._orphans()}

    def _renditions(self) -> list[tuple[object, ...]]:
        rows = self.product.rows(
            f"""SELECT p.filename, p.sha256, r.kind, r.width, r.height, r.byte_size, r.blob_key {_OF}
                JOIN rendition r ON r.photo_id = p.id WHERE v.public_id = '{self.id}' ORDER BY 1, 2, 3"""
        )
        return [(*row[:-1], hashlib.sha256((self._blobs / str(row[-1])).read_bytes()).hexdigest()) for row in rows]

    def _orphans(self) -> list[str]:
        (row,) = self.product.rows(f"SELECT id FROM event WHERE public_id = '{self.id}'")
        known = {key for (key,) in self.product.rows(KNOWN.format(id=row[0]))}
        known |= {key.rpartition("/")[0] + "/preview.jpg" for key in known if "/selfies/" in key}
        place = self._blobs / "events" / self.id
        there = {path.relative_to(self._blobs).as_posix() for path in place.rglob("*") if path.is_file()}
        return sorted(there - known)

    @property
    def _blobs(self) -> Path:
        return self.product.data_dir / "blobs"

    def _count(self, condition: str) -> int:
        query = f"SELECT count(*) {_OF} WHERE v.public_id = '{self.id}' AND p.{condition}"
        return int(self.product.rows(query)[0][0])

    def _people_waiting(self) -> int:
        query = f"""SELECT count(*) FROM person e JOIN event v ON v.id = e.event_id
                    LEFT JOIN selfie s ON s.person_id = e.id AND s.status IN ('received', 'checking')
                    WHERE v.public_id = '{self.id}' AND (e.match_wanted <> e.match_done OR s.id IS NOT NULL)"""
        return int(self.product.rows(query)[0][0])

    def _plain(self, row: tuple[object, ...]) -> tuple[object, ...]:
        """A row as it is the same in every event: guests without the event's name, numbers rounded."""
        shorter = (value.removesuffix(f"-{self.name}") if isinstance(value, str) else value for value in row)
        return tuple(round(value, 4) if isinstance(value, float) else value for value in shorter)


def kill(party: Party, dice: random.Random, seconds: float = 60) -> str:
    """SIGKILL to a worker, with or without the process that runs its jobs; returns which of them it was."""
    until(party.product.workers, seconds)
    worker = dice.choice(party.product.workers())
    horses = worker.children(recursive=True)
    if dice.random() < 0.5 and horses:
        for horse in horses:
            try:
                horse.kill()
            except psutil.NoSuchProcess:
                pass
        return "horse"
    party.product.kill_worker(worker)
    return "worker"


@dataclass
class Kills:
    """What `kill_often` did."""

    done: int = 0
    most_deaths: int = 0
    """With one photo, of those that were recorded before a kill."""


def kill_often(party: Party, dice: random.Random, times: int, total: int) -> Kills:
    """Kill at so many moments while photos are worked on: a third all along, the others among the last tenth.

    The end of a batch is where the same few photos are hit again and again.
    """
    kills, last = Kills(), max(3, total // 10)
    early = max(1, times // 3)
    while kills.done < early and party.indexed() < total - last:
        _kill_one(party, dice, kills)
        wanted = min(total - last, party.indexed() + dice.randint(1, max(1, 2 * (total - last) // early - 1)))
        until(partial(_has_indexed, party, wanted), 120)
    until(partial(_has_indexed, party, total - last), 300)
    while kills.done < times and party.indexed() < total:
        until(lambda: party.in_hand() or party.indexed() == total, 120)
        _kill_one(party, dice, kills)
    return kills


def _kill_one(party: Party, dice: random.Random, kills: Kills) -> None:
    """One more, a moment later."""
    time.sleep(dice.uniform(0, 0.4))
    # Before and not after: a death is recorded when the next process has come up.
    kills.most_deaths = max(kills.most_deaths, party.most_deaths())
    kill(party, dice)
    kills.done += 1


def _has_indexed(party: Party, wanted: int) -> bool:
    return party.indexed() >= wanted


def until(condition: Callable[[], object], seconds: float) -> None:
    """Wait for it.

    Raises:
        TimeoutError: it did not happen in so many seconds.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"it did not happen in {seconds:.0f} s")
        time.sleep(0.1)
