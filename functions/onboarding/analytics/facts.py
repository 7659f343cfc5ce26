"""What is known of each customer, and what that adds to the counters of the day."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from zlib import crc32

from aws_lambda_powertools.metrics import MetricUnit
from pydantic import AwareDatetime

from onboarding.analytics import FAILURE, REJECTION, TENTHS, TIME
from onboarding.events import Event
from onboarding.meanings import meaning_of
from onboarding.models import CustomerId, Message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, PutTypeDef, TransactWriteItemTypeDef

SHARDS = 8
ATTEMPTS = 4
# Longer than the archive keeps events, so that none is counted anew when it is replayed.
_FACTS_KEPT = timedelta(days=90)


class Conflict(Exception):
    """Others changed the same items at every attempt; the event is to be recorded later."""


class Facts(Message):
    """What is known of a customer's onboarding."""

    customer_id: CustomerId
    registered_at: AwareDatetime | None = None
    validated: bool = False
    account_created: bool = False
    email_sent_at: AwareDatetime | None = None
    email_failed_at: AwareDatetime | None = None
    email_failure: str | None = None
    rejections: tuple[str, ...] = ()
    failure: str | None = None
    suspected: bool = False

    def with_event(self, event: Event) -> Self:
        """Return the facts with what the event says; nothing that is known is forgotten."""
        at = event.metadata.occurred_at
        said: Any = event  # of a stage are the events that have what is read there
        reason = getattr(event, "reason", None)
        match meaning_of(type(event).__name__, reason).stage:
            case "registered":
                changes: dict[str, Any] = {"registered_at": said.registered_at}
            case "validated":
                changes = {"validated": True}
            case "rejected":
                changes = {"rejections": (reason,) if reason else tuple(sorted({it["code"] for it in said.errors}))}
            case "accountCreated":
                changes = {"account_created": True}
            case "failed":
                changes = {"failure": reason}
            case "emailSent":
                changes = {"email_sent_at": min(at, self.email_sent_at or at)}
            case "emailFailed":
                # Published again with another reason, an event is the one that it was first.
                earlier = (self.email_failed_at or at, self.email_failure or reason)
                failed_at, failure = min((at, reason), earlier)
                changes = {"email_failed_at": failed_at, "email_failure": failure}
            case "suspected":
                changes = {"suspected": True}
            case _:
                changes = {}
        return self.model_copy(update=changes)

    @property
    def onboarded_at(self) -> datetime | None:
        """When the workflow was done with the customer, with an e-mail or without."""
        return self.email_sent_at or (self.email_failed_at if self.email_failure == "UNDELIVERABLE" else None)

    @property
    def seconds_to_onboard(self) -> float | None:
        """From the API's answer to the end of the workflow; clocks may differ, but no time is negative."""
        if not self.registered_at or not self.onboarded_at:
            return None
        return max(0.0, (self.onboarded_at - self.registered_at).total_seconds())

    @property
    def counts(self) -> Counter[str]:
        """What the customer adds to the counters of a day."""
        return Counter(
            {
                "registered": 1,
                "validated": int(self.validated),
                "accountCreated": int(self.account_created),
                "emailSent": int(self.email_sent_at is not None),
                "onboarded": int(self.onboarded_at is not None),
                "rejected": int(bool(self.rejections)),
                "suspected": int(self.suspected),
                **{f"{REJECTION}{code}": 1 for code in self.rejections},
                **{f"{FAILURE}{reason}": 1 for reason in (self.failure, self.email_failure) if reason},
            }
        )

    @property
    def contribution(self) -> Counter[tuple[str, str, str]]:
        """What the customer adds to each attribute: its pk, its sk, its name; nothing until the day is known."""
        if not self.registered_at:
            return Counter()
        day = f"DAY#{self.registered_at.astimezone(UTC).date()}"
        shard = f"COUNT#{crc32(self.customer_id.encode()) % SHARDS}"
        found = Counter({(day, shard, name): count for name, count in self.counts.items() if count})
        if self.seconds_to_onboard is not None:
            found[day, f"{TIME}{round(self.seconds_to_onboard * TENTHS):08}", "onboarded"] = 1
        return found


