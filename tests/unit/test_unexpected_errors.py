"""An unexpected error of any function raises its alarm, which rolls its deployment back; an expected one doesn't.

The alarm counts lines of the function's log, so these tests apply the template's own filter to the log.
"""

from contextlib import suppress
from typing import Any

import pytest
from botocore.client import BaseClient
from pydantic import BaseModel

from onboarding.adapters import analytics
from onboarding.domain.errors import (
    CustomerInvalid,
    DownstreamRefused,
    DownstreamUnavailable,
    EmailAlreadyRegistered,
    EmailClaimPending,
    EmailSenderBlocked,
    EmailServiceUnavailable,
    EmailUndeliverable,
)
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
# A function, the name in its module that raises, and an error: an outcome, or one that is retried.
OUTCOMES = [
    ("validate_customer", "validate", CustomerInvalid([])),
    ("create_account", "create_account", EmailClaimPending()),
    ("create_account", "create_account", EmailAlreadyRegistered()),
    ("provision_account", "systems.connect", DownstreamRefused("crm", "HTTP 422")),
    ("provision_account", "systems.connect", DownstreamUnavailable()),
    ("deprovision_account", "systems.connect", DownstreamUnavailable()),
    ("send_welcome_email", "send_once", EmailUndeliverable()),
    ("send_welcome_email", "send_once", EmailSenderBlocked()),
    ("send_welcome_email", "send_once", EmailServiceUnavailable()),
    ("record_analytics", "analytics.record", analytics.Conflict()),
]

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
    watched = RESOURCES[alarm]["Properties"]
    (counting,) = (
        resource["Properties"]
        for resource in RESOURCES.values()
        if resource["Type"] == "AWS::Logs::MetricFilter"
        for metric in resource["Properties"]["MetricTransformations"]
        if (metric["MetricNamespace"], metric["MetricName"]) == (watched["Namespace"], watched["MetricName"])
    )
    logging = DEPLOYED[function]["LoggingConfig"]
    assert logging == {"LogFormat": "JSON", "LogGroup": counting["LogGroupName"]}
    return str(counting["FilterPattern"])


def counted(function: str, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines that raise the alarm on unexpected errors, the first that rolls the function's deployment back."""
    alarm, *_ = DEPLOYED[function].get("DeploymentPreference", {}).get("Alarms", [])
    pattern = pattern_behind(alarm["Ref"], function)
    return [line for line in lines if matches(pattern, line)]


@pytest.mark.parametrize("error", [RuntimeError("a defect"), DENIED, OUT_OF_REACH[0]], ids=repr)
@pytest.mark.parametrize("function", DEPLOYED)
@pytest.mark.usefixtures("systems")
def test_each_failed_call_is_counted(
    function: str, error: Exception, functions: Functions, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BaseClient, "_make_api_call", raising(error))
    if not list(clients_of(functions[function])):  # it calls nothing, but reads its input
        monkeypatch.setattr(BaseModel, "model_validate", raising(error))
    event = sample(f"{function}/{CALLS[function]}")
    with suppress(Exception):  # a handler of messages raises nothing
        runtime.invoke(function, event)

    is_outage = error is OUT_OF_REACH[0] and hasattr(functions[function], "systems")  # of their settings
    assert len(counted(function, runtime.log)) == (0 if is_outage else len(event.get("Records", [event]))), (
        f"functions/{function}/app.py must log each error (functions/onboarding/runtime), or CALLS here must call AWS"
    )


@pytest.mark.parametrize("case", OUTCOMES, ids=repr)
def test_no_expected_error_is_counted(
    case: tuple[str, str, Exception], functions: Functions, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    function, name, error = case
    owner, _, attribute = name.rpartition(".")
    module = functions[function]
    monkeypatch.setattr(getattr(module, owner) if owner else module, attribute, raising(error))
    with suppress(type(error)):
        runtime.invoke(function, sample(f"{function}/{CALLS[function]}"))

    assert runtime.log
    assert counted(function, runtime.log) == []


@pytest.mark.parametrize("function", DEPLOYED)
def test_what_kills_a_function_is_counted(function: str) -> None:
    assert counted(function, KILLED + ALIVE) == KILLED


@pytest.mark.parametrize(
    ("error", "is_counted"), [(EmailServiceUnavailable(), 1), (EmailSenderBlocked(), 1), (EmailUndeliverable(), 0)]
)
def test_delayed_email_is_counted(
    error: Exception, is_counted: int, functions: Functions, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workflow retries for hours while SES is down, so no execution fails."""
    monkeypatch.setattr(functions["send_welcome_email"], "send_once", raising(error))
    with suppress(type(error)):
        runtime.invoke("send_welcome_email", sample("send_welcome_email/plain"))
    pattern = pattern_behind("EmailHeldUpAlarm", "send_welcome_email")

    assert sum(matches(pattern, line) for line in runtime.log) == is_counted
