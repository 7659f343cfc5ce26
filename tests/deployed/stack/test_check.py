"""`onboarding check`: it shows what comes of its customers, and leaves nothing of them."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from unittest.mock import Mock, patch
from uuid import uuid4

import httpx
import pytest

from cli import NotPossible, terminal
from cli.aws.stack import Stack
from cli.downstream.partner import Fault, FaultKind, Partner
from cli.operate import check
from tests.deployed.onboardings import PATIENCE_SECONDS, Onboardings
from tests.deployed.stack.test_operations import REFUSED, everything_in
from tests.deployed.stack.test_operations import run as run_command


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


@pytest.mark.parametrize(("case", "is_right"), [(check.CASES[0], True), (check.CASES[-1], False)])
def test_check_ends_where_a_customer_is_awaited(case: check.Case, *, is_right: bool) -> None:
    customer = check.Customer(case, "run")
    steps = [{"type": it, "occurredAt": "2026-11-23T10:30:42Z"} for it in ("CustomerRegistered", "CustomerValidated")]
    status = {"customerId": customer.customer_id, "status": "AWAITING_CONFIRMATION", "welcomeEmail": "PENDING"}
    answers = iter([httpx.Response(202), httpx.Response(200, json=status | {"timeline": steps})])

    with httpx.Client(transport=httpx.MockTransport(lambda _: next(answers))) as http:
        customer.go_on(http, "http://api")
        customer.go_on(http, "http://api")
    customer.traced = Mock(status="RUNNING")

    assert (customer.is_over, customer.is_as_expected) == (True, is_right)


@pytest.mark.usefixtures("run")
def test_interrupted_check_leaves_nothing(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "FOLLOWED_SECONDS", 0)  # its executions are running, or have not even started

    with patch.object(check, "_show", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        check.check(stack, terminal.console())


def test_customer_not_yet_erased_is_named(
    run: str, stack: Stack, partners: Mapping[str, Partner], monkeypatch: pytest.MonkeyPatch
) -> None:
    deletion_hangs = Fault(FaultKind.HANG, methods=frozenset({"DELETE"}))
    partners["crm"].plan(check.Customer(check.CASES[0], run).customer_id, deletion_hangs)
    monkeypatch.setattr(check, "FOLLOWED_SECONDS", 0)
    monkeypatch.setattr(check, "MOST_SECONDS", 0)

    with pytest.raises(NotPossible, match=r"[0-9a-f-]{36} is not erased: The erasure takes long, and runs on\n"):
        check.check(stack, terminal.console())
