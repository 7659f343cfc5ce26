"""How AWS fails, and what can happen during a call."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.stub import Stubber

ENDPOINT = "https://aws.example.com"
# Each way in which botocore says that AWS is unreachable: no base class covers these alone.
OUT_OF_REACH = [
    ConnectionClosedError(endpoint_url=ENDPOINT),
    ConnectTimeoutError(endpoint_url=ENDPOINT),
    EndpointConnectionError(endpoint_url=ENDPOINT),
    ReadTimeoutError(endpoint_url=ENDPOINT),
    SSLError(endpoint_url=ENDPOINT, error=OSError("handshake failure")),
]

DENIED = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "Not for arn:aws:sqs:…"}}, "Any")


def conflict(dynamodb: Any) -> Any:
    """Another transaction is in the way of the first item."""
    reasons = [{"Code": "TransactionConflict"}, {"Code": "None"}]
    error = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
    return dynamodb.exceptions.TransactionCanceledException(error, "TransactWriteItems")


@contextmanager
def refusing(
    client: Any, method: str, code: str, message: str = "", status: int = 400, **fields: Any
) -> Iterator[None]:
    """AWS refuses the one call that the client makes with this error code."""
    with Stubber(client) as stubber:
        stubber.add_client_error(method, code, message, status, modeled_fields=fields)
        yield
        stubber.assert_no_pending_responses()


@contextmanager
def failing(client: Any, operation: str, *errors: BaseException) -> Iterator[None]:
    """The next calls of the operation, which must come, raise the errors and don't reach AWS."""
    with ExitStack() as stack:
        for error in reversed(errors):
            stack.enter_context(during(client, operation, raising(error)))
        yield


@contextmanager
def losing_the_answer(client: Any, operation: str, error: BaseException) -> Iterator[None]:
    """The next call of the operation, which must come, does its work, then raises the error."""
    with during(client, operation, raising(error), stage="after-call"):
        yield


@contextmanager
def during(client: Any, operation: str, act: Callable[[], object], stage: str = "before-call") -> Iterator[None]:
    """Act during the next call of the operation, which must come."""
    event = f"{stage}.*.{operation}"
    acted = False

    def once(**_: Any) -> None:
        nonlocal acted
        acted = True
        client.meta.events.unregister(event, once)
        act()

    client.meta.events.register_first(event, once)
    try:
        yield
    finally:
        client.meta.events.unregister(event, once)
    assert acted, f"{operation} was not called"


def raising(error: BaseException) -> Callable[..., Any]:
    """A function that raises the error."""

    def fail(*_: object, **__: object) -> None:
        raise error

    return fail
