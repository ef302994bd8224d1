"""Addresses of routes, filled with the ids of an event."""

import re

from werkzeug.routing import Rule

from tests.attacks.two_events import Side

NEUTRAL = {
    "filename": "css/base.css",
    "size": "original",
    "kind": "svg",
    "number": "1",
    "colours": "1f5f8a",
}
"""Parts of addresses that name nothing of anyone."""


JSON = {"verdict": "rejected", "many_children": True, "limit": 7, "filename": "a.jpg", "size": 10}


def address(rule: Rule, values: dict[str, str]) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: (values | NEUTRAL)[found[1]], rule.rule)


def ids_of(side: Side, rule: Rule) -> dict[str, str]:
    """The ids of one event for a route's address."""
    ids = dict(side.ids)
    if "/s3/" in rule.rule:
        ids["upload_id"] = ids["direct_upload_id"]
    if "/replaced/" in rule.rule:
        ids["photo_id"] = ids["replaced_id"]
    if rule.endpoint == "team.remove":
        ids["user_id"] = ids["second_id"]
    if rule.endpoint.startswith("people."):
        ids["invitation_id"] = ids["photographer_invitation_id"]
    return ids
