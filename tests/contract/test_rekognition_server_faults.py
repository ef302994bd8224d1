"""The stand-in's gate and its faults: what it refuses, and what tests can make go wrong."""

import json
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any

import boto3
import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError, ReadTimeoutError
from botocore.model import ListShape, Shape, StructureShape

from tests.cloud.rekognition import RekognitionServer, rekognition, rekognition_process
from tests.cloud.rekognition.clients import KEY, REGION, SECRET, client, crowd, encode, index, portrait, refused
from tests.cloud.rekognition.fixtures import cloud, event, server
from tests.cloud.rekognition.operations import OPERATIONS
from tests.cloud.rekognition.wire import CONTENT_TYPE, TARGET, OwnFault, operation_of, service_model, write_answer
from tests.support.faces import portrait as portrait_frame
from tests.support.faces import prepared
from webapp.faces.rekognition.client import OPERATIONS as USED

__all__ = ["cloud", "event", "server"]


def send(server: RekognitionServer, operation: str, body: bytes, headers: Mapping[str, str] | None = None) -> Any:
    """A request that boto3 would refuse to send, signed all the same."""
    fields = {"X-Amz-Target": TARGET + operation, "Content-Type": CONTENT_TYPE}
    request = AWSRequest("POST", server.url + "/", headers=fields, data=body)
    SigV4Auth(Credentials(KEY, SECRET), "rekognition", REGION).add_auth(request)
    sent = dict(request.headers.items()) | dict(headers or {})
    return requests.post(server.url + "/", data=body, headers=sent, timeout=30)


class TestTheServiceModel:
    """What webapp uses, the stand-in carries out and the service's model knows."""

    def test_every_operation_that_is_called(self) -> None:
        assert USED.keys() <= OPERATIONS.keys()
        assert USED.keys() <= set(service_model().operation_names)

    @pytest.mark.parametrize("operation", USED)
    def test_every_field_that_is_read(self, operation: str) -> None:
        for path in USED[operation].reads:
            shape: Shape | None = service_model().operation_model(operation).output_shape
            for part in path.split("."):
                assert isinstance(shape, StructureShape), path
                shape = shape.members[part.removesuffix("[]")]
                if part.endswith("[]"):
                    assert isinstance(shape, ListShape), path
                    shape = shape.member

    def test_an_answer_that_is_not_in_it_is_never_sent(self) -> None:
        faces = operation_of(f"{TARGET}ListFaces")
        for wrong in ({"Face": []}, {"Faces": {}}, {"Faces": [{"FaceId": "one"}]}, {"Faces": [{"Confidence": 101}]}):
            with pytest.raises(OwnFault):
                write_answer(faces, wrong)

    def test_a_fault_of_its_own_is_recorded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(OPERATIONS, "ListCollections", lambda service, request: {"Collections": []})
        with rekognition() as running, pytest.raises(ClientError, match="InternalServerError"):
            client(running.url).list_collections()
        assert len(running.faults_of_its_own) == 1 and "Collections" in running.faults_of_its_own[0]


