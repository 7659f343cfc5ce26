"""Each rule matches its events: ours on our bus, AWS's about this stack on the default bus."""

import json
import re
from collections.abc import Iterable, Iterator
from functools import reduce
from itertools import product
from operator import getitem
from types import SimpleNamespace
from typing import Any, cast

import boto3
from moto import mock_aws
from moto.events.models import EventPattern

from cli.aws.stack import Stack
from cli.demo.event_recorder import record_events
from onboarding.adapters import timelines
from onboarding.domain.events import EVENTS, SOURCE
from tests import invocations
from tests.in_process import template
from tests.invocations import SAMPLES
from tests.wiring import report
from tests.wiring.test_consumers import BLOCKS, in_block


def test_each_rule_matches_the_events_it_names() -> None:
    executions = [execution(machine(), "FAILED"), execution(machine(), "RUNNING", redrives=1)]
    events = [*ours(), *feedback(), *executions]
    problems = []
    for name, rule in template.resources("AWS::Events::Rule").items():
        pattern, on_our_bus = rule["EventPattern"], rule.get("EventBusName") == template.name_of("EventBus")
        if on_our_bus != (pattern["source"] == [SOURCE]) or on_our_bus != ("EventBusName" in rule):
            problems.append(f"template.yaml: {name} listens to another bus than that of its events")
        missing = set(pattern.get("detail-type", EVENTS)) - types(matching(pattern, events))
        problems += [f"template.yaml: the pattern of {name} never matches {event}" for event in missing]
    report.none_of(problems)


def test_each_rule_hears_its_consumers_samples() -> None:
    # On our bus; AWS's events are matched below.
    problems = []
    for name in BLOCKS:
        records = [
            it for path in SAMPLES.glob(f"{name}/*.json") for it in invocations.sample(f"{name}/{path.stem}")["Records"]
        ]
        events = [json.loads(it["body"]) for it in records if SOURCE in it["body"]]
        rules = {key: it for key, it in in_block("AWS::Events::Rule", name).items() if "EventBusName" in it}
        deaf = [key for key, rule in rules.items() if not matching(rule["EventPattern"], events)]
        problems += [f"template.yaml: {key} hears no event of events/{name}/" for key in deaf]
    report.none_of(problems)


def test_archive_keeps_every_event() -> None:
    for name, archive in template.resources("AWS::Events::Archive").items():
        lost = EVENTS.keys() - types(matching(archive["EventPattern"], ours()))
        report.none_of(f"template.yaml: the pattern of {name} doesn't match {event}" for event in lost)
        assert archive["SourceArn"] == template.arn_of("EventBus"), f"template.yaml: {name}"


def test_executions_are_heard_and_passed_on() -> None:
    for status, redrives in product(("RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"), [0, 1]):
        stopped, redriven = status in {"FAILED", "TIMED_OUT", "ABORTED"}, status == "RUNNING" and redrives > 0
        for name, wanted in (("TrackStopsRule", stopped), ("TrackRedrivesRule", redriven)):
            event = execution(machine(), status, redrives)
            assert heard(name, [event]) == [event] * wanted, f"template.yaml: {name}, an execution that is {status}"
            if wanted:  # and nothing else: an execution's input and output are personal
                assert passed_on(name, event) == invocations.an_execution_change(status, 0), f"template.yaml: {name}"
                # EventBridge dead-letters the event itself, and that is moved back as it is.
                kept, of_dead_letter = (timelines.read(json.dumps(it)) for it in (passed_on(name, event), event))
                assert kept == of_dead_letter
            assert heard(name, [execution(f"{machine()}-other", status, redrives)]) == [], f"template.yaml: {name}"


def test_feedback_on_our_mail_alone_is_heard() -> None:
    (destination,) = template.resources("AWS::SES::ConfigurationSetEventDestination").values()
    reported = destination["EventDestination"]
    own, others = list(feedback()), list(feedback(**{"ses:configuration-set": ["other"]}))

    assert heard("EmailFeedbackRule", own) == own
    assert heard("EmailFeedbackRule", others) == []
    assert destination["ConfigurationSetName"] == template.name_of("EmailConfigurationSet")
    assert reported["Enabled"] is True
    missing = {it["detail"]["eventType"].upper() for it in own} - set(reported["MatchingEventTypes"])
    report.none_of(f"template.yaml: EmailFeedbackDestination: MatchingEventTypes lacks {it}" for it in missing)


@mock_aws
def test_demo_hears_every_event() -> None:
    session = boto3.Session("testing", "testing", region_name=template.REGION)
    session.client("events").create_event_bus(Name="bus")

    record_events(cast(Stack, SimpleNamespace(session=session, outputs={"EventBusName": "bus"})))

    (rule,) = session.client("events").list_rules(EventBusName="bus")["Rules"]
    assert types(matching(json.loads(rule["EventPattern"]), ours())) == EVENTS.keys()


def matching(pattern: dict[str, Any], events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    rule = EventPattern.load(json.dumps(pattern))
    return [event for event in events if rule.matches_event(cast("Any", event))]


def heard(rule: str, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return matching(template.resources("AWS::Events::Rule")[rule]["EventPattern"], events)


def types(events: list[dict[str, Any]]) -> set[str]:
    return {event["detail-type"] for event in events}


def passed_on(rule: str, event: dict[str, Any]) -> Any:
    """The event after the rule's InputTransformer."""
    (target,) = template.resources("AWS::Events::Rule")[rule]["Targets"]
    paths, text = (target["InputTransformer"][key] for key in ("InputPathsMap", "InputTemplate"))
    values = {name: reduce(getitem, path.split(".")[1:], event) for name, path in paths.items()}
    return json.loads(re.sub(r"<(\w+)>", lambda found: json.dumps(values[found[1]]), text))


def ours() -> Iterator[dict[str, Any]]:
    """An event of each kind on our bus."""
    return (invocations.an_envelope(invocations.an_event(kind)) for kind in EVENTS.values())


def execution(machine: str, status: str, redrives: int = 0) -> dict[str, Any]:
    """Step Functions' event about an execution; a date is null until it is set.

    https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
    """
    event = invocations.an_execution_change(status, 0)
    changed_at = event["detail"].pop("changedAt")
    running = status == "RUNNING"
    redriven_at = None if not redrives else changed_at if running else changed_at - 1
    dates = {"stopDate": None if running else changed_at, "redriveDate": redriven_at}
    event["detail"] |= dates | {"stateMachineArn": machine, "redriveCount": redrives, "input": "{}", "output": None}
    return event


def machine() -> str:
    return template.arn_of("CustomerOnboardingStateMachine")


def feedback(**tags: list[str]) -> Iterator[dict[str, Any]]:
    """SES's events about an e-mail with the template's configuration set: sent, bounced, complaint."""
    for name in ("sent", "bounce", "complaint"):
        (record,) = invocations.sample(f"publish_email_feedback/{name}")["Records"]
        reported = json.loads(record["body"])
        own = {"ses:configuration-set": [template.name_of("EmailConfigurationSet")]}
        reported["detail"]["mail"]["tags"] |= own | tags
        yield reported
