"""What watches the stack: alarms, their filters, the dashboard. On the emulator none of it ever fires."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pytest

from cli import PROJECT
from tests.wiring import functions, template

ALARMS = template.resources("AWS::CloudWatch::Alarm")
FILTERS = template.resources("AWS::Logs::MetricFilter")
QUEUES = template.resources("AWS::SQS::Queue")
(MACHINE,) = template.resources("AWS::StepFunctions::StateMachine")
(DASHBOARD,) = template.resources("AWS::CloudWatch::Dashboard").values()
BODY = json.loads(DASHBOARD["DashboardBody"])
STACK = template.resolve({"Ref": "AWS::StackName"})
OWN = "CustomerOnboarding"

# The metrics of AWS that are watched here, and by which dimensions it keeps them.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
# https://docs.aws.amazon.com/ses/latest/dg/reputationdashboard-cloudwatch-alarm.html
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
# https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
AWS_METRICS: Mapping[str, tuple[set[str], set[tuple[str, ...]]]] = {
    "AWS/ApiGateway": ({"Count", "4XXError", "5XXError", "Latency"}, {("ApiName", "Stage")}),
    "AWS/DynamoDB": ({"ReadThrottleEvents", "WriteThrottleEvents"}, {("TableName",)}),
    "AWS/Lambda": ({"Errors", "Throttles"}, {(), ("FunctionName",)}),
    "AWS/SES": ({"Reputation.BounceRate", "Reputation.ComplaintRate"}, {()}),
    "AWS/SQS": ({"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"}, {("QueueName",)}),
    "AWS/States": (
        {
            "ExecutionsStarted",
            "ExecutionsSucceeded",
            "ExecutionsFailed",
            "ExecutionsTimedOut",
            "ExecutionsAborted",
            "ExecutionThrottled",
        },
        {("StateMachineArn",)},
    ),
}


# What Powertools and Lambda put into a line.
# https://docs.aws.amazon.com/powertools/python/latest/core/logger/#standard-structured-keys
# https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html
POWERTOOLS_FIELDS = {"level", "message", "function_name", "exception", "exception_name", "location"}
LAMBDA_FIELDS = {"@timestamp", "errorType", "record.status", "record.errorType"}


class Metric(NamedTuple):
    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]


def metric_of(alarm: template.Document) -> Metric:
    dimensions = tuple(sorted((it["Name"], it["Value"]) for it in alarm.get("Dimensions", [])))
    return Metric(alarm["Namespace"], alarm["MetricName"], dimensions)


WATCHED = {metric_of(alarm): name for name, alarm in ALARMS.items()}


def own_metrics() -> set[str]:
    """The names of the metrics that the functions' code emits."""
    return {
        str(call.args[0].value)
        for path in functions.CODE.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) in {"metrics.add_metric", "Measure"}
        and isinstance(call.args[0], ast.Constant)
    }


def shown() -> Iterator[Metric]:
    """The metrics of the dashboard; of a search, a dimension that is searched for has no value."""
    for widget in BODY["widgets"]:
        for line in widget["properties"].get("metrics", []):
            *names, options = line if isinstance(line[-1], dict) else [*line, {}]
            if search := re.match(r"SEARCH\('\{([^}]+)\} MetricName=\"(\w+)\"", options.get("expression", "")):
                namespace, *keys = search[1].split(",")
                yield Metric(namespace, search[2], tuple((key, "") for key in sorted(keys)))
            else:
                namespace, name, *pairs = names
                yield Metric(namespace, name, tuple(sorted(zip(pairs[::2], pairs[1::2], strict=True))))


def anchors() -> set[str]:
    """The sections of the runbook, as GitHub links to them."""
    text = (PROJECT / "docs" / "runbook.md").read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", ALARMS)
class TestAnAlarm:
    def test_says_what_is_wrong_and_where_the_runbook_tells_what_to_do(self, name: str) -> None:
        said, _, link = ALARMS[name]["AlarmDescription"].partition(" Runbook: ")
        page, _, anchor = link.partition("#")

        assert said.endswith(".")
        assert page == "docs/runbook.md"
        assert anchor in anchors()

    def test_watches_a_metric_that_there_is(self, name: str) -> None:
        metric = metric_of(ALARMS[name])

        if metric.namespace in AWS_METRICS:
            metrics, dimensions = AWS_METRICS[metric.namespace]
            assert metric.name in metrics
            assert tuple(key for key, _ in metric.dimensions) in dimensions
        else:
            filtered = {
                (it["MetricNamespace"], it["MetricName"])
                for filters in FILTERS.values()
                for it in filters["MetricTransformations"]
            }
            assert (metric.namespace, metric.name) in filtered
            assert not metric.dimensions

    def test_watches_something_of_this_stack(self, name: str) -> None:
        lambdas = set(map(template.name_of, template.resources("AWS::Lambda::Function")))
        there = {STACK, "v1", template.arn_of(MACHINE), *map(template.name_of, QUEUES), *lambdas}

        assert {value for _, value in metric_of(ALARMS[name]).dimensions} <= there | {f"{it}:live" for it in lambdas}

    def test_is_quiet_where_nothing_happens(self, name: str) -> None:
        # SES tells of the reputation only while mail is sent; it stays what it was meanwhile.
        kept = "ignore" if ALARMS[name]["Namespace"] == "AWS/SES" else "notBreaching"

        assert ALARMS[name]["TreatMissingData"] == kept

    def test_tells_nobody_unless_a_topic_is_given(self, name: str) -> None:
        written = template.written_resources("AWS::CloudWatch::Alarm")[name]
        topic = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]}

        assert written["AlarmActions"] == written["OKActions"] == topic


