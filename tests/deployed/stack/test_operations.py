"""The procedures of docs/runbook.md, on the deployed stack."""

import json
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import httpx
import pytest

from cli import NotPossible
from cli.__main__ import commands as onboarding
from cli.aws.stack import Stack
from cli.downstream.partner import Fault, FaultKind, Partner
from cli.machine.polling import back_off
from cli.operate import customers, dead_letters, execution
from cli.operate.trace import Visit, trace
from onboarding.adapters.workflow import execution_arn
from tests.customers import a_customer
from tests.deployed.onboardings import PATIENCE_SECONDS, Onboardings

REFUSED = Fault(FaultKind.REFUSE)
# The execution can't end before it is stopped: after a failed try, each hangs.
UNAVAILABLE = Fault(FaultKind.UNAVAILABLE), Fault(FaultKind.HANG, times=1000)
DESCRIBE = "cli.operate.execution.describe"


@pytest.fixture
def undone(onboardings: Onboardings, partners: Mapping[str, Partner]) -> str:
    """A customer that one partner refused, undone in all systems."""
    customer = a_customer()
    partners["crm"].plan(customer["email"], REFUSED)
    customer_id = onboardings.register(customer)
    assert onboardings.await_end(customer_id)["error"] == execution.DOWNSTREAM_FAILED
    return customer_id


@pytest.fixture
def stranded(onboardings: Onboardings, partners: Mapping[str, Partner]) -> dict[str, Any]:
    """A customer whose execution was stopped while one partner was unavailable."""
    customer = a_customer()
    partners["crm"].plan(customer["email"], *UNAVAILABLE)
    customer_id = onboardings.register(customer)
    for _ in back_off(PATIENCE_SECONDS):
        if "PUT hang" in partners["crm"].answers(customer_id) and customer_id in partners["billing"].accounts():
            break
    arn = execution_arn(onboardings.stack.outputs["StateMachineArn"], customer_id)
    onboardings.sfn.stop_execution(executionArn=arn, error="Stopped", cause="by hand")
    partners["crm"].plan(customer["email"])
    return {"customerId": customer_id, **customer}


def run(stack: Stack, *arguments: str) -> None:
    """Run `onboarding` with these arguments on this stack."""
    with patch("cli.__main__.find", return_value=stack):
        onboarding(arguments, standalone_mode=False)


def everything_in(onboardings: Onboardings, logical_id: str) -> str:
    pages = onboardings.stack.session.client("dynamodb").get_paginator("scan")
    return json.dumps([page["Items"] for page in pages.paginate(TableName=onboardings.physical_id(logical_id))])


def errors(visit: Visit) -> list[str]:
    return [it.error for it in visit.tries if it.error]


