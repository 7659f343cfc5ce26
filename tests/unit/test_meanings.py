"""Each event changes the status, the public timeline and the analytics, or is listed as one that doesn't."""

import json
from typing import Any, get_args

import pytest

from onboarding.adapters import bus, timelines
from onboarding.domain.analytics import Facts
from onboarding.domain.events import EVENTS, CustomerErased, CustomerFraudSuspected, CustomerRegistered, Event
from onboarding.domain.meanings import MEANINGS, TRACKED
from onboarding.domain.status import Entry, onboarding_from
from tests.invocations import an_envelope, an_event
from tests.unit.deployment import RESOURCES

CUSTOMER = "ada"
SOURCE_ALONE = {"source": ["custom.customerService"]}
# A customer is REGISTERED with or without the first event; a suspicion and an erasure are not part of an onboarding.
NOT_IN_STATUS: set[type[Event]] = {CustomerRegistered, CustomerFraudSuspected, CustomerErased}
NOT_PUBLIC: set[type[Event]] = {CustomerFraudSuspected, CustomerErased}
NOT_COUNTED: set[type[Event]] = set()


def reasons_of(event: type[Event]) -> tuple[str | None, ...]:
    """The values that its `reason` may have."""
    field = event.model_fields.get("reason")
    return get_args(field.annotation) if field else (None,)


CASES = [(event, reason) for event in EVENTS.values() for reason in reasons_of(event)]


def test_each_event_has_a_meaning() -> None:
    assert not (missing := set(CASES) - MEANINGS.keys()), f"functions/onboarding/domain/meanings.py: add {missing}"
    assert not (gone := MEANINGS.keys() - set(CASES)), f"functions/onboarding/domain/meanings.py: remove {gone}"


@pytest.mark.parametrize(("event", "reason"), CASES)
def test_event_changes_what_it_should(event: type[Event], reason: str | None) -> None:
    fields: dict[str, Any] = {"reason": reason} if reason else {}
    body = json.dumps(an_envelope(an_event(event, CUSTOMER, **fields)))
    entry, published = timelines.read(body), bus.read(body)
    assert published
    before, after = (
        onboarding_from(CUSTOMER, []),
        onboarding_from(CUSTOMER, [entry] if isinstance(entry, Entry) else []),
    )
    facts = Facts(customer_id=CUSTOMER)

    moves_status = (before.status, before.welcome_email) != (after.status, after.welcome_email)
    hint = f"change {event.__name__} in functions/onboarding/domain/meanings.py, or here"
    assert moves_status == (event not in NOT_IN_STATUS), f"{hint} in NOT_IN_STATUS"
    assert bool(after.timeline) == (event not in NOT_PUBLIC), f"{hint} in NOT_PUBLIC"
    if after.status == "REJECTED":
        shown = [(step.type, step.reason) for step in after.timeline]
        assert shown == [("CustomerRejected", None)], f"{hint}: the public must not see why"
    assert (facts.with_event(published) != facts) == (event not in NOT_COUNTED), f"{hint} in NOT_COUNTED"


def test_rules_deliver_what_is_handled() -> None:
    tracked = RESOURCES["TrackOnboardingRule"]["Properties"]["EventPattern"]
    counted = RESOURCES["RecordAnalyticsRule"]["Properties"]["EventPattern"]

    types = [*(event.__name__ for event in TRACKED), CustomerErased.__name__]
    assert tracked == SOURCE_ALONE | {"detail-type": types}, f"template.yaml: TrackOnboardingRule must list {types}"
    assert counted == SOURCE_ALONE  # every event
