"""The one place that chooses a blob store."""

from webapp.errors import ConfigurationError
from webapp.settings import Settings
from webapp.storage.blobs import BlobStore
from webapp.storage.local import LocalBlobStore


def open_store(settings: Settings) -> BlobStore:
    """The store that BLOB_STORE names.

    Raises:
        ConfigurationError: the store is not part of this version.
    """
    if settings.blob_store == "local":
        return LocalBlobStore(settings.blobs_dir)
    raise ConfigurationError("BLOB_STORE=s3 is not part of this version yet: set BLOB_STORE=local.")
