"""Transactions of DynamoDB, where another one may be in the way."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_ATTEMPTS = 4


def transact(items: list[TransactWriteItemTypeDef], dynamodb: DynamoDBClient) -> None:
    """Write in one transaction; try again where only another transaction was in the way."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            dynamodb.transact_write_items(TransactItems=items)
        except dynamodb.exceptions.TransactionCanceledException as error:
            codes = {reason["Code"] for reason in error.response["CancellationReasons"]}
            if attempt == _ATTEMPTS or not codes <= {"None", "TransactionConflict"}:
                raise
            time.sleep(attempt * 0.05)
        else:
            return
