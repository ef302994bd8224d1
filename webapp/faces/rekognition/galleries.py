"""What lies in the service's collections: their names, their faces, and how faces go again."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from webapp.errors import NotFound, Transient
from webapp.faces.core.protocols import Gallery
from webapp.faces.rekognition.client import Client

MOST_LISTED = 4096
"""Faces of one page of a list, and of one order to delete."""

MOST_ASSOCIATED = 100
"""Faces in one order to associate with a user or to take from one."""

_FACE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Item = TypeVar("Item")


def name(gallery: Gallery) -> str:
    """The collection's id."""
    return f"findme-{gallery.event_key}-{gallery.kind}"


def faces(client: Client, gallery: Gallery, **which: Any) -> Iterator[tuple[str, str]]:
    """Each face's id, and the name that it was put under. which: `UserId` for those of one user alone.

    Raises:
        NotFound: `engine_missing`, there is no such collection or user.
    """
    for page in pages(client, "ListFaces", gallery, MaxResults=MOST_LISTED, **which):
        for face in page.get("Faces", ()):
            yield face["FaceId"], face.get("ExternalImageId", "")


def pages(client: Client, operation: str, gallery: Gallery, **params: Any) -> Iterator[dict[str, Any]]:
    """The answers of a listing operation, one after the other."""
    token: dict[str, str] = {}
    while True:
        page = client.call(operation, gallery.event_key, CollectionId=name(gallery), **params, **token)
        yield page
        if not page.get("NextToken"):
            return
        token = {"NextToken": page["NextToken"]}


def delete(client: Client, gallery: Gallery, face_ids: Iterable[object]) -> None:
    """Delete faces, taking them from their users first where they have one.

    Faces and collections that are not there are no error, nor are keys that the service can't have given.

    Raises:
        Transient: a face is still held by a user; to be tried again.
    """
    known = [face_id for face_id in face_ids if isinstance(face_id, str) and _FACE_ID.fullmatch(face_id)]
    for batch in batches(known, MOST_LISTED):
        try:
            held = _delete(client, gallery, batch)
            for user_id, held_ids in held.items():
                for part in batches(held_ids, MOST_ASSOCIATED):
                    disassociate(client, gallery, user_id, part)
            if held and _delete(client, gallery, [face_id for held_ids in held.values() for face_id in held_ids]):
                raise Transient("DeleteFaces: faces are still associated with a user", code="engine_busy")
        except NotFound:
            return


def delete_others(client: Client, gallery: Gallery, kept_as: str, but: Collection[str]) -> None:
    """Delete what lies under a name besides these faces: what a call put there whose answer was lost.

    The service can't list by name, so this reads the whole gallery.
    """
    others = [face_id for face_id, face_name in faces(client, gallery) if face_name == kept_as and face_id not in but]
    delete(client, gallery, others)


def disassociate(client: Client, gallery: Gallery, user_id: str, face_ids: Sequence[str]) -> None:
    """Take faces from a user; a user that is not there has none."""
    try:
        client.call(
            "DisassociateFaces", gallery.event_key, CollectionId=name(gallery), UserId=user_id, FaceIds=list(face_ids)
        )
    except NotFound:
        return


def batches(items: Iterable[Item], most: int) -> Iterator[list[Item]]:
    """The items in lists of at most so many."""
    rest = iter(items)
    while batch := list(islice(rest, most)):
        yield batch


def _delete(client: Client, gallery: Gallery, face_ids: Sequence[str]) -> dict[str, list[str]]:
    """Delete at most MOST_LISTED faces; returns those that belong to a user, by user."""
    answer = client.call("DeleteFaces", gallery.event_key, CollectionId=name(gallery), FaceIds=list(face_ids))
    held = defaultdict(list)
    for failure in answer.get("UnsuccessfulFaceDeletions", ()):
        if "ASSOCIATED_TO_AN_EXISTING_USER" in failure.get("Reasons", ()):
            held[failure["UserId"]].append(failure["FaceId"])
    return dict(held)
