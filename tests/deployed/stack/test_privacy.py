"""No personal data in the logs, and no credentials anywhere."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from cli.downstream.partner import Partner
from onboarding.adapters.workflow import execution_arn
from tests.customers import a_customer, an_address
from tests.deployed.onboardings import Onboardings
from tests.unit.personal_data import SHORTEST, found

ADDRESS = {"street": "17 Kestrel Row", "city": "Quibbleton", "postalCode": "QZ9 7XJ", "country": "GB"}


@pytest.fixture(scope="module")
def lines(onboardings: Onboardings) -> list[str]:
    """Every log line, after customers were accepted, rejected and refused."""
    taken = an_address()
    accepted = [
        a_customer(firstName="Zephyrine", lastName="Quartermain", email=taken, phone="+442079460321", address=ADDRESS),
        a_customer(firstName="Wilhelmina<b>", lastName="Ostrowski"),
        a_customer(firstName="Наталья", lastName="Ломоносова"),
        a_customer(firstName="Q", lastName="Brandywine", email=f"{an_address()}@localhost", phone="00 00 099"),
        a_customer(email=taken, lastName="Hollingberry"),
    ]
    reasons = [onboardings.onboard(customer).output.get("reason") for customer in accepted]
    assert reasons == [None, None, None, "INVALID", "EMAIL_TAKEN"]
    for customer in (
        a_customer(firstName="Marigold", lastName="Thistle\nwood"),
        a_customer(lastName="Umbrella" * 40),
        a_customer(Misspelt="Fenwick"),
    ):
        assert onboardings.post(json=customer).status_code == 400
    onboardings.await_consumers()
    logs, found_lines = onboardings.stack.session.client("logs"), []
    for page in logs.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            batches = logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
            found_lines += [event["message"] for batch in batches for event in batch["events"]]
    return found_lines


def test_no_log_line_has_a_personal_value(onboardings: Onboardings, lines: list[str]) -> None:
    personal = {value.strip() for body in onboardings.sent for value in _texts(body) if len(value.strip()) >= SHORTEST}

    assert {"Hollingberry", "Наталья", "Marigold"} <= personal
    assert found(personal, "\n".join(lines)) == set()


def test_credentials_are_nowhere(onboardings: Onboardings, partners: Mapping[str, Partner], lines: list[str]) -> None:
    session = onboardings.stack.session
    credentials = {value for partner in partners.values() for value in partner.authentication.credentials().values()}

    onboarding = onboardings.onboard(a_customer())

    arn = execution_arn(onboardings.stack.outputs["StateMachineArn"], onboarding.output["customerId"])
    seen = {
        "logs": lines,
        "events": onboarding.events,
        "state": onboardings.history(arn),
        "environment": list(session.client("lambda").get_paginator("list_functions").paginate()),
    }
    assert all(partner.accounts() for partner in partners.values())
    assert len(credentials) >= 3
    assert [place for place, content in seen.items() if found(credentials, repr(content))] == []


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    else:
        yield value
