"""Blobs behind one protocol: local files by default, S3 in the cloud.

Keys are made by us and look like `events/EVENT/photos/PHOTO/preview.jpg`; nothing that a person typed is ever part of
one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Protocol


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """What the store knows of a blob."""

    key: str
    size: int
    etag: str


class BlobStore(Protocol):
    """Where originals, renditions and selfies lie."""

    def put(self, key: str, source: IO[bytes]) -> BlobInfo:
        """Store everything that `source` yields under `key`, all or nothing; replaces what was there.

        Raises:
            Transient: the store can't take it now (no space, no connection); nothing was stored.
        """
        ...

    def open(self, key: str) -> IO[bytes]:
        """A seekable stream of the blob's bytes.

        Raises:
            NotFound: there is no such blob.
        """
        ...

    def info(self, key: str) -> BlobInfo:
        """Size and entity tag. Raises NotFound."""
        ...

    def delete(self, key: str) -> None:
        """Remove the blob; one that is not there is no error."""
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys that start with `prefix`."""
        ...
