"""What functions and tables answer a workflow: its calls are made in turn on a new stack."""

import json
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

from tests.in_process import aws, functions, template
from tests.wiring.definition import UPDATE_ITEM


class Made(NamedTuple):
    """A task's call: of a function, by its ARN, or of DynamoDB. Its input is JSON."""

    target: str
    given: str


def make(call: Made) -> Any:
    """Return the call's answer; raises what the function or AWS raises."""
    given = json.loads(call.given)
    if call.target == UPDATE_ITEM:
        aws.client("dynamodb").update_item(**given)
        answer = aws.client("dynamodb").update_item(**given)  # a redrive may repeat it
        return {name: value for name, value in answer.items() if name != "ResponseMetadata"}
    return functions.invoke(functions.deployed()[call.target].package, given)


def answer(calls: tuple[Made, ...]) -> Any:
    """The last call's answer. Raises what that call raises."""
    *before, last = calls
    return _answer((*_concerning(before, _tables(last)), last))


def items_after(calls: tuple[Made, ...], logical_id: str) -> tuple[dict[str, Any], ...]:
    """The items in a table after the calls, in DynamoDB's JSON."""
    return _items_after(_concerning(calls, {template.name_of(logical_id)}), logical_id)


@cache
def _answer(calls: tuple[Made, ...]) -> Any:
    with aws.stack():
        return [make(call) for call in calls][-1]


@cache
def _items_after(calls: tuple[Made, ...], logical_id: str) -> tuple[dict[str, Any], ...]:
    with aws.stack():
        for call in calls:
            make(call)
        return tuple(aws.client("dynamodb").scan(TableName=template.name_of(logical_id))["Items"])


def _concerning(calls: Iterable[Made], tables: set[str]) -> tuple[Made, ...]:
    """The calls that use one of the tables: calls share nothing else."""
    return tuple(call for call in calls if _tables(call) & tables)


def _tables(call: Made) -> set[str]:
    """The names of the tables that a call uses."""
    if call.target == UPDATE_ITEM:
        return {json.loads(call.given)["TableName"]}
    names = set(map(template.name_of, template.resources("AWS::DynamoDB::Table")))
    return names & set(functions.deployed()[call.target].environment.values())