class TestRequests:
    @pytest.mark.parametrize(
        ("operation", "message", "word"),
        [
            ("DescribeCollection", {}, "CollectionId"),
            ("DescribeCollection", {"CollectionId": 7}, "not a string"),
            ("DescribeCollection", {"CollectionId": "a b"}, "pattern"),
            ("DescribeCollection", {"CollectionId": "a" * 256}, "at most 255"),
            ("DescribeCollection", {"CollectionId": "a", "Colour": "red"}, "Colour"),
            ("IndexFaces", {"CollectionId": "a", "Image": {"Bytes": "%%%"}}, "base64"),
            ("IndexFaces", {"CollectionId": "a", "Image": {"Bytes": ""}}, "at least 1"),
            ("IndexFaces", {"CollectionId": "a", "Image": {}, "MaxFaces": 0}, "at least 1"),
            ("IndexFaces", {"CollectionId": "a", "Image": {}, "MaxFaces": "3"}, "not an integer"),
            ("IndexFaces", {"CollectionId": "a", "Image": {}, "QualityFilter": "BEST"}, "one of"),
            ("IndexFaces", {"CollectionId": "a", "Image": {}, "ExternalImageId": "a/b"}, "pattern"),
            ("SearchFaces", {"CollectionId": "a", "FaceId": "me"}, "pattern"),
            ("DeleteFaces", {"CollectionId": "a", "FaceIds": []}, "at least 1"),
            ("ListUsers", {"CollectionId": "a", "MaxResults": 501}, "at most 500"),
            ("AssociateFaces", {"CollectionId": "a", "UserId": "u", "FaceIds": ["x"] * 101}, "at most 100"),
            ("SearchUsers", {"CollectionId": "a", "UserMatchThreshold": 100.5}, "at most 100"),
        ],
    )
    def test_against_the_model(
        self, server: RekognitionServer, operation: str, message: dict[str, Any], word: str
    ) -> None:
        answer = send(server, operation, json.dumps(message).encode())
        assert answer.status_code == 400 and answer.json()["__type"] == "ValidationException"
        assert word in answer.json()["Message"]
        assert answer.headers["x-amzn-requestid"] and answer.headers["Content-Type"] == CONTENT_TYPE

    def test_no_json_and_no_such_operation(self, server: RekognitionServer) -> None:
        assert send(server, "ListCollections", b"{").json()["__type"] == "SerializationException"
        assert send(server, "ListCollections", b"[]").json()["__type"] == "SerializationException"
        assert send(server, "ListPeople", b"{}").json()["__type"] == "UnknownOperationException"
        assert send(server, "DetectText", b'{"Image": {}}').json()["__type"] == "UnknownOperationException"


class TestSignatures:
    def test_unknown_key_wrong_secret_wrong_region(self, server: RekognitionServer) -> None:
        with refused("UnrecognizedClientException"):
            client(server.url, key="AKIDUNKNOWN").list_collections()
        with refused("InvalidSignatureException"):
            client(server.url, secret="another").list_collections()
        with refused("InvalidSignatureException"):
            client(server.url, region="eu-west-1").list_collections()
        assert {call.key for call in server.calls} == {""}

    def test_a_body_or_header_changed_on_the_way(self, server: RekognitionServer, cloud: Any) -> None:
        cloud.list_collections()
        for changed in ({"X-Amz-Target": f"{TARGET}ListFaces"}, {"X-Amz-Date": "20200101T000000Z"}):
            assert send(server, "ListCollections", b"{}", changed).json()["__type"] == "InvalidSignatureException"
        for more in ({}, {"X-Amz-Content-SHA256": sha256(b"{}").hexdigest()}):
            fields = {"X-Amz-Target": f"{TARGET}ListCollections"} | more
            signed = AWSRequest("POST", server.url + "/", headers=fields, data=b"{}")
            SigV4Auth(Credentials(KEY, SECRET), "rekognition", REGION).add_auth(signed)
            headers = dict(signed.headers)
            assert requests.post(server.url + "/", data=b"{}", headers=headers, timeout=30).ok
            answer = requests.post(server.url + "/", data=b'{"MaxResults": 1}', headers=headers, timeout=30)
            assert answer.json()["__type"] == "InvalidSignatureException"

    def test_rights_are_a_keys_own(self, server: RekognitionServer, cloud: Any) -> None:
        server.keys["AKIDREADER"] = "reader"
        server.faults.deny("CreateCollection", key="AKIDREADER")
        reader = client(server.url, key="AKIDREADER", secret="reader")
        reader.list_collections()
        with refused("AccessDeniedException"):
            reader.create_collection(CollectionId="a")
        cloud.create_collection(CollectionId="a")


