"""The status and the timeline that events make, in any order and with gaps."""

import json
from datetime import timedelta
from itertools import pairwise, permutations
from typing import Any

import pytest

from onboarding.adapters import timelines
from onboarding.domain import events
from onboarding.domain.status import Entry, next_poll, onboarding_from
from tests.invocations import OCCURRED_AT, an_envelope, an_event, an_execution_change

CUSTOMER = "ada"


def entry_of(envelope: dict[str, Any]) -> Entry:
    entry = timelines.read(json.dumps(envelope))
    assert isinstance(entry, Entry)
    return entry


def event_entry(kind: type[events.Event], after: float, **fields: object) -> Entry:
    """The entry for an event so many seconds after the beginning."""
    return entry_of(an_envelope(an_event(kind, CUSTOMER, after, **fields)))


def execution_entry(status: str, after: float) -> Entry:
    """The entry for a change of the execution."""
    return entry_of(an_execution_change(status, after, CUSTOMER))


REGISTERED, VALIDATED = event_entry(events.CustomerRegistered, 1), event_entry(events.CustomerValidated, 2)
INVALID = event_entry(events.CustomerValidationFailed, 2)
CREATED = event_entry(events.CustomerAccountCreated, 3)
TAKEN = event_entry(events.CustomerAccountCreationFailed, 3)
DOWNSTREAM_FAILED = event_entry(
    events.CustomerAccountCreationFailed,
    3,
    reason="DOWNSTREAM_FAILED",
    systems=[{"system": "crm", "status": "REFUSED"}],
)
SENT = event_entry(events.WelcomeEmailSent, 4)
UNDELIVERABLE = event_entry(events.WelcomeEmailFailed, 4)
UNCONFIRMED = event_entry(events.WelcomeEmailUnconfirmed, 4)
BOUNCED = event_entry(events.WelcomeEmailFailed, 90, reason="BOUNCED")
COMPLAINED = event_entry(events.WelcomeEmailFailed, 90, reason="COMPLAINED")
CREATED_LATER = event_entry(events.CustomerAccountCreated, 60)
STOPPED, REDRIVEN, STOPPED_AGAIN = (
    execution_entry("FAILED", 50),
    execution_entry("RUNNING", 55),
    execution_entry("FAILED", 70),
)

# The entries of an onboarding in the order of their events, its status and that of its e-mail.
COURSES: dict[str, tuple[list[Entry], str, str]] = {
    "validated": ([REGISTERED, VALIDATED], "VALIDATED", "PENDING"),
    "with an account": ([REGISTERED, VALIDATED, CREATED], "ACCOUNT_CREATED", "PENDING"),
    "onboarded": ([REGISTERED, VALIDATED, CREATED, SENT], "ONBOARDED", "SENT"),
    "undeliverable": ([REGISTERED, VALIDATED, CREATED, UNDELIVERABLE], "ONBOARDED_WITHOUT_EMAIL", "UNDELIVERABLE"),
    "unconfirmed": ([REGISTERED, VALIDATED, CREATED, UNCONFIRMED], "ONBOARDED_WITHOUT_EMAIL", "UNKNOWN"),
    "unconfirmed, and complained of": ([CREATED, UNCONFIRMED, COMPLAINED], "ONBOARDED", "COMPLAINED"),
    "bounced": ([REGISTERED, VALIDATED, CREATED, SENT, BOUNCED], "ONBOARDED_WITHOUT_EMAIL", "BOUNCED"),
    "complained of": ([REGISTERED, VALIDATED, CREATED, SENT, COMPLAINED], "ONBOARDED", "COMPLAINED"),
    "invalid": ([REGISTERED, INVALID], "REJECTED", "NOT_SENT"),
    "taken": ([REGISTERED, VALIDATED, TAKEN], "REJECTED", "NOT_SENT"),
    "downstream failed": ([REGISTERED, VALIDATED, DOWNSTREAM_FAILED, STOPPED], "FAILED", "NOT_SENT"),
    "failed": ([REGISTERED, VALIDATED, STOPPED], "FAILED", "PENDING"),
    "timed out": ([REGISTERED, execution_entry("TIMED_OUT", 50)], "FAILED", "PENDING"),
    "stopped by hand": ([REGISTERED, VALIDATED, CREATED, execution_entry("ABORTED", 50)], "FAILED", "PENDING"),
    "redriven": ([REGISTERED, VALIDATED, STOPPED, REDRIVEN], "VALIDATED", "PENDING"),
    "redriven, and continued": ([REGISTERED, VALIDATED, STOPPED, CREATED_LATER], "ACCOUNT_CREATED", "PENDING"),
    "redriven, and failed again": ([REGISTERED, VALIDATED, STOPPED, REDRIVEN, STOPPED_AGAIN], "FAILED", "PENDING"),
    "failed after its end": ([REGISTERED, VALIDATED, CREATED, SENT, STOPPED], "ONBOARDED", "SENT"),
    "failed after its rejection": ([REGISTERED, INVALID, STOPPED], "REJECTED", "NOT_SENT"),
    "failed, its e-mail sent and bounced": ([REGISTERED, VALIDATED, CREATED, STOPPED, BOUNCED], "FAILED", "BOUNCED"),
    "bounced and redriven": (
        [REGISTERED, VALIDATED, CREATED, STOPPED, REDRIVEN, BOUNCED],
        "ONBOARDED_WITHOUT_EMAIL",
        "BOUNCED",
    ),
}
# When earlier events are missing, the furthest counts.
GAPS: dict[str, tuple[list[Entry], str, str]] = {
    "an account alone": ([CREATED], "ACCOUNT_CREATED", "PENDING"),
    "a failed e-mail alone": ([UNDELIVERABLE], "ONBOARDED_WITHOUT_EMAIL", "UNDELIVERABLE"),
    "a bounce alone": ([BOUNCED], "ONBOARDED_WITHOUT_EMAIL", "BOUNCED"),
    "redriven alone": ([REDRIVEN], "REGISTERED", "PENDING"),
}


