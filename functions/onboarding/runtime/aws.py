"""How the functions call AWS."""

from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError  # noqa: A004 - botocore's own
from botocore.loaders import Loader

# What a call raises if AWS refuses it, or can't be reached.
FAILURES = (ClientError, ConnectionError, HTTPClientError)

# Two attempts of at most 4 s each, and a wait of at most 1 s between them. All calls of a function fit its time-out, so
# that botocore's error, which says what happened, comes before Lambda's time-out.
# https://docs.aws.amazon.com/boto3/latest/guide/retries.html
_CALL = Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2})

# For a call that must not be made twice: the workflow retries the task, which counts its attempts.
_CALL_ONCE = Config(connect_timeout=1, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 1})

# For a call that the answer doesn't depend on.
_CALL_BEST_EFFORT = Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 1})


class _Loader(Loader):
    """botocore's loader of service models, without its scan of 400 service folders.

    The scan takes an eighth of the time to import boto3 and build a client (see `make bench`).
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked_for: list[str] = []

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002 - botocore's signature
        return self.asked_for


_loader = _Loader()
_session = botocore.session.get_session()
_session.register_component("data_loader", _loader)


def client(service: str, *, once: bool = False, best_effort: bool = False) -> Any:  # noqa: ANN401 - the service's own
    """Return a client for a service, by botocore's name.

    With `once` or `best_effort` it makes no second attempt; with `best_effort`, it gives up after two seconds.

    It is the client that boto3 would make. Importing boto3 itself makes a cold start a tenth longer, so only
    register_customer imports it, because Powertools' idempotency does.
    """
    _loader.asked_for.append(service)
    config = _CALL_ONCE if once else _CALL_BEST_EFFORT if best_effort else _CALL
    return _session.create_client(service, config=config)
