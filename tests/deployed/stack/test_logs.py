"""One correlation id leads through the logs, from the API to the last consumer."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from local.polling import back_off
from tests.customers import a_customer, an_address
from tests.deployed.onboardings import PATIENCE_SECONDS, Onboardings
from tests.deployed.stack.test_privacy import log_lines
from tests.wiring.rules.publications import BY_CONSUMERS

ON_THE_WAY = {
    "RegisterCustomerFunction",
    "StartOnboardingFunction",
    "ValidateCustomerFunction",
    "CreateAccountFunction",
    "ProvisionAccountFunction",
    "SendWelcomeEmailFunction",
    "TrackOnboardingFunction",
    "DetectFraudFunction",
    "RecordAnalyticsFunction",
}


def test_each_function_logs_the_customer_and_the_correlation_id_of_the_api_s_request(onboardings: Onboardings) -> None:
    # One who is suspected: a consumer publishes too.
    customer_id = onboardings.register(a_customer(email=an_address().replace("example.com", "mailinator.com")))
    onboardings.await_status(customer_id, "ONBOARDED")

    seen: dict[str, set[str | None]] = {}
    events: dict[str, dict[str, Any]] = {}
    for _ in back_off(PATIENCE_SECONDS):  # the consumers are on their way
        seen = correlation_ids(onboardings, customer_id)
        events = dict(onboardings.events_of(customer_id))
        if seen.keys() >= ON_THE_WAY and events.keys() >= BY_CONSUMERS:
            break

    assert seen.keys() == ON_THE_WAY
    (correlation_id,) = set.union(*seen.values())
    assert correlation_id == json.loads(onboardings.await_end(customer_id)["input"])["correlationId"]
    assert events.keys() >= {"CustomerRegistered", "WelcomeEmailSent", *BY_CONSUMERS}
    assert {detail["metadata"]["correlationId"] for detail in events.values()} == {correlation_id}


def correlation_ids(onboardings: Onboardings, customer_id: str) -> dict[str, set[str | None]]:
    """The correlation ids in the lines about a customer, by the function that logged them."""
    names = {onboardings.physical_id(name): name for name in ON_THE_WAY}
    found = defaultdict(set)
    for text in log_lines(onboardings):
        if text.startswith('{"level"') and customer_id in text:
            line = json.loads(text)
            if line.get("customer_id") == customer_id and line["function_name"] in names:
                found[names[line["function_name"]]].add(line.get("correlation_id"))
    return dict(found)
