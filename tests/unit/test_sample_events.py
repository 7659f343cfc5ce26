"""Each sample in events/, which `sam local invoke` accepts too, has the outcome that its name promises.

OUTCOMES needs no line for a sample that succeeds, or for one named `malformed`, a task that lacks some of its fields.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from pydantic import ValidationError

from onboarding.domain.errors import CustomerInvalid, EmailClaimPending, EmailNotConfirmed
from onboarding.domain.events import SOURCE
from tests.invocations import SAMPLES, sample
from tests.unit.deployment import Functions
from tests.unit.runtime import Runtime
from tests.unit.test_unexpected_errors import counted

NAMES = sorted(path.relative_to(SAMPLES).with_suffix("").as_posix() for path in SAMPLES.glob("*/*.json"))
# What is invoked first: a function and its event.
REGISTERED = ("track_onboarding", sample("track_onboarding/registered"))
VALIDATED = ("track_onboarding", sample("track_onboarding/batch-with-malformed-message"))
BEFORE = {
    "create_account/waiting-for-address": ("create_account", sample("create_account/plain")),
    "cancel_account/plain": ("create_account", sample("cancel_account/plain")),
    "erase_customer/plain": ("create_account", sample("cancel_account/plain")),
    "get_onboarding/plain": REGISTERED,
    "get_onboarding/if-none-match": VALIDATED,
    "confirm_email/plain": ("request_confirmation", sample("request_confirmation/plain")),
    "confirm_email/resend": ("request_confirmation", sample("request_confirmation/plain")),
}
# An answer's status with the field and code of its errors; or what a task raises; or the messages that fail.
OUTCOMES: dict[str, Any] = {
    "register_customer/not-json": (400, "body json_invalid"),
    "register_customer/misspelt-field": (400, "phnoe extra_forbidden"),
    "register_customer/line-break-in-name": (400, "firstName control_character"),
    "register_customer/invalid-utf8-in-name": (400, "firstName invalid_utf8"),
    "register_customer/several-errors": (
        400,
        "firstName string_too_short",
        "phone string_type",
        "address.street control_character",
        "address.zip extra_forbidden",
    ),
    "register_customer/wrong-content-type": (415,),
    "get_onboarding/if-none-match": (304,),
    "get_onboarding/malformed-customer-id": (404,),
    "get_analytics/invalid-period": (400, "until extra_forbidden", "to date_invalid", "from date_invalid"),
    "create_account/waiting-for-address": EmailClaimPending,
    "create_account/not-confirmed": EmailNotConfirmed,
    "confirm_email/plain": (422,),  # no sample has the code
    "confirm_email/misspelt-field": (400, "code missing", "kode extra_forbidden"),
    "validate_customer/one-rule-broken": CustomerInvalid,
    "validate_customer/several-rules-broken": CustomerInvalid,
    "track_onboarding/batch-with-malformed-message": [1],
    "publish_email_feedback/batch-with-malformed-message": [0],
    "detect_fraud/batch-with-malformed-message": [0],
    "record_analytics/batch-with-malformed-message": [0],
}
# Messages that go to the dead-letter queue at once.
SET_ASIDE = {"start_onboarding/batch-with-malformed-messages"}
# The status, the published reasons, the suspected customers, or the numbers of registered, onboarded and rejected.
EFFECTS: dict[str, Any] = {
    "track_onboarding/registered": "REGISTERED",
    "track_onboarding/onboarded-in-any-order-and-twice": "ONBOARDED",
    "track_onboarding/invalid": "REJECTED",
    "track_onboarding/email-taken": "REJECTED",
    "track_onboarding/email-unconfirmed": "ONBOARDED_WITHOUT_EMAIL",
    "track_onboarding/failed-execution": "FAILED",
    "track_onboarding/redriven-execution": "REGISTERED",
    "track_onboarding/batch-with-malformed-message": "VALIDATED",
    "track_onboarding/erased": 404,
    "publish_email_feedback/sent": [],
    "publish_email_feedback/bounce": ["BOUNCED"],
    "publish_email_feedback/complaint": ["COMPLAINED"],
    "publish_email_feedback/out-of-office": [],
    "publish_email_feedback/other-e-mail": [],
    "publish_email_feedback/batch-with-malformed-message": ["BOUNCED"],
    "detect_fraud/nothing-suspicious": [],
    "detect_fraud/disposable-domain": ["0d9f2f0a-3a9e-4f8e-8f43-5f2f1f3c9b11"],
    "detect_fraud/phone-burst-in-any-order-and-twice": ["0d9f2f0a-3a9e-4f8e-8f43-5f2f1f3c9b22"],
    "detect_fraud/erased": ["0d9f2f0a-3a9e-4f8e-8f43-5f2f1f3c9b11"],
    "detect_fraud/batch-with-malformed-message": ["0d9f2f0a-3a9e-4f8e-8f43-5f2f1f3c9b11"],
    "record_analytics/registered": (1, 0, 0),
    "record_analytics/onboarded-in-any-order-and-twice": (1, 1, 0),
    "record_analytics/rejected": (1, 0, 1),
    "record_analytics/batch-with-malformed-message": (1, 0, 0),
    "record_analytics/erased": (1, 0, 0),
}
FILE = "tests/unit/test_sample_events.py"
UNKNOWN: dict[str, str | None] = {}
NOBODY: dict[str, str | None] = {"customer_id": None, "correlation_id": None}


def test_each_function_has_a_sample(functions: Functions) -> None:
    sampled = {name.partition("/")[0] for name in NAMES}

    assert not (bare := functions.keys() - sampled), f"events/: add a folder with a sample for {bare}"
    assert not (gone := sampled - functions.keys()), f"events/: remove {gone}, which template.yaml doesn't have"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("all_of_aws")
def test_sample_does_what_its_name_promises(
    name: str, runtime: Runtime, published: Callable[[], list[dict[str, Any]]]
) -> None:
    function = name.partition("/")[0]
    if name in BEFORE:
        runtime.invoke(*BEFORE[name])
    lines_before = len(runtime.log)

    outcome = outcome_of(function, sample(name), runtime)
    lines = runtime.log[lines_before:]

    malformed = ValidationError if name.endswith("/malformed") else "success"
    expected = OUTCOMES.get(name, malformed)
    assert outcome == expected, f"events/{name}.json: fix it, or set OUTCOMES in {FILE} to {outcome}"
    if name in EFFECTS:
        effect = effect_of(function, runtime, published())
        assert effect == EFFECTS[name], f"events/{name}.json: fix it, or set EFFECTS in {FILE} to {effect}"
    assert_keys(name, lines)
    is_fault = expected is ValidationError or isinstance(expected, list) or name in SET_ASIDE
    assert bool(counted(function, lines)) == is_fault


def outcome_of(function: str, event: dict[str, Any], runtime: Runtime) -> Any:
    """The outcome of an event, in the form of OUTCOMES."""
    try:
        answer = runtime.invoke(function, event)
    except Exception as error:  # noqa: BLE001 - compared with OUTCOMES
        return type(error)
    match answer:
        case {"batchItemFailures": failures} if failures:
            ids = [record["messageId"] for record in event["Records"]]
            return [ids.index(failure["itemIdentifier"]) for failure in failures]
        case {"statusCode": status, "body": body} if status not in {200, 202}:
            errors = json.loads(body).get("errors", []) if body else []
            return (status, *(f"{error['field']} {error['code']}" for error in errors))
    return "success"


def effect_of(function: str, runtime: Runtime, published: list[dict[str, Any]]) -> Any:
    """What was kept or published, in the form of EFFECTS."""
    match function:
        case "track_onboarding":
            return json.loads(runtime.invoke("get_onboarding", sample("get_onboarding/plain"))["body"])["status"]
        case "record_analytics":
            total = json.loads(runtime.invoke("get_analytics", sample("get_analytics/period"))["body"])["total"]
            return total["registered"], total["onboarded"], total["rejected"]
        case "detect_fraud":
            return [event["detail"]["customerId"] for event in published]
    return [event["detail"]["reason"] for event in published]


def assert_keys(name: str, lines: list[dict[str, Any]]) -> None:
    """Each line names its own customer and request, and never those of the message before."""
    expected = about(name)
    assert lines
    for line in lines:
        keys = expected[line.get("message_id") if None not in expected else None]
        assert {key: line.get(key) for key in keys} == keys, line["message"]


def about(name: str) -> dict[str | None, dict[str, str | None]]:
    """The keys that each line of a sample's log must have, by message id; the id is None without messages."""
    event = sample(name)
    if "Records" in event:
        return {record["messageId"]: _in_message(record["body"]) for record in event["Records"]}
    if "requestContext" in event:
        customer = event.get("pathParameters") or {}
        is_understood = not name.endswith("malformed-customer-id")
        return {None: _keys(customer if is_understood else {}, event["requestContext"]["requestId"])}
    return {None: UNKNOWN if name.endswith("/malformed") else _keys(event, event["correlationId"])}


def _in_message(body: str) -> dict[str, str | None]:
    message: dict[str, Any] = {}
    with suppress(ValueError):
        message = json.loads(body)
    detail = message.get("detail", {})
    if message.get("source") == SOURCE and "metadata" in detail:
        return _keys(detail, detail["metadata"]["correlationId"])
    if message.get("source") == "aws.states":  # the correlation id is in the execution's input, which is personal
        return {"customer_id": detail["name"]}
    if "correlationId" in message:
        return _keys(message, message["correlationId"])
    return UNKNOWN if "source" in message else NOBODY


def _keys(document: dict[str, Any], correlation_id: str) -> dict[str, str | None]:
    keys: dict[str, str | None] = {"correlation_id": correlation_id}
    return keys | ({"customer_id": document["customerId"]} if "customerId" in document else {})
