"""The company's other systems, in each of which a customer gets an account.

A downstream system is configured, not coded: its settings are a parameter and its credentials a secret, both named
`{prefix}{system}`. Its `kind` names the module beside this one that speaks its language; to add a kind is to add a
module. Each has a function `adapter(settings, credentials, remaining, client)` that returns an `Adapter`: `settings` is
the system's document, `credentials(anew=False)` returns its secret, `remaining()` the seconds left.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import ConfigDict

from onboarding.domain.models import Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from onboarding.domain.tasks import Account

CACHE_SECONDS = 300

Credentials = dict[str, str]


class Adapter(Protocol):
    """Speaks with one downstream system. Both calls may be repeated, and have the same effect as one."""

    def provision(self, customer_id: str, account: Account) -> None:
        """Create the account.

        Raises:
            DownstreamRefused: the system will not have it, however often it is asked.
            DownstreamUnavailable: the system is out of reach, failing or throttling.
        """

    def deprovision(self, customer_id: str) -> None:
        """Delete the account; that there is none is success.

        Raises:
            DownstreamRefused: the system will not delete it, however often it is asked.
            DownstreamUnavailable: the system is out of reach, failing or throttling.
        """


class Settings(Message):
    """What every system's settings have; the adapter's own model knows the rest."""

    model_config = ConfigDict(extra="allow")

    kind: str


class Parameters(Protocol):
    """Where settings and credentials are: a Powertools provider of parameters or of secrets."""

    def get(self, name: str, max_age: int | None, transform: Any, *, force_fetch: bool) -> Any:  # noqa: ANN401
        """Return the JSON of that name, cached for so many seconds."""


class UnknownKind(Exception):
    """A system's settings name a kind that no adapter speaks."""


def kinds() -> frozenset[str]:
    """Return the kinds that there are: the modules beside this one."""
    return frozenset(module.name for module in pkgutil.iter_modules(__path__))


def connect(  # noqa: PLR0913 - its ports
    system: str,
    prefix: str,
    *,
    settings: Parameters,
    secrets: Parameters,
    client: Callable[[str], Any],
    remaining: Callable[[], float],
) -> Adapter:
    """Return the adapter of a system.

    `client` makes the client of an AWS service, for an adapter whose `SERVICE` names one. `remaining` returns
    the seconds that the caller has left.

    Raises:
        UnknownKind: see there.
        pydantic.ValidationError: the settings are not what the adapter needs.
    """
    name = f"{prefix}{system}"
    document = settings.get(name, CACHE_SECONDS, "json", force_fetch=False)
    kind = Settings.model_validate(document).kind
    if kind not in kinds():
        raise UnknownKind(kind)

    def credentials(*, anew: bool = False) -> Credentials:
        found: Credentials = secrets.get(name, CACHE_SECONDS, "json", force_fetch=anew)
        return found

    module = import_module(f"{__name__}.{kind}")
    service = getattr(module, "SERVICE", None)
    adapter: Adapter = module.adapter(document, credentials, remaining, client(service) if service else None)
    return adapter
