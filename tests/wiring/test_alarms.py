"""What watches the stack: alarms, their filters, the dashboard. On the emulator no alarm ever goes off."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest

from cli import PROJECT
from tests.in_process import functions, template
from tests.project.test_pages import anchors
from tests.wiring import report
from tests.wiring.definition import MACHINES
from tests.wiring.test_consumers import BLOCKS, ids
from tests.wiring.test_resources import dead_letter_queues

OWN = "CustomerOnboarding"

# AWS's metrics that are used here, with their dimensions.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
# https://docs.aws.amazon.com/ses/latest/dg/reputationdashboard-cloudwatch-alarm.html
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
# https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
EXECUTIONS = "ExecutionsStarted ExecutionsSucceeded ExecutionsFailed ExecutionsTimedOut ExecutionsAborted"
AWS_METRICS: Mapping[str, tuple[str, set[tuple[str, ...]]]] = {
    "AWS/ApiGateway": ("Count 4XXError 5XXError Latency", {("ApiName", "Stage")}),
    "AWS/DynamoDB": ("ReadThrottleEvents WriteThrottleEvents", {("TableName",)}),
    "AWS/Lambda": ("Errors Throttles Invocations", {(), ("FunctionName",)}),
    "AWS/SES": ("Reputation.BounceRate Reputation.ComplaintRate", {()}),
    "AWS/SQS": (
        "ApproximateNumberOfMessagesVisible ApproximateAgeOfOldestMessage NumberOfMessagesSent",
        {("QueueName",)},
    ),
    "AWS/States": (f"{EXECUTIONS} ExecutionThrottled ExecutionTime", {("StateMachineArn",)}),
}


# The keys of a function's log lines: Powertools', ours and Lambda's.
# https://docs.aws.amazon.com/powertools/python/latest/core/logger/#standard-structured-keys
# https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html
LOGGED = {
    *("level", "message", "function_name", "exception_name", "customer_id", "correlation_id"),
    *("@timestamp", "errorType", "type", "record.status", "record.errorType"),
}


class Metric(NamedTuple):
    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()

    @property
    def is_aws_s(self) -> bool:
        names, dimensions = AWS_METRICS.get(self.namespace, ("", set()))
        return self.name in names.split() and tuple(key for key, _ in self.dimensions) in dimensions


def alarms(confirmation: str = "none") -> dict[str, template.Document]:
    with patch.dict(template.CHOSEN, EmailConfirmation=confirmation):
        return dict(template.resolve(template.written_resources("AWS::CloudWatch::Alarm")))


def objectives() -> dict[str, template.Document]:
    """The alarms that page, each made of conditions: other alarms, which notify nobody."""
    return dict(template.resources("AWS::CloudWatch::CompositeAlarm"))


def conditions(objective: template.Document) -> set[str]:
    return {name.rpartition(":")[2] for name in re.findall(r'ALARM\("([^"]+)"\)', objective["AlarmRule"])}


def watched(confirmation: str = "none") -> Iterator[tuple[str, Metric]]:
    """Each alarm with each of its metrics."""
    for name, alarm in alarms(confirmation).items():
        math = [query["MetricStat"]["Metric"] for query in alarm.get("Metrics", []) if "MetricStat" in query]
        for it in math or [alarm]:
            dimensions = sorted((dimension["Name"], dimension["Value"]) for dimension in it.get("Dimensions", []))
            yield name, Metric(it["Namespace"], it["MetricName"], tuple(dimensions))


def dashboard() -> list[template.Document]:
    """The widgets."""
    (found,) = template.resources("AWS::CloudWatch::Dashboard").values()
    return list(json.loads(found["DashboardBody"])["widgets"])


def shown() -> Iterator[Metric]:
    """The metrics of the dashboard; a dimension that it searches for has no value."""
    for widget in dashboard():
        for line in widget["properties"].get("metrics", []):
            *names, options = line if isinstance(line[-1], dict) else [*line, {}]
            if search := re.match(r"SEARCH\('\{([^}]+)\} MetricName=\"(\w+)\"", options.get("expression", "")):
                namespace, *keys = search[1].split(",")
                yield Metric(namespace, search[2], tuple((key, "") for key in sorted(keys)))
            else:
                namespace, name, *pairs = names
                yield Metric(namespace, name, tuple(sorted(zip(pairs[::2], pairs[1::2], strict=True))))


def of_this_stack() -> set[str]:
    """The dimensions' values in the metrics of this stack's resources."""
    names = {
        template.name_of(name)
        for kind in ("Function", "Api")
        for name in template.resources(f"AWS::Serverless::{kind}")
    }
    queues = set(map(template.name_of, template.resources("AWS::SQS::Queue")))
    machines = set(map(template.arn_of, template.resources("AWS::Serverless::StateMachine")))
    return {"v1", *names, *queues, *machines}


def test_each_alarm_links_to_its_runbook_section() -> None:
    sections = {f"docs/runbook.md#{anchor}" for anchor in anchors(PROJECT / "docs/runbook.md")}
    problems = []
    for name, alarm in (alarms() | objectives()).items():
        said, _, link = alarm["AlarmDescription"].partition(" Runbook: ")
        if not said.endswith(".") or link not in sections:
            problems.append(f"{name}: AlarmDescription has no sentence, or docs/runbook.md no section {link}")
        # SES reports the reputation only while it sends; in between, it stays as it was.
        missing = "ignore" if alarm.get("Namespace") == "AWS/SES" else "notBreaching"
        if name in alarms() and alarm.get("TreatMissingData") != missing:
            problems.append(f"{name}: TreatMissingData raises it when nothing happens")
    report.none_of(f"template.yaml: {problem}" for problem in problems)


def test_only_objectives_page() -> None:
    """Their conditions notify nobody, every other alarm the topic of tickets; both when it starts and when it ends."""
    quiet = set().union(*map(conditions, objectives().values()))
    with template.given({"AlarmTopicArn": "pager", "TicketTopicArn": "tickets"}):
        made = template.resolve(template.transformed()["Resources"])
    for name, alarm in ((name, made[name]["Properties"]) for name in (alarms() | objectives())):
        topics = ["pager"] if name in objectives() else [] if name in quiet else ["tickets"]
        assert [alarm.get(actions, []) for actions in ("AlarmActions", "OKActions")] == [topics] * 2, name
    assert len(objectives()) == 2


def evaluated(text: str, values: Mapping[str, Any]) -> Any:
    """An expression of metric math or an alarm rule, whose syntax is Python's but for AND and OR."""
    functions = {
        "IF": lambda test, then, otherwise: then if test else otherwise,
        "FILL": lambda series, value: value if series is None else series,
        "MAX": max,
        "MIN": min,
    }
    return eval(text.replace("AND", "and").replace("OR", "or"), functions, dict(values))  # noqa: S307


