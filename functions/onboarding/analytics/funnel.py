"""The funnel of each day, from its counters."""

import math
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from onboarding.analytics import FAILURE, REJECTION, TENTHS, TIME
from onboarding.models import Message

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_READERS = 8


class TimeToOnboard(Message):
    """Seconds from the API's answer to the end of the workflow, to a tenth; the percentiles by nearest rank."""

    median: float
    p95: float


class Funnel(Message):
    """How many customers came how far; each is in every stage that it reached."""

    registered: int
    validated: int
    account_created: int
    email_sent: int
    onboarded: Annotated[int, Field(description="With a welcome e-mail or without")]
    rejected: int
    suspected: Annotated[int, Field(description="Of fraud; they are in the stages too")]
    rejection_reasons: Annotated[dict[str, int], Field(description="A customer may have several")]
    failure_reasons: dict[str, int]
    time_to_onboard: TimeToOnboard | None = None


class Day(Funnel):
    """The funnel of those who were registered on a day, in UTC."""

    day: Annotated[date, Field(alias="date")]


class Analytics(Message):
    """The funnel of each day of a period, and of all of it."""

    first: Annotated[date, Field(alias="from")]
    last: Annotated[date, Field(alias="to")]
    total: Funnel
    days: list[Day]


def analytics(first: date, last: date, *, dynamodb: "DynamoDBClient", table_name: str) -> Analytics:
    """Return the analytics of a period, both days included.

    Raises:
        botocore.exceptions.ClientError, ConnectionError, HTTPClientError: DynamoDB refused, or is out of reach.
    """
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    with ThreadPoolExecutor(_READERS) as pool:
        counters = list(pool.map(lambda day: _counters(day, dynamodb, table_name), days))
    return Analytics(
        first=first,
        last=last,
        total=Funnel.model_validate(_funnel(sum(counters, Counter()))),
        days=[Day.model_validate(_funnel(counts) | {"day": day}) for day, counts in zip(days, counters, strict=True)],
    )


def _counters(day: date, dynamodb: "DynamoDBClient", table_name: str) -> Counter[str]:
    """The counters of a day; how many took so many tenths of a second is under TIME#{tenths}."""
    counters: Counter[str] = Counter()
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
                    counters[sk if sk.startswith(TIME) else name] += int(value["N"])
    return counters


def _funnel(counters: Counter[str]) -> dict[str, Any]:
    times = {int(name.removeprefix(TIME)): count for name, count in counters.items() if name.startswith(TIME)}
    return {
        **{name: counters[name] for name in ("registered", "validated", "accountCreated", "emailSent")},
        **{name: counters[name] for name in ("onboarded", "rejected", "suspected")},
        "rejectionReasons": _reasons(counters, REJECTION),
        "failureReasons": _reasons(counters, FAILURE),
        "timeToOnboard": _time_to_onboard(sorted(times.items())),
    }


def _reasons(counters: Counter[str], prefix: str) -> dict[str, int]:
    return {
        name.removeprefix(prefix): count
        for name, count in sorted(counters.items())
        if name.startswith(prefix) and count
    }


def _time_to_onboard(times: Iterable[tuple[int, int]]) -> TimeToOnboard | None:
    tenths = [tenths for tenths, count in times for _ in range(count)]
    if not tenths:
        return None
    median, p95 = (tenths[math.ceil(share * len(tenths)) - 1] / TENTHS for share in (0.5, 0.95))
    return TimeToOnboard(median=median, p95=p95)
