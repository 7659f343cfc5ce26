"""Partners that fail, by HTTP: the deployed machine and its own functions, against servers that do as they are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
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
FOR_GOOD = 50  # times: more than any request is tried
# How often a creation and a deletion are tried.
PUTS, DELETES = (TASKS[task].tries("DownstreamUnavailable") for task in ("ProvisionAccount", "DeprovisionAccount"))
DELETE = frozenset({"DELETE"})
REFUSED = Fault(FaultKind.REFUSE)


@dataclass(frozen=True, eq=False)
class Case:
    """Partners that fail, and what comes of it.

    `answers` are all that partner `at` answered, in order; `failing` are the systems that are said to have failed to
    create the account, and how; `error` is what a deletion that can't be done fails the execution with.
    """

    what: str
    faults: Mapping[str, Sequence[Fault]]
    at: str
    answers: Sequence[str]
    failing: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None

    def __str__(self) -> str:
        return self.what

    @property
    def leaves(self) -> World:
        """What is there of the customer afterwards."""
        if self.error:
            return COMPENSATED.leaves("DeprovisionAccount")
        return COMPENSATED.leaves() if self.failing else ONBOARDED.leaves()


def _creating(what: str, fault: Fault, answers: Sequence[str], status: str | None = None) -> Case:
    """Partner crm fails at creating the account."""
    return Case(f"creating {what}", {"crm": [fault]}, "crm", answers, {"crm": status} if status else {})


def _deleting(what: str, fault: Fault, answers: Sequence[str], error: str | None = None) -> Case:
    """Partner crm refuses, and then billing fails at deleting the account."""
    faults = {"crm": [REFUSED], "billing": [fault]}
    return Case(f"deleting {what}", faults, "billing", ["PUT 201", *answers], {"crm": "REFUSED"}, error)


CASES = [
    _creating("refuses", REFUSED, ["PUT 422", "DELETE 204"], "REFUSED"),
    _creating("is unavailable for a while", Fault(FaultKind.UNAVAILABLE, times=3), [*["PUT 503"] * 3, "PUT 201"]),
    _creating(
        "is unavailable for good",
        Fault(FaultKind.UNAVAILABLE, times=FOR_GOOD),
        [*["PUT 503"] * PUTS, "DELETE 204"],
        "UNAVAILABLE",
    ),
    _creating("throttles", Fault(FaultKind.THROTTLE, retry_after_seconds=1), ["PUT 429", "PUT 201"]),
    _creating(
        "throttles for good",
        Fault(FaultKind.THROTTLE, times=FOR_GOOD, retry_after_seconds=60),
        [*["PUT 429"] * PUTS, "DELETE 204"],
        "UNAVAILABLE",
    ),
    _creating("hangs", Fault(FaultKind.HANG), ["PUT hang", "PUT 201"]),
    _creating(
        "hangs for good",
        Fault(FaultKind.HANG, times=FOR_GOOD),
        [*["PUT hang"] * PUTS, "DELETE 204"],
        "UNAVAILABLE",
    ),
    _creating("hangs after the work", Fault(FaultKind.HANG_AFTER), ["PUT hang-after", "PUT 200"]),
    _creating(
        "hangs after the work for good",
        Fault(FaultKind.HANG_AFTER, times=FOR_GOOD),
        [*["PUT hang-after"] * PUTS, "DELETE 204"],
        "UNAVAILABLE",
    ),
    _creating("resets", Fault(FaultKind.RESET), ["PUT reset", "PUT 201"]),
    _creating(
        "resets for good",
        Fault(FaultKind.RESET, times=FOR_GOOD),
        [*["PUT reset"] * PUTS, "DELETE 204"],
        "UNAVAILABLE",
    ),
    _creating("resets after the work", Fault(FaultKind.RESET_AFTER), ["PUT reset-after", "PUT 200"]),
    _creating(
        "resets after the work for good",
        Fault(FaultKind.RESET_AFTER, times=FOR_GOOD),
        [*["PUT reset-after"] * PUTS, "DELETE 204"],
        "UNAVAILABLE",
    ),
    Case(
        "two refuse",
        {"crm": [REFUSED], "billing": [REFUSED]},
        "crm",
        ["PUT 422", "DELETE 204"],
        {"crm": "REFUSED", "billing": "REFUSED"},
    ),
    Case(
        "one refuses and one is unavailable for good",
        {"crm": [Fault(FaultKind.UNAVAILABLE, times=FOR_GOOD)], "billing": [REFUSED]},
        "crm",
        [*["PUT 503"] * PUTS, "DELETE 204"],
        {"crm": "UNAVAILABLE", "billing": "REFUSED"},
    ),
    _deleting(
        "is unavailable for a while",
        Fault(FaultKind.UNAVAILABLE, times=3, methods=DELETE),
        [*["DELETE 503"] * 3, "DELETE 204"],
    ),
    _deleting(
        "throttles",
        Fault(FaultKind.THROTTLE, methods=DELETE, retry_after_seconds=1),
        ["DELETE 429", "DELETE 204"],
    ),
    _deleting("hangs", Fault(FaultKind.HANG, methods=DELETE), ["DELETE hang", "DELETE 204"]),
    _deleting("hangs after the work", Fault(FaultKind.HANG_AFTER, methods=DELETE), ["DELETE hang-after", "DELETE 204"]),
    _deleting("resets", Fault(FaultKind.RESET, methods=DELETE), ["DELETE reset", "DELETE 204"]),
    _deleting(
        "resets after the work", Fault(FaultKind.RESET_AFTER, methods=DELETE), ["DELETE reset-after", "DELETE 204"]
    ),
    _deleting("refuses", Fault(FaultKind.REFUSE, methods=DELETE), ["DELETE 422"], "DownstreamRefused"),
    _deleting(
        "is unavailable for good",
        Fault(FaultKind.UNAVAILABLE, times=FOR_GOOD, methods=DELETE),
        ["DELETE 503"] * DELETES,
        "DownstreamUnavailable",
    ),
    _deleting(
        "hangs for good",
        Fault(FaultKind.HANG, times=FOR_GOOD, methods=DELETE),
        ["DELETE hang"] * DELETES,
        "DownstreamUnavailable",
    ),
]


@dataclass(frozen=True)
class Run:
    """A customer's onboarding, all that there was of the customer when it had ended, and what partners had answered."""

    customer_id: str
    customer: Mapping[str, Any]
    onboarding: Onboarding
    world: World
    answers: Mapping[str, Sequence[str]]


