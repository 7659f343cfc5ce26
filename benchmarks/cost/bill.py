"""The billable units of a registration as it was measured, and what is billed each month in any case."""

from __future__ import annotations

from collections import Counter

from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

from benchmarks.cost.measurement import Measurement, Registration, Work
from benchmarks.cost.prices import A_SECRET_A_MONTH, MONTHLY, PRICES, Unit, Units
from local import PROJECT

# SQS bills each 64 KiB as a request, EventBridge as an event; what is sent here is far smaller, so that each is one.
REQUESTS_PER_MESSAGE = 3  # to send, to receive and to delete it: a batch of one
# What Lambda logs of each invocation in JSON, platform.start and platform.report, about:
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html
LAMBDAS_LINES, LAMBDAS_BYTES = 2, 600
# What Step Functions logs of each event of the history, without its data, about:
# https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
HISTORY_EVENT_BYTES = 400
# What CloudWatch Logs adds to each event:
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
LOG_EVENT_BYTES = 26
MEGABYTES_IN_A_GB = 1024

# Lambda reads a queue by five long polls of 20 s at a time, also where nothing comes:
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
POLLERS, POLL_SECONDS = 5, 20
SECONDS_A_MONTH = 30 * 24 * 3600


def units(registration: Registration, measurement: Measurement) -> Units:
    """What AWS bills of a registration on the deployed workflow."""
    work = works(registration)
    return added(
        *(function_units(name, one, measurement) for name, one in work.items()),
        around(registration),
        {
            Unit.TRANSITION: sum(registration.transitions.values()),
            Unit.SQS_REQUEST: REQUESTS_PER_MESSAGE * sum(registration.messages.values()) + registration.commands,
            Unit.WRITE: registration.native_writes,
            Unit.LOG_BYTE: history_bytes(registration),
        },
    )


def around(registration: Registration) -> Units:
    """What is the same whatever does the work: the API, the events and their archive, the e-mail."""
    return {
        Unit.API_REQUEST: 1,
        Unit.EVENT: registration.events,
        Unit.ARCHIVED_BYTE: registration.bytes_published,
        Unit.MAIL: registration.mails,
    }


def works(registration: Registration) -> dict[str, Work]:
    """What each function does. One that reads a queue is invoked for each message: batches are fewer."""
    return {
        name: _by_message(work, registration.messages[name]) if name in registration.messages else work
        for name, work in registration.functions.items()
    }


def _by_message(work: Work, messages: float) -> Work:
    seconds = work.seconds / work.invocations * messages
    return work.model_copy(update={"invocations": messages, "seconds": seconds})


def function_units(name: str, work: Work, measurement: Measurement) -> Units:
    """What AWS bills of a function's work: Lambda, its logs, and what it calls of DynamoDB."""
    lines = work.log_lines + work.invocations * LAMBDAS_LINES
    return {
        Unit.INVOCATION: work.invocations,
        Unit.LAMBDA_GB_SECOND: work.seconds * measurement.memory[name] / MEGABYTES_IN_A_GB,
        Unit.WRITE: work.writes,
        Unit.READ: work.reads,
        Unit.LOG_BYTE: work.log_bytes + work.invocations * LAMBDAS_BYTES + lines * LOG_EVENT_BYTES,
    }


def history_bytes(registration: Registration) -> float:
    """Bytes of the workflow's log, at the level ALL and without data."""
    return registration.history_events * (HISTORY_EVENT_BYTES + LOG_EVENT_BYTES)


def added(*several: Units) -> dict[Unit, float]:
    """All of these together."""
    together: dict[Unit, float] = dict.fromkeys(Unit, 0.0)
    for one in several:
        for unit, number in one.items():
            together[unit] += number
    return {unit: number for unit, number in together.items() if number}


def status_request(measurement: Measurement) -> Units:
    """What AWS bills of one look at the status of an onboarding."""
    work = function_units("GetOnboardingFunction", measurement.status_request, measurement)
    return added(work, {Unit.API_REQUEST: 1})


def monthly() -> dict[str, float]:
    """US dollars a month for what is in the template, used or not, by what it is; without its options."""
    resources = yaml_parse((PROJECT / "template.yaml").read_text(encoding="utf-8"))["Resources"].values()
    # What stands under a condition is an option.
    there = Counter(resource["Type"] for resource in resources if "Condition" not in resource)
    events = (event for resource in resources for event in resource["Properties"].get("Events", {}).values())
    queues = sum(event["Type"] == "SQS" for event in events)
    polls = queues * POLLERS * SECONDS_A_MONTH / POLL_SECONDS
    found = {f"{queues} queues that functions poll, {polls:,.0f} requests": PRICES[Unit.SQS_REQUEST].of(polls)}
    for resource, price in MONTHLY.items():
        if there[resource]:
            found[f"{there[resource]} x `{resource}`"] = there[resource] * price
    return {**found, "a downstream system's secret, each": A_SECRET_A_MONTH}
