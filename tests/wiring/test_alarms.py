"""What watches the stack: alarms, their filters, the dashboard. On the emulator no alarm ever goes off."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

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
    "AWS/Lambda": ("Errors Throttles", {(), ("FunctionName",)}),
    "AWS/SES": ("Reputation.BounceRate Reputation.ComplaintRate", {()}),
    "AWS/SQS": ("ApproximateNumberOfMessagesVisible ApproximateAgeOfOldestMessage", {("QueueName",)}),
    "AWS/States": (f"{EXECUTIONS} ExecutionThrottled", {("StateMachineArn",)}),
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


def alarms() -> dict[str, template.Document]:
    return dict(template.resources("AWS::CloudWatch::Alarm"))


def watched() -> dict[str, Metric]:
    """The metric of each alarm."""
    return {
        name: Metric(
            alarm["Namespace"],
            alarm["MetricName"],
            tuple(sorted((it["Name"], it["Value"]) for it in alarm.get("Dimensions", []))),
        )
        for name, alarm in alarms().items()
    }


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
    topic = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]}
    problems = []
    for name, alarm in alarms().items():
        said, _, link = alarm["AlarmDescription"].partition(" Runbook: ")
        if not said.endswith(".") or link not in sections:
            problems.append(f"{name}: AlarmDescription has no sentence, or docs/runbook.md no section {link}")
        # SES reports the reputation only while it sends; in between, it stays as it was.
        if alarm["TreatMissingData"] != ("ignore" if alarm["Namespace"] == "AWS/SES" else "notBreaching"):
            problems.append(f"{name}: TreatMissingData raises it when nothing happens")
        written = template.written_resources("AWS::CloudWatch::Alarm")[name]
        if not written["AlarmActions"] == written["OKActions"] == topic:
            problems.append(f"{name} doesn't notify AlarmTopicArn by AlarmActions and OKActions")
    report.none_of(f"template.yaml: {problem}" for problem in problems)


def test_each_alarm_watches_a_counted_metric() -> None:
    counted = {
        Metric(it["MetricNamespace"], it["MetricName"])
        for filters in template.resources("AWS::Logs::MetricFilter").values()
        for it in filters["MetricTransformations"]
    }
    report.none_of(
        f"template.yaml: {name} watches {metric}, which nothing counts"
        for name, metric in watched().items()
        if not (metric.is_aws_s or metric in counted) or {value for _, value in metric.dimensions} - of_this_stack()
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

    report.none_of(f"template.yaml: no alarm watches {metric}" for metric in needed - set(watched().values()))


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
    assert set(alarm_widget["properties"]["alarms"]) <= set(map(template.arn_of, alarms()))


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
