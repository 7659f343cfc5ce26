"""What the events of an onboarding say together, whichever of them have come, how often, and in what order."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import pytest

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
from onboarding.domain.status import Entry, onboarding_from
from tests.invocations import OCCURRED_AT, an_envelope, an_event, an_execution_change

CUSTOMER = "ada"


def entry_of(envelope: dict[str, Any]) -> Entry:
    entry = timelines.read(json.dumps(envelope))
    assert entry
    return entry


def heard(kind: type[Event], after: float, **fields: object) -> Entry:
    """What is kept of an event that occurred so many seconds after the beginning."""
    return entry_of(an_envelope(an_event(kind, CUSTOMER, after, **fields)))


def execution(status: str, after: float) -> Entry:
    """What is kept of a change of the execution."""
    return entry_of(an_execution_change(status, after, CUSTOMER))


REGISTERED, VALIDATED = heard(CustomerRegistered, 1), heard(CustomerValidated, 2)
INVALID = heard(CustomerValidationFailed, 2)
CREATED = heard(CustomerAccountCreated, 3)
TAKEN = heard(CustomerAccountCreationFailed, 3)
NOT_PROVISIONED = heard(
    CustomerAccountCreationFailed, 3, reason="DOWNSTREAM_FAILED", systems=[{"system": "crm", "status": "REFUSED"}]
)
SENT = heard(WelcomeEmailSent, 4)
UNDELIVERABLE = heard(WelcomeEmailFailed, 4)
BOUNCED = heard(WelcomeEmailFailed, 90, reason="BOUNCED")
COMPLAINED = heard(WelcomeEmailFailed, 90, reason="COMPLAINED")
CREATED_LATER = heard(CustomerAccountCreated, 60)
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


@pytest.mark.parametrize(("entries", "status", "email"), (COURSES | GAPS).values(), ids=(COURSES | GAPS).keys())
def test_the_status_is_what_the_events_say_together(entries: list[Entry], status: str, email: str) -> None:
    onboarding = onboarding_from(CUSTOMER, entries)

    assert (onboarding.status, onboarding.welcome_email) == (status, email)
    assert onboarding.has_ended == (status not in {"REGISTERED", "VALIDATED", "ACCOUNT_CREATED"})


@pytest.mark.parametrize("course", [course for course, *_ in COURSES.values()], ids=COURSES.keys())
def test_order_of_arrival_changes_nothing(course: list[Entry]) -> None:
    expected = onboarding_from(CUSTOMER, course)

    assert [step.occurred_at for step in expected.timeline] == [entry.occurred_at for entry in course]
    assert all(onboarding_from(CUSTOMER, order) == expected for order in permutations(course))


def test_steps_of_one_time_stand_in_the_workflow_s_order() -> None:
    course = COURSES["bounced"][0]
    at_once = [entry.model_copy(update={"occurred_at": OCCURRED_AT}) for entry in course]

    for order in permutations(at_once):
        timeline = onboarding_from(CUSTOMER, order).timeline
        assert [step.type for step in timeline] == [entry.type for entry in course]


def test_the_account_is_told_once_there_is_one() -> None:
    assert onboarding_from(CUSTOMER, [REGISTERED, VALIDATED]).account_id is None
    assert onboarding_from(CUSTOMER, [REGISTERED, VALIDATED, CREATED]).account_id == "account-1"


def test_taken_address_reads_as_not_registrable() -> None:
    invalid, taken = (onboarding_from(CUSTOMER, [REGISTERED, VALIDATED, entry]) for entry in (INVALID, TAKEN))
    document = taken.model_dump(mode="json", exclude_none=True)

    assert invalid.errors == INVALID.errors is not None
    assert document["errors"] == [
        {"field": "body", "code": "not_registrable", "message": "This customer can't be registered"}
    ]
    assert [word for word in ("email_", "taken", "account", "duplicate") if word in json.dumps(document).lower()] == []
    assert [it.timeline[-1].type for it in (invalid, taken)] == ["CustomerRejected"] * 2
    assert [it.timeline[-1].reason for it in (invalid, taken)] == [None, None]


def test_why_an_account_or_an_e_mail_failed_is_told_and_not_which_system() -> None:
    failed = onboarding_from(CUSTOMER, [REGISTERED, VALIDATED, NOT_PROVISIONED])
    bounced = onboarding_from(CUSTOMER, [SENT, BOUNCED])

    assert failed.timeline[-1].reason == "DOWNSTREAM_FAILED"
    assert "crm" not in failed.model_dump_json()
    assert [step.reason for step in bounced.timeline] == [None, "BOUNCED"]
    assert failed.errors is bounced.errors is None


@pytest.mark.parametrize("entry", [VALIDATED, INVALID, UNDELIVERABLE])
@pytest.mark.parametrize("change", [{"type": "CustomerScreened"}, {"reason": "SANCTIONED"}])
def test_an_entry_of_a_newer_release_is_hidden(entry: Entry, change: dict[str, str]) -> None:
    """That release was rolled back."""
    unknown = entry.model_copy(update=change)

    assert onboarding_from(CUSTOMER, [REGISTERED, unknown]) == onboarding_from(CUSTOMER, [REGISTERED])
