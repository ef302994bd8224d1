"""Multipart uploads: ours for large blobs, and those that browsers do themselves by signed addresses."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from webapp.errors import NotFound
from webapp.storage.blobs import BlobInfo, Part, Upload
from webapp.storage.s3_bucket import Bucket

_MISSING = "upload_missing"


class S3Uploads:
    """The uploads of a bucket that are under way."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def begin_upload(self, key: str, content_type: str) -> Upload:
        with self._bucket.calls(_MISSING):
            answer = self._bucket.client.create_multipart_upload(
                Bucket=self._bucket.name, Key=key, ContentType=content_type, **self._bucket.encryption
            )
        return Upload(key, answer["UploadId"])

    def part_url(self, upload: Upload, number: int) -> str:
        return self._bucket.signed(
            "upload_part", {"Key": upload.key, "UploadId": upload.upload_id, "PartNumber": number}
        )

    def send_part(self, upload: Upload, number: int, content: bytes) -> Part:
        """Send a part ourselves."""
        with self._bucket.calls(_MISSING):
            answer = self._bucket.client.upload_part(PartNumber=number, Body=content, **self._names(upload))
        return Part(number, answer["ETag"], len(content))

    def uploaded_parts(self, upload: Upload) -> list[Part]:
        with self._bucket.calls(_MISSING):
            pages = self._bucket.client.get_paginator("list_parts").paginate(**self._names(upload))
            rows = [row for page in pages for row in page.get("Parts", ())]
        return [Part(row["PartNumber"], row["ETag"], row["Size"]) for row in rows]

    def finish_upload(self, upload: Upload, parts: Sequence[Part]) -> BlobInfo:
        listed = [{"PartNumber": part.number, "ETag": part.etag} for part in parts]
        try:
            with self._bucket.calls(_MISSING):
                self._bucket.client.complete_multipart_upload(MultipartUpload={"Parts": listed}, **self._names(upload))
        except NotFound as error:
            # An answer that was lost on its way looks like this when the call is repeated.
            with suppress(NotFound):
                info = head(self._bucket, upload.key)
                if info.size == sum(part.size for part in parts):
                    return info
            raise error
        return head(self._bucket, upload.key)

    def abort_upload(self, upload: Upload) -> None:
        with suppress(NotFound), self._bucket.calls(_MISSING):
            self._bucket.client.abort_multipart_upload(**self._names(upload))

    def abort_stale_uploads(self, older_than: datetime) -> int:
        stale = [upload for upload, begun in self.under_way() if begun < older_than]
        for upload in stale:
            self.abort_upload(upload)
        return len(stale)

    def under_way(self, prefix: str = "") -> Iterator[tuple[Upload, datetime]]:
        """Uploads that are neither finished nor aborted, and when each was begun."""
        with self._bucket.calls(_MISSING):
            pages = self._bucket.client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket.name, Prefix=prefix
            )
            for page in pages:
                for row in page.get("Uploads", ()):
                    yield Upload(row["Key"], row["UploadId"]), row["Initiated"]

    def _names(self, upload: Upload) -> dict[str, Any]:
        return {"Bucket": self._bucket.name, "Key": upload.key, "UploadId": upload.upload_id}


def head(bucket: Bucket, key: str) -> BlobInfo:
    """Size and entity tag of an object.

    Raises:
        NotFound: `blob_missing`.
    """
    with bucket.calls():
        answer = bucket.client.head_object(Bucket=bucket.name, Key=key)
    return BlobInfo(key, int(answer["ContentLength"]), str(answer["ETag"]).strip('"'))