class TestFaults:
    def test_throttled_for_some_calls_of_one_operation(self, server: RekognitionServer, cloud: Any) -> None:
        server.faults.throttle("ListCollections", times=2)
        cloud.create_collection(CollectionId="a")
        for _ in range(2):
            with refused("ThrottlingException"):
                cloud.list_collections()
        assert cloud.list_collections()["CollectionIds"] == ["a"]

    def test_botocores_own_retries_get_through(self, server: RekognitionServer) -> None:
        server.faults.throttle(times=1, error="ProvisionedThroughputExceededException")
        server.faults.fail(times=1, status=503)
        client(server.url, attempts=3).list_collections()
        outcomes = [call.outcome for call in server.calls]
        assert outcomes == ["ProvisionedThroughputExceededException", "ServiceUnavailableException", "ok"]

    def test_until_told_otherwise(self, server: RekognitionServer, cloud: Any) -> None:
        server.faults.fail(times=None)
        for _ in range(3):
            with refused("InternalServerError"):
                cloud.list_collections()
        server.faults.calm()
        cloud.list_collections()

    def test_a_quota_refuses_what_comes_faster(self, server: RekognitionServer, cloud: Any) -> None:
        server.faults.quota("ListCollections", per_second=0.001)
        cloud.list_collections()
        with refused("ThrottlingException"):
            cloud.list_collections()
        server.faults.quota("ListCollections", per_second=100_000)
        for _ in range(5):
            cloud.list_collections()

    def test_an_answer_lost_after_the_work(self, server: RekognitionServer, cloud: Any, event: str) -> None:
        server.faults.lose("IndexFaces")
        with pytest.raises(ConnectionClosedError):
            index(cloud, event, portrait("grace"))
        assert server.calls[-1].outcome == "lost" and len(server.contents()[event]["faces"]) == 1
        index(cloud, event, portrait("grace"))
        assert list(server.contents()[event]["faces"].values()) == ["p-1", "p-1"]

    def test_a_repeated_call_with_its_token_finds_the_work_done(self, server: RekognitionServer, event: str) -> None:
        server.faults.lose("CreateUser")
        client(server.url, attempts=2).create_user(CollectionId=event, UserId="u")
        assert [call.outcome for call in server.calls if call.operation == "CreateUser"] == ["lost", "ok"]

    def test_slow_calls_and_how_many_at_once(self, server: RekognitionServer, cloud: Any) -> None:
        server.faults.slow(50, "ListCollections")
        with ThreadPoolExecutor(4) as pool:
            answers = [pool.submit(cloud.list_collections) for _ in range(4)]
            deadline = time.monotonic() + 40
            while server.journal.most_at_once < 4 and time.monotonic() < deadline:
                time.sleep(0.01)
            assert not any(answer.done() for answer in answers)
            server.faults.calm()
            assert [answer.result()["CollectionIds"] for answer in answers] == [[]] * 4
        assert server.journal.most_at_once == 4 and server.count("ListCollections") == 4

    def test_slower_than_the_client_waits(self, server: RekognitionServer, event: str) -> None:
        server.faults.slow(50, "CreateUser", times=1)
        hasty = client(server.url, read_seconds=1)
        with pytest.raises(ReadTimeoutError):
            hasty.create_user(CollectionId=event, UserId="u")
        hasty.list_users(CollectionId=event)

    def test_answers_and_pages_cut_short(self, server: RekognitionServer, cloud: Any, event: str) -> None:
        index(cloud, event, crowd(3, 2))
        server.faults.limit_answers(3)
        probe = {"CollectionId": event, "Image": {"Bytes": portrait("grace")}, "MaxFaces": 4096}
        assert len(cloud.search_faces_by_image(**probe)["FaceMatches"]) == 3
        server.faults.limit_pages(4)
        pages = list(cloud.get_paginator("list_faces").paginate(CollectionId=event))
        assert [len(page["Faces"]) for page in pages] == [4, 2]

    def test_a_collection_deleted_by_hand(self, server: RekognitionServer, cloud: Any, event: str) -> None:
        server.delete_collection(event)
        with refused("ResourceNotFoundException"):
            index(cloud, event, portrait("grace"))

    def test_stopped_and_started_again(self, server: RekognitionServer, cloud: Any, event: str) -> None:
        cloud.list_collections()
        server.stop()
        with pytest.raises((EndpointConnectionError, ConnectionClosedError)):
            cloud.list_collections()
        server.start()
        assert cloud.list_collections()["CollectionIds"] == [event]

    def test_the_books_hold_no_bytes(self, server: RekognitionServer, cloud: Any, event: str) -> None:
        index(cloud, event, portrait("grace"), name="p-7")
        call = server.calls[-1]
        assert call.facts["Image"] == {"Bytes": len(portrait("grace"))} and call.facts["ExternalImageId"] == "p-7"
        assert (call.operation, call.key, call.outcome, call.found) == ("IndexFaces", KEY, "ok", 1)
        server.forget()
        assert server.contents() == {} and server.calls == []


