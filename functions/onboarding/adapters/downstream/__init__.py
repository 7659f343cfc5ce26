"""The company's downstream systems, in each of which a customer gets an account.

A downstream system is configured, not coded: its settings are a parameter and its credentials a secret, both named
`{prefix}{system}`. Its `kind` names the module beside this one that speaks its protocol. A new kind is a new module
with two functions. `client(make_client)` returns what its calls share, such as a client of an AWS service.
`adapter(system, settings, credentials, remaining, client)` returns an `Adapter`: `system` is the system's name,
`settings` its document, `credentials(fresh=False)` returns its secret, `remaining()` the seconds left.
"""

from __future__ import annotations

import json
import pkgutil
import time
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import ConfigDict

from onboarding.adapters.outages import FAILURES, is_transient
from onboarding.domain.errors import DownstreamUnavailable
from onboarding.domain.models import Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from onboarding.domain.tasks import Account

CACHE_SECONDS = 300


class Adapter(Protocol):
    """Speaks to one downstream system. A repeated call has no further effect."""

    def provision(self, customer_id: str, account: Account) -> None:
        """Create the account.

        Raises:
            DownstreamRefused: the system refuses this customer for good.
            DownstreamUnavailable: the system is unreachable, failing or throttling.
            UnexpectedAnswer: the system breaks its contract or rejects our credentials.
        """

    def deprovision(self, customer_id: str) -> None:
        """Delete the account; succeeds if there is none.

        Raises:
            DownstreamUnavailable: the system is unreachable, failing or throttling.
            UnexpectedAnswer: the system breaks its contract or rejects our credentials.
        """


class Settings(Message):
    """What every system's settings have; the rest is in the adapter's own model."""

    model_config = ConfigDict(extra="allow")

    kind: str


class UnknownKind(Exception):
    """A system's settings name a kind that has no adapter."""


def kinds() -> frozenset[str]:
    """Return all kinds: the modules beside this one."""
    return frozenset(module.name for module in pkgutil.iter_modules(__path__))


class Systems:
    """The downstream systems whose parameters and secrets share a prefix.

    `make_client` makes a client of an AWS service, by botocore's name.
    """

    def __init__(self, prefix: str, make_client: Callable[[str], Any]) -> None:
        self.ssm, self.secretsmanager = make_client("ssm"), make_client("secretsmanager")
        self._prefix = prefix
        self._make_client = make_client
        self._clients: dict[str, Any] = {}
        self._settings = Documents(lambda name: self.ssm.get_parameter(Name=name)["Parameter"]["Value"])
        self._credentials = Documents(self._secret)

    def connect(self, system: str, remaining: Callable[[], float]) -> Adapter:
        """Return the adapter of a system; `remaining` returns the seconds that the caller has left.

        Raises:
            UnknownKind: the settings' kind has no adapter.
            pydantic.ValidationError: the settings lack what the adapter needs.
            json.JSONDecodeError: the settings are not JSON.
            DownstreamUnavailable: the settings are unreachable for now, and none are cached.
            botocore.exceptions.ClientError: the settings are missing, or not ours to read.
        """
        name = f"{self._prefix}{system}"
        settings = self._settings(name)
        kind = Settings.model_validate(settings).kind
        if kind not in kinds():
            raise UnknownKind(kind)
        module = import_module(f"{__name__}.{kind}")
        if kind not in self._clients:
            self._clients[kind] = module.client(self._make_client)
        credentials = partial(self._credentials, name)
        adapter: Adapter = module.adapter(system, settings, credentials, remaining, self._clients[kind])
        return adapter

    def _secret(self, name: str) -> Any:  # noqa: ANN401 - text or bytes
        secret = self.secretsmanager.get_secret_value(SecretId=name)
        return secret.get("SecretString") or secret["SecretBinary"]


class Documents:
    """JSON documents by name, cached for CACHE_SECONDS; for longer while AWS throttles or is unreachable.

    The wall clock counts, because it goes on while Lambda has the function frozen.
    """

    def __init__(self, fetch: Callable[[str], str | bytes]) -> None:
        self._fetch = fetch
        self._cached: dict[str, tuple[Any, float]] = {}

    def __call__(self, name: str, *, fresh: bool = False) -> Any:  # noqa: ANN401 - any JSON
        """Return the document; `fresh` fetches it even if it is cached."""
        document, until = self._cached.get(name, (None, 0.0))
        if fresh or time.time() >= until:
            try:
                document = json.loads(self._fetch(name))
            except FAILURES as error:
                if not is_transient(error):
                    raise
                if fresh or document is None:
                    raise DownstreamUnavailable(type(error).__name__) from None
            self._cached[name] = document, time.time() + CACHE_SECONDS
        return document
