"""What a registration costs: the arithmetic of units and prices, by examples that were worked out by hand."""

from __future__ import annotations

from datetime import date
from typing import Any

import boto3
import httpx
import pytest
from moto import mock_aws

from benchmarks.cost import alternatives, bill, dynamodb, mail_service
from benchmarks.cost.history import transitions
from benchmarks.cost.kinds import KINDS, ONBOARDED
from benchmarks.cost.measurement import Measurement, Registration, Work, load
from benchmarks.cost.prices import PRICES, SERVICES, Unit, dollars, total
from benchmarks.cost.table import tables
from local import PROJECT

KIB = 1024


def a_registration(**changes: Any) -> Registration:
    """Two states and one function, behind a queue; one event, which one consumer reads."""
    plain = Registration(
        kind="plain",
        transitions={"Work": 1, "Done": 1},
        history_events=8,
        seconds=0.21,
        functions={
            "RegisterCustomerFunction": Work(invocations=1, seconds=0.1),
            "StartOnboardingFunction": Work(invocations=1, seconds=0.1),
            "ValidateCustomerFunction": Work(invocations=1, seconds=0.2, writes=2, reads=0.5),
            "TrackOnboardingFunction": Work(invocations=0.5, seconds=0.05, log_lines=1, log_bytes=100),
        },
        messages={"StartOnboardingFunction": 1, "TrackOnboardingFunction": 1},
        commands=0,
        events=1,
        bytes_published=500,
        native_writes=0,
        mails=0,
    )
    return plain.model_copy(update=changes)


def a_measurement(*registrations: Registration) -> Measurement:
    names = {name for registration in registrations for name in registration.functions}
    return Measurement(
        measured=date(2026, 11, 24),
        machine="any",
        repetitions=1,
        memory=dict.fromkeys(names, 512),
        cold={},
        status_request=Work(),
        registrations=list(registrations),
    )


def entered(name: str, kind: str = "Task") -> dict[str, Any]:
    return {"type": f"{kind}StateEntered", "stateEnteredEventDetails": {"name": name}}


SCHEDULED, FAILED, SUCCEEDED = ({"type": kind} for kind in ("TaskScheduled", "TaskFailed", "TaskSucceeded"))


def test_units_times_prices_are_dollars_by_service() -> None:
    # A million times: 11 x $25 + $160 + 14 x $0.20 + 0.4 x $13.3334 + 30 x $0.40 + 4 x $1 + 33 x $0.625 + 6 x $0.125
    units = {
        Unit.TRANSITION: 11e6,
        Unit.MAIL: 1e6,
        Unit.INVOCATION: 14e6,
        Unit.LAMBDA_GB_SECOND: 0.4e6,
        Unit.SQS_REQUEST: 30e6,
        Unit.EVENT: 4e6,
        Unit.WRITE: 33e6,
        Unit.READ: 6e6,
    }

    by_service = dollars(units)

    assert by_service["Step Functions"] == pytest.approx(275)
    assert by_service["SES"] == pytest.approx(160)
    assert by_service["Lambda"] == pytest.approx(2.80 + 5.33336)
    assert by_service["SQS"] == pytest.approx(12)
    assert by_service["EventBridge"] == pytest.approx(4)
    assert by_service["DynamoDB"] == pytest.approx(20.625 + 0.75)
    assert by_service["API Gateway"] == 0
    assert total(units) == pytest.approx(480.50836)


def test_every_unit_has_a_price_of_a_service_that_is_shown() -> None:
    assert PRICES.keys() == set(Unit)
    assert set(SERVICES) == set(dollars({}))


def test_states_retries_and_what_a_map_runs_are_transitions() -> None:
    history = [
        *(entered("Retried"), SCHEDULED, FAILED, SCHEDULED, FAILED, SCHEDULED, SUCCEEDED),
        # Three iterations: one succeeds at once, one at its second try, one fails and is caught.
        *(entered("Each", "Map"), *[SCHEDULED] * 3, SUCCEEDED, FAILED, FAILED, SCHEDULED, SUCCEEDED),
        entered("Decide", "Choice"),
        entered("Done", "Succeed"),
    ]

    assert transitions(history, iterations=3) == {"Retried": 3, "Each": 1 + 3 + 1 + 1, "Decide": 1, "Done": 1}


