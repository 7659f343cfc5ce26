"""`onboarding check`: it shows what comes of its customers, and leaves nothing of them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from unittest.mock import Mock, patch
from uuid import uuid4

import httpx
import pytest

from cli import NotPossible, terminal
from cli.aws.stack import Stack
from cli.downstream.partner import Fault, FaultKind, Partner
from cli.operate import check, customers, execution, trace
from tests.deployed.onboardings import PATIENCE_SECONDS, Onboardings
from tests.deployed.stack.test_operations import REFUSED, everything_in
from tests.deployed.stack.test_operations import run as run_command
from tests.unit.faults import DENIED


@pytest.fixture
def run(onboardings: Onboardings, partners: Mapping[str, Partner], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """What tells the addresses of a check apart. Afterwards its customers are gone, and count for nothing."""
    monkeypatch.setattr(check, "FOLLOWED_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(check, "MOST_SECONDS", 2 * PATIENCE_SECONDS)
    monkeypatch.setattr(check, "PAUSE_SECONDS", 0.1)
    onboardings.await_rest()
    today, run = datetime.now(UTC).date(), uuid4().hex
    of_today = f"/api/analytics/onboarding?from={today}&to={today}"
    analytics = onboardings.request("GET", of_today).json()

    with patch("cli.operate.check.token_hex", return_value=run):
        yield run

    customer_ids = [check.Customer(case, run).customer_id for case in check.CASES]
    for customer_id in customer_ids:
        onboardings.await_end(customer_id)
        onboardings.await_end(customer_id, onboardings.stack.outputs["ErasureStateMachineArn"])
    onboardings.await_consumers()
    assert onboardings.request("GET", of_today).json() == analytics
    for table in ("CustomersTable", "TimelinesTable", "FraudTable", "AnalyticsTable", "IdempotencyTable"):
        assert run not in everything_in(onboardings, table)
    for customer_id in customer_ids:
        assert onboardings.status_of(customer_id).status_code == 404
        assert not any(customer_id in partner.accounts() for partner in partners.values())


@pytest.fixture
def asking(onboardings: Onboardings) -> Iterator[None]:
    """The stack has customers confirm their addresses."""
    machine = onboardings.stack.outputs["StateMachineArn"]
    definition = onboardings.sfn.describe_state_machine(stateMachineArn=machine)["definition"]
    required = json.loads(definition)
    required["States"]["CreateAccount"]["Arguments"]["Payload"]["emailConfirmation"] = "required"
    onboardings.sfn.update_state_machine(stateMachineArn=machine, definition=json.dumps(required))
    yield
    onboardings.sfn.update_state_machine(stateMachineArn=machine, definition=definition)


@pytest.mark.usefixtures("run")
def test_check_finds_nothing_wrong(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    run_command(stack, "check")

    lines = capsys.readouterr().out.splitlines()
    for case in check.CASES:
        (line,) = (line for line in lines if line.startswith(f"✓ {case.name} "))
        assert line.count(case.expected) == 2
        assert line.rstrip().endswith(f"SUCCEEDED, {len(case.steps)} events")


def test_check_shows_what_went_wrong(
    run: str, stack: Stack, partners: Mapping[str, Partner], capsys: pytest.CaptureFixture[str]
) -> None:
    partners["crm"].plan(f"complaint+{run}-complaint@simulator.amazonses.com", REFUSED)

    with pytest.raises(SystemExit, match="1"):
        run_command(stack, "check")

    shown = capsys.readouterr().out
    assert shown.count("✓ ") == 3
    # Its events say NOT_SENT; only that it failed, if Step Functions' own event comes first.
    assert "✗ complaint  ONBOARDED, COMPLAINED             FAILED, " in shown
    assert "DownstreamRefused" in shown


@pytest.mark.usefixtures("asking")
def test_check_ends_at_the_confirmation(
    run: str, stack: Stack, onboardings: Onboardings, capsys: pytest.CaptureFixture[str]
) -> None:
    run_command(stack, "check")

    shown = capsys.readouterr().out
    assert shown.count("AWAITING_CONFIRMATION ") == 6  # expected and actual, three times
    assert shown.count(" RUNNING, 2 events") == 3
    assert "AWAITING_CONFIRMATION: the check ends there" in shown
    for case in check.CASES[:-1]:  # no failure, and none that was stopped: each would raise an alarm
        ended = onboardings.await_end(check.Customer(case, run).customer_id)
        assert (ended["status"], json.loads(ended["output"])["status"]) == ("SUCCEEDED", "ERASED")


@pytest.mark.parametrize(("case", "is_right"), [(check.CASES[0], True), (check.CASES[-1], False)])
def test_check_ends_where_a_customer_is_awaited(case: check.Case, *, is_right: bool) -> None:
    customer = check.Customer(case, "run")
    steps = [{"type": it, "occurredAt": "2026-11-23T10:30:42Z"} for it in ("CustomerRegistered", "CustomerValidated")]
    status = {"customerId": customer.customer_id, "status": "AWAITING_CONFIRMATION", "welcomeEmail": "PENDING"}
    read = (httpx.Response(200, json=status | {"timeline": timeline}) for timeline in (steps[1:], steps))
    answers = iter([httpx.Response(202), *read])

    with httpx.Client(transport=httpx.MockTransport(lambda _: next(answers))) as http:
        for _ in range(2):
            customer.go_on(http, "http://api")
        assert not customer.is_over  # an event is still missing
        customer.go_on(http, "http://api")
    customer.execution = "RUNNING"

    assert (customer.is_over, customer.is_as_expected) == (True, is_right)


@pytest.mark.usefixtures("run")
def test_interrupted_check_leaves_nothing(stack: Stack) -> None:
    def register(checked: Sequence[check.Customer], *to: Any) -> None:
        for customer in checked:
            customer.go_on(*to[:2])
        raise KeyboardInterrupt  # the executions are running, or have not even started

    with patch.object(check, "follow", register), pytest.raises(KeyboardInterrupt):
        check.check(stack, terminal.console())


def test_interrupted_check_ends_executions_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    stack = Mock(api_url="https://api.example.com", resources=Mock(return_value=[]))
    stack.name, stack.session.profile_name = "theirs", "operator"
    erasures = [execution.StillRunning("It runs"), NotPossible("The erasure failed")]

    def register(checked: Sequence[check.Customer], *_: Any) -> None:
        checked[0].may_exist = True
        raise KeyboardInterrupt

    with (
        patch.object(check, "follow", register),
        patch.object(customers, "erase", side_effect=erasures),
        patch.object(execution, "stop") as stopped,
        patch.object(check, "PAUSE_SECONDS", 0),
        pytest.raises(NotPossible) as left,
    ):
        check.check(stack, terminal.console())

    (_, customer_id, _), _ = stopped.call_args
    command = f"AWS_PROFILE=operator .venv/bin/onboarding erase {customer_id} --stack theirs --force"
    assert str(left.value) == f"{customer_id} is not erased: The erasure failed\nRun:\n{command}"
    assert f"Erasing 1 customers; if you end that too, run:\n{command}\n" in capsys.readouterr().out


def test_customer_not_yet_erased_is_named(
    run: str,
    stack: Stack,
    partners: Mapping[str, Partner],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    deletion_hangs = Fault(FaultKind.HANG, methods=frozenset({"DELETE"}))
    partners["crm"].plan(check.Customer(check.CASES[0], run).customer_id, deletion_hangs)
    monkeypatch.setattr(check, "FOLLOWED_SECONDS", 0)
    monkeypatch.setattr(check, "MOST_SECONDS", 0)

    with (
        patch.object(trace, "trace", side_effect=DENIED),
        pytest.raises(
            NotPossible, match=r"[0-9a-f-]{36} is not erased: The erasure takes long, and runs on\n(.+\n)*Run:\n"
        ),
    ):
        check.check(stack, terminal.console())

    assert "✗ success " in capsys.readouterr().out  # although the traces are denied
