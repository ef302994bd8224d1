"""An event with shots of which more than one export comes in, and what its photographer does about them."""

import io
from dataclasses import dataclass
from datetime import timedelta

from flask import Flask
from PIL import ExifTags, Image, ImageEnhance, ImageFilter, ImageOps
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from tests.support.actors import PASSWORD, Api, World, photos_with, selfie
from tests.support.browsing import Browser
from tests.support.reindexing import jpeg, reexported
from webapp.clock import utcnow
from webapp.db.extensions import db
from webapp.models import Event, Face, Lease, Match, Photo, Rendition
from webapp.services.core import blobs
from webapp.services.photos import replaced
from webapp.services.rules.visibility import is_there
from webapp.services.upkeep import cleanup

OWNER = "photographer@example.com"


def of_shot(content: bytes, number: int) -> bytes:
    """The picture as an export of the shot with this number."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "Canon", "R6"
    detail = exif.get_ifd(ExifTags.IFD.Exif)
    detail[ExifTags.Base.DateTimeOriginal] = "2026:06:20 18:30:05"
    detail[ExifTags.Base.SubsecTimeOriginal] = f"{number:03}"
    target = io.BytesIO()
    with Image.open(io.BytesIO(content)) as image:
        image.save(target, "JPEG", quality=92, exif=exif)
    return target.getvalue()


def exports(number: int = 1) -> list[tuple[str, bytes]]:
    """Two exports of a shot that shows Grace."""
    content = photos_with("grace", number)[number - 1][1]
    return [
        (f"old{number}.jpg", of_shot(content, number)),
        (f"new{number}.jpg", of_shot(reexported(content), number)),
    ]


def blurred(number: int = 1) -> tuple[str, bytes]:
    """An export of the same shot on which no face can be seen."""
    target = io.BytesIO()
    with Image.open(io.BytesIO(photos_with("grace", number)[number - 1][1])) as image:
        image.filter(ImageFilter.GaussianBlur(image.width // 30)).save(target, "JPEG")
    return "blurred.jpg", of_shot(target.getvalue(), number)


def graded(content: bytes) -> bytes:
    """The picture in black and white, with more contrast, cropped a little."""
    with Image.open(io.BytesIO(content)) as image:
        crop = image.crop((image.width // 50, image.height // 50, image.width * 49 // 50, image.height * 49 // 50))
        grey = ImageOps.grayscale(crop).convert("RGB")
        return jpeg(ImageEnhance.Contrast(grey).enhance(1.3), quality=90)


@dataclass
class Shots:
    """An event with shots that came in twice, its photographer's browser, and a guest who is on them."""

    app: Flask
    world: World
    event_id: str
    owner: Browser
    guest: Api

    @property
    def path(self) -> str:
        return f"/studio/events/{self.event_id}/photos"

    def add(self, *files: tuple[str, bytes]) -> list[str]:
        ids = [str(self.world.add_photos(self.event_id, file)[0]) for file in files]
        self.world.work()
        return ids

    def decide(self, photo_id: str, decision: str, *, htmx: bool = False, **form: str) -> TestResponse:
        path = f"{self.path}/{photo_id}/same-shot"
        return self.owner.submit(path, {"decision": decision, **form}, page=self.path, htmx=htmx)

    def say(self, photo_id: str, verdict: str) -> str:
        """The guest says something of a photo; returns their match's id."""
        with self.app.app_context():
            wanted = select(Match.public_id).join(Photo, Photo.id == Match.photo_id)
            match_id = db.session.scalars(wanted.where(Photo.public_id == photo_id)).one()
        assert self.guest.post(f"/matches/{match_id}", json={"verdict": verdict}).status_code == 200
        self.world.work()
        return match_id

    def said(self) -> list[tuple[str, str, str]]:
        """Photo, match and verdict of each match."""
        with self.app.app_context():
            rows = db.session.execute(
                select(Photo.public_id, Match.public_id, Match.verdict)
                .join(Match, Match.photo_id == Photo.id)
                .join(Face, (Face.id == Match.face_id) & (Face.photo_id == Photo.id))
                .order_by(Match.id)
            )
            return [(row[0], row[1], row[2].value) for row in rows]

    def undecided(self) -> list[str]:
        with self.app.app_context():
            return list(
                db.session.scalars(select(Photo.public_id).where(Photo.same_shot_as_id.is_not(None)).order_by(Photo.id))
            )

    def names(self) -> dict[str, str]:
        with self.app.app_context():
            there = select(Photo.public_id, Photo.filename).where(is_there()).order_by(Photo.id)
            return dict(db.session.execute(there).all())

    def replaced(self) -> dict[str, str]:
        """Names of the replaced photos, the last replaced first."""
        with self.app.app_context():
            return {photo.public_id: photo.filename for photo in replaced.page_of(self.event())}

    def event(self) -> Event:
        return db.session.scalars(select(Event)).one()

    def bring_back(self, photo_id: str) -> TestResponse:
        return self.owner.submit(f"{self.path}/replaced/{photo_id}", {}, page=f"{self.path}/replaced")

    def let_days_pass(self, days: float) -> None:
        """What was replaced was replaced so many days earlier, and a worker's periodic work is due."""
        with self.app.app_context():
            for photo in db.session.scalars(select(Photo).where(Photo.replaced_at.is_not(None))):
                photo.replaced_at = (photo.replaced_at or utcnow()) - timedelta(days=days)
            db.session.execute(update(Lease).values(expires_at=utcnow() - timedelta(seconds=1)))
            db.session.commit()
            assert cleanup.tidy()
        self.world.work()

    def original(self, photo_id: str) -> bytes:
        with self.owner.get(f"/media/photos/{photo_id}/original") as answer:
            assert answer.status_code == 200
            return answer.data

    def assert_blobs_are_known(self) -> None:
        """Every rendition has its blob, and there is no other blob of a photo."""
        with self.app.app_context():
            stored = set(blobs.store().keys(f"events/{self.event_id}/photos/"))
            assert stored == set(db.session.scalars(select(Rendition.blob_key)))


def set_up(app: Flask, world: World, api: Api) -> Shots:
    """An event with a guest whose selfie is accepted, and no photos."""
    event_id = world.event()
    guest = api.register(world.code)
    assert guest.upload_selfie(selfie("grace")).status_code == 200
    world.work()
    return Shots(app, world, event_id, Browser(app).sign_in(OWNER, PASSWORD), guest)
