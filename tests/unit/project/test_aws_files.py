"""Compare the files in deploy/aws with the calls that the code makes, and with what documentation and alarms state."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.session import get_session

from webapp.faces.rekognition.client import OPERATIONS
from webapp.services.core import alarms

ROOT = Path(__file__).resolve().parents[3]
FILES = ROOT / "deploy" / "aws"
ENGINES = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "aws.md").read_text(encoding="utf-8")

S3_ACTIONS = {
    "abort_multipart_upload": {"s3:AbortMultipartUpload"},
    "complete_multipart_upload": {"s3:PutObject"},
    "create_multipart_upload": {"s3:PutObject"},
    "delete_objects": {"s3:DeleteObject", "s3:DeleteObjectVersion"},
    "get_object": {"s3:GetObject"},
    "head_bucket": {"s3:ListBucket"},
    "head_object": {"s3:GetObject"},
    "list_multipart_uploads": {"s3:ListBucketMultipartUploads"},
    "list_object_versions": {"s3:ListBucketVersions"},
    "list_objects_v2": {"s3:ListBucket"},
    "list_parts": {"s3:ListMultipartUploadParts"},
    "put_object": {"s3:PutObject"},
    "upload_part": {"s3:PutObject"},
}
"""boto3 method → IAM actions, by the Service Authorization Reference of Amazon S3."""

BUCKET_ACTIONS = {"s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"}


def load(name: str) -> Any:
    return json.loads((FILES / name).read_text(encoding="utf-8"))


def statements(name: str) -> dict[str, dict[str, Any]]:
    """The statements of a policy by their Sid."""
    policy = load(name)
    assert policy["Version"] == "2012-10-17"
    return {statement["Sid"]: statement for statement in policy["Statement"]}


def actions(name: str) -> set[str]:
    return {action for statement in statements(name).values() for action in as_list(statement["Action"])}


def as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def calls(package: str) -> Iterator[ast.Call]:
    for path in (ROOT / package).rglob("*.py"):
        yield from (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))


def texts(call: ast.Call) -> set[str]:
    """The string literals among the arguments of a call."""
    return {value.value for value in call.args if isinstance(value, ast.Constant) and isinstance(value.value, str)}


def called_operations() -> set[str]:
    """The Rekognition operations that are named in a call of a function or method."""
    known = set(get_session().get_service_model("rekognition").operation_names)
    return {text for call in calls("webapp/faces/rekognition") for text in texts(call)} & known


def called_s3_methods() -> set[str]:
    """The methods of boto3's client that the store calls, pages through, or signs addresses of."""
    known = {"head_bucket", "generate_presigned_url", "get_paginator", *S3_ACTIONS}
    found = set()
    for call in calls("webapp/storage"):
        if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value).endswith("client"):
            found |= {call.func.attr} | (texts(call) if call.func.attr == "get_paginator" else set())
        elif isinstance(call.func, ast.Attribute) and call.func.attr == "signed":
            found |= texts(call)
    assert found <= known, f"no IAM action is known for {found - known}"
    return found - {"generate_presigned_url", "get_paginator"}


def test_the_policy_allows_the_rekognition_operations_that_are_called_and_no_other() -> None:
    allowed = {action for action in actions("iam-policy.json") if action.startswith("rekognition:")}
    assert called_operations() == set(OPERATIONS)
    assert allowed == {f"rekognition:{operation}" for operation in OPERATIONS}


def test_the_policy_allows_the_s3_methods_that_are_called_and_no_other() -> None:
    allowed = {action for action in actions("iam-policy.json") if action.startswith("s3:")}
    assert called_s3_methods() == set(S3_ACTIONS)
    assert allowed == set[str]().union(*S3_ACTIONS.values())


def test_each_statement_of_the_policy_has_the_resource_that_its_actions_need() -> None:
    policy = statements("iam-policy.json")
    assert {statement["Effect"] for statement in policy.values()} == {"Allow"}
    assert policy["MakeCollections"]["Action"] == "rekognition:CreateCollection"
    assert policy["MakeCollections"]["Resource"] == "*", "this action has no resource type"
    assert policy["UseCollections"]["Resource"] == "arn:aws:rekognition:*:ACCOUNT_ID:collection/findme-*"
    assert policy["UseObjects"]["Resource"] == "arn:aws:s3:::BUCKET/*"
    assert policy["ListObjects"]["Resource"] == "arn:aws:s3:::BUCKET"
    assert set(policy["ListObjects"]["Action"]) == BUCKET_ACTIONS
    assert not set(policy["UseObjects"]["Action"]) & BUCKET_ACTIONS


def test_alarms_name_the_actions_of_the_policies() -> None:
    named = {action for group in alarms.ACTIONS.values() for action in group}
    assert named == actions("iam-policy.json") | actions("iam-policy-kms.json")


def test_the_documentation_names_the_actions_of_the_policies() -> None:
    text = ENGINES.partition("\n## Rights\n")[2].partition("\n## ")[0]
    named, service = set(), ""
    for prefix, action in re.findall(r"`(?:(rekognition|s3|kms):)?([A-Z]\w+)`", text):
        service = prefix or service
        named.add(f"{service}:{action}")
    assert named == actions("iam-policy.json") | actions("iam-policy-kms.json")


def test_the_bucket_refuses_requests_without_tls_and_allows_nothing() -> None:
    (statement,) = statements("bucket-policy.json").values()
    assert statement["Effect"] == "Deny" and statement["Principal"] == "*" and statement["Action"] == "s3:*"
    assert statement["Resource"] == ["arn:aws:s3:::BUCKET", "arn:aws:s3:::BUCKET/*"]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_opt_out_policy_opts_out_of_every_service() -> None:
    assert load("ai-services-opt-out-policy.json") == {
        "services": {"default": {"opt_out_policy": {"@@assign": "optOut"}}}
    }


def test_the_cors_rule_is_the_one_of_the_documentation() -> None:
    documented = json.loads(re.findall(r"```json\n(.*?)```", ENGINES, re.DOTALL)[0])
    assert load("bucket-cors.json")["CORSRules"] == documented


def test_the_guide_names_every_file_and_no_other() -> None:
    named = set(re.findall(r"deploy/aws/([\w-]+\.json)", GUIDE))
    assert named == {path.name for path in FILES.iterdir()}
