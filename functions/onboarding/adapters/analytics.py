"""The analytics table: the facts about each customer, and the counters of each day.

One transaction writes the changed facts and adds the difference to the counters, so that reading the counters needs no
customers.

    CUSTOMER#{customerId}  FACTS             the facts; they expire, the counters don't
    DAY#{date}             COUNT#{shard}     counters, in several items so that transactions seldom conflict
    DAY#{date}             TIME#{tenths}     how many customers were onboarded in that many tenths of a second
"""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zlib import crc32

from onboarding.domain.analytics import TIME, Facts
from onboarding.domain.events import Event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, PutTypeDef, TransactWriteItemTypeDef

SHARDS = 8
ATTEMPTS = 4
_READERS = 8
# Longer than the archive keeps events, so that a replayed event isn't counted again.
_FACTS_KEPT = timedelta(days=90)


class Conflict(Exception):
    """Other transactions changed the same items at every attempt; retry later."""


def record(event: Event, *, dynamodb: "DynamoDBClient", table_name: str) -> tuple[Facts, Facts]:
    """Record an event once; return the customer's facts before and after it.

    Raises:
        Conflict: every attempt met another transaction.
        botocore.exceptions.ClientError: DynamoDB refused.
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


def counters(first: date, last: date, *, dynamodb: "DynamoDBClient", table_name: str) -> dict[date, Counter[str]]:
    """Return the counters of each day of a period, both days included.

    Raises:
        botocore.exceptions.ClientError, ConnectionError, HTTPClientError: DynamoDB refused, or is unreachable.
    """
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    with ThreadPoolExecutor(_READERS) as pool:
        return dict(zip(days, pool.map(lambda day: _counters(day, dynamodb, table_name), days), strict=True))


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
    if after.erased:  # the counters stay
        return
    changes = _contribution(after)
    changes.subtract(_contribution(before))
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


def _contribution(facts: Facts) -> Counter[tuple[str, str, str]]:
    """What the customer adds to each attribute (pk, sk, name); nothing until the day is known."""
    if not facts.registered_at:
        return Counter()
    day = f"DAY#{facts.registered_at.astimezone(UTC).date()}"
    shard = f"COUNT#{crc32(facts.customer_id.encode()) % SHARDS}"
    found = Counter({(day, shard, name): count for name, count in facts.counts.items() if count})
    if facts.time_counter:
        found[day, facts.time_counter, "onboarded"] = 1
    return found


def _key(pk: str, sk: str) -> "dict[str, AttributeValueTypeDef]":
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _counters(day: date, dynamodb: "DynamoDBClient", table_name: str) -> Counter[str]:
    """The counters of a day, with those of the times to onboard as TIME#{tenths}."""
    found: Counter[str] = Counter()
    pages = dynamodb.get_paginator("query").paginate(
        TableName=table_name,
        KeyConditionExpression="pk = :day",
        ExpressionAttributeValues={":day": {"S": f"DAY#{day}"}},
    )
    for page in pages:
        for item in page["Items"]:
            sk = item["sk"]["S"]
            for name, value in item.items():
                if "N" in value:
                    found[sk if sk.startswith(TIME) else name] += int(value["N"])
    return found
