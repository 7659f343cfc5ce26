"""Runs in Lambda in place of a task's handler: fails as planned for the customer, then does the real work.

A plan is an item of the table FAULTS_TABLE, `{pk: "{customerId}/{real handler}", plan: [fault, …]}`; each call takes
the first fault that is left, and none once they are used up.
"""

import os
import time
from importlib import import_module
from typing import Any

import boto3

REAL_HANDLER = os.environ["REAL_HANDLER"]
MODULE, _, FUNCTION = REAL_HANDLER.rpartition(".")
real_handler = getattr(import_module(MODULE), FUNCTION)
dynamodb = boto3.client("dynamodb")


def handler(event: dict[str, Any], context: object) -> object:
    """Fail as planned, or do the real work.

    A fault is `raise NAME`, `work, then raise NAME`, `hang`, `exit`, or `work twice`.
    """
    match _next_fault(event["customerId"]).split():
        case ["raise", name]:
            raise type(name, (Exception,), {})("planned")
        case ["work,", "then", "raise", name]:
            real_handler(event, context)
            raise type(name, (Exception,), {})("planned")
        case ["hang"]:
            time.sleep(60)
        case ["exit"]:
            os._exit(1)
        case ["work", "twice"]:
            real_handler(event, context)
    return real_handler(event, context)


def _next_fault(customer_id: str) -> str:
    try:
        before = dynamodb.update_item(
            TableName=os.environ["FAULTS_TABLE"],
            Key={"pk": {"S": f"{customer_id}/{REAL_HANDLER}"}},
            UpdateExpression="REMOVE #plan[0]",
            ConditionExpression="size(#plan) > :none",
            ExpressionAttributeNames={"#plan": "plan"},
            ExpressionAttributeValues={":none": {"N": "0"}},
            ReturnValues="ALL_OLD",
        )["Attributes"]
    except dynamodb.exceptions.ConditionalCheckFailedException:
        return ""
    return str(before["plan"]["L"][0]["S"])
