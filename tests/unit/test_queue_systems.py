"""Downstream systems of kind sqs: the commands in their queues."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from onboarding.adapters.downstream import Adapter, sqs
from onboarding.domain.errors import DownstreamUnavailable, UnexpectedAnswer
from onboarding.domain.tasks import Account
from tests.customers import a_customer
from tests.unit.faults import OUT_OF_REACH, failing, refusing
from tests.unit.runtime import Runtime
from tests.unit.systems import QUEUE_SETTINGS, make_client

ACCOUNT = a_customer(accountId="account-1")
Commands = Callable[[], list[Any]]


@pytest.fixture
def client(runtime: Runtime) -> Any:
    """The client that the functions give to an adapter of this kind."""
    return sqs.client(make_client)


@pytest.fixture
def ledger(client: Any) -> Adapter:
    # No credentials and no cache of tokens: the function's role gives access.
    return sqs.adapter("ledger", QUEUE_SETTINGS, None, None, client)


def provision(system: Adapter, customer_id: str = "ada") -> None:
    system.provision(customer_id, Account.model_validate(ACCOUNT))


def test_repeated_command_comes_once(ledger: Adapter, commands: Commands) -> None:
    provision(ledger)
    provision(ledger)
    ledger.deprovision("ada")
    ledger.deprovision("ada")

    assert [json.loads(message.body) for message in commands()] == [
        {"command": "CreateAccount", "customerId": "ada", "account": ACCOUNT},
        {"command": "DeleteAccount", "customerId": "ada"},
    ]


def test_each_customers_commands_keep_order(ledger: Adapter, commands: Commands) -> None:
    longest = "x" * 80  # customerId
    provision(ledger, longest)
    provision(ledger, "grace")
    ledger.deprovision(longest)

    assert [message.group_id for message in commands()] == [longest, "grace", longest]
    assert len({message.deduplication_id for message in commands()}) == 3
    assert all(len(message.deduplication_id) <= 128 for message in commands())


@pytest.mark.parametrize("error", OUT_OF_REACH, ids=lambda error: type(error).__name__)
def test_queue_out_of_reach_is_an_outage(error: Exception, client: Any, ledger: Adapter, commands: Commands) -> None:
    outage = pytest.raises(DownstreamUnavailable, match=f"^{type(error).__name__}$")
    with failing(client, "SendMessage", error), outage:
        provision(ledger)

    provision(ledger)

    assert len(commands()) == 1


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("ThrottlingException", DownstreamUnavailable),
        ("AccessDenied", UnexpectedAnswer),
        ("QueueDoesNotExist", UnexpectedAnswer),
    ],
)
def test_only_throttling_is_an_outage(code: str, expected: type[Exception], client: Any, ledger: Adapter) -> None:
    with (
        refusing(client, "send_message", code, f"Not {ACCOUNT['email']}"),
        pytest.raises(expected, match=f"^{code}$") as raised,
    ):
        provision(ledger)

    assert (raised.value.__cause__, raised.value.__suppress_context__) == (None, True)


@pytest.mark.parametrize("url", ["https://sqs.us-east-1.amazonaws.com/123456789012/ledger", "ledger.fifo"])
def test_malformed_settings_name_only_the_field(url: str, client: Any) -> None:
    with pytest.raises(ValidationError, match="queueUrl") as raised:
        sqs.adapter("ledger", {"kind": "sqs", "queueUrl": url}, None, None, client)

    assert "ledger" not in str(raised.value)
