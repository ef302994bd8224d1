"""Reading the AI services opt-out policy over HTTP, from answers in the format of AWS Organizations."""

import json
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.cloud.s3_servers import S3Server, answering
from webapp.ops.try_rekognition import opt_out
from webapp.settings import Settings

OUT, IN = {"opt_out_policy": "optOut"}, {"opt_out_policy": "optIn"}


def organizations(url: str) -> Any:
    return boto3.client(
        "organizations",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}),
    )


def read(status: int, body: dict[str, Any]) -> opt_out.OptOut:
    with answering(lambda method, path: (status, json.dumps(body))) as url:
        return opt_out.read(organizations(url))


@pytest.mark.parametrize(
    ("services", "status"),
    [
        ({"default": OUT}, "opted out"),
        ({"default": IN, "rekognition": OUT}, "opted out"),
        ({"default": {"opt_out_policy": {"@@assign": "optOut"}}}, "opted out"),
        ({"default": OUT, "rekognition": IN}, "not opted out"),
        ({"lex": OUT}, "not opted out"),
    ],
)
def test_the_rule_of_rekognition_counts_and_else_the_default(services: dict[str, Any], status: str) -> None:
    policy = {"PolicyContent": json.dumps({"services": services}), "PolicyType": "AISERVICES_OPT_OUT_POLICY"}
    assert read(200, {"EffectivePolicy": policy}).status == status


def test_an_account_without_a_policy_is_not_opted_out() -> None:
    assert read(400, {"__type": "EffectivePolicyNotFoundException"}).status == "not opted out"


@pytest.mark.parametrize("code", ["AccessDeniedException", "AWSOrganizationsNotInUseException"])
def test_a_policy_that_cannot_be_read_is_unknown(code: str) -> None:
    found = read(400, {"__type": code, "Message": "arn:aws:iam::123456789012:user/findme"})
    assert (found.status, found.reason) == ("unknown", code)
    assert found.sentence == f"could not be read ({code}): check it yourself, docs/aws.md."


@pytest.mark.parametrize("content", ["no JSON", "[]", "{}", '{"services": {"default": "optOut"}}'])
def test_content_in_another_format_is_unknown(content: str) -> None:
    assert read(200, {"EffectivePolicy": {"PolicyContent": content}}).status == "unknown"


def test_a_server_without_this_operation_is_no_error(moto_server: S3Server) -> None:
    assert opt_out.read(organizations(moto_server.url)).status == "unknown"


def test_another_server_than_amazons_is_not_asked() -> None:
    settings = Settings(_env_file=None, rekognition_endpoint_url="http://127.0.0.1:1", aws_region="eu-west-1")
    assert opt_out.check(settings).status == "skipped"
