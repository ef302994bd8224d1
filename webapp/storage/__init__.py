"""Blob stores, local files or S3, behind one protocol, and the one place that chooses between them.

Nothing here knows what a blob is of, who may see it, or the database.
"""

from webapp.settings import Settings
from webapp.storage.blobs import BlobStore
from webapp.storage.local import LocalBlobStore
from webapp.storage.partials import PartialFiles


def open_store(settings: Settings, *, attempts: int | None = None) -> BlobStore:
    """The store that BLOB_STORE names. Nothing is asked of it yet. attempts: of each call to S3, the first included."""
    if settings.blob_store == "local":
        return LocalBlobStore(settings.blobs_dir)
    # Only here, so that an installation without a cloud does not load its SDK.
    from webapp.storage.s3 import S3BlobStore

    return S3BlobStore(settings) if attempts is None else S3BlobStore(settings, attempts=attempts)


def open_partials(settings: Settings) -> PartialFiles:
    """The folder of files that have not arrived completely."""
    return PartialFiles(settings.partials_dir)
