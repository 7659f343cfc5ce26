"""Queues, tables and the bus: nothing accepted is lost, nothing kept is open."""

from __future__ import annotations

import pytest

from tests.wiring import template

QUEUES = template.resources("AWS::SQS::Queue")
ARNS = {template.arn_of(name): name for name in QUEUES}
REDRIVEN = [name for name, properties in QUEUES.items() if "RedrivePolicy" in properties]
# What one invocation starts, one after the other at some 30 ms each, and what StartExecution's bucket refills with in
# most regions. https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
STARTS_A_SECOND = 30
QUOTA_A_SECOND = 150
LONGEST_CALL_SECONDS = 9  # two attempts and the wait between them: onboarding/aws.py
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


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source["FunctionName"])
class TestAFunctionBehindAQueue:
    def test_is_polled_from_a_queue_that_has_a_dead_letter_queue(self, source: template.Document) -> None:
        assert ARNS[source["EventSourceArn"]] in REDRIVEN

    def test_has_six_times_its_timeout_before_a_message_shows_again(self, source: template.Document) -> None:
        timeout = template.resources("AWS::Lambda::Function")[source["FunctionName"]]["Timeout"]
        window = source.get("MaximumBatchingWindowInSeconds", 0)

        assert QUEUES[ARNS[source["EventSourceArn"]]]["VisibilityTimeout"] >= 6 * timeout + window

    def test_reports_the_messages_that_failed(self, source: template.Document) -> None:
        assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]

    def test_is_capped_so_that_a_burst_stays_in_the_queue(self, source: template.Document) -> None:
        assert source["ScalingConfig"]["MaximumConcurrency"] * STARTS_A_SECOND <= QUOTA_A_SECOND

    def test_has_the_time_to_start_a_whole_batch_where_step_functions_hangs(self, source: template.Document) -> None:
        timeout = template.resources("AWS::Lambda::Function")[source["FunctionName"]]["Timeout"]

        assert source["BatchSize"] * LONGEST_CALL_SECONDS < timeout


def test_every_table_is_encrypted_and_paid_by_use() -> None:
    tables = template.resources("AWS::DynamoDB::Table").values()

    assert tables
    for table in tables:
        assert table["BillingMode"] == "PAY_PER_REQUEST"
        assert table["SSESpecification"] == {"SSEEnabled": True}


def test_the_customers_outlive_the_stack_and_mistakes() -> None:
    customers = template.transformed()["Resources"]["CustomersTable"]

    assert customers["DeletionPolicy"] == "Retain"
    assert customers["UpdateReplacePolicy"] == "Retain"
    assert customers["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


def test_there_is_one_bus_of_our_own() -> None:
    (bus,) = template.resources("AWS::Events::EventBus").values()

    assert bus["Name"] != "default"
