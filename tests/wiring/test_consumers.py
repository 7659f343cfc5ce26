"""Each consumer stands by itself: a rule, a queue, a function, a table, and nothing that anything else needs."""

from __future__ import annotations

import re

import pytest
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

from cli import PROJECT
from tests.wiring import functions, permissions, template

TEMPLATE = (PROJECT / "template.yaml").read_text(encoding="utf-8")
_HEADING = re.compile(r"^  # Consumer (?P<name>\w+): ", re.MULTILINE)
_STARTS = [match.start() for match in _HEADING.finditer(TEMPLATE)]
# The block of each consumer, up to the next one or to the outputs.
BLOCKS = {
    match["name"]: TEMPLATE[start:end]
    for match, start, end in zip(
        _HEADING.finditer(TEMPLATE), _STARTS, [*_STARTS[1:], TEMPLATE.index("\nOutputs:") + 1], strict=True
    )
}
QUEUES = template.resources("AWS::SQS::Queue")
MAPPINGS = template.resources("AWS::Lambda::EventSourceMapping").values()
BY_PACKAGE = {function.package: function for function in functions.deployed().values()}
RULES = template.resources("AWS::Events::Rule")


def ids(block: str) -> set[str]:
    """The logical ids of the resources in a block."""
    return set(re.findall(r"^  (\w+):", block, re.MULTILINE))


def without(name: str) -> str:
    return TEMPLATE.replace(BLOCKS[name], "")


def queue_of(name: str) -> str:
    (arn,) = (it["EventSourceArn"] for it in MAPPINGS if it["FunctionName"] == BY_PACKAGE[name].arn)
    (queue,) = (logical_id for logical_id in QUEUES if template.arn_of(logical_id) == arn)
    return queue


def test_the_consumers_are_those_behind_a_rule() -> None:
    targets = {target["Arn"] for rule in RULES.values() for target in rule["Targets"]}

    assert {template.arn_of(queue_of(name)) for name in BLOCKS} == targets
    assert {"track_onboarding", "detect_fraud", "record_analytics"} <= BLOCKS.keys()


@pytest.mark.parametrize("name", BLOCKS)
class TestAConsumer:
    def test_has_its_own_queue_dead_letter_queue_and_role_in_its_block(self, name: str) -> None:
        block, queue = ids(BLOCKS[name]), queue_of(name)
        dead_letters = QUEUES[queue]["RedrivePolicy"]["deadLetterTargetArn"]

        assert queue in block
        assert dead_letters in {template.arn_of(it) for it in block if it in QUEUES}
        assert BY_PACKAGE[name].role_arn in {template.arn_of(it) for it in block if it.endswith("Role")}

    def test_loses_no_event_that_its_queue_does_not_take(self, name: str) -> None:
        queue = queue_of(name)
        rules = [RULES[it] for it in RULES if it in ids(BLOCKS[name])]

        assert rules
        for target in (target for rule in rules for target in rule["Targets"]):
            assert target["Arn"] == template.arn_of(queue)
            assert target["DeadLetterConfig"]["Arn"] == QUEUES[queue]["RedrivePolicy"]["deadLetterTargetArn"]

    def test_takes_events_into_its_queues_from_its_rules_alone(self, name: str) -> None:
        block, queue = ids(BLOCKS[name]), queue_of(name)
        arns = {template.arn_of(queue), QUEUES[queue]["RedrivePolicy"]["deadLetterTargetArn"]}
        (policy,) = (it for key, it in template.resources("AWS::SQS::QueuePolicy").items() if key in block)
        (statement,) = (it for it in policy["PolicyDocument"]["Statement"] if it["Effect"] == "Allow")

        assert set(statement["Resource"]) == arns
        assert statement["Principal"] == {"Service": "events.amazonaws.com"}
        assert statement["Action"] == "sqs:SendMessage"
        sources = statement["Condition"]["ArnEquals"]["aws:SourceArn"]
        assert set([sources] if isinstance(sources, str) else sources) == {
            template.arn_of(it) for it in RULES if it in block
        }

    def test_touches_nothing_of_the_workflow(self, name: str) -> None:
        block = ids(BLOCKS[name])
        roles = [it for it in template.resources("AWS::IAM::Role") if it in block]
        own = {template.arn_of(it) for it in block if it in template.transformed()["Resources"] and _has_arn(it)}
        bus = template.arn_of("EventBus")
        granted = {it for role in roles for it in permissions.granted(template.arn_of(role))}

        assert {it for it in granted if it.resource not in {*own, "*"}} <= {
            permissions.Permission("events:PutEvents", bus)
        }
        assert {it for it in granted if it.resource == "*"} <= permissions.TRACE

    def test_can_be_deleted_without_touching_another_line(self, name: str) -> None:
        rest = yaml_parse(without(name))
        left, known = set(rest["Resources"]), set(rest["Parameters"]) | set(rest["Conditions"])

        assert set(yaml_parse(TEMPLATE)["Resources"]) - left == ids(BLOCKS[name])
        references = {it for it in template.references(rest) if not it.startswith("AWS::")}
        assert references <= left | known

    def test_publishes_on_our_bus_if_at_all(self, name: str) -> None:
        # An event that is put on a bus that there is not is lost, and nobody is told.
        properties = template.written_resources("AWS::Serverless::Function")[BY_PACKAGE[name].logical_id]

        assert properties["Environment"]["Variables"].get("EVENT_BUS", {"Ref": "EventBus"}) == {"Ref": "EventBus"}


def _has_arn(logical_id: str) -> bool:
    try:
        template.arn_of(logical_id)
    except template.Unresolved:
        return False
    return True
