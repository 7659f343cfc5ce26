"""The downstream systems of this machine: `crm` takes an API key, `billing` OAuth 2, `ledger` commands from a queue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cli.downstream.partner import ApiKeys, ClientCredentials, Partner
from cli.downstream.queue_system import QueueSystem
from cli.machine.emulator import Emulator
from cli.machine.system_configuration import SystemConfiguration


class DownstreamSystem(Protocol):
    """A downstream system, as the demo and the tests see it."""

    name: str

    @property
    def configuration(self) -> SystemConfiguration:
        """How the stack reaches it."""

    def accounts(self) -> dict[str, dict[str, Any]]:
        """The accounts that there are, by customerId."""

    def tombstones(self) -> set[str]:
        """The customers whose account was deleted, or barred before there was one."""


@dataclass(frozen=True)
class Systems:
    """The systems, and among them the partners, which answer, and fail on demand."""

    partners: tuple[Partner, ...]
    queue_system: QueueSystem

    @property
    def all(self) -> tuple[DownstreamSystem, ...]:
        return *self.partners, self.queue_system


@contextmanager
def partners(folder: Path) -> Iterator[tuple[Partner, Partner]]:
    """Run the two partners, with their accounts in a folder."""
    with (
        Partner("crm", folder / "crm.sqlite", ApiKeys()) as crm,
        Partner("billing", folder / "billing.sqlite", ClientCredentials()) as billing,
    ):
        yield crm, billing


@contextmanager
def start(emulator: Emulator) -> Iterator[Systems]:
    """Run all of them, the partners in this process, the ledger's queue in the emulator."""
    with partners(emulator.folder) as running:
        yield Systems(running, QueueSystem(emulator.session))
