"""Each event and reason moves the status, the public's timeline and the analytics, or is listed as one that doesn't."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from onboarding.adapters import bus, timelines
from onboarding.domain.analytics import Facts
from onboarding.domain.events import EVENTS, CustomerFraudSuspected, CustomerRegistered, Event
from onboarding.domain.meanings import MEANINGS, TRACKED
from onboarding.domain.status import onboarding_from
from tests.invocations import an_envelope, an_event
from tests.unit.deployment import RESOURCES

CUSTOMER = "ada"
SOURCE_ALONE = {"source": ["custom.customerService"]}
# A customer whose registration was just heard, or wasn't, is REGISTERED; a suspicion is no part of an onboarding.
NOT_IN_STATUS: set[type[Event]] = {CustomerRegistered, CustomerFraudSuspected}
NOT_PUBLIC: set[type[Event]] = {CustomerFraudSuspected}
NOT_COUNTED: set[type[Event]] = set()


def reasons_of(event: type[Event]) -> tuple[str | None, ...]:
    """The values that its `reason` may have."""
    field = event.model_fields.get("reason")
    return get_args(field.annotation) if field else (None,)


CASES = [(event, reason) for event in EVENTS.values() for reason in reasons_of(event)]


def test_each_event_and_reason_has_a_meaning() -> None:
    assert set(CASES) == MEANINGS.keys()


@pytest.mark.parametrize(("event", "reason"), CASES)
def test_each_event_and_reason_moves_what_it_should(event: type[Event], reason: str | None) -> None:
    fields: dict[str, Any] = {"reason": reason} if reason else {}
    body = json.dumps(an_envelope(an_event(event, CUSTOMER, **fields)))
    entry, published = timelines.read(body), bus.read(body)
    assert published
    before, after = onboarding_from(CUSTOMER, []), onboarding_from(CUSTOMER, [entry] if entry else [])
    facts = Facts(customer_id=CUSTOMER)

    moves_status = (before.status, before.welcome_email) != (after.status, after.welcome_email)
    assert moves_status == (event not in NOT_IN_STATUS)
    assert bool(after.timeline) == (event not in NOT_PUBLIC)
    assert (facts.with_event(published) != facts) == (event not in NOT_COUNTED)


def test_the_rules_deliver_what_is_tracked_and_what_is_counted() -> None:
    tracked = RESOURCES["TrackOnboardingRule"]["Properties"]["EventPattern"]
    counted = RESOURCES["RecordAnalyticsRule"]["Properties"]["EventPattern"]

    assert tracked == SOURCE_ALONE | {"detail-type": [event.__name__ for event in TRACKED]}
    assert counted == SOURCE_ALONE  # which is every event
