"""The stand-in for Rekognition keeps the service's contract, seen through a real client of boto3's: kept faces."""

import re
from typing import Any

import pytest
from PIL import Image, ImageFilter

from tests.cloud.rekognition import RekognitionServer
from tests.cloud.rekognition.clients import (
    NOBODY,
    both,
    crowd,
    encode,
    encode_image,
    faceless,
    index,
    portrait,
    refused,
)
from tests.cloud.rekognition.fixtures import cloud, event, server
from tests.cloud.rekognition.operations import OPERATIONS
from tests.cloud.rekognition.wire import service_model
from tests.support import faces

__all__ = ["cloud", "event", "server"]

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def test_each_operation_is_in_the_service_model() -> None:
    assert set(OPERATIONS) <= set(service_model().operation_names)


class TestCollections:
    def test_made_described_and_deleted(self, cloud: Any) -> None:
        made = cloud.create_collection(CollectionId="a")
        index(cloud, "a", portrait("grace"))
        cloud.create_user(CollectionId="a", UserId="u")
        described = cloud.describe_collection(CollectionId="a")
        assert made["StatusCode"] == 200 and made["FaceModelVersion"] == "7.0"
        assert (described["FaceCount"], described["UserCount"], described["FaceModelVersion"]) == (1, 1, "7.0")
        assert described["CollectionARN"] == made["CollectionArn"]
        cloud.delete_collection(CollectionId="a")
        assert cloud.list_collections()["CollectionIds"] == []

    def test_a_name_is_taken_once(self, cloud: Any, event: str) -> None:
        with refused("ResourceAlreadyExistsException"):
            cloud.create_collection(CollectionId=event)

    def test_listed_in_pages(self, cloud: Any) -> None:
        names = [f"c-{n}" for n in range(5)]
        for name in names:
            cloud.create_collection(CollectionId=name)
        pages = list(cloud.get_paginator("list_collections").paginate(PaginationConfig={"PageSize": 2}))
        assert [page["CollectionIds"] for page in pages] == [names[:2], names[2:4], names[4:]]

    @pytest.mark.parametrize(
        ("operation", "more"),
        [
            ("describe_collection", {}),
            ("delete_collection", {}),
            ("list_faces", {}),
            ("delete_faces", {"FaceIds": [NOBODY]}),
            ("index_faces", {"Image": {"Bytes": b"no picture"}}),
            ("search_faces", {"FaceId": NOBODY}),
            ("search_faces_by_image", {"Image": {"Bytes": b"no picture"}}),
            ("create_user", {"UserId": "u"}),
            ("delete_user", {"UserId": "u"}),
            ("list_users", {}),
            ("associate_faces", {"UserId": "u", "FaceIds": [NOBODY]}),
            ("disassociate_faces", {"UserId": "u", "FaceIds": [NOBODY]}),
            ("search_users", {"UserId": "u"}),
            ("search_users_by_image", {"Image": {"Bytes": b"no picture"}}),
        ],
    )
    def test_one_that_is_not_there(self, cloud: Any, operation: str, more: dict[str, Any]) -> None:
        with refused("ResourceNotFoundException"):
            getattr(cloud, operation)(CollectionId="nowhere", **more)


