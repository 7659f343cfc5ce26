"""The function that reads SES's reports: it publishes bounces and complaints, and records what was sent."""

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from botocore.stub import Stubber

from onboarding.adapters import bus
from onboarding.adapters.mail import feedback
from onboarding.domain.events import WelcomeEmailFailed
from onboarding.domain.tasks import WelcomeEmailTask
from tests.invocations import a_batch, a_welcome_email_task, failures, sample
from tests.unit.deployment import Functions
from tests.unit.faults import OUT_OF_REACH, failing
from tests.unit.runtime import Runtime
from tests.unit.table import Table

FUNCTION = "publish_email_feedback"
BOUNCED_AT, COMPLAINED_AT = "2026-11-23T10:31:09.250000Z", "2026-11-24T08:00:00Z"

Published = Callable[[], list[dict[str, Any]]]


def report(case: str, **changes: Any) -> dict[str, Any]:
    """SES's event from the sample, with changes to its bounce or complaint."""
    (record,) = sample(f"{FUNCTION}/{case}")["Records"]
    envelope: dict[str, Any] = json.loads(record["body"])
    envelope["detail"].get("bounce", envelope["detail"].get("complaint")).update(changes)
    return envelope


def without_tag(name: str) -> dict[str, Any]:
    envelope = report("bounce")
    del envelope["detail"]["mail"]["tags"][name]
    return envelope


def test_bounce_is_published_as_failed_email(runtime: Runtime, published: Published) -> None:
    envelope = report("bounce")
    tags = {name: values[0] for name, values in envelope["detail"]["mail"]["tags"].items()}

    assert runtime.invoke(FUNCTION, a_batch(envelope)) == failures()

    (event,) = published()
    assert (event["source"], event["detail-type"]) == ("custom.customerService", "WelcomeEmailFailed")
    assert event["detail"] == {
        "customerId": tags["customerId"],
        "accountId": tags["accountId"],
        "reason": "BOUNCED",
        "metadata": {
            "eventId": f"{tags['customerId']}:WelcomeEmailFailed",
            "schemaVersion": "1.0",
            "correlationId": tags["correlationId"],
            "occurredAt": BOUNCED_AT,
        },
    }
    assert isinstance(bus.read(json.dumps(event)), WelcomeEmailFailed)


@pytest.mark.parametrize(
    ("envelope", "reason", "occurred_at"),
    [
        (report("bounce", bounceType="Transient", bounceSubType="MailboxFull"), "BOUNCED", BOUNCED_AT),
        (report("complaint"), "COMPLAINED", COMPLAINED_AT),
        (report("complaint", complaintFeedbackType=None), "COMPLAINED", COMPLAINED_AT),
        (report("complaint", complaintSubType="OnAccountSuppressionList"), "BOUNCED", COMPLAINED_AT),
    ],
)
def test_feedback_gives_the_reason(envelope: dict[str, Any], reason: str, occurred_at: str) -> None:
    event = feedback.read(json.dumps(envelope))

    assert isinstance(event, WelcomeEmailFailed)
    assert (event.reason, event.metadata.occurred_at) == (reason, datetime.fromisoformat(occurred_at))


@pytest.mark.parametrize(
    "envelope",
    [
        report("out-of-office"),
        report("complaint", complaintFeedbackType="not-spam"),
        report("other-e-mail"),
        *map(without_tag, ("customerId", "correlationId")),
    ],
)
def test_other_feedback_is_ignored(envelope: dict[str, Any]) -> None:
    assert feedback.read(json.dumps(envelope)) is None


def test_bounce_of_a_code_is_logged(runtime: Runtime, published: Published) -> None:
    envelope = without_tag("accountId")

    assert runtime.invoke(FUNCTION, a_batch(envelope)) == failures()

    (line,) = (it for it in runtime.log if it["message"] == "Code not received")
    assert [line["customer_id"]] == envelope["detail"]["mail"]["tags"]["customerId"]
    assert (line["reason"], line["level"]) == ("BOUNCED", "INFO")
    assert published() == []


def test_report_on_forgotten_email_is_ignored(runtime: Runtime, idempotency_table: Table) -> None:
    assert runtime.invoke(FUNCTION, sample(f"{FUNCTION}/sent")) == failures()

    assert idempotency_table.items == {}


def test_unpublished_event_is_retried(runtime: Runtime, functions: Functions, published: Published) -> None:
    with failing(functions[FUNCTION].eventbridge, "PutEvents", OUT_OF_REACH[0]):
        assert runtime.invoke(FUNCTION, a_batch(report("bounce"), report("complaint"))) == failures(0)
    assert [event["detail"]["reason"] for event in published()] == ["COMPLAINED"]
    with Stubber(functions[FUNCTION].eventbridge) as stubber:
        stubber.add_response("put_events", {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException"}]})
        assert runtime.invoke(FUNCTION, a_batch(report("bounce"))) == failures(0)
    assert runtime.invoke(FUNCTION, a_batch(report("bounce"))) == failures()
    assert [event["detail"]["reason"] for event in published()] == ["COMPLAINED", "BOUNCED"]


@pytest.mark.parametrize("value", ["", " ", "$/é\n", "x" * 257])
def test_ses_accepts_every_tag(value: str) -> None:
    task = WelcomeEmailTask.model_validate(a_welcome_email_task(accountId=value, correlationId=value))

    for text in (text for tag in feedback.tags(task) for text in (tag["Name"], tag["Value"])):
        assert re.fullmatch("[0-9A-Za-z_-]{1,256}", text)


def test_tags_identify_the_customer() -> None:
    task = WelcomeEmailTask.model_validate(a_welcome_email_task(customerId="ada", accountId="account-1"))
    envelope = report("bounce")
    envelope["detail"]["mail"]["tags"] = {tag["Name"]: [tag["Value"]] for tag in feedback.tags(task)}

    event = feedback.read(json.dumps(envelope))

    assert isinstance(event, WelcomeEmailFailed)
    assert (event.customer_id, event.account_id) == ("ada", "account-1")
    assert event.metadata.correlation_id == task.correlation_id
