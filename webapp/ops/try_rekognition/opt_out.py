"""Read whether the account is opted out of Amazon's use of content by its AI services."""

import json
from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from webapp import aws
from webapp.settings import Settings

Status = Literal["opted out", "not opted out", "unknown", "skipped"]


@dataclass(frozen=True, slots=True)
class OptOut:
    """The state of the AI services opt-out policy for Rekognition."""

    status: Status
    reason: str = ""

    @property
    def sentence(self) -> str:
        match self.status:
            case "opted out":
                return "in effect for Rekognition."
            case "not opted out":
                return f"NOT in effect ({self.reason}): Amazon may use the pictures for itself, see docs/aws.md."
            case "unknown":
                return f"could not be read ({self.reason}): check it yourself, docs/aws.md."
            case "skipped":
                return "skipped, because the endpoint is not Amazon's."


def check(settings: Settings) -> OptOut:
    """Ask AWS Organizations, unless the endpoint of Rekognition is another server."""
    if settings.rekognition_endpoint_url:
        return OptOut("skipped")
    try:
        client = aws.client(settings, "organizations", attempts=2)
    except (BotoCoreError, ValueError) as error:
        return OptOut("unknown", type(error).__name__)
    return read(client)


def read(client: Any) -> OptOut:
    """Ask a client of AWS Organizations for the policy that is in effect for its account."""
    try:
        answer = client.describe_effective_policy(PolicyType="AISERVICES_OPT_OUT_POLICY")
        choice = _choice(json.loads(answer["EffectivePolicy"]["PolicyContent"]))
    except ClientError as error:
        code = aws.error_code(error)
        return OptOut("not opted out" if code == "EffectivePolicyNotFoundException" else "unknown", code)
    except (BotoCoreError, KeyError, TypeError, ValueError, AttributeError) as error:
        return OptOut("unknown", type(error).__name__)
    return OptOut("opted out") if choice == "optOut" else OptOut("not opted out", choice or "no rule for Rekognition")


def _choice(policy: dict[str, Any]) -> str:
    """The choice for Rekognition: its own, else the default of all services."""
    services = policy["services"]
    rule = services.get("rekognition") or services.get("default") or {}
    choice = rule.get("opt_out_policy", "")
    # A policy as it was written has an operator around the value; the effective one has the value alone.
    return str(choice.get("@@assign", "") if isinstance(choice, dict) else choice)
