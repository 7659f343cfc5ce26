"""Batches of queue messages: one bad message doesn't hold up its batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

from onboarding.runtime import failures

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools import Logger
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext


def consumer(
    logger: Logger, *expected: type[Exception], count_failed: Callable[[int], None] = lambda _: None
) -> Callable[[Callable[[SQSRecord], None]], Callable[[dict[str, Any], LambdaContext], dict[str, Any]]]:
    """Turn a function that handles one message into a handler of batches.

    The handler returns the messages that failed. SQS delivers them again, and finally moves them to the dead-letter
    queue. Each failure is logged (`failures.logged`). To Lambda the invocation succeeds even if every message failed:
    only the log shows it.
    """

    def decorate(handle: Callable[[SQSRecord], None]) -> Callable[[dict[str, Any], LambdaContext], dict[str, Any]]:
        attempt = failures.logged(logger, *expected)(handle)

        def handle_one(record: SQSRecord) -> None:
            logger.append_keys(message_id=record.message_id, customer_id=None, correlation_id=None)
            attempt(record)

        @logger.inject_lambda_context(clear_state=True)
        @failures.logged(logger)
        def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
            processor = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)
            response = process_partial_response(event, handle_one, processor, context)
            count_failed(len(response["batchItemFailures"]))
            return dict(response)

        return handler

    return decorate
