"""A failure in the log. Its level alone says whether it was expected: the alarms and deployments go by it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_lambda_powertools import Logger


@contextmanager
def logged(logger: Logger, *expected: type[Exception]) -> Iterator[None]:
    """Log what the block or the decorated handler raises, with the keys that the logger has by then, and raise it.

    What is `expected` is an outcome or tried again: it is information, with its message. All else is an error, with its
    stack trace. Lambda's own line on an error names neither the customer nor the request.
    """
    try:
        yield
    except expected as error:
        logger.info("Failed as expected", error=type(error).__name__, reason=str(error))
        raise
    except Exception:
        logger.exception("Failed")
        raise