class TestIndexing:
    def test_a_face_and_what_is_known_of_it(self, cloud: Any, event: str) -> None:
        answer = cloud.index_faces(CollectionId=event, Image={"Bytes": portrait("grace")}, ExternalImageId="p:1")
        [record] = answer["FaceRecords"]
        face, detail = record["Face"], record["FaceDetail"]
        assert UUID.fullmatch(face["FaceId"]) and UUID.fullmatch(face["ImageId"])
        assert (
            face["ExternalImageId"] == "p:1" and face["IndexFacesModelVersion"] == answer["FaceModelVersion"] == "7.0"
        )
        assert face["BoundingBox"] == detail["BoundingBox"] and 80 < face["Confidence"] <= 100
        places = {mark["Type"]: (mark["X"], mark["Y"]) for mark in detail["Landmarks"]}
        assert places["eyeLeft"][0] < places["nose"][0] < places["eyeRight"][0]
        assert places["eyeLeft"][1] < places["nose"][1] < places["mouthLeft"][1]
        assert all(abs(detail["Pose"][angle]) < 20 for angle in ("Roll", "Yaw", "Pitch"))
        assert detail["Quality"].keys() == {"Brightness", "Sharpness"}

    def test_the_same_picture_again_makes_new_faces(self, cloud: Any, event: str) -> None:
        first, second = index(cloud, event, portrait("grace")), index(cloud, event, portrait("grace"))
        assert len(first) == len(second) == 1 and first != second
        assert cloud.describe_collection(CollectionId=event)["FaceCount"] == 2

    def test_the_largest_come_first_and_the_others_are_named(self, cloud: Any, event: str) -> None:
        picture = both("eileen", "grace")
        everybody = cloud.index_faces(CollectionId=event, Image={"Bytes": picture})["FaceRecords"]
        areas = [box["Width"] * box["Height"] for box in (record["Face"]["BoundingBox"] for record in everybody)]
        assert len(areas) == 2 and areas == sorted(areas, reverse=True)
        answer = cloud.index_faces(CollectionId=event, Image={"Bytes": picture}, MaxFaces=1)
        assert len(answer["FaceRecords"]) == 1
        assert [other["Reasons"] for other in answer["UnindexedFaces"]] == [["EXCEEDS_MAX_FACES"]]

    def test_no_more_than_a_hundred_whatever_is_asked_for(self, cloud: Any, event: str) -> None:
        answer = cloud.index_faces(CollectionId=event, Image={"Bytes": crowd(13, 8)}, MaxFaces=200)
        assert len(answer["FaceRecords"]) == 100
        assert [other["Reasons"] for other in answer["UnindexedFaces"]] == [["EXCEEDS_MAX_FACES"]] * 4

    def test_small_faces_fail_the_filter_and_not_without_it(self, cloud: Any, event: str) -> None:
        picture = crowd(2, 1, tile=80)
        strict = cloud.index_faces(CollectionId=event, Image={"Bytes": picture}, QualityFilter="HIGH")
        assert strict["FaceRecords"] == [] and len(strict["UnindexedFaces"]) == 2
        assert all("SMALL_BOUNDING_BOX" in other["Reasons"] for other in strict["UnindexedFaces"])
        assert len(index(cloud, event, picture, QualityFilter="NONE")) == 2

    def test_dark_and_blurred_faces_fail_the_filter(self, cloud: Any, event: str) -> None:
        night = Image.fromarray(faces.portrait("grace")).point(lambda value: value * 0.12)
        dark = cloud.index_faces(CollectionId=event, Image={"Bytes": encode_image(night, quality=95)})
        [other] = dark["UnindexedFaces"]
        assert "LOW_BRIGHTNESS" in other["Reasons"] and other["FaceDetail"]["Quality"]["Brightness"] < 12
        soft = encode_image(Image.fromarray(faces.portrait("grace")).filter(ImageFilter.GaussianBlur(7)))
        blurred = cloud.index_faces(CollectionId=event, Image={"Bytes": soft}, QualityFilter="HIGH")
        assert "LOW_SHARPNESS" in blurred["UnindexedFaces"][0]["Reasons"]

    def test_a_picture_without_faces_is_no_error(self, cloud: Any, event: str) -> None:
        assert index(cloud, event, faceless()) == []
        assert cloud.detect_faces(Image={"Bytes": faceless()})["FaceDetails"] == []

    def test_detecting_keeps_nothing(self, cloud: Any, event: str) -> None:
        picture = {"Bytes": both("grace", "eileen")}
        plain = cloud.detect_faces(Image=picture)["FaceDetails"]
        full = cloud.detect_faces(Image=picture, Attributes=["ALL"])["FaceDetails"]
        assert len(plain) == 2 and "FaceOccluded" not in plain[0] and "FaceOccluded" in full[0]
        assert cloud.describe_collection(CollectionId=event)["FaceCount"] == 0


