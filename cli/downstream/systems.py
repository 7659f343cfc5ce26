"""The local downstream systems: `crm` takes an API key, `billing` OAuth 2, `ledger` commands from a queue."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from cli.downstream.partner import ApiKeys, ClientCredentials, Partner
from cli.downstream.queue_system import QueueSystem
from cli.machine.emulator import Emulator

DownstreamSystem: TypeAlias = Partner | QueueSystem


@dataclass(frozen=True)
class Systems:
    """The running systems; the partners answer over HTTP, and fail on demand."""

    partners: tuple[Partner, ...]
    queue_system: QueueSystem

    @property
    def all(self) -> tuple[DownstreamSystem, ...]:
        return *self.partners, self.queue_system


@contextmanager
def partners() -> Iterator[tuple[Partner, ...]]:
    """Run the two partners."""
    with Partner("crm", ApiKeys()) as crm, Partner("billing", ClientCredentials()) as billing:
        yield crm, billing


@contextmanager
def start(emulator: Emulator) -> Iterator[Systems]:
    """Run the partners in this process, and the ledger's queue in the emulator."""
    with partners() as running:
        yield Systems(running, QueueSystem(emulator.session))
