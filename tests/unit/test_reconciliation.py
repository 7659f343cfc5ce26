"""GET …/onboarding finds a change of the execution that Step Functions didn't announce."""

import json
from contextlib import AbstractContextManager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.stub import Stubber

from onboarding.adapters import reconciliation, timelines
from onboarding.adapters.workflow import execution_arn
from onboarding.domain.events import CustomerRegistered
from onboarding.domain.status import Entry
from tests.in_process.template import arn_of
from tests.invocations import OCCURRED_AT, a_batch, a_status_request, an_envelope, an_event, an_execution_change
from tests.unit.deployment import Functions
from tests.unit.faults import OUT_OF_REACH, during, failing, refusing
from tests.unit.runtime import Runtime
from tests.unit.table import Table

CHANGED_AT = OCCURRED_AT + timedelta(seconds=18)
FAILED: dict[str, Any] = {"status": "FAILED", "stopDate": CHANGED_AT}
REDRIVEN: dict[str, Any] = {"status": "RUNNING", "redriveDate": CHANGED_AT}


def succeeded(status: str, reason: str = "") -> dict[str, Any]:
    output = json.dumps({"status": status, "reason": reason})
    return {"status": "SUCCEEDED", "stopDate": CHANGED_AT, "output": output}


# What Step Functions says of an execution without news for days, the status, and the type of the step that is added.
FOUND: list[tuple[dict[str, Any], str, str | None]] = [
    (FAILED, "FAILED", "ExecutionFailed"),
    (FAILED | {"status": "TIMED_OUT"}, "FAILED", "ExecutionTimedOut"),
    (FAILED | {"status": "ABORTED"}, "FAILED", "ExecutionAborted"),
    ({"status": "RUNNING"}, "REGISTERED", None),
    (REDRIVEN, "REGISTERED", "ExecutionRedriven"),
    (succeeded("ONBOARDED"), "ONBOARDED", "ExecutionSucceeded"),
    (succeeded("ONBOARDED_WITHOUT_EMAIL", "UNDELIVERABLE"), "ONBOARDED_WITHOUT_EMAIL", "ExecutionSucceeded"),
    (succeeded("ONBOARDED_WITHOUT_EMAIL", "UNKNOWN"), "ONBOARDED_WITHOUT_EMAIL", "ExecutionSucceeded"),
    (succeeded("REJECTED", "EMAIL_TAKEN"), "REJECTED", "ExecutionSucceeded"),
]


class Customer:
    """The customer `ada`, who was registered days ago, and others."""

    def __init__(self, functions: Functions, runtime: Runtime, table: Table) -> None:
        self._runtime = runtime
        self.table = table
        self.dynamodb, self.sfn = functions["get_onboarding"].best_effort_dynamodb, functions["get_onboarding"].sfn
        self.track(an_envelope(an_event(CustomerRegistered)))

    def track(self, envelope: dict[str, Any]) -> None:
        self._runtime.invoke("track_onboarding", a_batch(envelope))

    def get(self, customer_id: str = "ada") -> dict[str, Any]:
        return dict(self._runtime.invoke("get_onboarding", a_status_request(customer_id)))

    def described(self, execution: dict[str, Any], *customer_ids: str) -> AbstractContextManager[Any]:
        """Step Functions may be asked about each of these once, and says this."""
        machine, stubber = arn_of("CustomerOnboardingStateMachine"), Stubber(self.sfn)
        for customer_id in customer_ids or ("ada",):
            arn = execution_arn(machine, customer_id)
            answer = {"executionArn": arn, "stateMachineArn": machine, "startDate": OCCURRED_AT, **execution}
            stubber.add_response("describe_execution", answer, {"executionArn": arn})
        return stubber


@pytest.fixture
def customer(functions: Functions, runtime: Runtime, timelines_table: Table) -> Customer:
    return Customer(functions, runtime, timelines_table)


@pytest.mark.parametrize(("execution", "status", "step"), FOUND, ids=repr)
def test_unannounced_change_is_found_and_kept(
    execution: dict[str, Any], status: str, step: str | None, customer: Customer
) -> None:
    with customer.described(execution):
        answers = customer.get(), customer.get()  # the second one is too soon to ask again

    assert answers[0] == answers[1]
    onboarding = json.loads(answers[0]["body"])
    assert onboarding["status"] == status
    assert "TAKEN" not in answers[0]["body"]
    assert [it["type"] for it in onboarding["timeline"]] == ["CustomerRegistered", *([step] if step else [])]
    assert ("Retry-After" in answers[0]["headers"]) == (status == "REGISTERED")


