"""Photos that a worker gets once more, as they were or as another export of the same shot."""

import io
from typing import Any

from flask import Flask
from PIL import Image
from sqlalchemy import select

from tests.support.actors import World
from webapp.db.extensions import db
from webapp.models import Photo, PhotoStatus, RenditionKind
from webapp.queueing import INDEX_PHOTO, enqueue_after_commit, unit_of_work
from webapp.services.core import blobs


def jpeg(image: Image.Image, **options: Any) -> bytes:
    target = io.BytesIO()
    image.save(target, "JPEG", **options)
    return target.getvalue()


def reexported(content: bytes) -> bytes:
    """The same shot, a little brighter and smaller."""
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        smaller = image.resize((image.width * 4 // 5, image.height * 4 // 5))
        return jpeg(smaller.point(lambda value: min(255, value + 12)), quality=88)


def index_again(app: Flask, world: World, photo_id: str, content: bytes | None = None) -> None:
    """Let a worker have the photo once more, with other bytes where some are given."""
    with app.app_context(), unit_of_work():
        photo = db.session.scalars(select(Photo).where(Photo.public_id == photo_id)).one()
        original = next(row for row in photo.renditions if row.kind is RenditionKind.ORIGINAL)
        if content is not None:
            blobs.store().put(original.blob_key, io.BytesIO(content))
        photo.status = PhotoStatus.UPLOADED
        enqueue_after_commit(INDEX_PHOTO, photo_id)
    world.work()
