"""The downstream systems of this machine: `crm` takes an API key, `billing` OAuth 2, `ledger` commands from a queue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cli.downstream.partner import ApiKeys, ClientCredentials, Partner
from cli.downstream.queue_system import Ledger
from cli.machine.emulator import Emulator
from cli.machine.system_configuration import System


class Books(Protocol):
    """What can be asked of each of them."""

    name: str

    @property
    def system(self) -> System:
        """How the stack is told of it."""

    def accounts(self) -> dict[str, dict[str, Any]]:
        """The accounts that there are, by customerId."""

    def tombstones(self) -> set[str]:
        """The customers whose account was deleted, or barred before there was one."""


@dataclass(frozen=True)
class Systems:
    """The systems, and among them the partners, which answer and can be told to fail."""

    crm: Partner
    billing: Partner
    ledger: Ledger

    @property
    def partners(self) -> tuple[Partner, ...]:
        return self.crm, self.billing

    @property
    def all(self) -> tuple[Books, ...]:
        return *self.partners, self.ledger

    @property
    def configured(self) -> list[System]:
        """All of them as `deploy` takes them."""
        return [books.system for books in self.all]


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
    with partners(emulator.folder) as (crm, billing):
        yield Systems(crm, billing, Ledger(emulator.session))