def test_trace_shows_states_and_nothing_typed(
    stack: Stack,
    onboardings: Onboardings,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    customer = a_customer(firstName="Zephyrine", lastName="Quartermain")
    customer_id = onboardings.register(customer)
    onboarded = onboardings.ended(customer_id)
    onboardings.await_consumers()

    traced = trace(stack, customer_id)
    run(stack, "trace", customer_id)
    monkeypatch.chdir(tmp_path)
    run(stack, "trace", "--html", customer_id)

    assert [visit.state for visit in traced.visits] == [*onboarded.states, "SUCCEEDED"]
    assert (traced.status, traced.outcome, traced.email) == ("SUCCEEDED", "ONBOARDED", "SENT")
    assert [visit.result for visit in traced.visits if "published" in visit.result] == [
        f"published {detail_type}" for detail_type in onboarded.event_types
    ]
    assert all(visit.exited for visit in traced.visits if visit.state not in {"Onboarded", "SUCCEEDED"})
    shown = capsys.readouterr().out
    assert "sent the e-mail" in shown
    assert "published WelcomeEmailSent" in shown
    shown += (tmp_path / f"{customer_id}.html").read_text(encoding="utf-8")
    assert [value for value in customer.values() if value in shown] == []


def test_trace_shows_failed_tries(
    stack: Stack, onboardings: Onboardings, partners: Mapping[str, Partner], stranded: dict[str, Any]
) -> None:
    customer = a_customer()
    partners["crm"].plan(customer["email"], Fault(FaultKind.UNAVAILABLE, times=2))
    waited, rejected = onboardings.register(customer), onboardings.register(a_customer(phone="12"))
    onboardings.await_end(waited)
    onboardings.await_end(rejected)

    (provisioned,) = (it for it in trace(stack, waited).visits if it.state == "ProvisionAccounts")
    assert len(provisioned.tries) == 5
    assert [it.message for it in provisioned.tries if it.error] == ["HTTP 503"] * 2
    refusal = trace(stack, rejected)
    (validated,) = (it for it in refusal.visits if it.state == "ValidateCustomer")
    assert (refusal.outcome, errors(validated)) == ("REJECTED INVALID", ["CustomerInvalid"])
    assert validated.tries[0].message.startswith("phone: Must be ")
    failed = trace(stack, stranded["customerId"])
    *_, last, end = failed.visits
    assert (failed.outcome, last.state, set(errors(last))) == (
        "Stopped",
        "ProvisionAccounts",
        {"DownstreamUnavailable"},
    )
    assert (end.state, end.result.partition(":")[0]) == ("ABORTED", "Stopped")


def test_execution_started_by_hand_is_shown(stack: Stack, onboardings: Onboardings) -> None:
    name, machine = f"by-hand-{uuid4()}", stack.outputs["StateMachineArn"]
    onboardings.sfn.start_execution(stateMachineArn=machine, name=name, input="{}")
    onboardings.await_end(name)

    assert (trace(stack, name).status, trace(stack, name).correlation_id) == ("FAILED", "")
    with pytest.raises(NotPossible, match="not started by a registration: timestamp, customerId"):
        customers.reregister(stack, name)
    with pytest.raises(NotPossible, match="No execution for the customer nobody"):
        trace(stack, "nobody")


def test_redrive_lists_what_failed(
    stack: Stack, stranded: dict[str, Any], undone: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(stack, "redrive", "--dry-run")

    lines = capsys.readouterr().out.splitlines()
    (undone_line,) = (line for line in lines if undone in line)
    (stranded_line,) = (line for line in lines if stranded["customerId"] in line)
    assert "DownstreamFailed" in undone_line
    assert "compensated:" in undone_line
    assert "Stopped" in stranded_line
    assert "aborted by hand" in stranded_line
    assert list(execution.failures(stack, datetime.now(UTC) + timedelta(hours=1))) == []
    unpublished = execution.describe(stack, undone) | {"error": "States.Timeout", "redriveStatus": "REDRIVABLE"}
    assert execution.obstacle(stack, unpublished) == ""


def test_undone_customers_register_again_once(
    stack: Stack, onboardings: Onboardings, undone: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(stack, "reregister", "--all", "--dry-run")
    onboardings.await_left("Registration", 0)
    planned = capsys.readouterr().out
    (new_id,) = (line.split()[-1] for line in planned.splitlines() if undone in line)
    with pytest.raises(execution.NoExecution):
        execution.describe(stack, new_id)

    run(stack, "reregister", "--all")
    run(stack, "reregister", undone)

    assert onboardings.ended(new_id).output["status"] == "ONBOARDED"
    assert capsys.readouterr().out.endswith(f" registered\nregistered as {new_id}\n")


@pytest.mark.parametrize(
    ("error", "outcome"), [("", "Sent"), ("EmailUndeliverable", "Failed"), ("EmailUnconfirmed", "Unconfirmed")]
)
def test_active_account_is_completed(
    error: str, outcome: str, stack: Stack, onboardings: Onboardings, stranded: dict[str, Any]
) -> None:
    customer_id, failed = stranded["customerId"], execution.TaskFailed("SendWelcomeEmail", error, "code")
    with pytest.raises(NotPossible, match="no active account"):
        customers.complete(stack, customer_id)
    stack.session.client("dynamodb").update_item(
        TableName=stack.outputs["CustomersTableName"],
        Key={"pk": {"S": f"CUSTOMER#{customer_id}"}},
        AttributeUpdates={"status": {"Value": {"S": "ACTIVE"}}},
    )

    with patch("cli.operate.execution.call", side_effect=failed) if error else nullcontext():
        run(stack, "complete", customer_id)

    onboardings.await_status(customer_id, "ONBOARDED_WITHOUT_EMAIL" if error else "ONBOARDED")
    published = [name for name, _ in onboardings.events_of(customer_id)]
    assert published[-2:] == ["CustomerAccountCreated", f"WelcomeEmail{outcome}"]
    mails = [mail for mail in onboardings.stack.emulator.mails() if stranded["email"] in mail["To"]]
    assert len(mails) == (not error)
    with patch(DESCRIBE, side_effect=execution.NoExecution("gone")), pytest.raises(NotPossible, match="is onboarded"):
        customers.complete(stack, customer_id)


def test_release_undoes_the_account_everywhere(
    stack: Stack, onboardings: Onboardings, partners: Mapping[str, Partner], stranded: dict[str, Any]
) -> None:
    customer_id = stranded["customerId"]
    assert customer_id in partners["billing"].accounts()
    with pytest.raises(NotPossible, match="release it first"):
        customers.reregister(stack, customer_id)

    done = customers.release(stack, customer_id)

    assert done[-1] == "cancelled the account, and freed the e-mail address"
    assert not any(customer_id in partner.accounts() for partner in partners.values())
    assert all(customer_id in partner.tombstones() for partner in partners.values())
    assert onboardings.onboard(a_customer(email=stranded["email"])).output["status"] == "ONBOARDED"
    assert customers.release(stack, customer_id) == []
    redrivable = execution.describe(stack, customer_id) | {"redriveStatus": "REDRIVABLE"}
    assert execution.obstacle(stack, redrivable) == "released: reregister the customer"


def test_dead_letters_stay_and_are_shown_without_body(
    stack: Stack, onboardings: Onboardings, capsys: pytest.CaptureFixture[str]
) -> None:
    url, sqs = onboardings.physical_id("DetectFraudDeadLetterQueue"), stack.session.client("sqs")
    before = datetime.now(UTC) - timedelta(seconds=1)
    sent = {sqs.send_message(QueueUrl=url, MessageBody="Zephyrine")["MessageId"] for _ in range(12)}

    counted = dict(dead_letters.counts(stack))
    seen = {letter.message_id: letter for letter in dead_letters.peek(stack, "DetectFraud")}
    run(stack, "dead-letters")
    run(stack, "dead-letters", "DetectFraud")

    assert counted.keys() >= {"Registration", "TrackOnboarding", "DetectFraud", "RecordAnalytics"}
    assert counted["DetectFraud"] >= len(sent)
    assert all(seen[message_id].received == 1 and seen[message_id].sent > before for message_id in sent)
    shown = capsys.readouterr().out
    assert all(message_id in shown for message_id in sent)
    assert "Zephyrine" not in shown
    assert onboardings.dead_letters("DetectFraud").count("Zephyrine") == len(sent)


def test_erased_customer_is_nowhere(
    stack: Stack, onboardings: Onboardings, partners: Mapping[str, Partner], capsys: pytest.CaptureFixture[str]
) -> None:
    customer = a_customer(firstName="Zephyrine", phone="+442079460999")
    customer_id = onboardings.register(customer)
    onboardings.await_status(customer_id, "ONBOARDED")
    onboardings.await_end(customer_id)
    onboardings.await_consumers()
    for procedure in (customers.reregister, customers.complete):
        with pytest.raises(NotPossible, match="is onboarded"):
            procedure(stack, customer_id)
    with pytest.raises(NotPossible, match="active account"):
        customers.release(stack, customer_id)

    run(stack, "erase", customer_id)

    assert capsys.readouterr().out.startswith("erased the customer\ndeleted the account in billing\n")
    onboardings.await_consumers()
    assert onboardings.events_of(customer_id)[-1][0] == "CustomerErased"
    assert onboardings.status_of(customer_id).status_code == httpx.codes.NOT_FOUND
    kept = {name: everything_in(onboardings, name) for name in ("CustomersTable", "TimelinesTable", "FraudTable")}
    assert [items.count(customer_id) for items in kept.values()] == [2, 1, 1]  # tombstones
    assert customer["email"] not in kept["CustomersTable"]
    assert not any(customer_id in partner.accounts() for partner in partners.values())
    analytics = everything_in(onboardings, "AnalyticsTable")
    assert customer_id in analytics
    assert [value for value in customer.values() if value in analytics and value != "Lovelace"] == []
    assert onboardings.onboard(customer).output["status"] == "ONBOARDED"
    assert customers.erase(stack, customer_id) == ["billing", "crm", "ledger"]


def test_erased_customer_never_comes_back(
    stack: Stack, onboardings: Onboardings, partners: Mapping[str, Partner], stranded: dict[str, Any]
) -> None:
    customer_id, machine = stranded["customerId"], stack.outputs["StateMachineArn"]
    described = execution.describe(stack, customer_id)

    with patch.object(Stack, "systems", []):  # all were taken out of the configuration
        assert customers.erase(stack, customer_id, force=True) == ["billing", "crm", "ledger"]

    assert not any(customer_id in partner.accounts() for partner in partners.values())
    assert execution.obstacle(stack, described | {"redriveStatus": "REDRIVABLE"}) == "the customer was erased"
    with pytest.raises(NotPossible, match="was erased"):
        customers.reregister(stack, customer_id)
    again = f"redriven-{uuid4()}"  # at its first state
    onboardings.sfn.start_execution(stateMachineArn=machine, name=again, input=described["input"])
    assert json.loads(onboardings.await_end(again)["output"])["status"] == "ERASED"


def test_customer_of_long_ago_is_erased(
    stack: Stack, onboardings: Onboardings, partners: Mapping[str, Partner]
) -> None:
    customer_id = onboardings.register(a_customer())
    onboardings.await_status(customer_id, "ONBOARDED")

    with patch(DESCRIBE, side_effect=execution.NoExecution("forgotten")):
        done = customers.erase(stack, customer_id)
        with pytest.raises(NotPossible, match="forgotten"):
            customers.erase(stack, customer_id)

    assert done == sorted(stack.systems)
    assert not any(customer_id in partner.accounts() for partner in partners.values())


def test_running_or_redrivable_customer_is_left_alone(stack: Stack, stranded: dict[str, Any]) -> None:
    customer_id = stranded["customerId"]
    described = execution.describe(stack, customer_id)
    procedures = (customers.reregister, customers.release, customers.complete, customers.erase)
    for change, refusal in (({"status": "RUNNING"}, "is still running"), ({"redriveStatus": "REDRIVABLE"}, "redriven")):
        with patch(DESCRIBE, return_value=described | change):
            for procedure in procedures:
                with pytest.raises(NotPossible, match=refusal):
                    procedure(stack, customer_id)
