"""The bucket: this process' client, errors as our types, signed addresses, and encryption."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any

from botocore.exceptions import ClientError

from webapp import aws
from webapp.errors import MissingRights, NotFound
from webapp.settings import Settings


class Bucket:
    """S3_BUCKET. One client a process, made when it is first needed, which all threads share."""

    def __init__(self, settings: Settings, attempts: int) -> None:
        self.name = settings.s3_bucket
        self.seconds = settings.s3_url_seconds
        self._settings = settings
        self._attempts = attempts
        self._made: tuple[int, Any] | None = None
        self._lock = Lock()

    @property
    def client(self) -> Any:
        """This process' client: connections can't be shared with the process that it was forked from."""
        made = self._made
        if made is not None and made[0] == os.getpid():
            return made[1]
        with self._lock:
            if self._made is None or self._made[0] != os.getpid():
                self._made = (os.getpid(), aws.client(self._settings, "s3", attempts=self._attempts))
            return self._made[1]

    @property
    def origin(self) -> str:
        """Where browsers meet the bucket, as a Content-Security-Policy names it."""
        return aws.bucket_origin(self._settings)

    @property
    def encryption(self) -> dict[str, str]:
        """How objects are encrypted where they lie, as arguments of the calls that make one."""
        how, key = self._settings.s3_encryption, self._settings.s3_kms_key_id
        if how == "none":
            return {}
        return {"ServerSideEncryption": how} | ({"SSEKMSKeyId": key} if how == "aws:kms" and key else {})

    @contextmanager
    def calls(self, missing: str = "blob_missing") -> Iterator[None]:
        """Around calls: boto's errors as ours, and `missing` as the code of what is not there.

        Raises:
            NotFound: there is no such object or upload.
            MissingRights, Transient, Invalid: as `aws.translated` says; a bucket that is not there is a missing right.
        """
        try:
            with aws.translated("storage"):
                yield
        except NotFound as error:
            # The answer to a HEAD says 404 and no more, whether object or bucket is missing.
            self._require_bucket(error)
            raise NotFound(code=missing) from error

    def signed(self, operation: str, wanted: Mapping[str, object]) -> str:
        """The address under which whoever has it may call this operation, for S3_URL_SECONDS."""
        with self.calls():
            parameters = {"Bucket": self.name, **wanted}
            return str(self.client.generate_presigned_url(operation, Params=parameters, ExpiresIn=self.seconds))

    def _require_bucket(self, error: NotFound) -> None:
        with aws.translated("storage"):
            try:
                self.client.head_bucket(Bucket=self.name)
            except ClientError as answer:
                if aws.status_of(answer) == 404:
                    raise MissingRights(f"{error.detail} (NoSuchBucket)", code="storage_rights") from error
                raise
