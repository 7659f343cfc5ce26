"""The samples in events/, which `sam local invoke` takes too: each has the outcome that its name promises."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from onboarding.adapters import downstream
from onboarding.domain.errors import CustomerInvalid
from tests.invocations import SAMPLES, sample
from tests.unit.deployment import Functions
from tests.unit.partner import Partner
from tests.unit.runtime import Runtime
from tests.unit.systems import API_KEY, QUEUE_SETTINGS, Systems, by_api_key
from tests.unit.table import Table

Queued = Callable[[], list[tuple[str, Any]]]

ACCEPTED = ["plain", "phone-and-address", "idempotency-key", "html-in-name", "name-in-another-script"]
# Field, code and message of each error.
INVALID = {
    "no-body": [("body", "json_invalid", "Invalid JSON: EOF while parsing a value at line 1 column 0")],
    "not-json": [("body", "json_invalid", "Invalid JSON: expected ident at line 1 column 2")],
    "not-an-object": [
        ("body", "model_type", "Input should be a valid dictionary or instance of CustomerData"),
    ],
    "missing-field": [("email", "missing", "Field required")],
    "misspelt-field": [("phnoe", "extra_forbidden", "Extra inputs are not permitted")],
    "wrong-types": [
        ("lastName", "string_type", "Input should be a valid string"),
        ("email", "string_type", "Input should be a valid string"),
        ("address", "model_type", "Input should be a valid dictionary or instance of Address"),
    ],
    "blank-name": [("firstName", "blank", "Must not be blank")],
    "line-break-in-name": [
        ("firstName", "control_character", "Must not contain control characters or line breaks"),
    ],
    "invalid-utf8-in-name": [("firstName", "invalid_utf8", "Must be valid UTF-8")],
    "several-errors": [
        ("firstName", "string_too_short", "String should have at least 1 character"),
        ("lastName", "missing", "Field required"),
        ("phone", "string_type", "Input should be a valid string"),
        ("address.street", "control_character", "Must not contain control characters or line breaks"),
        ("address.zip", "extra_forbidden", "Extra inputs are not permitted"),
    ],
}
WRONG_CONTENT_TYPE = "wrong-content-type"

LONDON = {"street": "12 St James’s Square", "city": "London", "postalCode": "SW1Y 4JH", "country": "GB"}
ADA = {"firstName": "Ada", "lastName": "Lovelace", "email": "ada.lovelace@example.com"}
# What is started, and which messages are reported as failed.
STARTED = {
    "one-registration": ([ADA | {"phone": "020 7946 0958", "address": LONDON}], []),
    "same-registration-twice": ([ADA], []),
    "batch-with-malformed-messages": ([ADA | {"phone": "020 7946 0958", "address": LONDON}], [0, 2]),
}
VALIDATED = {
    "valid": ADA,
    "to-be-normalised": {
        "firstName": "Ada",
        "lastName": "Lovelace",
        "email": "Ada.Lovelace@example.com",
        "phone": "+442079460958",
        "address": LONDON,
    },
}
BROKEN = {
    "one-rule-broken": [("email", "email_invalid")],
    "every-rule-broken": [
        ("firstName", "name_too_short"),
        ("email", "email_invalid"),
        ("phone", "phone_invalid"),
        ("address.city", "missing"),
        ("address.postalCode", "missing"),
        ("address.country", "country_unknown"),
    ],
}
CREATED = ["plain", "phone-and-address"]
CANCELLED = ["plain"]
DONE = {"provision_account": "PROVISIONED", "deprovision_account": "DEPROVISIONED"}
# The kinds of the systems in which the account is created or deleted.
KINDS = sorted(downstream.kinds())
# How the e-mail greets.
SENT = {
    "plain": "Hello <bdi>Ada</bdi>,",
    "html-in-name": "Hello <bdi>&lt;b&gt;Mallory&lt;/b&gt;&lt;script&gt;alert(1)&lt;/script&gt;</bdi>,",
    "name-in-another-script": "Hello <bdi>فاطمة</bdi>,",
}
# What becomes of the messages of each sample: the status that they tell together, and which of them are reported as
# failed.
TRACKED = {
    "registered": ("REGISTERED", []),
    "onboarded-in-any-order-and-twice": ("ONBOARDED", []),
    "invalid": ("REJECTED", []),
    "email-taken": ("REJECTED", []),
    "failed-execution": ("FAILED", []),
    "redriven-execution": ("REGISTERED", []),
    "batch-with-malformed-message": ("VALIDATED", [1]),
}
# How the status is answered once a customer is onboarded.
ANSWERED = {
    "plain": HTTPStatus.OK,
    "if-none-match": HTTPStatus.NOT_MODIFIED,
    "malformed-customer-id": HTTPStatus.NOT_FOUND,
}
# The reasons that are published, and which messages are reported as failed.
REPORTED = {
    "bounce": (["BOUNCED"], []),
    "complaint": (["COMPLAINED"], []),
    "out-of-office": ([], []),
    "other-e-mail": ([], []),
    "batch-with-malformed-message": (["BOUNCED"], [0]),
}
# Who is suspected, and which messages are reported as failed.
SUSPECTED = {
    "nothing-suspicious": ([], []),
    "disposable-domain": (["0d9f2f0a-3a9e-4f8e-8f43-5f2f1f3c9b11"], []),
    "phone-burst-in-any-order-and-twice": (["0d9f2f0a-3a9e-4f8e-8f43-5f2f1f3c9b22"], []),
    "batch-with-malformed-message": (["0d9f2f0a-3a9e-4f8e-8f43-5f2f1f3c9b11"], [0]),
}
# What the funnel of the day then is: registered, onboarded, rejected; and which messages are reported as failed.
COUNTED = {
    "registered": ((1, 0, 0), []),
    "onboarded-in-any-order-and-twice": ((1, 1, 0), []),
    "rejected": ((1, 0, 1), []),
    "batch-with-malformed-message": ((1, 0, 0), [0]),
}
# How many days are answered.
PERIODS = {"period": 2, "last-seven-days": 7}
INVALID_PERIOD = "invalid-period"
# The fields that are missing.
MALFORMED = {
    "validate_customer/malformed": ["correlationId", "customerData.lastName", "customerData.email"],
    "create_account/malformed": ["customerData"],
    "provision_account/malformed": ["system", "account.accountId"],
    "deprovision_account/malformed": ["correlationId", "system"],
    "cancel_account/malformed": ["customerData"],
    "send_welcome_email/malformed": ["accountId", "firstName", "email"],
}
EXPECTED = {
    *(f"register_customer/{case}" for case in (*ACCEPTED, *INVALID, WRONG_CONTENT_TYPE)),
    *(f"start_onboarding/{case}" for case in STARTED),
    *(f"validate_customer/{case}" for case in (*VALIDATED, *BROKEN)),
    *(f"create_account/{case}" for case in CREATED),
    *(f"provision_account/{kind}" for kind in KINDS),
    *(f"deprovision_account/{kind}" for kind in KINDS),
    *(f"cancel_account/{case}" for case in CANCELLED),
    *(f"send_welcome_email/{case}" for case in SENT),
    *(f"track_onboarding/{case}" for case in TRACKED),
    *(f"get_onboarding/{case}" for case in ANSWERED),
    *(f"publish_email_feedback/{case}" for case in REPORTED),
    *(f"detect_fraud/{case}" for case in SUSPECTED),
    *(f"record_analytics/{case}" for case in COUNTED),
    *(f"get_analytics/{case}" for case in (*PERIODS, INVALID_PERIOD)),
    *MALFORMED,
}


def test_every_sample_has_an_expected_outcome_and_every_function_a_sample(functions: Functions) -> None:
    there = {path.relative_to(SAMPLES).with_suffix("").as_posix() for path in SAMPLES.glob("*/*.json")}

    assert there == EXPECTED
    assert {Path(name).parent.name for name in there} == functions.keys()


@pytest.mark.parametrize("case", ACCEPTED)
def test_a_registration_is_accepted_and_queued(
    case: str, runtime: Runtime, queued: Queued, idempotency_table: Table
) -> None:
    request = sample(f"register_customer/{case}")

    response = runtime.invoke("register_customer", request)

    ((message_id, message),) = queued()
    assert response["statusCode"] == HTTPStatus.ACCEPTED
    assert json.loads(response["body"]) == {
        "message": "Registration accepted",
        "customerId": message["customerId"],
        "trackingId": message_id,
    }
    assert message["data"] == json.loads(request["body"])
    assert message["correlationId"] == request["requestContext"]["requestId"]
    assert len(idempotency_table.items) == (case == "idempotency-key")


@pytest.mark.parametrize("case", INVALID)
def test_an_invalid_registration_is_answered_with_every_error(case: str, runtime: Runtime, queued: Queued) -> None:
    response = runtime.invoke("register_customer", sample(f"register_customer/{case}"))

    assert response["statusCode"] == HTTPStatus.BAD_REQUEST
    assert json.loads(response["body"]) == {
        "title": "Bad Request",
        "status": 400,
        "detail": "The registration is not valid: see errors",
        "errors": [{"field": field, "code": code, "message": message} for field, code, message in INVALID[case]],
    }
    assert queued() == []


def test_a_registration_with_another_content_type_is_refused(runtime: Runtime, queued: Queued) -> None:
    response = runtime.invoke("register_customer", sample(f"register_customer/{WRONG_CONTENT_TYPE}"))

    assert response["statusCode"] == HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    assert json.loads(response["body"]) == {
        "title": "Unsupported Media Type",
        "status": 415,
        "detail": "Content-Type must be application/json",
    }
    assert queued() == []


@pytest.mark.parametrize("case", STARTED)
def test_sound_messages_start_executions_and_malformed_ones_are_reported(
    case: str, runtime: Runtime, executions: list[Any]
) -> None:
    batch = sample(f"start_onboarding/{case}")
    customers, failed = STARTED[case]

    answer = runtime.invoke("start_onboarding", batch)

    assert [json.loads(execution.execution_input)["data"] for execution in executions] == customers
    assert answer == {
        "batchItemFailures": [{"itemIdentifier": batch["Records"][number]["messageId"]} for number in failed]
    }


@pytest.mark.parametrize("case", VALIDATED)
def test_a_sound_customer_is_returned_normalised(case: str, runtime: Runtime) -> None:
    answer = runtime.invoke("validate_customer", sample(f"validate_customer/{case}"))

    assert answer == {"customerData": VALIDATED[case]}


@pytest.mark.parametrize("case", BROKEN)
def test_an_unsound_customer_is_refused_with_every_broken_rule(case: str, runtime: Runtime) -> None:
    with pytest.raises(CustomerInvalid) as raised:
        runtime.invoke("validate_customer", sample(f"validate_customer/{case}"))

    assert [(error["field"], error["code"]) for error in raised.value.errors] == BROKEN[case]


@pytest.mark.parametrize("case", CREATED)
def test_a_validated_customer_gets_an_account(case: str, runtime: Runtime, customers_table: Table) -> None:
    task = sample(f"create_account/{case}")

    answer = runtime.invoke("create_account", task)

    account = customers_table.items[f"CUSTOMER#{task['customerId']}"]
    assert answer == {"accountId": account["accountId"]["S"]}
    assert customers_table.items[f"EMAIL#{task['customerData']['email']}"]["customerId"] == account["customerId"]
    assert account["customerData"]["M"].keys() == task["customerData"].keys()


@pytest.mark.parametrize("function", ["provision_account", "deprovision_account"])
def test_a_system_that_speaks_http_is_called(function: str, runtime: Runtime, systems: Systems, crm: Partner) -> None:
    task = sample(f"{function}/http")
    systems.configure(task["system"], by_api_key(crm.url), {"apiKey": API_KEY})

    answer = runtime.invoke(function, task)

    (request,) = crm.requests
    assert answer == {"system": task["system"], "status": DONE[function]}
    assert request.path == f"/accounts/{task['customerId']}"
    assert request.body == (
        json.dumps(task["account"], ensure_ascii=False, separators=(",", ":")) if "account" in task else ""
    )


@pytest.mark.parametrize("function", ["provision_account", "deprovision_account"])
def test_a_system_behind_a_queue_is_commanded(
    function: str, runtime: Runtime, systems: Systems, commands: Callable[[], list[Any]]
) -> None:
    task = sample(f"{function}/sqs")
    systems.configure(task["system"], QUEUE_SETTINGS)

    answer = runtime.invoke(function, task)

    (message,) = commands()
    command = json.loads(message.body)
    assert answer == {"system": task["system"], "status": DONE[function]}
    assert (command["customerId"], command.get("account")) == (task["customerId"], task.get("account"))


@pytest.mark.parametrize("case", CANCELLED)
def test_a_pending_account_is_cancelled(case: str, runtime: Runtime, customers_table: Table) -> None:
    task = sample(f"cancel_account/{case}")
    runtime.invoke("create_account", task)

    assert runtime.invoke("cancel_account", task) is None

    (account,) = customers_table.items.values()
    assert account["status"] == {"S": "CANCELLED"}


@pytest.mark.parametrize("case", SENT)
def test_the_welcome_e_mail_is_sent(case: str, runtime: Runtime, outbox: list[Any], idempotency_table: Table) -> None:
    task = sample(f"send_welcome_email/{case}")

    answer = runtime.invoke("send_welcome_email", task)

    (email,) = outbox
    assert answer == {"messageId": email.id}
    assert email.destinations == {"ToAddresses": [task["email"]]}
    assert SENT[case] in email.body


@pytest.mark.parametrize("case", TRACKED)
def test_events_are_tracked_and_malformed_ones_are_reported(
    case: str, runtime: Runtime, timelines_table: Table
) -> None:
    batch = sample(f"track_onboarding/{case}")
    status, failed = TRACKED[case]

    answer = runtime.invoke("track_onboarding", batch)

    response = runtime.invoke("get_onboarding", sample("get_onboarding/plain"))
    assert json.loads(response["body"])["status"] == status
    assert answer == {
        "batchItemFailures": [{"itemIdentifier": batch["Records"][number]["messageId"]} for number in failed]
    }


@pytest.mark.parametrize("case", ANSWERED)
def test_the_status_of_an_onboarded_customer_is_answered(case: str, runtime: Runtime, timelines_table: Table) -> None:
    runtime.invoke("track_onboarding", sample("track_onboarding/onboarded-in-any-order-and-twice"))

    response = runtime.invoke("get_onboarding", sample(f"get_onboarding/{case}"))

    assert response["statusCode"] == ANSWERED[case]


@pytest.mark.parametrize("case", REPORTED)
def test_feedback_on_a_welcome_e_mail_is_published(
    case: str, runtime: Runtime, published: Callable[[], list[dict[str, Any]]]
) -> None:
    batch = sample(f"publish_email_feedback/{case}")
    reasons, failed = REPORTED[case]

    answer = runtime.invoke("publish_email_feedback", batch)

    assert [event["detail"]["reason"] for event in published()] == reasons
    assert answer == {
        "batchItemFailures": [{"itemIdentifier": batch["Records"][number]["messageId"]} for number in failed]
    }


@pytest.mark.parametrize("case", SUSPECTED)
def test_who_is_suspected_is_published(
    case: str, runtime: Runtime, fraud_table: Table, published: Callable[[], list[dict[str, Any]]]
) -> None:
    batch = sample(f"detect_fraud/{case}")
    suspected, failed = SUSPECTED[case]

    answer = runtime.invoke("detect_fraud", batch)

    assert [event["detail"]["customerId"] for event in published()] == suspected
    assert answer == {
        "batchItemFailures": [{"itemIdentifier": batch["Records"][number]["messageId"]} for number in failed]
    }


@pytest.mark.parametrize("case", COUNTED)
def test_events_are_counted_and_malformed_ones_are_reported(
    case: str, runtime: Runtime, analytics_table: Table
) -> None:
    batch = sample(f"record_analytics/{case}")
    counts, failed = COUNTED[case]

    answer = runtime.invoke("record_analytics", batch)

    total = json.loads(runtime.invoke("get_analytics", sample("get_analytics/period"))["body"])["total"]
    assert (total["registered"], total["onboarded"], total["rejected"]) == counts
    assert answer == {
        "batchItemFailures": [{"itemIdentifier": batch["Records"][number]["messageId"]} for number in failed]
    }


@pytest.mark.parametrize("case", PERIODS)
def test_the_analytics_of_a_period_are_answered(case: str, runtime: Runtime, analytics_table: Table) -> None:
    response = runtime.invoke("get_analytics", sample(f"get_analytics/{case}"))

    assert response["statusCode"] == HTTPStatus.OK
    assert len(json.loads(response["body"])["days"]) == PERIODS[case]


def test_an_invalid_period_is_answered_with_every_error(runtime: Runtime, analytics_table: Table) -> None:
    response = runtime.invoke("get_analytics", sample(f"get_analytics/{INVALID_PERIOD}"))

    assert response["statusCode"] == HTTPStatus.BAD_REQUEST
    errors = json.loads(response["body"])["errors"]
    assert [(error["field"], error["code"]) for error in errors] == [
        ("until", "extra_forbidden"),
        ("to", "date_invalid"),
        ("from", "date_invalid"),
    ]


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_task_fails_and_names_what_is_missing(name: str, runtime: Runtime) -> None:
    with pytest.raises(ValidationError) as raised:
        runtime.invoke(Path(name).parent.name, sample(name))

    errors = raised.value.errors()
    assert {error["type"] for error in errors} == {"missing"}
    assert [".".join(map(str, error["loc"])) for error in errors] == MALFORMED[name]
