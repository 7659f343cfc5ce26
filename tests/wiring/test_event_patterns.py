"""Every rule on the bus matches an event that is published."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import boto3
from moto import mock_aws
from moto.events.models import EventPattern

from local.deploy import Stack
from local.observer import observe
from onboarding.events import Event
from tests.wiring import definition, template
from tests.wiring.rules.publications import publications


def matched(pattern: str) -> set[str]:
    """The detail-types of the published events that a pattern, as JSON, matches."""
    rule = EventPattern.load(pattern)
    return {event["detail-type"] for event in _published() if rule.matches_event(cast("Any", event))}


def test_every_rule_of_the_template_is_on_our_bus_and_matches_an_event() -> None:
    (bus,) = template.resources("AWS::Events::EventBus")
    for rule in template.resources("AWS::Events::Rule").values():
        assert rule["EventBusName"] == template.name_of(bus)
        assert matched(json.dumps(rule["EventPattern"]))


@mock_aws
def test_the_demo_s_observer_hears_every_event() -> None:
    session = boto3.Session("testing", "testing", region_name=template.REGION)
    session.client("events").create_event_bus(Name="bus")

    observe(cast(Stack, SimpleNamespace(session=session, outputs={"EventBusName": "bus"})))

    (rule,) = session.client("events").list_rules(EventBusName="bus")["Rules"]
    assert matched(rule["EventPattern"]) == {event.__name__ for event in Event.__subclasses__()}


def test_a_rule_that_matches_nothing_would_be_found() -> None:
    assert matched(json.dumps({"source": ["custom.customerService"], "detail-type": ["CustomerCreated"]})) == set()
    assert matched(json.dumps({"source": ["custom.customerservice"]})) == set()
    assert matched(json.dumps({"detail-type": ["CustomerValidated"], "detail": {"status": ["INVALID"]}})) == set()
    assert matched(json.dumps({"detail-type": ["CustomerValidated"]})) == {"CustomerValidated"}


def _published() -> Iterator[dict[str, Any]]:
    """Every event that the workflow publishes, as EventBridge hands it on."""
    for _, _, entry in publications(definition.rendered()):
        yield {
            "version": "0",
            "id": "0e1c3f5a-1c1f-4b5e-8e57-3f8f5a9a6d10",
            "source": entry["Source"],
            "detail-type": entry["DetailType"],
            "account": template.ACCOUNT,
            "region": template.REGION,
            "time": "2026-11-23T10:30:42Z",
            "resources": [],
            "detail": entry["Detail"],
        }
