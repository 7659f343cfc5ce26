"""What the tests of the deployed stack share: one emulator with one stack."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import httpx
import pytest

from cli.downstream import systems as downstream
from cli.downstream.partner import Partner
from cli.downstream.queue_system import QueueSystem
from cli.downstream.systems import DownstreamSystem
from cli.machine import emulator
from cli.machine.deploy import EmulatorStack, deploy
from cli.machine.emulator import Emulator
from tests.deployed.onboardings import PATIENCE_SECONDS, Onboardings


@pytest.fixture(scope="session")
def aws() -> Iterator[Emulator]:
    """An emulator whose waits are short: a retry that would wait an hour waits less than a second."""
    with emulator.start({"SFN_WAIT_SCALE": "0.0002"}) as started:
        yield started


@pytest.fixture(scope="session")
def partners() -> Iterator[Mapping[str, Partner]]:
    """The downstream systems that speak HTTP; each has its own kind of authentication."""
    with downstream.partners() as running:
        yield {partner.name: partner for partner in running}


@pytest.fixture(scope="session")
def systems(aws: Emulator, partners: Mapping[str, Partner]) -> Mapping[str, DownstreamSystem]:
    """All the downstream systems, by name; `ledger` is one that takes commands from a queue."""
    ledger = QueueSystem(aws.session)
    return {**partners, ledger.name: ledger}


@pytest.fixture(scope="session")
def stack(aws: Emulator, systems: Mapping[str, DownstreamSystem]) -> EmulatorStack:
    """The template as `sam deploy` deploys it. A hanging partner costs 5 s; no other answer takes as long."""
    configured = [system.configuration for system in systems.values()]
    impatient = [
        replace(system, settings={**system.settings, "readTimeoutSeconds": 5})
        if system.settings["kind"] == "http"
        else system
        for system in configured
    ]
    return deploy(aws, systems=impatient)


@pytest.fixture(scope="session")
def onboardings(stack: EmulatorStack) -> Iterator[Onboardings]:
    """Registers customers by HTTP and reads what became of them."""
    with httpx.Client(trust_env=False, timeout=PATIENCE_SECONDS) as http:
        yield Onboardings(stack, http)
