"""How AWS fails, and what may happen meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.stub import Stubber

ENDPOINT = "https://aws.example.com"
# Each way in which botocore says that AWS is out of reach; they have no class in common that says only that.
OUT_OF_REACH = [
    ConnectionClosedError(endpoint_url=ENDPOINT),
    ConnectTimeoutError(endpoint_url=ENDPOINT),
    EndpointConnectionError(endpoint_url=ENDPOINT),
    ReadTimeoutError(endpoint_url=ENDPOINT),
    SSLError(endpoint_url=ENDPOINT, error=OSError("handshake failure")),
]


@contextmanager
def refusing(client: Any, method: str, code: str, message: str = "", **fields: Any) -> Iterator[None]:
    """The client makes this one call, and AWS refuses it with the error code."""
    with Stubber(client) as stubber:
        stubber.add_client_error(method, code, message, modeled_fields=fields)
        yield
        stubber.assert_no_pending_responses()


@contextmanager
def failing(client: Any, operation: str, error: BaseException) -> Iterator[None]:
    """The next call of the operation, which must come, raises the error instead of reaching AWS."""
    with during(client, operation, _raise(error)):
        yield


@contextmanager
def losing_the_answer(client: Any, operation: str, error: BaseException) -> Iterator[None]:
    """The next call of the operation, which must come, does its work and raises the error."""
    with during(client, operation, _raise(error), stage="after-call"):
        yield


@contextmanager
def during(client: Any, operation: str, act: Callable[[], None], stage: str = "before-call") -> Iterator[None]:
    """Act in the midst of the next call of the operation, which must come."""
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


def _raise(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act