def test_every_queue_is_watched() -> None:
    dead_letter_queues = {it["RedrivePolicy"]["deadLetterTargetArn"] for it in QUEUES.values() if "RedrivePolicy" in it}
    for queue in QUEUES:
        dead = template.arn_of(queue) in dead_letter_queues
        metric = "ApproximateNumberOfMessagesVisible" if dead else "ApproximateAgeOfOldestMessage"

        assert Metric("AWS/SQS", metric, (("QueueName", template.name_of(queue)),)) in WATCHED


@pytest.mark.parametrize(
    "metric", ["ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted", "ExecutionThrottled"]
)
def test_the_executions_are_watched(metric: str) -> None:
    assert Metric("AWS/States", metric, (("StateMachineArn", template.arn_of(MACHINE)),)) in WATCHED


@pytest.mark.parametrize("metric", ["Reputation.BounceRate", "Reputation.ComplaintRate"])
def test_the_reputation_of_the_sender_is_watched(metric: str) -> None:
    assert Metric("AWS/SES", metric, ()) in WATCHED


@pytest.mark.parametrize("metric", ["5XXError", "Latency"])
def test_the_api_is_watched(metric: str) -> None:
    (api,) = template.resources("AWS::ApiGateway::RestApi").values()
    (stage,) = template.resources("AWS::ApiGateway::Stage").values()

    assert Metric("AWS/ApiGateway", metric, (("ApiName", api["Name"]), ("Stage", stage["StageName"]))) in WATCHED


def test_the_dashboard_shows_metrics_that_there_are() -> None:
    metrics = list(shown())

    assert metrics
    for metric in metrics:
        keys = tuple(key for key, _ in metric.dimensions)
        if metric.namespace == OWN:
            assert metric.name in own_metrics()
            assert keys in {("service",), ("reason", "service")}
        else:
            names, dimensions = AWS_METRICS[metric.namespace]
            assert metric.name in names
            assert keys in dimensions


def test_the_dashboard_shows_what_this_stack_does() -> None:
    values = {value for metric in shown() for _, value in metric.dimensions}
    services = {it["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] for it in _lambdas()}
    namespaces = {it["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"] for it in _lambdas()}

    assert values == {"", STACK, "v1", template.arn_of(MACHINE)}
    assert (services, namespaces) == ({STACK}, {OWN})


def test_the_dashboard_shows_every_business_metric() -> None:
    business = {"CustomerRegistered", "CustomerOnboarded", "CustomerRejected", "WelcomeEmailFailed", "TimeToOnboard"}

    assert business <= {metric.name for metric in shown()} & own_metrics()


def test_the_dashboard_shows_alarms_that_there_are_and_none_of_a_consumer() -> None:
    (widget,) = (it for it in BODY["widgets"] if it["type"] == "alarm")
    arns = {template.arn_of(name) for name in ALARMS}

    assert set(widget["properties"]["alarms"]) <= arns


def test_the_dashboard_reads_fields_that_the_functions_log() -> None:
    (widget,) = (it for it in BODY["widgets"] if it["type"] == "log")
    *sources, fields, condition, sort, limit = widget["properties"]["query"].split(" | ")
    without_texts = re.sub(r"'[^']*'", "", condition.removeprefix("filter "))
    read = {*fields.removeprefix("fields ").split(", "), *re.findall(r"[a-z][\w.]+", without_texts)}
    logged = {
        str(keyword.arg)
        for path in functions.CODE.glob("*/app.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func).startswith("logger.")
        for keyword in call.keywords
    }

    assert read - {"in", "and", "or", "like", "ispresent"} <= logged | POWERTOOLS_FIELDS | LAMBDA_FIELDS
    assert {"customer_id", "correlation_id"} <= read
    assert (sort, limit) == ("sort @timestamp desc", "limit 20")
    assert {it.removeprefix("SOURCE ").strip("'") for it in sources} <= set(
        map(template.name_of, template.resources("AWS::Logs::LogGroup"))
    )


def test_no_widget_lies_over_another() -> None:
    taken = [
        (x, y)
        for widget in BODY["widgets"]
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]

    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24


def _lambdas() -> list[template.Document]:
    return list(template.resources("AWS::Lambda::Function").values())
