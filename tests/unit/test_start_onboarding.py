"""The function between the queue and the workflow."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.stub import Stubber

from tests.customers import a_customer
from tests.invocations import a_batch, a_registration, sample
from tests.unit.deployment import REFERENCES, Functions
from tests.unit.faults import OUT_OF_REACH, failing, refusing
from tests.unit.runtime import Runtime

FUNCTION = "start_onboarding"
NONE_FAILED: dict[str, Any] = {"batchItemFailures": []}
MALFORMED = {
    "no JSON": "Ada Lovelace, ada@example.com",
    "empty": "",
    "no object": "[]",
    "no customerId": {name: value for name, value in a_registration().items() if name != "customerId"},
    "a customerId that can name no execution": a_registration(customerId="ada lovelace"),
    "a customerId that is too long": a_registration(customerId="x" * 81),
    "another event": a_registration(eventType="CustomerDeleted"),
    "no timestamp": a_registration(timestamp="yesterday"),
    "no customer": a_registration(data=None),
    "an incomplete customer": a_registration(data=a_customer(lastName=None)),
    "a control character": a_registration(data=a_customer(lastName="Love\0lace")),
}


def failed(*numbers: int) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": f"message-{number}"} for number in numbers]}


def test_each_registration_starts_an_execution_that_has_its_name_and_data(
    runtime: Runtime, executions: list[Any]
) -> None:
    ada = a_registration(customerId="ada")
    grace = a_registration(customerId="grace", data=a_customer(firstName="Grace", address={"country": "US"}))

    assert runtime.invoke(FUNCTION, a_batch(ada, grace)) == NONE_FAILED

    assert {execution.name: json.loads(execution.execution_input) for execution in executions} == {
        "ada": ada,
        "grace": grace,
    }
    assert runtime.metrics == {"OnboardingStarted": 2, "OnboardingNotStarted": 0}


def test_a_message_that_comes_twice_starts_one_execution(runtime: Runtime, executions: list[Any]) -> None:
    batch = a_batch(a_registration())

    assert runtime.invoke(FUNCTION, batch) == NONE_FAILED
    assert runtime.invoke(FUNCTION, batch) == NONE_FAILED

    assert len(executions) == 1


def test_a_message_whose_execution_has_ended_is_acknowledged(runtime: Runtime, functions: Functions) -> None:
    with refusing(functions[FUNCTION].sfn, "start_execution", "ExecutionAlreadyExists"):
        assert runtime.invoke(FUNCTION, a_batch(a_registration())) == NONE_FAILED

    assert [line["message"] for line in runtime.log] == ["Onboarding was started before"]
    assert runtime.metrics == {"OnboardingStarted": 0, "OnboardingNotStarted": 0}


def test_a_customer_id_that_comes_again_with_other_data_changes_nothing(
    runtime: Runtime, executions: list[Any]
) -> None:
    runtime.invoke(FUNCTION, a_batch(a_registration()))
    (execution,) = executions
    before = execution.execution_input

    assert runtime.invoke(FUNCTION, a_batch(a_registration(data=a_customer(firstName="Eve")))) == NONE_FAILED

    assert [execution.execution_input for execution in executions] == [before]


@pytest.mark.parametrize("message", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_message_is_reported_and_stops_none_of_its_batch(
    message: object, runtime: Runtime, executions: list[Any]
) -> None:
    ada, grace = a_registration(customerId="ada"), a_registration(customerId="grace")

    assert runtime.invoke(FUNCTION, a_batch(ada, message, grace)) == failed(1)

    assert [execution.name for execution in executions] == ["ada", "grace"]
    assert runtime.metrics == {"OnboardingStarted": 2, "OnboardingNotStarted": 1}


def test_a_batch_that_is_malformed_as_a_whole_is_reported_message_by_message(
    runtime: Runtime, executions: list[Any]
) -> None:
    assert runtime.invoke(FUNCTION, a_batch(*MALFORMED.values())) == failed(*range(len(MALFORMED)))

    assert executions == []


@pytest.mark.parametrize("code", ["ExecutionLimitExceeded", "ThrottlingException", "StateMachineDeleting"])
def test_a_start_that_is_refused_is_reported_and_comes_again(
    code: str, runtime: Runtime, functions: Functions, executions: list[Any]
) -> None:
    batch = a_batch(a_registration())

    with refusing(functions[FUNCTION].sfn, "start_execution", code):
        assert runtime.invoke(FUNCTION, batch) == failed(0)

    assert runtime.invoke(FUNCTION, batch) == NONE_FAILED
    assert len(executions) == 1


@pytest.mark.parametrize("error", OUT_OF_REACH, ids=lambda error: type(error).__name__)
def test_step_functions_out_of_reach_fails_that_message_alone(
    error: Exception, runtime: Runtime, functions: Functions, executions: list[Any]
) -> None:
    with failing(functions[FUNCTION].sfn, "StartExecution", error):
        assert runtime.invoke(
            FUNCTION, a_batch(a_registration(customerId="ada"), a_registration(customerId="grace"))
        ) == failed(0)

    assert [execution.name for execution in executions] == ["grace"]


@pytest.mark.parametrize("traced", [True, False])
def test_the_trace_goes_on_in_the_execution(runtime: Runtime, functions: Functions, *, traced: bool) -> None:
    batch = sample("start_onboarding/one-registration")
    (record,) = batch["Records"]
    expected: dict[str, Any] = {
        "stateMachineArn": REFERENCES["CustomerOnboardingStateMachine"],
        "name": json.loads(record["body"])["customerId"],
        "input": json.dumps(json.loads(record["body"]), separators=(",", ":"), ensure_ascii=False),
    }
    if traced:
        expected["traceHeader"] = "Root=1-6922e2c2-0f1e2d3c4b5a69788796a5b0;Parent=53995c3f42cd8ad8;Sampled=1"
    else:
        del record["attributes"]["AWSTraceHeader"]

    with Stubber(functions[FUNCTION].sfn) as sfn:
        sfn.add_response("start_execution", {"executionArn": "arn", "startDate": 0}, expected)
        assert runtime.invoke(FUNCTION, batch) == NONE_FAILED
        sfn.assert_no_pending_responses()


def test_a_message_of_the_next_release_is_taken(runtime: Runtime, executions: list[Any]) -> None:
    registration = a_registration(priority="high", data=a_customer(nickname="Countess"))

    assert runtime.invoke(FUNCTION, a_batch(registration)) == NONE_FAILED
    assert len(executions) == 1


def test_every_line_of_the_log_names_the_message_and_if_it_can_the_customer_and_the_request(
    runtime: Runtime, functions: Functions, executions: list[Any]
) -> None:
    (lost, *_) = OUT_OF_REACH
    with failing(functions[FUNCTION].sfn, "StartExecution", lost):
        runtime.invoke(
            FUNCTION,
            a_batch(
                a_registration(customerId="ada", correlationId="request-0"),
                a_registration(customerId="grace", correlationId="request-1"),
                "malformed",
            ),
        )

    assert [(line["level"], line["message_id"]) for line in runtime.log] == [
        ("ERROR", "message-0"),
        ("INFO", "message-1"),
        ("ERROR", "message-2"),
    ]
    assert [(line.get("customer_id"), line.get("correlation_id")) for line in runtime.log] == [
        ("ada", "request-0"),
        ("grace", "request-1"),
        (None, None),
    ]
