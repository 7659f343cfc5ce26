"""Opens a loyalty card for each customer who got an account."""

import json
import logging
import os
from typing import Any

import boto3

logger = logging.getLogger()
dynamodb = boto3.client("dynamodb")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the messages that failed: SQS redelivers them, and finally dead-letters them."""
    failed = []
    for record in event["Records"]:
        try:
            open_card(json.loads(record["body"])["detail"])
        except Exception:
            logger.exception("No card opened, message %s", record["messageId"])
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def open_card(account: dict[str, Any]) -> None:
    """Open the card. A repeated event writes the same item again.

    `account` is the event's detail, contracts/CustomerAccountCreated-1.0.json.
    """
    dynamodb.put_item(
        TableName=os.environ["CARDS_TABLE"],
        Item={
            "customerId": {"S": account["customerId"]},
            "accountId": {"S": account["accountId"]},
            "openedAt": {"S": account["metadata"]["occurredAt"]},
        },
    )
