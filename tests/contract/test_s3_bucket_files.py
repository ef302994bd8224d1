"""Apply the bucket's files in deploy/aws to S3 servers and read them back."""

import json
import secrets
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.cloud.s3_servers import S3Server

FILES = Path(__file__).resolve().parents[2] / "deploy" / "aws"


def load(name: str) -> Any:
    return json.loads((FILES / name).read_text(encoding="utf-8"))


@pytest.fixture(params=["moto_server", "seaweedfs_server"])
def server(request: pytest.FixtureRequest) -> S3Server:
    found: S3Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def bucket(server: S3Server) -> str:
    return server.make_bucket(f"files-{secrets.token_hex(4)}", versioned=True)


def test_the_cors_rule_is_taken(server: S3Server, bucket: str) -> None:
    rules = load("bucket-cors.json")
    server.client().put_bucket_cors(Bucket=bucket, CORSConfiguration=rules)
    assert server.client().get_bucket_cors(Bucket=bucket)["CORSRules"] == rules["CORSRules"]


def test_the_lifecycle_is_taken(moto_server: S3Server) -> None:
    bucket = moto_server.make_bucket(f"files-{secrets.token_hex(4)}", versioned=True)
    rules = load("bucket-lifecycle.json")
    client = moto_server.client()
    client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=rules)
    assert client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"] == rules["Rules"]


def test_the_lifecycle_expires_no_current_object() -> None:
    actions = [set(rule) - {"ID", "Status", "Filter"} for rule in load("bucket-lifecycle.json")["Rules"]]
    assert actions == [{"AbortIncompleteMultipartUpload"}, {"NoncurrentVersionExpiration"}]
    assert load("bucket-lifecycle.json")["Rules"][0]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}


def test_the_bucket_policy_is_taken(moto_server: S3Server) -> None:
    bucket = moto_server.make_bucket(f"files-{secrets.token_hex(4)}")
    policy = (FILES / "bucket-policy.json").read_text(encoding="utf-8").replace("BUCKET", bucket)
    moto_server.client().put_bucket_policy(Bucket=bucket, Policy=policy)
    assert json.loads(moto_server.client().get_bucket_policy(Bucket=bucket)["Policy"]) == json.loads(policy)


@pytest.mark.parametrize("name", ["iam-policy.json", "iam-policy-kms.json"])
def test_the_policies_are_valid_for_iam(moto_server: S3Server, name: str) -> None:
    """The IAM of moto checks the syntax of a policy."""
    placeholders = {"ACCOUNT_ID": "123456789012", "REGION": "eu-west-1", "BUCKET": "photos", "KEY_ID": "1234"}
    policy = (FILES / name).read_text(encoding="utf-8")
    for placeholder, value in placeholders.items():
        policy = policy.replace(placeholder, value)
    iam = boto3.client(
        "iam", endpoint_url=moto_server.url, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    made = iam.create_policy(PolicyName=f"findme-{secrets.token_hex(4)}", PolicyDocument=policy)["Policy"]
    assert made["AttachmentCount"] == 0
