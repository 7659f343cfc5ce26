"""What is nobody's business stays where it belongs: no personal data in the logs, no credentials anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from cli.aws.executions import execution_arn
from cli.downstream.partner import Partner
from tests.customers import a_customer, an_address
from tests.deployed.onboardings import Onboardings
from tests.unit.personal_data import SHORTEST, found

ADDRESS = {"street": "17 Kestrel Row", "city": "Quibbleton", "postalCode": "QZ9 7XJ", "country": "GB"}


def test_no_personal_value_that_went_in_is_in_any_log_line(onboardings: Onboardings) -> None:
    taken = an_address()
    accepted = [
        a_customer(firstName="Zephyrine", lastName="Quartermain", email=taken, phone="+442079460321", address=ADDRESS),
        a_customer(firstName="Wilhelmina<b>", lastName="Ostrowski"),
        a_customer(firstName="Наталья", lastName="Ломоносова"),
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
    onboardings.await_consumers()

    lines = list(log_lines(onboardings))

    personal = {value.strip() for body in onboardings.sent for value in _texts(body) if len(value.strip()) >= SHORTEST}
    assert len(lines) > 20
    assert {"Hollingberry", "Наталья", "Marigold"} <= personal
    assert found(personal, "\n".join(lines)) == set()


def test_every_line_of_the_functions_names_its_customer_or_its_request(onboardings: Onboardings) -> None:
    """The first invocation of each function, by which the deployment warms it up, has neither."""
    onboardings.onboard(a_customer())
    onboardings.await_consumers()

    lines = [json.loads(line) for line in log_lines(onboardings) if line.startswith('{"level"')]

    said = [line for line in lines if not line.get("cold_start")]
    assert len(said) >= 4
    assert [line["message"] for line in said if not line.keys() & {"customer_id", "correlation_id", "message_id"}] == []


def test_no_credential_is_in_a_log_an_event_the_state_or_an_environment(
    onboardings: Onboardings, partners: Mapping[str, Partner]
) -> None:
    session = onboardings.stack.session
    credentials = {value for partner in partners.values() for value in partner.authentication.credentials().values()}

    onboarding = onboardings.onboard(a_customer())
    onboardings.await_consumers()

    arn = execution_arn(onboardings.stack.outputs["StateMachineArn"], onboarding.output["customerId"])
    seen = {
        "logs": list(log_lines(onboardings)),
        "events": onboarding.events,
        "state": onboardings.history(arn),
        "environment": list(session.client("lambda").get_paginator("list_functions").paginate()),
    }
    assert onboarding.output["status"] == "ONBOARDED"
    assert all(partner.accounts() for partner in partners.values())
    assert len(credentials) >= 3
    assert [place for place, content in seen.items() if found(credentials, repr(content))] == []


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    else:
        yield value


def log_lines(onboardings: Onboardings) -> Iterator[str]:
    logs = onboardings.stack.session.client("logs")
    for page in logs.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            events = logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
            yield from (event["message"] for batch in events for event in batch["events"])
