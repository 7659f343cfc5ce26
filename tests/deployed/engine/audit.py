"""Reads what exists of a customer: in the table, at the partners, on the bus and in the outbox."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from threading import Lock

from cli.downstream.systems import DownstreamSystem
from onboarding.adapters.accounts import email_key
from onboarding.domain import events
from tests.deployed.engine.world import Way, World
from tests.deployed.onboardings import Onboarding, Onboardings

# What a confirmation says by an attribute.
ASKED = {"confirmedAt": "confirmed", "expired": "expired"}


class Auditor:
    """Audits the customers of one stack."""

    def __init__(self, onboardings: Onboardings, systems: Mapping[str, DownstreamSystem]) -> None:
        self.dynamodb = onboardings.stack.session.client("dynamodb")
        self.table = onboardings.stack.outputs["CustomersTableName"]
        self._records = onboardings.physical_id("IdempotencyTable")
        self._systems = systems
        self._reading = Lock()

    def world(self, customer_id: str, email: str, onboarding: Onboarding) -> World:
        """What exists of the customer now. Only accounts and e-mails with the accountId count."""
        account, address = self._item(f"CUSTOMER#{customer_id}"), self._item(f"EMAIL#{email_key(email)}")
        key = {"id": {"S": f"email_confirmation#{customer_id}"}}
        asked = self.dynamodb.get_item(TableName=self._records, Key=key, ConsistentRead=True).get("Item")
        account_id, holder = str(account.get("accountId")), address.get("customerId")
        with self._reading:
            accounts = {name: system.accounts().get(customer_id) for name, system in self._systems.items()}
            tombstones = {name for name, system in self._systems.items() if customer_id in system.tombstones()}
        return World(
            account=account.get("status"),
            address="free" if holder is None else "theirs" if holder == customer_id else "another's",
            accounts=frozenset(
                name for name, document in accounts.items() if document and document["accountId"] == account_id
            ),
            tombstones=frozenset(tombstones),
            # As a consumer that deduplicates sees them.
            events=tuple({detail["metadata"]["eventId"]: name for name, detail in onboarding.events}.values()),
            mails=sum(account_id in mail["BodyText"] for mail in onboarding.mails),
            asked=next((said for key, said in ASKED.items() if key in asked), "waiting") if asked else None,
        )

    def discrepancies(self, customer_ids: Collection[str]) -> Iterator[str]:
        """Accounts without an active customer, and accounts that an active customer lacks."""
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=self.table)
        items = [item for page in pages for item in page["Items"]]
        active = {item["customerId"]["S"] for item in items if item.get("status") == {"S": "ACTIVE"}}
        for name, system in self._systems.items():
            lacking = active & set(customer_ids) - system.accounts().keys()
            yield from (f"{name} has an orphan: {orphan}" for orphan in system.accounts().keys() - active)
            yield from (f"{name} lacks a customer: {missing}" for missing in lacking)

    def _item(self, key: str) -> dict[str, str]:
        found = self.dynamodb.get_item(TableName=self.table, Key={"pk": {"S": key}}, ConsistentRead=True)
        return {name: value["S"] for name, value in found.get("Item", {}).items() if "S" in value}


def assert_it_ended_once(onboarding: Onboarding, way: Way) -> None:
    """It ended once, at the way's end."""
    assert onboarding.last_state == way.end
    if way.output:
        assert onboarding.ends == ["ExecutionSucceeded"]
        assert {name: onboarding.output.get(name) for name in way.output} == way.output
    else:
        assert (onboarding.ends, onboarding.error) == (["ExecutionFailed"], "DownstreamFailed")


def assert_it_can_be_redriven(onboarding: Onboarding, state: str, error: str) -> None:
    """It failed, once, at a state where a redrive continues."""
    assert (onboarding.ends, onboarding.error) == (["ExecutionFailed"], error)
    assert onboarding.last_state == state


def assert_each_event_keeps_its_contract(customer_id: str, onboarding: Onboarding) -> Counter[str]:
    """Each event matches its model and has its own id; return the number of events by detail-type."""
    for detail_type, detail in onboarding.events:
        getattr(events, detail_type).model_validate(detail)
        assert detail["metadata"]["eventId"] == f"{customer_id}:{detail_type}"
    return Counter(onboarding.event_types)
