"""Blobs behind one protocol: local files by default, S3 in the cloud.

Keys are made by us and look like `events/EVENT/photos/PHOTO/preview.jpg`; nothing that a person typed is ever part of
one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Protocol

PROBE = "health/probe"
"""The key under which a store tries whether it can be written to."""


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """What the store knows of a blob. `size` is in bytes; `etag` says when the blob is another, and nothing else."""

    key: str
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class Upload:
    """A blob that a browser hands to the store in parts, without us in between."""

    key: str
    upload_id: str


@dataclass(frozen=True, slots=True)
class Part:
    """One part that the store has: its number from 1, the store's entity tag for it, and its size in bytes."""

    number: int
    etag: str
    size: int


class BlobStore(Protocol):
    """Where originals, renditions and selfies lie.

    Every method may raise Transient (`storage_away`, `storage_busy`: try again later) and, where the store is not ours,
    MissingRights (`storage_rights`: wrong keys, a missing right or bucket; its detail says which answer it was).
    """

    @property
    def identity(self) -> str:
        """Which store this is, the same for all processes that see the same blobs and for no others."""
        ...

    @property
    def origin(self) -> str | None:
        """Where browsers fetch what `url` signs, as a Content-Security-Policy names it; None where `url` is None."""
        ...

    @property
    def direct_uploads(self) -> "DirectUploads | None":
        """How browsers hand blobs to the store themselves; None where it does not offer that."""
        ...

    def put(self, key: str, source: IO[bytes]) -> BlobInfo:
        """Store everything that `source` yields under `key`, all or nothing; replaces what was there.

        `source` is read once, in pieces, and left open.

        Raises:
            Transient: the store can't take it now (no space, no connection); nothing was stored.
        """
        ...

    def open(self, key: str) -> IO[bytes]:
        """A seekable stream of the blob's bytes.

        Raises:
            NotFound: `blob_missing`: there is no such blob.
        """
        ...

    def info(self, key: str) -> BlobInfo:
        """Size and entity tag.

        Raises:
            NotFound: `blob_missing`: there is no such blob.
        """
        ...

    def url(self, key: str, *, content_type: str, download_name: str | None = None) -> str | None:
        """An address that gives this blob, whole or in ranges, to whoever has it, for S3_URL_SECONDS from now on.

        The type that it is served as is ours; with `download_name` a browser saves it under that name. Whether there is
        such a blob is not looked up. None where we stream blobs ourselves.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove the blob with all versions that the store kept of it; one that is not there is no error."""
        ...

    def delete_all(self, prefix: str) -> None:
        """Remove everything whose key starts with `prefix`, with all versions and half-finished uploads.

        Raises:
            ValueError: `prefix` does not end with a slash, so it might mean more than was meant.
        """
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys that start with `prefix`."""
        ...

    def dated_keys(self, prefix: str, after: str = "") -> Iterator[tuple[str, datetime]]:
        """All keys that start with `prefix`, in an order that stays, each with the moment (UTC) when it was stored.

        Begins behind the key `after`, so that a long list can be gone through in pieces.
        """
        ...

    def forget_drafts(self, older_than: datetime) -> int:
        """Throw away what writers that were killed left half written before this moment; returns how many."""
        ...

    def check(self) -> None:
        """Try whether the store can be written to; leaves nothing behind.

        Raises:
            Transient: it can't.
        """
        ...


class DirectUploads(Protocol):
    """Uploads that go from a browser to the store by signed addresses. They raise what a BlobStore's methods raise."""

    def begin_upload(self, key: str, content_type: str) -> Upload:
        """Open an upload. Until it is finished there is no blob, and one of the same key stays as it is."""
        ...

    def part_url(self, upload: Upload, number: int) -> str:
        """The address to which the part `number` (1 to 10,000) is sent by PUT, for S3_URL_SECONDS from now on.

        Every part but the last has at least 5 MiB.
        """
        ...

    def uploaded_parts(self, upload: Upload) -> list[Part]:
        """The parts that have arrived, by number: where an interrupted upload goes on.

        Raises:
            NotFound: `upload_missing`: it was finished, aborted, or too old.
        """
        ...

    def finish_upload(self, upload: Upload, parts: Sequence[Part]) -> BlobInfo:
        """Make the blob of these parts, all or nothing; doing so twice is no error.

        Raises:
            NotFound: `upload_missing`: it was aborted, or too old.
            Invalid: `storage_refused`: a part is missing, too small or another than was sent.
        """
        ...

    def abort_upload(self, upload: Upload) -> None:
        """Throw away what has arrived; an upload that is no more is no error."""
        ...

    def abort_stale_uploads(self, older_than: datetime) -> int:
        """Throw away uploads that were begun before this moment (aware of its time zone); returns how many."""
        ...
