"""The stack that `make up` leaves running and `make down` ends."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console

from local import WORKSPACE, emulator
from local.deploy import Stack, deploy
from local.emulator import Emulator

STATE = WORKSPACE / "up.json"


def up(console: Console) -> None:
    """Start and deploy unless that was done before, and say how to use it."""
    stack = _running()
    if stack is None:
        aws = emulator.start()
        stack = deploy(aws, console)
        _remember(stack)
        aws.leave_running()
    else:
        console.print("It was up already; to deploy what has changed since: make down up")
    _explain(stack, console)


def down(console: Console) -> None:
    """End what `up` left running, if it still is."""
    stack = _running()
    if stack is None:
        console.print("Nothing is up.")
    else:
        stack.emulator.stop()
        console.print("Ended.")
    STATE.unlink(missing_ok=True)


def _remember(stack: Stack) -> None:
    aws = stack.emulator
    state = {"pid": aws.pid, "port": aws.port, "folder": str(aws.folder)}
    STATE.write_text(json.dumps({"emulator": state, "outputs": dict(stack.outputs)}))


def _running() -> Stack | None:
    """The stack of the state file, where its very emulator still runs."""
    try:
        state = json.loads(STATE.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    aws = Emulator(
        pid=state["emulator"]["pid"],
        port=state["emulator"]["port"],
        folder=Path(state["emulator"]["folder"]),
    )
    if not aws.is_running():
        aws.stop()  # its folder may have outlived it
        return None
    return Stack(aws, state["outputs"])


def _explain(stack: Stack, console: Console) -> None:
    customer = {"firstName": "Ada", "lastName": "Lovelace", "email": "ada@example.com"}
    curl = f"curl -i {stack.api_url}/api/customers -H 'Content-Type: application/json' -d '{json.dumps(customer)}'"
    exports = " ".join(f"{name}={value}" for name, value in stack.emulator.credentials().items())
    for line in (
        f"API      {stack.api_url}/api/customers",
        f"try      {curl}",
        f"outbox   curl {stack.emulator.endpoint_url}/_ministack/ses/messages",
        f"AWS CLI  export {exports}",
        "end      make down",
    ):
        console.print(line, markup=False, soft_wrap=True)
