"""The demo shows each customer's result, and fails if it is not the expected one."""

import io
from collections.abc import Mapping
from typing import cast
from uuid import uuid4

import httpx
from rich.console import Console

from cli.demo.customers import Customer, load
from cli.demo.run import demonstrate, register
from cli.downstream.partner import Partner
from cli.downstream.queue_system import QueueSystem
from cli.downstream.systems import DownstreamSystem, Systems
from cli.machine.deploy import EmulatorStack
from tests.customers import a_customer


def elsewhere(customer: Customer, domain: str = f"{uuid4().hex}.example.com") -> Customer:
    """The customer, with an address that no other test registers."""
    email = customer.customer["email"].replace("example.com", domain).replace("EXAMPLE.COM", domain.upper())
    return customer.model_copy(update={"customer": customer.customer | {"email": email}})


def test_demo_shows_each_customer(
    stack: EmulatorStack, partners: Mapping[str, Partner], systems: Mapping[str, DownstreamSystem]
) -> None:
    customers = [elsewhere(customer) for customer in load()]
    odd = Customer(name="odd", title="Odd", customer=a_customer(), expect="REJECTED")
    downstream = Systems((partners["crm"], partners["billing"]), cast("QueueSystem", systems["ledger"]))
    console = Console(file=io.StringIO(), width=200)

    assert not demonstrate(stack, downstream, [*customers, odd], console)

    shown = cast("io.StringIO", console.file).getvalue()
    assert shown.count("✓ ") == len(customers)
    assert "NOT as expected: odd\n" in shown
    for detail in ("The Idempotency-Key was used with another registration", "CustomerFraudSuspected", "PUT 503 x 2"):
        assert detail in shown


def test_refused_registration_is_sent_again_with_its_key() -> None:
    answers = [httpx.Response(status, headers={"Retry-After": "0"}, json={}) for status in (429, 503)]
    answers.append(httpx.Response(422, json={}))
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return answers[len(requests) - 1]

    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        outcome = register(http, "http://api", load()[0])

    assert [it.status_code for it in outcome.answers] == [429, 503, 422]
    assert len({(request.headers["Idempotency-Key"], request.content) for request in requests}) == 1
