"""The timeline of an execution, from a full history of Step Functions: the emulator leaves out parts of it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cli.operate.trace import CONFIRMED, Visit, redactor, visits

START = datetime(2026, 11, 17, 9, 0, tzinfo=UTC)
DONE = ("TaskSucceeded", {"output": "{}"})
THROTTLED = {"error": "DynamoDB.Throttled", "cause": "too much " * 100}


def history(*events: tuple[int, str, dict[str, Any]]) -> list[Any]:
    """Events from (id of the previous event, type, details); one a second, numbered from 1."""
    return [
        {
            "id": number,
            "previousEventId": previous,
            "timestamp": START + timedelta(seconds=number),
            "type": kind,
            f"{kind[0].lower()}{kind[1:]}EventDetails": details,
        }
        for number, (previous, kind, details) in enumerate(events, 1)
    ]


def one_after_another(*events: tuple[str, dict[str, Any]]) -> list[Any]:
    return history(*((number, *event) for number, event in enumerate(events)))


def scheduled(**payload: str) -> tuple[str, dict[str, Any]]:
    return "TaskScheduled", {"parameters": json.dumps({"FunctionName": "f", "Payload": payload})}


def seconds(visit: Visit) -> tuple[float, float]:
    assert visit.exited
    return (visit.entered - START).total_seconds(), (visit.exited - START).total_seconds()


def test_parallel_iterations_are_separate() -> None:
    cause = json.dumps({"errorType": "DownstreamUnavailable", "errorMessage": "HTTP 503"})
    events = history(
        (0, "TaskStateEntered", {"name": "ProvisionAccounts"}),
        (1, "MapIterationStarted", {"name": "ProvisionAccounts", "index": 0}),
        (2, "TaskStateEntered", {"name": "ProvisionAccount"}),
        (1, "MapIterationStarted", {"name": "ProvisionAccounts", "index": 1}),
        (4, "TaskStateEntered", {"name": "ProvisionAccount"}),
        (3, *scheduled(system="crm")),
        (5, *scheduled(system="ledger")),
        (6, "TaskFailed", {"error": "DownstreamUnavailable", "cause": cause}),
        (7, *DONE),
        (9, "TaskStateExited", {"name": "ProvisionAccount"}),
        (8, *scheduled(system="crm")),
        (11, *DONE),
        (12, "TaskStateExited", {"name": "ProvisionAccount"}),
        (13, "TaskStateExited", {"name": "ProvisionAccounts"}),
    )

    outer, crm, ledger = visits(events, {})

    assert seconds(outer) == (1, 14)
    assert (crm.subject, seconds(crm), [one.message for one in crm.tries]) == ("crm", (3, 13), ["HTTP 503", ""])
    assert (ledger.subject, seconds(ledger), [one.error for one in ledger.tries]) == ("ledger", (5, 10), [""])


def test_redriven_execution_goes_on_in_its_state() -> None:
    events = one_after_another(
        ("TaskStateEntered", {"name": "ActivateAccount"}),
        scheduled(),
        ("TaskFailed", THROTTLED),
        ("ExecutionFailed", THROTTLED),
        ("ExecutionRedriven", {"redriveCount": 1}),
        scheduled(),
        DONE,
        ("TaskStateExited", {"name": "ActivateAccount"}),
        ("ExecutionSucceeded", {"output": "{}"}),
    )

    found = visits(events, {})

    assert [visit.state for visit in found] == ["ActivateAccount", "FAILED", "REDRIVEN", "SUCCEEDED"]
    assert seconds(found[0]) == (1, 8)
    assert [one.error for one in found[0].tries] == ["DynamoDB.Throttled", ""]
    assert len(found[0].tries[0].message) == 201
    assert found[1].result.startswith("DynamoDB.Throttled: too much too much")


def test_request_to_confirm_is_no_failure() -> None:
    asks = ("TaskFailed", {"error": "EmailNotConfirmed", "cause": ""})

    (asked,) = visits(one_after_another(("TaskStateEntered", {"name": "CreateAccount"}), scheduled(), asks), {})

    assert (asked.result, asked.tries[0].error) == ("the e-mail address is not confirmed yet", "")


@pytest.mark.parametrize(
    ("end", "result"),
    [
        ([], "waiting for the customer"),
        ([DONE], "the customer confirmed"),
        ([("TaskTimedOut", {"error": "States.Timeout"})], "the customer did not confirm"),
    ],
)
def test_wait_for_the_customer_is_no_failure(end: list[Any], result: str) -> None:
    failed = [scheduled(), ("TaskFailed", {"error": "EmailServiceUnavailable", "cause": "Throttling"})]
    entered = ("TaskStateEntered", {"name": "RequestConfirmation"})

    (stopped,) = visits(one_after_another(entered, *failed), {"RequestConfirmation": CONFIRMED})
    (wait,) = visits(one_after_another(entered, *failed, scheduled(), *end), {"RequestConfirmation": CONFIRMED})

    assert (stopped.result, wait.result) == ("", result)
    assert [one.error for one in wait.tries] == ["EmailServiceUnavailable", ""]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("no mailbox ada@EXAMPLE.com", "no mailbox …"),
        ("'12 St James Sq' is no name", "'…' is no name"),
        ("Adamant", "Adamant"),
    ],
)
def test_typed_values_are_redacted(said: str, shown: str) -> None:
    typed = {"firstName": "Ada", "email": "Ada@example.com", "address": {"street": "12 St James Sq", "city": "St"}}

    assert redactor(typed)(said) == shown
