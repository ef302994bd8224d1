"""Puts thousands of photos into a stopped queue: `python -m tests.load.waiting EVENT_CODE SMALL_PHOTOS COUNT`.

A program of its own, run with the settings of the installation. Each photo is one of the given pictures with some bytes
behind its end, so that no two are the same file; rows and blobs are what an upload leaves.
"""

import hashlib
import sys
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

from sqlalchemy import select

from webapp import create_app
from webapp.clock import utcnow
from webapp.db.columns import new_public_id
from webapp.db.extensions import db
from webapp.models import Event, Photo, Rendition, RenditionKind
from webapp.queueing import INDEX_PHOTO, enqueue, unit_of_work
from webapp.services.core import blobs
from webapp.settings import Settings


def main(code: str, folder: str, count: str) -> None:
    settings = Settings.from_env()
    app = create_app(settings)
    with app.app_context():
        event = db.session.scalars(select(Event).where(Event.code_key == code)).one()
        owner = event.memberships[0].user_id
        pictures = [(path.name, path.read_bytes()) for path in sorted(Path(folder).iterdir())]
        rows = list(_photos(event, owner, islice(cycle(pictures), int(count)), settings.blobs_dir))
        with unit_of_work():
            db.session.add_all(rows)
        for (key,) in db.session.execute(select(Photo.public_id).where(Photo.status == "uploaded")).all():
            enqueue(INDEX_PHOTO, key)


def _photos(event: Event, owner: int, pictures: Iterator[tuple[str, bytes]], root: Path) -> Iterator[Photo]:
    for number, (name, picture) in enumerate(pictures):
        content = picture + f"copy {number}".encode()
        public_id = new_public_id()
        key = blobs.photo_key(event.public_id, public_id, "original.jpg")
        path = root / key
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        original = Rendition(
            kind=RenditionKind.ORIGINAL, blob_key=key, content_type="image/jpeg", byte_size=len(content)
        )
        yield Photo(
            public_id=public_id,
            event_id=event.id,
            uploaded_by_id=owner,
            filename=f"{number}-{name}",
            sha256=hashlib.sha256(content).hexdigest(),
            byte_size=len(content),
            published_at=utcnow(),
            renditions=[original],
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
