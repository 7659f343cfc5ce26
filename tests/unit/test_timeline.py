"""What the events of an onboarding say together, whichever of them have come, how often, and in what order."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboarding.adapters import timelines
from onboarding.domain.events import (
    CustomerAccountCreated,
    CustomerAccountCreationFailed,
    CustomerRegistered,
    CustomerValidated,
    CustomerValidationFailed,
    Event,
    WelcomeEmailFailed,
    WelcomeEmailSent,
)
from onboarding.domain.status import Entry, Onboarding, onboarding_from
from tests.customers import a_customer
from tests.invocations import an_envelope

CUSTOMER, ACCOUNT = "ada", "account-1"
BEGAN = datetime(2026, 11, 23, 10, 30, tzinfo=UTC)
ERRORS = [{"field": "email", "code": "email_invalid", "message": "Must be an address"}]
NOT_REGISTRABLE = [{"field": "body", "code": "not_registrable", "message": "This customer can't be registered"}]


def heard(event_type: type[Event], second: float, **fields: object) -> Entry:
    """What is kept of an event that occurred so many seconds after the beginning."""
    occurred_at = BEGAN + timedelta(seconds=second)
    event = event_type.of(CUSTOMER, correlation_id="request", occurred_at=occurred_at, **fields)
    entry = timelines.read(json.dumps(an_envelope(event)))
    assert entry
    return entry


def execution(status: str, second: float) -> Entry:
    """What is kept of a change of the execution."""
    changed_at = int((BEGAN + timedelta(seconds=second)).timestamp() * 1000)
    entry = timelines.read(json.dumps(a_change(CUSTOMER, status, changed_at)))
    assert entry
    return entry


def a_change(name: str, status: str, changed_at: int) -> dict[str, Any]:
    return {
        "id": f"{status}-{changed_at}",
        "source": "aws.states",
        "detail-type": "Step Functions Execution Status Change",
        "time": "2026-11-23T10:30:00Z",
        "detail": {"name": name, "status": status, "changedAt": changed_at},
    }


REGISTERED = heard(CustomerRegistered, 1, registered_at=BEGAN, customer_data=a_customer())
VALIDATED = heard(CustomerValidated, 2, status="VALID", customer_data=a_customer())
INVALID = heard(CustomerValidationFailed, 2, status="INVALID", errors=ERRORS, customer_data=a_customer())
CREATED = heard(CustomerAccountCreated, 3, account_id=ACCOUNT, email="ada@example.com", name="Ada Lovelace")
TAKEN = heard(CustomerAccountCreationFailed, 3, reason="EMAIL_TAKEN")
NOT_PROVISIONED = heard(
    CustomerAccountCreationFailed, 3, reason="DOWNSTREAM_FAILED", systems=[{"system": "crm", "status": "REFUSED"}]
)
SENT = heard(WelcomeEmailSent, 4, account_id=ACCOUNT, message_id="message-1")
UNDELIVERABLE = heard(WelcomeEmailFailed, 4, account_id=ACCOUNT, reason="UNDELIVERABLE")
BOUNCED = heard(WelcomeEmailFailed, 90, account_id=ACCOUNT, reason="BOUNCED")
COMPLAINED = heard(WelcomeEmailFailed, 90, account_id=ACCOUNT, reason="COMPLAINED")
CREATED_LATER = heard(CustomerAccountCreated, 60, account_id=ACCOUNT, email="ada@example.com", name="Ada Lovelace")
STOPPED, REDRIVEN, STOPPED_AGAIN = execution("FAILED", 50), execution("RUNNING", 55), execution("FAILED", 70)

# What was heard of an onboarding in the order in which it happened, its status and that of its e-mail.
COURSES: dict[str, tuple[list[Entry], str, str]] = {
    "registered": ([REGISTERED], "REGISTERED", "PENDING"),
    "validated": ([REGISTERED, VALIDATED], "VALIDATED", "PENDING"),
    "with an account": ([REGISTERED, VALIDATED, CREATED], "ACCOUNT_CREATED", "PENDING"),
    "onboarded": ([REGISTERED, VALIDATED, CREATED, SENT], "ONBOARDED", "SENT"),
    "undeliverable": ([REGISTERED, VALIDATED, CREATED, UNDELIVERABLE], "ONBOARDED_WITHOUT_EMAIL", "UNDELIVERABLE"),
    "bounced": ([REGISTERED, VALIDATED, CREATED, SENT, BOUNCED], "ONBOARDED_WITHOUT_EMAIL", "BOUNCED"),
    "complained of": ([REGISTERED, VALIDATED, CREATED, SENT, COMPLAINED], "ONBOARDED", "COMPLAINED"),
    "invalid": ([REGISTERED, INVALID], "REJECTED", "NOT_SENT"),
    "taken": ([REGISTERED, VALIDATED, TAKEN], "REJECTED", "NOT_SENT"),
    "not provisioned": ([REGISTERED, VALIDATED, NOT_PROVISIONED, STOPPED], "FAILED", "NOT_SENT"),
    "failed before anything was published": ([STOPPED], "FAILED", "PENDING"),
    "failed": ([REGISTERED, VALIDATED, STOPPED], "FAILED", "PENDING"),
    "timed out": ([REGISTERED, execution("TIMED_OUT", 50)], "FAILED", "PENDING"),
    "stopped by hand": ([REGISTERED, VALIDATED, CREATED, execution("ABORTED", 50)], "FAILED", "PENDING"),
    "redriven": ([REGISTERED, VALIDATED, STOPPED, REDRIVEN], "VALIDATED", "PENDING"),
    "redriven before anything was published": ([STOPPED, REDRIVEN], "REGISTERED", "PENDING"),
    "redriven, and got on": ([REGISTERED, VALIDATED, STOPPED, CREATED_LATER], "ACCOUNT_CREATED", "PENDING"),
    "redriven, and failed again": ([REGISTERED, VALIDATED, STOPPED, REDRIVEN, STOPPED_AGAIN], "FAILED", "PENDING"),
    "redriven, and onboarded": ([REGISTERED, VALIDATED, CREATED, SENT, STOPPED, REDRIVEN], "ONBOARDED", "SENT"),
    "failed behind its end": ([REGISTERED, VALIDATED, CREATED, SENT, STOPPED], "ONBOARDED", "SENT"),
    "rejected, and failed behind it": ([REGISTERED, INVALID, STOPPED], "REJECTED", "NOT_SENT"),
    "failed, its e-mail sent and bounced": ([REGISTERED, VALIDATED, CREATED, STOPPED, BOUNCED], "FAILED", "BOUNCED"),
    "failed, its e-mail complained of": ([REGISTERED, VALIDATED, STOPPED, COMPLAINED], "FAILED", "COMPLAINED"),
    "bounced and redriven": (
        [REGISTERED, VALIDATED, CREATED, STOPPED, REDRIVEN, BOUNCED],
        "ONBOARDED_WITHOUT_EMAIL",
        "BOUNCED",
    ),
}
# Where earlier events have yet to come, the furthest counts.
GAPS: dict[str, tuple[list[Entry], str, str]] = {
    "validated alone": ([VALIDATED], "VALIDATED", "PENDING"),
    "an account alone": ([CREATED], "ACCOUNT_CREATED", "PENDING"),
    "an e-mail alone": ([SENT], "ONBOARDED", "SENT"),
    "a failed e-mail alone": ([UNDELIVERABLE], "ONBOARDED_WITHOUT_EMAIL", "UNDELIVERABLE"),
    "a bounce alone": ([BOUNCED], "ONBOARDED_WITHOUT_EMAIL", "BOUNCED"),
    "a complaint alone": ([COMPLAINED], "ONBOARDED", "COMPLAINED"),
    "invalid alone": ([INVALID], "REJECTED", "NOT_SENT"),
    "taken alone": ([TAKEN], "REJECTED", "NOT_SENT"),
    "not provisioned alone": ([NOT_PROVISIONED], "FAILED", "NOT_SENT"),
    "redriven alone": ([REDRIVEN], "REGISTERED", "PENDING"),
}


@pytest.fixture(params=COURSES)
def course(request: pytest.FixtureRequest) -> list[Entry]:
    return COURSES[request.param][0]


@pytest.mark.parametrize(("entries", "status", "email"), (COURSES | GAPS).values(), ids=(COURSES | GAPS).keys())
def test_the_status_is_what_the_events_say_together(entries: list[Entry], status: str, email: str) -> None:
    onboarding = onboarding_from(CUSTOMER, entries)

    assert (onboarding.status, onboarding.welcome_email) == (status, email)


def test_the_order_in_which_events_come_changes_nothing(course: list[Entry]) -> None:
    expected = onboarding_from(CUSTOMER, course)

    assert all(onboarding_from(CUSTOMER, order) == expected for order in permutations(course))


def test_the_timeline_is_in_order_of_occurrence_whatever_came_first(course: list[Entry]) -> None:
    steps = onboarding_from(CUSTOMER, reversed(course)).timeline

    assert [step.occurred_at for step in steps] == [entry.occurred_at for entry in course]


@given(st.permutations([entry.model_copy(update={"occurred_at": BEGAN}) for entry in COURSES["bounced"][0]]))
def test_what_occurred_at_the_same_time_stands_in_the_workflow_s_order(entries: list[Entry]) -> None:
    assert [step.type for step in onboarding_from(CUSTOMER, entries).timeline] == [
        "CustomerRegistered",
        "CustomerValidated",
        "CustomerAccountCreated",
        "WelcomeEmailSent",
        "WelcomeEmailFailed",
    ]


def test_the_account_is_told_once_there_is_one() -> None:
    assert onboarding_from(CUSTOMER, [REGISTERED, VALIDATED]).account_id is None
    assert onboarding_from(CUSTOMER, [REGISTERED, VALIDATED, CREATED]).account_id == ACCOUNT


def test_a_customer_who_breaks_a_rule_is_told_all_the_errors() -> None:
    assert onboarding_from(CUSTOMER, [REGISTERED, INVALID]).errors == ERRORS


def test_an_address_that_is_taken_reads_as_not_registrable_and_no_more() -> None:
    document = onboarding_from(CUSTOMER, [REGISTERED, VALIDATED, TAKEN]).model_dump(mode="json", exclude_none=True)

    assert document["errors"] == NOT_REGISTRABLE
    assert document["timeline"][-1] == {"type": "CustomerRejected", "occurred_at": "2026-11-23T10:30:03Z"}
    assert [word for word in ("email_", "taken", "account", "duplicate") if word in json.dumps(document).lower()] == []


def test_every_rejection_reads_alike_in_the_timeline() -> None:
    invalid, taken = (onboarding_from(CUSTOMER, [REGISTERED, entry]).timeline[-1] for entry in (INVALID, TAKEN))

    assert invalid.model_copy(update={"occurred_at": taken.occurred_at}) == taken


def test_why_an_account_or_an_e_mail_failed_is_told_and_not_which_system() -> None:
    failed = onboarding_from(CUSTOMER, [REGISTERED, VALIDATED, NOT_PROVISIONED])
    bounced = onboarding_from(CUSTOMER, [SENT, BOUNCED])

    assert failed.timeline[-1].reason == "DOWNSTREAM_FAILED"
    assert "crm" not in failed.model_dump_json()
    assert [step.reason for step in bounced.timeline] == [None, "BOUNCED"]
    assert failed.errors is bounced.errors is None


@pytest.mark.parametrize(
    ("name", "ended"),
    [("with an account", False), ("redriven", False), ("onboarded", True), ("invalid", True), ("failed", True)],
)
def test_there_is_nothing_to_wait_for_once_an_onboarding_has_ended(name: str, *, ended: bool) -> None:
    assert onboarding_from(CUSTOMER, COURSES[name][0]).has_ended is ended


@pytest.mark.parametrize("entry", [VALIDATED, INVALID, UNDELIVERABLE])
@pytest.mark.parametrize("change", [{"type": "CustomerScreened"}, {"reason": "SANCTIONED"}])
def test_an_entry_of_a_newer_release_is_hidden(entry: Entry, change: dict[str, str]) -> None:
    """That release was rolled back."""
    unknown = entry.model_copy(update=change)

    assert onboarding_from(CUSTOMER, [REGISTERED, unknown]) == onboarding_from(CUSTOMER, [REGISTERED])


def test_an_event_of_a_type_yet_to_come_is_none_that_is_tracked() -> None:
    envelope = a_change(CUSTOMER, "FAILED", 0) | {"source": "custom.customerService", "detail-type": "CustomerMoved"}

    assert timelines.read(json.dumps(envelope)) is None


@pytest.mark.parametrize("entry", [REGISTERED, CREATED, INVALID], ids=["its data", "its name", "its errors"])
def test_nothing_personal_is_kept(entry: Entry) -> None:
    kept = entry.model_dump_json(by_alias=True, exclude_none=True)

    assert json.loads(kept).keys() <= {"customerId", "eventId", "type", "occurredAt", "accountId", "reason", "errors"}
    assert [value for value in ("Ada", "Lovelace", "example.com") if value in kept] == []


def test_the_answer_is_camel_case_and_without_what_there_is_not() -> None:
    onboarding: Onboarding = onboarding_from(CUSTOMER, [REGISTERED])

    assert json.loads(onboarding.model_dump_json(by_alias=True, exclude_none=True)) == {
        "customerId": CUSTOMER,
        "status": "REGISTERED",
        "welcomeEmail": "PENDING",
        "timeline": [{"type": "CustomerRegistered", "occurredAt": "2026-11-23T10:30:01Z"}],
    }