def test_many_threads_at_once(server: RekognitionServer, event: str) -> None:
    shared = client(server.url)
    barrier = threading.Barrier(8)

    def work(n: int) -> list[str]:
        barrier.wait(timeout=60)
        return index(shared, event, portrait(("grace", "eileen")[n % 2]), name=f"p-{n}")

    with ThreadPoolExecutor(8) as pool:
        ids = [face for found in pool.map(work, range(8)) for face in found]
    assert len(set(ids)) == 8 and set(server.contents()[event]["faces"]) == set(ids)


def test_pictures_by_reference(moto_url: str) -> None:
    s3 = boto3.client(
        "s3", endpoint_url=moto_url, region_name=REGION, aws_access_key_id=KEY, aws_secret_access_key=SECRET
    )
    s3.create_bucket(Bucket="photos")
    s3.put_object(Bucket="photos", Key="large.png", Body=encode(portrait_frame("grace"), "PNG").ljust(6_000_000, b"\0"))
    s3.put_object(Bucket="photos", Key="too-large.png", Body=bytes(15 * 1024 * 1024 + 1))
    with rekognition(s3=s3) as running:
        cloud = client(running.url)
        assert (
            len(cloud.detect_faces(Image={"S3Object": {"Bucket": "photos", "Name": "large.png"}})["FaceDetails"]) == 1
        )
        with refused("ImageTooLargeException"):
            cloud.detect_faces(Image={"S3Object": {"Bucket": "photos", "Name": "too-large.png"}})
        with refused("InvalidS3ObjectException"):
            cloud.detect_faces(Image={"S3Object": {"Bucket": "photos", "Name": "missing.png"}})
        assert running.faults_of_its_own == []


@pytest.fixture
def moto_url() -> Any:
    from tests.cloud.s3_servers import moto

    with moto() as store:
        yield store.url


def test_in_a_process_of_its_own() -> None:
    with rekognition_process(models=prepared() / "models", keys={KEY: SECRET}) as remote:
        cloud = client(remote.url)
        cloud.create_collection(CollectionId="a")
        [face] = index(cloud, "a", portrait("grace"))
        remote.tell("throttle", operation="ListFaces", times=1)
        with refused("ThrottlingException"):
            cloud.list_faces(CollectionId="a")
        state = remote.state()
        assert state["contents"] == {"a": {"faces": {face: "p-1"}, "users": {}}}
        assert state["counts"] == {"CreateCollection": 1, "IndexFaces": 1, "ListFaces": 1}
        assert state["faults_of_its_own"] == [] and state["calls"][-1]["outcome"] == "ThrottlingException"
        remote.tell("delete_collection", name="a")
        with refused("ResourceNotFoundException"):
            cloud.list_faces(CollectionId="a")
        with pytest.raises(ValueError, match="unexpected keyword"):
            remote.tell("throttle", colour="red")
        with pytest.raises(ValueError, match="no start"):
            remote.tell("start")
