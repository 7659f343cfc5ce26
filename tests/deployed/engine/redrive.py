"""RedriveExecution, which the emulator lacks: continue a failed execution at the state that failed.

As on AWS, that state has its input again, and the workflow's variables their values. A Map repeats all its iterations;
AWS repeats only the failed ones. So more is repeated here, which must do no harm.
https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from copy import deepcopy
from itertools import pairwise
from typing import Any

from tests.wiring.definition import State
from tests.wiring.expressions import evaluate


def redrivable(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The machine, made to start at any state; its input is what `where_it_failed` returns."""
    machine = deepcopy(dict(definition))
    names = {name for state in machine["States"].values() for name in _assigned(state)}
    machine["States"] |= {
        "Resume": {
            "Type": "Pass",
            "Assign": {name: f"{{% $states.input.variables.{name} %}}" for name in sorted(names)},
            "Output": "{% $states.input.input %}",
            "Next": "Where",
        },
        "Where": {
            "Type": "Choice",
            "Choices": [
                {"Condition": f"{{% $states.context.Execution.Input.state = '{name}' %}}", "Next": name}
                for name in machine["States"]
            ],
            "Default": machine["StartAt"],
        },
    }
    machine["StartAt"] = "Resume"
    return machine


def where_it_failed(definition: Mapping[str, Any], history: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Where a failed execution stopped: its last state, that state's input, and the variables."""
    states: Mapping[str, State] = definition["States"]
    variables: dict[str, Any] = {name: None for state in states.values() for name in _assigned(state)}
    entered = [
        event["stateEnteredEventDetails"] | {"at": event["timestamp"].isoformat()}
        for event in history
        if "stateEnteredEventDetails" in event
    ]
    exits = {
        event["stateExitedEventDetails"]["name"]: event["stateExitedEventDetails"]
        for event in history
        if "stateExitedEventDetails" in event
    }
    results, errors = _answers(history)
    for left, following in pairwise(entered):
        name, state = left["name"], states[left["name"]]
        context = {"State": {"Name": name, "EnteredTime": left["at"]}}
        given = {"input": json.loads(left["input"]), "result": results.get(name), "context": context}
        leaving = next(
            (catcher for catcher in state.get("Catch", []) if catcher["Next"] == following["name"]),
            state,
        )
        if leaving is not state:
            # A Map's iterations fail with more than what is caught.
            caught = [error for error in errors[name] if error["Error"] in leaving["ErrorEquals"]]
            given["errorOutput"] = caught[-1]
        elif state["Type"] == "Map":
            given["result"] = json.loads(exits[name]["output"])
        variables |= evaluate(leaving.get("Assign", {}), given, variables)
    last = entered[-1]
    return {"state": last["name"], "input": json.loads(last["input"]), "variables": variables}


def _answers(history: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """The last result and all errors of each state's tasks."""
    results: dict[str, Any] = {}
    errors: dict[str, list[dict[str, Any]]] = defaultdict(list)
    name = ""
    for event in history:
        if "stateEnteredEventDetails" in event:
            name = event["stateEnteredEventDetails"]["name"]
        elif "taskSucceededEventDetails" in event:
            results[name] = json.loads(event["taskSucceededEventDetails"]["output"])
        elif "taskFailedEventDetails" in event:
            failed = event["taskFailedEventDetails"]
            errors[name].append({"Error": failed["error"], "Cause": failed["cause"]})
    return results, errors


def _assigned(state: State) -> set[str]:
    return {name for leaving in (state, *state.get("Catch", [])) for name in leaving.get("Assign", {})}
