"""The functions' clients of AWS: their time-outs, attempts and trace."""

import pytest

from tests.unit.deployment import TEMPLATE, Functions, clients_of
from tests.unit.runtime import Runtime
from tests.unit.test_unexpected_errors import DEPLOYED

# The longest that botocore waits before a second attempt, in its standard mode.
# https://docs.aws.amazon.com/boto3/latest/guide/retries.html
LONGEST_WAIT_SECONDS = 1


@pytest.mark.parametrize("function", DEPLOYED)
def test_call_ends_before_the_timeout(function: str, functions: Functions) -> None:
    timeout = DEPLOYED[function].get("Timeout", TEMPLATE["Globals"]["Function"]["Timeout"])

    configs = [client.meta.config for client in clients_of(functions[function])]

    # Only a function without settings calls nothing.
    assert bool(configs) == hasattr(functions[function], "Settings"), f"functions/{function}/app.py: its clients"
    for config in configs:
        attempts = config.retries["total_max_attempts"]
        waits = (attempts - 1) * LONGEST_WAIT_SECONDS
        assert config.retries["mode"] == "standard"
        assert attempts <= 2
        assert attempts * (config.connect_timeout + config.read_timeout) + waits < timeout


def test_only_the_workflow_retries_mail(functions: Functions) -> None:
    assert functions["send_welcome_email"].ses.meta.config.retries["total_max_attempts"] == 1


@pytest.mark.parametrize(("function", "client"), [("register_customer", "sqs"), ("detect_fraud", "eventbridge")])
def test_call_carries_the_trace(
    function: str, client: str, functions: Functions, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQS and EventBridge pass the header on, so that a request is one trace to its end.

    https://docs.aws.amazon.com/xray/latest/devguide/xray-services-sqs.html
    """
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", function)  # as Lambda sets them
    monkeypatch.setenv("_X_AMZN_TRACE_ID", trace)
    sent: list[bytes] = []
    caller = getattr(functions[function], client)
    caller.meta.events.register_first(
        "before-send", lambda request, **_: sent.append(request.headers["X-Amzn-Trace-Id"]), "kept"
    )

    caller.list_queues() if client == "sqs" else caller.list_event_buses()
    caller.meta.events.unregister("before-send", unique_id="kept")

    assert sent == [trace.encode()]
