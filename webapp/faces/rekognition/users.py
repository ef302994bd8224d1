"""User vectors: the service makes one of several pictures of a person, which resembles them better than each alone."""

from collections.abc import Iterator, Sequence
from typing import Any

import structlog
from botocore.exceptions import ClientError

from webapp.aws import error_code
from webapp.errors import FindMeError, Invalid, NotFound, Transient
from webapp.faces.core.protocols import Gallery, Probe, UserHit
from webapp.faces.rekognition import galleries, pictures
from webapp.faces.rekognition.client import Client
from webapp.faces.rekognition.galleries import MOST_ASSOCIATED, batches

log = structlog.get_logger()

MOST_USERS = 500


class RekognitionUsers:
    """The UserVectors protocol. Safe for several threads."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def make_user(self, gallery: Gallery, user_id: str, keys: Sequence[str]) -> None:
        """Make the person's vector of exactly these faces; without any, there is no vector.

        A user has 100 faces at most: of more, the first ones count.

        Raises:
            NotFound: `engine_face_missing`, a face is not in the gallery; `engine_missing`, the gallery is not there.
            Transient: the service is still busy with an earlier change of this user.
        """
        if not keys:
            self.remove_user(gallery, user_id)
            return
        wanted = list(dict.fromkeys(keys))
        if len(wanted) > MOST_ASSOCIATED:
            log.warning("rekognition.user_cut", user=user_id, faces=len(wanted))
        wanted = wanted[:MOST_ASSOCIATED]
        self._create(gallery, user_id)
        present = {face_id for face_id, _ in galleries.faces(self._client, gallery, UserId=user_id)}
        for batch in batches(sorted(present - set(wanted)), MOST_ASSOCIATED):
            galleries.disassociate(self._client, gallery, user_id, batch)
        self._associate(gallery, user_id, [key for key in wanted if key not in present])

    def remove_user(self, gallery: Gallery, user_id: str) -> None:
        """Forget the person's vector, not the faces; one that is not there is no error."""
        try:
            self._call("DeleteUser", gallery, UserId=user_id)
        except NotFound:
            return

    def search_users(self, gallery: Gallery, probe: Probe, floor: float) -> list[UserHit]:
        """Return the people whose vectors resemble the probe's picture, best first, at most 500. floor: 0 to 1.

        A probe without a picture finds nothing: a face is searched by its id only within its own gallery.

        Raises:
            NotFound: `engine_missing`, the gallery is not there.
        """
        picture = pictures.as_probe(probe.picture) if probe.picture is not None else None
        if picture is None:
            return []
        bounds = {"MaxUsers": MOST_USERS, "UserMatchThreshold": threshold(floor)}
        try:
            answer = self._call("SearchUsersByImage", gallery, Image={"Bytes": picture}, QualityFilter="NONE", **bounds)
        except Invalid as error:
            if not is_without_face(error):
                raise
            log.info("rekognition.probe_without_face", collection=galleries.name(gallery))
            return []
        hits = [UserHit(match["User"]["UserId"], match["Similarity"] / 100) for match in answer.get("UserMatches", ())]
        return sorted(hits, key=lambda hit: (-hit.similarity, hit.user_id))

    def users(self, gallery: Gallery) -> Iterator[str]:
        """Everybody who has a vector.

        Raises:
            NotFound: `engine_missing`, the gallery is not there.
        """
        for page in galleries.pages(self._client, "ListUsers", gallery, MaxResults=MOST_USERS):
            yield from (user["UserId"] for user in page.get("Users", ()))

    def _create(self, gallery: Gallery, user_id: str) -> None:
        """Make the user if it is not there.

        botocore gives each call a ClientRequestToken of its own, and repeats it in its retries. One that we derived
        from the user would be answered from memory if the user had been deleted meanwhile, and nothing would be made.
        """
        try:
            self._call("CreateUser", gallery, UserId=user_id)
        except Transient as error:
            if said(error) != "ConflictException":
                raise

    def _associate(self, gallery: Gallery, user_id: str, keys: Sequence[str]) -> None:
        """Add faces that the user does not have; those that another user has are taken from it."""
        if not keys:
            return
        failures = self._try_to_associate(gallery, user_id, keys)
        taken = {
            failure["FaceId"]: failure["UserId"]
            for failure in failures
            if "ASSOCIATED_TO_A_DIFFERENT_USER" in failure.get("Reasons", ())
        }
        for face_id, owner in taken.items():
            galleries.disassociate(self._client, gallery, owner, [face_id])
        if taken:
            failures = self._try_to_associate(gallery, user_id, keys)
        reasons = {reason for failure in failures for reason in failure.get("Reasons", ())}
        if "FACE_NOT_FOUND" in reasons:
            raise NotFound("AssociateFaces: FACE_NOT_FOUND", code="engine_face_missing")
        if failures:
            raise Transient(f"AssociateFaces: {', '.join(sorted(reasons))}", code="engine_busy")

    def _try_to_associate(self, gallery: Gallery, user_id: str, keys: Sequence[str]) -> list[dict[str, Any]]:
        # Whose faces they are has been decided by their person; the service's own doubt (75 by default) is not asked.
        answer = self._call("AssociateFaces", gallery, UserId=user_id, FaceIds=list(keys), UserMatchThreshold=0.0)
        failures: list[dict[str, Any]] = answer.get("UnsuccessfulFaceAssociations", [])
        return failures

    def _call(self, operation: str, gallery: Gallery, **params: Any) -> dict[str, Any]:
        return self._client.call(operation, gallery.event_key, CollectionId=galleries.name(gallery), **params)


def threshold(floor: float) -> float:
    """Our 0 to 1 on the service's scale."""
    return min(100.0, max(0.0, floor * 100))


def said(error: FindMeError) -> str:
    """The service's own word for an error of ours."""
    return error_code(error.__cause__) if isinstance(error.__cause__, ClientError) else ""


def is_without_face(error: FindMeError) -> bool:
    """Whether the service says that what it was to search with has no face, or is a face that it does not have.

    It has no code of its own for that.
    """
    words = str(error.__cause__).rsplit("operation:")[-1].lower()
    return said(error) == "InvalidParameterException" and "face" in words and ("no " in words or "not " in words)
