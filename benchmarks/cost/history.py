"""What Step Functions bills of an execution, by its history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

_FAILURES = {"TaskFailed", "TaskTimedOut"}


def transitions(history: Sequence[Mapping[str, Any]], iterations: int = 0) -> Counter[str]:
    """State transitions, by the state of the machine itself; what a Map runs counts with the Map.

    Each state that is entered is one, also in an iteration of a Map, and so is each retry:
    https://aws.amazon.com/step-functions/pricing/. The emulator's history tells the tasks in a Map, yet not the states:
    each of the `iterations` enters a task, and each failure leads to one transition more, a retry or the Catch's state.
    Of an execution that an uncaught error in a Map has failed, that error is counted too.
    """
    found: Counter[str] = Counter()
    state, in_a_map = "", False
    for event in history:
        if "stateEnteredEventDetails" in event:
            state, in_a_map = event["stateEnteredEventDetails"]["name"], event["type"] == "MapStateEntered"
            # A Task's first try is its entry; TaskScheduled counts it.
            found[state] += 1 + iterations if in_a_map else int(event["type"] != "TaskStateEntered")
        elif event["type"] == ("TaskScheduled" if not in_a_map else "") or (in_a_map and event["type"] in _FAILURES):
            found[state] += 1
    return found
