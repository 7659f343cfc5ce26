"""The stack that `make up` leaves running and `make down` ends."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.console import Console

from local import PROJECT, WORKSPACE, emulator
from local.deploy import Stack, deploy
from local.downstream import System
from local.emulator import Emulator
from local.ledger import Ledger

STATE = WORKSPACE / "up.json"


def up(console: Console) -> None:
    """Start and deploy unless that was done before, and say how to use it."""
    up_already = running()
    if up_already:
        console.print("It was up already; to deploy what has changed since: make down up")
        _explain(*up_already, console)
        return
    aws = emulator.start()
    partners = _start_partners(aws)
    stack = deploy(aws, console, [*partners, Ledger(aws.session).system])
    urls = {partner.name: str(partner.settings["url"]) for partner in partners}
    _remember(stack, urls)
    aws.leave_running()
    _explain(stack, urls, console)


def down(console: Console) -> None:
    """End what `up` left running, if it still is."""
    up_already = running()
    if up_already is None:
        console.print("Nothing is up.")
    else:
        stack, _ = up_already
        stack.emulator.stop()
        console.print("Ended.")
    STATE.unlink(missing_ok=True)


def _start_partners(aws: Emulator) -> list[System]:
    """Start the partners as a process that ends when the emulator does."""
    with (aws.folder / "partners.err").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "local.partner", str(aws.folder)],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # as the emulator is: the terminal's Ctrl-C is not for it
        )
    with process.stdout or io.BytesIO() as said:
        return [System(**system) for system in json.loads(said.read())]


def _remember(stack: Stack, partners: Mapping[str, str]) -> None:
    aws = stack.emulator
    state = {"pid": aws.pid, "port": aws.port, "folder": str(aws.folder)}
    STATE.write_text(json.dumps({"emulator": state, "outputs": dict(stack.outputs), "partners": partners}))


def running() -> tuple[Stack, dict[str, str]] | None:
    """The stack that `up` left running, where its very emulator still runs, and its partners' URLs by name."""
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
    return Stack(aws, state["outputs"]), state["partners"]


def _explain(stack: Stack, partners: Mapping[str, str], console: Console) -> None:
    customer = {"firstName": "Ada", "lastName": "Lovelace", "email": "ada@example.com"}
    curl = f"curl -i {stack.api_url}/api/customers -H 'Content-Type: application/json' -d '{json.dumps(customer)}'"
    exports = " ".join(f"{name}={value}" for name, value in stack.emulator.credentials().items())
    for line in (
        f"API      {stack.api_url}/api/customers",
        f"try      {curl}",
        *_about_partners(stack, partners),
        f"status   curl -i {stack.api_url}/api/customers/CUSTOMER_ID/onboarding",
        "report   make report",
        f"outbox   curl {stack.emulator.endpoint_url}/_ministack/ses/messages",
        f"AWS CLI  export {exports}",
        "end      make down",
    ):
        console.print(line, markup=False, soft_wrap=True)


def _about_partners(stack: Stack, partners: Mapping[str, str]) -> Iterator[str]:
    """Where the partners are, and how to have one fail."""
    faults = json.dumps({"customer": "ada@example.com", "faults": [{"kind": "refuse"}]})
    for name, url in partners.items():
        yield f"{name:<8} {url}, its accounts are in {stack.emulator.folder / name}.sqlite"
        yield f"         fails after: curl -X PUT {url}/faults -d '{faults}'"