@dataclass
class Runs:
    """What became of each case; and then, mended: redriven where it had failed, or registered again."""

    first: dict[Case, Run] = field(default_factory=dict)
    redriven: dict[Case, Run] = field(default_factory=dict)
    again: dict[Case, Run] = field(default_factory=dict)


@pytest.fixture(scope="module")
def runs(workflow: FailingWorkflow, auditor: Auditor, partners: Mapping[str, Partner]) -> Runs:
    """All the cases, some at a time."""
    done = Runs()

    def run(case: Case) -> None:
        customer = a_customer()
        for name, faults in case.faults.items():
            partners[name].plan(customer["email"], *faults)
        customer_id = workflow.start(customer, machine=workflow.deployed)
        done.first[case] = ended(customer_id, workflow.deployed, customer)
        for name in case.faults:
            partners[name].plan(customer["email"])
        if case.error:
            workflow.redrive(customer_id, workflow.deployed)
            done.redriven[case] = ended(customer_id, workflow.resuming, customer)
        if case.failing:
            customer_id = workflow.start(customer, machine=workflow.deployed)
            done.again[case] = ended(customer_id, workflow.deployed, customer)

    def ended(customer_id: str, machine: str, customer: Mapping[str, Any]) -> Run:
        onboarding = workflow.onboardings.ended(customer_id, machine)
        answers = {name: partner.answers(customer_id) for name, partner in partners.items()}
        return Run(
            customer_id, customer, onboarding, auditor.world(customer_id, customer["email"], onboarding), answers
        )

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        list(pool.map(run, CASES))
    return done


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_partner_that_fails_leaves_what_the_design_says(case: Case, runs: Runs) -> None:
    run = runs.first[case]

    if case.error:
        assert_it_can_be_redriven(run.onboarding, "DeprovisionAccounts", case.error)
    else:
        assert_it_ended_once(run.onboarding, COMPENSATED if case.failing else ONBOARDED)
    assert run.world == case.leaves
    assert run.answers[case.at] == case.answers
    times = assert_each_event_keeps_its_contract(run.customer_id, run.onboarding)
    assert set(times.values()) == {1}
    named = [detail.get("systems") for name, detail in run.onboarding.events if name == "CustomerAccountCreationFailed"]
    said = [{"system": system, "status": status} for system, status in case.failing.items()]
    assert named == ([said] if case.failing and not case.error else [])


def test_hang_costs_one_time_out(runs: Runs) -> None:
    hanging = [case for case in CASES if any("hang" in answer for answer in case.answers)]
    assert len(hanging) >= 6
    for case in hanging:
        run = runs.first[case]
        requests = [answer.split()[0] for answers in run.answers.values() for answer in answers]
        deletes = requests.count("DELETE")
        # One request a try, and one try for the ledger.
        assert run.onboarding.tries["ProvisionAccounts"] == requests.count("PUT") + 1, case
        assert run.onboarding.tries["DeprovisionAccounts"] == deletes + bool(deletes), case


def test_a_partner_that_throttles_is_waited_for_within_the_try(runs: Runs) -> None:
    (case,) = (case for case in CASES if case.what == "creating throttles")

    assert runs.first[case].onboarding.tries["ProvisionAccounts"] == 3  # one for each system


def test_a_deletion_that_failed_is_taken_up_and_done(runs: Runs) -> None:
    assert runs.redriven.keys() == {case for case in CASES if case.error}
    for run in runs.redriven.values():
        assert_it_ended_once(run.onboarding, COMPENSATED)
        assert run.world == COMPENSATED.leaves()


def test_whoever_was_not_provisioned_can_register_again(runs: Runs) -> None:
    assert runs.again.keys() == {case for case in CASES if case.failing}
    for case, run in runs.again.items():
        assert_it_ended_once(run.onboarding, ONBOARDED)
        assert run.world == ONBOARDED.leaves(), case


@pytest.mark.parametrize("system", ["crm", "billing"])
def test_a_creation_that_comes_after_the_deletion_is_refused(
    runs: Runs, workflow: FailingWorkflow, auditor: Auditor, partners: Mapping[str, Partner], system: str
) -> None:
    run = runs.first[next(case for case in CASES if case.what == "deleting resets")]
    late = {
        "customerId": run.customer_id,
        "correlationId": "late",
        "system": system,
        "account": {**run.customer, "accountId": "late"},
    }

    answer = workflow.provision(late)

    assert answer["errorType"] == "DownstreamRefused"
    assert partners[system].answers(run.customer_id)[-1] == "PUT 410"
    assert run.customer_id not in partners[system].accounts()
    assert run.customer_id in partners[system].tombstones()


def test_no_system_has_an_account_without_a_customer_or_lacks_one(runs: Runs, auditor: Auditor) -> None:
    all_runs = [*runs.first.values(), *runs.redriven.values(), *runs.again.values()]

    assert list(auditor.discrepancies([run.customer_id for run in all_runs])) == []
