"""Queues, tables, logs and the key: nothing accepted is lost, and kept data is protected."""

from typing import Any
from unittest.mock import patch

from tests.in_process import functions, template
from tests.wiring import report

# What one invocation starts in a second, at about 30 ms each, and what StartExecution allows in most regions.
# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
STARTS_A_SECOND = 30
QUOTA_A_SECOND = 150
LONGEST_CALL_SECONDS = 9  # two attempts and the wait between them: onboarding/runtime/aws.py
# Resources whose data nobody could recreate.
LASTING = {
    *("CustomersTable", "TimelinesTable", "AnalyticsTable"),
    *("RegistrationQueue", "RegistrationDeadLetterQueue", "EncryptionKey"),
}
# Resources with data, or with an address that others use: under another id, CloudFormation would create an empty one.
# A release adds its own; never rename or remove.
STATEFUL = {
    *("CustomersTable", "IdempotencyTable", "TimelinesTable", "FraudTable", "AnalyticsTable"),
    *("RegistrationQueue", "RegistrationDeadLetterQueue", "TrackOnboardingQueue", "TrackOnboardingDeadLetterQueue"),
    *("PublishEmailFeedbackQueue", "PublishEmailFeedbackDeadLetterQueue", "DetectFraudQueue"),
    *("DetectFraudDeadLetterQueue", "RecordAnalyticsQueue", "RecordAnalyticsDeadLetterQueue"),
    *("EventBus", "EventArchive", "EncryptionKey", "CustomerOnboardingStateMachine", "Api"),
    "CustomerErasureStateMachine",
}
STATEFUL_TYPES = {
    *("AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::Events::EventBus", "AWS::Events::Archive", "AWS::KMS::Key"),
    *("AWS::Serverless::StateMachine", "AWS::Serverless::Api"),
}


def queues() -> dict[str, template.Document]:
    """The queues by their ARN."""
    return {template.arn_of(name): it for name, it in template.resources("AWS::SQS::Queue").items()}


def dead_letter_queues() -> set[str]:
    return {it["RedrivePolicy"]["deadLetterTargetArn"] for it in queues().values() if "RedrivePolicy" in it}


def test_each_queue_sets_aside_what_keeps_failing() -> None:
    # SQS keeps a message for 14 days at most, counted from when it was first queued.
    registrations, fortnight = template.arn_of("RegistrationQueue"), 14 * 24 * 60 * 60
    problems = []
    for arn, queue in queues().items():
        redrive, dead = queue.get("RedrivePolicy", {}), arn in dead_letter_queues()
        receives = 200 if arn == registrations else 5
        lacks = {
            "RedrivePolicy to a dead-letter queue": bool(redrive) == dead,
            f"maxReceiveCount of {receives} or more": not dead and redrive.get("maxReceiveCount", 0) < receives,
            "MessageRetentionPeriod of 14 days": queue["MessageRetentionPeriod"] != fortnight,
            "SqsManagedSseEnabled": queue.get("SqsManagedSseEnabled") is not True,
        }
        problems += [f"template.yaml: {arn} has no {part}" for part, missing in lacks.items() if missing]
    report.none_of(problems)


def test_own_key_encrypts_all_that_is_kept() -> None:
    with patch.dict(template.CHOSEN, CustomerManagedKey="true"):
        resources = template.resolve(template.written()["Resources"])
        common = template.resolve(template.written()["Globals"]["Function"])
        reference, arn = template.reference_to("EncryptionKey"), template.arn_of("EncryptionKey")
    keys = {"AWS::SQS::Queue": "KmsMasterKeyId", "AWS::Logs::LogGroup": "KmsKeyId"}

    assert common["KmsKeyArn"] == arn
    for name, resource in resources.items():
        kept = resource.get("Properties", {})
        if key := keys.get(resource["Type"]):
            assert kept[key] in {reference, arn}, name
        if resource["Type"] == "AWS::DynamoDB::Table":
            assert kept["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": reference}, name
        assert "SqsManagedSseEnabled" not in kept, name  # SQS takes one or the other


def test_key_serves_this_account_alone() -> None:
    (key,) = template.resources("AWS::KMS::Key").values()
    administration, *uses = key["KeyPolicy"]["Statement"]

    assert administration["Principal"] == {"AWS": f"arn:{template.PARTITION}:iam::{template.ACCOUNT}:root"}
    assert key["EnableKeyRotation"] is True
    for use in uses:
        assert "kms:*" not in use["Action"]
        assert template.ACCOUNT in str(use["Condition"])


