"""The names in ErrorEquals: who raises them, which are retried, which are caught."""

from collections.abc import Iterator

from benchmarks.outages import attempts_of, retrier_for
from cli.documents.workflow_picture import inner_machines
from tests.in_process.functions import business_errors, deployed, expected_errors
from tests.wiring.definition import AWAIT, INVOKE, Machine, State, error_names, states, tasks
from tests.wiring.rules.registry import rule
from tests.wiring.rules.retries import OUTCOMES, RIDDEN_OUT, TRANSIENT, WAITED_FOR

# Faults that no state names: they are retried like any other, logged as an ERROR, and fail the execution.
FAULTS = {"UnexpectedAnswer"}

# The wildcard in the last retrier. A wait for a task token ends by States.Timeout, which States.ALL would retry.
# https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
EVERYTHING = {AWAIT: "States.TaskFailed"}


@rule
def each_error_is_aws_s_or_one_that_its_function_expects(machine: Machine) -> Iterator[str]:
    for name, state, error in error_names(machine):
        resource = state.get("Resource", "")
        known = {EVERYTHING.get(resource, "States.ALL"), *TRANSIENT.get(resource, ()), *OUTCOMES.get(resource, ())}
        if error not in known | errors_of(state):
            yield (
                f"{name}: {error} is neither in @failures.logged of its function nor in TRANSIENT of "
                "tests/wiring/rules/retries.py"
            )


@rule
def each_business_error_is_retried_or_caught_by_its_name(machine: Machine) -> Iterator[str]:
    named = {error for _, _, error in error_names(machine)} | {error for _, error in RIDDEN_OUT}
    expected = {error for _, state in tasks(machine, INVOKE, AWAIT) for error in errors_of(state)}
    unnamed = business_errors().keys() - named - FAULTS
    yield from (f"nothing names {error} of onboarding/domain/errors.py" for error in unnamed)
    yield from (f"a function expects {error}, so that nobody is alarmed" for error in FAULTS & expected)


@rule
def each_error_of_a_function_has_its_own_retrier(machine: Machine) -> Iterator[str]:
    # Otherwise the wildcard would retry it, even an outcome.
    for name, state in tasks(machine, INVOKE, AWAIT):
        for error in errors_of(state):
            retrier = retrier_for(state, error)
            if (name, error) not in RIDDEN_OUT.keys() | WAITED_FOR and (not retrier or attempts_of(retrier)):
                yield f"{name} retries {error}, which is not in RIDDEN_OUT of tests/wiring/rules/retries.py"


@rule
def what_is_caught_is_not_retried(machine: Machine) -> Iterator[str]:
    for name, state in machine["States"].items():
        inner = [task for each in inner_machines(state) for _, task in states(each)]
        for error in (error for catcher in state.get("Catch", []) for error in catcher["ErrorEquals"]):
            for retrier in (retrier_for(each, error) for each in (state, *inner)):
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
    """The errors that a state's function expects; for a Map, those of its tasks."""
    function = deployed().get(state.get("Arguments", {}).get("FunctionName", ""))
    inner = (errors_of(task) for machine in inner_machines(state) for task in machine["States"].values())
    return (expected_errors(function) if function else frozenset()).union(*inner)
