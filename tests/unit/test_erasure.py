"""Erased is erased: what comes late, again or by a redrive, in any order, leaves nothing but tombstones."""

import json
import random
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError

from onboarding.domain import errors
from onboarding.domain.analytics import Facts
from onboarding.domain.events import EVENTS
from tests.in_process.template import reference_to, resources
from tests.invocations import (
    a_batch,
    a_confirmation,
    a_confirmation_task,
    a_customer_task,
    a_resend,
    a_status_request,
    a_welcome_email_task,
    an_envelope,
    an_event,
    an_execution_change,
    sample,
)
from tests.unit.deployment import Functions
from tests.unit.runtime import Runtime

CUSTOMER = "ada"
TASK = a_customer_task(customerId=CUSTOMER)


def feedback(case: str) -> tuple[str, Any]:
    body = json.loads(sample(f"publish_email_feedback/{case}")["Records"][0]["body"])
    body["detail"]["mail"]["tags"]["customerId"] = [CUSTOMER]
    return "publish_email_feedback", a_batch(body)


STEPS: list[tuple[str, Any]] = [
    *((it, TASK) for it in ("create_account", "cancel_account", "erase_customer")),
    ("send_welcome_email", a_welcome_email_task(customerId=CUSTOMER)),
    ("request_confirmation", a_confirmation_task(customerId=CUSTOMER)),
    *(("confirm_email", it) for it in (a_confirmation(CUSTOMER, "A" * 24), a_resend(CUSTOMER))),
    *(
        (consumer, a_batch(an_envelope(an_event(kind, CUSTOMER))))
        for consumer in ("track_onboarding", "detect_fraud", "record_analytics")
        for kind in EVENTS.values()
    ),
    *(("track_onboarding", a_batch(an_execution_change(status, 18))) for status in ("FAILED", "RUNNING")),
    *map(feedback, ("sent", "bounce")),
    ("get_onboarding", a_status_request(CUSTOMER)),
]


@pytest.mark.usefixtures("all_of_aws")
@pytest.mark.parametrize("seed", range(6))
def test_nothing_brings_an_erased_customer_back(
    seed: int, runtime: Runtime, functions: Functions, outbox: list[Any]
) -> None:
    steps, mails = 2 * STEPS, None
    random.Random(seed).shuffle(steps)  # noqa: S311 - repeatable, and no secret
    for function, event in steps:
        with suppress(errors.AccountCancelled, errors.AccountErased, ClientError):  # which fail the execution
            answer = runtime.invoke(function, event)
            assert not (answer or {}).get("batchItemFailures"), event
        mails = len(outbox) if function == "erase_customer" and mails is None else mails

    runtime.invoke("cancel_account", TASK)  # a compensation that is redriven goes on

    scan = functions["create_account"].dynamodb.scan
    pages = [scan(TableName=reference_to(name)) for name in resources("AWS::DynamoDB::Table")]
    items = [item for page in pages for item in page["Items"]]
    items = [
        it for it in items if it.get("customerId") != {"S": "*"} and not it.get("pk", {"S": ""})["S"].startswith("DAY#")
    ]
    # What counts the e-mails of a day expires with it.
    items = [it for it in items if not it.get("id", {"S": ""})["S"].startswith("confirmation_emails#")]
    (facts,) = (json.loads(item.pop("facts")["S"]) for item in items if "facts" in item)
    assert Facts.model_validate(facts) == Facts(customer_id=CUSTOMER, erased=True)
    ids = {"pk", "sk", "id", "eventId", "customerId", "status", "erased", "expiresAt", "expiration"}
    assert [sorted(item.keys() - ids) for item in items] == [[]] * (len(pages) + 1)  # two records of e-mails
    assert len(outbox) == mails
