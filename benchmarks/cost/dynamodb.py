"""What DynamoDB bills for a call.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from benchmarks.cost.prices import KIBIBYTE, Unit, Units

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class NotKnown(Exception):
    """What DynamoDB bills here has yet to be written down."""


def billed(action: str, request: Mapping[str, Any], dynamodb: DynamoDBClient) -> Units:
    """The units of a call that was made. What it read or changed is looked up, as it is now.

    Raises:
        NotKnown: the action is none of those that the functions call.
    """

    def size_of(part: Mapping[str, Any]) -> int:
        if "Item" in part:
            return item_size(part["Item"])
        return item_size(dynamodb.get_item(TableName=part["TableName"], Key=part["Key"]).get("Item", {}))

    consistent = request.get("ConsistentRead", False)
    match action:
        case "PutItem" | "UpdateItem" | "DeleteItem":
            return {Unit.WRITE: write_units(size_of(request))}
        case "TransactWriteItems":
            parts = [part for item in request["TransactItems"] for part in item.values()]
            return {Unit.WRITE: 2 * sum(write_units(size_of(part)) for part in parts)}
        case "GetItem":
            return {Unit.READ: read_units(size_of(request), consistent=consistent)}
        case "Query":
            items = dynamodb.query(**request)["Items"]
            return {Unit.READ: read_units(sum(item_size(item) for item in items), consistent=consistent)}
    raise NotKnown(f"What DynamoDB bills for {action} is not written down in benchmarks/cost/dynamodb.py")


def write_units(size: int) -> int:
    """Units of one write of an item of so many bytes: one for each KiB begun. In a transaction it is twice that."""
    return max(1, -(-size // KIBIBYTE))


def read_units(size: int, *, consistent: bool) -> float:
    """Units of one read of so many bytes: one for each 4 KiB begun, half of it where the answer may be stale."""
    whole = max(1, -(-size // (4 * KIBIBYTE)))
    return whole if consistent else whole / 2


def item_size(item: Mapping[str, Any]) -> int:
    """Bytes of an item in DynamoDB's JSON.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html

    Raises:
        NotKnown: an attribute is of a type that the functions do not write.
    """
    return sum(len(name.encode()) + _attribute_size(value) for name, value in item.items())


def _attribute_size(attribute: Mapping[str, Any]) -> int:
    ((kind, value),) = attribute.items()
    match kind:
        case "S":
            return len(value.encode())
        case "N":
            return len(value) // 2 + 1
        case "M":
            return 3 + sum(1 + len(name.encode()) + _attribute_size(part) for name, part in value.items())
        case "L":
            return 3 + sum(1 + _attribute_size(part) for part in value)
        case "BOOL" | "NULL":
            return 1
    raise NotKnown(f"The size of an attribute of type {kind} is not written down in benchmarks/cost/dynamodb.py")