@pytest.mark.parametrize(("entries", "status", "email"), (COURSES | GAPS).values(), ids=(COURSES | GAPS).keys())
def test_status_follows_from_the_events(entries: list[Entry], status: str, email: str) -> None:
    onboarding = onboarding_from(CUSTOMER, entries)

    assert (onboarding.status, onboarding.welcome_email) == (status, email)
    assert onboarding.has_ended == (status not in {"REGISTERED", "VALIDATED", "ACCOUNT_CREATED"})


@pytest.mark.parametrize("course", [course for course, *_ in COURSES.values()], ids=COURSES.keys())
def test_order_of_arrival_changes_nothing(course: list[Entry]) -> None:
    expected = onboarding_from(CUSTOMER, course)

    assert [step.occurred_at for step in expected.timeline] == [entry.occurred_at for entry in course]
    assert all(onboarding_from(CUSTOMER, order) == expected for order in permutations(course))


def test_simultaneous_steps_follow_the_workflow() -> None:
    course = COURSES["bounced"][0]
    at_once = [entry.model_copy(update={"occurred_at": OCCURRED_AT}) for entry in course]

    for order in permutations(at_once):
        timeline = onboarding_from(CUSTOMER, order).timeline
        assert [step.type for step in timeline] == [entry.type for entry in course]


def test_account_is_shown_once_created() -> None:
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
    for rejected in (invalid, taken):
        assert (rejected.timeline[-1].type, rejected.timeline[-1].reason) == ("CustomerRejected", None)


def test_failure_shows_reason_but_no_system() -> None:
    failed = onboarding_from(CUSTOMER, [REGISTERED, VALIDATED, DOWNSTREAM_FAILED])
    bounced = onboarding_from(CUSTOMER, [SENT, BOUNCED])

    assert failed.timeline[-1].reason == "DOWNSTREAM_FAILED"
    assert "crm" not in failed.model_dump_json()
    assert [step.reason for step in bounced.timeline] == [None, "BOUNCED"]
    assert failed.errors is bounced.errors is None


@pytest.mark.parametrize("entry", [VALIDATED, INVALID, UNDELIVERABLE])
@pytest.mark.parametrize("change", [{"type": "CustomerScreened"}, {"reason": "SANCTIONED"}])
def test_entry_of_newer_release_is_hidden(entry: Entry, change: dict[str, str]) -> None:
    """A release that was rolled back may have kept it."""
    unknown = entry.model_copy(update=change)

    assert onboarding_from(CUSTOMER, [REGISTERED, unknown]) == onboarding_from(CUSTOMER, [REGISTERED])


def test_polls_grow_rarer_without_news() -> None:
    polls: list[Entry] = []
    for minute in range(24 * 60):
        poll = next_poll([REGISTERED, VALIDATED, *polls[-1:]], VALIDATED.occurred_at + timedelta(minutes=minute))
        polls += [poll] if poll else []

    pauses = [(after.occurred_at - before.occurred_at) / timedelta(minutes=1) for before, after in pairwise(polls)]
    assert polls[0].occurred_at == VALIDATED.occurred_at + timedelta(minutes=2)
    assert pauses == sorted(pauses)
    assert {pauses[0], pauses[-1]} == {2, 15}
    assert onboarding_from(CUSTOMER, [REGISTERED, *polls]) == onboarding_from(CUSTOMER, [REGISTERED])


@pytest.mark.parametrize("name", ["onboarded", "bounced", "invalid", "taken"])
def test_ended_onboarding_needs_no_poll(name: str) -> None:
    later = OCCURRED_AT + timedelta(days=1)

    assert next_poll(COURSES[name][0], later) is None
    assert next_poll(COURSES["failed"][0], later)  # it may be redriven
