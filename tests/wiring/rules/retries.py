"""Time-outs and retries, as Step Functions reads them."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from math import inf
from typing import Any

from benchmarks.outages import DRAWS, OUTAGES, attempts_of, lost, retrier_for, totals_of, waits_of
from cli.documents.workflow_picture import inner_machines
from tests.in_process.functions import deployed
from tests.wiring.definition import (
    AWAIT,
    INVOKE,
    PUT_EVENTS,
    UPDATE_ITEM,
    WAY_BACK,
    Machine,
    State,
    states,
    targets,
    tasks,
)
from tests.wiring.expressions import evaluate
from tests.wiring.rules.registry import rule

# The outages, in seconds, that 99 % of executions ride out: by task for any error, and for single errors.
TASK_SECONDS = 5 * 60
DOWNSTREAM_SECONDS = 4 * 60 * 60
RIDDEN_OUT_BY = {"ProvisionAccount": DOWNSTREAM_SECONDS, "DeprovisionAccount": DOWNSTREAM_SECONDS}
RIDDEN_OUT = {
    ("CreateAccount", "EmailClaimPending"): 12 * 60 * 60,
    ("ProvisionAccount", "DownstreamUnavailable"): DOWNSTREAM_SECONDS,
    ("DeprovisionAccount", "DownstreamUnavailable"): DOWNSTREAM_SECONDS,
    **{
        (task, error): 6 * 60 * 60
        for task in ("SendWelcomeEmail", "RequestConfirmation", "RemindCustomer")
        for error in ("EmailServiceUnavailable", "Lambda.TooManyRequestsException")
    },
}
# Retried after exactly so many seconds. SES reports a welcome e-mail by then; of a code's, three a day are all.
WAITED_FOR = {
    ("SendWelcomeEmail", "EmailOutcomeUnknown"): [3600, 3600],
    **{
        (task, error): [3600, 5 * 3600]
        for task in ("RequestConfirmation", "RemindCustomer")
        for error in ("EmailOutcomeUnknown", "Lambda.Unknown", "Sandbox.Timedout")
    },
}
MOST_AT_ONCE = 40  # iterations of an inline Map

# https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html, and a function's time-out, which is
# either of the last two, by its runtime.
TRANSIENT: dict[str, tuple[str, ...]] = {
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
TRANSIENT[AWAIT] = TRANSIENT[INVOKE][1:]
# What is no failure: the end of a wait, and a condition that doesn't hold.
OUTCOMES = {AWAIT: {"States.Timeout"}, UPDATE_ITEM: {"DynamoDB.ConditionalCheckFailedException"}}


def rides_out(retrier: Mapping[str, Any]) -> float:
    """The seconds that a retrier's waits take together in 99 % of all cases."""
    return totals_of(retrier)[DRAWS // 100]


def timeout_of(state: State) -> float:
    """A task's TimeoutSeconds; infinite without one."""
    return float(evaluate(state.get("TimeoutSeconds", inf), {}, {}))


def worst_case(state: State) -> float:
    """The longest that a state takes, in seconds; a Map with as many items as run at once."""
    waited = 0.0
    match state["Type"]:
        case "Task" if state["Resource"] == AWAIT:  # a try that fails ends with its function
            once, waited = float(deployed()[state["Arguments"]["FunctionName"]].timeout), timeout_of(state)
        case "Task":
            once = timeout_of(state)
        case "Map":
            once = max(longest_path(inner) for inner in inner_machines(state))
        case _:
            once = 0
    retriers = state.get("Retry", [])
    waited += sum(sum(waits_of(retrier)) for retrier in retriers)
    return float((1 + sum(map(attempts_of, retriers))) * once + waited)


def longest_path(machine: Machine) -> float:
    """The longest that a machine takes, in seconds."""

    def from_state(name: str, path: tuple[str, ...]) -> float:
        if name in path and (path[-1], name) != WAY_BACK:
            return inf
        state = machine["States"].get(name)
        if state is None:
            return 0
        ways = set(targets(state)) - {target for source, target in pairwise(path) if source == name}
        onward = (from_state(target, (*path, name)) for target in ways)
        return worst_case(state) + max(onward, default=0)

    return from_state(machine["StartAt"], ())


@rule
def each_task_has_a_timeout_and_a_comment(machine: Machine) -> Iterator[str]:
    for name, state in states(machine, "Task", "Map"):
        if state["Type"] == "Task" and timeout_of(state) == inf:
            yield f"{name} has no TimeoutSeconds"
        if state["Type"] == "Map" and not 1 <= state.get("MaxConcurrency", 0) <= MOST_AT_ONCE:
            yield f"{name} has no MaxConcurrency, or one of more than {MOST_AT_ONCE}"
        if not state.get("Comment"):
            yield f"{name} has no Comment"


@rule
def the_longest_path_fits_the_timeout_of_the_machine(machine: Machine) -> Iterator[str]:
    if longest_path(machine) > machine.get("TimeoutSeconds", 0):
        yield f"the longest path takes up to {longest_path(machine):g} s, more than TimeoutSeconds"


@rule
def each_task_waits_longer_than_its_function_may_run(machine: Machine) -> Iterator[str]:
    for name, state in tasks(machine, INVOKE, AWAIT):
        function = deployed().get(state["Arguments"]["FunctionName"])
        if function and timeout_of(state) <= function.timeout:
            yield f"{name} waits no longer than the {function.timeout} s of {function}"


@rule
def each_retry_backs_off_to_a_cap_with_full_jitter(machine: Machine) -> Iterator[str]:
    for name, state in states(machine):
        waiting = [error for task, error in WAITED_FOR if task == name]
        for retrier in (it for it in state.get("Retry", []) if it["ErrorEquals"] != waiting):
            first, most = retrier.get("IntervalSeconds", inf), retrier.get("MaxDelaySeconds", 0)
            backs_off = first < most and retrier.get("BackoffRate", 1) > 1 and "MaxAttempts" in retrier
            if attempts_of(retrier) and not (backs_off and retrier.get("JitterStrategy") == "FULL"):
                yield f"{name} does not back off to a cap, with full jitter and a number of attempts: {retrier}"


@rule
def what_is_unknown_is_waited_for(machine: Machine) -> Iterator[str]:
    for name, state in states(machine):
        for error, waits in ((error, waits) for (task, error), waits in WAITED_FOR.items() if task == name):
            retrier = retrier_for(state, error) or {}
            if waits_of(retrier) != waits or retrier.get("JitterStrategy", "NONE") != "NONE":
                yield f"{name} does not wait {waits} s after {error}: {retrier}"


@rule
def each_outage_is_ridden_out_as_long_as_promised(machine: Machine) -> Iterator[str]:
    for resource, errors in TRANSIENT.items():
        for name, state in tasks(machine, resource):
            promised = dict.fromkeys(errors, RIDDEN_OUT_BY.get(name, TASK_SECONDS))
            promised |= {error: seconds for (task, error), seconds in RIDDEN_OUT.items() if task == name}
            for error, seconds in promised.items():
                retrier = retrier_for(state, error)
                if not retrier or rides_out(retrier) < seconds:
                    yield f"{name} does not ride out {seconds} s of {error} in 99 % of cases"
                if any(lost(state, error, shorter) for shorter in OUTAGES.values() if shorter < seconds):
                    yield f"{name} loses some executions in an outage shorter than {seconds} s"