def test_a_map_without_items_is_one_transition() -> None:
    assert transitions([entered("Each", "Map"), entered("Done", "Succeed")]) == {"Each": 1, "Done": 1}


@pytest.mark.parametrize(("size", "units"), [(0, 1), (1, 1), (KIB, 1), (KIB + 1, 2), (10 * KIB, 10)])
def test_a_write_is_billed_by_the_kibibyte_begun(size: int, units: int) -> None:
    assert dynamodb.write_units(size) == units


@pytest.mark.parametrize(("size", "units"), [(0, 1), (4 * KIB, 1), (4 * KIB + 1, 2)])
def test_a_read_is_billed_by_four_kibibytes_begun_and_half_where_it_may_be_stale(size: int, units: int) -> None:
    assert dynamodb.read_units(size, consistent=True) == units
    assert dynamodb.read_units(size, consistent=False) == units / 2


def test_the_size_of_an_item_has_its_names_and_its_values() -> None:
    # 2 + 2 (é is two bytes), 1 + 3 (five digits), 1 + 3 + (1 + 1 + 1), 1 + 3 + (1 + 1), 1 + 1
    item = {
        "pk": {"S": "é"},
        "n": {"N": "12345"},
        "m": {"M": {"a": {"S": "b"}}},
        "l": {"L": [{"S": "c"}]},
        "b": {"BOOL": True},
    }

    assert dynamodb.item_size(item) == 4 + 4 + 7 + 6 + 2


