"""The procedures of docs/runbook.md, on the deployed stack."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from unittest.mock import patch

import pytest
from botocore.stub import Stubber
from rich.console import Console

from cli import NotPossible
from cli import __main__ as command_line
from cli.aws.stack import Stack
from cli.downstream.partner import Fault, FaultKind, Partner
from cli.machine.deploy import STACK_NAME
from cli.operate import customers, dead_letters, execution
from cli.operate.redrive import failures, redrive
from cli.operate.trace import Trace, table, trace
from tests.customers import a_customer, an_address
from tests.deployed.onboardings import Onboardings

REFUSED = Fault(FaultKind.REFUSE)
NOT_DELETED = Fault(FaultKind.REFUSE, methods=frozenset({"DELETE"}))


@pytest.fixture
def operated(onboardings: Onboardings) -> Stack:
    return onboardings.stack


@pytest.fixture
def stranded(onboardings: Onboardings, partners: Mapping[str, Partner]) -> dict[str, Any]:
    """A customer, registered under `customerId`, whose account one partner refused and another would not delete."""
    customer = a_customer()
    partners["crm"].plan(customer["email"], REFUSED)
    partners["billing"].plan(customer["email"], NOT_DELETED)
    customer_id = onboardings.register(customer)
    assert onboardings.await_end(customer_id)["error"] == "DownstreamRefused"
    return {"customerId": customer_id, **customer}


class TestATrace:
    def test_tells_each_state_what_was_published_and_the_e_mail(
        self, operated: Stack, onboardings: Onboardings
    ) -> None:
        customer = a_customer()
        customer_id = onboardings.register(customer)
        onboarding = onboardings.ended(customer_id)

        traced = trace(operated, customer_id)

        assert states(traced) == [*onboarding.states, "SUCCEEDED"]
        assert (traced.status, traced.outcome) == ("SUCCEEDED", "ONBOARDED")
        assert [visit.result for visit in traced.visits if "publish" in visit.result] == [
            f"published {detail_type}" for detail_type in onboarding.event_types
        ]
        (mail,) = (visit.result for visit in traced.visits if visit.state == "SendWelcomeEmail")
        assert mail.startswith("sent the e-mail ")
        assert all(visit.exited for visit in traced.visits if visit.state not in {"Onboarded", "SUCCEEDED"})

    def test_shows_nothing_that_the_customer_typed(self, operated: Stack, onboardings: Onboardings) -> None:
        customer = a_customer(firstName="Zephyrine", lastName="Quartermain")
        customer_id = onboardings.register(customer)
        onboardings.ended(customer_id)

        shown = printed(table(trace(operated, customer_id)))

        assert "published WelcomeEmailSent" in shown
        assert [value for value in customer.values() if value in shown] == []

    def test_tells_the_tries_that_failed(
        self, operated: Stack, onboardings: Onboardings, partners: Mapping[str, Partner]
    ) -> None:
        customer = a_customer()
        partners["crm"].plan(customer["email"], Fault(FaultKind.UNAVAILABLE, times=2))
        customer_id = onboardings.register(customer)
        onboardings.ended(customer_id)

        (visit,) = (it for it in trace(operated, customer_id).visits if it.state == "ProvisionAccounts")

        assert len(visit.tries) == 5
        assert [(it.error, it.message) for it in visit.tries if it.error] == [("DownstreamUnavailable", "HTTP 503")] * 2

    def test_tells_what_an_execution_failed_with(self, operated: Stack, stranded: dict[str, Any]) -> None:
        traced = trace(operated, stranded["customerId"])

        assert (traced.status, traced.outcome) == ("FAILED", "DownstreamRefused")
        *_, last, end = traced.visits
        assert (last.state, last.exited) == ("DeprovisionAccounts", None)
        assert [it.error for it in last.tries if it.error] == ["DownstreamRefused"]
        assert (end.state, end.result.partition(":")[0]) == ("FAILED", "DownstreamRefused")

    def test_tells_why_a_customer_was_rejected_without_what_was_typed(
        self, operated: Stack, onboardings: Onboardings
    ) -> None:
        customer_id = onboardings.register(a_customer(phone="12"))
        onboardings.ended(customer_id)

        traced = trace(operated, customer_id)

        assert traced.outcome == "REJECTED INVALID"
        (refused,) = (visit for visit in traced.visits if visit.state == "ValidateCustomer")
        (attempt,) = refused.tries
        assert attempt.error == "CustomerInvalid"
        assert [error["field"] for error in json.loads(attempt.message)] == ["phone"]

    def test_shows_an_execution_that_someone_started_by_hand(self, operated: Stack, onboardings: Onboardings) -> None:
        name = f"by-hand-{an_address().partition('@')[0][4:]}"
        onboardings.sfn.start_execution(
            stateMachineArn=onboardings.stack.outputs["StateMachineArn"], name=name, input="{}"
        )
        onboardings.await_end(name)

        assert (trace(operated, name).status, trace(operated, name).correlation_id) == ("FAILED", "")
        with pytest.raises(NotPossible, match="not started by a registration: timestamp, customerId"):
            customers.reregister(operated, name)

    def test_of_nobody_says_so(self, operated: Stack) -> None:
        with pytest.raises(NotPossible, match="no execution of the customer nobody"):
            trace(operated, "nobody")


class TestRedrive:
    def test_finds_what_failed_and_says_why_it_leaves_one_alone(
        self, operated: Stack, onboardings: Onboardings, partners: Mapping[str, Partner], stranded: dict[str, Any]
    ) -> None:
        undone = a_customer()
        partners["crm"].plan(undone["email"], REFUSED)
        undone_id = onboardings.register(undone)
        onboardings.await_end(undone_id)

        found = {failure.customer_id: failure for failure in failures(operated)}

        assert found[undone_id].obstacle == "its account was undone: reregister it"
        # The emulator doesn't tell whether an execution can be redriven.
        assert found[stranded["customerId"]].obstacle == "Step Functions doesn't say that it can"
        assert list(failures(operated, since=datetime.now(UTC) + timedelta(hours=1))) == []

    def test_takes_one_up_by_the_api_that_the_emulator_lacks(
        self, operated: Stack, onboardings: Onboardings, stranded: dict[str, Any]
    ) -> None:
        (failure,) = (it for it in failures(operated) if it.customer_id == stranded["customerId"])

        with stubbed(onboardings, "stepfunctions") as stubber:
            stubber.add_response("redrive_execution", {"redriveDate": datetime.now(UTC)}, {"executionArn": failure.arn})
            assert redrive(operated, failure) == failure

            stubber.assert_no_pending_responses()

    def test_goes_on_behind_one_that_another_was_faster_to_take_up(
        self, operated: Stack, onboardings: Onboardings, stranded: dict[str, Any]
    ) -> None:
        (failure,) = (it for it in failures(operated) if it.customer_id == stranded["customerId"])

        with stubbed(onboardings, "stepfunctions") as stubber:
            stubber.add_client_error("redrive_execution", "ExecutionNotRedrivable", "It is running")

            assert redrive(operated, failure).obstacle == "It is running"

    def test_shows_what_would_be_done(
        self, operated: Stack, stranded: dict[str, Any], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(operated, "redrive", "--dry-run") == 0

        (line,) = (line for line in capsys.readouterr().out.splitlines() if stranded["customerId"] in line)
        assert "FAILED" in line
        assert "DownstreamRefused" in line


class TestToRegisterAnew:
    def test_onboards_who_was_undone_as_another_customer_once(
        self, operated: Stack, onboardings: Onboardings, partners: Mapping[str, Partner]
    ) -> None:
        customer = a_customer()
        partners["crm"].plan(customer["email"], REFUSED)
        customer_id = onboardings.register(customer)
        onboardings.await_end(customer_id)

        new_id = customers.reregister(operated, customer_id)

        assert onboardings.ended(new_id).output["status"] == "ONBOARDED"
        assert new_id != customer_id
        assert customers.reregister(operated, customer_id) == new_id

    def test_is_refused_for_who_is_onboarded(self, operated: Stack, onboardings: Onboardings) -> None:
        customer_id = onboardings.register(a_customer())
        onboardings.ended(customer_id)

        with pytest.raises(NotPossible, match="is onboarded"):
            customers.reregister(operated, customer_id)

    def test_is_refused_where_an_account_is_held(self, operated: Stack, stranded: dict[str, Any]) -> None:
        with pytest.raises(NotPossible, match="release it first"):
            customers.reregister(operated, stranded["customerId"])


class TestToRelease:
    def test_undoes_the_account_everywhere_and_frees_the_address(
        self, operated: Stack, onboardings: Onboardings, partners: Mapping[str, Partner], stranded: dict[str, Any]
    ) -> None:
        assert stranded["customerId"] in partners["billing"].accounts()

        done = customers.release(operated, stranded["customerId"])

        assert done[-1] == "cancelled the account, and freed the e-mail address"
        assert not any(stranded["customerId"] in partner.accounts() for partner in partners.values())
        assert all(stranded["customerId"] in partner.tombstones() for partner in partners.values())
        assert onboardings.onboard(a_customer(email=stranded["email"])).output["status"] == "ONBOARDED"
        assert customers.release(operated, stranded["customerId"]) == []

    def test_is_refused_for_an_active_account(self, operated: Stack, onboardings: Onboardings) -> None:
        customer_id = onboardings.register(a_customer())
        onboardings.ended(customer_id)

        with pytest.raises(NotPossible, match="active account"):
            customers.release(operated, customer_id)


class TestDeadLetters:
    def test_are_counted_for_each_queue(self, operated: Stack, onboardings: Onboardings) -> None:
        sqs = onboardings.stack.session.client("sqs")
        sqs.send_message(QueueUrl=onboardings.physical_id("DetectFraudDeadLetterQueue"), MessageBody="{}")

        counted = dict(dead_letters.counts(operated))

        assert counted.keys() >= {"Registration", "TrackOnboarding", "DetectFraud", "RecordAnalytics"}
        assert counted["DetectFraud"] >= 1
        onboardings.dead_letters("DetectFraud")

    def test_are_shown_without_their_bodies_and_stay(
        self, operated: Stack, onboardings: Onboardings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        url = onboardings.physical_id("DetectFraudDeadLetterQueue")
        sqs = onboardings.stack.session.client("sqs")
        before = datetime.now(UTC) - timedelta(seconds=1)
        sent = {sqs.send_message(QueueUrl=url, MessageBody="Zephyrine")["MessageId"] for _ in range(12)}

        seen = {letter.message_id: letter for letter in dead_letters.look(operated, "DetectFraud")}
        assert run(operated, "dead-letters", "DetectFraud") == 0

        shown = capsys.readouterr().out
        assert all(seen[message_id].received == 1 and seen[message_id].sent > before for message_id in sent)
        assert all(message_id in shown for message_id in sent)
        assert "Zephyrine" not in shown
        assert onboardings.dead_letters("DetectFraud").count("Zephyrine") == len(sent)

    def test_are_moved_back_by_the_api_that_the_emulator_lacks(self, operated: Stack, onboardings: Onboardings) -> None:
        urls = [onboardings.physical_id(name) for name in ("RegistrationDeadLetterQueue", "RegistrationQueue")]
        arns = ["arn:aws:sqs:us-east-1:000000000000:dead", "arn:aws:sqs:us-east-1:000000000000:queue"]

        with stubbed(onboardings, "sqs") as stubber:
            for url, arn in zip(urls, arns, strict=True):
                asked = {"QueueUrl": url, "AttributeNames": ["QueueArn"]}
                stubber.add_response("get_queue_attributes", {"Attributes": {"QueueArn": arn}}, asked)
            move = {"SourceArn": arns[0], "DestinationArn": arns[1]}
            stubber.add_response("start_message_move_task", {"TaskHandle": "handle"}, move)

            assert dead_letters.move_back(operated, "Registration") == "handle"
            stubber.assert_no_pending_responses()

    def test_of_no_queue_are_none(self, operated: Stack) -> None:
        with pytest.raises(NotPossible, match=r"no dead-letter queue of Nothing, but of: .*Registration"):
            dead_letters.move_back(operated, "Nothing")

    def test_are_not_moved_unless_it_is_said_which(self, operated: Stack, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(operated, "dead-letters", "--move") == 1

        assert "Say which queue" in capsys.readouterr().err


def test_whoever_is_erased_is_nowhere_any_more(
    operated: Stack, onboardings: Onboardings, partners: Mapping[str, Partner]
) -> None:
    customer = a_customer(phone="+442079460999")
    customer_id = onboardings.register(customer)
    onboardings.await_status(customer_id, "ONBOARDED")
    onboardings.await_consumers()

    done = customers.erase(operated, customer_id)

    assert "erased the customer and the e-mail address: 2 items" in done
    tables = ("CustomersTable", "TimelinesTable", "FraudTable")
    assert [name for name in tables if customer_id in everything_in(onboardings, name)] == []
    assert customer["email"] not in everything_in(onboardings, "CustomersTable")
    assert not any(customer_id in partner.accounts() for partner in partners.values())
    assert onboardings.onboard(customer).output["status"] == "ONBOARDED"
    assert "erased the customer and the e-mail address: 0 items" in customers.erase(operated, customer_id)


def test_whoever_was_onboarded_long_ago_is_erased_too(
    operated: Stack, onboardings: Onboardings, partners: Mapping[str, Partner]
) -> None:
    customer_id = onboardings.register(a_customer())
    onboardings.await_status(customer_id, "ONBOARDED")

    with patch("cli.operate.execution.describe", side_effect=execution.NoExecution("forgotten")):
        done = customers.erase(operated, customer_id)
        with pytest.raises(NotPossible, match="forgotten"):
            customers.erase(operated, customer_id)

    assert "erased the customer and the e-mail address: 2 items" in done
    assert not any(customer_id in partner.accounts() for partner in partners.values())


def test_whoever_would_come_back_by_a_redrive_is_not_erased(
    operated: Stack, onboardings: Onboardings, stranded: dict[str, Any], partners: Mapping[str, Partner]
) -> None:
    described = execution.describe(operated, stranded["customerId"])

    with patch("cli.operate.execution.describe", return_value=described | {"redriveStatus": "REDRIVABLE"}):
        for procedure in (customers.reregister, customers.release, customers.erase):
            with pytest.raises(NotPossible, match="can be taken up where it failed"):
                procedure(operated, stranded["customerId"])
        done = customers.erase(operated, stranded["customerId"], force=True)

    assert "erased the customer and the e-mail address: 2 items" in done
    assert not any(stranded["customerId"] in partner.accounts() for partner in partners.values())


def test_facts_of_analytics_have_nothing_that_a_person_typed(onboardings: Onboardings) -> None:
    customer = a_customer(firstName="Zephyrine", phone="+442079460998")
    customer_id = onboardings.register(customer)
    onboardings.await_status(customer_id, "ONBOARDED")
    onboardings.await_consumers()

    kept = everything_in(onboardings, "AnalyticsTable")

    assert customer_id in kept
    assert [value for value in customer.values() if value in kept] == []


def test_a_credential_that_is_rotated_is_taken_up(onboardings: Onboardings, partners: Mapping[str, Partner]) -> None:
    crm = partners["crm"]
    crm.authentication.rotate()

    onboardings.stack.session.client("secretsmanager").put_secret_value(
        SecretId=f"/{STACK_NAME}/downstream/crm", SecretString=json.dumps(crm.authentication.credentials())
    )

    customer_id = onboardings.register(a_customer())
    assert onboardings.ended(customer_id).output["status"] == "ONBOARDED"
    assert customer_id in crm.accounts()


def test_whoever_is_running_is_left_alone(operated: Stack, onboardings: Onboardings) -> None:
    customer_id = f"running-{an_address().partition('@')[0][4:]}"
    running = {"status": "RUNNING", "executionArn": "arn", "startDate": datetime.now(UTC)}

    with patch("cli.operate.execution.describe", return_value=running):
        for procedure in (customers.reregister, customers.release, customers.erase):
            with pytest.raises(NotPossible, match="is running"):
                procedure(operated, customer_id)


def run(stack: Stack, *arguments: str) -> int:
    """Run `onboarding` with these arguments on this stack; return the exit status."""
    with patch.object(command_line, "find", return_value=stack), pytest.raises(SystemExit) as ended:
        command_line.commands(arguments)
    return int(str(ended.value.code))


def states(traced: Trace) -> list[str]:
    return [visit.state for visit in traced.visits]


def printed(renderable: Any) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(renderable)
    return cast("io.StringIO", console.file).getvalue()


def everything_in(onboardings: Onboardings, logical_id: str) -> str:
    pages = onboardings.stack.session.client("dynamodb").get_paginator("scan")
    return json.dumps([page["Items"] for page in pages.paginate(TableName=onboardings.physical_id(logical_id))])


@contextmanager
def stubbed(onboardings: Onboardings, service: Any) -> Iterator[Stubber]:
    """Each client of this service that is made meanwhile answers from AWS's model of the API."""
    session = onboardings.stack.session
    client, make = session.client(service), type(session).client
    with Stubber(client) as stubber:

        def stub(self: Any, name: Any, **options: Any) -> Any:
            return client if name == service else make(self, name, **options)

        with patch.object(type(session), "client", stub):
            yield stubber
