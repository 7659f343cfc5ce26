"""Time-outs, retries, and the arithmetic in the comments."""

import re
from collections.abc import Iterator
from math import inf
from typing import Any

from tests.wiring.definition import (
    INVOKE,
    PUT_EVENTS,
    UPDATE_ITEM,
    Machine,
    State,
    inner_machines,
    states,
    tasks,
    transitions,
)
from tests.wiring.functions import deployed
from tests.wiring.rules.registry import rule

DEFAULT_MAX_ATTEMPTS = 3
MOST_AT_ONCE = 40  # iterations of an inline Map
NOT_MATCHED_BY_ALL = frozenset({"States.DataLimitExceeded", "States.Runtime"})

# https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html, and a function's time-out, which is
# either of the last two, by its runtime.
TRANSIENT = {
    INVOKE: (
        "States.Timeout",
        "Lambda.ClientExecutionTimeoutException",
        "Lambda.ServiceException",
        "Lambda.AWSLambdaException",
        "Lambda.SdkClientException",
        "Lambda.TooManyRequestsException",
        "Lambda.Unknown",
        "Sandbox.Timedout",
    ),
    PUT_EVENTS: ("States.Timeout", "EventBridge.FailedEntry"),
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
    UPDATE_ITEM: (
        "States.Timeout",
        "DynamoDB.AmazonDynamoDBException",
        "DynamoDB.InternalServerError",
        "DynamoDB.ProvisionedThroughputExceededException",
        "DynamoDB.RequestLimitExceeded",
        "DynamoDB.ThrottlingException",
        "DynamoDB.TransactionConflictException",
    ),
}


def retrier_for(state: State, error: str) -> State | None:
    """The retrier that Step Functions takes for an error: the first that matches."""
    return next((retrier for retrier in state.get("Retry", []) if matches(retrier["ErrorEquals"], error)), None)


def matches(error_equals: list[str], error: str) -> bool:
    """Whether an ErrorEquals matches an error.

    https://states-language.net/#error-names
    """
    return (
        error in error_equals
        or ("States.ALL" in error_equals and error not in NOT_MATCHED_BY_ALL)
        or ("States.TaskFailed" in error_equals and error != "States.Timeout")
    )


def attempts_of(retrier: State) -> int:
    return int(retrier.get("MaxAttempts", DEFAULT_MAX_ATTEMPTS))


def waits_of(retrier: State) -> float:
    """The longest that all the waits of a retrier take together, in seconds: no jitter, each up to its cap."""
    first, rate = float(retrier.get("IntervalSeconds", 1)), float(retrier.get("BackoffRate", 2))
    return sum(
        min(first * rate**attempt, float(retrier.get("MaxDelaySeconds", inf)))
        for attempt in range(attempts_of(retrier))
    )


def worst_case(state: State) -> float:
    """The longest that a state takes, in seconds: every try times out, and every retrier is used up.

    Of a Map, it is the time for as many items as are in work at once.
    """
    match state["Type"]:
        case "Task":
            once = state.get("TimeoutSeconds", inf)
        case "Map" | "Parallel":
            once = max(longest_path(inner) for inner in inner_machines(state))
        case "Wait":
            once = state.get("Seconds", inf)
        case _:
            once = 0
    retriers = state.get("Retry", [])
    return float((1 + sum(map(attempts_of, retriers))) * once + sum(map(waits_of, retriers)))


def longest_path(machine: Machine) -> float:
    """The longest that a machine takes, in seconds."""

    def from_state(name: str, path: tuple[str, ...]) -> float:
        if name in path:
            return inf
        state = machine["States"].get(name)
        if state is None:
            return 0
        onward = (from_state(transition.target, (*path, name)) for transition in transitions(state))
        return worst_case(state) + max(onward, default=0)

    return from_state(machine["StartAt"], ())


@rule
def each_task_has_a_timeout(machine: Machine) -> Iterator[str]:
    for name, state in states(machine, "Task"):
        if not isinstance(state.get("TimeoutSeconds"), int):
            yield f"{name} has no TimeoutSeconds"


