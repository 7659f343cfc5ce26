"""The stack that `up` leaves running and `down` ends."""

from __future__ import annotations

import io
import json
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from cli import PROJECT, WORKSPACE, NotPossible
from cli.aws.stack import Stack
from cli.downstream.queue_system import QueueSystem
from cli.machine import emulator
from cli.machine.deploy import EmulatorStack, deploy, update
from cli.machine.emulator import Emulator
from cli.machine.lock import locked
from cli.machine.system_configuration import SystemConfiguration

STATE = WORKSPACE / "up.json"


@dataclass(frozen=True)
class Running:
    """What `up` left running: the emulator with the stack, and its partners' URLs by name."""

    emulator: Emulator
    partners: Mapping[str, str]

    @property
    def stack(self) -> EmulatorStack:
        return EmulatorStack.on(self.emulator)


def up(console: Console) -> None:
    """Start and deploy, or bring up to date what is up, with its data kept; then say how to use it."""
    # Two at once would leave an emulator that is in no state file.
    with locked(STATE.with_suffix(".lock")):
        up_already = running()
        if up_already is None:
            aws = emulator.start()
            partners = _start_partners(aws)
            deploy(aws, console, [*partners, QueueSystem(aws.session).configuration])
            up_already = Running(aws, {partner.name: str(partner.settings["url"]) for partner in partners})
            _remember(up_already)
            aws.leave_running()
        elif not update(up_already.stack, console):
            console.print("It is up, and up to date.")
    _explain(up_already, console)


def down(console: Console) -> None:
    """End what `up` left running, if it still is."""
    with locked(STATE.with_suffix(".lock")):
        up_already = running()
        if up_already is None:
            console.print("Nothing is up.")
        else:
            up_already.emulator.stop()
            console.print("Ended.")
        STATE.unlink(missing_ok=True)


def running() -> Running | None:
    """What `up` left running, if its very emulator still runs."""
    try:
        state = json.loads(STATE.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    aws = Emulator(
        port=state["emulator"]["port"],
        folder=Path(state["emulator"]["folder"]),
    )
    if not aws.is_running():
        aws.stop()  # its folder may have outlived it
        return None
    return Running(aws, state["partners"])


def find(name: str | None) -> Stack:
    """Return the stack of this name on AWS, or without a name the one that `up` left running.

    Raises:
        NotPossible: nothing is up on this machine; and what `Stack.on_aws` raises.
    """
    if name is not None:
        return Stack.on_aws(name)
    if now := running():
        return now.stack
    raise NotPossible("Nothing is up. Run `make up` first, or name a stack on AWS with --stack")


def _start_partners(aws: Emulator) -> list[SystemConfiguration]:
    """Start the partners as a process that ends when the emulator does."""
    with (aws.folder / "partners.err").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.downstream", str(aws.folder)],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # as the emulator is: the terminal's Ctrl-C is not for it
        )
    with process.stdout or io.BytesIO() as output:
        said = output.read()
    if not said:
        errors = (aws.folder / "partners.err").read_text(encoding="utf-8")
        raise NotPossible(f"The downstream systems of this machine did not start:\n{errors}")
    return [SystemConfiguration(**system) for system in json.loads(said)]


def _remember(state: Running) -> None:
    written = {
        "emulator": {"port": state.emulator.port, "folder": str(state.emulator.folder)},
        "partners": dict(state.partners),
    }
    STATE.write_text(json.dumps(written), encoding="utf-8")


def _explain(state: Running, console: Console) -> None:
    stack = state.stack
    customer = {"firstName": "Ada", "lastName": "Lovelace", "email": "ada@example.com"}
    curl = f"curl -i {stack.api_url}/api/customers -H 'Content-Type: application/json' -d '{json.dumps(customer)}'"
    exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in state.emulator.credentials().items())
    faults = json.dumps({"customer": customer["email"], "faults": [{"kind": "refuse"}]})
    partners = [
        f"{name:<8} {url}, its accounts are in {state.emulator.folder / name}.sqlite\n"
        f"         fails after: curl -X PUT {url}/faults -d '{faults}'"
        for name, url in state.partners.items()
    ]
    for line in (
        f"API      {stack.api_url}/api/customers",
        f"try      {curl}",
        *partners,
        f"status   curl -i {stack.api_url}/api/customers/CUSTOMER_ID/onboarding",
        "logs     make logs",
        "report   .venv/bin/onboarding report",
        f"outbox   curl {state.emulator.endpoint_url}/_ministack/ses/messages",
        f"AWS CLI  export {exports}",
        "update   make up, again",
        "end      make down",
    ):
        console.print(line, markup=False, soft_wrap=True)
