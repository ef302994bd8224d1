"""Where blobs lie, and the present app's store."""

from typing import cast

from flask import current_app

from webapp.errors import NotFound
from webapp.storage import open_partials
from webapp.storage.blobs import BlobStore
from webapp.storage.partials import PartialFiles


def store() -> BlobStore:
    """The store that this installation was set up with."""
    return cast("BlobStore", current_app.extensions["blobs"])


def exists(key: str) -> bool:
    """Whether there is such a blob; its bytes are not fetched."""
    try:
        store().info(key)
    except NotFound:
        return False
    return True


def photo_key(event_public_id: str, photo_public_id: str, name: str) -> str:
    """The key of one rendition of a photo, such as `preview.webp`."""
    return f"events/{event_public_id}/photos/{photo_public_id}/{name}"


def selfie_key(event_public_id: str, selfie_public_id: str, name: str) -> str:
    """The key of a selfie's picture."""
    return f"events/{event_public_id}/selfies/{selfie_public_id}/{name}"


_EXTENSIONS = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "image/avif": ".avif",
    "image/heif": ".heic",
}


def selfie_preview_key(blob_key: str) -> str:
    """The key of the small rendition of a stored selfie."""
    return blob_key.rpartition("/")[0] + "/preview.jpg"


def selfie_pictures(blob_keys: list[str]) -> list[str]:
    """The keys of stored selfies and of their small renditions."""
    return [key for blob_key in blob_keys for key in (blob_key, selfie_preview_key(blob_key))]


def content_type(picture_format: str) -> str:
    """The type under which a picture of this format (as imaging names it) is served."""
    return f"image/{picture_format.lower()}"


def extension(kind: str) -> str:
    """The ending of a blob's name for a content type."""
    return _EXTENSIONS[kind]


def partials() -> PartialFiles:
    """The folder of files on their way in."""
    return open_partials(current_app.extensions["settings"])
