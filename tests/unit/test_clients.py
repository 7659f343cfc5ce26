"""The functions' clients of AWS: how long they try."""

from __future__ import annotations

from operator import attrgetter

import pytest
from botocore.awsrequest import AWSPreparedRequest

from tests.unit.deployment import RESOURCES, TEMPLATE, Functions
from tests.unit.runtime import Runtime

CLIENTS = {
    "register_customer": ["sqs", "records.client"],
    "start_onboarding": ["sfn"],
    "create_account": ["dynamodb"],
    "provision_account": ["systems.ssm", "systems.secretsmanager"],
    "deprovision_account": ["systems.ssm", "systems.secretsmanager"],
    "cancel_account": ["dynamodb"],
    "send_welcome_email": ["ses", "records.client"],
}
# Before its second attempt botocore waits at most this long in its standard mode.
# https://docs.aws.amazon.com/boto3/latest/guide/retries.html
LONGEST_WAIT_SECONDS = 1


def timeout_of(function: str) -> int:
    (properties,) = (
        it["Properties"] for it in RESOURCES.values() if it["Properties"].get("Handler") == f"{function}.app.handler"
    )
    return int(properties.get("Timeout", TEMPLATE["Globals"]["Function"]["Timeout"]))


@pytest.mark.parametrize(
    ("function", "client"), [(function, client) for function, clients in CLIENTS.items() for client in clients]
)
def test_a_call_gives_up_before_the_function_times_out(function: str, client: str, functions: Functions) -> None:
    config = attrgetter(client)(functions[function]).meta.config
    attempts = config.retries["total_max_attempts"]
    waits = (attempts - 1) * LONGEST_WAIT_SECONDS

    assert config.retries["mode"] == "standard"
    assert attempts <= 2
    assert attempts * (config.connect_timeout + config.read_timeout) + waits < timeout_of(function)


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
