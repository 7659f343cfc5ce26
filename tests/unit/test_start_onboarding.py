"""The function between the queue and the workflow."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.stub import Stubber
from pydantic import ValidationError

from onboarding.domain.registration import Registration
from tests.customers import a_customer
from tests.in_process.template import reference_to
from tests.invocations import a_batch, a_registration, failures, sample
from tests.unit.deployment import Functions
from tests.unit.faults import OUT_OF_REACH, failing, refusing
from tests.unit.runtime import Runtime

FUNCTION = "start_onboarding"


def test_each_registration_starts_one_execution(runtime: Runtime, executions: list[Any]) -> None:
    ada = a_registration(customerId="ada")
    grace = a_registration(customerId="grace", data=a_customer(firstName="Grace", address={"country": "US"}))
    of_next_release = grace | {"priority": "high", "data": grace["data"] | {"nickname": "Countess"}}

    for _ in range(2):
        assert runtime.invoke(FUNCTION, a_batch(ada, of_next_release)) == failures()

    assert {execution.name: json.loads(execution.execution_input) for execution in executions} == {
        "ada": ada,
        "grace": grace,
    }
    assert len(executions) == 2


def test_started_onboarding_is_not_started_again(runtime: Runtime, functions: Functions) -> None:
    with refusing(functions[FUNCTION].sfn, "start_execution", "ExecutionAlreadyExists"):
        assert runtime.invoke(FUNCTION, a_batch(a_registration())) == failures()

    assert [line["message"] for line in runtime.log] == ["Onboarding already started"]
    assert runtime.metrics == {"OnboardingStarted": 0, "OnboardingNotStarted": 0}


@pytest.mark.parametrize("changes", [{"customerId": "ada lovelace"}, {"eventType": "CustomerDeleted"}])
def test_malformed_message_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Registration.model_validate(a_registration(**changes))


def test_failing_messages_hold_up_no_others(
    runtime: Runtime, functions: Functions, executions: list[Any], dead_letters: Callable[[], list[str]]
) -> None:
    batch = a_batch("malformed", a_registration(customerId="ada"), a_registration(customerId="grace"))

    with failing(functions[FUNCTION].sfn, "StartExecution", OUT_OF_REACH[0]):
        assert runtime.invoke(FUNCTION, batch) == failures(1)

    assert [execution.name for execution in executions] == ["grace"]
    assert [(line["level"], line["message_id"], line.get("customer_id")) for line in runtime.log] == [
        ("ERROR", "message-0", None),
        ("ERROR", "message-1", "ada"),
        ("INFO", "message-2", "grace"),
    ]
    assert runtime.metrics == {"OnboardingStarted": 1, "OnboardingNotStarted": 2}
    assert dead_letters() == [batch["Records"][0]["body"]]
    assert runtime.invoke(FUNCTION, a_batch(a_registration(customerId="ada"))) == failures()
    assert [execution.name for execution in executions] == ["grace", "ada"]


def test_unmoved_malformed_message_is_retried(
    runtime: Runtime, functions: Functions, dead_letters: Callable[[], list[str]]
) -> None:
    with failing(functions[FUNCTION].sqs, "SendMessage", OUT_OF_REACH[0]):
        assert runtime.invoke(FUNCTION, a_batch("malformed")) == failures(0)

    assert dead_letters() == []


@pytest.mark.parametrize("trace", ["Root=1-6922e2c2-0f1e2d3c4b5a69788796a5b0;Sampled=1", "x" * 256, "x" * 257, None])
def test_trace_goes_on_in_the_execution(runtime: Runtime, functions: Functions, trace: str | None) -> None:
    batch = sample("start_onboarding/one-registration")
    (record,) = batch["Records"]
    expected: dict[str, Any] = {
        "stateMachineArn": reference_to("CustomerOnboardingStateMachineAliaslive"),
        "name": json.loads(record["body"])["customerId"],
        "input": json.dumps(json.loads(record["body"]), separators=(",", ":"), ensure_ascii=False),
    }
    del record["attributes"]["AWSTraceHeader"]
    if trace:
        record["attributes"]["AWSTraceHeader"] = trace
        if len(trace) <= 256:  # Step Functions refuses a longer one
            expected["traceHeader"] = trace

    with Stubber(functions[FUNCTION].sfn) as sfn:
        sfn.add_response("start_execution", {"executionArn": "arn", "startDate": 0}, expected)
        assert runtime.invoke(FUNCTION, batch) == failures()
        sfn.assert_no_pending_responses()