class Measure(NamedTuple):
    """A metric's name, its value and unit, and the reason by which it is counted, if there is one."""

    name: str
    value: float = 1
    unit: MetricUnit = MetricUnit.Count
    reason: str | None = None


def measures(before: Facts, after: Facts) -> "Iterator[Measure]":
    """What is known now, and wasn't before."""
    if after.registered_at and not before.registered_at:
        yield Measure("CustomerRegistered")
    if after.onboarded_at and not before.onboarded_at:
        yield Measure("CustomerOnboarded")
    if after.suspected and not before.suspected:
        yield Measure("CustomerSuspected")
    if after.seconds_to_onboard is not None and before.seconds_to_onboard is None:
        yield Measure("TimeToOnboard", after.seconds_to_onboard, MetricUnit.Seconds)
    for code in set(after.rejections) - set(before.rejections):
        yield Measure("CustomerRejected", reason=code)
    if after.failure and not before.failure:
        yield Measure("AccountFailed", reason=after.failure)
    if after.email_failure and not before.email_failure:
        yield Measure("WelcomeEmailFailed", reason=after.email_failure)


def record(event: Event, *, dynamodb: "DynamoDBClient", table_name: str) -> tuple[Facts, Facts]:
    """Record what an event says of its customer, once; return what was known before, and what is known now.

    Raises:
        Conflict: others were quicker, again and again.
        botocore.exceptions.ClientError: DynamoDB refused for now.
    """
    key = _key(f"CUSTOMER#{event.customer_id}", "FACTS")
    for attempt in range(ATTEMPTS):
        time.sleep(attempt * 0.05)
        item = dynamodb.get_item(TableName=table_name, Key=key, ConsistentRead=True).get("Item")
        before = Facts.model_validate_json(item["facts"]["S"]) if item else Facts(customer_id=event.customer_id)
        after = before.with_event(event)
        if after == before:
            return before, before
        known = item["facts"] if item else None
        try:
            dynamodb.transact_write_items(TransactItems=list(_writes(key, known, before, after, table_name)))
        except dynamodb.exceptions.TransactionCanceledException as error:
            codes = {reason["Code"] for reason in error.response["CancellationReasons"]}
            if not codes <= {"None", "ConditionalCheckFailed", "TransactionConflict"}:
                raise
        else:
            return before, after
    raise Conflict


def _writes(
    key: "dict[str, AttributeValueTypeDef]",
    known: "AttributeValueTypeDef | None",
    before: Facts,
    after: Facts,
    table_name: str,
) -> "Iterator[TransactWriteItemTypeDef]":
    expires_at = int((datetime.now(UTC) + _FACTS_KEPT).timestamp())
    item = {**key, "facts": {"S": after.model_dump_json(by_alias=True)}, "expiresAt": {"N": str(expires_at)}}
    put: PutTypeDef = {"TableName": table_name, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}
    if known:
        put |= {"ConditionExpression": "facts = :known", "ExpressionAttributeValues": {":known": known}}
    yield {"Put": put}
    changes = Counter(after.contribution)
    changes.subtract(before.contribution)
    items: dict[tuple[str, str], dict[str, int]] = {}
    for (pk, sk, name), change in changes.items():
        if change:
            items.setdefault((pk, sk), {})[name] = change
    for (pk, sk), attributes in items.items():
        numbered = list(enumerate(attributes.items()))
        yield {
            "Update": {
                "TableName": table_name,
                "Key": _key(pk, sk),
                "UpdateExpression": "ADD " + ", ".join(f"#{number} :{number}" for number, _ in numbered),
                "ExpressionAttributeNames": {f"#{number}": name for number, (name, _) in numbered},
                "ExpressionAttributeValues": {f":{number}": {"N": str(change)} for number, (_, change) in numbered},
            }
        }


def _key(pk: str, sk: str) -> "dict[str, AttributeValueTypeDef]":
    return {"pk": {"S": pk}, "sk": {"S": sk}}
