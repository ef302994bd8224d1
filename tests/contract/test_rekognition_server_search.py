"""The stand-in's searches and users keep the service's contract, with real faces."""

import json
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from tests.cloud.rekognition import RekognitionServer
from tests.cloud.rekognition.clients import NOBODY, both, crowd, faceless, index, portrait, refused
from tests.cloud.rekognition.engine import similarity
from tests.cloud.rekognition.fixtures import cloud, event, server

__all__ = ["cloud", "event", "server"]


@pytest.fixture
def people(cloud: Any, event: str) -> dict[str, str]:
    """Ids of the faces of four pictures, by the names that they were kept under."""
    pictures = {
        "grace-1": portrait("grace"),
        "grace-2": portrait("grace", "dark"),
        "eileen-1": portrait("eileen"),
        "eileen-2": portrait("eileen", "mirrored"),
    }
    return {name: index(cloud, event, picture, name)[0] for name, picture in pictures.items()}


def names(answer: dict[str, Any]) -> list[str]:
    """Whom a search found, in its order."""
    return [match["Face"]["ExternalImageId"] for match in answer["FaceMatches"]]


def make_user(cloud: Any, event: str, user_id: str, *face_ids: str, **options: Any) -> dict[str, Any]:
    """A user of these faces; returns the answer of the association."""
    cloud.create_user(CollectionId=event, UserId=user_id)
    answer: dict[str, Any] = cloud.associate_faces(
        CollectionId=event, UserId=user_id, FaceIds=list(face_ids), **options
    )
    return answer


def test_the_scale_rises_and_meets_the_thresholds() -> None:
    assert similarity(0.42) == pytest.approx(80) and similarity(0.55) == pytest.approx(95)
    assert similarity(1.0) == 100 and similarity(-0.3) == 0 and similarity(1.0001) == 100
    steps = [similarity(n / 50) for n in range(51)]
    assert steps == sorted(steps) and len(set(steps)) == len(steps)


class TestSearchingFaces:
    def test_by_a_face_of_the_collection(self, cloud: Any, event: str, people: dict[str, str]) -> None:
        answer = cloud.search_faces(CollectionId=event, FaceId=people["grace-1"])
        assert answer["SearchedFaceId"] == people["grace-1"] and names(answer) == ["grace-2"]
        assert answer["FaceMatches"][0]["Similarity"] > 95

    def test_only_within_the_collection(self, cloud: Any, event: str, people: dict[str, str]) -> None:
        cloud.create_collection(CollectionId="guests")
        [guest] = index(cloud, "guests", portrait("grace"))
        with refused("InvalidParameterException"):
            cloud.search_faces(CollectionId=event, FaceId=guest)

    def test_by_the_largest_face_of_a_picture(self, cloud: Any, event: str, people: dict[str, str]) -> None:
        picture = both("eileen", "grace")
        answer = cloud.search_faces_by_image(CollectionId=event, Image={"Bytes": picture})
        assert names(answer) == ["eileen-1", "eileen-2"]
        [large, _] = cloud.detect_faces(Image={"Bytes": picture})["FaceDetails"]
        assert answer["SearchedFaceBoundingBox"] == large["BoundingBox"]
        assert answer["SearchedFaceConfidence"] == large["Confidence"]

    def test_by_a_picture_without_a_face(self, cloud: Any, event: str) -> None:
        with pytest.raises(ClientError, match=r"There are no faces in the image\. Should be at least 1\."):
            cloud.search_faces_by_image(CollectionId=event, Image={"Bytes": faceless()})

    def test_by_a_face_that_fails_the_filter(self, cloud: Any, event: str, people: dict[str, str]) -> None:
        small = {"Bytes": crowd(1, 1, tile=80)}
        assert "grace-1" in names(cloud.search_faces_by_image(CollectionId=event, Image=small))
        with refused("InvalidParameterException"):
            cloud.search_faces_by_image(CollectionId=event, Image=small, QualityFilter="HIGH")

    def test_threshold_and_maximum(self, cloud: Any, event: str, people: dict[str, str]) -> None:
        probe = {"CollectionId": event, "Image": {"Bytes": portrait("grace")}}
        assert names(cloud.search_faces_by_image(**probe)) == ["grace-1", "grace-2"]
        everybody = cloud.search_faces_by_image(**probe, FaceMatchThreshold=0)
        found = [match["Similarity"] for match in everybody["FaceMatches"]]
        assert len(found) == 4 and found == sorted(found, reverse=True)
        assert len(cloud.search_faces_by_image(**probe, FaceMatchThreshold=0, MaxFaces=3)["FaceMatches"]) == 3

    def test_80_matches_unless_told_otherwise(self, cloud: Any, event: str) -> None:
        index(cloud, event, crowd(13, 8))
        probe = {"CollectionId": event, "Image": {"Bytes": portrait("grace")}, "FaceMatchThreshold": 0}
        assert len(cloud.search_faces_by_image(**probe)["FaceMatches"]) == 80
        assert len(cloud.search_faces_by_image(**probe, MaxFaces=4096)["FaceMatches"]) == 100

    def test_more_than_the_service_answers(self, cloud: Any, event: str, people: dict[str, str]) -> None:
        with refused("ValidationException"):
            cloud.search_faces(CollectionId=event, FaceId=people["grace-1"], MaxFaces=4097)