class TestPictures:
    def test_more_than_five_megabytes(self, cloud: Any, event: str, server: RekognitionServer) -> None:
        padded = portrait("grace").ljust(5_242_880, b"\0")
        assert len(index(cloud, event, padded)) == 1
        with refused("ImageTooLargeException"):
            index(cloud, event, padded + b"\0")

    @pytest.mark.parametrize("file_format", ["WEBP", "GIF", "BMP", "TIFF"])
    def test_other_formats(self, cloud: Any, event: str, file_format: str) -> None:
        with refused("InvalidImageFormatException"):
            index(cloud, event, encode(faces.portrait("grace"), file_format))

    def test_cmyk_a_cut_file_and_none_at_all(self, cloud: Any, event: str) -> None:
        cmyk = encode_image(Image.fromarray(faces.portrait("grace")).convert("CMYK"))
        for content in (cmyk, portrait("grace")[:20_000], b"hello"):
            with refused("InvalidImageFormatException"):
                index(cloud, event, content)

    def test_png_and_grey_are_taken(self, cloud: Any, event: str) -> None:
        grey = encode_image(Image.fromarray(faces.portrait("grace")).convert("L"))
        assert len(index(cloud, event, encode(faces.portrait("grace"), "PNG"))) == len(index(cloud, event, grey)) == 1

    def test_a_side_below_80_pixels(self, cloud: Any, event: str) -> None:
        image = Image.fromarray(faces.portrait("grace"))
        with refused("InvalidParameterException"):
            index(cloud, event, encode_image(image.resize((200, 79))))
        index(cloud, event, encode_image(image.resize((80, 80))))

    def test_lying_pictures_are_turned_as_their_exif_says(self, cloud: Any, event: str) -> None:
        image = Image.fromarray(faces.portrait("grace"))
        exif = Image.Exif()
        exif[0x0112] = 6
        lying = encode_image(image.transpose(Image.Transpose.ROTATE_90), exif=exif)
        [detail] = cloud.detect_faces(Image={"Bytes": lying})["FaceDetails"]
        [upright] = cloud.detect_faces(Image={"Bytes": portrait("grace")})["FaceDetails"]
        assert detail["BoundingBox"]["Left"] == pytest.approx(upright["BoundingBox"]["Left"], abs=0.05)

    def test_bytes_or_a_reference_and_no_store_here(self, cloud: Any) -> None:
        with refused("InvalidParameterException"):
            cloud.detect_faces(Image={})
        with refused("InvalidS3ObjectException"):
            cloud.detect_faces(Image={"S3Object": {"Bucket": "photos", "Name": "a.jpg"}})


class TestFaces:
    def test_listed_in_pages_and_by_id(self, cloud: Any, event: str) -> None:
        ids = [index(cloud, event, portrait("grace"), name=f"p-{n}")[0] for n in range(5)]
        paginator = cloud.get_paginator("list_faces")
        pages = list(paginator.paginate(CollectionId=event, PaginationConfig={"PageSize": 2}))
        assert [[face["FaceId"] for face in page["Faces"]] for page in pages] == [ids[:2], ids[2:4], ids[4:]]
        named = cloud.list_faces(CollectionId=event, FaceIds=[ids[3], NOBODY])["Faces"]
        assert [(face["FaceId"], face["ExternalImageId"]) for face in named] == [(ids[3], "p-3")]

    def test_deleting_between_pages_loses_nobody(self, cloud: Any, event: str) -> None:
        ids = [index(cloud, event, portrait("grace"))[0] for _ in range(4)]
        first = cloud.list_faces(CollectionId=event, MaxResults=2)
        cloud.delete_faces(CollectionId=event, FaceIds=ids[:2])
        rest = cloud.list_faces(CollectionId=event, MaxResults=2, NextToken=first["NextToken"])
        assert [face["FaceId"] for face in rest["Faces"]] == ids[2:] and "NextToken" not in rest

    def test_a_token_of_another_list(self, cloud: Any, event: str) -> None:
        for _ in range(2):
            index(cloud, event, portrait("grace"))
        token = cloud.list_faces(CollectionId=event, MaxResults=1)["NextToken"]
        cloud.create_collection(CollectionId="other")
        for wrong in (token, "nonsense"):
            with refused("InvalidPaginationTokenException"):
                cloud.list_faces(CollectionId="other", NextToken=wrong)

    def test_deleted_and_what_could_not_be(self, cloud: Any, event: str) -> None:
        [gone], [used] = index(cloud, event, portrait("grace")), index(cloud, event, portrait("eileen"))
        cloud.create_user(CollectionId=event, UserId="u")
        cloud.associate_faces(CollectionId=event, UserId="u", FaceIds=[used])
        answer = cloud.delete_faces(CollectionId=event, FaceIds=[gone, used, NOBODY])
        assert answer["DeletedFaces"] == [gone]
        assert answer["UnsuccessfulFaceDeletions"] == [
            {"FaceId": used, "UserId": "u", "Reasons": ["ASSOCIATED_TO_AN_EXISTING_USER"]},
            {"FaceId": NOBODY, "Reasons": ["FACE_NOT_FOUND"]},
        ]
        assert cloud.describe_collection(CollectionId=event)["FaceCount"] == 1
