"""Tombstones: what a table keeps of an erased customer, so that no later write brings the customer back.

They outlive everything that could: a failed execution may be redriven for 14 days, the archive replays the events of 30
days, and a message may wait for 14 days in a queue and for 14 in its dead-letter queue.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

_KEPT = timedelta(days=90)


def expiry() -> AttributeValueTypeDef:
    """When a tombstone that is written now expires, for DynamoDB's time to live."""
    return {"N": str(int((datetime.now(UTC) + _KEPT).timestamp()))}
