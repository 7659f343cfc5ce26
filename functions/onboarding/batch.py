"""Messages of a queue, one by one: the others of its batch are done whatever becomes of one of them."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType


def processor(logger: Logger) -> BatchProcessor:
    """Return Powertools' processor of SQS batches that report the messages that failed.

    A batch that fails as a whole is reported message by message, like any other.
    """
    return BatchProcessor(
        EventType.SQS,
        raise_on_entire_batch_failure=False,
        logger=logger,  # type: ignore[arg-type]  # it calls what Powertools' Logger shares with logging's
    )
