"""The stack that `up` leaves running and `down` stops."""

import io
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from cli import PROJECT, WORKSPACE, NotPossible
from cli.aws.stack import Stack
from cli.downstream.queue_system import QueueSystem
from cli.machine import emulator, stackport
from cli.machine.deploy import EmulatorStack, deploy, update
from cli.machine.emulator import Emulator
from cli.machine.lock import locked
from cli.machine.system_configuration import SystemConfiguration

STATE = WORKSPACE / "up.json"


def up(console: Console) -> None:
    """Start a stack, or update the running one and keep its data; then print how to use it."""
    # Two of these at the same time would leave an emulator that no state file knows.
    with locked(STATE.with_suffix(".lock")):
        stack = running()
        if stack is None:
            aws = emulator.start()
            partners = _start_partners(aws)
            stack = deploy(aws, console, [*partners, QueueSystem(aws.session).configuration])
            state = {
                "emulator": {"port": aws.port, "folder": str(aws.folder)},
                "partners": {partner.name: partner.settings["url"] for partner in partners},
            }
            STATE.write_text(json.dumps(state), encoding="utf-8")
            aws.leave_running()
        elif not update(stack, console):
            console.print("Already running and up to date.")
    _explain(stack, json.loads(STATE.read_text(encoding="utf-8"))["partners"], console)


def down(console: Console) -> None:
    """Stop the stack that `up` left running, if it still runs."""
    with locked(STATE.with_suffix(".lock")):
        if stack := running():
            stack.emulator.stop()
        console.print("Stopped." if stack else "Nothing is running.")
        STATE.unlink(missing_ok=True)


def show(console: Console) -> None:
    """Serve the stack's console in the browser until it, or this process, is stopped. Raises `NotPossible`."""
    stack = running()
    if stack is None:
        raise NotPossible("Nothing is running. Run `make up` first")
    with suppress(KeyboardInterrupt), stackport.serve(stack) as (url, process):
        console.print(f"{url}\nAn execution's name is the customerId. Stop the console with Ctrl-C.", soft_wrap=True)
        while process.poll() is None and stack.emulator.is_running():
            time.sleep(1)
        console.print("The stack or its console has ended.")


def running() -> EmulatorStack | None:
    """The stack that `up` left running, if its emulator is still the same process."""
    try:
        state = json.loads(STATE.read_text(encoding="utf-8"))["emulator"]
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    aws = Emulator(state["port"], Path(state["folder"]))
    if not aws.is_running():
        aws.stop()  # removes a leftover folder
        return None
    return EmulatorStack.on(aws)


def find(name: str | None) -> Stack:
    """Return the stack with this name on AWS or, without a name, the one that `up` left running.

    Raises:
        NotPossible: no such stack.
    """
    if name is not None:
        return Stack.on_aws(name)
    if stack := running():
        return stack
    raise NotPossible("Nothing is running. Run `make up` first, or name a stack on AWS with --stack")


def _start_partners(aws: Emulator) -> list[SystemConfiguration]:
    """Start the partners in a process that ends with the emulator."""
    with (aws.folder / "partners.err").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.downstream", str(aws.folder)],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # out of reach of the terminal's Ctrl-C
        )
    with process.stdout or io.BytesIO() as output:
        said = output.read()
    if not said:
        errors = (aws.folder / "partners.err").read_text(encoding="utf-8")
        raise NotPossible(f"The local downstream systems did not start:\n{errors}")
    return [SystemConfiguration(**system) for system in json.loads(said)]


def _explain(stack: EmulatorStack, partners: Mapping[str, str], console: Console) -> None:
    api = f"{stack.api_url}/api/customers"
    customer = {"firstName": "Ada", "lastName": "Lovelace", "email": "ada@example.com"}
    faults = json.dumps({"customer": customer["email"], "faults": [{"kind": "refuse"}]})
    exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in stack.emulator.credentials().items())
    lines = [
        ("API", api),
        ("try", f"curl -i {api} -H 'Content-Type: application/json' -d '{json.dumps(customer)}'"),
        ("status", f"curl -i {api}/CUSTOMER_ID/onboarding"),
        ("trace", ".venv/bin/onboarding trace CUSTOMER_ID"),
        ("console", "make console"),
        ("logs", "make logs"),
        ("check", ".venv/bin/onboarding check"),
        ("report", ".venv/bin/onboarding report"),
        ("outbox", f"curl {stack.emulator.endpoint_url}/_ministack/ses/messages"),
        ("AWS CLI", f"export {exports}"),
        ("update", "make up"),
        ("stop", "make down"),
    ]
    for name, url in partners.items():
        lines.append((name, f"{url}; list accounts: curl {url}/accounts"))
        lines.append(("", f"make it refuse Ada: curl -X PUT {url}/faults -d '{faults}'"))
    for label, text in lines:
        console.print(f"{label:<8} {text}", markup=False, soft_wrap=True)
