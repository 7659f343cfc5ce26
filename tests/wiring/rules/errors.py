"""The names in ErrorEquals: who raises them, what is retried, what is caught."""

from collections.abc import Iterator

from tests.wiring.definition import INVOKE, Machine, State, error_names, states, tasks
from tests.wiring.functions import business_errors, deployed, expected_errors, library_raises, raised_errors
from tests.wiring.rules.registry import rule
from tests.wiring.rules.retries import attempts_of, retrier_for

# https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html and .../connect-lambda.html
OF_AWS = frozenset(
    {
        "DynamoDB.AmazonDynamoDBException",
        "DynamoDB.ConditionalCheckFailedException",
        "DynamoDB.InternalServerError",
        "DynamoDB.ProvisionedThroughputExceededException",
        "DynamoDB.RequestLimitExceeded",
        "DynamoDB.ThrottlingException",
        "DynamoDB.TransactionConflictException",
        "EventBridge.FailedEntry",
        "Lambda.AWSLambdaException",
        "Lambda.ClientExecutionTimeoutException",
        "Lambda.SdkClientException",
        "Lambda.ServiceException",
        "Lambda.TooManyRequestsException",
        "Lambda.Unknown",
        "Sandbox.Timedout",
        "States.ALL",
        "States.DataLimitExceeded",
        "States.ExceedToleratedFailureThreshold",
        "States.HeartbeatTimeout",
        "States.ItemReaderFailed",
        "States.Permissions",
        "States.QueryEvaluationError",
        "States.ResultWriterFailed",
        "States.Runtime",
        "States.TaskFailed",
        "States.Timeout",
    }
)
CATCH_ALL = frozenset({"States.ALL", "States.TaskFailed"})


@rule
def each_error_is_aws_s_or_one_that_the_function_raises(machine: Machine) -> Iterator[str]:
    for name, state, error in error_names(machine):
        if error not in OF_AWS and error not in errors_of(state):
            yield f"{name}: nothing raises {error}"


@rule
def each_business_error_is_named_where_it_is_raised(machine: Machine) -> Iterator[str]:
    named = {(name, error) for name, _, error in error_names(machine)}
    for name, state in tasks(machine, INVOKE):
        for error in errors_of(state) & business_errors().keys():
            if (name, error) not in named:
                yield f"{name} does not name {error}"


@rule
def each_business_error_has_a_task_that_names_it(machine: Machine) -> Iterator[str]:
    named = {error for _, _, error in error_names(machine)}
    yield from (f"nothing names {error}" for error in business_errors() if error not in named)


@rule
def each_named_error_of_a_function_has_a_retrier_of_its_own(machine: Machine) -> Iterator[str]:
    # Else States.ALL would decide how often, whatever the error means.
    for name, state in tasks(machine, INVOKE):
        for error in errors_of(state):
            retrier = retrier_for(state, error)
            if not retrier or error not in retrier["ErrorEquals"]:
                yield f"{name}: no retrier names {error}"


@rule
def what_the_workflow_catches_is_not_retried(machine: Machine) -> Iterator[str]:
    # Inside a Map an iteration catches what its retries could not mend (rules/saga.py).
    for name, state in machine["States"].items():
        for catcher in state.get("Catch", []):
            for error in catcher["ErrorEquals"]:
                retrier = retrier_for(state, error)
                if retrier and attempts_of(retrier):
                    yield f"{name} retries {error}, which it catches"


@rule
def what_is_not_caught_by_name_is_not_caught(machine: Machine) -> Iterator[str]:
    for name, state in states(machine):
        for catcher in state.get("Catch", []):
            for error in CATCH_ALL & set(catcher["ErrorEquals"]):
                yield f"{name} catches {error}: what nobody foresaw could not be redriven"


@rule
def the_match_for_all_errors_stands_alone_and_last(machine: Machine) -> Iterator[str]:
    for name, state in states(machine):
        for rules in (state.get("Retry", []), state.get("Catch", [])):
            for position, each in enumerate(rules, start=1):
                if "States.ALL" in each["ErrorEquals"] and (len(each["ErrorEquals"]) > 1 or position < len(rules)):
                    yield f"{name}: States.ALL is not alone, or not last"


@rule
def no_error_is_named_twice_in_one_list(machine: Machine) -> Iterator[str]:
    for name, state in states(machine):
        for rules in (state.get("Retry", []), state.get("Catch", [])):
            names = [error for each in rules for error in each["ErrorEquals"]]
            yield from (f"{name}: the second {error} never matches" for error in set(names) if names.count(error) > 1)


def errors_of(state: State) -> frozenset[str]:
    """What the handler expects and its code, or a library's that it imports, really raises."""
    function = deployed().get(state.get("Arguments", {}).get("FunctionName", ""))
    if not function:
        return frozenset()
    return frozenset(
        error
        for error in expected_errors(function)
        if error in raised_errors(function) or library_raises(function, error)
    )
