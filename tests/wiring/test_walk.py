"""A broken definition is found: where a linter accepts it, and inside an array, a text or a Map."""

from typing import Any

import pytest

from tests.deployed.engine.matrix import EXPECTED
from tests.deployed.engine.world import WAYS
from tests.wiring import definition, report
from tests.wiring.rules import errors, publications, retries, saga, tasks  # noqa: F401 - they add their rules
from tests.wiring.rules.registry import RULES

BREAKS = [
    ("Items of an unknown variable", "DeprovisionAccounts/Items", "{% [$systems.system] %}"),
    ("an unknown variable in a text", "CancelAccount/Arguments/Payload/correlationId", "{% '' & $correlation %}"),
    ("a variable of the other path", "CancelAccount/Arguments/Payload/customerId", "{% $messageId %}"),
    ("a result that is missing", "CreateAccount/Arguments/Payload/customerId", "{% '' & $states.result.x %}"),
    ("an operator of a later JSONata", "ValidateCustomer/Assign/customer", "{% $registered ?? {} %}"),
    ("a misspelt key of an answer", "CreateAccount/Assign/accountId", "{% $states.result.Payload.acountId %}"),
    ("a refusal that is ignored", "ProvisionAccounts/Catch/0/Next", "ActivateAccount"),
    ("an outage that is compensated", "ProvisionAccounts/Catch/0/ErrorEquals", ["States.ALL"]),
    ("a system that stays provisioned", "ProvisionAccounts/Catch/0/Next", "CancelAccount"),
    ("the refusing system alone is compensated", "DeprovisionAccounts/Items", "{% [$refusedBy] %}"),
    ("an account that stays pending", "ProvisionAccounts/Next", "PublishCustomerAccountCreated"),
    ("another table's key", "ActivateAccount/Arguments/Key", {"id": {"S": "{% $customerId %}"}}),
]


def test_failure_matrix_has_each_task_and_catch() -> None:
    states = list(definition.states(definition.rendered()))
    caught = {error for _, state in states for it in state.get("Catch", []) for error in it["ErrorEquals"]}
    needed = caught | {name for name, state in states if state["Type"] == "Task"}
    known = {error for _, error in EXPECTED} | {task for way in WAYS for task in way.tasks}

    report.none_of(
        f"tests/deployed/engine: no Way in world.py, or EXPECTED in matrix.py, has {it}" for it in needed - known
    )


@pytest.mark.parametrize("broken", BREAKS, ids=lambda it: it[0])
def test_broken_definition_is_found(broken: tuple[str, str, Any]) -> None:
    machine = definition.changed(definition.rendered(), *broken[1:])

    assert any(problem for rule in RULES for problem in rule(machine))
