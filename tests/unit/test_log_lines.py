"""What is logged of a customer is found by the customerId and by the correlation id, whichever function it was."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest

from onboarding.domain.errors import EmailAlreadyRegistered
from onboarding.domain.events import SOURCE
from tests.invocations import SAMPLES, a_customer_task, an_api_request, sample
from tests.unit.deployment import Functions
from tests.unit.faults import OUT_OF_REACH, failing
from tests.unit.runtime import Runtime
from tests.unit.table import Table
from tests.unit.test_sample_events import ACCEPTED, MALFORMED
from tests.unit.test_unexpected_errors import counted

NAMES = sorted(path.relative_to(SAMPLES).with_suffix("").as_posix() for path in SAMPLES.glob("*/*.json"))
NOTHING: dict[str, str] = {}


def about(name: str) -> dict[str | None, dict[str, str]]:
    """The keys that each line on a sample must have, by the id of its message; the lines of all else have none.

    What is malformed, or is none of ours, names nobody: it has the keys that it has.
    """
    event = sample(name)
    if "Records" in event:
        return {record["messageId"]: _in_message(record["body"]) for record in event["Records"]}
    if "requestContext" in event:
        customer = event.get("pathParameters") or {}
        is_understood = not name.endswith("malformed-customer-id")
        return {None: _keys(customer if is_understood else {}, event["requestContext"]["requestId"])}
    return {None: NOTHING if name in MALFORMED else _keys(event, event["correlationId"])}


def _in_message(body: str) -> dict[str, str]:
    message = _parsed(body)
    detail = message.get("detail", {})
    if message.get("source") == SOURCE and "metadata" in detail:
        return _keys(detail, detail["metadata"]["correlationId"])
    if message.get("source") == "aws.states":  # its execution's input, which has the correlation id, is personal
        return {"customer_id": detail["name"]}
    if "correlationId" in message:
        return _keys(message, message["correlationId"])
    return NOTHING


def _keys(document: dict[str, Any], correlation_id: str) -> dict[str, str]:
    customer = {"customer_id": document["customerId"]} if "customerId" in document else {}
    return customer | {"correlation_id": correlation_id}


def _parsed(body: str) -> dict[str, Any]:
    with suppress(ValueError):
        return dict(json.loads(body))
    return {}


@pytest.mark.parametrize("name", NAMES)
def test_every_line_on_a_sample_names_its_customer_and_its_request(
    name: str, runtime: Runtime, all_of_aws: None
) -> None:
    function, _, case = name.partition("/")
    expected = about(name)
    is_unexpected = "malformed-message" in name or name in {*MALFORMED, "cancel_account/plain"}  # no account to cancel

    with suppress(Exception):  # whatever comes of it, it is logged
        runtime.invoke(function, sample(name))

    assert runtime.log
    for line in runtime.log:
        keys = expected[line.get("message_id") if None not in expected else None]
        assert {key: line.get(key) for key in keys} == keys, line["message"]
        if function == "register_customer" and case in ACCEPTED:
            assert line["customer_id"]
    assert bool(counted(function, runtime)) == is_unexpected


def test_no_message_is_named_by_the_keys_of_the_one_before(runtime: Runtime, all_of_aws: None) -> None:
    name = "start_onboarding/batch-with-malformed-messages"
    runtime.invoke("start_onboarding", sample(name))

    expected = about(name)
    nobody_s = [line for line in runtime.log if expected[line["message_id"]] == NOTHING]

    assert nobody_s
    assert [line for line in nobody_s if line.get("customer_id") or line.get("correlation_id")] == []


@pytest.mark.parametrize("idempotency_key", [None, "key"])
def test_a_registration_that_is_not_queued_has_the_customer_id_that_it_would_have(
    idempotency_key: str | None, functions: Functions, runtime: Runtime, all_of_aws: None
) -> None:
    request = an_api_request(a_customer_task()["customerData"], idempotency_key=idempotency_key)
    (lost, *_) = OUT_OF_REACH
    with failing(functions["register_customer"].sqs, "SendMessage", lost):
        runtime.invoke("register_customer", request)

    assert [line["message"] for line in runtime.log] == ["Registration not accepted", "Registration refused"]
    assert len({line["customer_id"] for line in runtime.log}) == 1


def test_an_expected_error_is_information(runtime: Runtime, customers_table: Table) -> None:
    task = a_customer_task()
    runtime.invoke("create_account", task)
    with pytest.raises(EmailAlreadyRegistered):
        runtime.invoke("create_account", task | {"customerId": "second"})

    line = runtime.log[-1]
    assert (line["level"], line["error"], line["customer_id"]) == ("INFO", "EmailAlreadyRegistered", "second")


def test_an_unexpected_error_has_its_trace_its_customer_and_its_request(
    functions: Functions, runtime: Runtime, customers_table: Table
) -> None:
    (lost, *_) = OUT_OF_REACH
    with failing(functions["create_account"].dynamodb, "TransactWriteItems", lost), pytest.raises(type(lost)):
        runtime.invoke("create_account", a_customer_task(customerId="ada", correlationId="request"))

    (line,) = runtime.log
    assert (line["level"], line["exception_name"]) == ("ERROR", type(lost).__name__)
    assert (line["customer_id"], line["correlation_id"]) == ("ada", "request")
    assert "Traceback" in line["exception"]
