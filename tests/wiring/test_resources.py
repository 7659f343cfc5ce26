"""Queues, tables and the bus: nothing accepted is lost, nothing kept is open."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from tests.wiring import template
from tests.wiring.functions import deployed

QUEUES = template.resources("AWS::SQS::Queue")
ARNS = {template.arn_of(name): name for name in QUEUES}
REDRIVEN = [name for name, properties in QUEUES.items() if "RedrivePolicy" in properties]
# What one invocation starts, one after the other at some 30 ms each, and what StartExecution's bucket refills with in
# most regions. https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
STARTS_A_SECOND = 30
QUOTA_A_SECOND = 150
LONGEST_CALL_SECONDS = 9  # two attempts and the wait between them: onboarding/runtime/aws.py
# What nobody could make again: customers, what was accepted of them, what happened, and the key to it.
# What has data, or an address that others keep.
STATEFUL = {
    *("AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::Events::EventBus", "AWS::Events::Archive", "AWS::KMS::Key"),
    *("AWS::Serverless::StateMachine", "AWS::StepFunctions::StateMachine"),
    *("AWS::Serverless::Api", "AWS::ApiGateway::RestApi"),
}
LASTING = (
    "CustomersTable",
    "TimelinesTable",
    "AnalyticsTable",
    "RegistrationQueue",
    "RegistrationDeadLetterQueue",
    "EventArchive",
    "EncryptionKey",
)
KEY = "EncryptionKey"
KEY_ARN = f"arn:{template.PARTITION}:kms:{template.REGION}:{template.ACCOUNT}:key/{KEY}"
SOURCES = list(template.resources("AWS::Lambda::EventSourceMapping").values())


@pytest.mark.parametrize("queue", REDRIVEN)
class TestAQueue:
    def test_delivers_five_times_before_it_gives_a_message_up(self, queue: str) -> None:
        assert QUEUES[queue]["RedrivePolicy"]["maxReceiveCount"] >= 5

    def test_has_a_dead_letter_queue_that_keeps_messages_longer(self, queue: str) -> None:
        dead_letters = QUEUES[ARNS[QUEUES[queue]["RedrivePolicy"]["deadLetterTargetArn"]]]

        assert dead_letters["MessageRetentionPeriod"] > QUEUES[queue]["MessageRetentionPeriod"]


def test_every_queue_has_a_dead_letter_queue_or_is_one() -> None:
    dead_letter_queues = {ARNS[QUEUES[name]["RedrivePolicy"]["deadLetterTargetArn"]] for name in REDRIVEN}

    assert QUEUES.keys() == {*REDRIVEN, *dead_letter_queues}
    assert not dead_letter_queues & set(REDRIVEN)


def test_every_queue_is_encrypted() -> None:
    assert all(properties["SqsManagedSseEnabled"] for properties in QUEUES.values())


def test_every_queue_takes_requests_over_tls_alone() -> None:
    refused = {
        arn
        for policy in template.resources("AWS::SQS::QueuePolicy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny"
        and (statement["Principal"], statement["Action"]) == ("*", "sqs:*")
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": False}}
        for arn in statement["Resource"]
    }

    assert refused == set(ARNS)


def test_with_a_key_of_its_own_the_stack_encrypts_all_that_it_keeps() -> None:
    with patch.dict(template.CHOSEN, {"CustomerManagedKey": "true"}):
        resources = template.resolve(template.transformed()["Resources"])
    keys = {
        "AWS::SQS::Queue": "KmsMasterKeyId",
        "AWS::Logs::LogGroup": "KmsKeyId",
        "AWS::Lambda::Function": "KmsKeyArn",
    }
    kept = [(it["Type"], it["Properties"]) for it in resources.values()]

    for resource_type, key in keys.items():
        assert {properties.get(key) for kind, properties in kept if kind == resource_type} <= {KEY, KEY_ARN}
    for properties in (properties for kind, properties in kept if kind == "AWS::DynamoDB::Table"):
        assert properties["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEY}
    assert not any("SqsManagedSseEnabled" in properties for _, properties in kept)  # SQS takes one or the other


def test_the_key_serves_this_account_alone() -> None:
    (key,) = template.resources("AWS::KMS::Key").values()
    administration, *uses = key["KeyPolicy"]["Statement"]

    assert administration["Principal"] == {"AWS": f"arn:{template.PARTITION}:iam::{template.ACCOUNT}:root"}
    assert key["EnableKeyRotation"] is True
    for use in uses:
        assert "kms:*" not in use["Action"]
        assert template.ACCOUNT in str(use["Condition"])


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: deployed()[source["FunctionName"]].package)
class TestAFunctionBehindAQueue:
    def test_is_polled_from_a_queue_that_has_a_dead_letter_queue(self, source: template.Document) -> None:
        assert ARNS[source["EventSourceArn"]] in REDRIVEN

    def test_has_six_times_its_timeout_before_a_message_shows_again(self, source: template.Document) -> None:
        timeout = deployed()[source["FunctionName"]].timeout
        window = source.get("MaximumBatchingWindowInSeconds", 0)

        assert QUEUES[ARNS[source["EventSourceArn"]]]["VisibilityTimeout"] >= 6 * timeout + window

    def test_reports_the_messages_that_failed(self, source: template.Document) -> None:
        assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]

    def test_is_capped_so_that_a_burst_stays_in_the_queue(self, source: template.Document) -> None:
        assert source["ScalingConfig"]["MaximumConcurrency"] * STARTS_A_SECOND <= QUOTA_A_SECOND

    def test_has_the_time_to_start_a_whole_batch_where_step_functions_hangs(self, source: template.Document) -> None:
        timeout = deployed()[source["FunctionName"]].timeout

        assert source["BatchSize"] * LONGEST_CALL_SECONDS < timeout


def test_every_table_is_encrypted_and_paid_by_use() -> None:
    tables = template.resources("AWS::DynamoDB::Table").values()

    assert tables
    for table in tables:
        assert table["BillingMode"] == "PAY_PER_REQUEST"
        assert table["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS"}


@pytest.mark.parametrize("logical_id", LASTING)
def test_what_lasts_outlives_the_stack_and_mistakes(logical_id: str) -> None:
    resource = template.deployed()["Resources"][logical_id]

    assert resource["DeletionPolicy"] == "Retain"
    assert resource["UpdateReplacePolicy"] == "Retain"
    if resource["Type"] == "AWS::DynamoDB::Table":
        assert resource["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert resource["Properties"]["DeletionProtectionEnabled"] == "true"


def test_stateful_resources_keep_their_logical_ids() -> None:
    """Under another id CloudFormation would make an empty one beside it: add to the list, rename nothing in it."""
    found = {name for name, it in template.deployed()["Resources"].items() if it["Type"] in STATEFUL}

    assert found == {
        *("CustomersTable", "IdempotencyTable", "TimelinesTable", "FraudTable", "AnalyticsTable"),
        *("RegistrationQueue", "RegistrationDeadLetterQueue", "TrackOnboardingQueue", "TrackOnboardingDeadLetterQueue"),
        *("PublishEmailFeedbackQueue", "PublishEmailFeedbackDeadLetterQueue", "DetectFraudQueue"),
        *("DetectFraudDeadLetterQueue", "RecordAnalyticsQueue", "RecordAnalyticsDeadLetterQueue"),
        *("EventBus", "EventArchive", "EncryptionKey", "CustomerOnboardingStateMachine", "Api"),
    }


def test_each_table_either_lasts_or_forgets() -> None:
    for logical_id, table in template.resources("AWS::DynamoDB::Table").items():
        assert logical_id in LASTING or table["TimeToLiveSpecification"]["Enabled"]


def test_there_is_one_bus_of_our_own() -> None:
    (bus,) = template.resources("AWS::Events::EventBus").values()

    assert bus["Name"] != "default"
