"""Each consumer stands by itself: a rule, a queue, a function, perhaps a table; nothing else needs any of it."""

from __future__ import annotations

import re
from functools import cache

import pytest

from tests.in_process import functions, template
from tests.in_process.functions import Function
from tests.wiring import permissions, report

TEMPLATE = template.text()
# The block of each consumer, by the name in its heading, up to the next one or to the outputs.
BLOCKS = {
    match["name"]: match[0]
    for match in re.finditer(r"(?ms)^  # Consumer (?P<name>\w+): .*?(?=^  # Consumer |^Outputs:)", TEMPLATE)
}


@cache
def ids(name: str) -> frozenset[str]:
    """The logical ids of the resources in a consumer's block."""
    return frozenset(re.findall(r"^  (\w+):", BLOCKS[name], re.MULTILINE))


def in_block(resource_type: str, name: str) -> dict[str, template.Document]:
    return {key: it for key, it in template.resources(resource_type).items() if key in ids(name)}


def function_of(name: str) -> Function:
    """The function that a consumer is named after."""
    found = [it for it in functions.deployed().values() if it.package == name and it.logical_id in ids(name)]
    assert found, f"template.yaml: the block headed `# Consumer {name}:` has no function {name}.app.handler"
    return found[0]


def queue_of(name: str) -> str:
    """The queue that the consumer's function polls."""
    events = template.written_resources("AWS::Serverless::Function")[function_of(name).logical_id]["Events"].values()
    (queue,) = (event["Properties"]["Queue"]["Fn::GetAtt"][0] for event in events if event["Type"] == "SQS")
    return str(queue)


def test_each_queue_behind_a_rule_is_a_consumer_s() -> None:
    targets = {target["Arn"] for rule in template.resources("AWS::Events::Rule").values() for target in rule["Targets"]}

    assert targets == {template.arn_of(queue_of(name)) for name in BLOCKS}, "template.yaml: each has its own block"


@pytest.mark.parametrize("name", BLOCKS)
class TestAConsumer:
    def test_loses_no_event_and_takes_none_but_from_its_rules(self, name: str) -> None:
        queues, rules = in_block("AWS::SQS::Queue", name), in_block("AWS::Events::Rule", name)
        queue = template.arn_of(queue_of(name))
        dead_letters = queues[queue_of(name)]["RedrivePolicy"]["deadLetterTargetArn"]
        (policy,) = in_block("AWS::SQS::QueuePolicy", name).values()
        (statement,) = (it for it in policy["PolicyDocument"]["Statement"] if it["Effect"] == "Allow")

        assert dead_letters in set(map(template.arn_of, queues))
        assert rules
        for target in (target for rule in rules.values() for target in rule["Targets"]):
            assert (target["Arn"], target["DeadLetterConfig"]["Arn"]) == (queue, dead_letters)
        assert set(statement["Resource"]) == {queue, dead_letters}
        assert (statement["Principal"], statement["Action"]) == (
            {"Service": "events.amazonaws.com"},
            "sqs:SendMessage",
        )
        sources = permissions.listed(statement["Condition"]["ArnEquals"]["aws:SourceArn"])
        assert set(sources) == set(map(template.arn_of, rules))

    def test_touches_nothing_of_the_workflow(self, name: str) -> None:
        roles = set(map(template.arn_of, in_block("AWS::IAM::Role", name)))
        own = {arn for logical_id, arn in template.arns().items() if logical_id in ids(name)}
        shared = {permissions.Permission("events:PutEvents", template.arn_of("EventBus")), *permissions.TRACE}
        granted = {it for role in roles for it in permissions.granted(role) if it.resource not in own}

        assert function_of(name).role_arn in roles
        report.none_of(f"template.yaml: {name} may do {it.action} on {it.resource}" for it in granted - shared)

    def test_can_be_deleted_without_touching_another_line(self, name: str) -> None:
        rest = template.parsed(TEMPLATE.replace(BLOCKS[name], ""))  # raises where an anchor of its block is missing
        known = {*rest["Resources"], *rest["Parameters"], *rest["Conditions"]}

        left = {it for it in template.references(rest) if not it.startswith("AWS::")} - known
        report.none_of(f"template.yaml: outside the block of {name}, {it} is referred to" for it in left)

    def test_publishes_on_our_bus_if_at_all(self, name: str) -> None:
        # An event that is put on a bus that there is not is lost, and nobody is told.
        bus = template.reference_to("EventBus")

        assert function_of(name).environment.get("EVENT_BUS", bus) == bus