@mock_aws
def test_a_call_is_billed_by_what_it_touches_and_twice_in_a_transaction() -> None:
    client = boto3.client("dynamodb", region_name="us-east-1")
    client.create_table(
        TableName="table",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    key = {"pk": {"S": "large"}}
    large = {**key, "text": {"S": "x" * 5000}}
    client.put_item(TableName="table", Item=large)
    put, update = {"TableName": "table", "Item": large}, {"TableName": "table", "Key": key}
    query = {
        "TableName": "table",
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": {":pk": key["pk"]},
    }

    assert dynamodb.billed("PutItem", put, client) == {Unit.WRITE: 5}
    assert dynamodb.billed("UpdateItem", update, client) == {Unit.WRITE: 5}
    transaction = {
        "TransactItems": [{"Put": put}, {"Update": update}, {"Delete": {**update, "Key": {"pk": {"S": "-"}}}}]
    }
    assert dynamodb.billed("TransactWriteItems", transaction, client) == {Unit.WRITE: 2 * (5 + 5 + 1)}
    assert dynamodb.billed("GetItem", {**update, "ConsistentRead": True}, client) == {Unit.READ: 2}
    assert dynamodb.billed("Query", query, client) == {Unit.READ: 1}
    with pytest.raises(dynamodb.NotKnown, match="BatchGetItem"):
        dynamodb.billed("BatchGetItem", {}, client)


def test_a_registration_is_billed_by_its_states_functions_messages_and_logs() -> None:
    registration = a_registration()

    units = bill.units(registration, a_measurement(registration))

    assert units == pytest.approx(
        {
            Unit.TRANSITION: 2,
            Unit.API_REQUEST: 1,
            Unit.EVENT: 1,
            Unit.ARCHIVED_BYTE: 500,
            # Two messages came in one batch: each is billed as a batch of its own.
            Unit.INVOCATION: 4,
            Unit.LAMBDA_GB_SECOND: (0.1 + 0.1 + 0.2 + 0.1) / 2,
            Unit.SQS_REQUEST: 6,
            Unit.WRITE: 2,
            Unit.READ: 0.5,
            Unit.LOG_BYTE: 4 * (600 + 2 * 26) + 126 + 8 * 426,
        }
    )


def test_an_express_workflow_bills_its_time_by_100_ms_and_a_lock() -> None:
    registration = a_registration()

    standard, express, *_ = alternatives.bills(registration, a_measurement(registration)).values()

    assert standard
    assert express
    changed = {unit: express.get(unit, 0) - standard.get(unit, 0) for unit in Unit}
    assert {unit: change for unit, change in changed.items() if change} == pytest.approx(
        {Unit.TRANSITION: -2, Unit.EXPRESS_REQUEST: 1, Unit.EXPRESS_GB_SECOND: 0.3 * 64 / 1024, Unit.WRITE: 1}
    )


def test_an_express_workflow_cannot_wait_for_the_mail_service_but_a_queue_can() -> None:
    work = {**a_registration().functions, "SendWelcomeEmailFunction": Work(invocations=3, seconds=0.3)}
    registration = a_registration(functions=work, transitions={"SendWelcomeEmail": 3, "Done": 1})

    bills = alternatives.bills(registration, a_measurement(registration))

    assert bills["Express workflow"] is None
    with_a_queue = bills["Express, e-mail from a queue"]
    assert with_a_queue
    assert with_a_queue[Unit.SQS_REQUEST] == 6 + 3 + 2 * 2  # one message, received twice more


def test_choreography_pays_a_queue_for_each_step_instead_of_transitions() -> None:
    registration = a_registration()

    units = alternatives.bills(registration, a_measurement(registration))["Choreography"]

    assert units
    assert Unit.TRANSITION not in units
    assert units[Unit.INVOCATION] == 3  # start_onboarding is gone
    assert units[Unit.SQS_REQUEST] == 3 * 2  # the queue of validate_customer, the queue of the consumer
    assert units[Unit.EVENT] == 1
    assert units[Unit.LAMBDA_GB_SECOND] == pytest.approx((0.1 + 0.2 + 0.1 + 0.01) / 2)


def test_choreography_publishes_what_the_workflow_hands_over() -> None:
    steps = ("ValidateCustomer", "CreateAccount", "ActivateAccount")
    functions = {
        **a_registration().functions,
        "CreateAccountFunction": Work(invocations=1, seconds=0.1),
        "ProvisionAccountFunction": Work(invocations=3, seconds=0.3),
    }
    registration = a_registration(functions=functions, transitions=dict.fromkeys(steps, 1), native_writes=1, events=3)

    units = alternatives.bills(registration, a_measurement(registration))["Choreography"]

    assert units
    assert units[Unit.EVENT] == 3 + 1 + 3  # to the systems, and from each of them
    assert units[Unit.SQS_REQUEST] == 3 * (1 + 1 + 3 + 1 + 1)  # five steps, one of them thrice, and the consumer


def test_one_function_pays_the_sum_of_the_times() -> None:
    registration = a_registration(native_writes=1)

    units = alternatives.bills(registration, a_measurement(registration))["One function"]

    assert units
    assert units[Unit.INVOCATION] == 3
    assert units[Unit.LAMBDA_GB_SECOND] == pytest.approx((0.1 + (0.2 + 0.01 + 0.01) + 0.1) / 2)
    assert units[Unit.WRITE] == 3


def test_the_terminal_shows_every_kind() -> None:
    for table in tables(load()):
        assert list(table.columns[0].cells) == [kind.name for kind in KINDS]


def test_the_readme_tells_what_was_counted() -> None:
    measurement = load()
    registration = measurement.of(ONBOARDED.name)
    states = sum(registration.transitions.values())
    thousand = 1000 * total(bill.units(registration, measurement))

    readme = " ".join((PROJECT / "README.md").read_text(encoding="utf-8").split())

    assert f"enters {states} states and costs about ${thousand:.2f} for a thousand" in readme


def test_what_is_there_costs_by_the_month() -> None:
    (queues, price), *_ = bill.monthly().items()

    # Five long polls of 20 s are 648,000 in 30 days.
    number = int(queues.partition(" ")[0])
    assert number >= 5
    assert price == pytest.approx(number * 0.648 * 0.40)


def test_the_mail_service_refuses_as_planned_and_then_accepts() -> None:
    with mail_service.start() as mail:
        mail.plan("ada@example.com", [(503, "InternalServiceErrorException")])
        document = {"Destination": {"ToAddresses": ["ada@example.com"]}}
        answers = [httpx.post(f"{mail.url}/v2/email/outbound-emails", json=document, trust_env=False) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [503, 200]
    assert answers[0].headers["x-amzn-ErrorType"] == "InternalServiceErrorException"
    assert answers[1].json()["MessageId"]
    assert mail.accepted == ["ada@example.com"]