def test_function_has_time_for_its_batch() -> None:
    sources = template.resources("AWS::Lambda::EventSourceMapping", by_sam=True).values()
    problems = []
    for source in sources:
        function, queue = functions.deployed()[source["FunctionName"]], queues()[source["EventSourceArn"]]
        window = source.get("MaximumBatchingWindowInSeconds", 0)
        started = source.get("ScalingConfig", {}).get("MaximumConcurrency", QUOTA_A_SECOND) * STARTS_A_SECOND
        wrong = {
            "its queue has no RedrivePolicy": "RedrivePolicy" not in queue,
            "its queue's VisibilityTimeout is too short": queue["VisibilityTimeout"] < 6 * function.timeout + window,
            "no ReportBatchItemFailures": source.get("FunctionResponseTypes") != ["ReportBatchItemFailures"],
            "MaximumConcurrency is missing or too high": started > QUOTA_A_SECOND,
            "its Timeout is too short for BatchSize": source["BatchSize"] * LONGEST_CALL_SECONDS >= function.timeout,
        }
        problems += [f"template.yaml: {function.logical_id}: {what}" for what, is_so in wrong.items() if is_so]
    assert sources
    report.none_of(problems)


def test_each_table_is_encrypted_and_kept_or_expires() -> None:
    always = {"BillingMode": "PAY_PER_REQUEST", "SSESpecification": {"SSEEnabled": True, "SSEType": "KMS"}}
    recovery = {"PointInTimeRecoveryEnabled": True}
    protected = {"PointInTimeRecoverySpecification": recovery, "DeletionProtectionEnabled": "true"}
    problems = []
    with patch.dict(template.CHOSEN, DeletionProtection="true"):
        tables = template.resolve(template.written_resources("AWS::DynamoDB::Table"))
    for name, table in tables.items():
        expected: dict[str, Any] = always | (protected if name in LASTING else {})
        if name not in LASTING and not table.get("TimeToLiveSpecification", {}).get("Enabled"):
            problems.append(f"template.yaml: {name} has no TimeToLiveSpecification, and is not in LASTING here")
        problems += [
            f"template.yaml: {name}: {key} is not {value}" for key, value in expected.items() if table.get(key) != value
        ]
    report.none_of(problems)


def test_stateful_resources_keep_their_logical_ids() -> None:
    found = {name for name, it in template.written()["Resources"].items() if it["Type"] in STATEFUL_TYPES}

    report.none_of(f"template.yaml: {name} is gone; don't rename what has data" for name in STATEFUL - found)


def test_each_log_group_is_used_and_expires() -> None:
    groups = template.written_resources("AWS::Logs::LogGroup")
    machines = template.resources("AWS::Serverless::StateMachine").values()
    destinations = [it for machine in machines for it in machine["Logging"]["Destinations"]]
    users = template.resources("AWS::Serverless::Function").values()
    used = [it.get("LoggingConfig", {}).get("LogGroup", "none") for it in users]
    used += [it["CloudWatchLogsLogGroup"]["LogGroupArn"].split(":")[6] for it in destinations]
    delivered = template.resources("AWS::Logs::DeliveryDestination").values()
    used += [it["DestinationResourceArn"].split(":")[6] for it in delivered]
    endless = [name for name, it in groups.items() if it.get("RetentionInDays") != {"Ref": "LogRetentionDays"}]

    unused = set(map(template.name_of, groups)) - set(used)
    report.none_of(f"template.yaml: nothing logs to {name}" for name in unused)
    report.none_of(f"template.yaml: {name}: RetentionInDays is not LogRetentionDays" for name in endless)
    shared = {name for name in used if used.count(name) > 1}
    report.none_of(f"template.yaml: {name} is the LogGroup of several functions" for name in shared)


def test_bus_logs_failed_deliveries_without_data() -> None:
    ((name, bus),) = template.resources("AWS::Events::EventBus").items()
    (source,) = template.resources("AWS::Logs::DeliverySource").values()
    (delivery,) = template.resources("AWS::Logs::Delivery").values()

    assert bus["LogConfig"] == {"Level": "ERROR", "IncludeDetail": "NONE"}
    assert (source["ResourceArn"], source["LogType"]) == (template.arn_of(name), "ERROR_LOGS")
    assert delivery["DeliverySourceName"] == source["Name"]


def test_workflow_is_redrivable_and_logs_no_data() -> None:
    for machine in template.resources("AWS::Serverless::StateMachine").values():
        (destination,) = machine["Logging"]["Destinations"]

        assert machine["Type"] == "STANDARD"  # the only type that is redriven
        assert machine["Tracing"] == {"Enabled": True}
        assert (machine["Logging"]["Level"], machine["Logging"]["IncludeExecutionData"]) == ("ALL", False)
        # There the log's resource policy can't grow too long:
        # https://docs.aws.amazon.com/step-functions/latest/dg/bp-cwl.html
        assert ":log-group:/aws/vendedlogs/" in destination["CloudWatchLogsLogGroup"]["LogGroupArn"]
