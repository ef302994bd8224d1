"""Blobs in a bucket of S3, or of any store that speaks its protocol.

Nothing in the bucket is public: no object gets an ACL, and browsers come with addresses that are signed for one blob
and a few minutes. What is sent is covered by the signature, so it arrives as it was or not at all; an entity tag is
only compared, never read as a checksum, since encrypted and multipart objects have others than MD5.
"""

import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import datetime
from typing import IO

from webapp import aws
from webapp.errors import Transient
from webapp.settings import Settings
from webapp.storage.blobs import PROBE, BlobInfo, Part, Upload
from webapp.storage.disposition import attachment
from webapp.storage.s3_bucket import Bucket
from webapp.storage.s3_erasure import erase
from webapp.storage.s3_uploads import S3Uploads, head

PIECE = 8 * 1024 * 1024
"""Bytes of a blob that are held in memory. Larger blobs are sent in parts of this size, and read by way of the disk."""


class S3BlobStore:
    """Objects of S3_BUCKET."""

    def __init__(self, settings: Settings, *, attempts: int = aws.MAX_ATTEMPTS) -> None:
        self._bucket = Bucket(settings, attempts)
        self.direct_uploads = S3Uploads(self._bucket)

    @property
    def identity(self) -> str:
        return f"s3:{self._bucket.name}"

    @property
    def origin(self) -> str | None:
        return self._bucket.origin

    def put(self, key: str, source: IO[bytes]) -> BlobInfo:
        first = _read(source)
        if len(first) == PIECE:
            return self._put_in_parts(key, first, source)
        with self._bucket.calls():
            self._bucket.client.put_object(Bucket=self._bucket.name, Key=key, Body=first, **self._bucket.encryption)
        return self.info(key)

    def open(self, key: str) -> IO[bytes]:
        # Who decodes a picture seeks in it, and a connection held meanwhile would be missing for others. So the blob is
        # fetched at once.
        spool = tempfile.SpooledTemporaryFile(max_size=PIECE)  # noqa: SIM115 - the caller closes it
        try:
            with self._bucket.calls():
                answer = self._bucket.client.get_object(Bucket=self._bucket.name, Key=key)
                with closing(answer["Body"]) as body:
                    shutil.copyfileobj(body, spool, 1024 * 1024)
        except BaseException:
            spool.close()
            raise
        spool.seek(0)
        return spool

    def info(self, key: str) -> BlobInfo:
        return head(self._bucket, key)

    def url(self, key: str, *, content_type: str, download_name: str | None = None) -> str | None:
        answered_with = {
            "ResponseContentType": content_type,
            "ResponseContentDisposition": "inline" if download_name is None else attachment(download_name),
            "ResponseCacheControl": f"private, max-age={self._bucket.seconds}",
        }
        return self._bucket.signed("get_object", {"Key": key, **answered_with})

    def delete(self, key: str) -> None:
        erase(self._bucket, key, only=key)

    def delete_all(self, prefix: str) -> None:
        if not prefix.endswith("/"):
            raise ValueError(f"{prefix!r} might mean more than was meant")
        # Uploads first: one that ends meanwhile becomes an object, and those are erased after.
        for upload, _ in self.direct_uploads.under_way(prefix):
            self.direct_uploads.abort_upload(upload)
        erase(self._bucket, prefix)

    def keys(self, prefix: str) -> Iterator[str]:
        for key, _ in self.dated_keys(prefix):
            yield key

    def dated_keys(self, prefix: str, after: str = "") -> Iterator[tuple[str, datetime]]:
        with self._bucket.calls():
            pages = self._bucket.client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket.name, Prefix=prefix, StartAfter=after
            )
            for page in pages:
                for row in page.get("Contents", ()):
                    yield row["Key"], row["LastModified"]

    def forget_drafts(self, older_than: datetime) -> int:  # noqa: ARG002 - stale uploads in parts are aborted elsewhere
        return 0

    def check(self) -> None:
        self.put(PROBE, io.BytesIO(b"ok"))
        self.delete(PROBE)

    def _put_in_parts(self, key: str, first: bytes, source: IO[bytes]) -> BlobInfo:
        upload = self.direct_uploads.begin_upload(key, "application/octet-stream")
        try:
            return self.direct_uploads.finish_upload(upload, list(self._parts(upload, first, source)))
        except BaseException:
            # What can't be thrown away now is stale some day, and goes then.
            with suppress(Transient):
                self.direct_uploads.abort_upload(upload)
            raise

    def _parts(self, upload: Upload, content: bytes, source: IO[bytes]) -> Iterator[Part]:
        number = 1
        while content:
            yield self.direct_uploads.send_part(upload, number, content)
            content, number = _read(source), number + 1


def _read(source: IO[bytes]) -> bytes:
    """A piece, or less at the end; a source may yield less than it is asked for, and still go on."""
    pieces, missing = [], PIECE
    while missing and (piece := source.read(missing)):
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)
