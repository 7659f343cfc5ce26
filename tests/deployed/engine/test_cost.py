"""The transitions that docs/cost.md tells, counted again on the engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

from benchmarks.cost.history import transitions
from benchmarks.cost.kinds import (
    COMPENSATED,
    INVALID,
    KINDS,
    ONBOARDED,
    OUTAGE,
    OUTAGE_RETRIES,
    SYSTEMS,
    WITHOUT_EMAIL,
    Kind,
)
from benchmarks.cost.measurement import load
from tests.customers import a_customer
from tests.deployed.engine.conftest import FailingWorkflow

MOST_TRANSITIONS = 12
MEASUREMENT = load()
# How a kind is brought about here, where it isn't by its customer.
FAULTS: Mapping[str, Mapping[str, Sequence[str]]] = {
    COMPENSATED.name: {"ProvisionAccount/billing": ["raise DownstreamRefused"]},
    WITHOUT_EMAIL.name: {"SendWelcomeEmail": ["raise EmailUndeliverable"]},
    OUTAGE.name: {"SendWelcomeEmail": ["raise EmailServiceUnavailable"] * OUTAGE_RETRIES},
}


def counted(workflow: FailingWorkflow, customer_id: str, machine: str, systems: int) -> Counter[str]:
    execution = workflow.onboardings.await_end(customer_id, machine)
    return transitions(workflow.onboardings.history(execution["executionArn"]), systems)


def test_onboarding_takes_at_most_twelve_transitions_without_downstream_systems(workflow: FailingWorkflow) -> None:
    customer_id = workflow.start(a_customer(), machine=workflow.alone)

    found = counted(workflow, customer_id, workflow.alone, 0)

    assert found["Onboarded"] == 1
    assert found.total() <= MOST_TRANSITIONS
    assert found == MEASUREMENT.of(ONBOARDED.name).transitions


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_each_kind_of_registration_takes_as_many_transitions_as_the_page_says(
    workflow: FailingWorkflow, kind: Kind
) -> None:
    customer = a_customer(**(kind.customer if kind is INVALID else {}))
    if kind.taken:
        workflow.run(customer)

    customer_id = workflow.start(customer, FAULTS.get(kind.name))

    expected = Counter(MEASUREMENT.of(kind.name).transitions)
    if "ProvisionAccounts" in expected:  # here in all systems, each of which is one more
        expected["ProvisionAccounts"] += len(SYSTEMS) - len(kind.systems)
    assert counted(workflow, customer_id, workflow.machine, len(SYSTEMS)) == expected, "run `make cost docs`"
