"""One correlation id leads through the logs, from the API to the last consumer."""

import json
from collections import defaultdict
from datetime import UTC, datetime

from cli.machine.polling import back_off
from cli.operate import logs
from tests.customers import a_customer, an_address
from tests.deployed.onboardings import PATIENCE_SECONDS, Onboardings
from tests.wiring.rules.publications import BY_CONSUMERS

ON_THE_WAY = {
    *("RegisterCustomer", "StartOnboarding", "ValidateCustomer", "CreateAccount", "ProvisionAccount"),
    *("SendWelcomeEmail", "TrackOnboarding", "DetectFraud", "RecordAnalytics"),
}


def test_correlation_id_is_in_every_log(onboardings: Onboardings) -> None:
    began = datetime.now(UTC)
    # A suspected customer: a consumer publishes too.
    customer_id = onboardings.register(a_customer(email=an_address().replace("example.com", "mailinator.com")))
    onboardings.await_status(customer_id, "ONBOARDED")

    seen: dict[str, set[str]] = defaultdict(set)
    events = dict(onboardings.events_of(customer_id))
    for _ in back_off(PATIENCE_SECONDS):
        for line in logs.lines(onboardings.stack, customer_id, began):
            keys = dict(line.keys)
            if line.function in ON_THE_WAY and keys.get("customer_id") == customer_id:
                seen[line.function].add(keys.get("correlation_id", "none"))
        events = dict(onboardings.events_of(customer_id))
        if seen.keys() >= ON_THE_WAY and events.keys() >= BY_CONSUMERS:
            break
        onboardings.onboard(a_customer())  # the emulator may read a line only with the function's next call

    assert seen.keys() == ON_THE_WAY
    (correlation_id,) = set.union(*seen.values())
    assert correlation_id == json.loads(onboardings.await_end(customer_id)["input"])["correlationId"]
    # The runtime client writes no copy of a line, which would have the request's id alone.
    valid = [line for line in logs.lines(onboardings.stack, None, began) if line.message.endswith("Customer valid")]
    assert all("customer_id" in dict(line.keys) for line in valid)
    assert events.keys() >= {"CustomerRegistered", "WelcomeEmailSent", *BY_CONSUMERS}
    assert {detail["metadata"]["correlationId"] for detail in events.values()} == {correlation_id}
