"""Erasing objects for good: in a versioned bucket a plain DELETE only hides what was there."""

from collections.abc import Iterable
from typing import Any

from botocore.exceptions import ClientError

from webapp import aws
from webapp.errors import Transient
from webapp.storage.s3_bucket import Bucket

_NOT_OFFERED = (405, 501)
_GONE = ("NoSuchKey", "NoSuchVersion")

Row = dict[str, str]


def erase(bucket: Bucket, prefix: str, *, only: str | None = None) -> None:
    """Erase all versions and delete markers of every key that starts with `prefix`, or of the key `only`.

    Raises:
        Transient, MissingRights: some of it is still there; to be called again.
    """
    seen: list[Row] = []
    goes_on = True
    while goes_on:
        with bucket.calls():
            page, goes_on = _first(bucket, prefix)
            rows = [row for row in page if only is None or row["Key"] == only]
            if rows and rows == seen:
                raise Transient("DeleteObjects: still there", code="storage_away")
            if rows:
                _delete(bucket, rows)
        # Keys come in their order, so a key comes before the longer ones that begin with it.
        goes_on = goes_on and len(rows) == len(page)
        seen = rows


def _first(bucket: Bucket, prefix: str) -> tuple[list[Row], bool]:
    """At most 1,000 versions, and whether there are more.

    Never a later page: where a list goes on is told by its last row, which some stores don't find once it is erased.
    """
    where = {"Bucket": bucket.name, "Prefix": prefix}
    try:
        page = bucket.client.list_object_versions(**where)
    except ClientError as error:
        if aws.status_of(error) not in _NOT_OFFERED:
            raise
        # A store that has no versions need not know the question.
        page = bucket.client.list_objects_v2(**where)
        return [{"Key": row["Key"]} for row in page.get("Contents", ())], bool(page["IsTruncated"])
    found: list[dict[str, Any]] = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
    return [{"Key": row["Key"], "VersionId": row["VersionId"]} for row in found], bool(page["IsTruncated"])


def _delete(bucket: Bucket, rows: Iterable[Row]) -> None:
    answer = bucket.client.delete_objects(Bucket=bucket.name, Delete={"Objects": list(rows), "Quiet": True})
    # The call as a whole succeeds even when nothing could be erased.
    for fault in answer.get("Errors", ()):
        if fault.get("Code") not in _GONE:
            raise ClientError({"Error": {"Code": fault.get("Code", ""), "Message": ""}}, "DeleteObjects")
