"""Each task fails in each way, and everything that then exists of the customer is compared."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest

from onboarding.adapters.accounts import create_account
from onboarding.domain.customer import CustomerData
from tests.conftest import SUMMARY
from tests.customers import a_customer
from tests.deployed.definition import TASKS
from tests.deployed.engine.audit import (
    Auditor,
    assert_each_event_keeps_its_contract,
    assert_it_can_be_redriven,
    assert_it_ended_once,
)
from tests.deployed.engine.conftest import FailingWorkflow
from tests.deployed.engine.matrix import DISTINCT, EXPECTED, NATIVE_ERRORS, Row
from tests.deployed.engine.world import ONBOARDED, PUBLISHED, WAYS, World, in_one_system
from tests.deployed.onboardings import Onboarding

# Executions at a time: each has at most three functions at work, and the emulator runs 128.
AT_A_TIME = 4
# The same for those that hang beside them: they take longest, and no CPU time.
HANG_AT_A_TIME = 3


@dataclass(frozen=True)
class Run:
    """A customer's onboarding, and what existed of the customer at its end."""

    customer_id: str
    onboarding: Onboarding
    world: World


@dataclass
class Matrix:
    """Each row's runs: as it failed, redriven, and with the same customer registered again.

    `met` counts the planned faults that the row's task met.
    """

    failed: dict[Row, Run] = field(default_factory=dict)
    redriven: dict[Row, Run] = field(default_factory=dict)
    again: dict[Row, Run] = field(default_factory=dict)
    met: dict[Row, int] = field(default_factory=dict)
    seconds: float = 0


@pytest.fixture(scope="module")
def matrix(request: pytest.FixtureRequest, workflow: FailingWorkflow, auditor: Auditor) -> Matrix:
    """The selected rows, run a few at a time."""
    selected = {parameters["row"] for item in request.session.items if "row" in (parameters := _parameters(item))}
    done, began = Matrix(), time.monotonic()

    def run(row: Row) -> None:
        customer = a_customer(**row.way.customer)
        if row.way.taken:
            _give_to_another(customer["email"], auditor)
        machine = workflow.stand_ins.get(row.task.name, workflow.machine)
        customer_id = workflow.start(customer, row.faults, machine=machine, asks=row.way.asks)
        done.failed[row] = ended(customer_id, machine, customer)
        done.met[row] = workflow.faults_met(customer_id, row.faults, in_one_system(row.task.name))
        if row.failed_at:
            workflow.redrive(customer_id, machine, row.faults)
            done.redriven[row] = ended(customer_id, workflow.resuming, customer)
        if row.is_compensated:
            done.again[row] = ended(workflow.start(customer), workflow.machine, customer)

    def ended(customer_id: str, machine: str, customer: Mapping[str, Any]) -> Run:
        onboarding = workflow.onboardings.ended(customer_id, machine)
        return Run(customer_id, onboarding, auditor.world(customer_id, customer["email"], onboarding))

    rows = [row for row in DISTINCT if row in selected]
    with ThreadPoolExecutor(AT_A_TIME) as pool, ThreadPoolExecutor(HANG_AT_A_TIME) as waiting:
        running = [(waiting if row.failure.what == "hang" else pool).submit(run, row) for row in rows]
        for one in running:
            one.result()
    done.seconds = time.monotonic() - began
    return done


@pytest.mark.parametrize("row", DISTINCT, ids=str)
def test_failed_task_leaves_the_expected_world(row: Row, matrix: Matrix) -> None:
    run = matrix.failed[row]

    if row.failed_at and row.failure.error:
        assert_it_can_be_redriven(run.onboarding, row.failed_at.entered, row.failure.error)
    else:
        assert_it_ended_once(run.onboarding, row.way)
    failed_at = row.failed_at.name if row.failed_at else None
    assert run.world.certain(failed_at) == row.leaves.certain(failed_at)
    times = assert_each_event_keeps_its_contract(run.customer_id, run.onboarding)
    repeated = {PUBLISHED[row.task.name]} if row.failure.repeats and row.task.name in PUBLISHED else set()
    assert {detail_type for detail_type, count in times.items() if count > 1} == repeated
    assert matrix.met[row] == row.met


def test_redriven_execution_reaches_its_end(matrix: Matrix) -> None:
    assert matrix.redriven.keys() == {row for row in matrix.failed if row.failed_at}
    for row, run in matrix.redriven.items():
        assert_it_ended_once(run.onboarding, row.way)
        assert run.world == row.way.leaves(), str(row)
        assert_each_event_keeps_its_contract(run.customer_id, run.onboarding)


def test_refused_customer_can_register_again(matrix: Matrix) -> None:
    assert matrix.again.keys() == {row for row in matrix.failed if row.is_compensated}
    for row, run in matrix.again.items():
        assert_it_ended_once(run.onboarding, ONBOARDED)
        assert run.world == ONBOARDED.leaves(), str(row)


def test_systems_have_the_active_customers(matrix: Matrix, auditor: Auditor) -> None:
    runs = [*matrix.failed.values(), *matrix.redriven.values(), *matrix.again.values()]

    assert list(auditor.discrepancies([run.customer_id for run in runs])) == []


def test_each_task_fails_in_each_way(matrix: Matrix, record_property: Callable[[str, object], None]) -> None:
    """A new task needs a way in `world.py`, and a new service its errors in `matrix.py`."""
    assert {task for way in WAYS for task in way.tasks} == TASKS.keys()
    assert {task.integration for task in TASKS.values() if task.is_native} == NATIVE_ERRORS.keys()
    typed = {(task.name, error) for task in TASKS.values() for error in task.typed_errors}
    assert {(row.task.name, row.failure.error) for row in DISTINCT} >= typed | EXPECTED.keys()
    record_property(
        SUMMARY,
        f"Failures: {len(matrix.failed)} of {len(DISTINCT)}, in {len(TASKS)} tasks; redriven: {len(matrix.redriven)}; "
        f"registered again: {len(matrix.again)}; {matrix.seconds:.0f} s",
    )


def _give_to_another(email: str, auditor: Auditor) -> None:
    """Have another customer, whose account is active, hold the e-mail address."""
    customer, customer_id = CustomerData.model_validate(a_customer(email=email)), str(uuid4())
    create_account(customer_id, customer, dynamodb=auditor.dynamodb, table_name=auditor.table)
    auditor.dynamodb.update_item(
        TableName=auditor.table,
        Key={"pk": {"S": f"CUSTOMER#{customer_id}"}},
        UpdateExpression="SET #status = :active",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":active": {"S": "ACTIVE"}},
    )


def _parameters(item: pytest.Item) -> Mapping[str, Any]:
    """The parameters of a collected test."""
    return item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
