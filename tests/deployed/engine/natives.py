"""Runs in Lambda in place of a native task, so that it can be made to fail: the same call with the same arguments."""

import json
from functools import cache
from typing import Any

import botocore.session
from botocore import xform_name


def handler(event: dict[str, Any], _: object) -> None:
    """Call `integration`, such as `events:putEvents`, with `arguments`."""
    service, _, operation = event["integration"].partition(":")
    arguments = event["arguments"]
    for entry in arguments.get("Entries", []):
        if isinstance(entry["Detail"], dict):  # Step Functions takes it as an object, EventBridge as text
            entry["Detail"] = json.dumps(entry["Detail"])
    getattr(_client(service), xform_name(operation))(**arguments)


@cache
def _client(service: str) -> Any:
    return botocore.session.get_session().create_client(service)
