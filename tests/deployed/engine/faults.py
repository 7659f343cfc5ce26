"""Runs in Lambda in place of a task's handler: fails as planned for the customer, then does the real work.

A plan is a file in the folder FAULTS with a fault a line, named `{customerId} {task}`, or for one system
`{customerId} {task} {system}`. Each call takes the next fault, if any.
"""

import json
import os
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from onboarding.runtime import aws

MODULE, _, FUNCTION = os.environ["REAL_HANDLER"].rpartition(".")
real_handler = getattr(import_module(MODULE), FUNCTION)
dynamodb = aws.client("dynamodb")


def handler(event: dict[str, Any], context: Any) -> object:
    """Fail as planned, or do the real work.

    A fault is `raise NAME`, `work, then raise NAME`, `work, confirm, then raise NAME`, `hang`, `exit`,
    `work, then exit`, `exit after MODULE.FUNCTION` or `work twice`. Without one, a customer who is asked to confirm the
    e-mail address does so at once.
    """
    match _next_fault(event).split():
        case ["raise", name]:
            raise _error(name, event)
        case ["work,", "then", "raise", name]:
            real_handler(event, context)
            raise _error(name, event)
        case ["work,", "confirm,", "then", "raise", name]:
            real_handler(event, context)
            _confirm(event)
            raise _error(name, event)
        case ["hang"]:
            time.sleep(60)
        case ["exit"]:
            os._exit(1)
        case ["work,", "then", "exit"]:
            real_handler(event, context)
            os._exit(1)
        case ["exit", "after", name]:
            _exit_after(name)
        case ["work", "twice"]:
            real_handler(event, context)
    answer = real_handler(event, context)
    if "taskToken" in event:
        _confirm(event)
    return answer


def _confirm(event: dict[str, Any]) -> None:
    """Do what the API does for the right code."""
    dynamodb.update_item(
        TableName=os.environ["IDEMPOTENCY_TABLE"],
        Key={"id": {"S": f"email_confirmation#{event['customerId']}"}},
        UpdateExpression="SET confirmedAt = :now",
        ExpressionAttributeValues={":now": {"S": "2026-11-23T10:30:42Z"}},
    )


def _error(name: str, event: dict[str, Any]) -> Exception:
    """An error of that name, with DownstreamRefused's message, which the workflow reads."""
    message = json.dumps({"system": event.get("system"), "answer": "planned"})
    error: Exception = type(name, (Exception,), {})(message)
    return error


def _exit_after(name: str) -> None:
    """End the process once the function of that name returns."""
    module_name, _, function_name = name.rpartition(".")
    module = import_module(module_name)
    function = getattr(module, function_name)

    def call_and_exit(*arguments: object, **named: object) -> None:
        function(*arguments, **named)
        os._exit(1)

    setattr(module, function_name, call_and_exit)


def _next_fault(event: dict[str, Any]) -> str:
    task = event.get("task") or os.environ["TASK"]
    plan = Path(os.environ["FAULTS"], " ".join(filter(None, (event["customerId"], task, event.get("system")))))
    if not plan.exists():
        return ""
    fault, _, rest = plan.read_text(encoding="utf-8").partition("\n")
    plan.write_text(rest, encoding="utf-8")
    return fault
