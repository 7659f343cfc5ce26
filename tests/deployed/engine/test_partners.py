"""Partners that fail over HTTP: the deployed machine and functions, against servers with planned faults.

The failure matrix has each task's errors. These tests add how a partner's answer becomes an error, how often a partner
is asked, and what it keeps if its answer is lost.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from cli.downstream.partner import Fault, FaultKind, Partner
from tests.customers import a_customer
from tests.deployed.definition import TASKS
from tests.deployed.engine.audit import (
    Auditor,
    assert_each_event_keeps_its_contract,
    assert_it_can_be_redriven,
    assert_it_ended_once,
)
from tests.deployed.engine.conftest import FailingWorkflow
from tests.deployed.engine.world import COMPENSATED, ONBOARDED, World
from tests.deployed.onboardings import Onboarding

AT_A_TIME = 5  # executions, as in test_failures.py
FOR_GOOD = 80  # times: more than any request is tried
# How often a creation and a deletion are tried.
PUTS, DELETES = (TASKS[task].tries("DownstreamUnavailable") for task in ("ProvisionAccount", "DeprovisionAccount"))
DELETE = frozenset({"DELETE"})
REFUSED = Fault(FaultKind.REFUSE)


@dataclass(frozen=True, eq=False)
class Case:
    """Partners that fail, and the expected result.

    `answers` are those of partner `at`, in order. `refused` says whether crm refuses the account. `error` fails the
    execution, at a creation or a deletion; `done` says whether that was done all the same.
    """

    what: str
    faults: Mapping[str, Fault]
    at: str
    answers: Sequence[str]
    refused: bool = False
    error: str | None = None
    done: bool = False

    @property
    def failed_at(self) -> str | None:
        """The task that the execution fails at, if it does."""
        return ("DeprovisionAccount" if self.refused else "ProvisionAccount") if self.error else None


def _deleting(what: str, fault: Fault, answers: Sequence[str], error: str | None = None) -> Case:
    """Partner crm refuses, and then billing fails at deleting the account.

    The emulator lets billing's creation finish, where AWS may abort it before it begins.
    """
    faults = {"crm": REFUSED, "billing": fault}
    return Case(f"deleting {what}", faults, "billing", ["PUT 201", *answers], refused=True, error=error)


CASES = [
    Case("creating throttles", {"crm": Fault(FaultKind.THROTTLE)}, "crm", ["PUT 429", "PUT 201"]),
    Case("creating hangs", {"crm": Fault(FaultKind.HANG)}, "crm", ["PUT hang", "PUT 201"]),
    Case("creating hangs after the work", {"crm": Fault(FaultKind.HANG_AFTER)}, "crm", ["PUT hang-after", "PUT 200"]),
    Case("creating resets", {"crm": Fault(FaultKind.RESET, times=3)}, "crm", [*["PUT reset"] * 3, "PUT 201"]),
    Case(
        "creating resets after the work for good",
        {"crm": Fault(FaultKind.RESET_AFTER, times=FOR_GOOD)},
        "crm",
        ["PUT reset-after"] * PUTS,
        error="DownstreamUnavailable",
        done=True,
    ),
    Case(
        "creating is unavailable for good",
        {"crm": Fault(FaultKind.UNAVAILABLE, times=FOR_GOOD)},
        "crm",
        ["PUT 503"] * PUTS,
        error="DownstreamUnavailable",
    ),
    Case(
        "one refuses and one is unavailable for good",
        {"crm": REFUSED, "billing": Fault(FaultKind.UNAVAILABLE, times=FOR_GOOD)},
        "crm",
        ["PUT 422", "DELETE 204"],
        refused=True,
    ),
    _deleting("hangs", Fault(FaultKind.HANG, methods=DELETE), ["DELETE hang", "DELETE 204"]),
    _deleting(
        "resets after the work",
        Fault(FaultKind.RESET_AFTER, times=3, methods=DELETE),
        [*["DELETE reset-after"] * 3, "DELETE 204"],
    ),
    _deleting(
        "refuses",
        Fault(FaultKind.REFUSE, times=FOR_GOOD, methods=DELETE),
        ["DELETE 422"] * DELETES,
        "UnexpectedAnswer",
    ),
    _deleting(
        "is unavailable for good",
        Fault(FaultKind.UNAVAILABLE, times=FOR_GOOD, methods=DELETE),
        ["DELETE 503"] * DELETES,
        "DownstreamUnavailable",
    ),
]


@dataclass(frozen=True)
class Run:
    """A customer's onboarding, what existed of the customer at its end, and the partners' answers."""

    customer_id: str
    customer: Mapping[str, Any]
    onboarding: Onboarding
    world: World
    answers: Mapping[str, Sequence[str]]


@pytest.fixture(scope="module")
def runs(workflow: FailingWorkflow, auditor: Auditor, partners: Mapping[str, Partner]) -> Mapping[str, Sequence[Run]]:
    """Each case's runs: as it failed, redriven once the partner works, and with the customer registered again."""

    def run(case: Case) -> Iterator[Run]:
        customer = a_customer()
        for name, fault in case.faults.items():
            partners[name].plan(customer["email"], fault)
        customer_id = workflow.start(customer, machine=workflow.deployed)
        yield ended(customer_id, workflow.deployed, customer)
        for name in case.faults:
            partners[name].plan(customer["email"])
        if case.error:
            workflow.redrive(customer_id, workflow.deployed)
            yield ended(customer_id, workflow.resuming, customer)
        if case.refused:
            customer_id = workflow.start(customer, machine=workflow.deployed)
            yield ended(customer_id, workflow.deployed, customer)

    def ended(customer_id: str, machine: str, customer: Mapping[str, Any]) -> Run:
        onboarding = workflow.onboardings.ended(customer_id, machine)
        answers = {name: partner.answers(customer_id) for name, partner in partners.items()}
        world = auditor.world(customer_id, customer["email"], onboarding)
        return Run(customer_id, customer, onboarding, world, answers)

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return dict(pool.map(lambda case: (case.what, list(run(case))), CASES))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_failing_partner_leaves_the_expected_world(case: Case, runs: Mapping[str, Sequence[Run]]) -> None:
    run, *mended = runs[case.what]
    way = COMPENSATED if case.refused else ONBOARDED

    if case.error and case.failed_at:
        assert_it_can_be_redriven(run.onboarding, TASKS[case.failed_at].entered, case.error)
    else:
        assert_it_ended_once(run.onboarding, way)
    left = way.leaves(case.failed_at, done=case.done)
    assert run.world.certain(case.failed_at) == left.certain(case.failed_at)
    assert run.answers[case.at] == case.answers
    times = assert_each_event_keeps_its_contract(run.customer_id, run.onboarding)
    assert set(times.values()) == {1}
    named = [detail.get("systems") for name, detail in run.onboarding.events if name == "CustomerAccountCreationFailed"]
    assert named == [[{"system": "crm", "status": "REFUSED"}]] * (case.refused and not case.error)
    ways = [way] * bool(case.error) + [ONBOARDED] * case.refused
    for later, its_way in zip(mended, ways, strict=True):
        assert_it_ended_once(later.onboarding, its_way)
        assert later.world == its_way.leaves()