@pytest.mark.parametrize("event_id", ["", "of the envelope, as release 1.0 kept it"])
def test_found_and_announced_change_counts_once(event_id: str, customer: Customer) -> None:
    table = {"dynamodb": customer.dynamodb, "table_name": customer.table.name}
    if event_id:
        timelines.keep(Entry.of_change("ada", "FAILED", CHANGED_AT).model_copy(update={"event_id": event_id}), **table)
    with customer.described(FAILED):
        found = customer.get()
    if not event_id:
        customer.track(an_execution_change("FAILED", 18))

    assert customer.get()["body"] == found["body"]
    assert found["body"].count("ExecutionFailed") == 1
    assert len(timelines.entries_of("ada", **table)) == 3  # the poll too


def test_unannounced_redrive_ends_the_failure(customer: Customer) -> None:
    customer.track(an_execution_change("FAILED", 17))

    with customer.described(REDRIVEN):
        assert json.loads(customer.get()["body"])["status"] == "REGISTERED"


def test_polls_of_all_customers_keep_a_pace(customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    customer.track(an_envelope(an_event(CustomerRegistered, "grace")))
    with customer.described(FAILED, "grace", "ada"):
        for seconds, asked, status in ((0, "grace", "FAILED"), (0.1, "ada", "REGISTERED"), (0.21, "ada", "FAILED")):
            now = OCCURRED_AT + timedelta(days=1, seconds=seconds)
            monkeypatch.setattr(reconciliation, "datetime", SimpleNamespace(now=lambda _, now=now: now))
            assert json.loads(customer.get(asked)["body"])["status"] == status


def test_failure_before_the_first_event_is_found(customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciliation, "datetime", SimpleNamespace(now=lambda _: CHANGED_AT))

    with customer.described(FAILED, "grace"):
        answers = customer.get("grace"), customer.get("grace")

    assert [it["statusCode"] for it in answers] == [200, 200]
    assert [step["type"] for step in json.loads(answers[1]["body"])["timeline"]] == ["ExecutionFailed"]


def test_success_is_left_to_its_own_events(customer: Customer) -> None:
    with customer.described(succeeded("ONBOARDED"), "grace"):
        assert customer.get("grace")["statusCode"] == 404

    assert timelines.entries_of("grace", dynamodb=customer.dynamodb, table_name=customer.table.name) == []


def test_polls_of_unknown_ids_keep_their_own_pace(customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    with customer.described(FAILED, "grace", "ada", "alan"):
        for seconds, asked, status in (
            (0, "grace", "FAILED"),
            (0, "ada", "FAILED"),
            (0.9, "alan", 404),
            (1.1, "alan", "FAILED"),
        ):
            now = OCCURRED_AT + timedelta(days=1, seconds=seconds)
            monkeypatch.setattr(reconciliation, "datetime", SimpleNamespace(now=lambda _, now=now: now))
            assert json.loads(customer.get(asked)["body"])["status"] == status


def test_poll_of_an_erased_customer_shows_nothing(customer: Customer) -> None:
    timelines.erase("grace", dynamodb=customer.dynamodb, table_name=customer.table.name)

    with customer.described(FAILED, "grace"):
        assert customer.get("grace")["statusCode"] == 404


@pytest.mark.parametrize(
    ("code", "level"), [("ThrottlingException", "INFO"), ("", "INFO"), ("AccessDeniedException", "ERROR")]
)
def test_failed_look_leaves_what_is_known(code: str, level: str, customer: Customer, runtime: Runtime) -> None:
    failed = failing(customer.sfn, "DescribeExecution", OUT_OF_REACH[3])
    with refusing(customer.sfn, "describe_execution", code) if code else failed:
        answers = customer.get(), customer.get()

    assert [json.loads(it["body"])["status"] for it in answers] == ["REGISTERED"] * 2
    assert [line["level"] for line in runtime.log if line["message"].startswith("Failed")] == [level]


def test_look_alone_is_no_onboarding(customer: Customer) -> None:
    with (
        customer.described({"status": "RUNNING"}),
        during(customer.dynamodb, "PutItem", customer.table.forget),
    ):
        customer.get()

    assert customer.get()["statusCode"] == 404
