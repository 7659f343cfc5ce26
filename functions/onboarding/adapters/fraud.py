"""The fraud table: what the rules found in each customer, and who is suspected because of it.

The table keeps the findings of each customer, and the digest of each value that a rule counts, in the order of
validation. An event that comes late takes its place in that order, and later customers, whose burst limit it may reach,
are examined again. So the order of the events doesn't change who is suspected.

A query reads at most a burst's limit of sightings, however many exist. An erased customer has a tombstone in place of
the findings.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from onboarding.adapters import tombstones
from onboarding.adapters.transactions import transact
from onboarding.domain.events import CustomerFraudSuspected, FraudReason
from onboarding.domain.fraud import RULES, Findings, Sighting
from onboarding.domain.models import sortable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

# The longest window of a rule, and 14 days that a message may wait in the dead-letter queue.
_KEPT = timedelta(days=1) + timedelta(days=14)
_REGISTRATION = "REGISTRATION"


def has_expired(validated_at: datetime) -> bool:
    """Whether a customer was validated too long ago: then the table has lost some of what it kept, or all of it."""
    return validated_at + _KEPT < datetime.now(UTC)


def record(findings: Findings, *, dynamodb: "DynamoDBClient", table_name: str) -> Findings | None:
    """Keep the findings and their sightings once; return those kept for this customer, or None for an erased one."""
    expires_at = str(int((findings.validated_at + _KEPT).timestamp()))
    kept: dict[str, AttributeValueTypeDef] = {"findings": {"S": findings.model_dump_json(by_alias=True)}}
    items = [_key(f"CUSTOMER#{findings.customer_id}", _REGISTRATION) | kept]
    items += [_key(_partition(sighting), findings.place) for sighting in findings.sightings]
    puts: list[TransactWriteItemTypeDef] = [
        {
            "Put": {
                "TableName": table_name,
                "Item": item | {"customerId": {"S": findings.customer_id}, "expiresAt": {"N": expires_at}},
                "ConditionExpression": "attribute_not_exists(pk)",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }
        for item in items
    ]
    try:
        transact(puts, dynamodb)
    except dynamodb.exceptions.TransactionCanceledException as error:
        first = error.response["CancellationReasons"][0]
        if first["Code"] != "ConditionalCheckFailed":
            raise
        return _findings(first["Item"])
    return findings


def suspicions(
    findings: Findings, threshold: int, *, dynamodb: "DynamoDBClient", table_name: str
) -> Iterator[CustomerFraudSuspected]:
    """Yield this customer's suspicion, if any, and those of later customers who share a value.

    Call it after `record`. A customer's suspicion has the same eventId as long as its reasons are the same.
    """
    table = _Table(dynamodb, table_name)
    for one in (findings, *table.behind(findings)):
        found = [RULES[name] for name in (*one.rules, *table.bursts(one)) if name in RULES]
        reasons = [FraudReason(rule=rule.name, weight=rule.weight, message=rule.message) for rule in found]
        score = sum(reason.weight for reason in reasons)
        if score >= threshold:
            yield CustomerFraudSuspected.of(
                one.customer_id,
                correlation_id=one.correlation_id,
                occurred_at=one.validated_at,
                variant=",".join(sorted(f"{reason.rule}={reason.weight}" for reason in reasons)),
                score=score,
                reasons=reasons,
            )


def erase(customer_id: str, *, dynamodb: "DynamoDBClient", table_name: str) -> None:
    """Erase a customer's findings and sightings, and leave a tombstone; may be repeated.

    The findings are marked first, so that they are used no more, and go last, because they name the sightings.
    """
    registration = _key(f"CUSTOMER#{customer_id}", _REGISTRATION)
    marked = dynamodb.update_item(
        TableName=table_name,
        Key=registration,
        UpdateExpression="SET erased = :true",
        ExpressionAttributeValues={":true": {"BOOL": True}},
        ReturnValues="ALL_NEW",
    )["Attributes"]
    if "findings" in marked:
        findings = Findings.model_validate_json(marked["findings"]["S"])
        for sighting in findings.sightings:
            dynamodb.delete_item(TableName=table_name, Key=_key(_partition(sighting), findings.place))
    tombstone: dict[str, AttributeValueTypeDef] = {"erased": {"BOOL": True}, "expiresAt": tombstones.expiry()}
    dynamodb.put_item(TableName=table_name, Item=registration | tombstone)


class _Table:
    """The sightings, in the order of validation."""

    def __init__(self, dynamodb: "DynamoDBClient", table_name: str) -> None:
        self._dynamodb = dynamodb
        self._table_name = table_name

    def bursts(self, findings: Findings) -> Iterator[str]:
        """The rules whose limit this customer reaches, together with earlier ones in the window."""
        for sighting in findings.sightings:
            # `$` sorts after the `#` in a place: the window is open at its start.
            after = f"{sortable(findings.validated_at - sighting.within)}$"
            if len(self._places(sighting, after, findings.place, forward=False)) == sighting.limit:
                yield sighting.rule

    def behind(self, findings: Findings) -> Iterator[Findings]:
        """Later customers whose burst limit this one may push over.

        All have this one in their window. The query's `limit` is enough: a customer farther back reaches the limit
        without this one.
        """
        customer_ids = {
            place["customerId"]["S"]
            for sighting in findings.sightings
            for place in self._places(
                sighting, findings.place, sortable(findings.validated_at + sighting.within), forward=True
            )
        }
        for customer_id in sorted(customer_ids - {findings.customer_id}):
            item = self._dynamodb.get_item(
                TableName=self._table_name, Key=_key(f"CUSTOMER#{customer_id}", _REGISTRATION), ConsistentRead=True
            ).get("Item")
            if item and (kept := _findings(item)):  # else it is past its time to live, or erased
                yield kept

    def _places(
        self, sighting: Sighting, first: str, last: str, *, forward: bool
    ) -> "list[dict[str, AttributeValueTypeDef]]":
        page = self._dynamodb.query(
            TableName=self._table_name,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues={
                ":pk": {"S": _partition(sighting)},
                ":first": {"S": first},
                ":last": {"S": last},
            },
            ScanIndexForward=forward,
            Limit=sighting.limit,
            ConsistentRead=True,
        )
        return page["Items"]


def _findings(item: Mapping[str, Any]) -> Findings | None:
    return None if "erased" in item else Findings.model_validate_json(item["findings"]["S"])


def _key(pk: str, sk: str) -> "dict[str, AttributeValueTypeDef]":
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _partition(sighting: Sighting) -> str:
    return f"{sighting.rule}#{sighting.digest}"
