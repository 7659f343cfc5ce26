"""A failure in the log: the line that Lambda itself logs of it names neither the customer nor the request."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_lambda_powertools import Logger


@contextmanager
def logged(logger: Logger, *foreseen: type[Exception]) -> Iterator[None]:
    """Log what the decorated handler raises, with the keys that the logger has by then, and raise it.

    What is `foreseen` is an outcome or tried again, and logged as information, with its message; all else as an error,
    with its stack trace.
    """
    try:
        yield
    except foreseen as error:
        logger.info("Failed as foreseen", error=type(error).__name__, reason=str(error))
        raise
    except Exception:
        logger.exception("Failed")
        raise
