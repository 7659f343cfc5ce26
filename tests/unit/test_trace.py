"""The timeline of an execution, out of a history as Step Functions tells it, which is more than the emulator does."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cli.operate.trace import Visit, _blot_out, _texts, _visits

START = datetime(2026, 11, 17, 9, 0, tzinfo=UTC)
PUBLISHED = {"PublishCustomerRegistered": "published CustomerRegistered"}


def history(*events: tuple[int, str, dict[str, Any]]) -> list[Any]:
    """Events, each the one that it follows, its details' name and its details; one a second, numbered from 1."""
    return [
        {"id": number, "previousEventId": previous, "timestamp": START + timedelta(seconds=number), kind: details}
        for number, (previous, kind, details) in enumerate(events, 1)
    ]


def entered(name: str) -> tuple[str, dict[str, Any]]:
    return "stateEnteredEventDetails", {"name": name}


def exited(name: str) -> tuple[str, dict[str, Any]]:
    return "stateExitedEventDetails", {"name": name}


def scheduled(**payload: str) -> tuple[str, dict[str, Any]]:
    return "taskScheduledEventDetails", {"parameters": json.dumps({"FunctionName": "f", "Payload": payload})}


def test_iterations_that_run_side_by_side_are_told_apart() -> None:
    cause = json.dumps({"errorType": "DownstreamUnavailable", "errorMessage": "HTTP 503"})
    events = history(
        (0, *entered("ProvisionAccounts")),
        (1, "mapIterationStartedEventDetails", {"name": "ProvisionAccounts", "index": 0}),
        (2, *entered("ProvisionAccount")),
        (1, "mapIterationStartedEventDetails", {"name": "ProvisionAccounts", "index": 1}),
        (4, *entered("ProvisionAccount")),
        (3, *scheduled(system="crm")),
        (5, *scheduled(system="ledger")),
        (6, "taskFailedEventDetails", {"error": "DownstreamUnavailable", "cause": cause}),
        (7, "taskSucceededEventDetails", {"output": "{}"}),
        (9, *exited("ProvisionAccount")),
        (8, *scheduled(system="crm")),
        (11, "taskSucceededEventDetails", {"output": "{}"}),
        (12, *exited("ProvisionAccount")),
        (13, *exited("ProvisionAccounts")),
    )

    outer, crm, ledger = _visits(events, {})

    assert seconds(outer) == (1, 14)
    assert (crm.subject, seconds(crm), [it.message for it in crm.tries]) == ("crm", (3, 13), ["HTTP 503", ""])
    assert (ledger.subject, seconds(ledger), [it.error for it in ledger.tries]) == ("ledger", (5, 10), [""])


def test_a_try_that_timed_out_is_told_with_its_error() -> None:
    events = history(
        (0, *entered("PublishCustomerRegistered")),
        (1, *scheduled()),
        (2, "taskTimedOutEventDetails", {"error": "States.Timeout"}),
        (3, *scheduled()),
        (4, "taskSucceededEventDetails", {"output": "{}"}),
        (5, *exited("PublishCustomerRegistered")),
    )

    (visit,) = _visits(events, PUBLISHED)

    assert [it.error for it in visit.tries] == ["States.Timeout", ""]
    assert visit.result == "published CustomerRegistered"


def test_a_cause_that_is_no_exception_is_shown_as_it_is_but_not_whole() -> None:
    events = history(
        (0, *entered("ActivateAccount")),
        (1, *scheduled()),
        (2, "taskFailedEventDetails", {"error": "DynamoDB.Throttled", "cause": "too much " * 100}),
    )

    (visit,) = _visits(events, {})

    assert visit.exited is None
    assert visit.tries[0].message.startswith("too much too much")
    assert len(visit.tries[0].message) == 201


def test_an_event_is_told_only_once_it_is_published() -> None:
    events = history(
        (0, *entered("PublishCustomerRegistered")),
        (1, *scheduled()),
        (2, "taskFailedEventDetails", {"error": "EventBridge.InternalException"}),
    )

    (visit,) = _visits(events, PUBLISHED)

    assert visit.result == ""


def test_an_execution_that_was_redriven_goes_on_in_the_state_that_failed() -> None:
    events = history(
        (0, *entered("ActivateAccount")),
        (1, *scheduled()),
        (2, "taskFailedEventDetails", {"error": "DynamoDB.Throttled"}),
        (3, "executionFailedEventDetails", {"error": "DynamoDB.Throttled"}),
        (4, "executionRedrivenEventDetails", {"redriveCount": 1}),
        (5, *scheduled()),
        (6, "taskSucceededEventDetails", {"output": "{}"}),
        (7, *exited("ActivateAccount")),
        (8, "executionSucceededEventDetails", {"output": "{}"}),
    )
    types = {4: "ExecutionFailed", 9: "ExecutionSucceeded"}
    events = [event | {"type": types.get(event["id"], "")} for event in events]

    visits = list(_visits(events, {}))

    assert [visit.state for visit in visits] == ["ActivateAccount", "FAILED", "REDRIVEN", "SUCCEEDED"]
    assert seconds(visits[0]) == (1, 8)
    assert [attempt.error for attempt in visits[0].tries] == ["DynamoDB.Throttled", ""]


def test_an_expression_that_failed_is_told_as_a_try() -> None:
    events = history(
        (0, *entered("ValidateCustomer")),
        (1, "evaluationFailedEventDetails", {"error": "States.QueryEvaluationError", "cause": "undefined"}),
    )

    (visit,) = _visits(events, {})

    assert [(it.error, it.message) for it in visit.tries] == [("States.QueryEvaluationError", "undefined")]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("no mailbox ada@EXAMPLE.com", "no mailbox …"),
        ("'12 St James Sq' is no name", "'…' is no name"),
        ("Adamant", "Adamant"),
    ],
)
def test_what_was_typed_is_blotted_out_of_what_aws_says(said: str, shown: str) -> None:
    typed = {"firstName": "Ada", "email": "Ada@example.com", "address": {"street": "12 St James Sq", "city": "St"}}

    assert _blot_out(_texts(typed))(said) == shown


def seconds(visit: Visit) -> tuple[float, float]:
    assert visit.exited
    return (visit.entered - START).total_seconds(), (visit.exited - START).total_seconds()
