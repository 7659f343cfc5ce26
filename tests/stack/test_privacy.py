"""No personal data in the logs, after a whole run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.customers import a_customer, an_address
from tests.onboardings import Onboardings

ADDRESS = {"street": "17 Kestrel Row", "city": "Quibbleton", "postalCode": "QZ9 7XJ", "country": "GB"}


def test_no_personal_value_that_went_in_is_in_any_log_line(onboardings: Onboardings) -> None:
    taken = an_address()
    accepted = [
        a_customer(firstName="Zephyrine", lastName="Quartermain", email=taken, phone="+442079460321", address=ADDRESS),
        a_customer(firstName="Wilhelmina<b>", lastName="Ostrowski"),
        a_customer(firstName="Q", lastName="Brandywine", email=f"{an_address()}@localhost", phone="0000099"),
    ]
    refused = [
        a_customer(firstName="Marigold\n", lastName="Thistlewood"),
        a_customer(lastName="Umbrella" * 40),
        a_customer(Misspelt="Fenwick"),
    ]
    for customer in accepted:
        onboardings.onboard(customer)
    second = onboardings.onboard(a_customer(email=taken, lastName="Hollingberry"))
    for customer in refused:
        assert onboardings.post(json=customer).status_code == 400
    assert second.output["reason"] == "EMAIL_TAKEN"

    lines = list(_log_lines(onboardings))

    values = {value for customer in [*accepted, *refused] for value in _texts(customer)} | {"Hollingberry"}
    personal = {value for value in values if len(value) > 2}  # "GB" is in every other word
    assert len(lines) > 20
    assert {value for value in personal if any(value in line for line in lines)} == set()


def test_every_line_of_the_functions_names_its_registration(onboardings: Onboardings) -> None:
    response = onboardings.post(json=a_customer())
    customer_id = response.json()["customerId"]
    (_, registered), *_ = onboardings.ended(customer_id).events
    correlation_id = registered["metadata"]["correlationId"]

    lines = [line for line in _log_lines(onboardings) if correlation_id in line]

    assert len([line for line in lines if customer_id in line]) >= 5


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    else:
        yield value


def _log_lines(onboardings: Onboardings) -> Iterator[str]:
    logs = onboardings.stack.session.client("logs")
    for page in logs.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            events = logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
            yield from (event["message"] for batch in events for event in batch["events"])
