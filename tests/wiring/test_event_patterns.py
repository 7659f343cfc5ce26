"""Every rule matches an event that is published: on our bus one of ours, on the default bus one of AWS's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import product
from types import SimpleNamespace
from typing import Any, cast

import boto3
from moto import mock_aws
from moto.events.models import EventPattern

from cli.aws.stack import Stack
from cli.demo.event_recorder import record_events
from onboarding.domain.events import EVENTS
from tests import invocations
from tests.in_process import template
from tests.wiring import definition
from tests.wiring.rules.publications import BY_CONSUMERS, publications


def rules(*, on_our_bus: bool) -> list[template.Document]:
    return [it for it in template.resources("AWS::Events::Rule").values() if ("EventBusName" in it) == on_our_bus]


def matched(pattern: str) -> set[str]:
    """The detail-types of the workflow's events that a pattern, as JSON, matches."""
    return {event["detail-type"] for event in _matching(pattern, _published())}


def test_each_rule_on_our_bus_matches_each_event_that_it_names() -> None:
    assert rules(on_our_bus=True)
    for rule in rules(on_our_bus=True):
        assert rule["EventBusName"] == template.name_of("EventBus")
        matching = matched(json.dumps(rule["EventPattern"]))
        assert matching >= set(rule["EventPattern"].get("detail-type", ())), f"template.yaml: {rule['EventPattern']}"
        assert matching, f"template.yaml: {rule['EventPattern']}"


def test_stops_and_redrives_of_our_executions_are_heard() -> None:
    for status, redrives in product(("RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"), [0, 1]):
        events = [_execution(_machine(), status, redrives)]
        stopped = status in {"FAILED", "TIMED_OUT", "ABORTED"}
        assert _heard("TrackStopsRule", events) == (events if stopped else [])
        assert _heard("TrackRedrivesRule", events) == (events if status == "RUNNING" and redrives else [])

    assert _heard("TrackStopsRule", [_execution(f"{_machine()}-other", "FAILED")]) == []


def test_each_rule_on_the_default_bus_matches_an_event_of_aws() -> None:
    events = [_execution(_machine(), "FAILED"), _execution(_machine(), "RUNNING", redrives=1), *_feedback()]

    assert rules(on_our_bus=False)
    for rule in rules(on_our_bus=False):
        assert list(_matching(json.dumps(rule["EventPattern"]), events)), f"template.yaml: {rule['EventPattern']}"


def test_feedback_on_mail_of_our_sender_alone_is_heard() -> None:
    ours, others = list(_feedback()), list(_feedback(**{"ses:configuration-set": ["other"]}))

    assert _heard("EmailFeedbackRule", ours) == ours
    assert _heard("EmailFeedbackRule", others) == []


def test_nothing_personal_of_an_execution_is_handed_on() -> None:
    for rule in ("TrackStopsRule", "TrackRedrivesRule"):
        (target,) = template.resources("AWS::Events::Rule")[rule]["Targets"]
        paths = target["InputTransformer"]["InputPathsMap"]

        assert not {path for path in paths.values() if path.startswith(("$.detail.input", "$.detail.output"))}
        assert "$.detail" not in paths.values()


@mock_aws
def test_the_demo_hears_each_event_of_the_workflow() -> None:
    session = boto3.Session("testing", "testing", region_name=template.REGION)
    session.client("events").create_event_bus(Name="bus")

    record_events(cast(Stack, SimpleNamespace(session=session, outputs={"EventBusName": "bus"})))

    (rule,) = session.client("events").list_rules(EventBusName="bus")["Rules"]
    assert matched(rule["EventPattern"]) == EVENTS.keys() - BY_CONSUMERS


def _matching(pattern: str, events: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    rule = EventPattern.load(pattern)
    return (event for event in events if rule.matches_event(cast("Any", event)))


def _heard(rule: str, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list(_matching(json.dumps(template.resources("AWS::Events::Rule")[rule]["EventPattern"]), events))


def _execution(machine: str, status: str, redrives: int = 0) -> dict[str, Any]:
    """What Step Functions tells of an execution.

    https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
    """
    detail = {"stateMachineArn": machine, "status": status, "redriveCount": redrives}
    return {"source": "aws.states", "detail-type": "Step Functions Execution Status Change", "detail": detail}


def _machine() -> str:
    return template.arn_of("CustomerOnboardingStateMachine")


def _feedback(**tags: list[str]) -> Iterator[dict[str, Any]]:
    """What SES tells of a bounce and of a complaint, on a mail with the configuration set of the template."""
    for name in ("bounce", "complaint"):
        (record,) = invocations.sample(f"publish_email_feedback/{name}")["Records"]
        feedback = json.loads(record["body"])
        ours = {"ses:configuration-set": [template.name_of("EmailConfigurationSet")]}
        feedback["detail"]["mail"]["tags"] |= ours | tags
        yield feedback


def _published() -> Iterator[dict[str, Any]]:
    """Every event that the workflow publishes, as far as a rule looks at it."""
    for _, _, entry in publications(definition.rendered()):
        yield {"source": entry["Source"], "detail-type": entry["DetailType"], "detail": entry["Detail"]}
