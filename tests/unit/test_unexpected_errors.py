"""An unexpected error of any function raises its alarm, which rolls its deployment back; an expected one doesn't.

The alarm counts lines of the function's log, so these tests apply the template's own filter to the log.
"""

from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any
from unittest.mock import patch

import pytest
from botocore.client import BaseClient
from pydantic import BaseModel

from tests.in_process.functions import Function, deployed, expected_errors, expected_types
from tests.invocations import sample
from tests.unit.deployment import RESOURCES, Functions, clients_of
from tests.unit.faults import DENIED, OUT_OF_REACH, raising
from tests.unit.filter_pattern import matches
from tests.unit.runtime import Runtime

DEPLOYED = {
    resource["Properties"]["Handler"].partition(".")[0]: resource["Properties"]
    for resource in RESOURCES.values()
    if resource["Type"] == "AWS::Serverless::Function"
}
# A sample of each function that calls AWS, with several messages where there are messages.
CALLS = dict.fromkeys(DEPLOYED, "plain") | {
    "start_onboarding": "same-registration-twice",
    "validate_customer": "valid",
    "provision_account": "http",
    "deprovision_account": "http",
    "track_onboarding": "onboarded-in-any-order-and-twice",
    "publish_email_feedback": "bounce",
    "detect_fraud": "phone-burst-in-any-order-and-twice",
    "record_analytics": "onboarded-in-any-order-and-twice",
    "get_analytics": "period",
}
# The alarms on expected errors that last or are many: the function, and what is counted.
ALARMING = {
    "DownstreamUnavailableAlarm": ("provision_account", {"DownstreamUnavailable"}),
    "DownstreamRefusalsAlarm": ("provision_account", {"DownstreamRefused"}),
    "EmailHeldUpAlarm": (
        "send_welcome_email",
        {"EmailServiceUnavailable", "EmailSenderBlocked", "EmailOutcomeUnknown"},
    ),
    "UndeliverableEmailsAlarm": ("send_welcome_email", {"EmailUndeliverable"}),
}

# What Lambda itself logs when a function can't: a time-out, no memory, a dead process, an error at import, a missing
# module.
# https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html
KILLED: list[dict[str, Any]] = [
    {"type": "platform.report", "record": {"requestId": "1", "status": "timeout"}},
    {"type": "platform.report", "record": {"requestId": "1", "status": "error", "errorType": "Runtime.OutOfMemory"}},
    {"type": "platform.report", "record": {"requestId": "1", "status": "error", "errorType": "Runtime.ExitError"}},
    {"type": "platform.initReport", "record": {"phase": "init", "status": "error"}},
    {"log_level": "ERROR", "errorType": "Runtime.ImportModuleError", "errorMessage": "No module named 'x'"},
]
# And after a function returned, or raised an outcome.
ALIVE: list[dict[str, Any]] = [
    {"type": "platform.report", "record": {"requestId": "1", "status": "success", "metrics": {}}},
    {"log_level": "ERROR", "errorType": "CustomerInvalid", "errorMessage": "[]", "requestId": "1"},
]


def pattern_behind(alarm: str, function: str) -> str:
    """The pattern of the filter behind the alarm, which reads the whole log of this function, in JSON."""
    watched, logging = RESOURCES[alarm]["Properties"], DEPLOYED[function]["LoggingConfig"]
    metrics = [it["MetricStat"]["Metric"] for it in watched.get("Metrics", []) if "MetricStat" in it] or [watched]
    (counting,) = (
        resource["Properties"]
        for resource in RESOURCES.values()
        if resource["Type"] == "AWS::Logs::MetricFilter"
        and logging == {"LogFormat": "JSON", "LogGroup": resource["Properties"]["LogGroupName"]}
        for metric in resource["Properties"]["MetricTransformations"]
        if (metric["MetricNamespace"], metric["MetricName"]) in [(it["Namespace"], it["MetricName"]) for it in metrics]
    )
    return str(counting["FilterPattern"])


def counted(function: str, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines that raise the alarm on unexpected errors, the first that rolls the function's deployment back."""
    _, (alarm, *_), _ = DEPLOYED[function]["DeploymentPreference"]["Alarms"]["Fn::If"]
    pattern = pattern_behind(alarm["Ref"], function)
    return [line for line in lines if matches(pattern, line)]


def unreadable(error: Exception) -> AbstractContextManager[Any]:
    """What the handler reads first raises the error."""
    return patch.multiple(BaseModel, model_validate=raising(error), model_validate_json=raising(error))


@pytest.mark.parametrize("error", [RuntimeError("a defect"), DENIED, OUT_OF_REACH[0]], ids=repr)
@pytest.mark.parametrize("function", DEPLOYED)
@pytest.mark.usefixtures("systems")
def test_each_failed_call_is_counted(
    function: str, error: Exception, functions: Functions, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BaseClient, "_make_api_call", raising(error))
    event = sample(f"{function}/{CALLS[function]}")
    calls_nothing = not list(clients_of(functions[function]))
    with unreadable(error) if calls_nothing else nullcontext(), suppress(Exception):  # no handler of messages raises
        runtime.invoke(function, event)

    is_outage = error is OUT_OF_REACH[0] and hasattr(functions[function], "systems")  # of their settings
    assert len(counted(function, runtime.log)) == (0 if is_outage else len(event.get("Records", [event]))), (
        f"functions/{function}/app.py must log each error (functions/onboarding/runtime), or CALLS here must call AWS"
    )


def fail_as_expected(function: Function, runtime: Runtime) -> None:
    """Have the function raise each error that it expects."""
    for error in expected_types(function):
        raised = type(error.__name__, (error,), {"__init__": lambda _: None, "__str__": lambda _: ""})()
        with unreadable(raised), suppress(error):
            runtime.invoke(function.package, sample(f"{function}/{CALLS[function.package]}"))


@pytest.mark.parametrize("function", deployed().values(), ids=str)
def test_no_expected_error_is_counted(function: Function, runtime: Runtime) -> None:
    fail_as_expected(function, runtime)

    assert {line["error"] for line in runtime.log if "error" in line} == expected_errors(function)
    assert counted(function.package, runtime.log) == []


@pytest.mark.parametrize("function", DEPLOYED)
def test_what_kills_a_function_is_counted(function: str) -> None:
    assert counted(function, KILLED + ALIVE) == KILLED


@pytest.mark.parametrize("alarm", ALARMING)
def test_alarm_counts_its_expected_errors(alarm: str, runtime: Runtime) -> None:
    name, errors = ALARMING[alarm]
    (function,) = (it for it in deployed().values() if it.package == name)
    fail_as_expected(function, runtime)
    pattern = pattern_behind(alarm, name)

    assert {line["error"] for line in runtime.log if matches(pattern, line)} == errors
