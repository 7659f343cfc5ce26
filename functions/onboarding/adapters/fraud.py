"""The fraud table: who is suspected, by what the rules find in a customer and in those who were seen before.

Each registration is kept as what the rules found in it, and so is each sighting of a value that a rule counts: as a
digest, in the order in which the customers were validated. Whoever comes late, by the queue or by a second delivery,
finds its place in that order; those behind it, for whom it may be the one too many, are looked at again. So the same
customers are suspected, whatever order the events come in.

Of each burst as many sightings are read as its limit says, however many there are.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from onboarding.domain.events import CustomerFraudSuspected, FraudReason
from onboarding.domain.fraud import RULES, Findings, Sighting, moment

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

# The longest window of a rule, and the longest that a message may wait: 14 days in the dead-letter queue.
_KEPT = timedelta(days=1) + timedelta(days=14)
_REGISTRATION = "REGISTRATION"


def record(findings: Findings, *, dynamodb: "DynamoDBClient", table_name: str) -> Findings:
    """Keep the findings and their sightings, once; return what is kept of this customer."""
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
        dynamodb.transact_write_items(TransactItems=puts)
    except dynamodb.exceptions.TransactionCanceledException as error:
        first = error.response["CancellationReasons"][0]
        if first["Code"] != "ConditionalCheckFailed":
            raise
        existing: Mapping[str, Any] = first["Item"]
        return Findings.model_validate_json(existing["findings"]["S"])
    return findings


def suspicions(
    findings: Findings, threshold: int, *, dynamodb: "DynamoDBClient", table_name: str
) -> Iterator[CustomerFraudSuspected]:
    """Yield the suspicion of this customer, if any, and of those behind who share a value and are suspected.

    To be called once the findings are kept. A customer's suspicion has the same eventId whenever it is found.
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
                score=score,
                reasons=reasons,
            )


def erase(customer_id: str, *, dynamodb: "DynamoDBClient", table_name: str) -> int:
    """Erase the findings and the sightings of a customer; return how many items there were."""
    registration = _key(f"CUSTOMER#{customer_id}", _REGISTRATION)
    item = dynamodb.get_item(TableName=table_name, Key=registration, ConsistentRead=True).get("Item")
    if item is None:
        return 0
    findings = Findings.model_validate_json(item["findings"]["S"])
    keys = [*(_key(_partition(sighting), findings.place) for sighting in findings.sightings), registration]
    for key in keys:
        dynamodb.delete_item(TableName=table_name, Key=key)
    return len(keys)


class _Table:
    """What was seen, in the order of validation."""

    def __init__(self, dynamodb: "DynamoDBClient", table_name: str) -> None:
        self._dynamodb = dynamodb
        self._table_name = table_name

    def bursts(self, findings: Findings) -> Iterator[str]:
        """The rules whose limit the customer reaches, with those before who are still in the window."""
        for sighting in findings.sightings:
            after = f"{moment(findings.validated_at - sighting.within)}$"  # behind whoever stands at that very moment
            if len(self._places(sighting, after, findings.place, forward=False)) == sighting.limit:
                yield sighting.rule

    def behind(self, findings: Findings) -> Iterator[Findings]:
        """The customers behind for whom this one may be the one too many.

        Each of them has this one in its window; the first `limit - 1` alone, since whoever stands farther back has
        `limit` in it anyway.
        """
        customer_ids = {
            place["customerId"]["S"]
            for sighting in findings.sightings
            for place in self._places(
                sighting, findings.place, moment(findings.validated_at + sighting.within), forward=True
            )
        }
        for customer_id in sorted(customer_ids - {findings.customer_id}):
            item = self._dynamodb.get_item(
                TableName=self._table_name, Key=_key(f"CUSTOMER#{customer_id}", _REGISTRATION), ConsistentRead=True
            ).get("Item")
            if item:  # else it is past its time to live
                yield Findings.model_validate_json(item["findings"]["S"])

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


def _key(pk: str, sk: str) -> "dict[str, AttributeValueTypeDef]":
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _partition(sighting: Sighting) -> str:
    return f"{sighting.rule}#{sighting.digest}"
