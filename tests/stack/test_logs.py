"""One correlation id leads through the logs, from the API to the last consumer."""

from __future__ import annotations

import json
from collections import defaultdict

from local.polling import back_off
from tests.customers import a_customer
from tests.onboardings import PATIENCE_SECONDS, Onboardings
from tests.stack.test_privacy import log_lines

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
    customer_id = onboardings.register(a_customer())
    onboardings.await_status(customer_id, "ONBOARDED")

    seen: dict[str, set[str | None]] = {}
    for _ in back_off(PATIENCE_SECONDS):  # the consumers are on their way
        seen = correlation_ids(onboardings, customer_id)
        if seen.keys() >= ON_THE_WAY:
            break

    assert seen.keys() == ON_THE_WAY
    (correlation_id,) = set.union(*seen.values())
    assert correlation_id
    assert {detail["metadata"]["correlationId"] for _, detail in onboardings.events_of(customer_id)} == {correlation_id}


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
