"""The functions' clients of AWS: how long they try."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.client import BaseClient

from tests.unit.deployment import TEMPLATE, Functions
from tests.unit.runtime import Runtime
from tests.unit.test_unexpected_errors import DEPLOYED

# Before its second attempt botocore waits at most this long in its standard mode.
# https://docs.aws.amazon.com/boto3/latest/guide/retries.html
LONGEST_WAIT_SECONDS = 1


def clients_of(module: ModuleType) -> list[Any]:
    """The clients that a function's module has, and what it has made of them."""
    owners = [module, *vars(module).values()]
    values = [value for owner in owners for value in getattr(owner, "__dict__", {}).values()]
    return [value for value in values if isinstance(value, BaseClient)]


@pytest.mark.parametrize("function", sorted(DEPLOYED.keys() - {"validate_customer"}))  # which calls nothing
def test_a_call_gives_up_before_the_function_times_out(function: str, functions: Functions) -> None:
    timeout = DEPLOYED[function].get("Timeout", TEMPLATE["Globals"]["Function"]["Timeout"])

    configs = [client.meta.config for client in clients_of(functions[function])]

    assert configs
    for config in configs:
        attempts = config.retries["total_max_attempts"]
        waits = (attempts - 1) * LONGEST_WAIT_SECONDS
        assert config.retries["mode"] == "standard"
        assert attempts <= 2
        assert attempts * (config.connect_timeout + config.read_timeout) + waits < timeout


def test_the_workflow_alone_tries_again_to_send(functions: Functions) -> None:
    assert functions["send_welcome_email"].ses.meta.config.retries["total_max_attempts"] == 1


@pytest.mark.parametrize(("function", "client"), [("register_customer", "sqs"), ("detect_fraud", "eventbridge")])
def test_a_call_carries_the_trace_on(
    function: str, client: str, functions: Functions, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQS keeps the header with the message and EventBridge hands it on, so that a request is one trace to its end.

    https://docs.aws.amazon.com/xray/latest/devguide/xray-services-sqs.html
    """
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", function)  # as Lambda sets them
    monkeypatch.setenv("_X_AMZN_TRACE_ID", trace)
    sent: list[AWSPreparedRequest] = []

    def keep(request: AWSPreparedRequest, **_: object) -> None:
        sent.append(request)

    caller = getattr(functions[function], client)
    caller.meta.events.register_first("before-send", keep)
    try:
        caller.list_queues() if client == "sqs" else caller.list_event_buses()
    finally:
        caller.meta.events.unregister("before-send", keep)

    assert [request.headers["X-Amzn-Trace-Id"] for request in sent] == [trace.encode()]