class TestUsers:
    def test_made_listed_and_deleted(self, cloud: Any, event: str, people: dict[str, str]) -> None:
        made = make_user(cloud, event, "grace", people["grace-1"], people["grace-2"])
        cloud.create_user(CollectionId=event, UserId="nobody")
        assert {face["FaceId"] for face in made["AssociatedFaces"]} == {people["grace-1"], people["grace-2"]}
        assert made["UnsuccessfulFaceAssociations"] == [] and made["UserStatus"] == "UPDATING"
        users = [(user["UserId"], user["UserStatus"]) for user in cloud.list_users(CollectionId=event)["Users"]]
        assert users == [("grace", "ACTIVE"), ("nobody", "CREATED")]
        listed = cloud.list_faces(CollectionId=event, UserId="grace")["Faces"]
        assert {(face["ExternalImageId"], face["UserId"]) for face in listed} == {
            ("grace-1", "grace"),
            ("grace-2", "grace"),
        }
        cloud.delete_user(CollectionId=event, UserId="grace")
        assert cloud.describe_collection(CollectionId=event)["FaceCount"] == 4
        assert cloud.delete_faces(CollectionId=event, FaceIds=[people["grace-1"]])["DeletedFaces"]

    def test_a_user_is_there_once(self, cloud: Any, event: str) -> None:
        cloud.create_user(CollectionId=event, UserId="u")
        with refused("ConflictException"):
            cloud.create_user(CollectionId=event, UserId="u")

    def test_the_same_token_does_nothing_twice(self, cloud: Any, event: str) -> None:
        for _ in range(2):
            cloud.create_user(CollectionId=event, UserId="u", ClientRequestToken="token-1")
        with refused("IdempotentParameterMismatchException"):
            cloud.create_user(CollectionId=event, UserId="other", ClientRequestToken="token-1")

    def test_listed_in_pages(self, cloud: Any, event: str) -> None:
        for n in range(3):
            cloud.create_user(CollectionId=event, UserId=f"u-{n}")
        paginator = cloud.get_paginator("list_users")
        pages = list(paginator.paginate(CollectionId=event, PaginationConfig={"PageSize": 2}))
        assert [[user["UserId"] for user in page["Users"]] for page in pages] == [["u-0", "u-1"], ["u-2"]]

    def test_faces_that_can_not_be_associated(self, cloud: Any, event: str, people: dict[str, str]) -> None:
        make_user(cloud, event, "eileen", people["eileen-1"])
        answer = make_user(cloud, event, "grace", people["grace-1"], people["eileen-1"], people["eileen-2"], NOBODY)
        assert [face["FaceId"] for face in answer["AssociatedFaces"]] == [people["grace-1"]]
        taken, unlike, missing = answer["UnsuccessfulFaceAssociations"]
        assert (taken["UserId"], taken["Reasons"]) == ("eileen", ["ASSOCIATED_TO_A_DIFFERENT_USER"])
        assert unlike["Reasons"] == ["LOW_MATCH_CONFIDENCE"] and unlike["Confidence"] < 75
        assert missing == {"FaceId": NOBODY, "Reasons": ["FACE_NOT_FOUND"]}
        again = {"CollectionId": event, "UserId": "grace", "FaceIds": [people["eileen-2"]]}
        assert len(cloud.associate_faces(**again, UserMatchThreshold=0)["AssociatedFaces"]) == 1

    def test_faces_that_are_the_users_already_are_passed_over(
        self, cloud: Any, event: str, people: dict[str, str]
    ) -> None:
        make_user(cloud, event, "grace", people["grace-1"])
        again = cloud.associate_faces(CollectionId=event, UserId="grace", FaceIds=[people["grace-1"]])
        assert again["AssociatedFaces"] == again["UnsuccessfulFaceAssociations"] == []
        assert again["UserStatus"] == "ACTIVE"

    def test_a_user_has_a_hundred_faces_at_most(self, cloud: Any, event: str, people: dict[str, str]) -> None:
        make_user(cloud, event, "grace", *index(cloud, event, crowd(13, 8)), UserMatchThreshold=0)
        assert len(cloud.list_faces(CollectionId=event, UserId="grace")["Faces"]) == 100
        with refused("ServiceQuotaExceededException"):
            cloud.associate_faces(CollectionId=event, UserId="grace", FaceIds=[people["grace-1"]])

    def test_disassociated_and_what_could_not_be(self, cloud: Any, event: str, people: dict[str, str]) -> None:
        make_user(cloud, event, "grace", people["grace-1"])
        make_user(cloud, event, "eileen", people["eileen-1"])
        wanted = [people["grace-1"], people["eileen-1"], people["grace-2"], NOBODY]
        answer = cloud.disassociate_faces(CollectionId=event, UserId="grace", FaceIds=wanted)
        assert [face["FaceId"] for face in answer["DisassociatedFaces"]] == [people["grace-1"]]
        assert answer["UnsuccessfulFaceDisassociations"] == [
            {"FaceId": people["eileen-1"], "UserId": "eileen", "Reasons": ["ASSOCIATED_TO_A_DIFFERENT_USER"]},
            {"FaceId": NOBODY, "Reasons": ["FACE_NOT_FOUND"]},
        ]

    @pytest.mark.parametrize("operation", ["delete_user", "associate_faces", "disassociate_faces", "search_users"])
    def test_one_that_is_not_there(self, cloud: Any, event: str, operation: str) -> None:
        more = {"FaceIds": [NOBODY]} if operation.endswith("associate_faces") else {}
        with refused("ResourceNotFoundException"):
            getattr(cloud, operation)(CollectionId=event, UserId="nobody", **more)