@pytest.mark.parametrize("what", [case.what for case in CASES if "hangs" in case.what])
def test_hang_costs_one_timeout(what: str, runs: Mapping[str, Sequence[Run]]) -> None:
    run = runs[what][0]
    requests = [answer.split()[0] for answers in run.answers.values() for answer in answers]
    deletes = requests.count("DELETE")

    # One request a try, and one try for the ledger.
    assert run.onboarding.tries["ProvisionAccounts"] == requests.count("PUT") + 1
    assert run.onboarding.tries["DeprovisionAccounts"] == deletes + bool(deletes)


def test_short_throttle_costs_no_try(runs: Mapping[str, Sequence[Run]]) -> None:
    assert runs["creating throttles"][0].onboarding.tries["ProvisionAccounts"] == 3  # one for each system


@pytest.mark.parametrize("system", ["crm", "billing"])
def test_late_creation_is_refused(
    system: str, runs: Mapping[str, Sequence[Run]], workflow: FailingWorkflow, partners: Mapping[str, Partner]
) -> None:
    run = runs["deleting hangs"][0]
    account = {**run.customer, "accountId": "late"}

    answer = workflow.provision(
        {"customerId": run.customer_id, "correlationId": "late", "system": system, "account": account}
    )

    assert answer["errorType"] == "DownstreamRefused"
    assert partners[system].answers(run.customer_id)[-1] == "PUT 410"
    assert run.customer_id not in partners[system].accounts()


def test_partners_have_the_active_customers(runs: Mapping[str, Sequence[Run]], auditor: Auditor) -> None:
    assert list(auditor.discrepancies([run.customer_id for of_case in runs.values() for run in of_case])) == []
