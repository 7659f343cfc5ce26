"""Failures in the log. The level says whether one was expected; alarms and rollbacks depend on it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_lambda_powertools import Logger


@contextmanager
def logged(logger: Logger, *expected: type[Exception]) -> Iterator[None]:
    """Log what the block or the decorated handler raises, and raise it again.

    An `expected` error is an outcome or will be retried: it is logged at INFO, with its message. Any other is logged at
    ERROR, with its stack trace. The line has the logger's keys; Lambda's own names neither customer nor request.
    """
    try:
        yield
    except expected as error:
        logger.info("Failed as expected", error=type(error).__name__, reason=str(error))
        raise
    except Exception:
        logger.exception("Failed")
        raise
