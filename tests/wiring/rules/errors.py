"""The names in ErrorEquals: who raises them, what is retried, what is caught."""

from collections.abc import Iterator

from tests.in_process.functions import business_errors, deployed, expected_errors
from tests.wiring.definition import INVOKE, Machine, State, error_names, states, tasks
from tests.wiring.rules.registry import rule
from tests.wiring.rules.retries import TRANSIENT, TRANSIENT_SECONDS, attempts_of, retrier_for, waits_of

# What goes away, if not soon: at least so many seconds the waits before the retries add up to.
RIDDEN_OUT = {
    "DownstreamUnavailable": TRANSIENT_SECONDS,
    "EmailServiceUnavailable": 6 * 60 * 60,
    "IdempotencyAlreadyInProgressError": TRANSIENT_SECONDS,
}


@rule
def each_error_is_aws_s_or_one_that_its_function_expects(machine: Machine) -> Iterator[str]:
    for name, state, error in error_names(machine):
        if error not in {"States.ALL", *TRANSIENT.get(state.get("Resource", ""), ()), *errors_of(state)}:
            yield (
                f"{name}: {error} is neither in @failures.logged of its function nor in TRANSIENT of "
                "tests/wiring/rules/retries.py"
            )


@rule
def each_business_error_has_a_task_that_names_it(machine: Machine) -> Iterator[str]:
    named = {error for _, _, error in error_names(machine)}
    yield from (f"nothing names {error} of onboarding/domain/errors.py" for error in business_errors().keys() - named)


@rule
def each_error_of_a_function_has_its_own_retrier(machine: Machine) -> Iterator[str]:
    # Else States.ALL would decide how often it is tried again, if at all: an outcome is not.
    for name, state in tasks(machine, INVOKE):
        for error in errors_of(state):
            retrier = retrier_for(state, error)
            if not retrier or error not in retrier["ErrorEquals"]:
                yield f"{name}: no Retry names {error}, which its function expects"
            elif error not in RIDDEN_OUT and attempts_of(retrier):
                yield f"{name} retries {error}, which is not in RIDDEN_OUT of tests/wiring/rules/errors.py"
            elif waits_of(retrier) < RIDDEN_OUT.get(error, 0):
                yield f"{name} does not retry {error} for {RIDDEN_OUT[error]} s"


@rule
def what_is_caught_is_not_retried(machine: Machine) -> Iterator[str]:
    # Inside a Map an iteration catches what its retries could not mend (rules/saga.py).
    for name, state in machine["States"].items():
        for catcher in state.get("Catch", []):
            for error in catcher["ErrorEquals"]:
                retrier = retrier_for(state, error)
                if retrier and attempts_of(retrier):
                    yield f"{name} retries {error}, which it catches"


@rule
def no_error_is_named_in_vain(machine: Machine) -> Iterator[str]:
    for name, state in states(machine):
        for rules in (state.get("Retry", []), state.get("Catch", [])):
            names = [error for each in rules for error in each["ErrorEquals"]]
            if ["States.ALL"] not in [each["ErrorEquals"] for each in rules] and "States.ALL" in names:
                yield f"{name}: States.ALL is not alone"
            yield from (f"{name}: the second {error} never matches" for error in set(names) if names.count(error) > 1)


def errors_of(state: State) -> frozenset[str]:
    """What the function that a state calls expects to raise."""
    function = deployed().get(state.get("Arguments", {}).get("FunctionName", ""))
    return expected_errors(function) if function else frozenset()