class TestSearchingUsers:
    @pytest.fixture
    def users(self, cloud: Any, event: str, people: dict[str, str]) -> dict[str, str]:
        make_user(cloud, event, "grace", people["grace-1"], people["grace-2"])
        make_user(cloud, event, "eileen", people["eileen-1"])
        return people

    def test_by_face_and_by_user(self, cloud: Any, event: str, users: dict[str, str]) -> None:
        by_face = cloud.search_users(CollectionId=event, FaceId=users["eileen-2"])
        assert [match["User"]["UserId"] for match in by_face["UserMatches"]] == ["eileen"]
        assert by_face["SearchedFace"]["FaceId"] == users["eileen-2"] and by_face["UserMatches"][0]["Similarity"] > 95
        by_user = cloud.search_users(CollectionId=event, UserId="grace", UserMatchThreshold=0)
        assert by_user["SearchedUser"] == {"UserId": "grace"}
        assert [match["User"]["UserId"] for match in by_user["UserMatches"]] == ["eileen"]
        assert cloud.search_users(CollectionId=event, UserId="grace")["UserMatches"] == []

    def test_by_one_of_the_two(self, cloud: Any, event: str, users: dict[str, str]) -> None:
        for probe in ({}, {"FaceId": users["grace-1"], "UserId": "grace"}, {"FaceId": NOBODY}):
            with refused("InvalidParameterException"):
                cloud.search_users(CollectionId=event, **probe)

    def test_by_the_largest_face_of_a_picture(self, cloud: Any, event: str, users: dict[str, str]) -> None:
        answer = cloud.search_users_by_image(CollectionId=event, Image={"Bytes": both("eileen", "grace")}, MaxUsers=1)
        assert [match["User"]["UserId"] for match in answer["UserMatches"]] == ["eileen"]
        assert [other["Reasons"] for other in answer["UnsearchedFaces"]] == [["FACE_NOT_LARGEST"]]
        assert answer["SearchedFace"]["FaceDetail"]["Confidence"] > 80

    def test_by_a_picture_without_a_face(self, cloud: Any, event: str, users: dict[str, str]) -> None:
        answer = cloud.search_users_by_image(CollectionId=event, Image={"Bytes": faceless()})
        assert answer["UserMatches"] == [] and "SearchedFace" not in answer

    def test_more_than_the_service_answers(self, cloud: Any, event: str, users: dict[str, str]) -> None:
        with refused("ValidationException"):
            cloud.search_users(CollectionId=event, UserId="grace", MaxUsers=501)


def test_unsigned_requests_get_nothing(server: RekognitionServer) -> None:
    headers = {"X-Amz-Target": "RekognitionService.ListCollections"}
    answer = requests.post(server.url, data=json.dumps({}), headers=headers, timeout=30)
    assert answer.status_code == 400 and answer.json()["__type"] == "MissingAuthenticationTokenException"
