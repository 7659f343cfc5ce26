"""Downstream systems of kind sqs: the commands that they are sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from onboarding.adapters.downstream import Adapter, sqs
from onboarding.domain.errors import DownstreamUnavailable
from onboarding.domain.tasks import Account
from tests.customers import a_customer
from tests.unit.faults import OUT_OF_REACH, failing, refusing
from tests.unit.runtime import Runtime
from tests.unit.systems import QUEUE_SETTINGS, make_client

ACCOUNT = a_customer(accountId="account-1")
Commands = Callable[[], list[Any]]


@pytest.fixture
def client(runtime: Runtime) -> Any:
    """The client that the functions hand to an adapter of this kind."""
    return sqs.client(make_client)


@pytest.fixture
def ledger(client: Any) -> Adapter:
    def none(*_: object, **__: object) -> Any:
        raise AssertionError("The function's role lets it in: it has no credentials, and waits for nothing")

    return sqs.adapter(QUEUE_SETTINGS, none, none, client)


def provision(system: Adapter, customer_id: str = "ada") -> None:
    system.provision(customer_id, Account.model_validate(ACCOUNT))


def test_an_account_is_commanded_and_then_its_deletion(ledger: Adapter, commands: Commands) -> None:
    provision(ledger)
    ledger.deprovision("ada")

    assert [json.loads(message.body) for message in commands()] == [
        {"command": "CreateAccount", "customerId": "ada", "account": ACCOUNT},
        {"command": "DeleteAccount", "customerId": "ada"},
    ]


def test_a_command_that_is_repeated_comes_once(ledger: Adapter, commands: Commands) -> None:
    for _ in range(2):
        provision(ledger)
    for _ in range(2):
        ledger.deprovision("ada")

    assert len(commands()) == 2


def test_the_commands_of_a_customer_keep_their_order_and_those_of_others_need_not(
    ledger: Adapter, commands: Commands
) -> None:
    provision(ledger, "ada")
    provision(ledger, "grace")
    ledger.deprovision("ada")

    assert [message.group_id for message in commands()] == ["ada", "grace", "ada"]
    assert len({message.deduplication_id for message in commands()}) == 3


def test_the_longest_customer_id_names_a_command(ledger: Adapter, commands: Commands) -> None:
    provision(ledger, "x" * 80)
    ledger.deprovision("x" * 80)

    assert all(len(message.deduplication_id) <= 128 for message in commands())
    assert len(commands()) == 2


@pytest.mark.parametrize("error", OUT_OF_REACH, ids=lambda error: type(error).__name__)
def test_a_queue_out_of_reach_is_an_outage_and_a_retry_sends(
    error: Exception, client: Any, ledger: Adapter, commands: Commands
) -> None:
    with (
        failing(client, "SendMessage", error),
        pytest.raises(DownstreamUnavailable, match=f"^{type(error).__name__}$"),
    ):
        provision(ledger)

    provision(ledger)

    assert len(commands()) == 1


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalError", "AccessDenied"])
def test_a_queue_that_refuses_is_an_outage_whose_words_are_not_passed_on(
    code: str, client: Any, ledger: Adapter
) -> None:
    with (
        refusing(client, "send_message", code, f"Not {ACCOUNT['email']}"),
        pytest.raises(DownstreamUnavailable, match=f"^{code}$") as raised,
    ):
        provision(ledger)

    assert (raised.value.__cause__, raised.value.__suppress_context__) == (None, True)


def test_a_queue_that_is_not_there_is_an_outage_which_someone_may_mend(ledger: Adapter) -> None:
    with pytest.raises(DownstreamUnavailable, match=r"NonExistentQueue|QueueDoesNotExist"):
        provision(ledger)


def test_a_command_is_given_up_before_the_function_times_out(client: Any) -> None:
    config = client.meta.config

    assert config.retries["total_max_attempts"] * (config.connect_timeout + config.read_timeout) + 1 < 35


@pytest.mark.parametrize("url", [None, "https://sqs.us-east-1.amazonaws.com/123456789012/ledger", "ledger.fifo"])
def test_settings_that_are_malformed_name_the_field_and_no_value(url: str | None, client: Any) -> None:
    with pytest.raises(ValidationError, match="queueUrl") as raised:
        sqs.adapter({"kind": "sqs", "queueUrl": url}, None, None, client)

    assert "ledger" not in str(raised.value)