@rule
def each_task_says_its_worst_case(machine: Machine) -> Iterator[str]:
    for name, state in states(machine, "Task", "Map", "Parallel"):
        says = re.search(r"[Ww]orst case (\d+) s\b", state.get("Comment", ""))
        if not says or int(says[1]) != worst_case(state):
            yield f"{name} takes at most {worst_case(state):g} s, and its Comment doesn't say so"


@rule
def each_map_says_for_how_many_items_its_worst_case_is(machine: Machine) -> Iterator[str]:
    for name, state in states(machine, "Map"):
        at_once = state.get("MaxConcurrency", 0)
        says = re.search(r"[Ww]orst case \d+ s for each (\d+) ", state.get("Comment", ""))
        if not 1 <= at_once <= MOST_AT_ONCE or not says or int(says[1]) != at_once:
            yield f"{name} has {at_once} items in work at once, and its Comment doesn't say so"


@rule
def each_task_shows_how_its_worst_case_adds_up(machine: Machine) -> Iterator[str]:
    for name, state in states(machine, "Task"):
        attempts = 1 + sum(map(attempts_of, state.get("Retry", [])))
        terms = _terms(state.get("Comment", ""))
        if (attempts, state.get("TimeoutSeconds")) not in terms or not _adds_up(terms):
            yield f"{name}: {attempts} attempts and their waits don't add up in its Comment"


@rule
def the_machine_says_its_longest_path_and_how_it_adds_up(machine: Machine) -> Iterator[str]:
    comment = machine.get("Comment", "")
    says = re.search(r"worst case of the longest path, (\d+) s\b", comment)
    if not says or int(says[1]) != longest_path(machine) or not _adds_up(_terms(comment)):
        yield f"the longest path takes at most {longest_path(machine):g} s, and the Comment doesn't say so"


@rule
def the_longest_path_fits_the_timeout_of_the_machine(machine: Machine) -> Iterator[str]:
    if longest_path(machine) > machine.get("TimeoutSeconds", 0):
        yield f"the longest path takes at most {longest_path(machine):g} s, more than TimeoutSeconds"


@rule
def each_task_waits_longer_than_its_function_may_run(machine: Machine) -> Iterator[str]:
    for name, state in tasks(machine, INVOKE):
        function = deployed().get(state["Arguments"]["FunctionName"])
        if function and state.get("TimeoutSeconds", inf) <= function.timeout:
            yield f"{name} waits no longer than the {function.timeout} s of {function}"


@rule
def each_retry_backs_off_to_a_cap_with_full_jitter(machine: Machine) -> Iterator[str]:
    for name, state in states(machine):
        for retrier in state.get("Retry", []):
            if attempts_of(retrier) and not _backs_off(retrier):
                yield f"{name}: {retrier}"


@rule
def each_transient_error_of_aws_is_retried(machine: Machine) -> Iterator[str]:
    for resource, errors in TRANSIENT.items():
        for name, state in tasks(machine, resource):
            for error in errors:
                retrier = retrier_for(state, error)
                if not retrier or not attempts_of(retrier):
                    yield f"{name} does not retry {error}"


def _backs_off(retrier: dict[str, Any]) -> bool:
    return (
        retrier.keys() >= {"IntervalSeconds", "MaxAttempts", "MaxDelaySeconds"}
        and retrier["MaxDelaySeconds"] > retrier["IntervalSeconds"]
        and retrier.get("BackoffRate", 1) > 1
        and retrier.get("JitterStrategy") == "FULL"
    )


def _terms(comment: str) -> list[tuple[int, int]]:
    """The numbers of seconds in a comment, in order, each with how often it counts: `9 attempts x 10 s`, `183 s`."""
    return [(int(times or 1), int(seconds)) for times, seconds in re.findall(r"(?:(\d+) \w+ x )?(\d+) s\b", comment)]


def _adds_up(terms: list[tuple[int, int]]) -> bool:
    """Whether the first is the sum of the others."""
    return bool(terms) and terms[0][1] == sum(times * seconds for times, seconds in terms[1:])
