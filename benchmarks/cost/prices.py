"""The price list, and what a number of billable units comes to.

List prices of us-east-1, without free tiers, volume discounts and taxes. Where AWS has tiers it is the first.
Most were read in other people's copies of AWS's pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

REGION = "us-east-1"
LISTED = date(2026, 11, 23)
MILLION = 1_000_000
GIBIBYTE = 1024**3
KIBIBYTE = 1024


class Unit(StrEnum):
    """What AWS counts. Durations are GB-seconds (GB as AWS has it, 1,024 MB), sizes bytes."""

    TRANSITION = "state transition"
    EXPRESS_REQUEST = "Express execution"
    EXPRESS_GB_SECOND = "Express GB-second"
    INVOCATION = "Lambda request"
    LAMBDA_GB_SECOND = "Lambda GB-second"
    SQS_REQUEST = "SQS request"
    EVENT = "published event"
    WRITE = "DynamoDB write unit"
    READ = "DynamoDB read unit"
    MAIL = "e-mail"
    API_REQUEST = "API request"
    LOG_BYTE = "log byte"
    ARCHIVED_BYTE = "archived byte"


@dataclass(frozen=True)
class Price:
    """US dollars for so many units of a service; `source` is AWS's own page to check it with."""

    service: str
    dollars: float
    per: float
    source: str

    def of(self, units: float) -> float:
        """US dollars for this many units."""
        return self.dollars * units / self.per


STEP_FUNCTIONS = "Step Functions"
LAMBDA = "Lambda"
LOGS = "CloudWatch Logs"
EVENTBRIDGE = "EventBridge"
DYNAMODB = "DynamoDB"
_SOURCE = "https://aws.amazon.com/{}/pricing/"
_STATES, _LAMBDA, _DYNAMODB = (_SOURCE.format(page) for page in ("step-functions", "lambda", "dynamodb/on-demand"))
_EVENTBRIDGE, _LOGS = _SOURCE.format("eventbridge"), _SOURCE.format("cloudwatch")

# The services in the order in which they are shown.
PRICES: Mapping[Unit, Price] = {
    Unit.TRANSITION: Price(STEP_FUNCTIONS, 25, MILLION, _STATES),
    Unit.EXPRESS_REQUEST: Price(STEP_FUNCTIONS, 1, MILLION, _STATES),
    Unit.EXPRESS_GB_SECOND: Price(STEP_FUNCTIONS, 0.00001667, 1, _STATES),
    Unit.MAIL: Price("SES", 0.16, 1000, _SOURCE.format("ses")),
    Unit.INVOCATION: Price(LAMBDA, 0.20, MILLION, _LAMBDA),
    Unit.LAMBDA_GB_SECOND: Price(LAMBDA, 0.0000133334, 1, _LAMBDA),  # arm64; x86_64 is 0.0000166667
    Unit.SQS_REQUEST: Price("SQS", 0.40, MILLION, _SOURCE.format("sqs")),
    Unit.EVENT: Price(EVENTBRIDGE, 1, MILLION, _EVENTBRIDGE),
    Unit.ARCHIVED_BYTE: Price(EVENTBRIDGE, 0.10, GIBIBYTE, _EVENTBRIDGE),
    Unit.WRITE: Price(DYNAMODB, 0.625, MILLION, _DYNAMODB),
    Unit.READ: Price(DYNAMODB, 0.125, MILLION, _DYNAMODB),
    Unit.API_REQUEST: Price("API Gateway", 3.50, MILLION, _SOURCE.format("api-gateway")),
    Unit.LOG_BYTE: Price(LOGS, 0.50, GIBIBYTE, _LOGS),
}
SERVICES: tuple[str, ...] = tuple(dict.fromkeys(price.service for price in PRICES.values()))

# US dollars a month for what is there, used or not. A secret and an alarm: one each.
MONTHLY = {
    "AWS::CloudWatch::Alarm": 0.10,
    "AWS::CloudWatch::CompositeAlarm": 0.50,
    "AWS::CloudWatch::Dashboard": 3.00,
    "AWS::KMS::Key": 1.00,
}
A_SECRET_A_MONTH = 0.40
A_MILLION_TRACES = 5.00


Units = Mapping[Unit, float]  # fractions too, where registrations share something


def dollars(units: Units) -> dict[str, float]:
    """US dollars by service, all of `SERVICES`."""
    bill = dict.fromkeys(SERVICES, 0.0)
    for unit, number in units.items():
        bill[PRICES[unit].service] += PRICES[unit].of(number)
    return bill


def total(units: Units) -> float:
    """US dollars in all."""
    return sum(dollars(units).values())
