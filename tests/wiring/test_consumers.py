"""Each consumer stands alone: nothing else needs its rule, queue, function or table."""

import re
from functools import cache

import pytest

from onboarding.adapters.workflow import execution_arn
from tests.in_process import functions, template
from tests.in_process.functions import Function
from tests.wiring import permissions, report

TEMPLATE = template.text()
# The block of each consumer, by the name in its heading, up to the next one or to the outputs.
BLOCKS = {
    match["name"]: match[0]
    for match in re.finditer(r"(?ms)^  # Consumer (?P<name>\w+): .*?(?=^  # Consumer |^Outputs:)", TEMPLATE)
}
# The only write of a consumer to the workflow: SES's report settles an e-mail's outcome.
RECORD = permissions.Permission("dynamodb:UpdateItem", template.arn_of("IdempotencyTable"), "send_welcome_email#*")
# And the only reads: the state of an execution without news, and of a confirmation that is waited for.
EXECUTIONS = execution_arn(template.arn_of("CustomerOnboardingStateMachine"), "*")
POLL = permissions.Permission("states:DescribeExecution", EXECUTIONS)
CONFIRMATION = permissions.Permission("dynamodb:GetItem", template.arn_of("IdempotencyTable"), "email_confirmation#*")
SHARED = {"publish_email_feedback": {RECORD}, "track_onboarding": {POLL, CONFIRMATION}}
each_consumer = pytest.mark.parametrize("name", BLOCKS)


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
    """The logical id of the queue that the consumer's function polls."""
    properties = template.written_resources("AWS::Serverless::Function")[function_of(name).logical_id]
    events = properties.get("Events", {}).values()
    queues = [event["Properties"]["Queue"]["Fn::GetAtt"][0] for event in events if event["Type"] == "SQS"]
    assert len(queues) == 1, f"template.yaml: the function of {name} polls {queues or 'no queue'}"
    return str(queues[0])


def test_each_rule_sends_to_a_consumer() -> None:
    rules = template.resources("AWS::Events::Rule").values()
    targets = {target["Arn"] for rule in rules for target in rule["Targets"]}
    queues = {template.arn_of(queue_of(name)) for name in BLOCKS}

    report.none_of(f"template.yaml: a rule sends to {arn}, outside a consumer's block" for arn in targets - queues)
    report.none_of(f"template.yaml: no rule sends to {arn}" for arn in queues - targets)


@each_consumer
def test_consumer_loses_no_event(name: str) -> None:
    queues, rules = in_block("AWS::SQS::Queue", name), in_block("AWS::Events::Rule", name)
    queue = template.arn_of(queue_of(name))
    dead_letters = queues[queue_of(name)].get("RedrivePolicy", {}).get("deadLetterTargetArn")
    policies = in_block("AWS::SQS::QueuePolicy", name).values()
    statements = [it for policy in policies for it in policy["PolicyDocument"]["Statement"]]
    allowed = [it for it in statements if it["Effect"] == "Allow"]

    assert rules, f"template.yaml: the block of {name} has no rule"
    assert dead_letters in set(map(template.arn_of, queues)), f"template.yaml: {queue_of(name)}: RedrivePolicy"
    for rule, it in rules.items():
        sent = {(target["Arn"], target.get("DeadLetterConfig", {}).get("Arn")) for target in it["Targets"]}
        assert sent == {(queue, dead_letters)}, f"template.yaml: {rule}: Targets"
    assert sorted(it["Resource"] for it in allowed) == sorted([queue, dead_letters])
    for statement in allowed:
        assert statement["Principal"] == {"Service": "events.amazonaws.com"}
        assert statement["Action"] == "sqs:SendMessage"
        sources = set(permissions.listed(statement["Condition"]["ArnEquals"]["aws:SourceArn"]))
        assert sources == set(map(template.arn_of, rules)), f"template.yaml: a QueuePolicy of {name}: aws:SourceArn"


@each_consumer
def test_consumer_touches_nothing_of_the_workflow(name: str) -> None:
    roles = set(map(template.arn_of, in_block("AWS::IAM::Role", name)))
    own = {arn for logical_id, arn in template.arns().items() if logical_id in ids(name)}
    publish = permissions.Permission("events:PutEvents", template.arn_of("EventBus"))
    shared = {publish, *permissions.TRACE, *SHARED.get(name, set())}
    granted = {it for role in roles for it in permissions.granted(role) if it.resource not in own}
    bus = template.reference_to("EventBus")

    assert function_of(name).role_arn in roles
    report.none_of(f"template.yaml: {name} may do {it.action} on {it.resource}" for it in granted - shared)
    # What is put on a bus that doesn't exist is lost without an error.
    assert function_of(name).environment.get("EVENT_BUS", bus) == bus


@each_consumer
def test_consumer_can_be_deleted(name: str) -> None:
    rest = template.parsed(TEMPLATE.replace(BLOCKS[name], ""))  # raises where an anchor of its block is missing
    known = {*rest["Resources"], *rest["Parameters"], *rest["Conditions"], "CustomerOnboardingStateMachineAliaslive"}

    left = {it for it in template.references(rest) if not it.startswith("AWS::")} - known
    report.none_of(f"template.yaml: {it} is in the block of {name}, and used outside it" for it in left)
