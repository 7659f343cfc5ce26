"""What the tasks call, what they send, and where they lead."""

import json
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from unittest.mock import patch

from botocore.exceptions import ClientError
from pydantic import ValidationError

from onboarding.domain.models import Message
from tests import invocations
from tests.in_process import functions
from tests.in_process.functions import Function
from tests.wiring.calls import answer
from tests.wiring.definition import AWAIT, INVOKE, UPDATE_ITEM, Machine, states, targets, tasks
from tests.wiring.rules.registry import rule
from tests.wiring.walk import calls_of, walks


@rule
def each_expression_has_a_value(machine: Machine) -> Iterator[str]:
    for walk in walks(machine):
        yield from walk.problems


@rule
def each_state_and_transition_is_reached(machine: Machine) -> Iterator[str]:
    if any(walk.problems for walk in walks(machine)):
        return  # each_expression_has_a_value reports them
    entered = {name for walk in walks(machine) for name in walk.entered}
    taken = {way for walk in walks(machine) for way in walk.taken}
    for name, state in states(machine):
        if name not in entered:
            yield f"{name} is never reached"
        yield from (f"{name} never leads to {target}" for target in targets(state) if (name, target) not in taken)


@rule
def each_path_ends_in_a_named_end(machine: Machine) -> Iterator[str]:
    for walk in walks(machine):
        for end in walk.ends:
            if end.state["Type"] not in {"Succeed", "Fail"}:
                yield f"{' > '.join(end.path)} ends the workflow: end it in a Succeed or a Fail"


@rule
def each_payload_has_all_that_is_read(machine: Machine) -> Iterator[str]:
    """Fields with a default too: a default is for an earlier release's payload."""
    visits = [visit for walk in walks(machine) for visit in walk.visits if visit.function]
    for name, _ in tasks(machine, INVOKE, AWAIT):
        payloads = [visit.arguments["Payload"] for visit in visits if visit.name == name]
        called = {visit.arguments["FunctionName"] for visit in visits if visit.name == name}
        for model in map(task_model, map(functions.deployed().__getitem__, called)):
            for payload in payloads:
                try:
                    model.model_validate_json(json.dumps(payload), extra="forbid", by_name=False)
                except ValidationError as error:
                    yield f"{name}: {error}"
            fields = {str(field.alias) for field in model.model_fields.values()}
            for field in fields - {key for payload in payloads for key in payload}:
                yield f"{name} never sends {field}, a field of {model.__name__} in onboarding/domain/tasks.py"


@rule
def no_update_revives_a_cancelled_account(machine: Machine) -> Iterator[str]:
    """Nor an erased one."""
    for walk in walks(machine):
        by_function = {visit.function: visit for visit in walk.visits}
        cancelled = [by_function[name] for name in ("create_account", "cancel_account") if name in by_function]
        for visit in (it for it in walk.visits if it.state["Resource"] == UPDATE_ITEM):
            for before in ([], cancelled):
                with suppress(ClientError):
                    answer(calls_of((*before, visit)))
                    yield f"{visit.name}: its ConditionExpression accepts an account that is cancelled or missing"


@cache
def task_model(function: Function) -> type[Message]:
    """The model that the handler parses its event into."""
    samples = sorted((invocations.SAMPLES / function.package).glob("*.json"))
    assert samples, f"events/{function}: no sample invocation"
    event = json.loads(samples[0].read_text(encoding="utf-8"))
    models: list[type[Message]] = []

    def noted(model: type[Message], /, document: object) -> None:
        assert document == event
        models.append(model)
        raise InterruptedError

    with patch.object(Message, "model_validate", classmethod(noted)), suppress(InterruptedError):
        functions.invoke(function.package, event)
    assert models, f"functions/{function}/app.py parses its event into no Message"
    return models[0]