def datapoint(alarm: template.Document, minutes: Mapping[str, list[int]], ago: int) -> float | None:
    """What the alarm compares for its period, so many periods ago; nothing if a metric is missing or a divisor is 0."""

    def total(metric: str, seconds: int) -> int | None:
        ends = len(minutes[metric]) - ago * seconds // 60
        return sum(minutes[metric][ends - seconds // 60 : ends]) or None

    queries = alarm.get("Metrics")
    if not queries:
        failed, of = total(alarm["MetricName"], alarm["Period"]) or 0, total("Count", alarm["Period"])
        return of and (failed / of if alarm["Statistic"] == "Average" else failed)
    values: dict[str, float | None] = {
        query["Id"]: total(f"{it['Stat']} {it['Metric']['MetricName']}", it["Period"])
        for query in queries
        if (it := query.get("MetricStat"))
    }
    if IN_TIME in minutes and (ended := values["ended"]):  # the series has how many are in time, the metric which share
        values["inTime"] = 100 * (values["inTime"] or 0) / ended
    share, late = (it for it in queries if "Expression" in it)
    try:
        values[late["Id"]] = evaluated(late["Expression"], values)
        return float(evaluated(share["Expression"], values))
    except (TypeError, ZeroDivisionError):
        return None


def pages(objective: str, minutes: Mapping[str, list[int]], confirmation: str) -> bool:
    """Whether it pages after these minutes."""
    made = alarms(confirmation)

    def is_on(alarm: template.Document) -> bool:
        values = [datapoint(alarm, minutes, ago) for ago in range(alarm["EvaluationPeriods"])]
        return all(value is not None and value > alarm["Threshold"] for value in values)

    on = {name: is_on(made[name]) for name in conditions(objectives()[objective])}
    return bool(evaluated(re.sub(r'ALARM\("[^"]+:(\w+)"\)', r"\1", objectives()[objective]["AlarmRule"]), on))


Cases = dict[str, tuple[bool, list[tuple[int, ...]]]]
# Twelve hours: how many minutes, with how many requests in each, and how many of them failed.
REQUESTS: Cases = {
    "no traffic": (False, [(720, 0, 0)]),
    "one failure among ten": (False, [(710, 0, 0), (9, 1, 0), (1, 1, 1)]),
    "an hour at 1 %, five at 0.5 %": (False, [(360, 200, 0), (300, 200, 1), (60, 200, 2)]),
    "an hour at 1.5 %": (True, [(660, 200, 0), (60, 200, 3)]),
    "six hours at 1 %": (True, [(360, 200, 0), (360, 200, 2)]),
    "an outage with six requests": (True, [(660, 0, 0), *[(1, 1, 1), (9, 0, 0)] * 6]),
    "recovered half an hour ago": (False, [(660, 20, 0), (30, 20, 20), (30, 20, 0)]),
}
# The same with accepted registrations, how many executions ended within 15 minutes, succeeded, and ended at all.
REGISTRATIONS: Cases = {
    "no traffic": (False, [(720, 0, 0, 0, 0)]),
    "two failures among ten": (False, [(660, 0, 0, 0, 0), *[(4, 1, 1, 1, 1), (1, 1, 0, 0, 0), (25, 0, 0, 0, 0)] * 2]),
    "an hour at 14 %, five at 4 %": (False, [(360, *[100] * 4), (300, 100, 96, 96, 96), (60, 100, 86, 86, 86)]),
    "an hour at 14 % that fail late": (False, [(660, *[100] * 4), (60, 100, 86, 86, 100)]),
    "an hour at 15 %": (True, [(660, *[100] * 4), (60, 100, 85, 85, 85)]),
    "six hours at 7 %": (True, [(360, *[100] * 4), (360, 100, 93, 93, 93)]),
    "six registrations, and nothing ends": (True, [(660, 0, 0, 0, 0), *[(1, 1, 0, 0, 0), (9, 0, 0, 0, 0)] * 6]),
    "all fail at once": (True, [(705, *[20] * 4), (15, 20, 20, 0, 20)]),
    "nothing ends, and old ones are redriven": (True, [(705, *[20] * 4), (15, 20, 0, 20, 20)]),
    "a burst that has just been accepted": (False, [(719, 0, 0, 0, 0), (1, 999, 0, 0, 0)]),
    "recovered half an hour ago": (False, [(660, *[20] * 4), (30, 20, 0, 0, 0), (30, *[20] * 4)]),
}
# Where customers confirm: accepted, started, failed, confirmed, and how many of these had an answer within 15 minutes.
CONFIRMATIONS: Cases = {
    "nobody confirms": (False, [(720, 20, 20, 0, 0, 0)]),
    "an hour at 20 % not started": (True, [(660, 20, 20, 0, 12, 12), (60, 20, 16, 0, 12, 12)]),
    "all fail before they are asked": (True, [(705, 20, 20, 0, 12, 12), (15, 20, 20, 20, 0, 0)]),
    "an hour at 20 % slow once confirmed": (True, [(660, 20, 20, 0, 12, 12), (60, 20, 20, 0, 12, 8)]),
    "an hour at 10 % failed once confirmed": (False, [(660, 20, 20, 0, 12, 12), (60, 20, 20, 2, 12, 10)]),
    "many have just confirmed": (False, [(719, 20, 20, 0, 0, 0), (1, 20, 20, 0, 999, 0)]),
    "few register, many confirm, 3 % are slow": (False, [(660, 20, 20, 0, 12, 12), (60, 1, 1, 0, 100, 97)]),
    "nobody registers, and all who confirm wait": (True, [(660, 1, 1, 0, 1, 1), (60, 0, 0, 0, 5, 0)]),
}
ACCEPTED, IN_TIME, SUCCEEDED = "Sum NumberOfMessagesSent", "PR(0:900000) ExecutionTime", "Sum ExecutionsSucceeded"
METRICS = {
    ("RequestsObjectiveAlarm", "none"): ("Count", "5XXError"),
    ("OnboardingsObjectiveAlarm", "none"): (ACCEPTED, IN_TIME, SUCCEEDED, "SampleCount ExecutionTime"),
    ("OnboardingsObjectiveAlarm", "required"): (
        *(ACCEPTED, "Sum ExecutionsStarted", "Sum ExecutionsFailed"),
        *("Sum CustomerConfirmed", "Sum CustomerAnsweredInTime"),
    ),
}
SERIES = [
    pytest.param(*key, *it, id=f"{key[0]}: {name}")
    for key, cases in zip(METRICS, (REQUESTS, REGISTRATIONS, CONFIRMATIONS), strict=True)
    for name, it in cases.items()
]


@pytest.mark.parametrize(("objective", "confirmation", "expected", "phases"), SERIES)
def test_objective_pages_on_a_burnt_budget(
    objective: str, confirmation: str, *, expected: bool, phases: list[tuple[int, ...]]
) -> None:
    series = zip(*(counts for lasts, *counts in phases for _ in range(lasts)), strict=True)
    minutes = dict(zip(METRICS[objective, confirmation], map(list, series), strict=True))

    assert pages(objective, minutes, confirmation) is expected


def test_alarms_use_statistics_that_alarms_take() -> None:
    # Graphs take more: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    taken = re.compile(r"SampleCount|Average|Sum|Minimum|Maximum|p\d\d|PR\(\d+:\d+\)")
    for name, alarm in (*alarms().items(), *alarms("required").items()):
        used = [alarm[it] for it in ("Statistic", "ExtendedStatistic") if it in alarm]
        used += [it["MetricStat"]["Stat"] for it in alarm.get("Metrics", []) if "MetricStat" in it]
        report.none_of(f"template.yaml: {name} has {it}" for it in used if not taken.fullmatch(it))
        assert used, name


def test_each_alarm_watches_a_counted_metric() -> None:
    counted = {
        Metric(it["MetricNamespace"], it["MetricName"])
        for filters in template.resources("AWS::Logs::MetricFilter").values()
        for it in filters["MetricTransformations"]
    }
    of_consumers = {it for it in shown() if it.namespace == OWN}  # tests/unit/test_analytics.py: they are emitted
    report.none_of(
        f"template.yaml: {name} watches {metric}, which nothing counts"
        for name, metric in {*watched(), *watched("required")}
        if not (metric.is_aws_s or metric in counted | of_consumers)
        or {value for _, value in metric.dimensions} - of_this_stack()
    )


def test_everything_that_can_fail_has_an_alarm() -> None:
    (api,) = template.resources("AWS::Serverless::Api").values()
    execution, erasure = ((("StateMachineArn", template.arn_of(name)),) for name in MACHINES)
    stage = (("ApiName", api["Name"]), ("Stage", api["StageName"]))
    needed = {
        *(Metric("AWS/States", f"Executions{how}", execution) for how in ("Failed", "TimedOut", "Aborted")),
        Metric("AWS/States", "ExecutionThrottled", execution),
        Metric("AWS/States", "ExecutionsFailed", erasure),
        *(Metric("AWS/SES", f"Reputation.{rate}Rate") for rate in ("Bounce", "Complaint")),
        *(Metric("AWS/ApiGateway", name, stage) for name in ("5XXError", "Latency")),
    }
    for queue in template.resources("AWS::SQS::Queue"):
        dead = template.arn_of(queue) in dead_letter_queues()
        name = "ApproximateNumberOfMessagesVisible" if dead else "ApproximateAgeOfOldestMessage"
        needed.add(Metric("AWS/SQS", name, (("QueueName", template.name_of(queue)),)))

    report.none_of(f"template.yaml: no alarm watches {metric}" for metric in needed - {it for _, it in watched()})


def test_single_failed_calls_raise_no_alarm() -> None:
    alarm = alarms()["DownstreamUnavailableAlarm"]
    (expression,) = (it["Expression"] for it in alarm["Metrics"] if it.get("ReturnData", True))

    assert expression == "unavailable / calls"
    assert 2 / 1000 < alarm["Threshold"] < 2 / 11  # one customer whom one of ten systems left waiting


def test_dashboard_shows_metrics_of_this_stack() -> None:
    # tests/unit/test_analytics.py compares its business metrics with those that are emitted.
    metrics = list(shown())
    values = {value for metric in metrics for _, value in metric.dimensions}
    (alarm_widget,) = (it for it in dashboard() if it["type"] == "alarm")
    variables = template.resolve(template.written()["Globals"]["Function"]["Environment"]["Variables"])

    assert metrics
    report.none_of(
        f"template.yaml: the dashboard shows {metric}, which AWS doesn't have"
        for metric in metrics
        if not metric.is_aws_s and metric.namespace != OWN
    )
    report.none_of(f"template.yaml: the dashboard shows another stack's {it}" for it in values - {"", *of_this_stack()})
    assert (variables["POWERTOOLS_SERVICE_NAME"], variables["POWERTOOLS_METRICS_NAMESPACE"]) == (
        template.reference_to("AWS::StackName"),
        OWN,
    )
    assert set(alarm_widget["properties"]["alarms"]) <= set(map(template.arn_of, alarms() | objectives()))
    assert set(alarm_widget["properties"]["alarms"]) >= set(map(template.arn_of, objectives()))


def test_dashboard_reads_the_functions_logs() -> None:
    (widget,) = (it for it in dashboard() if it["type"] == "log")
    *sources, fields, condition, sort, limit = widget["properties"]["query"].split(" | ")
    without_texts = re.sub(r"'[^']*'", "", condition.removeprefix("filter "))
    read = {*fields.removeprefix("fields ").split(", "), *re.findall(r"[a-z][\w.]+", without_texts)}

    assert {"customer_id", "correlation_id"} <= read
    unknown = read - LOGGED - {"in", "and", "or", "like", "ispresent"}
    report.none_of(f"template.yaml: the dashboard reads {name}, which is not in LOGGED here" for name in unknown)
    assert (sort, limit) == ("sort @timestamp desc", "limit 20")
    of_consumers = frozenset().union(*map(ids, BLOCKS))
    workflow = [it for it in functions.deployed().values() if it.logical_id not in of_consumers]
    logs = {
        template.resources("AWS::Serverless::Function")[it.logical_id]["LoggingConfig"]["LogGroup"] for it in workflow
    }
    shown = {it.removeprefix("SOURCE ").strip("'") for it in sources}
    report.none_of(f"template.yaml: the dashboard's last query doesn't read {it}" for it in logs - shown)
    report.none_of(f"template.yaml: the dashboard's last query reads a consumer's {it}" for it in shown - logs)
